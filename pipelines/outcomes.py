"""Outcomes: how each step of each run ended, and what an engineer on duty should know now.

Read from ledger, records and the current release only, so that nobody waits for the warehouse.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
import polars as pl

from pipelines import feeds, raw, records
from pipelines.settings import Settings

KIND = "outcomes"


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a home at an instant.

    ``feeds`` has ``feed, agency, fetched_through, data_as_of, state``; ``problems`` are lines, none if all is well.
    """

    judged_at: datetime
    feeds: pl.DataFrame
    release: str | None
    problems: list[str]


def keep(settings: Settings, step: str, feed: str, started_at: datetime, ended_at: datetime, message: str) -> None:
    """Record how a step ended; an empty message is success."""
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
    name = f"{settings.as_of:%Y%m%dT%H%MZ}-{step}{'-' if feed else ''}{feed}-{started_at:%Y%m%dT%H%M%S%f}"
    records.write(settings, KIND, name, frame)


def latest(settings: Settings) -> pl.DataFrame:
    """The last outcome of every step and feed of the run at ``as_of``."""
    kept = records.read(settings, KIND)
    if kept is None:
        return pl.DataFrame(schema={"step": pl.String, "feed": pl.String, "is_ok": pl.Boolean, "message": pl.String})
    return (
        kept.filter(pl.col("as_of") == settings.as_of)
        .sort("_issue")
        .group_by("step", "feed", maintain_order=True)
        .agg(pl.all().last())
    )


def failures(settings: Settings) -> list[str]:
    """One line per step of the run at ``as_of`` whose last try failed."""
    failed = latest(settings).filter(~pl.col("is_ok") & (pl.col("step") != "check"))
    return [
        f"{row['step']}{' ' + row['feed'] if row['feed'] else ''}: {row['message'].splitlines()[0]}"
        for row in failed.iter_rows(named=True)
    ]


def problems(settings: Settings) -> list[str]:
    """What is wrong with the run at ``as_of``: failed steps, then stale feeds."""
    return [*failures(settings), *_stale(_feed_states(settings, settings.as_of))]


def status(settings: Settings, judged_at: datetime) -> Status:
    """The state of the home as seen at an instant."""
    release = settings.current.resolve().name if settings.current.exists() else None
    states = _feed_states(settings, judged_at)
    missing = [] if release else ["nothing is published yet"]
    return Status(
        judged_at.astimezone(settings.profile.zone), states, release, [*missing, *failures(settings), *_stale(states)]
    )


def _stale(states: pl.DataFrame) -> list[str]:
    return [f"{row['feed']} is {row['state']}" for row in states.iter_rows(named=True) if row["state"] != "fresh"]


def _feed_states(settings: Settings, judged_at: datetime) -> pl.DataFrame:
    loads = raw.acknowledged(settings)
    published = _published_states(settings)
    return pl.DataFrame(
        [
            {
                "feed": feed.name,
                "agency": feed.agency,
                "fetched_through": _local(settings, raw.cursor(loads, feed.name)),
                "data_as_of": _local(settings, published.get(feed.name)),
                "state": _state(settings, feed.name, raw.cursor(loads, feed.name), published.get(feed.name), judged_at),
            }
            for feed in feeds.of(settings.profile)
        ]
    )


def _state(
    settings: Settings, feed: str, through: datetime | None, data_as_of: datetime | None, judged_at: datetime
) -> str:
    """Fixed limits, one line each: fetched through the run's as_of, and no older than the feed's freshness allows."""
    limit = timedelta(hours=settings.profile.feeds[feed].freshness_hours)
    if through is None:
        return "stale: never loaded"
    if through < settings.as_of:
        return f"stale: loaded only through {through.astimezone(settings.profile.zone):%Y-%m-%d %H:%M}"
    age = judged_at - data_as_of if data_as_of else timedelta(0)
    if age > limit:
        return f"stale: newest record is {age / timedelta(hours=1):.0f} h old, limit {limit / timedelta(hours=1):.0f} h"
    return "fresh"


def _published_states(settings: Settings) -> dict[str, datetime]:
    """When the newest record of each feed in the current release was known."""
    path = settings.current / "manifest.json"
    if not path.is_file():
        return {}
    states = orjson.loads(path.read_bytes())["feeds"]
    return {state["feed"]: datetime.fromisoformat(state["data_as_of"]) for state in states if state["data_as_of"]}


def _local(settings: Settings, instant: datetime | None) -> str:
    return f"{instant.astimezone(settings.profile.zone):%Y-%m-%d %H:%M}" if instant else "–"
