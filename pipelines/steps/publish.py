"""Publish: build a release next to the current one, read it back, and switch to it."""

from pathlib import Path

from pipelines.config.settings import Settings
from pipelines.monitoring import run_log
from pipelines.quality import gates
from pipelines.release import publish as release
from pipelines.schema import check
from pipelines.store import warehouse


def publish(settings: Settings) -> Path:
    """Check the quality gates of the results, then publish a release; returns its folder.

    A table whose quality gate failed is left out, with all that was made from it.
    """
    with run_log.recorded(settings, "publish"):
        with warehouse.connect(settings) as con:
            check.check(con, "patterns", "forecast", "dispatch")
            gates.check(con, "patterns", "forecast", "dispatch")
        return release.publish(settings)
