"""Run: every step in order without Airflow, by the rules of `dags/daily.py`."""

from collections.abc import Callable, Mapping
from typing import Final

from pipelines.config import logs
from pipelines.config.errors import BongsuError
from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.steps.build import build
from pipelines.steps.check import check
from pipelines.steps.dispatch import dispatch
from pipelines.steps.fetch import feed_names, fetch
from pipelines.steps.forecast import forecast
from pipelines.steps.load import load
from pipelines.steps.patterns import patterns
from pipelines.steps.publish import publish
from pipelines.steps.score import score
from pipelines.store import issues

FeedStep = Callable[[Settings, str, Progress], object]

PER_FEED: Final[Mapping[str, FeedStep]] = {"fetch": fetch, "load": load}
AFTER_LOAD: Final[Mapping[str, Callable[[Settings], object]]] = {
    "build": build,
    "score": score,
    "patterns": patterns,
    "forecast": forecast,
    "dispatch": dispatch,
    "publish": publish,
    "check": check,
}
"""Every step in the order of a run."""

log = logs.logger(__name__)


def run(settings: Settings, progress: Progress = silent) -> None:
    """Run every step; a feed that fails does not stop the others.

    Raises:
        StepError: a feed failed or is stale; the release is published and says so.
    """
    ingest(settings, progress)
    for name, step in AFTER_LOAD.items():
        progress(name)
        step(settings)


def ingest(settings: Settings, progress: Progress = silent, steps: Mapping[str, FeedStep] = PER_FEED) -> list[str]:
    """Fetch and load every feed; returns one line per failure. `check` reports the failed feeds."""
    failures = []
    for feed in feed_names(settings):
        try:
            for name, step in steps.items():
                progress(f"{name} {feed}")
                step(settings, feed, progress)
        except Exception as error:  # whatever breaks one feed must not stop the others
            if not isinstance(error, BongsuError):
                with logs.context(run=issues.stamp(settings.as_of), step=name, feed=feed):
                    log.exception("bongsu: %s %s failed", name, feed)
            failures.append(f"{name} {feed}: {error}")
    return failures
