"""Issued forecasts: records of a run, named by its ``as_of``, never changed.

They are read one issue at a time and no further back than scoring needs, so that memory does not grow with the number
of runs. Each forecast has the kinds ``<forecast>_forecasts``, ``<forecast>_backtests`` and ``<forecast>_scores``.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from pipelines.config.settings import Settings
from pipelines.store import ledger, records

STAMP = "%Y%m%dT%H%MZ"
"""Format of a record's name: the ``as_of`` of its run, UTC."""
LONGEST_RISK_DAYS = 28
LATE_DAYS = 7
"""Days after its last target for which an issue is still scored, because records arrive late."""


def stamp(as_of: datetime) -> str:
    """Return the name of the records of a run."""
    return as_of.strftime(STAMP)


def instant(name: str) -> datetime:
    """Return the ``as_of`` of the run in a record's name."""
    return datetime.strptime(name, STAMP).replace(tzinfo=UTC)


def scored_since(settings: Settings) -> datetime:
    """Return the ``as_of`` of the oldest issue that is scored."""
    days = max(settings.profile.horizons.daily_days, LONGEST_RISK_DAYS + 1) + LATE_DAYS
    return settings.as_of - timedelta(days=days)


def past(settings: Settings, forecast: str) -> list[ledger.Entry]:
    """Return the first issue of every earlier run whose targets may still be open, oldest first.

    The first issue is the one in the day's release. A later one of the same ``as_of`` (a feed recovered, newer code
    ran) stays a record and is never scored, because it may have used more data.
    """
    now = stamp(settings.as_of)
    since = stamp(scored_since(settings))
    first: dict[str, ledger.Entry] = {}
    for entry in records.entries(settings, f"{forecast}_forecasts", since=since, until=now):
        first.setdefault(entry["name"], entry)
    return [first[name] for name in sorted(first) if name < now]


def frames(settings: Settings, entries: Sequence[ledger.Entry]) -> Iterator[pl.DataFrame]:
    """Yield the records one at a time, so that no two of them need be in memory."""
    return (records.frame_of(settings, entry) for entry in entries)


def newest(settings: Settings, kind: str) -> pl.DataFrame | None:
    """Return the newest record of a kind for exactly this ``as_of``; names have minutes, so the frame is compared."""
    now = stamp(settings.as_of)
    entries = [entry for entry in records.entries(settings, kind, since=now, until=now) if entry["name"] == now]
    for frame in frames(settings, entries[::-1]):
        if frame.filter(pl.col("reference_at") != settings.as_of).is_empty():
            return frame
    return None


def before(settings: Settings, kind: str) -> pl.DataFrame | None:
    """Return the last record of a kind of the previous run; a second run of the same ``as_of`` reads the same."""
    now = stamp(settings.as_of)
    earlier = [entry for entry in records.entries(settings, kind, until=now) if entry["name"] < now]
    return records.frame_of(settings, max(earlier, key=run_and_issue)) if earlier else None


def of_run(settings: Settings, kind: str, as_of: datetime) -> pl.DataFrame | None:
    """Return the last record of a kind of an earlier run, by its ``as_of``; None if it has none."""
    name = stamp(as_of)
    entries = [entry for entry in records.entries(settings, kind, since=name, until=name) if entry["name"] == name]
    return records.frame_of(settings, max(entries, key=run_and_issue)) if entries else None


def scores(settings: Settings, forecast: str) -> list[ledger.Entry]:
    """Return scores of past issues recorded by runs up to ``as_of``, in the order of their runs."""
    kept = records.entries(settings, f"{forecast}_scores", until=stamp(settings.as_of))
    return sorted(kept, key=run_and_issue)


def run_and_issue(entry: ledger.Entry) -> tuple[str, int]:
    """Sort key: the run that wrote a record, then the order of writing."""
    return entry["name"], entry["seq"]
