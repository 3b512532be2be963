"""Feeds: one module per source, the protocols they share, and this registry.

A new agency needs one module here, one file in ``sql/staging/``, one suite in ``expectations/`` and one line below. A
feed with a ``source_type`` needs none of them: its profile declares everything.
"""

from collections.abc import Callable, Iterator, Mapping

from pipelines.config.profile import Profile, ProfileError
from pipelines.config.profile_checks import Problem
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
from pipelines.feeds.generic import boundaries, data_police_uk, geojson, socrata
from pipelines.schema.incident import SERVICES

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
    "boundaries": boundaries.declared,
}
"""Kinds of source: each builds a feed from its name and its profile."""

CHECKS: Mapping[str, Callable[[str, Profile], Iterator[Problem]]] = {
    "socrata": socrata.problems,
    "data_police_uk": data_police_uk.problems,
    "geojson": geojson.problems,
    "boundaries": boundaries.problems,
}
"""What is wrong with the entry of a feed of each kind."""

_TAKEN = (
    "incidents",
    "dispatches",
    "versions",
    "firsts",
    "words",
    "rows",
    "excluded",
    "unplaced",
    "lists",
    "missing",
    "keys",
)
"""Tables of schema staging whose names are not feed names, or the suffix that follows a feed's name."""


def of(profile: Profile) -> tuple[Feed, ...]:
    """Return the feeds of a profile: registered feeds in registry order, then those with a source type in profile
    order.

    Raises:
        ProfileError: The profile names an unregistered feed or declares one that is invalid.
    """
    if wrong := list(problems(profile)):
        raise profile.refusal(wrong)
    registered = tuple(feed for feed in FEEDS if feed.name in profile.feeds)
    declared = [(name, source.source_type) for name, source in profile.feeds.items() if source.source_type]
    return registered + tuple(SOURCE_TYPES[source_type](name, profile) for name, source_type in declared)


def problems(profile: Profile) -> Iterator[Problem]:
    """Yield what is wrong with the feeds of a profile, and services that no record has."""
    known = {feed.name for feed in FEEDS}
    endings = tuple(f"_{word}" for word in _TAKEN if word != "incidents")
    for name, source in profile.feeds.items():
        if source.source_type is None and name not in known:
            yield (
                ("feeds", name),
                f"is not registered, and has no source_type ({', '.join(SOURCE_TYPES)}); registered: {sorted(known)}",
            )
        elif source.source_type and (name in known or name in _TAKEN or name.endswith(endings)):
            yield ("feeds", name), "this name is already in use, choose another"
        if source.source_type:
            yield from CHECKS[source.source_type](name, profile)
    named = (
        *((("feeds", name, "services"), source.services) for name, source in profile.feeds.items()),
        *((("demand", "services", name), (entry.service,)) for name, entry in profile.demand.services.items()),
        *((("categories", name), (entry.service,)) for name, entry in profile.categories.items() if entry.service),
    )
    for key, services in named:
        if unknown := [service for service in services if service not in SERVICES]:
            yield key, f"{', '.join(map(repr, unknown))} is not a service: {', '.join(SERVICES)}"
    yield from _unsupplied(profile)


def _unsupplied(profile: Profile) -> Iterator[Problem]:
    """Yield services of demand of which no feed has records."""
    supplied = {service for source in profile.feeds.values() for service in source.services}
    for name, entry in profile.demand.services.items():
        if entry.service in SERVICES and entry.service not in supplied:
            listed = ", ".join(service for service in SERVICES if service in supplied) or "none"
            yield (
                ("demand", "services", name),
                f"no feed of this profile supplies {entry.service!r}; supplied: {listed}; remove it here, or add it to "
                "the services of its feed",
            )


def named(profile: Profile, name: str) -> Feed:
    """Return one feed of a profile.

    Raises:
        ProfileError: The profile has no such feed.
    """
    for feed in of(profile):
        if feed.name == name:
            return feed
    raise ProfileError(f"profile {profile.name} has no feed {name!r}; it has {sorted(profile.feeds)}")
