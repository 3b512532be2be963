"""The demand models on your own series: forecasts and a rolling-origin backtest, without the pipeline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import polars as pl

from pipelines.config.progress import Progress, silent
from pipelines.forecast import parallel
from pipelines.forecast.demand import cycle_effects, own_batches, own_covariates, own_sums
from pipelines.forecast.demand.evaluation import calibration, scoring
from pipelines.forecast.demand.evaluation.model_weights import CHOSEN
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, Floats
from pipelines.forecast.demand.hierarchy import parents
from pipelines.forecast.demand.hierarchy.parents import Hierarchy
from pipelines.forecast.demand.models.registry import TABLE
from pipelines.forecast.demand.named_days import Place
from pipelines.forecast.demand.own_batches import Modelled, Task
from pipelines.forecast.demand.series import Frequency, SeriesError
from pipelines.forecast.demand.series_checks import check
from pipelines.forecast.parallel import Workers

BATCH: Final = 250
"""Maximum series of a batch: twice as many, or half, were no better (README, Decisions)."""
KEYS: Final = ["unique_id", "cutoff"]

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Backtest:
    """The result of a backtest.

    ``forecasts``: ``unique_id, is_parent, cutoff, ds, y, model, models, is_baseline, mean, q0.05 … q0.99``; the
    publishable forecast is ``chosen``, ``models`` lists its models, and ``is_baseline`` is false for it alone.
    ``is_parent``: of a parent, whose publishable forecast is the sum of its series'. ``scores``: ``is_parent, model,
    is_baseline`` and ``scoring.SCORES``, skill over hour-of-week averages. ``series_scores``: the same by
    ``unique_id``. ``weights``: ``unique_id, cutoff`` and ``model_weights.WEIGHTS``. ``pits``: counts of the randomised
    PIT by ``is_parent, model``.
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
    hierarchy: Hierarchy | None = None,
    covariates: pl.DataFrame | None = None,
    note: Progress = silent,
    season: int | None = None,
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
        hierarchy: Parents whose series are all in ``series`` and end together: forecast too, as sums of their series.
        covariates: As from ``covariate_rows.read``: known for every step ahead of every series; none: no such values.
        note: Called with what may mislead about covariates and season.
        season: Steps of another cycle that the series repeat with, next to the week; none: no other.

    Returns:
        ``unique_id, ds, mean, model, q0.05 … q0.99``, one row per series and step; with a hierarchy ``unique_id`` is
        text.

    Raises:
        SeriesError: The series cannot be used as given.
    """
    task = _task(Task(freq, horizon, max(horizon // 2, 1), place=place, season=season), series, covariates, note)
    with parallel.opened(processes) as workers:
        parts = _finished(_issued, task, series, batch, hierarchy, workers, progress)
    return pl.concat(parts, how="vertical_relaxed")


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
    hierarchy: Hierarchy | None = None,
    covariates: pl.DataFrame | None = None,
    note: Progress = silent,
    season: int | None = None,
) -> Backtest:
    """Forecast from ``origins`` past cutoffs, ``step`` steps apart, and score against the observed values.

    The last origin is ``horizon`` steps before each series' end. Models and ranges at an origin are fitted before it;
    ``TRAINING_ORIGINS`` more, as far apart, come before the first and are not scored. Arguments from ``processes`` on
    are those of ``predict``. If ``series`` has a ``capacity`` (calls that can be met in the step), the probability of
    more is scored too. With ``known_at`` an origin uses only what was known at it, and is scored against the newest
    counts.

    Raises:
        SeriesError: The series cannot be used as given, or all are too short; a single one that is has no scores.
    """
    if origins < 1 or step < 1 or horizon < 1:
        raise SeriesError("--origins, --step and --horizon must be 1 or more")
    task = _task(Task(freq, horizon, step, origins, place, season=season), series, covariates, note)
    with parallel.opened(processes) as workers:
        parts = _finished(partial(_scored, freq), task, series, batch, hierarchy, workers, progress)
    return _combined(parts, freq)


def _task(task: Task, series: pl.DataFrame, covariates: pl.DataFrame | None, note: Progress) -> Task:
    """Return the task with the covariates, if they are known where they must be, and with the cycle if it is usable."""
    if covariates is None and task.season is None:
        return task
    checked = check(series, task.freq)
    task = replace(task, season=cycle_effects.usable(task.season, checked, task.freq, note))
    if covariates is None:
        return task
    usable = own_covariates.usable(covariates, checked, task)
    for text in own_covariates.notes(covariates, checked, task):
        note(text)
    return replace(task, covariates=usable)


def _finished(
    finish: Callable[[Modelled], Answer],
    task: Task,
    series: pl.DataFrame,
    batch: int,
    hierarchy: Hierarchy | None,
    workers: Workers,
    progress: Progress,
) -> list[Answer]:
    """Forecast all series, replace the forecasts of parents by sums, and finish each batch."""
    if hierarchy is None:
        return own_batches.run(finish, task, own_batches.split(series, task.freq, batch), workers, progress)
    named = check(series, task.freq).with_columns(pl.col("unique_id").cast(pl.String))
    batches = [
        part
        for frame in (named, parents.counts(named, hierarchy))
        for part in own_batches.split(frame, task.freq, batch)
    ]
    modelled = own_batches.run(own_batches.unfinished, task, batches, workers, progress)
    return parallel.map_tasks(
        finish, [(part,) for part in own_sums.summed(modelled, hierarchy, task, workers)], workers
    )


def _issued(part: Modelled) -> pl.DataFrame:
    """Return the forecasts to issue under the series' own names."""
    wanted = part.rows.filter("is_wanted", pl.col("model") == CHOSEN)
    return (
        calibration.with_quantiles(wanted, part.curves)
        .select(pl.col("name").alias("unique_id"), "ds", "mean", pl.col("models").alias("model"), *COLUMNS)
        .sort("unique_id", "ds")
    )


def _scored(freq: Frequency, part: Modelled) -> Scored:
    """Score a batch against what is known now."""
    known = part.rows.filter("is_wanted").with_columns(y="y_now")
    rows = calibration.with_quantiles(known, part.curves).with_columns((pl.col("model") != CHOSEN).alias("is_baseline"))
    named = _named(rows)
    by = ["unique_id", "is_parent", "model", "is_baseline"]
    scores = scoring.with_skill(scoring.score(named, by, part.curves), named, ["unique_id"], TABLE[freq], KEYS)
    pits = scoring.pit_histogram(rows, ["is_parent", "model"], part.curves)
    return Scored(rows, scores, part.weights, pits, part.curves)


def _combined(parts: Sequence[Scored], freq: Frequency) -> Backtest:
    """Return the whole backtest from its batches."""
    named, curves = calibration.stacked([(_named(part.rows), part.curves) for part in parts])
    scores = [
        scoring.with_skill(
            scoring.score(rows, ["is_parent", "model", "is_baseline"], curves), rows, [], TABLE[freq], KEYS
        )
        for rows in named.partition_by("is_parent", maintain_order=True)
    ]
    kept = ["unique_id", "is_parent", "cutoff", "ds", "y", "model", "models", "is_baseline", "mean", *COLUMNS]
    pits = pl.concat(part.pits for part in parts)
    bins = ["is_parent", "model", "pit_low", "pit_high"]
    return Backtest(
        named.select(kept).sort("unique_id", "cutoff", "ds", "model"),
        pl.concat(scores).sort("is_parent", "is_baseline", "model"),
        pl.concat((part.series_scores for part in parts), how="vertical_relaxed").sort(
            "unique_id", "is_baseline", "model"
        ),
        pl.concat((part.weights for part in parts), how="vertical_relaxed").sort(
            "unique_id", "cutoff", maintain_order=True
        ),
        pits.group_by(bins, maintain_order=True).agg(pl.col("targets", "expected_targets").sum()).sort(bins),
    )


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows in which ``unique_id`` is the series' own name, ``number`` ours."""
    return rows.rename({"unique_id": "number", "name": "unique_id"})
