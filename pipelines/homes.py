"""A home: the folder that holds everything at run time. It serves one profile, recorded at first use."""

from pathlib import Path

from pipelines import ledger
from pipelines.profile import Profile, ProfileError, load

DEFAULT_PROFILE = "korea"
RECORD = "profile"
# The home's own copy of a profile given as a file. A restored home records this name, not the path.
COPY = "profile.toml"


def profile_of(home: Path, wanted: str | None) -> Profile:
    """The profile that a home serves: the recorded one, or before that the wanted one (default ``korea``).

    Raises:
        ProfileError: another profile is wanted than the home holds.
    """
    recorded = _recorded(home)
    if recorded is None or (wanted is not None and _replaces_copy(home, recorded, wanted)):
        return load(wanted or DEFAULT_PROFILE)
    if wanted is not None and _source(wanted) != recorded:
        raise ProfileError(
            f"{home} holds the profile {recorded!r}, not {wanted!r}; choose another folder with --home or BONGSU_HOME"
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
    """What a restored home records: of a profile given as a file the home's own copy, never the path in the record."""
    return COPY.encode() if recorded.endswith(b".toml") else recorded


def _replaces_copy(home: Path, recorded: str, wanted: str) -> bool:
    """Whether a wanted file is the profile of a restored home, which knows only its own copy of it."""
    is_file = recorded == COPY and wanted.endswith(".toml")
    return is_file and load(wanted).name == load(str(home / COPY)).name


def _original(recorded: str) -> Path | None:
    """The file that a profile was first read from, as long as it is there."""
    path = Path(recorded)
    return path if path.is_absolute() and path.suffix == ".toml" and path.is_file() else None


def _recorded(home: Path) -> str | None:
    path = home / RECORD
    return path.read_text("utf-8", "replace") if path.is_file() else None


def _source(wanted: str) -> str:
    """A shipped profile by its name, a file by its full path, so that the home finds it from any folder."""
    return str(Path(wanted).resolve()) if wanted.endswith(".toml") else wanted
