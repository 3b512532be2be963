"""A home being restored: a folder next to its place, which becomes the home as a whole or not at all."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.continuity.source import ContinuityError
from pipelines.store import ledger


def refuse_occupied(home: Path) -> None:
    """Check that a home does not exist yet, or contains only empty folders.

    Raises:
        ContinuityError: It has content, or cannot be replaced.
    """
    if home.exists() and not home.is_dir():
        raise ContinuityError(f"{home} is not a folder; restore into a new or empty folder with --home")
    if any(path.is_symlink() or not path.is_dir() for path in home.rglob("*")):
        raise ContinuityError(f"{home} already has files; restore into a new or empty folder with --home")
    if home.is_mount():
        raise ContinuityError(f"{home} is a mount point and cannot be replaced; restore into a folder in it")


@contextmanager
def staged(home: Path) -> Iterator[Path]:
    """Yield a folder next to a home, which replaces the home when the block succeeds and is removed when it fails.

    An empty folder at that path may restrict the home's permissions further, but not widen them.

    Raises:
        ContinuityError: It cannot be written, or something appeared in the home meanwhile.
    """
    absent = [folder for folder in home.parents if not folder.exists()]
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        # The outer folder is readable by its owner only; the inner one gets the mode of a home.
        with tempfile.TemporaryDirectory(prefix=f".{home.name}.restore-", dir=home.parent) as outer:
            folder = Path(outer) / "home"
            folder.mkdir()
            yield folder
            _replace(home, folder)
    except BaseException as error:
        for parent in absent:
            with suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError):
            raise ContinuityError(f"{home} cannot be written ({error}); restore into another folder") from error
        raise


def _replace(home: Path, folder: Path) -> None:
    if home.exists():
        folder.chmod(stat.S_IMODE(folder.stat().st_mode & home.stat().st_mode))
        for empty in sorted(home.rglob("*"), reverse=True):
            empty.rmdir()
    os.rename(folder, home)  # fails if the home is not empty
    ledger.sync_folder(home.parent)
