"""Retention: how long the profile allows a feed's batches to be kept, and which batches are older."""

from collections import Counter
from datetime import datetime, timedelta

from pipelines.config.settings import Settings
from pipelines.store import landing


def limits(settings: Settings, at: datetime) -> dict[str, datetime]:
    """Return, per feed, the instant before which batches must be destroyed, as `landing.destroy` takes it."""
    return {name: at - timedelta(days=source.retention_days) for name, source in settings.profile.feeds.items()}


def overdue(settings: Settings, at: datetime) -> dict[str, int]:
    """Return, per feed with any, how many batches should be destroyed by an instant."""
    last = limits(settings, at)
    counted = Counter(
        batch.feed
        for batch in landing.batches(settings)
        if not batch.is_destroyed and batch.feed in last and batch.window_end <= last[batch.feed]
    )
    return dict(sorted(counted.items()))
