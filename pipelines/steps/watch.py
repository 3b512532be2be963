"""Watch: between daily runs, load what is new and check that the watched feeds deliver as usual."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import polars as pl

from pipelines import feeds
from pipelines.config import logs
from pipelines.config.errors import BongsuError, StepError
from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed
from pipelines.ingest import fetch, load, merge
from pipelines.monitoring import alerts, feed_volume, run_log
from pipelines.store import warehouse
from pipelines.transform import build

log = logs.logger(__name__)


def watch(settings: Settings, progress: Progress = silent) -> list[str]:
    """Fetch and load what is new up to ``as_of`` and check the volume of each watched feed; returns their names.

    Watched are the keyed feeds whose profile says so. The models stay as the last run built them, and the daily run
    reads its lag again whatever a watch has read.

    Raises:
        StepError: with one line per feed that failed, or whose volume is not usual; `status` shows it.
    """
    registered = feeds.of(settings.profile)
    watched = [feed for feed in registered if feed.load_type == "keyed" and settings.profile.feeds[feed.name].watched]
    names = [feed.name for feed in watched]
    with run_log.recorded(settings, "watch"):
        failures = _fetched(settings, watched, progress)
        with warehouse.connect(settings) as con:
            if not warehouse.exists(con, "reference", "areas"):
                raise StepError("nothing is built yet: run `bongsu run`")
            for feed in registered:
                merge.prepare(con, feed)
            for feed in watched:
                progress(f"load {feed.name}")
                with _alone(feed.name, failures):
                    load.load_pending(con, settings, feed)
                    failures += [f"{feed.name}: batch rejected: {message}" for message in load.refused(con, feed)]
            volumes = _volumes(con, settings, registered)
        alarms = alerts.alarms(volumes.filter(pl.col("feed").is_in(names)))
        if problems := [*failures, *alarms["message"]]:
            raise StepError("\n".join(problems))
    return names


def _fetched(settings: Settings, watched: Sequence[Feed], progress: Progress) -> list[str]:
    """Fetch every watched feed; returns one line per failure."""
    failures: list[str] = []
    for feed in watched:
        progress(f"fetch {feed.name}")
        with _alone(feed.name, failures):
            fetch.watch(settings, feed, progress)
    return failures


def _volumes(con: duckdb.DuckDBPyConnection, settings: Settings, registered: tuple[Feed, ...]) -> pl.DataFrame:
    """The volume of every feed; staging stays as the last run left it."""
    con.execute("begin")
    try:
        build.stage(con, registered)
        return feed_volume.judge_feeds(con, settings)
    finally:
        con.execute("rollback")


@contextmanager
def _alone(feed: str, failures: list[str]) -> Iterator[None]:
    """Record any failure of one feed, so that it does not stop the others."""
    with logs.context(feed=feed):
        try:
            yield
        except Exception as error:
            if not isinstance(error, BongsuError):
                log.exception("bongsu: watch %s failed", feed)
            failures.append(f"{feed}: {error}")
