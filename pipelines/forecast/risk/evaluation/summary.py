"""Backtests of several categories, all windows pooled: scores at fixed areas, whole curves, calibration."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from pipelines.forecast.risk.evaluation import calibration, curves, scoring
from pipelines.forecast.risk.evaluation.rolling import PROSPECTIVE, Backtest
from pipelines.forecast.risk.models.stack import BEST_COUNT


class Scored(NamedTuple):
    """Each window (`rolling.WINDOWS` and ``area_share``), and all pooled by those three modules."""

    windows: pl.DataFrame
    scores: pl.DataFrame
    curves: pl.DataFrame
    calibration: pl.DataFrame


def pool(results: Sequence[tuple[Backtest, pl.DataFrame]], cell_share: float, first: int = 0) -> Scored:
    """Pool the results of `rolling.run` for each category.

    Args:
        results: The backtest and its windows, one pair per category, at least one.
        cell_share: A cell's share of the area.
        first: Windows that begin before this day were used for selection only and are left out.
    """
    is_scored = pl.col("origin_day") >= first
    windows = pl.concat(window for _, window in results).filter(is_scored)
    windows = windows.with_columns((pl.col("cells") * cell_share).alias("area_share"))
    steps = pl.concat(
        [pl.DataFrame(schema=curves.STEPS), *(curve for backtest, _ in results for curve in backtest.curves)]
    )
    counted = pl.concat(
        [pl.DataFrame(schema=calibration.COUNTED), *(band for backtest, _ in results for band in backtest.bands)]
    )
    return Scored(
        windows,
        scoring.score(windows, ["category", "cells", "model"], (BEST_COUNT, PROSPECTIVE)),
        curves.pooled(steps.filter(is_scored), cell_share),
        calibration.pooled(counted.filter(is_scored)),
    )
