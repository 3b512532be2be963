"""The true events in a province, before any agency records them: background, near repeats, joint events, clusters.

Every event has a day, a second of that local day, a location in metres and its fresh uniform numbers ``u``, from which
the agencies' records derive everything else. All random numbers are keyed by province and day, so a province simulated
alone equals the same province simulated with others. Truth leaves the simulator only through `truth` and `tables`.

* Near repeats: a share of burglaries and vehicle thefts is followed by one more of the same type, within 14 days and
200 m.
* Joint events: one place and time for two agencies' records.
* Clusters: `clusters.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import IntEnum

import numpy as np

from pipelines.config.profile import Profile
from pipelines.simulator import rates as known
from pipelines.simulator import shocks
from pipelines.simulator.agencies import settings
from pipelines.simulator.clock import midnight
from pipelines.simulator.places import places
from pipelines.simulator.rates import Rates, day_kinds
from pipelines.simulator.seeds import Draws, Flags, Floats, Integers, again, cumulated, draw, pick
from pipelines.simulator.tables import table

NEAR_REPEAT_CATEGORIES = ("침입절도", "차량절도")
NEAR_REPEAT_RATIO = 0.30
"""Share of these offences that are followed by a repeat."""
NEAR_REPEAT_DAYS = 14
NEAR_REPEAT_MEAN_DAYS = 5.0
NEAR_REPEAT_M = 200.0

JOINT_DISTANCE_M = 60.0


class U(IntEnum):
    """What each uniform number of an event determines."""

    DISTRICT = 0
    PLACE = 1
    JITTER_X = 2
    JITTER_Y = 3
    HOUR = 4
    SECOND = 5
    REPEATS = 6
    REPEAT_DAYS = 7
    REPEAT_DISTANCE = 8
    REPEAT_ANGLE = 9
    CODE = 10
    LAG = 11
    HOUR_KNOWN = 12
    CHANNEL = 13
    LOCATION = 14
    LOCATION_X = 15
    LOCATION_Y = 16
    PROCESSING = 17
    TRAVEL = 18
    SCENE = 19
    UNITS = 20
    FLEET = 21
    CHANGE = 22
    CHANGE_DAYS = 23
    UGLY = 24


WIDTH = len(U)


class Origin(IntEnum):
    """Cause of an event, other than chance."""

    BACKGROUND = 0
    NEAR_REPEAT = 1
    CLUSTER = 2
    JOINT = 3


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one province as arrays.

    ``kind`` is the row of the agency's table of calls, ``district`` the index into the places, ``origin`` an `Origin`.
    ``event`` numbers the background events (-1 for others); ``cause`` is the parent's ``event`` of a near repeat, the
    number of a cluster, or the number shared by both agencies' records of a joint event (-1: none).
    """

    day: Integers
    kind: Integers
    district: Integers
    x: Floats
    y: Floats
    second: Integers
    origin: Integers
    event: Integers
    cause: Integers
    u: Floats

    def where(self, chosen: Flags | Integers) -> "Events":
        """Return the events selected by a mask or an index."""
        return Events(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def joined(parts: Sequence[Events]) -> Events:
    """Concatenate events."""
    return Events(*(np.concatenate([getattr(part, name) for part in parts]) for name in Events.__dataclass_fields__))


def police(profile: Profile, province: str, days: Sequence[int]) -> Events:
    """Return the events behind 112 calls of a province on the given days; `clusters.py` adds the clusters."""
    calls = table("police_calls")
    words = calls["category"].to_list()
    rates = known.police(province, places(profile, province).ids)
    shared = joint(profile, province, days)
    rows = np.array([words.index(word) for word in table("joint_calls")["police_category"]])
    yearly = rates.yearly.copy()
    np.subtract.at(yearly, rows, known.joint(province, places(profile, province).ids).yearly)
    repeating = np.isin(words, NEAR_REPEAT_CATEGORIES)
    yearly[repeating] /= 1 + NEAR_REPEAT_RATIO
    groups = calls["places"].to_list()
    once, twice = (replace(rates, yearly=np.where(mask, yearly, 0.0)) for mask in (~repeating, repeating))
    # Only repeated offences are also drawn for earlier days: their repeats may fall on these days.
    earlier = range(min(days) - NEAR_REPEAT_DAYS, max(days) + 1)
    parents = _background(profile, province, "police", twice, groups, earlier, stream=1)
    children = _near_repeats(parents.where(parents.u[:, U.REPEATS] < NEAR_REPEAT_RATIO), rates, profile)
    on_days = [part.where((part.day >= min(days)) & (part.day <= max(days))) for part in (parents, children)]
    background = _background(profile, province, "police", once, groups, days, stream=0)
    return joined([background, *on_days, replace(shared, kind=rows[shared.kind])])


def fire(profile: Profile, province: str, days: Sequence[int]) -> Events:
    """Return the events behind 119 calls of a province on the given days."""
    calls = table("fire_calls")
    rates = known.fire(province, places(profile, province).ids)
    shared = joint(profile, province, days)
    rows = np.array([calls["class"].to_list().index(word) for word in table("joint_calls")["fire_class"]])
    yearly = rates.yearly.copy()
    np.subtract.at(yearly, rows, known.joint(province, places(profile, province).ids).yearly)
    groups = ["general"] * calls.height
    background = _background(profile, province, "fire", replace(rates, yearly=yearly), groups, days, stream=0)
    # The fire service's copy of a joint event has its fresh numbers: only location and time are shared.
    return joined([background, replace(shared, kind=rows[shared.kind], u=again(shared.u, 1))])


def joint(profile: Profile, province: str, days: Sequence[int]) -> Events:
    """Return events that police and fire both attend; ``kind`` is the row of `joint_calls.csv`."""
    rates = known.joint(province, places(profile, province).ids)
    groups = ["general"] * rates.yearly.size
    events = _background(profile, province, "joint", rates, groups, days, stream=2)
    none = np.full_like(events.event, -1)
    return replace(events, origin=np.full_like(events.origin, Origin.JOINT), event=none, cause=events.event)


def midnights(profile: Profile, days: Integers) -> Integers:
    """Return each day's local midnight in seconds since 1970 (UTC)."""
    distinct, where = np.unique(days, return_inverse=True)
    at = [midnight(date.fromordinal(int(day)), profile.time_zone) for day in distinct]
    return np.array(at, dtype=np.int64)[where] if at else np.empty(0, np.int64)


def seconds_of_day(rates: Rates, day: Integers, kind: Integers, u: Floats, country: str) -> Integers:
    """Return the second of the local day, from the kind's hours on that kind of day."""
    distinct, where = np.unique(day, return_inverse=True)
    kinds_of_day = day_kinds([int(d) for d in distinct], country)[where]
    flat = cumulated(rates.hours.reshape(-1, 24))
    hour = pick(flat, 24, kind * rates.hours.shape[1] + kinds_of_day, u[:, U.HOUR])
    return np.asarray(hour * 3600 + (u[:, U.SECOND] * 3600).astype(np.int64))


_WORDS = {
    "police": ("police", "police_calls", "category"),
    "fire": ("fire", "fire_calls", "class"),
    "joint": ("police", "joint_calls", "police_category"),
}
"""Purpose of the random numbers → agency whose shocks apply, and table of its words."""


def _background(
    profile: Profile, province: str, purpose: str, rates: Rates, groups: Sequence[str], days: Sequence[int], stream: int
) -> Events:
    """Draw events with a district, a location and a time of day. ``stream`` separates draws for one purpose."""
    seed, scale = settings(profile)
    agency, calls, column = _WORDS[purpose]
    moved = shocks.factors(seed, province, agency, table(calls)[column].to_list(), days)
    expected = rates.daily(days, profile.country) * moved * scale
    drawn = draw(seed, f"{purpose}/{stream}/{province}", days, expected, WIDTH)
    u, where = drawn.u, places(profile, province)
    district = pick(cumulated(rates.districts), rates.districts.shape[1], drawn.kind, u[:, U.DISTRICT])
    x, y = np.zeros(len(u)), np.zeros(len(u))
    names = sorted(set(groups))
    of_group = np.array([names.index(group) for group in groups])[drawn.kind]
    for number, group in enumerate(names):
        members = np.flatnonzero(of_group == number)
        x[members], y[members] = where.choose(
            group, district[members], u[members, U.PLACE], u[members, U.JITTER_X], u[members, U.JITTER_Y]
        )
    return Events(
        day=drawn.day,
        kind=drawn.kind,
        district=district,
        x=x,
        y=y,
        second=seconds_of_day(rates, drawn.day, drawn.kind, u, profile.country),
        origin=np.full(len(u), Origin.BACKGROUND, np.int64),
        event=_numbered(drawn, province, stream),
        cause=np.full(len(u), -1, np.int64),
        u=u,
    )


def _numbered(drawn: Draws, province: str, stream: int) -> Integers:
    """Return a number for each event, unique in the nation: day, province, stream, running number."""
    return ((drawn.day * 100 + int(province)) * 10 + stream) * 1_000_000 + drawn.order


def _near_repeats(parents: Events, rates: Rates, profile: Profile) -> Events:
    """Return one child per parent: up to 14 days later and 200 m away, sooner and nearer being more likely."""
    u = parents.u
    reach = 1 - np.exp(-(NEAR_REPEAT_DAYS + 1) / NEAR_REPEAT_MEAN_DAYS)
    later = np.floor(-NEAR_REPEAT_MEAN_DAYS * np.log1p(-u[:, U.REPEAT_DAYS] * reach)).astype(np.int64)
    distance = NEAR_REPEAT_M * u[:, U.REPEAT_DISTANCE]
    angle = 2 * np.pi * u[:, U.REPEAT_ANGLE]
    fresh = again(u, 1)
    day = parents.day + later
    second = seconds_of_day(rates, day, parents.kind, fresh, profile.country)
    rest = 86_399 - parents.second
    same_day = parents.second + 1 + (fresh[:, U.SECOND] * rest).astype(np.int64)
    return replace(
        parents,
        day=day,
        x=parents.x + distance * np.cos(angle),
        y=parents.y + distance * np.sin(angle),
        second=np.where(later == 0, np.minimum(same_day, 86_399), second),
        origin=np.full_like(parents.origin, Origin.NEAR_REPEAT),
        event=np.full_like(parents.event, -1),
        cause=parents.event,
        u=fresh,
    )
