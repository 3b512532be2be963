"""Outcomes: how each step of each run ended, and what an engineer on duty should know now.

Read from ledger, records and the current release only, so that nobody waits for the warehouse.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

from pipelines import feeds, findings
from pipelines.config.settings import Settings
from pipelines.ingest import accounting
from pipelines.release import integrity, manifest
from pipelines.store import landing, ledger, records, retention

KIND = "outcomes"
STAMP = len("20261122T2015Z")
DISK_NOTE = "only landing/ is encrypted: keep this home on an encrypted disk"
STEPS: Final = dict.fromkeys(("fetch", "load", "build", "score", "patterns", "forecast", "dispatch", "publish")).keys()


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a home at an instant.

    ``feeds`` has ``feed, agency, fetched_through, data_as_of, state, oldest_batch, retention_days``; ``problems`` are
    lines, none if all is well; ``notes`` are lines that make nothing red.
    """

    judged_at: datetime
    last_run: str
    feeds: pl.DataFrame
    release: str | None
    problems: list[str]
    notes: list[str]


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
    name = f"{_stamp(settings.as_of)}-{step}{'-' if feed else ''}{feed}-{started_at:%Y%m%dT%H%M%S%f}"
    records.write(settings, KIND, name, frame)


def latest(settings: Settings) -> pl.DataFrame:
    """The last outcome of every step and feed of the run at ``as_of``."""
    stamp = _stamp(settings.as_of)
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
    """The ``as_of`` of the last run that built its models; None before the first."""
    built = _of_step(settings, "build")
    return datetime.strptime(built[-1]["name"][:STAMP], "%Y%m%dT%H%MZ").replace(tzinfo=UTC) if built else None


def newest_as_of(settings: Settings) -> datetime | None:
    """The ``as_of`` of the run whose step ended last, whether or not it succeeded; None before the first."""
    ended = [entry for entry in records.entries(settings, KIND) if entry["name"].split("-")[1] in STEPS]
    return records.frame_of(settings, ended[-1])["as_of"].item() if ended else None


def watch_problems(settings: Settings, until: datetime) -> list[str]:
    """What the newest watch up to an instant told, one line each; none where a run has built its models since."""
    watched, built = _of_step(settings, "watch", until), _of_step(settings, "build", until)
    if not watched or (built and built[-1]["seq"] > watched[-1]["seq"]):
        return []
    (ended,) = records.frame_of(settings, watched[-1]).iter_rows(named=True)
    told = ended["message"].removeprefix("StepError: ").splitlines()
    return [f"watch at {_local(settings, ended['as_of'])}: {line}" for line in told]


def failures(settings: Settings) -> list[str]:
    """One line per step of the run at ``as_of`` whose last try failed, and per step that never ended well.

    A step that was killed leaves no outcome: its absence is a failure too.
    """
    ended = latest(settings)
    failed = ended.filter(~pl.col("is_ok") & (pl.col("step") != "check"))
    missing = sorted(STEPS - set(ended["step"]), key=list(STEPS).index) if not ended.is_empty() else []
    return [
        *(
            f"{row['step']}{' ' + row['feed'] if row['feed'] else ''}: {row['message'].splitlines()[0]}"
            for row in failed.iter_rows(named=True)
        ),
        *(f"{step}: has not ended: not run yet, or killed" for step in missing),
    ]


def problems(settings: Settings) -> list[str]:
    """What is wrong with the run at ``as_of``: failed steps, a damaged or older release, stale or unhealthy feeds."""
    alarms, _ = _findings(settings, settings.as_of)
    return [*_run_problems(settings), *_stale(_feed_states(settings, settings.as_of)), *alarms]


def status(settings: Settings, judged_at: datetime) -> Status:
    """The state of the home as seen at an instant."""
    release = settings.current.resolve().name if settings.current.exists() else None
    states = _feed_states(settings, judged_at)
    alarms, notes = _findings(settings, judged_at)
    return Status(
        judged_at=judged_at.astimezone(settings.profile.zone),
        last_run=_local(settings, last_as_of(settings)),
        feeds=states,
        release=release,
        problems=[
            *_run_problems(settings),
            *_stale(states),
            *alarms,
            *watch_problems(settings, judged_at),
            *_past_retention(settings, judged_at),
        ],
        notes=[*notes, DISK_NOTE],
    )


def _findings(settings: Settings, until: datetime) -> tuple[list[str], list[str]]:
    """Alarms and notes of the last run up to an instant."""
    found = findings.latest(settings, until)
    return found.filter("is_alarm")["message"].to_list(), found.filter(~pl.col("is_alarm"))["message"].to_list()


def _of_step(settings: Settings, step: str, until: datetime | None = None) -> list[ledger.Entry]:
    """The ledger's entries of a step's outcomes, oldest first; no file is opened."""
    kept = records.entries(settings, KIND, until=_stamp(until) if until else None)
    return [entry for entry in kept if entry["name"].split("-")[1] == step]


def _run_problems(settings: Settings) -> list[str]:
    damaged = integrity.missing(settings) or integrity.problems(settings.current.resolve())
    published = _manifest(settings).get("as_of")
    if published and datetime.fromisoformat(published) < settings.as_of:
        behind = f"the current release is of {_local(settings, datetime.fromisoformat(published))}, "
        return [*damaged, f"{behind}none of {_local(settings, settings.as_of)} yet", *failures(settings)]
    return [*damaged, *failures(settings)]


def _past_retention(settings: Settings, judged_at: datetime) -> list[str]:
    kept = {feed: source.retention_days for feed, source in settings.profile.feeds.items()}
    return [
        f"{count} batches of {feed} are past their retention of {kept[feed]} days: `bongsu expire`"
        for feed, count in retention.overdue(settings, judged_at).items()
    ]


def _stale(states: pl.DataFrame) -> list[str]:
    return [f"{row['feed']} is {row['state']}" for row in states.iter_rows(named=True) if row["state"] != "fresh"]


def _feed_states(settings: Settings, judged_at: datetime) -> pl.DataFrame:
    loads, backfills = accounting.acknowledged(settings), accounting.backfilled(settings)
    published, oldest = _published_states(settings), _oldest(settings)
    rows = []
    for feed in feeds.of(settings.profile):
        through, data_as_of = accounting.cursor(loads, feed.name, backfills), published.get(feed.name)
        rows.append(
            {
                "feed": feed.name,
                "agency": feed.agency,
                "fetched_through": _local(settings, through),
                "data_as_of": _local(settings, data_as_of),
                "state": _state(settings, feed.name, through, data_as_of, judged_at),
                "oldest_batch": _local(settings, oldest.get(feed.name)),
                "retention_days": settings.profile.feeds[feed.name].retention_days,
            }
        )
    return pl.DataFrame(rows)


def _oldest(settings: Settings) -> dict[str, datetime]:
    """When the window of the oldest batch of each feed ended that is still kept."""
    kept = [batch for batch in landing.batches(settings) if not batch.is_destroyed]
    return {batch.feed: batch.window_end for batch in sorted(kept, key=lambda b: b.window_end, reverse=True)}


def _state(
    settings: Settings, feed: str, through: datetime | None, data_as_of: datetime | None, judged_at: datetime
) -> str:
    """Fixed limits: fetched through the run's as_of or not due again, and no older than the feed's freshness allows."""
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


def _published_states(settings: Settings) -> dict[str, datetime]:
    """When the newest record of each feed in the current release was known."""
    states = _manifest(settings).get("feeds", [])
    return {state["feed"]: datetime.fromisoformat(state["data_as_of"]) for state in states if state["data_as_of"]}


def _manifest(settings: Settings) -> dict[str, Any]:
    try:
        return manifest.read(settings.current)
    except manifest.ManifestError:
        return {}


def _stamp(as_of: datetime) -> str:
    return f"{as_of:%Y%m%dT%H%MZ}"


def _local(settings: Settings, instant: datetime | None) -> str:
    return f"{instant.astimezone(settings.profile.zone):%Y-%m-%d %H:%M}" if instant else "–"
