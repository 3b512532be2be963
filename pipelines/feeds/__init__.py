"""Feeds: one module per source, the protocols they share, and this registry.

A new agency needs one module here, one file in ``sql/staging/``, one suite in ``expectations/`` and one line below. A
feed with a ``source_type`` needs none of them: its profile declares everything.
"""

from collections.abc import Callable, Mapping

from pipelines.config.profile import Profile, ProfileError
from pipelines.feeds import (
    fire_119,
    fire_calls_jeonbuk,
    fire_calls_seoul,
    fire_ems_busan,
    fire_rescue_busan,
    investigation_cases,
    patrols,
    police_112,
    police_112_keys,
    toronto_fire_incidents,
    toronto_neighbourhoods,
    toronto_police_facilities,
    toronto_police_mci,
    toronto_shootings,
)
from pipelines.feeds.feed import Feed
from pipelines.feeds.generic import data_police_uk, geojson, socrata

FEEDS: tuple[Feed, ...] = (
    police_112.FEED,
    police_112_keys.FEED,
    fire_119.FEED,
    fire_calls_seoul.FEED,
    fire_calls_jeonbuk.FEED,
    fire_ems_busan.FEED,
    fire_rescue_busan.FEED,
    investigation_cases.FEED,
    patrols.FEED,
    toronto_police_mci.FEED,
    toronto_fire_incidents.FEED,
    toronto_shootings.FEED,
    toronto_neighbourhoods.FEED,
    toronto_police_facilities.FEED,
)


SOURCE_TYPES: Mapping[str, Callable[[str, Profile], Feed]] = {
    "socrata": socrata.declared,
    "data_police_uk": data_police_uk.declared,
    "geojson": geojson.declared,
}
"""Kinds of source: each builds a feed from its name and its profile."""

_TAKEN = ("incidents", "dispatches", "versions", "firsts", "words", "rows", "excluded", "lists", "missing", "keys")
"""Tables of schema staging whose names are not feed names, or the suffix that follows a feed's name."""


def of(profile: Profile) -> tuple[Feed, ...]:
    """Return the feeds of a profile: registered feeds in registry order, then those with a source type in profile
    order.

    Raises:
        ProfileError: The profile names an unregistered feed or declares one that is invalid.
    """
    known = {feed.name for feed in FEEDS}
    declared = [name for name, source in profile.feeds.items() if source.source_type]
    if unknown := sorted(set(profile.feeds) - known - set(declared)):
        raise ProfileError(
            f"profile {profile.name} names feeds that are not registered: {unknown}; registered: {sorted(known)}; "
            f"feeds may also be declared with a source_type ({', '.join(SOURCE_TYPES)})"
        )
    endings = tuple(f"_{word}" for word in _TAKEN if word != "incidents")
    if taken := [name for name in declared if name in known or name in _TAKEN or name.endswith(endings)]:
        raise ProfileError(f"profile {profile.name} declares {taken}: these names are already in use, choose others")
    registered = tuple(feed for feed in FEEDS if feed.name in profile.feeds)
    return registered + tuple(SOURCE_TYPES[profile.feeds[name].source_type or ""](name, profile) for name in declared)


def named(profile: Profile, name: str) -> Feed:
    """Return one feed of a profile.

    Raises:
        ProfileError: The profile has no such feed.
    """
    for feed in of(profile):
        if feed.name == name:
            return feed
    raise ProfileError(f"profile {profile.name} has no feed {name!r}; it has {sorted(profile.feeds)}")
