"""Backfill: fetch and load past days of a feed again."""

from datetime import UTC, date, datetime, time, timedelta

from pipelines import feeds
from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.ingest import fetch as ingest
from pipelines.monitoring import run_log
from pipelines.steps.load import load


def backfill(settings: Settings, feed: str, first: date, last: date, progress: Progress = silent) -> dict[str, int]:
    """Fetch and load whole local days of a feed again, ``first`` and ``last`` included; returns the row accounting."""
    zone = settings.profile.zone
    start = datetime.combine(first, time.min, zone).astimezone(UTC)
    end = min(datetime.combine(last + timedelta(days=1), time.min, zone).astimezone(UTC), settings.as_of)
    source = feeds.named(settings.profile, feed)
    with run_log.recorded(settings, "backfill", feed):
        window = (start if settings.profile.feeds[feed].window_days else None, end)
        ingest.fetch_window(settings, source, window, progress, out_of_turn="backfill")
    return load(settings, feed)
