"""One boosted model of all series: the factor on hour-of-week averages, fitted to pairs of past origins and steps.

LightGBM (Ke et al. 2017) with a Poisson objective starts from the hour-of-week averages (the table) and fits the factor
on them: so a sparse series keeps its table, a level change is known, and nothing needs to be extrapolated (the M5
winners' approach, Makridakis et al. 2022, without recursion). The training set has origins a whole number of weeks
before the cutoff; a row's features use only data before the row's origin. Counts vary by more than Poisson if means are
large, so a row is weighted by ``1 / (1 + dispersion · mean)``. One model for the newest day of cutoffs and one for each
four weeks of them before, on one thread, seeded by the day.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from pipelines.forecast.demand.models import covariates as known_ahead
from pipelines.forecast.demand.models import features
from pipelines.forecast.demand.models.features import Counts, Doubles, Floats, Rows
from pipelines.forecast.demand.series import SEASON, STEP, Frequency, History, by_cutoff, of

TAUGHT_EVERY_DAYS: Final = 28
"""Cutoffs before the newest day share the model fitted at the first of four weeks, an older one for the others."""
LEAST_WEEKS: Final = 10
"""A shorter history uses hour-of-week averages."""
WARM_UP_WEEKS: Final = 6
YEARS_WEEKS: Final = 104
"""Two years of origins; with fewer, features common to all series, and the time of year, are left out."""
MOST_ORIGINS: Final = 40
MOST_ROWS: Final = 150_000
ROUNDS: Final = 120
USUAL_DISPERSION: Final = 0.05
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "poisson", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 200, "lambda_l2": 10.0,
    "max_bin": 63, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1,
}  # fmt: skip

Factor = Callable[[Floats], Doubles]
"""Features to the logarithm of the factor on the table."""


def predict(
    history: History | pl.DataFrame, targets: pl.DataFrame, freq: Frequency, covariates: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Forecast means from data known before each target's own cutoff, one model per four weeks of cutoffs.

    Args:
        history: ``unique_id, ds, y``.
        targets: ``unique_id, cutoff, ds``, more columns kept. The latest ``ds`` of a cutoff is its horizon.
        freq: ``h`` or ``D``.
        covariates: As described in ``covariates``; none: calendar and history only.

    Returns:
        ``targets`` with ``mean`` and ``failure``: why there is no mean, or which covariates were not used.
    """
    parts = []
    leads = targets.select((pl.col("ds") - pl.col("cutoff")).max()).item() // STEP[freq] + 1
    for _, group in targets.group_by(_training_time(), maintain_order=True):
        begin: datetime = group.select(pl.col("cutoff").min().dt.truncate("1d")).item()
        known = known_ahead.at(covariates, begin, freq)
        training = _training_set(of(history, group.select("unique_id").unique(), begin), begin, leads, freq, known)
        for cutoff, ids in by_cutoff(group):
            known = known_ahead.at(covariates, cutoff, freq)
            parts.append(_at_cutoff(of(history, ids, cutoff), group.filter(cutoff=cutoff), cutoff, training, known))
    keys = ["unique_id", "cutoff", "ds"]
    return targets.join(
        pl.concat(parts).unique(keys, keep="first"), on=keys, how="left", maintain_order="left"
    ).with_columns(
        pl.when(pl.col("mean").is_null() & pl.col("failure").is_null())
        .then(pl.lit(f"fewer than {LEAST_WEEKS} weeks of history, or no call in them"))
        .otherwise("failure")
        .alias("failure")
    )


def _training_time() -> list[pl.Expr]:
    """Return which cutoffs share a model: those of a series' newest day; before that, those of a week."""
    day = pl.col("cutoff").dt.truncate("1d")
    is_newest = day == day.max().over("unique_id")
    weeks = ((day.max() - day).dt.total_days() + TAUGHT_EVERY_DAYS - 1) // TAUGHT_EVERY_DAYS
    return [pl.when(is_newest).then(day).alias("newest"), pl.when(~is_newest).then(weeks).alias("weeks")]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The training set at a moment: rows of past origins with the outcomes and weights of each.

    ``columns``: number of features used. ``fitted``: the models so far, by their covariates.
    """

    freq: Frequency
    leads: int
    rows: Rows
    frame: pl.DataFrame
    truth: Doubles
    weights: Doubles
    columns: int
    seed: int
    fitted: dict[tuple[str, ...], Factor] = field(default_factory=dict)

    def factor(self, names: list[str]) -> Factor:
        """Return the model with these covariates."""
        key = tuple(names)
        if key not in self.fitted:
            matrix = _matrix(self.frame, self.rows, self.columns, names)
            self.fitted[key] = _fitted(matrix, self.rows.table, self.truth, self.weights, self.seed)
        return self.fitted[key]


def _counts(history: pl.DataFrame, cutoff: datetime, freq: Frequency) -> Counts | None:
    """Return the series that are long enough at the cutoff; None if there are none."""
    past = history.filter(pl.col("ds") < cutoff)
    long = past.group_by("unique_id").agg(pl.col("ds").min().alias("first"))
    long = long.filter(pl.col("first") <= cutoff - STEP[freq] * SEASON[freq] * LEAST_WEEKS)
    if long.is_empty():
        return None
    start: datetime = long.select(pl.col("first").min()).item()
    return Counts.of(past.join(long, on="unique_id", how="semi"), start, cutoff, freq)


def _training_set(
    history: pl.DataFrame, begin: datetime, leads: int, freq: Frequency, covariates: pl.DataFrame | None
) -> TrainingSet | None:
    """Build the training set of the series that are long enough at ``begin``; None without any, or without any call."""
    counts = _counts(history, begin, freq)
    if counts is None:
        return None
    rows, truth, weights = _training_rows(counts, leads, _seed(begin))
    if not truth.any():
        return None
    has_years = counts.values.shape[1] >= SEASON[freq] * (YEARS_WEEKS + WARM_UP_WEEKS)
    columns = len(features.NAMES if has_years else features.OWN)
    return TrainingSet(freq, leads, rows, _frame(counts, rows, covariates), truth, weights, columns, _seed(begin))


def _at_cutoff(
    history: pl.DataFrame,
    wanted: pl.DataFrame,
    cutoff: datetime,
    training: TrainingSet | None,
    covariates: pl.DataFrame | None,
) -> pl.DataFrame:
    counts = _counts(history, cutoff, training.freq) if training else None
    if training is None or counts is None:
        return wanted.select(
            "unique_id", "cutoff", "ds", mean=pl.lit(None, pl.Float64), failure=pl.lit(None, pl.String)
        )
    ahead = features.at(counts, counts.values.shape[1], training.leads)
    ahead_rows = _frame(counts, ahead, covariates)
    names, note = known_ahead.usable(ahead_rows.join(wanted, on=["unique_id", "ds"], how="semi"), covariates)
    factor = training.factor(names)(_matrix(ahead_rows, ahead, training.columns, names))
    return ahead_rows.select(
        "unique_id",
        pl.lit(cutoff, pl.Datetime("us")).alias("cutoff"),
        "ds",
        pl.Series("mean", ahead.table * np.exp(factor)).fill_nan(None),
        pl.lit(note, pl.String).alias("failure"),
    )


def _seed(cutoff: datetime) -> int:
    return cutoff.toordinal() * 24 + cutoff.hour


def _training_rows(counts: Counts, leads: int, seed: int) -> tuple[Rows, Doubles, Doubles]:
    """Return rows of past origins, their outcomes and weights; rows with more information are more likely drawn."""
    season, end = SEASON[counts.freq], counts.values.shape[1]
    weeks = end // season - WARM_UP_WEEKS
    step = max(math.ceil(weeks / MOST_ORIGINS), 1)
    origins = [end - season * week for week in range(1, weeks + 1, step)]
    drawn = np.random.default_rng(seed)
    total = len(counts.values) * sum(min(leads, end - origin) for origin in origins)
    parts = []
    for origin in origins:
        rows = features.at(counts, origin, min(leads, end - origin))
        information = np.sqrt(rows.table / (1 + USUAL_DISPERSION * rows.table))
        # NaN: the series had not begun, and has no information yet.
        begun = max(int(np.isfinite(information).sum()), 1)
        chance = np.minimum(information / (np.nansum(information) / begun) * MOST_ROWS / total, 1.0)
        drawn_rows = (counts.known[rows.series, rows.steps] > 0) & (drawn.random(len(chance)) < chance)
        parts.append(
            (
                rows.series[drawn_rows],
                rows.steps[drawn_rows],
                rows.table[drawn_rows],
                rows.values[drawn_rows],
                1 / chance[drawn_rows],
            )
        )
    series, steps, table, values, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    truth = counts.values[series, steps].astype(float)
    excess, scale = (((truth - table) ** 2 - table) * weights).sum(), ((table**2) * weights).sum()
    # No row is known in a gap that reaches back over all origins.
    alpha = max(float(excess / scale), 0.0) if scale > 0 else 0.0
    return Rows(series, steps, table, values), truth, weights / (1 + alpha * table)


def _frame(counts: Counts, rows: Rows, covariates: pl.DataFrame | None) -> pl.DataFrame:
    """Return ``unique_id, ds`` of rows, with the covariates."""
    ds = np.datetime64(counts.start, "us") + rows.steps * np.timedelta64(STEP[counts.freq])
    frame = pl.DataFrame({"unique_id": counts.ids["unique_id"].gather(rows.series), "ds": ds})
    return known_ahead.joined(frame, covariates)


def _matrix(frame: pl.DataFrame, rows: Rows, columns: int, names: list[str]) -> Floats:
    """Return the first ``columns`` features and the named covariates."""
    known = frame.select(pl.col(names).cast(pl.Float32)).to_numpy() if names else rows.values[:, :0]
    return np.hstack([rows.values[:, :columns], known])


def _fitted(matrix: Floats, table: Doubles, truth: Doubles, weights: Doubles, seed: int) -> Factor:
    """Return the fitted logarithm of the factor on the table."""
    import lightgbm

    data = lightgbm.Dataset(
        matrix,
        truth,
        weight=weights * len(weights) / weights.sum(),
        init_score=np.log(table),
        params={"num_threads": 1, "verbosity": -1},
        free_raw_data=True,
    )
    model = lightgbm.train({**PARAMETERS, "seed": seed % 2**31}, data, ROUNDS)

    def factor(rows: Floats) -> Doubles:
        return np.asarray(model.predict(rows, raw_score=True, num_threads=1), float)

    return factor
