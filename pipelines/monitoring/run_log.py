"""Run log: the outcome of each step of each run, as records, readable without waiting for the warehouse."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import polars as pl

from pipelines.config import logs
from pipelines.config.settings import Settings
from pipelines.store import issues, ledger, records

KIND: Final = "outcomes"
STEPS: Final = (
    "fetch",
    "load",
    "build",
    "score",
    "patterns",
    "forecast_read",
    "forecast_fit",
    "forecast_write",
    "dispatch",
    "publish",
)
"""The steps of a run that `check` expects, in order."""

log = logs.logger(__name__)


@contextmanager
def recorded(settings: Settings, step: str, feed: str = "") -> Iterator[None]:
    """Record how a step ended, even if it failed; the exception is re-raised. Log lines within name run, step, feed."""
    started, message = datetime.now(UTC), "interrupted"
    with logs.context(run=issues.stamp(settings.as_of), step=step, feed=feed):
        try:
            yield
            message = ""
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            raise
        finally:
            ended = datetime.now(UTC)
            keep(settings, step, feed, started, ended, message)
            how = f"failed: {message.splitlines()[0]}" if message else "done"
            what = f"{step} {feed}" if feed else step
            log.info("bongsu: %s %s (%.1f s)", what, how, (ended - started).total_seconds())


def keep(settings: Settings, step: str, feed: str, started_at: datetime, ended_at: datetime, message: str) -> None:
    """Record how a step ended; an empty message means success."""
    frame = pl.DataFrame(
        {
            "as_of": [settings.as_of],
            "step": [step],
            "feed": [feed],
            "started_at": [started_at],
            "ended_at": [ended_at],
            "is_ok": [message == ""],
            "message": [message[:2000]],
        }
    )
    name = f"{issues.stamp(settings.as_of)}-{step}{'-' if feed else ''}{feed}-{started_at:%Y%m%dT%H%M%S%f}"
    records.write(settings, KIND, name, frame)


def latest(settings: Settings) -> pl.DataFrame:
    """Return the last outcome of every step and feed of the run at ``as_of``."""
    stamp = issues.stamp(settings.as_of)
    kept = records.read(settings, KIND, since=stamp, until=stamp)
    if kept is None:
        return pl.DataFrame(schema={"step": pl.String, "feed": pl.String, "is_ok": pl.Boolean, "message": pl.String})
    return (
        kept.filter(pl.col("as_of") == settings.as_of)
        .sort("_issue")
        .group_by("step", "feed", maintain_order=True)
        .agg(pl.all().last())
    )


def last_as_of(settings: Settings) -> datetime | None:
    """Return the ``as_of`` of the last run that built its models; None before the first."""
    built = of_step(settings, "build")
    return issues.instant(built[-1]["name"].split("-")[0]) if built else None


def newest_as_of(settings: Settings) -> datetime | None:
    """Return the ``as_of`` of the run whose step ended last, successful or not; None before the first."""
    ended = [entry for entry in records.entries(settings, KIND) if entry["name"].split("-")[1] in STEPS]
    return records.frame_of(settings, ended[-1])["as_of"].item() if ended else None


def failures(settings: Settings) -> list[str]:
    """Return one line per step of the run at ``as_of`` whose last try failed, and per step that did not finish.

    A killed step leaves no outcome: its absence is a failure too.
    """
    ended = latest(settings)
    failed = ended.filter(~pl.col("is_ok") & (pl.col("step") != "check"))
    missing = [step for step in STEPS if step not in set(ended["step"])] if not ended.is_empty() else []
    return [
        *(
            f"{row['step']}{' ' + row['feed'] if row['feed'] else ''}: {row['message'].splitlines()[0]}"
            for row in failed.iter_rows(named=True)
        ),
        *(f"{step}: has not finished: not run yet, or killed" for step in missing),
    ]


def of_step(settings: Settings, step: str, until: datetime | None = None) -> list[ledger.Entry]:
    """Return the ledger's entries of a step's outcomes, oldest first; no file is opened."""
    kept = records.entries(settings, KIND, until=issues.stamp(until) if until else None)
    return [entry for entry in kept if entry["name"].split("-")[1] == step]
