"""Backtests of several categories, all windows pooled: scores at fixed areas, whole curves, calibration."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from pipelines.forecast.risk.evaluation import calibration, curves, scoring
from pipelines.forecast.risk.evaluation.rolling import PROSPECTIVE, Tried
from pipelines.forecast.risk.models.stack import BEST_COUNT


class Scored(NamedTuple):
    """Each window (`rolling.WINDOWS` and ``area_share``), and all pooled by those three modules."""

    windows: pl.DataFrame
    scores: pl.DataFrame
    curves: pl.DataFrame
    calibration: pl.DataFrame


def pool(results: Sequence[Tried], cell_share: float) -> Scored:
    """Pool the scores of `rolling.Lists.score`.

    Args:
        results: The scores of every category, at least one.
        cell_share: A cell's share of the area.
    """
    windows, steps, counted = (pl.concat(frames) for frames in zip(*results, strict=True))
    windows = windows.with_columns((pl.col("cells") * cell_share).alias("area_share"))
    return Scored(
        windows,
        scoring.score(windows, ["category", "cells", "model"], (BEST_COUNT, PROSPECTIVE)),
        curves.pooled(steps, cell_share),
        calibration.pooled(counted),
    )
