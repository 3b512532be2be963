"""A home: the folder that holds everything at run time. It serves one profile, recorded at first use."""

from pathlib import Path

from pipelines import ledger
from pipelines.profile import Profile, ProfileError, load

DEFAULT_PROFILE = "korea"


def profile_of(home: Path, wanted: str | None) -> Profile:
    """The profile that a home serves: the recorded one, or before that the wanted one (default ``korea``).

    Raises:
        ProfileError: another profile is wanted than the home holds.
    """
    held = _recorded(home)
    if held is None:
        return load(wanted or DEFAULT_PROFILE)
    if wanted is not None and _source(wanted) != held:
        raise ProfileError(
            f"{home} holds the profile {held!r}, not {wanted!r}; choose another folder with --home or BONGSU_HOME"
        )
    copy = home / "profile.toml"
    return load(str(copy)) if held.endswith(".toml") and not Path(held).is_file() and copy.is_file() else load(held)


def record_profile(home: Path, wanted: str | None) -> None:
    """Record the profile of a home at first use; a profile given as a file is copied, so that a restore finds it."""
    if _recorded(home) is None:
        ledger.write_durably(home / "profile", _source(wanted or DEFAULT_PROFILE).encode())
    held = Path(_recorded(home) or "")
    if held.suffix == ".toml" and held.is_file():
        ledger.write_durably(home / "profile.toml", held.read_bytes())


def _recorded(home: Path) -> str | None:
    path = home / "profile"
    return path.read_text("utf-8") if path.is_file() else None


def _source(wanted: str) -> str:
    """A shipped profile by its name, a file by its full path, so that the home finds it from any folder."""
    return str(Path(wanted).resolve()) if wanted.endswith(".toml") else wanted
