"""Commands that run the pipeline or one of its steps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from pipelines.cli.options import HOME, RUN, AsOf, FeedName, FirstDay, Home, LastDay, ProfileName
from pipelines.cli.read import print_status
from pipelines.cli.terminal import out, progress_of
from pipelines.config.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.config.settings import Settings
    from pipelines.steps.run import FeedStep


def add_to(app: typer.Typer) -> None:
    """Register the commands of this panel."""
    for command in (run, fetch, load, build, score, patterns, forecast, dispatch, publish, check, backfill, watch):
        app.command(rich_help_panel=RUN)(command)


def run(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Run a day without Airflow: fetch, load, build, score, patterns, forecast, dispatch, publish, check."""
    from pipelines.steps.run import run
    from pipelines.steps.run_settings import settings_for

    settings = settings_for(home, profile, as_of)
    try:
        with progress_of("run") as show:
            run(settings, show)
    finally:
        print_status(settings, judged_at_as_of=True)


def fetch(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Download new data from every feed and store it, encrypted. One feed's failure does not stop the others."""
    from pipelines.steps.fetch import fetch
    from pipelines.steps.run_settings import settings_for

    _each_feed(settings_for(home, profile, as_of), "fetch", fetch)


def load(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Parse, check and merge the stored data; rows that fail a rule are quarantined with the reason."""
    from pipelines.steps.load import load
    from pipelines.steps.run_settings import settings_for

    settings = settings_for(home, profile, as_of)
    _each_feed(settings, "load", load)
    print_status(settings, judged_at_as_of=True)


def build(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Build staging, core and marts from raw, and check their quality gates."""
    from pipelines.steps.build import build

    _step("build", build, home, profile, as_of)


def score(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Score issued forecasts whose time has passed."""
    from pipelines.steps.score import score

    _step("score", score, home, profile, as_of)


def patterns(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Compute the tables of crime patterns: hot spots, near repeats, clusters, trends."""
    from pipelines.steps.patterns import patterns

    _step("patterns", patterns, home, profile, as_of)


def forecast(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Forecast demand and place-based risk."""
    from pipelines.steps.forecast import forecast
    from pipelines.steps.run_settings import settings_for

    settings = settings_for(home, profile, as_of)
    with progress_of("forecast") as show:
        forecast(settings, show)


def dispatch(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Compute the units required per area, service and hour from the demand forecast."""
    from pipelines.steps.dispatch import dispatch

    _step("dispatch", dispatch, home, profile, as_of)


def publish(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Build a release, read it back, and make it the current one."""
    from pipelines.steps.publish import publish

    _step("publish", publish, home, profile, as_of)


def check(home: Home = HOME, profile: ProfileName = None, as_of: AsOf = None) -> None:
    """Fail the run if a step failed, a feed is stale, an alert was raised or the release is damaged.

    The last step of a run. Lists the problems and exits with 1. For the state of a home at any time: `bongsu status`.
    """
    from pipelines.steps.check import check

    _step("check", check, home, profile, as_of)


def backfill(
    feed: FeedName,
    start: FirstDay,
    end: LastDay,
    home: Home = HOME,
    profile: ProfileName = None,
    as_of: AsOf = None,
) -> None:
    """Fetch and load a range of days again; records that are already known are left unchanged."""
    from pipelines.steps.backfill import backfill
    from pipelines.steps.run_settings import settings_for

    settings = settings_for(home, profile, as_of)
    with progress_of("backfill") as show:
        counts = backfill(settings, feed, start, end, show)
    out.print(f"{feed}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))


def watch(home: Home = HOME, profile: ProfileName = None) -> None:
    """Load new data of the watched feeds; exit 1 if one delivers no data, a volume spike or drop, or cannot be read.

    Watched are the feeds with `watched = true` in the profile. Reads up to now; builds and publishes nothing.
    """
    from pipelines.steps.run_settings import settings_for
    from pipelines.steps.watch import watch

    now = datetime.now(UTC)
    settings = settings_for(home, profile, now.isoformat(), now)
    with progress_of("watch") as show:
        watched = watch(settings, show)
    if watched:
        out.print(f"[green]✓[/green] as usual: {', '.join(watched)}")
    else:
        out.print(f"no feed of profile {settings.profile.name} is watched: set `watched = true` in the profile")


def _step(name: str, step: Callable[[Settings], object], home: Home, profile: ProfileName, as_of: AsOf) -> None:
    from pipelines.steps.run_settings import settings_for

    settings = settings_for(home, profile, as_of)
    with progress_of(name):
        step(settings)


def _each_feed(settings: Settings, name: str, step: FeedStep) -> None:
    from pipelines.steps.run import ingest

    with progress_of(name) as show:
        failures = ingest(settings, show, {name: step})
    if failures:
        raise StepError("\n".join(failures))
