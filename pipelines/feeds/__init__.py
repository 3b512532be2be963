"""Feeds: one module per source, the protocols they share, and this registry.

A new agency is one module here, one file in ``sql/staging/``, one suite in ``expectations/`` and one line below.
"""

from pipelines.feeds import (
    fire_119,
    investigation_cases,
    police_112,
    toronto_fire_incidents,
    toronto_neighbourhoods,
    toronto_police_facilities,
    toronto_police_mci,
    toronto_shootings,
)
from pipelines.feeds.feed import Feed
from pipelines.profile import Profile, ProfileError

FEEDS: tuple[Feed, ...] = (
    police_112.FEED,
    fire_119.FEED,
    investigation_cases.FEED,
    toronto_police_mci.FEED,
    toronto_fire_incidents.FEED,
    toronto_shootings.FEED,
    toronto_neighbourhoods.FEED,
    toronto_police_facilities.FEED,
)


def of(profile: Profile) -> tuple[Feed, ...]:
    """The feeds of a profile, in the registry's order.

    Raises:
        ProfileError: the profile names a feed that is not registered.
    """
    known = {feed.name for feed in FEEDS}
    if unknown := sorted(set(profile.feeds) - known):
        raise ProfileError(
            f"profile {profile.name} names feeds that nobody registered: {unknown}; known: {sorted(known)}"
        )
    return tuple(feed for feed in FEEDS if feed.name in profile.feeds)


def named(profile: Profile, name: str) -> Feed:
    """One feed of a profile.

    Raises:
        ProfileError: the profile has no such feed.
    """
    for feed in of(profile):
        if feed.name == name:
            return feed
    raise ProfileError(f"profile {profile.name} has no feed {name!r}; it has {sorted(profile.feeds)}")
