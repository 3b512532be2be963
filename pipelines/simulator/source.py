"""The simulated agencies as sources of feeds: opened by the URL scheme ``simulator:``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.config.settings import Settings
from pipelines.simulator.dropbox import drop
from pipelines.simulator.server import KEY, serve


@contextmanager
def opened(
    settings: Settings, feed: str, windows: Sequence[tuple[datetime | None, datetime]]
) -> Iterator[tuple[str, str]]:
    """Serve one simulated feed in its state at ``as_of``, for the requested windows; yield its URL and key.

    Dropped files are kept under ``settings.work`` for the duration.

    Raises:
        ValueError: This feed is not simulated.
    """
    profile = settings.profile
    if feed == "investigation_cases":
        settings.work.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="drop-", dir=settings.work) as folder:
            starts = [start for start, _ in windows if start is not None]
            first = min(starts, default=settings.as_of).astimezone(profile.zone).date()
            drop(profile, Path(folder), first - timedelta(days=1), settings.as_of.astimezone(profile.zone).date())
            yield Path(folder).absolute().as_uri(), KEY
        return
    paths = {"police_112": "", "police_112_keys": "", "fire_119": "/fire"}
    if feed not in paths:
        raise ValueError(f"{feed!r} is not simulated; simulated feeds: {[*paths, 'investigation_cases']}")
    with serve(profile, settings.as_of) as base:
        yield base + paths[feed], KEY
