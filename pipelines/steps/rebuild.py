"""Rebuild: recreate the warehouse from landing and records."""

from collections.abc import Mapping

import polars as pl

from pipelines import feeds
from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.ingest import load as ingest
from pipelines.monitoring import run_log
from pipelines.steps import forecast
from pipelines.steps.build import build
from pipelines.steps.dispatch import dispatch
from pipelines.steps.patterns import patterns
from pipelines.steps.score import score
from pipelines.store import handover, issues, landing, warehouse


def rebuild(settings: Settings, progress: Progress = silent) -> dict[str, str]:
    """Recreate the warehouse from landing and records; returns the logical hash of every table.

    Forecasts and scores of this ``as_of`` are read from records; models run only where there are none.
    """
    with run_log.recorded(settings, "rebuild"):
        landing.finish_destruction(settings)
        warehouse.discard(settings)
        handover.discard(forecast.handed_over(settings))
        with warehouse.connect(settings) as con:
            for feed in feeds.of(settings.profile):
                progress(f"load {feed.name}")
                ingest.load_pending(con, settings, feed)
    progress("build")
    build(settings)
    progress("patterns")
    patterns(settings)
    if issued := issued_forecasts(settings):
        with warehouse.connect(settings) as con:
            forecast.write_tables(con, settings, issued)
    else:
        progress("score")
        score(settings)
        progress("forecast")
        forecast.forecast(settings, progress)
    progress("dispatch")
    dispatch(settings)
    with warehouse.connect(settings) as con:
        return warehouse.hashes(con)


def issued_forecasts(settings: Settings) -> Mapping[str, pl.DataFrame] | None:
    """Everything that the forecast step recorded last for this ``as_of``; None where a part is missing."""
    newest = {kind: issues.newest(settings, kind) for kind in forecast.RECORDS}
    kept = {kind: frame for kind, frame in newest.items() if frame is not None}
    return kept if len(kept) == len(newest) else None
