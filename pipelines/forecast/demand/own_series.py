"""The demand models on your own series: forecasts and a rolling-origin backtest, without the pipeline.

Series sorted by name go in even batches to the workers of ``parallel``: a batch has its own features, fits its own
common models and ranges, and returns frames. The number of batches depends only on the number of series, so the numbers
do not depend on the machine.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, TypeVar

import polars as pl

from pipelines.config.progress import Progress, silent
from pipelines.forecast import parallel
from pipelines.forecast.demand import calendar_effects, day_so_far, versions
from pipelines.forecast.demand.evaluation import calibration, combine, rolling_origin, scoring
from pipelines.forecast.demand.evaluation.combine import Published
from pipelines.forecast.demand.evaluation.model_weights import CHOSEN, WEIGHTS
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, Floats
from pipelines.forecast.demand.models import prophet, registry
from pipelines.forecast.demand.models.registry import BASELINE, TABLE
from pipelines.forecast.demand.named_days import Place, named_days
from pipelines.forecast.demand.series import STEP, Frequency, History, SeriesError, lasting_ids
from pipelines.forecast.demand.series_checks import check

TRAINING_ORIGINS: Final = 6
"""Origins before the first forecast, used for model selection and ranges; half a horizon apart in ``predict``."""
MOST_DAYS: Final = 36_525
"""Days from the first origin to the end of the last forecast: beyond, dates would leave the calendar."""
LEAST_PER_DAY: Final = 1.0
BATCH: Final = 250
"""Maximum series of a batch: twice as many, or half, were no better (README, Decisions)."""
KEYS: Final = ["unique_id", "cutoff"]
TOO_SHORT: Final = "the series are too short for one origin: use a shorter horizon"
KNOWN_LATE: Final = (
    "every count became known (known_at) only after the last row of its series, so no past origin knows any: state "
    "when each count became known, or leave known_at out"
)

Answer = TypeVar("Answer")
Prophet = Callable[..., pl.DataFrame]
"""``prophet.predict``, maybe with workers."""


@dataclass(frozen=True, slots=True)
class Task:
    """The settings of every batch: ``origins`` ``step`` steps apart are scored before each series' end; 0: none.

    ``place``: where the public holidays are those of the series; none: without holidays.
    """

    freq: Frequency
    horizon: int
    step: int
    origins: int = 0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Backtest:
    """The result of a backtest.

    ``forecasts``: ``unique_id, cutoff, ds, y, model, models, is_baseline, mean, q0.05 … q0.99``; the publishable
    forecast is ``chosen``, ``models`` lists its models, and ``is_baseline`` is false for it alone. ``scores``: ``model,
    is_baseline`` and ``scoring.SCORES``, skill over hour-of-week averages. ``series_scores``: the same by
    ``unique_id``. ``weights``: ``unique_id, cutoff`` and ``model_weights.WEIGHTS``. ``pits``: counts of the
    randomised PIT by ``model``.
    """

    forecasts: pl.DataFrame
    scores: pl.DataFrame
    series_scores: pl.DataFrame
    weights: pl.DataFrame
    pits: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Scored:
    """A batch's part of a backtest; ``rows`` are the scored forecasts, whose ``curve`` is a row of ``curves``."""

    rows: pl.DataFrame
    series_scores: pl.DataFrame
    weights: pl.DataFrame
    pits: pl.DataFrame
    curves: Floats


def predict(
    series: pl.DataFrame,
    freq: Frequency,
    horizon: int,
    processes: int = 1,
    progress: Progress = silent,
    batch: int = BATCH,
    place: Place | None = None,
) -> pl.DataFrame:
    """Forecast the ``horizon`` hours or days after each series' last row.

    Args:
        series: ``unique_id, ds, y``: local times, zeros as rows, unknown hours or days left out. With ``known_at``
            past origins, on which models are selected, use only what was known at them; the forecast uses all rows.
        freq: ``h`` or ``D``.
        horizon: Steps ahead.
        processes: Number of parallel processes, unless ``BONGSU_ENGINE`` names a cluster; the numbers do not depend on
            either.
        progress: Called with text about the progress.
        batch: Maximum series fitted together and in memory at once; the numbers depend on it.
        place: Where the series are from, for its public holidays; none: no holidays.

    Returns:
        ``unique_id, ds, mean, model, q0.05 … q0.99``, one row per series and step.

    Raises:
        SeriesError: The series cannot be used as given.
    """
    task = _checked(Task(freq, horizon, max(horizon // 2, 1), place=place))
    return pl.concat(_from_batches(_predicted, task, _batches(series, freq, batch), processes, progress))


def backtest(
    series: pl.DataFrame,
    freq: Frequency,
    horizon: int,
    origins: int,
    step: int,
    processes: int = 1,
    progress: Progress = silent,
    batch: int = BATCH,
    place: Place | None = None,
) -> Backtest:
    """Forecast from ``origins`` past cutoffs, ``step`` steps apart, and score against the observed values.

    The last origin is ``horizon`` steps before each series' end. Models and ranges at an origin are fitted before it;
    ``TRAINING_ORIGINS`` more, as far apart, come before the first and are not scored. ``processes``, ``progress``,
    ``batch`` and ``place`` are those of ``predict``. If ``series`` has a ``capacity`` (calls that can be met in the
    step), the probability of more is scored too. With ``known_at`` an origin uses only what was known at it, and is
    scored against the newest counts.

    Raises:
        SeriesError: The series cannot be used as given, or all are too short; a single one that is has no scores.
    """
    if origins < 1 or step < 1 or horizon < 1:
        raise SeriesError("--origins, --step and --horizon must be 1 or more")
    task = _checked(Task(freq, horizon, step, origins, place))
    return _combined(_from_batches(_scored, task, _batches(series, freq, batch), processes, progress), freq)


def _checked(task: Task) -> Task:
    """Return a task whose forecasts are within a century."""
    steps = task.horizon + (TRAINING_ORIGINS + task.origins) * task.step
    if steps > MOST_DAYS * (24 if task.freq == "h" else 1):
        raise SeriesError("the origins and forecasts span more than a century: use a shorter horizon, or fewer origins")
    return task


def _batches(series: pl.DataFrame, freq: Frequency, most: int) -> list[pl.DataFrame]:
    """Return series by name in as few even batches of at most ``most`` as possible."""
    check(series.head(1), freq)
    names = series.select("unique_id").unique().sort("unique_id")
    count = math.ceil(names.height / most)
    if count == 1:
        return [series]
    edges = pairwise(names.height * i // count for i in range(count + 1))
    # An empty name is included, so that ``check`` rejects it.
    return [series.join(names[first:end], on="unique_id", how="semi", nulls_equal=True) for first, end in edges]


def _from_batches(
    work: Callable[[Task, Prophet, pl.DataFrame], Answer | None],
    task: Task,
    batches: Sequence[pl.DataFrame],
    processes: int,
    progress: Progress,
) -> list[Answer]:
    """Return the results of the batches that are not too short, in order."""
    with parallel.opened(processes) as workers:
        if len(batches) == 1:
            # A single batch runs here, so its fits of Prophet may run in parallel.
            answers = [work(task, partial(prophet.predict, workers=workers, progress=progress), batches[0])]
        else:
            tasks = [(batch,) for batch in batches]
            answers = parallel.map_tasks(
                partial(work, task, prophet.predict), tasks, workers, progress, "batches of series"
            )
    result = [answer for answer in answers if answer is not None]
    if not result:
        raise SeriesError(KNOWN_LATE if all(_is_known_late(batch, task.freq) for batch in batches) else TOO_SHORT)
    return result


def _is_known_late(batch: pl.DataFrame, freq: Frequency) -> bool:
    """Return whether no count of a batch was known before the end of its series."""
    rows = check(batch, freq)
    if "known_at" not in rows.columns:
        return False
    is_late = pl.col("known_at") > pl.col("ds").max().over("unique_id") + STEP[freq]
    return bool(rows.select(is_late.fill_null(False).all()).item())


def _predicted(task: Task, fit: Prophet, batch: pl.DataFrame) -> pl.DataFrame | None:
    """Return the forecasts of a batch under the series' own names; None if it is too short."""
    rows, last = _numbered(batch, task.freq)
    targets = _targets(last, task, TRAINING_ORIGINS + 1)
    known = versions.history(rows, STEP[task.freq], last.select("unique_id", "cutoff"))
    result = _published(_judged(known, task, targets), targets, task, fit)
    if result is None:
        return None
    wanted = result.forecasts.filter(pl.col("model") == CHOSEN).join(
        last.select("unique_id", "cutoff"), on=["unique_id", "cutoff"], how="semi", maintain_order="left"
    )
    return (
        calibration.with_quantiles(wanted, result.curves)
        .select(pl.col("name").alias("unique_id"), "ds", "mean", pl.col("models").alias("model"), *COLUMNS)
        .sort("unique_id", "ds")
    )


def _scored(task: Task, fit: Prophet, batch: pl.DataFrame) -> Scored | None:
    """Return the backtest of a batch; None if it is too short."""
    freq = task.freq
    numbered, last = _numbered(batch, freq)
    ends = last.with_columns(pl.col("cutoff") - STEP[freq] * task.horizon)
    targets = _targets(ends, task, TRAINING_ORIGINS + task.origins)
    history = _judged(versions.history(numbered, STEP[freq]), task, targets)
    result = _published(history, targets, task, fit)
    if result is None:
        return None
    is_scored = pl.col("cutoff").rank("dense", descending=True).over("unique_id") <= task.origins
    # Scored is what is known now; ranges and selections used what an origin knew.
    known = result.forecasts.filter(is_scored & pl.col("y_now").is_not_null()).with_columns(y="y_now")
    if known.is_empty():
        return None
    ranged = calibration.with_quantiles(known, result.curves).with_columns(
        (pl.col("model") != CHOSEN).alias("is_baseline")
    )
    # The scale is computed before the first scored cutoff, so that it is the same for all models and origins.
    rows = ranged.join(_scales(history, ranged, freq), on="unique_id", how="left", maintain_order="left")
    if "capacity" in batch.columns:
        capacity = versions.newest(numbered).select("unique_id", "ds", "capacity")
        rows = rows.join(capacity, on=["unique_id", "ds"], how="left", maintain_order="left")
    named = _named(rows)
    by = ["unique_id", "model", "is_baseline"]
    scores = scoring.with_skill(scoring.score(named, by, result.curves), named, ["unique_id"], TABLE[freq], KEYS)
    pits = scoring.pit_histogram(rows, ["model"], result.curves)
    return Scored(rows, scores, _weights(result.weights, rows), pits, result.curves)


def _combined(parts: Sequence[Scored], freq: Frequency) -> Backtest:
    """Return the whole backtest from its batches."""
    named, curves = calibration.stacked([(_named(part.rows), part.curves) for part in parts])
    scores = scoring.score(named, ["model", "is_baseline"], curves)
    forecasts = named.select("unique_id", "cutoff", "ds", "y", "model", "models", "is_baseline", "mean", *COLUMNS)
    pits = pl.concat(part.pits for part in parts)
    bins = ["model", "pit_low", "pit_high"]
    return Backtest(
        forecasts.sort("unique_id", "cutoff", "ds", "model"),
        scoring.with_skill(scores, named, [], TABLE[freq], KEYS).sort("is_baseline", "model"),
        pl.concat(part.series_scores for part in parts).sort("unique_id", "is_baseline", "model"),
        pl.concat(part.weights for part in parts).sort("unique_id", "cutoff", maintain_order=True),
        pits.group_by(bins, maintain_order=True).agg(pl.col("targets", "expected_targets").sum()).sort(bins),
    )


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows in which ``unique_id`` is the series' own name, ``number`` ours."""
    return rows.rename({"unique_id": "number", "name": "unique_id"})


def _weights(weights: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the weights at the scored cutoffs."""
    scored = rows.select("unique_id", "name", "cutoff").unique()
    return weights.join(scored, on=["unique_id", "cutoff"], maintain_order="left").select(
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


def _targets(last: pl.DataFrame, task: Task, count: int) -> pl.DataFrame:
    """Return targets of ``count`` origins, the last of them at each series' ``cutoff``."""
    step = STEP[task.freq] * task.step
    return rolling_origin.past_targets(last.with_columns(pl.col("cutoff") + step), task.freq, task.horizon, step, count)


def _judged(known: History, task: Task, targets: pl.DataFrame) -> History:
    """Return the history with the extreme counts, the effects of named days and of the day so far, of every origin."""
    first, last = known.counts.select(pl.col("ds").min().dt.date()), targets.select(pl.col("ds").max().dt.date())
    calendar = named_days(task.place, first.item(), last.item())
    pools = targets.select("unique_id", "pool").unique()
    judged = calendar_effects.judged(known, pools, calendar, targets["cutoff"], task.freq)
    return judged if task.freq == "D" else day_so_far.updated(judged, pools, targets["cutoff"])


def _published(history: History, targets: pl.DataFrame, task: Task, fit: Prophet) -> Published | None:
    """Return all models' rows and their weighted mean for all targets; None if no model has a forecast."""
    requested = registry.available(task.freq, fit, LEAST_PER_DAY)
    predictions = rolling_origin.run(requested, history, targets.with_columns(is_requested=pl.lit(True)))
    if predictions["mean"].is_null().all():
        return None
    return combine.published(predictions, registry.PRIOR, BASELINE, task.freq)
