"""Fetch: request new data from a feed and land it. Opens no database, so feeds are fetched in parallel."""

from datetime import datetime, timedelta

from pipelines.config import logs
from pipelines.config.progress import Progress
from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed, FeedError, Request
from pipelines.ingest import accounting, sources
from pipelines.ingest.sources import Window
from pipelines.store import landing, ledger

log = logs.logger(__name__)


def fetch(settings: Settings, feed: Feed, progress: Progress) -> list[str]:
    """Land everything of a feed up to ``as_of``; return the batch ids, none if a run has already read so far.

    Windows read by a watch or a backfill do not shorten a run's lag: late records are found by reading again.
    """
    through = read_by_runs(settings, feed.name)
    every = timedelta(days=settings.profile.feeds[feed.name].every_days)
    if through is not None and (through >= settings.as_of or through + every > settings.as_of):
        return []
    return fetch_window(settings, feed, window(settings, feed, through), progress)


def watch(settings: Settings, feed: Feed, progress: Progress) -> list[str]:
    """Land new data of a feed up to ``as_of`` since a run or a watch last read it; return the batch ids.

    Raises:
        FeedError: No run has loaded the feed yet: its history is read by a run.
    """
    through = accounting.cursor(accounting.acknowledged(settings), feed.name, accounting.backfilled(settings))
    if through is None:
        raise FeedError(f"{feed.name}: it has not been loaded yet: run `bongsu run`")
    if through >= settings.as_of:
        return []
    return fetch_window(settings, feed, (through, settings.as_of), progress, out_of_turn="watch")


def fetch_window(
    settings: Settings, feed: Feed, window: Window, progress: Progress, out_of_turn: str = ""
) -> list[str]:
    """Land a feed's deliveries for a window, each as soon as it is received; return the ids.

    ``out_of_turn`` is ``backfill`` or ``watch`` if the request is not a run's: the ledger records it at once, so that
    no crash leaves a batch that looks like a run's.
    """
    landed = []
    with sources.opened(settings, feed.name, [window]) as (url, secret):
        request = Request(url, secret, settings.profile.feeds[feed.name], settings.profile, *window)
        for delivery in feed.fetch(request):
            landed.append(landing.put(settings, feed.name, delivery))
            with logs.context(batch=landed[-1][:12]):
                log.info("delivery stored through=%s", delivery.window_end.isoformat())
            if out_of_turn:
                ledger.append(settings.ledger, out_of_turn, feed=feed.name, batch_ids=landed[-1:])
            progress(f"{feed.name} through {delivery.window_end:%Y-%m-%d}")
    return landed


def read_by_runs(settings: Settings, feed: str) -> datetime | None:
    """Return how far runs have read a feed without a gap; None before the first. A backfill may close a gap."""
    entries = ledger.read(settings.ledger, "watch")
    watched = {batch_id for entry in entries for batch_id in entry["batch_ids"]}
    backfilled = accounting.backfilled(settings)
    loads = [load for load in accounting.acknowledged(settings) if load.feed == feed]
    # A batch that is accepted later has another id and the same window.
    of_watches, of_backfills = (
        {(load.window_start, load.window_end) for load in loads if load.batch_id in ids}
        for ids in (watched, backfilled)
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
    """Return the window to request: from the cursor less the feed's lag to ``as_of``; no start for a snapshot."""
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
