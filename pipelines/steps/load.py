"""Load: parse, check and merge the stored deliveries of a feed."""

from pipelines import feeds
from pipelines.config.errors import StepError
from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.ingest import load as ingest
from pipelines.monitoring import run_log
from pipelines.store import warehouse

COUNTS = ("received", "loaded", "unchanged", "quarantined", "rejected")


def load(settings: Settings, feed: str, _progress: Progress = silent) -> dict[str, int]:
    """Load the landed batches of a feed that are not loaded yet; returns their row accounting, summed.

    Raises:
        StepError: A batch is rejected; its rows are counted and the cursor is unchanged. Every load repeats this until
            a later batch covers the same window.
    """
    with run_log.recorded(settings, "load", feed):
        source = feeds.named(settings.profile, feed)
        with warehouse.connect(settings) as con:
            accounts = ingest.load_pending(con, settings, source)
            refused = ingest.refused(con, source)
        if refused:
            raise StepError(f"{feed}: {len(refused)} batches rejected; first: {refused[0]}")
        return {name: sum(getattr(account, name) for account in accounts) for name in COUNTS}
