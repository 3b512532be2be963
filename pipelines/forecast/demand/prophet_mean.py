"""Prophet as a model of the daily mean: weekday, trend and holidays, no sampled uncertainty.

Surprises: Prophet's Gaussian intervals go negative on small counts, so only its mean is used and ranges come from
``quantiles``. Each holiday by name would be learnt from one day in a history of about a year, so holidays enter as two
effects: any public holiday, and a break of three or more in a row (Seollal, Chuseok). cmdstanpy resets its logger
unless somebody has given it a handler first. A fit is a subprocess of the packaged binary and writes to TMPDIR.
"""

import logging
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import holidays as public_holidays
import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

LEAST_DAYS = 56
"""A shorter history is left to the weekday table."""

NO_HOLIDAYS: Final = pl.DataFrame(schema={"ds": pl.Date, "holiday": pl.String})

Progress = Callable[[int, int], None]
"""Called with (series done, series in all)."""


@dataclass(frozen=True, slots=True)
class Task:
    """One fit: the days and counts of a series before a cutoff, and the days wanted."""

    key: tuple[int, int]
    days: NDArray[np.datetime64]
    counts: NDArray[np.float64]
    wanted: NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Answer:
    """The means of a task's wanted days, or why there are none."""

    key: tuple[int, int]
    means: NDArray[np.float64] | None
    failure: str | None = None


def holiday_effects(country: str, subdivision: str | None, first: date, last: date) -> pl.DataFrame:
    """Public holidays from ``first`` to ``last`` as two effects.

    Returns:
        ``ds`` (date) and ``holiday``: ``public``, and once more as ``long_break`` within three or more in a row.
    """
    years = range(first.year - 1, last.year + 2)
    days = sorted(public_holidays.country_holidays(country, subdiv=subdivision, years=years))
    held = set(days)

    def run_length(day: date) -> int:
        step = timedelta(days=1)
        start, end = day, day
        while start - step in held:
            start -= step
        while end + step in held:
            end += step
        return (end - start).days + 1

    rows = [(day, "public") for day in days] + [(day, "long_break") for day in days if run_length(day) >= 3]
    frame = pl.DataFrame(rows, schema={"ds": pl.Date, "holiday": pl.String}, orient="row")
    return frame.filter(pl.col("ds").is_between(first, last)).sort("ds", "holiday")


def predict(
    history: pl.DataFrame,
    targets: pl.DataFrame,
    holiday_days: pl.DataFrame,
    processes: int,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Forecast daily means from what was known before each target's own cutoff, one fit per series and cutoff.

    Args:
        history: ``unique_id, ds, y`` by day; ``unique_id`` is an integer.
        targets: ``unique_id, cutoff, ds``, more columns kept.
        holiday_days: As ``holiday_effects`` gives; empty: none.
        processes: How many processes fit side by side; the numbers do not depend on it.
        progress: Told after each batch of fits.

    Returns:
        ``targets`` with ``mean`` and ``failure``: one of the two is null.
    """
    wanted = targets.with_row_index("_row")
    tasks, rows, answers = [], {}, []
    for cutoff, group in wanted.group_by("cutoff", maintain_order=True):
        past = history.filter(pl.col("ds") < cutoff[0]).partition_by("unique_id", as_dict=True)
        for (series,), days in group.group_by("unique_id", maintain_order=True):
            key = (int(days["_row"][0]), int(series))
            rows[key] = days["_row"].to_numpy()
            known = past.get((series,))
            if known is None or known.height < LEAST_DAYS:
                answers.append(Answer(key, None, f"fewer than {LEAST_DAYS} days of history"))
                continue
            tasks.append(Task(key, known["ds"].to_numpy(), known["y"].to_numpy(), days["ds"].to_numpy()))
    answers.extend(fit(tasks, holiday_days, processes, progress))
    means = np.full(targets.height, np.nan)
    failures: list[str | None] = [None] * targets.height
    for answer in answers:
        for place, row in enumerate(rows[answer.key]):
            means[row] = np.nan if answer.means is None else answer.means[place]
            failures[row] = answer.failure
    return targets.with_columns(
        pl.Series("mean", means).fill_nan(None), pl.Series("failure", failures, dtype=pl.String)
    )


def fit(
    tasks: Sequence[Task], holiday_days: pl.DataFrame, processes: int, progress: Progress | None = None
) -> Iterator[Answer]:
    """Fit all tasks, in batches over processes; yields answers as they come.

    Processes are spawned, never forked: a forked child of a process with Polars threads can wait for ever.
    """
    batches = [tasks[i : i + 8] for i in range(0, len(tasks), 8)]
    done = 0
    # A daemonic process (a worker of some schedulers) may not have children.
    if processes <= 1 or len(batches) <= 1 or multiprocessing.current_process().daemon:
        for batch in batches:
            yield from fit_batch(batch, holiday_days)
            done += len(batch)
            if progress:
                progress(done, len(tasks))
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(batches)), mp_context=spawn) as pool:
        with _main_hidden():
            futures = [pool.submit(fit_batch, batch, holiday_days) for batch in batches]
        for future in as_completed(futures):
            answers = future.result()
            yield from answers
            done += len(answers)
            if progress:
                progress(done, len(tasks))


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Let spawned children import this package only.

    A spawned child first imports the parent's main module again. Under a scheduler that is Airflow's own command,
    which refuses to start inside a task.
    """
    main = sys.modules["__main__"].__dict__
    held: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(held)


def fit_batch(tasks: Sequence[Task], holiday_days: pl.DataFrame) -> list[Answer]:
    """Fit tasks one after the other in this process."""
    _silence()
    days = holiday_days.to_pandas() if holiday_days.height else None
    return [_answer(task, days) for task in tasks]


def _silence() -> None:
    """Keep two lines a fit, and complaints about optional plots, out of task logs."""
    for name in ("cmdstanpy", "prophet", "prophet.plot"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.setLevel(logging.CRITICAL)


def _answer(task: Task, holiday_days: pd.DataFrame | None) -> Answer:
    from prophet import Prophet

    # Prophet's own rule: no yearly season from less than two years.
    model = Prophet(weekly_seasonality=True, daily_seasonality=False, uncertainty_samples=0, holidays=holiday_days)
    try:
        model.fit(pd.DataFrame({"ds": task.days, "y": task.counts}))
        means = model.predict(pd.DataFrame({"ds": task.wanted}))["yhat"].to_numpy()
    except (RuntimeError, ValueError) as error:
        return Answer(
            task.key,
            None,
            f"Prophet failed: {str(error).splitlines()[0][:120] if str(error) else type(error).__name__}",
        )
    ceiling = 10.0 * max(float(task.counts.max()), 1.0)
    if not np.isfinite(means).all() or means.max() > ceiling:
        return Answer(task.key, None, "Prophet diverged")
    return Answer(task.key, np.maximum(means, 0.0))
