"""Status: what an engineer on duty needs to know now.

Read from ledger, records and the current release only, without waiting for the warehouse.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from pipelines import feeds
from pipelines.config.settings import Settings
from pipelines.ingest import accounting
from pipelines.monitoring import alerts, run_log
from pipelines.store import landing, records, retention

DISK_NOTE: Final = "only landing/ is encrypted: keep this home on an encrypted disk"


@dataclass(frozen=True, slots=True)
class Published:
    """The current release: its name and ``as_of``, the newest record of each feed in it, if any, and damage."""

    name: str | None
    as_of: datetime | None
    data_as_of: Mapping[str, datetime | None]
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a home at an instant.

    ``feeds`` has ``feed, agency, fetched_through, data_as_of, state, oldest_batch, retention_days``; ``problems`` are
    lines, none if all is well; ``notes`` are lines that do not fail the run.
    """

    judged_at: datetime
    last_run: str
    feeds: pl.DataFrame
    release: str | None
    problems: list[str]
    notes: list[str]


def problems(settings: Settings, published: Published) -> list[str]:
    """Return what is wrong with the run at ``as_of``: failed steps, a damaged or older release, stale feeds, alarms."""
    alarms, _ = _alerts(settings, settings.as_of)
    states = _feed_states(settings, settings.as_of, published)
    return [*_run_problems(settings, published), *_stale(states), *alarms]


def status(settings: Settings, judged_at: datetime, published: Published) -> Status:
    """Return the state of the home at an instant."""
    states = _feed_states(settings, judged_at, published)
    alarms, notes = _alerts(settings, judged_at)
    return Status(
        judged_at=judged_at.astimezone(settings.profile.zone),
        last_run=_local(settings, run_log.last_as_of(settings)),
        feeds=states,
        release=published.name,
        problems=[
            *_run_problems(settings, published),
            *_stale(states),
            *alarms,
            *_watch_problems(settings, judged_at),
            *_past_retention(settings, judged_at),
        ],
        notes=[*notes, DISK_NOTE],
    )


def _alerts(settings: Settings, until: datetime) -> tuple[list[str], list[str]]:
    """Return alarms and notices of the last run up to an instant."""
    latest = alerts.latest(settings, until)
    return latest.filter("is_alarm")["message"].to_list(), latest.filter(~pl.col("is_alarm"))["message"].to_list()


def _run_problems(settings: Settings, published: Published) -> list[str]:
    behind = []
    if published.as_of and published.as_of < settings.as_of:
        missing = f"none of {_local(settings, settings.as_of)} yet"
        behind = [f"the current release is of {_local(settings, published.as_of)}, {missing}"]
    return [*published.problems, *behind, *run_log.failures(settings)]


def _watch_problems(settings: Settings, until: datetime) -> list[str]:
    """Return what the newest watch up to an instant reported, one line each; none if a run has built models since."""
    watched, built = run_log.of_step(settings, "watch", until), run_log.of_step(settings, "build", until)
    if not watched or (built and built[-1]["seq"] > watched[-1]["seq"]):
        return []
    (ended,) = records.frame_of(settings, watched[-1]).iter_rows(named=True)
    lines = ended["message"].removeprefix("StepError: ").splitlines()
    return [f"watch at {_local(settings, ended['as_of'])}: {line}" for line in lines]


def _past_retention(settings: Settings, judged_at: datetime) -> list[str]:
    kept = {feed: source.retention_days for feed, source in settings.profile.feeds.items()}
    return [
        f"{count} batches of {feed} are past their retention of {kept[feed]} days: `bongsu expire`"
        for feed, count in retention.overdue(settings, judged_at).items()
    ]


def _stale(states: pl.DataFrame) -> list[str]:
    return [f"{row['feed']} is {row['state']}" for row in states.iter_rows(named=True) if row["state"] != "fresh"]


def _feed_states(settings: Settings, judged_at: datetime, published: Published) -> pl.DataFrame:
    loads, backfills = accounting.acknowledged(settings), accounting.backfilled(settings)
    oldest = _oldest(settings)
    rows = []
    for feed in feeds.of(settings.profile):
        through, data_as_of = accounting.cursor(loads, feed.name, backfills), published.data_as_of.get(feed.name)
        rows.append(
            {
                "feed": feed.name,
                "agency": feed.agency,
                "fetched_through": _local(settings, through),
                "data_as_of": _local(settings, data_as_of),
                "state": _state(settings, feed.name, through, data_as_of, judged_at)
                if data_as_of or feed.name not in published.data_as_of
                else "stale: no record yet",
                "oldest_batch": _local(settings, oldest.get(feed.name)),
                "retention_days": settings.profile.feeds[feed.name].retention_days,
            }
        )
    return pl.DataFrame(rows)


def _oldest(settings: Settings) -> dict[str, datetime]:
    """Return when the window of each feed's oldest stored batch ended."""
    kept = [batch for batch in landing.batches(settings) if not batch.is_destroyed]
    return {batch.feed: batch.window_end for batch in sorted(kept, key=lambda b: b.window_end, reverse=True)}


def _state(
    settings: Settings, feed: str, through: datetime | None, data_as_of: datetime | None, judged_at: datetime
) -> str:
    """Apply fixed limits: fetched through the run's as_of or not due again, and no older than the feed's freshness."""
    source = settings.profile.feeds[feed]
    limit = timedelta(hours=source.freshness_hours)
    if through is None:
        return "stale: never loaded"
    if through < settings.as_of and through + timedelta(days=source.every_days) <= settings.as_of:
        return f"stale: loaded only through {through.astimezone(settings.profile.zone):%Y-%m-%d %H:%M}"
    age = judged_at - data_as_of if data_as_of else timedelta(0)
    if age > limit:
        return f"stale: newest record is {age / timedelta(hours=1):.0f} h old, limit {limit / timedelta(hours=1):.0f} h"
    return "fresh"


def _local(settings: Settings, instant: datetime | None) -> str:
    return f"{instant.astimezone(settings.profile.zone):%Y-%m-%d %H:%M}" if instant else "–"
