"""A home: the folder that holds everything at run time. It serves one profile, recorded at first use.

It belongs to one user of the machine. Others can only pass through it to a release, and read that as the release's
group.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipelines.config import logs
from pipelines.config.profile import Profile, ProfileError, load
from pipelines.store import ledger

DEFAULT_PROFILE = "korea"
RECORD = "profile"
# The home's own copy of a profile given as a file. A restored home records this name, not the path.
COPY = "profile.toml"
PRIVATE = ("airflow", "keys", "landing", "ledger.jsonl", "ledger.lock", COPY, RECORD, "records", "work")
OWNER_ONLY, TRAVERSABLE, GROUP_READABLE = 0o700, 0o711, 0o750

log = logs.logger(__name__)


def protect(home: Path) -> None:
    """Create a home that is missing, and close it to other users except for the path to its releases.

    Home, ``published`` and ``published/releases`` have mode 0711, a release 0750, all other folders 0700 and files
    0600; files of other owners keep their mode. In an existing home, permissions are only removed: further restrictions
    by its owner stay. Everything this process creates from now on is accessible to its owner only (umask 077).
    """
    if _recorded(home) is None:
        home.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # a folder of another user: reported below
            home.chmod(TRAVERSABLE)
    os.umask(os.umask(0o077) | 0o077)
    if still_open := [path for path, mode in _modes(home) if not _restrict(path, mode)]:
        log.warning(
            "other users can open files here and their mode cannot be changed: check their owner "
            "home=%s paths=%d first=%s",
            home, len(still_open), still_open[0],
        )  # fmt: skip


def create_traversable(folder: Path) -> None:
    """Create a folder, unless it exists, that other users can pass through but not list."""
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(TRAVERSABLE)


def profile_of(home: Path, wanted: str | None) -> Profile:
    """Return the profile of a home: the recorded one, or before that the wanted one (default ``korea``).

    Raises:
        ProfileError: Another profile is wanted than the home has.
    """
    recorded = _recorded(home)
    if recorded is None or (wanted is not None and _replaces_copy(home, recorded, wanted)):
        return load(wanted or DEFAULT_PROFILE)
    if wanted is not None and _source(wanted) != recorded:
        raise ProfileError(
            f"{home} has the profile {recorded!r}, not {wanted!r}; choose another folder with --home or BONGSU_HOME"
        )
    return load(str(_original(recorded) or home / COPY) if recorded.endswith(".toml") else recorded)


def record_profile(home: Path, wanted: str | None) -> None:
    """Record the profile of a home at first use; a profile given as a file is copied, so that a restore finds it."""
    recorded = _recorded(home)
    if recorded is None or (wanted is not None and _replaces_copy(home, recorded, wanted)):
        recorded = _source(wanted or DEFAULT_PROFILE)
        ledger.write_durably(home / RECORD, recorded.encode())
    if original := _original(recorded):
        ledger.write_durably(home / COPY, original.read_bytes())


def restored(recorded: bytes) -> bytes:
    """Return the profile name of a restored home: for a profile given as a file its own copy, never a recorded path."""
    return COPY.encode() if recorded.endswith(b".toml") else recorded


def _replaces_copy(home: Path, recorded: str, wanted: str) -> bool:
    """Return whether a wanted file is the profile of a restored home, which has only its own copy of it."""
    is_file = recorded == COPY and wanted.endswith(".toml")
    return is_file and load(wanted).name == load(str(home / COPY)).name


def _original(recorded: str) -> Path | None:
    """Return the file from which a profile was first read, if it still exists."""
    path = Path(recorded)
    return path if path.is_absolute() and path.suffix == ".toml" and path.is_file() else None


def _recorded(home: Path) -> str | None:
    path = home / RECORD
    try:
        return path.read_text("utf-8", "replace") if path.is_file() else None
    except PermissionError as error:
        raise ProfileError(
            f"{home} belongs to another user; open the files of its release directly, in {home}/published/current"
        ) from error


def _modes(home: Path) -> Iterator[tuple[Path, int]]:
    """Yield every path that determines access to a home, with the most permissive mode allowed."""
    published = home / "published"
    releases = published / "releases"
    yield from ((folder, TRAVERSABLE) for folder in (home, published, releases))
    yield from ((home / name, OWNER_ONLY) for name in PRIVATE)
    yield from ((path, GROUP_READABLE) for path in (releases.iterdir() if releases.is_dir() else ()))


def _restrict(path: Path, mode: int) -> bool:
    """Remove the permissions of a file or folder that a mode lacks; return whether that succeeded."""
    try:
        current = path.stat().st_mode
        if current & 0o777 & ~mode:
            path.chmod(current & (mode | 0o7000))  # keeps the set-group-ID bit
    except OSError:
        return not path.exists()  # such as a temporary file of another process
    return True


def _source(wanted: str) -> str:
    """Return a shipped profile by its name, a file by its full path, so that the home finds it from any folder."""
    return str(Path(wanted).resolve()) if wanted.endswith(".toml") else wanted
