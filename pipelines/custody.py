"""Custody of what a home holds: make the warehouse again, destroy what may not be kept, copy, verify and restore.

Each may be killed and run again, and leaves an outcome record, as the steps of a run do.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from pipelines import steps

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.config.settings import Settings


def rebuild(settings: Settings, progress: steps.Progress = lambda _: None) -> dict[str, str]:
    """Make the warehouse again from landing and records; returns the logical hash of every table.

    Forecasts and scores of this ``as_of`` are reloaded from records, and made afresh only where there are none.
    """
    from pipelines import analysis, feeds, loading
    from pipelines.store import landing, warehouse

    with steps.outcome(settings, "rebuild"):
        landing.finish_destruction(settings)
        warehouse.discard(settings)
        with warehouse.connect(settings) as con:
            for feed in feeds.of(settings.profile):
                progress(f"load {feed.name}")
                loading.load_pending(con, settings, feed)
    for name in ("build", "patterns"):
        progress(name)
        getattr(steps, name)(settings)
    with warehouse.connect(settings) as con:
        is_reloaded = analysis.reload(con, settings)
    for name in ("dispatch",) if is_reloaded else ("score", "forecast", "dispatch"):
        progress(name)
        getattr(steps, name)(settings)
    with warehouse.connect(settings) as con:
        return warehouse.hashes(con)


def destroy(settings: Settings, feed: str, before: date, progress: steps.Progress = lambda _: None) -> int:
    """Destroy a feed's batches that ended before a local day; make warehouse and release again without them.

    Releases that still hold the rows are removed. Returns the number of batches.
    """
    from pipelines import feeds
    from pipelines.release import release
    from pipelines.store import landing

    feeds.named(settings.profile, feed)
    instant = datetime.combine(before, datetime.min.time(), settings.profile.zone).astimezone(UTC)
    with steps.outcome(settings, "destroy", feed):
        count = len(landing.destroy(settings, feed, instant))
    rebuild(settings, progress)
    progress("publish")
    steps.publish(settings)
    release.prune_others(settings)
    return count


def expired(settings: Settings) -> dict[str, int]:
    """Per feed that has any, how many batches are older at ``as_of`` than the profile lets them be kept."""
    from pipelines.store import retention

    return retention.overdue(settings, settings.as_of)


def expire(settings: Settings, progress: steps.Progress = lambda _: None) -> dict[str, int]:
    """Destroy what is `expired`, of all feeds, and make warehouse and release again without it; what, per feed.

    Nothing is made again when nothing was destroyed.
    """
    from pipelines.release import release
    from pipelines.store import landing, retention

    overdue, limits = expired(settings), retention.limits(settings, settings.as_of)
    for feed in overdue:
        progress(f"destroy {feed}")
        with steps.outcome(settings, "destroy", feed):
            landing.destroy(settings, feed, limits[feed])
    if overdue:
        rebuild(settings, progress)
        progress("publish")
        steps.publish(settings)
        release.prune_others(settings)
    return overdue


def verify(settings: Settings) -> dict[str, int]:
    """Check the ledger's chain, every batch, record and file of a release, byte for byte; returns how many of each."""
    from pipelines.continuity import copies
    from pipelines.release import integrity

    with steps.outcome(settings, "verify"):
        return {**copies.verify(settings), "files of releases": integrity.verify(settings)}


def replicate(settings: Settings, url: str | None) -> int:
    """Copy the home to a URL; returns the files copied. Without a URL there is nowhere to copy to: none."""
    from pipelines.continuity import copies

    with steps.outcome(settings, "replicate"):
        return copies.replicate(settings, url) if url else 0


def restore(home: Path, url: str, master_key: Path) -> None:
    """Restore a home from a copy, verified before it appears, and rebuild its warehouse.

    When the copy fails any check, nothing is left behind. When only the rebuild fails, the verified home stays: run
    `bongsu rebuild`.
    """
    from pipelines.continuity import copies

    copies.restore(home, url, master_key)
    rebuild(steps.settings_of_last_run(home))


def drill(settings: Settings, url: str | None, progress: steps.Progress = lambda _: None) -> int:
    """Restore a copy aside, rebuild it, compare every table with this home's; returns the number of equal tables.

    Raises:
        StepError: a table differs.
    """
    import tempfile
    from pathlib import Path

    from pipelines.continuity import copies
    from pipelines.store import warehouse

    with steps.outcome(settings, "drill"), tempfile.TemporaryDirectory(dir=settings.home) as aside:
        if url is None:
            progress("replicate")
            url = f"{aside}/copy"
            copies.replicate(settings, url)
        progress("restore")
        restored = settings.model_copy(update={"home": Path(aside) / "home"})
        copies.restore(restored.home, url, settings.keys / "master.key")
        theirs = rebuild(restored, progress)
        with warehouse.connect(settings) as con:
            ours = warehouse.hashes(con)
        kept = {name: digest for name, digest in ours.items() if not name.startswith("views.")}
        different = sorted(name for name, digest in kept.items() if theirs.get(name) != digest)
        if different:
            raise steps.StepError(
                f"{len(different)} of {len(kept)} tables differ after the restore: {', '.join(different[:5])}"
            )
        return len(kept)
