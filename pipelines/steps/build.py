"""Build: reference, staging, core and marts from raw, checked by their quality gates."""

from pipelines import feeds
from pipelines.config.settings import Settings
from pipelines.ingest import merge
from pipelines.monitoring import alerts, feed_volume, run_log
from pipelines.quality import gates
from pipelines.schema import check
from pipelines.store import warehouse
from pipelines.transform import build as models


def build(settings: Settings) -> None:
    """Build every table from ``reference`` to ``marts``, check their quality gates, and record alerts.

    Raises:
        QualityError: the quality gate of a table failed from which everything is made.
    """
    with run_log.recorded(settings, "build"), warehouse.connect(settings) as con:
        for feed in feeds.of(settings.profile):
            merge.prepare(con, feed)
        models.build(con, settings)
        check.check(con, "reference", "staging", "core", "marts")
        gates.check(con, "core", "marts")
        alerts.keep(settings, alerts.gather(con, feed_volume.write(con, settings)))
