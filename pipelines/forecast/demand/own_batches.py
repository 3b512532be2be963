"""Batches of users' series: the models' forecasts at past origins and ahead, in parallel.

Series sorted by name go in even batches to the workers of ``parallel``: a batch has its own features, fits its own
common models and ranges, and returns frames. The number of batches depends only on the number of series, so the numbers
do not depend on the machine.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Final, TypeVar

import polars as pl

from pipelines.config.progress import Progress, silent
from pipelines.forecast import parallel
from pipelines.forecast.demand import calendar_effects, cycle_effects, day_so_far, versions
from pipelines.forecast.demand.evaluation import combine, rolling_origin, scoring
from pipelines.forecast.demand.evaluation.combine import Published
from pipelines.forecast.demand.evaluation.model_weights import CHOSEN, WEIGHTS
from pipelines.forecast.demand.evaluation.negative_binomial import Floats
from pipelines.forecast.demand.models import covariates as known_ahead
from pipelines.forecast.demand.models import registry
from pipelines.forecast.demand.models.registry import BASELINE
from pipelines.forecast.demand.named_days import Place, named_days
from pipelines.forecast.demand.series import STEP, Frequency, History, SeriesError, lasting_ids
from pipelines.forecast.demand.series_checks import check
from pipelines.forecast.parallel import Workers

TRAINING_ORIGINS: Final = 6
"""Origins before the first forecast, used for model selection and ranges; half a horizon apart in ``predict``."""
MOST_DAYS: Final = 36_525
"""Days from the first origin to the end of the last forecast: beyond, dates would leave the calendar."""
TOO_SHORT: Final = "the series are too short for one origin: use a shorter horizon"
KNOWN_LATE: Final = (
    "every count became known (known_at) only after the last row of its series, so no past origin knows any: state "
    "when each count became known, or leave known_at out"
)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Task:
    """The settings of every batch: ``origins`` ``step`` steps apart are scored before each series' end; 0: none.

    ``place``: where the public holidays are those of the series; none: without holidays. ``covariates``: as from
    ``own_covariates.usable``; none: calendar and history only. ``season``: steps of another cycle than the week.
    """

    freq: Frequency
    horizon: int
    step: int
    origins: int = 0
    place: Place | None = None
    covariates: pl.DataFrame | None = None
    season: int | None = None

    def __post_init__(self) -> None:
        """Refuse forecasts beyond a century."""
        steps = self.horizon + (TRAINING_ORIGINS + self.origins) * self.step
        if steps > MOST_DAYS * (24 if self.freq == "h" else 1):
            raise SeriesError(
                "the origins and forecasts span more than a century: use a shorter horizon, or fewer origins"
            )


@dataclass(frozen=True, slots=True)
class Modelled:
    """The forecasts of a batch, without quantiles.

    ``rows``: as ``Published.forecasts``, with ``name, y_now``, ``is_wanted`` (to be issued or scored), ``is_parent``,
    and in a backtest ``scale, scale_squared``, maybe ``capacity``. The weighted mean has a row for every origin and
    target, other models for those to be scored. ``weights``: ``unique_id`` (the series' name), ``cutoff`` and
    ``model_weights.WEIGHTS``. ``curves``: as from ``calibration.recalibrated``.
    """

    rows: pl.DataFrame
    weights: pl.DataFrame
    curves: Floats


def split(series: pl.DataFrame, freq: Frequency, most: int) -> list[pl.DataFrame]:
    """Return series by name in as few even batches of at most ``most`` as possible."""
    check(series.head(1), freq)
    names = series.select("unique_id").unique().sort("unique_id")
    count = math.ceil(names.height / most)
    if count == 1:
        return [series]
    edges = pairwise(names.height * i // count for i in range(count + 1))
    # An empty name is included, so that ``check`` rejects it.
    return [series.join(names[first:end], on="unique_id", how="semi", nulls_equal=True) for first, end in edges]


def run(
    finish: Callable[[Modelled], Answer],
    task: Task,
    batches: Sequence[pl.DataFrame],
    workers: Workers,
    progress: Progress = silent,
) -> list[Answer]:
    """Forecast batches and finish each where it was forecast; return the results of those that are not too short.

    Raises:
        SeriesError: A series cannot be used as given, or all are too short.
    """
    work = partial(_finished, finish, task)
    answers = parallel.map_tasks(work, [(batch,) for batch in batches], workers, progress, "batches of series")
    result = [answer for answer in answers if answer is not None]
    if not result:
        raise SeriesError(KNOWN_LATE if all(_is_known_late(batch, task.freq) for batch in batches) else TOO_SHORT)
    return result


def unfinished(part: Modelled) -> Modelled:
    """Return a batch as it was forecast, for ``run``."""
    return part


def _finished(finish: Callable[[Modelled], Answer], task: Task, batch: pl.DataFrame) -> Answer | None:
    modelled = _modelled(task, batch)
    return None if modelled is None else finish(modelled)


def _is_known_late(batch: pl.DataFrame, freq: Frequency) -> bool:
    """Return whether no count of a batch was known before the end of its series."""
    rows = check(batch, freq)
    if "known_at" not in rows.columns:
        return False
    is_late = pl.col("known_at") > pl.col("ds").max().over("unique_id") + STEP[freq]
    return bool(rows.select(is_late.fill_null(False).all()).item())


def _modelled(task: Task, batch: pl.DataFrame) -> Modelled | None:
    """Forecast a batch; None if it is too short."""
    numbered, last = _numbered(batch, task.freq)
    # All that is in the file is known at the origin of the forecast to issue.
    known_until = None if task.origins else last.select("unique_id", "cutoff")
    ends = last.with_columns(pl.col("cutoff") - STEP[task.freq] * (task.horizon if task.origins else 0))
    targets = _targets(ends, task)
    history = _judged(versions.history(numbered, STEP[task.freq], known_until), task, targets)
    result = _published(history, targets, task)
    if result is None:
        return None
    rows = _kept(result.forecasts, ends, task)
    wanted = rows.filter("is_wanted")
    if task.origins:
        # The scale is computed before the first scored cutoff, so that it is the same for all models and origins.
        rows = rows.join(_scales(history, wanted, task.freq), on="unique_id", how="left", maintain_order="left")
    if "capacity" in batch.columns:
        capacity = versions.newest(numbered).select("unique_id", "ds", "capacity")
        rows = rows.join(capacity, on=["unique_id", "ds"], how="left", maintain_order="left")
    return Modelled(rows, _weights(result.weights, wanted), result.curves)


def _kept(forecasts: pl.DataFrame, ends: pl.DataFrame, task: Task) -> pl.DataFrame:
    """Return the rows of ``Modelled``: those of the newest origins are to be scored, or that of the newest issued."""
    before = ends.select("unique_id", before=pl.col("cutoff") - STEP[task.freq] * task.step * max(task.origins, 1))
    is_wanted = pl.col("cutoff") > pl.col("before")
    if task.origins:
        # Scored is what is known now; ranges and selections used what an origin knew.
        is_wanted &= pl.col("y_now").is_not_null()
    marked = forecasts.join(before, on="unique_id", how="left", maintain_order="left").with_columns(
        is_wanted.alias("is_wanted"), pl.lit(False).alias("is_parent")
    )
    is_read = pl.col("is_wanted") if task.origins else pl.lit(False)
    return marked.filter((pl.col("model") == CHOSEN) | is_read).drop("before")


def _weights(weights: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """Return the weights at the wanted cutoffs."""
    named = wanted.select("unique_id", "name", "cutoff").unique()
    return weights.join(named, on=["unique_id", "cutoff"], maintain_order="left").select(
        pl.col("name").alias("unique_id"), "cutoff", *WEIGHTS
    )


def _scales(history: History, targets: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return the seasonal-naive MAE of each series before its first cutoff."""
    return scoring.season_errors(history.before(targets.group_by("unique_id").agg(pl.col("cutoff").min())), freq)


def _numbered(batch: pl.DataFrame, freq: Frequency) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the checked rows with integer ids, and ``unique_id, name, pool, level, cutoff`` of each series."""
    checked = check(batch, freq)
    last = (
        checked.group_by("unique_id")
        .agg((pl.col("ds").max() + STEP[freq]).alias("cutoff"))
        .sort("unique_id")
        .rename({"unique_id": "name"})
        .with_columns(pl.lit("all").alias("pool"), pl.lit("all").alias("level"))
    )
    last = last.with_columns(lasting_ids(last["name"].cast(pl.String)))
    return checked.rename({"unique_id": "name"}).join(last.select("name", "unique_id"), on="name").drop("name"), last


def _targets(ends: pl.DataFrame, task: Task) -> pl.DataFrame:
    """Return targets of all origins, the last of them at each series' ``cutoff``."""
    step, count = STEP[task.freq] * task.step, TRAINING_ORIGINS + max(task.origins, 1)
    return rolling_origin.past_targets(ends.with_columns(pl.col("cutoff") + step), task.freq, task.horizon, step, count)


def _judged(known: History, task: Task, targets: pl.DataFrame) -> History:
    """Return the history with the extreme counts, the effects of named days, of a cycle and of the day so far, of every
    origin.
    """
    first, last = known.counts.select(pl.col("ds").min().dt.date()), targets.select(pl.col("ds").max().dt.date())
    calendar = named_days(task.place, first.item(), last.item())
    pools = targets.select("unique_id", "pool").unique()
    judged = calendar_effects.judged(known, pools, calendar, targets["cutoff"], task.freq)
    if task.covariates is not None and judged.extremes is not None:
        judged = replace(judged, extremes=_unexplained(judged.extremes, task.covariates))
    if task.season is not None:
        judged = cycle_effects.judged(judged, targets["cutoff"], task.freq, task.season)
    return judged if task.freq == "D" else day_so_far.updated(judged, pools, targets["cutoff"])


def _published(history: History, targets: pl.DataFrame, task: Task) -> Published | None:
    """Return all models' rows and their weighted mean for all targets; None if no model has a forecast."""
    # Without Prophet, which costs ten times all others and has next to no weight.
    requested = registry.available(task.freq, covariates=task.covariates)
    predictions = rolling_origin.run(requested, history, targets)
    if predictions["mean"].is_null().all():
        return None
    return combine.published(predictions, registry.PRIOR, BASELINE, task.freq)


def _unexplained(extreme: pl.DataFrame, covariates: pl.DataFrame) -> pl.DataFrame:
    """Return the extreme counts of days without an unusual covariate: without those of events, none has an effect."""
    days = known_ahead.unusual_days(covariates)
    if "unique_id" in days.columns:
        days = days.with_columns(pl.col("unique_id").cast(extreme.schema["unique_id"]))
    dated = extreme.with_columns(day=pl.col("ds").dt.date())
    return dated.join(days, on=days.columns, how="anti", maintain_order="left").drop("day")
