"""Rolling origins: what each model would have said at earlier cutoffs.

One frame carries everything: ``unique_id, pool, cutoff, ds, y`` (``y`` null in the future) and, per model, ``model,
mean``. What ``calibration`` and ``selection`` learn from it comes only from outcomes before each row's own cutoff, so a
scored backtest and an issued forecast are made in the same way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from pipelines.forecast.demand.series import Frequency, steps_after

DAILY_STEP: Final = 28
"""Days between the backtest origins of days, or the horizon where that is shorter."""
DAILY_WARM_UP: Final = 3
"""The first so many origins of days only teach choices and ranges."""

Predict = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""(history ``unique_id, ds, y``; targets ``unique_id, cutoff, ds``) → targets with ``mean``."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the mean, by the name under which its forecasts are stored."""

    name: str
    predict: Predict


def origins(last: datetime, step: timedelta, count: int) -> list[datetime]:
    """``count`` cutoffs before ``last``, ``step`` apart, oldest first."""
    return [last - step * i for i in range(count, 0, -1)]


def past_targets(last: pl.DataFrame, freq: Frequency, horizon: int, step: timedelta, count: int) -> pl.DataFrame:
    """Targets of ``count`` rolling origins before each series' own last cutoff.

    Args:
        last: ``unique_id, cutoff`` (one row per series), more columns kept.
        freq: ``h`` or ``D``.
        horizon: Steps per origin.
        step: Time between origins.
        count: How many origins.

    Returns:
        The columns of ``last``, with each origin's ``cutoff``, and ``ds``.
    """
    frames = []
    for (end,), group in last.group_by("cutoff", maintain_order=True):
        for cutoff in origins(end, step, count):
            frames.append(group.drop("cutoff").join(steps_after(cutoff, freq, horizon), how="cross"))
    return pl.concat(frames) if frames else last.with_columns(ds=pl.col("cutoff")).clear()


def run(models: Sequence[Model], history: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """Ask every model for the mean of every target and put the outcome, where known, beside it.

    Returns:
        The targets' columns, ``y``, ``model``, ``mean``, ``centre`` (mean of the distribution) and ``failure``.
    """
    columns = [*targets.columns, "model", "mean", "centre", "failure"]
    answers = []
    for model in models:
        said = model.predict(history, targets).with_columns(pl.lit(model.name).alias("model"))
        if "spread_mean" not in said.columns:
            said = said.with_columns(pl.col("mean").alias("spread_mean"))
        if "failure" not in said.columns:
            said = said.with_columns(pl.lit(None, pl.String).alias("failure"))
        centre = pl.when(pl.col("mean") > 0).then("mean").otherwise("spread_mean")
        answers.append(said.with_columns(centre.alias("centre")).select(columns))
    # One outcome per wall-clock hour: the hour that clocks repeat is known by its last.
    outcomes = history.filter(pl.col("ds") >= targets["cutoff"].min()).unique(["unique_id", "ds"], keep="last")
    return pl.concat(answers).join(outcomes, on=["unique_id", "ds"], how="left", maintain_order="left")


def daily_origins(last: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Past targets of days: origins ``DAILY_STEP`` apart, three before the newest whose whole horizon has passed.

    The origins after that one teach the ranges of the near days only.
    """
    step = min(DAILY_STEP, horizon)
    aligned = last.with_columns(pl.col("cutoff") - pl.duration(days=horizon % step))
    return past_targets(aligned, "D", horizon, timedelta(days=step), DAILY_WARM_UP + horizon // step)


def both(past: pl.DataFrame, ahead: pl.DataFrame) -> pl.DataFrame:
    """Backtest targets and targets to issue in one frame; ``target_start`` is null in the former."""
    return pl.concat([past, ahead], how="diagonal")
