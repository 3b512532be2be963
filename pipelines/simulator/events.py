"""What truly happens in a province, before any agency writes it down: background, near repeats, joint events, clusters.

Every event has a day, a second of that local day, a place in metres and its own uniform numbers ``u``, from which the
agencies' records take everything else. All draws are keyed by province and day, so a province made alone equals that
province made among others. Truth leaves the simulator only through `truth` and `tables`.

* Near repeats: a share of burglaries and vehicle thefts is followed by one more of its kind, within 14 days and 200 m.
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
"""Share of these offences that are followed by one more."""
NEAR_REPEAT_DAYS = 14
NEAR_REPEAT_MEAN_DAYS = 5.0
NEAR_REPEAT_M = 200.0

JOINT_DISTANCE_M = 60.0


class U(IntEnum):
    """What each uniform number of an event decides."""

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
    """Why an event happens, beyond chance."""

    BACKGROUND = 0
    NEAR_REPEAT = 1
    CLUSTER = 2
    JOINT = 3


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one province as arrays.

    ``kind`` is the row of the agency's table of calls, ``district`` the index into the places, ``origin`` an `Origin`.
    ``event`` numbers the background's events (-1 for others); ``cause`` is the parent's ``event`` of a near repeat, the
    cluster's number, or the number that both agencies' records of a joint event share (-1: none).
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
        """The events of a mask, or of an order."""
        return Events(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def joined(parts: Sequence[Events]) -> Events:
    """Several events as one."""
    return Events(*(np.concatenate([getattr(part, name) for part in parts]) for name in Events.__dataclass_fields__))


def police(profile: Profile, province: str, days: Sequence[int]) -> Events:
    """Events behind 112 calls of a province that happen on the given days; clusters are added by `clusters.py`."""
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
    # Only what repeats is drawn for earlier days as well: its children may fall on these.
    earlier = range(min(days) - NEAR_REPEAT_DAYS, max(days) + 1)
    parents = _background(profile, province, "police", twice, groups, earlier, stream=1)
    children = _near_repeats(parents.where(parents.u[:, U.REPEATS] < NEAR_REPEAT_RATIO), rates, profile)
    on_days = [part.where((part.day >= min(days)) & (part.day <= max(days))) for part in (parents, children)]
    background = _background(profile, province, "police", once, groups, days, stream=0)
    return joined([background, *on_days, replace(shared, kind=rows[shared.kind])])


def fire(profile: Profile, province: str, days: Sequence[int]) -> Events:
    """Events behind 119 calls of a province that happen on the given days."""
    calls = table("fire_calls")
    rates = known.fire(province, places(profile, province).ids)
    shared = joint(profile, province, days)
    rows = np.array([calls["class"].to_list().index(word) for word in table("joint_calls")["fire_class"]])
    yearly = rates.yearly.copy()
    np.subtract.at(yearly, rows, known.joint(province, places(profile, province).ids).yearly)
    groups = ["general"] * calls.height
    own = _background(profile, province, "fire", replace(rates, yearly=yearly), groups, days, stream=0)
    # The fire service's copy of a joint event has its own numbers: only place and time are shared.
    return joined([own, replace(shared, kind=rows[shared.kind], u=again(shared.u, 1))])


def joint(profile: Profile, province: str, days: Sequence[int]) -> Events:
    """Events that police and fire both attend; ``kind`` is the row of `joint_calls.csv`."""
    rates = known.joint(province, places(profile, province).ids)
    groups = ["general"] * rates.yearly.size
    events = _background(profile, province, "joint", rates, groups, days, stream=2)
    none = np.full_like(events.event, -1)
    return replace(events, origin=np.full_like(events.origin, Origin.JOINT), event=none, cause=events.event)


def midnights(profile: Profile, days: Integers) -> Integers:
    """Seconds since 1970 (UTC) of each day's local midnight."""
    distinct, where = np.unique(days, return_inverse=True)
    at = [midnight(date.fromordinal(int(day)), profile.time_zone) for day in distinct]
    return np.array(at, dtype=np.int64)[where] if at else np.empty(0, np.int64)


def seconds_of_day(rates: Rates, day: Integers, kind: Integers, u: Floats, country: str) -> Integers:
    """Second of the local day, by the kind's hours on that kind of day."""
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
"""Purpose of a draw → whose shocks move it, and where its words stand."""


def _background(
    profile: Profile, province: str, purpose: str, rates: Rates, groups: Sequence[str], days: Sequence[int], stream: int
) -> Events:
    """Draw events and give them a district, a place and a time of day. ``stream`` keeps draws of one purpose apart."""
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
        mine = np.flatnonzero(of_group == number)
        x[mine], y[mine] = where.choose(
            group, district[mine], u[mine, U.PLACE], u[mine, U.JITTER_X], u[mine, U.JITTER_Y]
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
    """A number for each event, unique in the nation: day, province, stream, running number."""
    return ((drawn.day * 100 + int(province)) * 10 + stream) * 1_000_000 + drawn.order


def _near_repeats(parents: Events, rates: Rates, profile: Profile) -> Events:
    """One child of each parent: up to 14 days later, sooner more likely, up to 200 m away, nearer more likely."""
    u = parents.u
    reach = 1 - np.exp(-(NEAR_REPEAT_DAYS + 1) / NEAR_REPEAT_MEAN_DAYS)
    later = np.floor(-NEAR_REPEAT_MEAN_DAYS * np.log1p(-u[:, U.REPEAT_DAYS] * reach)).astype(np.int64)
    distance = NEAR_REPEAT_M * u[:, U.REPEAT_DISTANCE]
    angle = 2 * np.pi * u[:, U.REPEAT_ANGLE]
    own = again(u, 1)
    day = parents.day + later
    second = seconds_of_day(rates, day, parents.kind, own, profile.country)
    rest = 86_399 - parents.second
    same_day = parents.second + 1 + (own[:, U.SECOND] * rest).astype(np.int64)
    return replace(
        parents,
        day=day,
        x=parents.x + distance * np.cos(angle),
        y=parents.y + distance * np.sin(angle),
        second=np.where(later == 0, np.minimum(same_day, 86_399), second),
        origin=np.full_like(parents.origin, Origin.NEAR_REPEAT),
        event=np.full_like(parents.event, -1),
        cause=parents.event,
        u=own,
    )
