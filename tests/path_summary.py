"""Mean, quantiles and coverage of sample paths, for comparison: the pipeline keeps only means and dispersions."""

import numpy as np
import polars as pl

from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS
from pipelines.forecast.demand.hierarchy.common_shocks import SERIES, Floats
from pipelines.forecast.demand.hierarchy.sample_paths import Counts, Paths

_LOWER, _UPPER = LEVELS.index(0.1), LEVELS.index(0.9)


def summary(paths: Paths) -> pl.DataFrame:
    """Return mean and quantiles of every series (or group) and step.

    Returns:
        ``unique_id, ds, mean, q0.05 … q0.99`` (the smallest count whose share of paths reaches each level) and
        ``expected_coverage_80``: P(q0.1 <= Y <= q0.9) on these paths, above 0.8 because counts are integers.
    """
    read = [_read(block) for block in paths.values]
    counted = np.concatenate(read) if read else np.empty((0, len(LEVELS) + 2))
    names = ["mean", *COLUMNS, "expected_coverage_80"]
    rows = paths.ids.to_frame(SERIES).join(paths.starts.to_frame("ds"), how="cross", maintain_order="left_right")
    return rows.with_columns(pl.Series(name, counted[:, i]) for i, name in enumerate(names))


def _read(values: Counts) -> Floats:
    """Return mean, quantiles and coverage of one series: one row per step."""
    ordered = np.sort(values, axis=1)
    width = ordered.shape[1]
    at = [max(int(np.ceil(level * width - 1e-9)) - 1, 0) for level in LEVELS]
    counted = ordered[:, at].astype(float)
    inside = (values >= ordered[:, [at[_LOWER]]]) & (values <= ordered[:, [at[_UPPER]]])
    return np.column_stack([values.mean(axis=1), counted, inside.mean(axis=1)])
