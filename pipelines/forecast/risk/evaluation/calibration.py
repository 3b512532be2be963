"""Calibration of expected counts: do observed incidents match the expected ones, in low-risk and high-risk cells?

Cells are put into ten bands of equal expectation, highest risk first: the first band has the few cells that together
have a tenth of the expected incidents, the last the many cells with the last tenth. Bands of equally many cells would
leave nearly all of them without an incident. Band 0 is all cells: whether the overall level was right.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.forecast.risk.evaluation import scoring
from pipelines.forecast.risk.models import stack
from pipelines.forecast.risk.models.stack import BANDS

ALL: Final = 0

COUNTED: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "origin_day": pl.Int64,
    "category": pl.String,
    "model": pl.String,
    "band": pl.Int64,
    "cells": pl.Int64,
    "expected_incidents": pl.Float64,
    "incidents": pl.Int64,
}
"""One row per origin, model and band."""

CALIBRATION: Final = (
    "band", "origins", "cells", "expected_incidents", "incidents", "calibration_ratio", "calibration_ratio_low",
    "calibration_ratio_high",
)  # fmt: skip


def bands(
    origin: int,
    category: str,
    orders: Mapping[str, NDArray[np.int64]],
    expected: Mapping[str, NDArray[np.float64]],
    outcome: NDArray[np.float64],
) -> pl.DataFrame:
    """Return one window's bands.

    Args:
        origin: Its first day.
        category: What is forecast.
        orders: Every cell by model, best first: among equal expectations the list decides.
        expected: Each cell's expected incidents, for the models that have an expectation.
        outcome: Each cell's incidents.
    """
    return pl.concat(
        _bands(expected[model][orders[model]], outcome[orders[model]]).select(
            pl.lit(origin, pl.Int64).alias("origin_day"),
            pl.lit(category).alias("category"),
            pl.lit(model).alias("model"),
            pl.all(),
        )
        for model in expected
    )


def pooled(counted: pl.DataFrame) -> pl.DataFrame:
    """Pool the windows of each category, model and band.

    Args:
        counted: `COUNTED`, no origin twice in a group.

    Returns:
        ``category, model`` and `CALIBRATION`: sums over the windows, including ``cells``; the ratio of observed to
        expected with the 95 % interval of a bootstrap over blocks of windows, as in `scoring`: wider than Poisson's,
        because months differ. Null if nothing was expected, and for too few windows.
    """
    by = ["category", "model", "band"]
    groups = counted.sort(*by, "origin_day").partition_by(by, maintain_order=True)
    ends = [
        scoring.ratio_interval(group["incidents"], group["expected_incidents"], str(group["category"][0]))
        for group in groups
    ]
    ratio = pl.when(pl.col("expected_incidents") > 0).then(pl.col("incidents") / pl.col("expected_incidents"))
    return (
        # In the order of their origins, so that a sum of floats does not depend on the number of threads.
        counted.sort(*by, "origin_day")
        .group_by(by, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("origins"),
            pl.col("cells", "expected_incidents", "incidents").sum(),
        )
        .with_columns(
            ratio.alias("calibration_ratio"),
            pl.Series("calibration_ratio_low", [low for low, _ in ends], pl.Float64),
            pl.Series("calibration_ratio_high", [high for _, high in ends], pl.Float64),
        )
        .select("category", "model", *CALIBRATION)
    )


def _bands(expected: NDArray[np.float64], outcome: NDArray[np.float64]) -> pl.DataFrame:
    """Return sums of cells, best first, by band, for all bands, and for all cells."""
    band = stack.bands(expected) if expected.any() else np.full(expected.size, BANDS - 1)
    cells, hoped, fell = (np.bincount(band, weight, BANDS) for weight in (np.ones(band.size), expected, outcome))
    return pl.DataFrame(
        {
            "band": np.arange(ALL, BANDS + 1),
            "cells": np.r_[cells.sum(), cells].astype(np.int64),
            "expected_incidents": np.r_[hoped.sum(), hoped],
            "incidents": np.r_[fell.sum(), fell].astype(np.int64),
        }
    )
