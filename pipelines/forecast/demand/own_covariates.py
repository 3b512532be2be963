"""Covariates of users' series: whether they are known for every step ahead, at the newest origin and earlier ones."""

from typing import Final

import polars as pl

from pipelines.forecast.demand.evaluation import rolling_origin
from pipelines.forecast.demand.models import covariates as known_ahead
from pipelines.forecast.demand.own_batches import TRAINING_ORIGINS, Task
from pipelines.forecast.demand.series import STEP, Frequency, SeriesError, lasting_ids

OBSERVED: Final = (
    "the covariates have no known_at, so past origins read the observed values as if they had been forecast without "
    "error; unless these are known ahead, as a calendar is, the scores are an upper bound"
)


def usable(covariates: pl.DataFrame, series: pl.DataFrame, task: Task) -> pl.DataFrame:
    """Return covariates as the batches read them: those of a series by its number.

    A forecast to issue reads everything in the file: what became known after the end of the newest series too.

    Args:
        covariates: As from ``covariate_rows.read``.
        series: ``unique_id, ds`` of the series.
        task: The settings of every batch.

    Raises:
        SeriesError: A covariate has no value before the newest origin, or none for a step after it.
    """
    ends = _ends(series, task)
    known = _capped(covariates, ends, task)
    newest = ends.select(pl.col("cutoff").max()).item()
    past = known.filter(pl.col("ds") < newest)
    for name in known_ahead.names(known):
        if past[name].null_count() == past.height:
            raise SeriesError(f"{name} has no value before {newest:%Y-%m-%d %H:%M}, so its effect cannot be estimated")
    gaps = _gaps(known, _targets(ends, task, 0, 1), task.freq)
    if gaps.height:
        name, _, series_name, ds = gaps.row(0)
        if "unique_id" in known.columns and series_name not in known["unique_id"]:
            raise SeriesError(
                f"the covariates have a unique_id, but no row of series {series_name}; give every series its rows (0 "
                "where an event is elsewhere), or leave unique_id out if values belong to all"
            )
        known_then = " that was known at its origin (known_at)" if "known_at" in known.columns else ""
        raise SeriesError(
            f"{name} has no value for {ds:%Y-%m-%d %H:%M}{known_then}, which the forecast of series {series_name} "
            f"needs; give it one for every step ahead (--horizon {task.horizon}), or leave it out"
        )
    if "unique_id" not in known.columns:
        return known
    names = known["unique_id"].unique(maintain_order=True)
    return known.with_columns(pl.col("unique_id").replace_strict(names, lasting_ids(names), return_dtype=pl.Int64))


def notes(covariates: pl.DataFrame, series: pl.DataFrame, task: Task) -> list[str]:
    """Return what may mislead: observed values in a backtest, constants, and origins that do without a covariate.

    The arguments are those of ``usable``.
    """
    ends = _ends(series, task)
    known = _capped(covariates, ends, task)
    texts = [OBSERVED] if task.origins and "known_at" not in known.columns else []
    past = known.filter(pl.col("ds") < ends.select(pl.col("cutoff").max()).item())
    constant = [name for name in known_ahead.names(known) if past[name].drop_nulls().n_unique() == 1]
    texts += [f"{name} has one value in the whole past, so it has no effect on the forecast" for name in constant]
    earlier = _targets(ends, task, 1, TRAINING_ORIGINS + max(task.origins, 1))
    origins = earlier["cutoff"].n_unique()
    for (name,), part in _gaps(known, earlier, task.freq).group_by("name", maintain_order=True):
        texts.append(
            f"{name} is not known for every step ahead at {part.height} of {origins} earlier origins (first "
            f"{part.row(0)[1]:%Y-%m-%d %H:%M}), which are forecast without it"
        )
    return texts


def _ends(series: pl.DataFrame, task: Task) -> pl.DataFrame:
    """Return ``unique_id`` (text), ``first``, its first step, and ``cutoff``, its newest origin."""
    back = task.horizon if task.origins else 0
    end = pl.col("ds").max() + STEP[task.freq] * (1 - back)
    name = pl.col("unique_id").cast(pl.String)
    return series.group_by(name).agg(pl.col("ds").min().alias("first"), end.alias("cutoff")).sort("unique_id")


def _capped(covariates: pl.DataFrame, ends: pl.DataFrame, task: Task) -> pl.DataFrame:
    if task.origins or "known_at" not in covariates.columns:
        return covariates
    newest = ends.select(pl.col("cutoff").max()).item()
    return covariates.with_columns(pl.min_horizontal("known_at", pl.lit(newest)))


def _targets(ends: pl.DataFrame, task: Task, first: int, last: int) -> pl.DataFrame:
    """Return the targets of the origins number ``first`` to ``last``, excluded, before each series' newest one."""
    step = STEP[task.freq] * task.step
    newest = ends.with_columns(pl.col("cutoff") - step * (first - 1))
    targets = rolling_origin.past_targets(newest, task.freq, task.horizon, step, last - first)
    return targets.filter(pl.col("cutoff") > pl.col("first"))


def _gaps(known: pl.DataFrame, targets: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return ``name, cutoff, unique_id, ds``: the first unknown value of a covariate at every origin that has one."""
    names = known_ahead.names(known)
    if "unique_id" not in known.columns:
        targets = targets.unique(["cutoff", "ds"], keep="first", maintain_order=True)
    parts = []
    for (cutoff,), wanted in targets.group_by("cutoff", maintain_order=True):
        rows = known_ahead.joined(wanted, known_ahead.at(known, cutoff, freq)).sort("ds", "unique_id")
        parts += [
            rows.filter(pl.col(name).is_null()).head(1).select(pl.lit(name).alias("name"), "cutoff", "unique_id", "ds")
            for name in names
        ]
    return pl.concat(parts) if parts else targets.select(pl.lit("").alias("name"), "cutoff", "unique_id", "ds").clear()
