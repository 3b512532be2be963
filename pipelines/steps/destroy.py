"""Destroy: make a feed's older batches permanently unreadable, and rebuild without them."""

from datetime import UTC, date, datetime, time

from pipelines import feeds
from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.monitoring import run_log
from pipelines.release import publish as release
from pipelines.steps.publish import publish
from pipelines.steps.rebuild import rebuild
from pipelines.store import landing, retention


def destroy(settings: Settings, feed: str, before: date, progress: Progress = silent) -> int:
    """Destroy a feed's batches that ended before a local day, then rebuild and publish; returns their number.

    Releases that still hold the rows are removed.
    """
    feeds.named(settings.profile, feed)
    instant = datetime.combine(before, time.min, settings.profile.zone).astimezone(UTC)
    with run_log.recorded(settings, "destroy", feed):
        count = len(landing.destroy(settings, feed, instant))
    _publish_again(settings, progress)
    return count


def expired(settings: Settings) -> dict[str, int]:
    """Return, per feed with any, how many batches are past the profile's retention at ``as_of``."""
    return retention.overdue(settings, settings.as_of)


def expire(settings: Settings, progress: Progress = silent) -> dict[str, int]:
    """Destroy the batches in `expired` of all feeds, then rebuild and publish; return the number destroyed per feed.

    Nothing is rebuilt when nothing was destroyed.
    """
    overdue, limits = expired(settings), retention.limits(settings, settings.as_of)
    for feed in overdue:
        progress(f"destroy {feed}")
        with run_log.recorded(settings, "destroy", feed):
            landing.destroy(settings, feed, limits[feed])
    if overdue:
        _publish_again(settings, progress)
    return overdue


def _publish_again(settings: Settings, progress: Progress) -> None:
    rebuild(settings, progress)
    progress("publish")
    publish(settings)
    release.prune_others(settings)
