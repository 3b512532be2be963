"""Rolling origins: the forecasts of each model at earlier cutoffs.

One frame has everything: ``unique_id, pool, cutoff, ds, y`` (``y`` null in the future) and, per model, ``model, mean``.
``calibration`` and ``model_selection`` use only outcomes before each row's own cutoff, so a scored backtest and an
issued forecast are computed in the same way. If records arrive late, an origin reads the counts known at it, and uses
outcomes as the first origin after them knew them; only scores use later knowledge.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from pipelines.forecast.demand.series import STEP, Frequency, History, steps_after, with_effects

DAILY_STEP: Final = 28
"""Days between the backtest origins of days, or the horizon where that is shorter."""
DAILY_WARM_UP: Final = 3
"""The first origins of days, used only for model selection and ranges."""

YEAR: Final = timedelta(days=364)

Predict = Callable[[History | pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""(history ``unique_id, ds, y``; targets ``unique_id, cutoff, ds``) → targets with ``mean``."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the mean, by the name under which its forecasts are stored.

    ``is_plain``: it reads counts of named days, and of a cycle, as they were, and its forecasts are not adjusted.
    """

    name: str
    predict: Predict
    is_plain: bool = False


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


def outside_outages(targets: pl.DataFrame, counts: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return the targets without those of origins at which a series had just become unknown.

    Whether a night already knew of an outage, or still read its hours as zeros, cannot be restored: such an origin
    would know too much. One that follows an outage is kept, because an outage is known when it ends.

    Args:
        targets: ``unique_id, cutoff, ds``, more columns kept.
        counts: ``unique_id, ds``, as now known; without a row a step is unknown.
        freq: ``h`` or ``D``.
    """
    origins = targets.select("unique_id", "cutoff").unique()
    begun = counts.group_by("unique_id").agg(pl.col("ds").min().alias("begun"))
    # Where clocks go forward, the hour before does not exist.
    steps = [pl.col("cutoff") - STEP[freq] * back for back in ((1, 2) if freq == "h" else (1,))]
    last = origins.with_columns(ds=pl.concat_list(steps)).explode("ds")
    known = last.join(counts, on=["unique_id", "ds"], how="semi")
    before = origins.join(begun, on="unique_id", how="left").filter(
        pl.col("begun").is_null() | (pl.col("cutoff") <= pl.col("begun"))
    )
    kept = pl.concat([frame.select("unique_id", "cutoff") for frame in (known, before)])
    return targets.join(kept, on=["unique_id", "cutoff"], how="semi", maintain_order="left")


def run(models: Sequence[Model], history: History | pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """Run every model for every target and join the outcome, if known.

    Args:
        models: The models to run.
        history: ``unique_id, ds, y``, or a ``History`` if past origins knew less or counts are extreme.
        targets: ``unique_id, cutoff, ds``, more columns kept.

    Returns:
        The targets' columns, ``y`` (as the first origin after it knew it, for later origins; of an extreme count its
        limit), ``y_now`` (as known now, for scores), ``model``, ``mean``, ``centre`` (mean of the distribution),
        ``failure`` and ``is_young``: whether the series has less than a year of history.
    """
    columns = [*targets.columns, "model", "mean", "centre", "failure"]
    answers = []
    for model in models:
        read = (
            replace(history, named_days=None, cycle=None)
            if model.is_plain and isinstance(history, History)
            else history
        )
        predictions = model.predict(read, targets).with_columns(pl.lit(model.name).alias("model"))
        if "spread_mean" not in predictions.columns:
            predictions = predictions.with_columns(pl.col("mean").alias("spread_mean"))
        if "failure" not in predictions.columns:
            predictions = predictions.with_columns(pl.lit(None, pl.String).alias("failure"))
        centre = pl.when(pl.col("mean") > 0).then("mean").otherwise("spread_mean")
        answers.append(_adjusted(predictions.with_columns(centre.alias("centre")), read).select(columns))
    return (
        pl.concat(answers)
        .join(_begun(history), on="unique_id", how="left", maintain_order="left")
        .with_columns((pl.col("cutoff") - pl.col("begun") < YEAR).fill_null(True).alias("is_young"))
        .drop("begun")
        .join(outcomes(history, targets), on=["unique_id", "ds"], how="left", maintain_order="left")
    )


def _begun(history: History | pl.DataFrame) -> pl.DataFrame:
    """Return ``unique_id, begun``: when the history of each series begins."""
    counts = history.counts if isinstance(history, History) else history
    return counts.group_by("unique_id").agg(pl.col("ds").min().alias("begun"))


def _adjusted(predictions: pl.DataFrame, history: History | pl.DataFrame) -> pl.DataFrame:
    """Return the predictions of usual days, on named days times their effect, and times that of a cycle."""
    if not isinstance(history, History):
        return predictions
    if history.cycle is not None:
        effect_of_cycle = history.cycle.of(predictions)
        predictions = predictions.with_columns(pl.col("mean", "centre") * effect_of_cycle)
    if history.named_days is None:
        return predictions
    numbered = predictions.with_row_index("row")
    named = with_effects(
        numbered.select("row", "unique_id", "cutoff", "ds"), history.named_days, ["unique_id", "cutoff"]
    )
    effect = pl.col("effect").fill_null(1.0)
    joined = numbered.join(named.select("row", "effect"), on="row", how="left", maintain_order="left")
    return joined.with_columns(pl.col("mean", "centre") * effect).drop("row", "effect")


def outcomes(history: History | pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """Return the outcomes of targets, as described in ``run``: ``unique_id, ds, y, y_now`` from the first cutoff on.

    Args:
        history: As for ``run``.
        targets: ``unique_id, cutoff``.
    """
    counts = history.counts if isinstance(history, History) else history
    keys = ["unique_id", "ds"]
    # One outcome per local hour: of a repeated hour the last one is used.
    now = counts.filter(pl.col("ds") >= targets["cutoff"].min()).unique(keys, keep="last")
    observed = now.select(*keys, "y", pl.col("y").alias("y_now"))
    if not isinstance(history, History):
        return observed
    origins = targets.select("unique_id", pl.col("cutoff").alias("learnt_at")).unique().sort("learnt_at")
    # An hour that begins at a cutoff is after it.
    known = history.late.sort("ds").join_asof(
        origins,
        left_on="ds",
        right_on="learnt_at",
        by="unique_id",
        strategy="forward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    unseen = (
        known.filter(pl.col("seen_from") > pl.col("learnt_at")).group_by(keys).agg(pl.col("y").sum().alias("_late"))
    )
    y = (pl.col("y") - pl.col("_late").fill_null(0.0)).clip(0.0).fill_nan(None)
    known_then = observed.join(unseen, on=keys, how="left", maintain_order="left").with_columns(y).drop("_late")
    return known_then if history.extremes is None else _limited(known_then, history.extremes)


def _limited(observed: pl.DataFrame, extremes: pl.DataFrame) -> pl.DataFrame:
    """Return the outcomes with the limit in place of a ``y`` that the first origin after it found extreme."""
    limits = extremes.sort("cutoff").unique(["unique_id", "ds"], keep="first").select("unique_id", "ds", "limit")
    joined = observed.join(limits, on=["unique_id", "ds"], how="left", maintain_order="left")
    return joined.with_columns(pl.when(pl.col("y") > pl.col("limit")).then("limit").otherwise("y").alias("y")).drop(
        "limit"
    )


def daily_origins(last: pl.DataFrame, horizon: int, scored: int = 1) -> pl.DataFrame:
    """Return past targets of daily forecasts.

    The newest ``scored`` origins whose whole horizon has passed, half a ``DAILY_STEP`` apart; ``DAILY_WARM_UP`` a whole
    one apart before them; and those after them, used for the ranges of the near days only.
    """
    step = min(DAILY_STEP, horizon)
    due = [horizon + i * max(step // 2, 1) for i in range(scored)]
    before = [due[-1] + step * i for i in range(1, DAILY_WARM_UP + 1)]
    after = range(horizon - step, step - 1, -step)
    day = timedelta(days=1)
    parts = [
        past_targets(last, "D", horizon, day * days_ago, 1)
        for days_ago in sorted([*before, *due, *after], reverse=True)
    ]
    return pl.concat(parts)


def both(past: pl.DataFrame, ahead: pl.DataFrame) -> pl.DataFrame:
    """Combine backtest targets and targets to issue in one frame; ``target_start`` is null in the former."""
    return pl.concat([past, ahead], how="diagonal")
