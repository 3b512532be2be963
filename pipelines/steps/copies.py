"""Copies of a home: verify, replicate, restore, and the drill that proves the restore."""

import tempfile
from pathlib import Path

from pipelines.config.errors import StepError
from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.continuity import replicas
from pipelines.monitoring import run_log
from pipelines.release import integrity
from pipelines.steps.rebuild import rebuild
from pipelines.steps.run_settings import settings_of_last_run
from pipelines.store import warehouse


def verify(settings: Settings) -> dict[str, int]:
    """Check the ledger's chain, every batch, record and released file byte for byte; return the number of each."""
    with run_log.recorded(settings, "verify"):
        return {**replicas.verify(settings), "files of releases": integrity.verify(settings)}


def replicate(settings: Settings, url: str | None) -> int:
    """Copy the home to a URL and return the number of files; without a URL, copy nothing and return 0."""
    with run_log.recorded(settings, "replicate"):
        return replicas.replicate(settings, url) if url else 0


def restore(home: Path, url: str, master_key: Path) -> None:
    """Restore a home from a copy, verified before it appears, and rebuild its warehouse.

    If the copy fails any check, everything written is deleted. When only the rebuild fails, the verified home stays:
    run `bongsu rebuild`.
    """
    replicas.restore(home, url, master_key)
    rebuild(settings_of_last_run(home))


def drill(settings: Settings, url: str | None, progress: Progress = silent) -> int:
    """Restore a copy into a temporary folder, rebuild it, and compare every table with this home's.

    Args:
        settings: The home, which has the master key.
        url: The copy; None: a new one in a temporary folder of the home, deleted afterwards.
        progress: Called with text about the progress.

    Returns:
        The number of tables, all equal.

    Raises:
        StepError: a table differs.
    """
    with run_log.recorded(settings, "drill"), tempfile.TemporaryDirectory(dir=settings.home) as aside:
        if url is None:
            progress("replicate")
            url = f"{aside}/copy"
            replicas.replicate(settings, url)
        progress("restore")
        restored = settings.model_copy(update={"home": Path(aside) / "home"})
        replicas.restore(restored.home, url, settings.keys / "master.key")
        restored_hashes = rebuild(restored, progress)
        with warehouse.connect(settings) as con:
            original_hashes = {
                name: digest for name, digest in warehouse.hashes(con).items() if not name.startswith("views.")
            }
        different = sorted(name for name, digest in original_hashes.items() if restored_hashes.get(name) != digest)
        if different:
            raise StepError(
                f"{len(different)} of {len(original_hashes)} tables differ after the restore: "
                f"{', '.join(different[:5])}"
            )
        return len(original_hashes)
