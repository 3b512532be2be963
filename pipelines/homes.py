"""A home: the folder that holds everything at run time. It serves one profile, recorded at first use."""

from pathlib import Path

from pipelines import ledger
from pipelines.profile import Profile, ProfileError, load

DEFAULT_PROFILE = "korea"


def profile_of(home: Path, wanted: str | None) -> Profile:
    """The profile that a home serves: the recorded one, or at first use the wanted one (default ``korea``).

    Raises:
        ProfileError: another profile is wanted than the home holds.
    """
    recorded = home / "profile"
    if not recorded.exists():
        chosen = wanted or DEFAULT_PROFILE
        profile = load(chosen)
        # A file is recorded by its full path, so that the home finds it from any folder.
        ledger.write_durably(recorded, (str(Path(chosen).resolve()) if chosen.endswith(".toml") else chosen).encode())
        return profile
    held = load(recorded.read_text("utf-8"))
    if wanted is not None and load(wanted).name != held.name:
        raise ProfileError(
            f"{home} holds the profile {held.name!r}, not {wanted!r}; choose another folder with --home or BONGSU_HOME"
        )
    return held
