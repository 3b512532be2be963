"""The steps of a run: all that dags/ and cli.py import. Each is idempotent and safe to kill and run again.

fetch → load per feed; then build → score → patterns, forecast, dispatch → publish → check.
Every step leaves an outcome record, so that what failed is known to whoever asks later.
Heavy libraries are imported inside the steps: a DAG file that imports this module stays quick to parse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipelines import profile as profiles
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    import polars as pl

    from pipelines.feeds.feed import Feed, Request

Progress = Callable[[str], None]


class StepError(Exception):
    """A run ends red: what failed or is stale, and where to look."""


def settings_for(
    home: Path, profile: str | None = None, as_of: str | None = None, now: datetime | None = None
) -> Settings:
    """Settings for a home: its recorded profile, or the one given at first use.

    Raises:
        ProfileError: the home already holds another profile.
    """
    from pipelines import homes

    chosen = homes.profile_of(home, profile)
    return Settings(home=home, profile=chosen, as_of=chosen.as_of(as_of, now or datetime.now(UTC)))


def feed_names(settings: Settings) -> list[str]:
    """The feeds of the profile, in order."""
    from pipelines import feeds

    return [feed.name for feed in feeds.of(settings.profile)]


def fetch(settings: Settings, feed: str, progress: Progress = lambda _: None) -> int:
    """Ask one feed for everything up to ``as_of`` and land it; returns the number of deliveries.

    A feed already fetched through ``as_of`` is not asked again.
    """
    from pipelines import feeds, intake

    with _outcome(settings, "fetch", feed):
        return intake.fetch(settings, feeds.named(settings.profile, feed), progress)


def load(settings: Settings, feed: str) -> dict[str, int]:
    """Parse, check and merge what landed of one feed; returns the accounting of the batches loaded now.

    Raises:
        StepError: a batch was rejected; its rows are counted, and the cursor stays.
    """
    from pipelines import feeds, raw, warehouse

    with _outcome(settings, "load", feed):
        with warehouse.connect(settings) as con:
            done = raw.load_pending(con, settings, feeds.named(settings.profile, feed))
        refused = [a for a in done if a.verdict != "accepted"]
        if refused:
            raise StepError(f"{feed}: {len(refused)} of {len(done)} batches refused; first: {refused[0].message}")
        counts = ("received", "loaded", "unchanged", "quarantined", "rejected")
        return {name: sum(getattr(a, name) for a in done) for name in counts}


def build(settings: Settings) -> None:
    """Make reference, staging, core and marts anew from raw, and hold them against their gates."""
    from pipelines import models, warehouse

    with _outcome(settings, "build"), warehouse.connect(settings) as con:
        models.build(con, settings)
        models.gate(con, "core", "marts")
