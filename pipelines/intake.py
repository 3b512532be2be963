"""Intake: ask a feed for what is new and land it. Opens no database, so feeds are fetched side by side."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from pipelines import accounting, landing, simulator
from pipelines.feeds.feed import Feed, Request
from pipelines.settings import Settings

SIMULATED = "simulator:"

Window = tuple[datetime | None, datetime]


def fetch(settings: Settings, feed: Feed, progress: Callable[[str], None]) -> list[str]:
    """Land everything of a feed up to ``as_of``; returns the ids of the batches."""
    through = accounting.cursor(accounting.acknowledged(settings), feed.name, accounting.backfilled(settings))
    every = timedelta(days=settings.profile.feeds[feed.name].every_days)
    if through is not None and (through >= settings.as_of or through + every > settings.as_of):
        return []
    return fetch_window(settings, feed, window(settings, feed, through), progress)


def fetch_window(settings: Settings, feed: Feed, asked: Window, progress: Callable[[str], None]) -> list[str]:
    """Land a feed's deliveries for a window, each as soon as it is received; returns the ids."""
    landed = []
    with _source(settings, feed, asked) as (url, secret):
        request = Request(url, secret, settings.profile.feeds[feed.name], settings.profile, *asked)
        for delivery in feed.fetch(request):
            landed.append(landing.put(settings, feed.name, delivery))
            progress(f"{feed.name} through {delivery.window_end:%Y-%m-%d}")
    return landed


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


@contextmanager
def _source(settings: Settings, feed: Feed, asked: Window) -> Iterator[tuple[str, str | None]]:
    """The feed's URL and key; simulated agencies are served for as long as they are asked."""
    url = settings.feed_url(feed.name)
    if url != SIMULATED:
        yield url, settings.secret(feed.name)
        return
    with simulator.serving(settings, feed.name, [asked]) as served:
        yield served, simulator.KEY
