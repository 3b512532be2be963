"""Prophet as a model of the mean of days or hours: the week, and covariates known ahead.

Notes: Prophet's Gaussian intervals go negative on small counts, so only its mean is used and ranges come from
``calibration``. Holidays are known to all models alike (`calendar_effects`). cmdstanpy resets its logger unless it
already has a handler. A fit is a subprocess of the packaged binary and writes to TMPDIR.
"""

import importlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.config.progress import Progress, silent
from pipelines.forecast import parallel
from pipelines.forecast.demand.models import covariates as known_ahead
from pipelines.forecast.demand.series import Frequency, History, of
from pipelines.forecast.parallel import HERE, Workers

if TYPE_CHECKING:
    from prophet import Prophet

Floats = NDArray[np.float64]
LEAST_DAYS = 56
"""A shorter history uses hour-of-week averages."""
TREND_DAYS: Final = 730
"""A shorter history has no trend: growth is flat, and the level that of the last weeks."""
LEVEL_HALF_LIFE_DAYS: Final = 56.0
PSEUDO_CALLS: Final = 2.0
ORDERS: Final = (10, 25)
"""Fourier terms of the hour of week, for a sparse and for a dense hourly series."""
DENSE_PER_HOUR: Final = 1.0

BATCH: Final = 8
"""Number of fits sent to a worker together."""


@dataclass(frozen=True, slots=True)
class Task:
    """One fit: the times and counts of a series before a cutoff, the times wanted, and the covariates of both."""

    key: tuple[int, int]
    days: NDArray[np.datetime64]
    counts: NDArray[np.float64]
    wanted: NDArray[np.datetime64]
    freq: Frequency = "D"
    known: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The means of a task's wanted times, or why there are none; or what was not used."""

    key: tuple[int, int]
    means: NDArray[np.float64] | None
    failure: str | None = None


def predict(
    history: History | pl.DataFrame,
    targets: pl.DataFrame,
    workers: Workers = HERE,
    progress: Progress = silent,
    freq: Frequency = "D",
    covariates: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Forecast means from data known before each target's own cutoff, with one fit per series and cutoff.

    Args:
        history: ``unique_id, ds, y`` by day or hour; ``unique_id`` is an integer.
        targets: ``unique_id, cutoff, ds``, more columns kept.
        workers: Where the fits run; the numbers do not depend on it.
        progress: Called after each batch of fits.
        freq: ``h`` or ``D``.
        covariates: As described in the module ``covariates``; they become regressors.

    Returns:
        ``targets`` with ``mean`` and ``failure``: why there is no mean, or which covariates were not used.
    """
    tasks, rows, answers = [], {}, []
    for cutoff, group in targets.with_row_index("_row").group_by("cutoff", maintain_order=True):
        known_rows = of(history, group.select("unique_id").unique(), cutoff[0])
        values = known_ahead.at(covariates, cutoff[0], freq)
        before = known_ahead.joined(known_rows.filter(pl.col("ds") < cutoff[0]).sort("unique_id", "ds"), values)
        past = before.partition_by("unique_id", as_dict=True)
        wanted = known_ahead.joined(group, values)
        for (series,), days in wanted.group_by("unique_id", maintain_order=True):
            key = (int(days["_row"][0]), int(series))
            rows[key] = days["_row"].to_numpy()
            known = past.get((series,))
            if known is None or known.height < LEAST_DAYS * (24 if freq == "h" else 1):
                answers.append(Answer(key, None, f"fewer than {LEAST_DAYS} days of history"))
                continue
            if freq == "D" and known["ds"].dt.weekday().n_unique() < 7:
                # Its weekly curve would be any number on the other days, often below zero.
                answers.append(Answer(key, None, "a weekday without any known day"))
                continue
            tasks.append(_task(key, known, days, freq, values))
    answers.extend(fit(tasks, workers, progress))
    means = np.full(targets.height, np.nan)
    failures: list[str | None] = [None] * targets.height
    for answer in answers:
        for place, row in enumerate(rows[answer.key]):
            means[row] = np.nan if answer.means is None else answer.means[place]
            failures[row] = answer.failure
    return targets.with_columns(
        pl.Series("mean", means).fill_nan(None), pl.Series("failure", failures, dtype=pl.String)
    )


def _task(
    key: tuple[int, int], known: pl.DataFrame, days: pl.DataFrame, freq: Frequency, covariates: pl.DataFrame | None
) -> Task:
    """Build one task; a constant covariate is left out, and an unknown past value is its mean."""
    names, note = known_ahead.usable(days, covariates)
    used = {
        name: (known[name].fill_null(strategy="mean").to_numpy(), days[name].to_numpy())
        for name in names
        if known[name].n_unique() > 1
    }
    return Task(key, known["ds"].to_numpy(), known["y"].to_numpy(), days["ds"].to_numpy(), freq, used, note)


def fit(tasks: Sequence[Task], workers: Workers, progress: Progress = silent) -> list[Answer]:
    """Fit all tasks, in batches over the engine's workers; results are in task order."""
    batches = [(tasks[i : i + BATCH],) for i in range(0, len(tasks), BATCH)]
    what = f"batches of {BATCH} Prophet fits"
    return list(chain.from_iterable(parallel.map_tasks(fit_batch, batches, workers, progress, what)))


def fit_batch(tasks: Sequence[Task]) -> list[Answer]:
    """Fit tasks sequentially in this process."""
    _silence()
    return [_answer(task) for task in tasks]


def _silence() -> None:
    """Keep two lines per fit, and warnings about optional plots, out of task logs."""
    _raise_levels()
    # Prophet sets the level of its own logger when it is imported.
    importlib.import_module("prophet")
    _raise_levels()


def _raise_levels() -> None:
    for name in ("cmdstanpy", "prophet", "prophet.plot"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.setLevel(logging.CRITICAL)


def _answer(task: Task) -> Answer:
    import pandas as pd

    past = pd.DataFrame({"ds": task.days, "y": task.counts} | {name: both[0] for name, both in task.known.items()})
    ahead = pd.DataFrame({"ds": task.wanted} | {name: both[1] for name, both in task.known.items()})
    try:
        model = _model(task).fit(past)
        means = model.predict(ahead)["yhat"].to_numpy()
        if model.growth == "flat":
            means = means * _level(task, model.predict(past)["yhat"].to_numpy())
    except (RuntimeError, ValueError) as error:
        return Answer(
            task.key,
            None,
            f"Prophet failed: {str(error).splitlines()[0][:120] if str(error) else type(error).__name__}",
        )
    ceiling = 10.0 * max(float(task.counts.max()), 1.0)
    if not np.isfinite(means).all() or means.max() > ceiling:
        return Answer(task.key, None, "Prophet diverged")
    return Answer(task.key, np.maximum(means, 0.0), task.note)


def _model(task: Task) -> "Prophet":
    """Build the model.

    Days: weekday, and a trend if two years support one. Hours: a separate value per hour of the week.

    Prophet's own daily season is the same on all days and adds to the weekday; demand at night differs at weekends.
    """
    from prophet import Prophet

    has_trend = task.freq == "D" and task.days[-1] - task.days[0] >= np.timedelta64(TREND_DAYS, "D")
    model = Prophet(
        growth="linear" if has_trend else "flat",
        weekly_seasonality=task.freq == "D",
        daily_seasonality=False,
        # Prophet's own rule: no yearly season from less than two years.
        yearly_seasonality="auto",
        uncertainty_samples=0,
    )
    if task.freq == "h":
        order = ORDERS[int(task.counts.mean() >= DENSE_PER_HOUR)]
        model.add_seasonality("hour_of_week", period=7, fourier_order=order)
    for name in task.known:
        model.add_regressor(name)
    return model


def _level(task: Task, fitted: Floats) -> float:
    """Return the ratio of recent calls to those that a flat line expects.

    It gives the newest level, without extending a trend.
    """
    age = (task.wanted.min() - task.days) / np.timedelta64(1, "D")
    weight = 0.5 ** (age / LEVEL_HALF_LIFE_DAYS)
    usual = float((weight * np.maximum(fitted, 0.0)).sum())
    return (float((weight * task.counts).sum()) + PSEUDO_CALLS) / (usual + PSEUDO_CALLS)
