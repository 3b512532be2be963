"""What a profile says that cannot be meant: checked when it is read, before anything is fetched.

Each problem names its key, so that the message can name its line.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from zoneinfo import available_timezones

if TYPE_CHECKING:
    from pyproj import CRS

    from pipelines.config.profile import Profile

Problem = tuple[tuple[str, ...], str]
"""The key, as its parts, and what is wrong with it."""

MOST_DISTORTION: Final = 0.05
"""Largest error of lengths in the place's CRS."""
_WEB: Final = re.compile(
    r"//(?:[^\s/@]*@)?(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9a-fA-F:]+\])(?::\d+)?(?:[/?#]\S*)?$"
)
_TABLE: Final = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY: Final = re.compile(r"""^\s*("[^"]+"|'[^']+'|[A-Za-z0-9_.-]+)\s*=""")


def problems(profile: "Profile") -> Iterator[Problem]:
    """Yield what is wrong with a profile whose fields have the right types."""
    yield from _place(profile)
    yield from _crs(profile)
    yield from _areas(profile)
    yield from _urls(profile)
    yield from _sources(profile)
    yield from _words(profile)
    yield from _categories(profile)


def lines_of_keys(text: str) -> Mapping[tuple[str, ...], int]:
    """Return the line of every key and table of a TOML file, first line 1; inline tables count as their key."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            table = _parts(match[1])
            # A table also begins those above it, which need no line of their own.
            for end in range(1, len(table) + 1):
                lines.setdefault(table[:end], number)
        elif match := _KEY.match(line):
            lines.setdefault((*table, *_parts(match[1])), number)
    return lines


def line_of(key: tuple[str, ...], lines: Mapping[tuple[str, ...], int]) -> int | None:
    """Return the line of a key, or of the closest table above it that the file has."""
    return next((lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in lines), None)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(r"\"[^\"]+\"|'[^']+'|[^.\s]+", dotted))


def _place(profile: "Profile") -> Iterator[Problem]:
    if profile.time_zone not in available_timezones():
        yield ("time_zone",), f"{profile.time_zone!r} is not a time zone of the IANA list, such as Europe/Paris"
    west, south, east, north = profile.bounds
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        yield ("bounds",), f"{list(profile.bounds)} is not west, south, east, north in degrees"
    if profile.grid.map_metres % profile.grid.cell_metres:
        yield ("grid", "map_metres"), f"is not a multiple of grid.cell_metres {profile.grid.cell_metres}"
    if unknown := unknown_holidays(profile.country, profile.subdivision):
        key, reason = unknown
        yield (key,), reason


def unknown_holidays(country: str, subdivision: str | None) -> tuple[str, str] | None:
    """Return which of the two has no known public holidays, and why; None if both have."""
    from holidays import list_supported_countries

    countries = list_supported_countries(include_aliases=True)
    if country not in countries:
        return "country", f"{country!r} is not a country whose holidays are known; give its ISO 3166 code"
    if subdivision and subdivision not in countries[country]:
        known = ", ".join(countries[country]) or "none"
        return "subdivision", f"{subdivision!r} is not a subdivision of {country}: {known}"
    return None


def _crs(profile: "Profile") -> Iterator[Problem]:
    """Yield why a CRS cannot measure metres in the place: unknown, in degrees or feet, of elsewhere, or distorted."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        crs = CRS.from_user_input(profile.crs)
    except CRSError:
        yield ("crs",), f"{profile.crs!r} is not a known CRS; give the EPSG code of a projected one in metres"
        return
    if not crs.is_projected or any(axis.unit_conversion_factor != 1 for axis in crs.axis_info):
        unit = crs.axis_info[0].unit_name
        yield (
            ("crs",),
            f"the unit of {profile.crs} is {unit}: give a projected CRS in metres, such as a UTM zone",
        )
        return
    region = crs.area_of_use
    west, south, east, north = profile.bounds
    if region is None:
        return
    box = max(west, region.west), max(south, region.south), min(east, region.east), min(north, region.north)
    if box[0] >= box[2] or box[1] >= box[3]:
        yield ("crs",), f"{profile.crs} is for {region.name}, outside bounds {list(profile.bounds)}"
    elif (scale := _farthest_scale(crs, box)) > 1 + MOST_DISTORTION:
        yield ("crs",), f"{profile.crs} is not true to scale: 100 m in it may be {100 / scale:.0f} m in the place"


def _farthest_scale(crs: "CRS", box: tuple[float, float, float, float]) -> float:
    """Return the largest scale at the corners and the middle of a box in degrees."""
    import numpy as np
    from pyproj import Proj

    west, south, east, north = box
    lons = [west, west, east, east, (west + east) / 2]
    lats = [south, north, south, north, (south + north) / 2]
    factors = Proj(crs).get_factors(lons, lats)
    return float(np.max([factors.meridional_scale, factors.parallel_scale]))


def _areas(profile: "Profile") -> Iterator[Problem]:
    """Yield what the hierarchies lack: with boundaries of a feed, that feed and the properties to read."""
    areas = profile.areas
    if areas.source == "feed":
        for name in ("feed", "id_column", "name_column"):
            if not getattr(areas, name):
                yield ("areas", name), 'is missing: source = "feed" needs it'
    for name, feed in (("feed", areas.feed), ("facilities_feed", areas.facilities_feed)):
        if feed and feed not in profile.feeds:
            yield ("areas", name), f"{feed!r} is not a feed of this profile: {', '.join(profile.feeds)}"
    if areas.facilities_feed and not areas.facilities_name_column:
        yield ("areas", "facilities_name_column"), "is missing: facilities_feed needs it"
    try:
        groups = re.compile(areas.facilities_pattern).groups
    except re.error as error:
        yield ("areas", "facilities_pattern"), f"{areas.facilities_pattern!r} is not a regular expression: {error}"
    else:
        if not groups:
            yield ("areas", "facilities_pattern"), "has no group: put the station's identifier in brackets"
    for name in ("nation", "region", "region_id"):
        if not getattr(areas, name).strip():
            yield ("areas", name), "is empty: write the name or code of the area"
    if areas.region_id == areas.nation:
        yield ("areas", "region_id"), f"{areas.region_id!r} is the nation; give the region a code of its own"


def _urls(profile: "Profile") -> Iterator[Problem]:
    """Yield addresses that nothing can open."""
    from fsspec import available_protocols

    known = {*available_protocols(), "simulator"}
    for name, source in profile.feeds.items():
        url, (scheme, _, rest) = source.url, source.url.partition(":")
        is_path = url.startswith(("/", "./", "../", "~/"))
        is_web = scheme in ("http", "https")
        if not is_path and scheme not in known:
            yield (
                ("feeds", name, "url"),
                f"{url!r} begins with no known scheme: write https://… or the path of a folder",
            )
        elif is_web and not _WEB.match(rest):
            yield ("feeds", name, "url"), f"{url!r} is not an address of the form {scheme}://host/path"
        elif scheme == "simulator" and rest:
            yield ("feeds", name, "url"), f"{url!r} has text after simulator:, remove it"


def _sources(profile: "Profile") -> Iterator[Problem]:
    """Yield what no record could match: an unknown CRS, confirmed points abroad, days stated twice, spaces."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    west, south, east, north = profile.bounds
    for name, source in profile.feeds.items():
        here = ("feeds", name)
        if source.crs != "KATEC":
            try:
                is_flat = len(CRS.from_user_input(source.crs).axis_info) == 2
            except CRSError:
                is_flat = False
            if not is_flat:
                yield (*here, "crs"), f"{source.crs!r} is not a known CRS of points: give the EPSG code of the source's"
        for lon, lat in source.confirmed_points:
            if not (west <= lon <= east and south <= lat <= north):
                yield (
                    (*here, "confirmed_points"),
                    f"[{lon:g}, {lat:g}] is outside bounds {list(profile.bounds)}: write longitude first",
                )
        for quiet in source.quiet_spans:
            if any(quiet.first_day <= out.last_day and out.first_day <= quiet.last_day for out in source.outages):
                yield (
                    (*here, "quiet_spans"),
                    f"{quiet.first_day} to {quiet.last_day} shares days with outages: state each day once",
                )
        # The words of a source type are trimmed before they are compared.
        for key in ("categories", "excluded_categories", "priorities"):
            for word in getattr(source, key):
                if source.source_type and word != word.strip():
                    yield (*here, key, word), f"{word!r} begins or ends with a space: remove it"


def _words(profile: "Profile") -> Iterator[Problem]:
    services = {entry.service for entry in profile.demand.services.values()} | profile.demand.services.keys()
    for name in profile.demand.service_minutes.keys() - services:
        yield (
            ("demand", "service_minutes"),
            f"{name!r} is not a service of demand.services: {', '.join(sorted(services)) or 'there is none'}",
        )
    for name, shift in profile.demand.shifts.items():
        if unknown := [word for word in shift.services if word not in profile.demand.services]:
            yield ("demand", "shifts", name), f"{', '.join(unknown)}: not among demand.services; add it there"


def _categories(profile: "Profile") -> Iterator[Problem]:
    # An undefined category would count as neither crime nor sensitive, and pass every filter for either.
    for name, feed in profile.feeds.items():
        for source, word in feed.categories.items():
            if word not in profile.categories:
                key = ("feeds", name, "categories", source)
                yield key, f"maps to {word!r}, which [categories] does not define: add it there with its flags"
    if "other" not in profile.categories:
        yield ("categories",), 'there is no category other, as which unmapped ones count: other = { label = "Other" }'
    for name, category in profile.categories.items():
        if category.is_sensitive and category.is_risk_allowed:
            yield ("categories", name), "is both sensitive and allowed in risk: sensitive matters never enter risk"
