"""What truly happens, before any agency writes it down: background, near repeats, clusters and joint events.

Every event has a day, a second of that local day, a place in metres and its own uniform numbers ``u``, from which the
agencies' records take everything else. Truth leaves the simulator only through `truth` and `tables`.

* Near repeats: a share of burglaries and vehicle thefts is followed by one more of its kind, within 14 days and 200 m.
* Clusters: every 28 days one short outbreak of one crime at one place, listed by `truth`.
* Joint events: one place and time for two agencies' records.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from enum import IntEnum

import numpy as np
import polars as pl

from pipelines.profile import Profile
from pipelines.simulator import rates as tables
from pipelines.simulator.places import Places, places, to_degrees
from pipelines.simulator.rates import Rates, day_kinds
from pipelines.simulator.seeds import Draws, Flags, Floats, Integers, again, cumulated, draw, generator, pick

NEAR_REPEAT_CATEGORIES = ("침입절도", "차량절도")
NEAR_REPEAT_RATIO = 0.30
"""Share of these offences that are followed by one more."""
NEAR_REPEAT_DAYS = 14
NEAR_REPEAT_MEAN_DAYS = 5.0
NEAR_REPEAT_M = 200.0

CLUSTER_CATEGORIES = ("절도", "침입절도", "차량절도", "폭력")
CLUSTER_BLOCK_DAYS = 28
"""One cluster begins in each block of days (blocks are counted from the calendar's first day)."""
CLUSTER_DAYS = (7, 20)
CLUSTER_RADIUS_M = (120.0, 300.0)
CLUSTER_DAILY = (0.5, 1.1)
"""Mean events a day at scale 0.1 or less; grows with the scale beyond."""

JOINT_DISTANCE_M = 60.0
BLOCK = "cluster"


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


@dataclass(frozen=True, slots=True)
class Events:
    """Events as arrays: ``kind`` is the row of the agency's table of calls, ``district`` the index into the places.

    ``origin``: 0 background, 1 near repeat, 2 cluster, 3 joint.
    """

    day: Integers
    kind: Integers
    district: Integers
    x: Floats
    y: Floats
    second: Integers
    origin: Integers
    u: Floats

    def where(self, chosen: Flags | Integers) -> "Events":
        """The events of a mask, or of an order."""
        return Events(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


ORIGINS = ("background", "near_repeat", "cluster", "joint")


def joined(parts: Sequence[Events]) -> Events:
    """Several events as one."""
    return Events(*(np.concatenate([getattr(part, name) for part in parts]) for name in Events.__dataclass_fields__))


def police(profile: Profile, days: Sequence[int]) -> Events:
    """Events behind 112 calls that happen on the given days."""
    seed, scale = settings(profile)
    where = places(profile, seed)
    calls = tables.table("police_calls")
    words = calls["category"].to_list()
    rates = tables.police(where.ids)
    shared = joint(profile, days)
    rows = np.array([words.index(word) for word in tables.table("joint_calls")["police_category"]])
    yearly = rates.yearly.copy()
    np.subtract.at(yearly, rows, tables.joint(where.ids).yearly)
    repeating = np.isin(words, NEAR_REPEAT_CATEGORIES)
    yearly[repeating] /= 1 + NEAR_REPEAT_RATIO
    background = replace(rates, yearly=yearly * scale)
    groups = calls["places"].to_list()
    earlier = range(min(days) - NEAR_REPEAT_DAYS, max(days) + 1)
    drawn = _background(
        profile,
        where,
        background,
        groups,
        draw(seed, "police", earlier, background.daily(earlier, profile.country), WIDTH),
    )
    children = _near_repeats(
        drawn.where(repeating[drawn.kind] & (drawn.u[:, U.REPEATS] < NEAR_REPEAT_RATIO)), rates, profile
    )
    everything = joined([drawn, children, _clustered(profile, where, days), replace(shared, kind=rows[shared.kind])])
    return everything.where((everything.day >= min(days)) & (everything.day <= max(days)))


def fire(profile: Profile, days: Sequence[int]) -> Events:
    """Events behind 119 calls that happen on the given days."""
    seed, scale = settings(profile)
    where = places(profile, seed)
    calls = tables.table("fire_calls")
    rates = tables.fire(where.ids)
    shared = joint(profile, days)
    rows = np.array([calls["class"].to_list().index(word) for word in tables.table("joint_calls")["fire_class"]])
    yearly = rates.yearly.copy()
    np.subtract.at(yearly, rows, tables.joint(where.ids).yearly)
    background = replace(rates, yearly=yearly * scale)
    drawn = draw(seed, "fire", days, background.daily(days, profile.country), WIDTH)
    own = _background(profile, where, background, ["general"] * calls.height, drawn)
    # The fire service's copy of a joint event has its own numbers: only place and time are shared.
    return joined([own, replace(shared, kind=rows[shared.kind], u=again(shared.u, 1))])


def joint(profile: Profile, days: Sequence[int]) -> Events:
    """Events that police and fire both attend; ``kind`` is the row of `joint_calls.csv`."""
    seed, scale = settings(profile)
    where = places(profile, seed)
    rates = tables.joint(where.ids)
    scaled = replace(rates, yearly=rates.yearly * scale)
    drawn = draw(seed, "joint", days, scaled.daily(days, profile.country), WIDTH)
    events = _background(profile, where, scaled, ["general"] * rates.yearly.size, drawn)
    return replace(events, origin=np.full_like(events.origin, 3))


def truth(profile: Profile, start: date, end: date) -> pl.DataFrame:
    """The injected clusters that are active in [start, end).

    Columns: ``cluster_id, category`` (the police word), ``district_id, lon, lat`` (centre), ``radius_m, start_date,
    end_date`` (exclusive), ``daily_mean`` (expected events a day, on top of the usual).
    """
    found = _clusters(profile, start.toordinal(), end.toordinal() - 1)
    where = places(profile, settings(profile)[0])
    lon, lat = to_degrees(profile.crs, np.array([c.x for c in found]), np.array([c.y for c in found]))
    return pl.DataFrame(
        {
            "cluster_id": [f"{BLOCK}-{c.block}" for c in found],
            "category": [c.category for c in found],
            "district_id": [where.districts[c.district].district_id for c in found],
            "lon": lon,
            "lat": lat,
            "radius_m": [c.radius for c in found],
            "start_date": [date.fromordinal(c.first) for c in found],
            "end_date": [date.fromordinal(c.last + 1) for c in found],
            "daily_mean": [c.mean for c in found],
        },
        schema={
            "cluster_id": pl.String,
            "category": pl.String,
            "district_id": pl.String,
            "lon": pl.Float64,
            "lat": pl.Float64,
            "radius_m": pl.Float64,
            "start_date": pl.Date,
            "end_date": pl.Date,
            "daily_mean": pl.Float64,
        },
    )


def settings(profile: Profile) -> tuple[int, float]:
    """Seed and scale.

    Raises:
        ValueError: the profile has no simulated agencies.
    """
    if profile.simulator is None:
        raise ValueError(f"profile {profile.name!r} has no [simulator]: nothing to simulate")
    return profile.simulator.seed, profile.simulator.scale


def midnights(profile: Profile, days: Integers) -> Integers:
    """Seconds since 1970 (UTC) of each day's local midnight."""
    distinct, where = np.unique(days, return_inverse=True)
    at = [int(datetime.combine(date.fromordinal(int(day)), time(), profile.zone).timestamp()) for day in distinct]
    return np.array(at, dtype=np.int64)[where] if at else np.empty(0, np.int64)


def _background(profile: Profile, where: Places, rates: Rates, groups: Sequence[str], drawn: Draws) -> Events:
    """Give drawn events a district, a place and a time of day."""
    u = drawn.u
    district = pick(cumulated(rates.districts), rates.districts.shape[1], drawn.kind, u[:, U.DISTRICT])
    x, y = np.zeros(len(u)), np.zeros(len(u))
    of_group = np.array(groups)[drawn.kind]
    for group in sorted(set(groups)):
        mine = of_group == group
        x[mine], y[mine] = where.choose(
            group, district[mine], u[mine, U.PLACE], u[mine, U.JITTER_X], u[mine, U.JITTER_Y]
        )
    return Events(
        day=drawn.day,
        kind=drawn.kind,
        district=district,
        x=x,
        y=y,
        second=_seconds(rates, drawn.day, drawn.kind, u, profile.country),
        origin=np.zeros(len(u), np.int64),
        u=u,
    )


def _seconds(rates: Rates, day: Integers, kind: Integers, u: Floats, country: str) -> Integers:
    """Second of the local day, by the kind's hours on that kind of day."""
    distinct, where = np.unique(day, return_inverse=True)
    kinds_of_day = day_kinds([int(d) for d in distinct], country)[where]
    flat = cumulated(rates.hours.reshape(-1, 24))
    hour = pick(flat, 24, kind * rates.hours.shape[1] + kinds_of_day, u[:, U.HOUR])
    return np.asarray(hour * 3600 + (u[:, U.SECOND] * 3600).astype(np.int64))


def _near_repeats(parents: Events, rates: Rates, profile: Profile) -> Events:
    """One child of each parent: up to 14 days later, sooner more likely, up to 200 m away, nearer more likely."""
    u = parents.u
    reach = 1 - np.exp(-(NEAR_REPEAT_DAYS + 1) / NEAR_REPEAT_MEAN_DAYS)
    later = np.floor(-NEAR_REPEAT_MEAN_DAYS * np.log1p(-u[:, U.REPEAT_DAYS] * reach)).astype(np.int64)
    distance = NEAR_REPEAT_M * u[:, U.REPEAT_DISTANCE]
    angle = 2 * np.pi * u[:, U.REPEAT_ANGLE]
    own = again(u, 1)
    day = parents.day + later
    second = _seconds(rates, day, parents.kind, own, profile.country)
    rest = 86_399 - parents.second
    same_day = parents.second + 1 + (own[:, U.SECOND] * rest).astype(np.int64)
    return replace(
        parents,
        day=day,
        x=parents.x + distance * np.cos(angle),
        y=parents.y + distance * np.sin(angle),
        second=np.where(later == 0, np.minimum(same_day, 86_399), second),
        origin=np.ones_like(parents.origin),
        u=own,
    )


@dataclass(frozen=True, slots=True)
class _Cluster:
    block: int
    category: str
    district: int
    x: float
    y: float
    radius: float
    first: int
    last: int
    mean: float


def _clusters(profile: Profile, first: int, last: int) -> list[_Cluster]:
    """Clusters active on any day from ``first`` to ``last``."""
    seed, scale = settings(profile)
    where = places(profile, seed)
    earliest = (first - CLUSTER_DAYS[1]) // CLUSTER_BLOCK_DAYS
    found = [_cluster(block, seed, scale, where) for block in range(earliest, last // CLUSTER_BLOCK_DAYS + 1)]
    return [cluster for cluster in found if cluster.first <= last and cluster.last >= first]


def _cluster(block: int, seed: int, scale: float, where: Places) -> _Cluster:
    rng = generator(seed, BLOCK, block)
    category = CLUSTER_CATEGORIES[int(rng.integers(len(CLUSTER_CATEGORIES)))]
    district = int(rng.integers(len(where.districts)))
    x, y = where.choose("theft", np.array([district]), rng.random(1), rng.random(1), rng.random(1))
    begins = block * CLUSTER_BLOCK_DAYS + int(rng.integers(CLUSTER_BLOCK_DAYS))
    lasts = int(rng.integers(CLUSTER_DAYS[0], CLUSTER_DAYS[1] + 1))
    radius = float(rng.uniform(*CLUSTER_RADIUS_M))
    mean = float(rng.uniform(*CLUSTER_DAILY) * max(1.0, scale * 10))
    return _Cluster(block, category, district, float(x[0]), float(y[0]), radius, begins, begins + lasts - 1, mean)


def _clustered(profile: Profile, where: Places, days: Sequence[int]) -> Events:
    """The events of all clusters on the given days."""
    seed, _ = settings(profile)
    words = tables.table("police_calls")["category"].to_list()
    rates = tables.police(where.ids)
    parts = []
    for cluster in _clusters(profile, min(days), max(days)):
        active = range(cluster.first, cluster.last + 1)
        drawn = draw(seed, f"{BLOCK}/{cluster.block}", active, np.full((len(active), 1), cluster.mean), WIDTH)
        kind = np.full(len(drawn.day), words.index(cluster.category))
        radius = cluster.radius * np.sqrt(drawn.u[:, U.JITTER_X])
        angle = 2 * np.pi * drawn.u[:, U.JITTER_Y]
        parts.append(
            Events(
                day=drawn.day,
                kind=kind,
                district=np.full(len(drawn.day), cluster.district),
                x=cluster.x + radius * np.cos(angle),
                y=cluster.y + radius * np.sin(angle),
                second=_seconds(rates, drawn.day, kind, drawn.u, profile.country),
                origin=np.full(len(drawn.day), 2),
                u=drawn.u,
            )
        )
    return joined(parts) if parts else _nothing()


def _nothing() -> Events:
    none = np.empty(0, np.int64)
    return Events(none, none, none, np.empty(0), np.empty(0), none, none, np.empty((0, WIDTH)))
