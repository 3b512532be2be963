"""Intake: ask a feed for what is new and land it. Opens no database, so feeds are fetched side by side."""

from datetime import datetime, timedelta

from pipelines.config.progress import Progress
from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed, FeedError, Request
from pipelines.ingest import accounting, sources
from pipelines.ingest.sources import Window
from pipelines.store import landing, ledger


def fetch(settings: Settings, feed: Feed, progress: Progress) -> list[str]:
    """Land everything of a feed up to ``as_of``; returns the ids of the batches, none where a run has read so far.

    What a watch or a backfill read beyond the last run spares no run its lag: records that came late are found there.
    """
    through = read_by_runs(settings, feed.name)
    every = timedelta(days=settings.profile.feeds[feed.name].every_days)
    if through is not None and (through >= settings.as_of or through + every > settings.as_of):
        return []
    return fetch_window(settings, feed, window(settings, feed, through), progress)


def watch(settings: Settings, feed: Feed, progress: Progress) -> list[str]:
    """Land what is new of a feed up to ``as_of`` since a run or a watch last read it; returns the ids of the batches.

    Raises:
        FeedError: no run has loaded the feed yet: its history is a run's to read.
    """
    through = accounting.cursor(accounting.acknowledged(settings), feed.name, accounting.backfilled(settings))
    if through is None:
        raise FeedError(f"{feed.name}: nothing of it is loaded yet: run `bongsu run`")
    if through >= settings.as_of:
        return []
    return fetch_window(settings, feed, (through, settings.as_of), progress, out_of_turn="watch")


def fetch_window(settings: Settings, feed: Feed, asked: Window, progress: Progress, out_of_turn: str = "") -> list[str]:
    """Land a feed's deliveries for a window, each as soon as it is received; returns the ids.

    ``out_of_turn`` names what asked, ``backfill`` or ``watch``, where that is no run: the ledger notes it at once, so
    that no crash leaves a batch that passes for a run's.
    """
    landed = []
    with sources.opened(settings, feed.name, [asked]) as (url, secret):
        request = Request(url, secret, settings.profile.feeds[feed.name], settings.profile, *asked)
        for delivery in feed.fetch(request):
            landed.append(landing.put(settings, feed.name, delivery))
            if out_of_turn:
                ledger.append(settings.ledger, out_of_turn, feed=feed.name, batch_ids=landed[-1:])
            progress(f"{feed.name} through {delivery.window_end:%Y-%m-%d}")
    return landed


def read_by_runs(settings: Settings, feed: str) -> datetime | None:
    """Up to when runs have read a feed without a gap; None before the first. A backfill may close a gap."""
    entries = ledger.read(settings.ledger, "watch")
    watched = {batch_id for entry in entries for batch_id in entry["batch_ids"]}
    backfilled = accounting.backfilled(settings)
    loads = [load for load in accounting.acknowledged(settings) if load.feed == feed]
    # A batch that is accepted at a later try has another id and the same window.
    of_watches, of_backfills = (
        {(load.window_start, load.window_end) for load in loads if load.batch_id in asked}
        for asked in (watched, backfilled)
    )
    unwatched = [load for load in loads if (load.window_start, load.window_end) not in of_watches]
    through = accounting.cursor(unwatched, feed, backfilled)
    ends = [
        datetime.fromisoformat(load.window_end)
        for load in unwatched
        if load.verdict == "accepted" and (load.window_start, load.window_end) not in of_backfills
    ]
    return min(through, max(ends)) if through and ends else None


def window(settings: Settings, feed: Feed, through: datetime | None) -> Window:
    """The window to ask for: from the cursor less the feed's lag up to ``as_of``; without a start for a snapshot."""
    source = settings.profile.feeds[feed.name]
    if source.window_days is None:
        return None, settings.as_of
    start = (
        through - timedelta(hours=source.lag_hours) if through else settings.as_of - timedelta(days=_history(settings))
    )
    return start, settings.as_of


def _history(settings: Settings) -> int:
    simulated = settings.profile.simulator
    return simulated.history_days if simulated else settings.profile.demand.history_days
