"""Retention: how long the profile lets a feed's batches be kept, and what is older than that."""

from collections import Counter
from datetime import datetime, timedelta

from pipelines.config.settings import Settings
from pipelines.store import landing


def limits(settings: Settings, at: datetime) -> dict[str, datetime]:
    """Per feed the instant that batches must end after to be kept at an instant, as `landing.destroy` takes it."""
    return {name: at - timedelta(days=source.retention_days) for name, source in settings.profile.feeds.items()}


def overdue(settings: Settings, at: datetime) -> dict[str, int]:
    """Per feed that has any, how many batches should be destroyed by an instant."""
    last = limits(settings, at)
    found = Counter(
        batch.feed
        for batch in landing.batches(settings)
        if not batch.is_destroyed and batch.feed in last and batch.window_end <= last[batch.feed]
    )
    return dict(sorted(found.items()))
