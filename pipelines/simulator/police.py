"""112 calls as the simulated police write them: one row per version of a record, for a paged JSON export of changes.

A record is written when a unit is sent, again when it is closed, and for some again 1 to 30 days later: reclassified
(3 %) or withdrawn (0.5 %). CODE 4 calls need no unit and are written once. A few rows are ugly on purpose (`UGLY`).
Crimes follow the police's statistics, other volumes are orders of magnitude (`README.md` of this folder).
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from pipelines.profile import Profile
from pipelines.simulator import events, rates
from pipelines.simulator.clock import NONE, lognormal, midnight, written
from pipelines.simulator.events import Events, U
from pipelines.simulator.places import places, to_degrees
from pipelines.simulator.seeds import Flags, Floats, Integers, Texts, again, cumulated, pick

RECLASSIFIED = 0.03
WITHDRAWN = 0.005
UGLY = {"zero coordinates": 0.002, "blank coordinates": 0.003, "malformed time": 0.001}
CALLER_LOOKUP = 0.08
"""Share of calls whose place comes from locating the caller's phone; of advice calls it is more."""
CHANNEL_UNKNOWN = 0.04
LONGEST_LAG_DAYS = 3
LONGEST_CHANGE_DAYS = 31
CALLER_ERROR_M = 150.0

TRAVEL_SECONDS = np.array([240.0, 300.0, 420.0, 1200.0, 0.0])
"""Median from order to arrival, by CODE."""
PROCESSING_SECONDS = np.array([50.0, 90.0, 130.0, 240.0, 0.0])
SCENE_MINUTES = np.array([38.0, 30.0, 24.0, 20.0, 0.0])


@dataclass(frozen=True, slots=True)
class Records:
    """The truth behind one span of reception days, and the times of each call."""

    events: Events
    number: Integers
    code: Integers
    reported: Integers
    dispatched: Integers
    arrived: Integers
    closed: Integers


def records(profile: Profile, first: date, last: date) -> Records:
    """Calls received on the local days [first, last), numbered within each day by time of reception."""
    happened = range(first.toordinal() - LONGEST_LAG_DAYS, last.toordinal())
    found = events.police(profile, happened)
    calls = rates.table("police_calls")
    lag = lognormal(
        calls["lag_minutes"].to_numpy().astype(float)[found.kind],
        calls["lag_spread"].to_numpy()[found.kind],
        found.u[:, U.LAG],
    )
    seconds = np.minimum(lag * 60, LONGEST_LAG_DAYS * 86_400 - 1).astype(np.int64)
    reported = events.midnights(profile, found.day) + found.second + seconds
    kept = (reported >= midnight(first, profile.time_zone)) & (reported < midnight(last, profile.time_zone))
    found, reported = found.where(kept), reported[kept]
    order = np.lexsort((found.u[:, U.CODE], reported))
    found, reported = found.where(order), reported[order]
    days = _local_days(reported, profile)
    codes = calls.select("code_0", "code_1", "code_2", "code_3", "code_4").to_numpy().astype(float)
    code = pick(cumulated(codes), 5, found.kind, found.u[:, U.CODE])
    needs_unit = code < 4
    dispatched = reported + lognormal(PROCESSING_SECONDS[code], 0.5, found.u[:, U.PROCESSING]).astype(np.int64)
    arrived = dispatched + lognormal(TRAVEL_SECONDS[code], 0.45, found.u[:, U.TRAVEL]).astype(np.int64)
    scene = lognormal(SCENE_MINUTES[code] * 60, 0.6, found.u[:, U.SCENE]).astype(np.int64)
    talked = lognormal(240.0, 0.5, found.u[:, U.SCENE]).astype(np.int64)
    return Records(
        events=found,
        number=_number_in_day(days),
        code=code,
        reported=reported,
        dispatched=np.where(needs_unit, dispatched, NONE),
        arrived=np.where(needs_unit, arrived, NONE),
        closed=np.where(needs_unit, arrived + scene, reported + talked),
    )


def versions(profile: Profile, found: Records) -> pl.DataFrame:
    """Every version of the records, in the export's own columns, with ``_updated`` (seconds) to cut windows by."""
    needs_unit = found.code < 4
    u = found.events.u
    later = found.closed + 86_400 + (again(u[:, U.CHANGE_DAYS], 0) * 29 * 86_400).astype(np.int64)
    reclassified = u[:, U.CHANGE] < RECLASSIFIED
    withdrawn = u[:, U.CHANGE] > 1 - WITHDRAWN
    written_first = _version(profile, found, needs_unit, found.dispatched + 20, "출동", turn=0)
    written_last = _version(profile, found, np.ones_like(needs_unit), found.closed, "종결", turn=1)
    corrected = _version(profile, found, reclassified, later, "종결", turn=2, reclassify=True)
    taken_back = _version(profile, found, withdrawn, later, "취소", turn=3)
    return pl.concat([written_first, written_last, corrected, taken_back]).sort("_updated", "incident_no")


def truth_columns(profile: Profile, found: Records) -> pl.DataFrame:
    """What really happened, one row per record: for tests and benchmarks, never served."""
    where = places(profile, events.settings(profile)[0])
    words = rates.table("police_calls")["category"].to_numpy()
    lon, lat = to_degrees(profile.crs, found.events.x, found.events.y)
    return pl.DataFrame(
        {
            "incident_no": _numbers(profile, found),
            "category": words[found.events.kind],
            "code": found.code,
            "district_id": np.array(where.ids)[found.events.district],
            "x_m": found.events.x,
            "y_m": found.events.y,
            "lon": lon,
            "lat": lat,
            "happened": events.midnights(profile, found.events.day) + found.events.second,
            "reported": found.reported,
            "origin": np.array(events.ORIGINS)[found.events.origin],
        }
    )


def _version(
    profile: Profile,
    found: Records,
    mask: Flags,
    updated: Integers,
    status: str,
    turn: int,
    reclassify: bool = False,
) -> pl.DataFrame:
    """One version of the records of a mask."""
    part = Records(found.events.where(mask), *(getattr(found, name)[mask] for name in Records.__slots__[1:]))
    event, u, zone, iso = part.events, part.events.u, profile.time_zone, "%Y-%m-%dT%H:%M:%S%:z"
    calls, where = rates.table("police_calls"), places(profile, events.settings(profile)[0])
    words = calls["category"].to_numpy()
    category = words[event.kind]
    if reclassify:
        category = calls["reclassified_to"].to_numpy()[event.kind]
    is_open = turn == 0
    none = np.full(len(u), NONE)
    happened = events.midnights(profile, event.day) + event.second
    unknown = np.array([rates.unknown_hours(crime) if crime else 0.0 for crime in calls["crime"]])[event.kind]
    lon, lat, method = _located(profile, part, turn)
    reported = written("reported_at", part.reported, zone, iso)
    ugly = again(u[:, U.UGLY], turn)
    malformed = ugly > 1 - UGLY["malformed time"]
    names = np.array([district.name for district in where.districts])[event.district]
    return pl.DataFrame(
        [
            pl.Series("incident_no", _numbers(profile, part), pl.String),
            pl.Series("category", category, pl.String),
            pl.Series("priority", part.code, pl.Int64),
            pl.Series("status", [status], pl.String).new_from_index(0, len(u)),
            _channel(calls["discovered_share"].to_numpy()[event.kind], u[:, U.CHANNEL]),
            written("occurred_at", np.where(u[:, U.HOUR_KNOWN] < unknown, NONE, happened), zone, iso),
            reported.scatter(np.flatnonzero(malformed), "시각오류") if malformed.any() else reported,
            written("dispatched_at", part.dispatched, zone, iso),
            written("arrived_at", none if is_open else part.arrived, zone, iso),
            written("closed_at", none if is_open else part.closed, zone, iso),
            lon,
            lat,
            method,
            pl.Series("district_code", np.array(where.ids)[event.district], pl.String),
            _stations(names),
            pl.Series("is_withdrawn", [status == "취소"], pl.Boolean).new_from_index(0, len(u)),
            written("updated_at", updated[mask], zone, iso),
            pl.Series("_updated", updated[mask], pl.Int64),
        ]
    )


def _located(profile: Profile, part: Records, turn: int) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Coordinates and how they were found: at the scene, from an address, or by locating the caller's phone."""
    u = part.events.u
    advice = part.code == 4
    by_phone = u[:, U.LOCATION] < np.where(advice, 0.3, CALLER_LOOKUP)
    nowhere = advice & ~by_phone
    error = lognormal(CALLER_ERROR_M, 0.8, u[:, U.LOCATION_X])
    angle = 2 * np.pi * u[:, U.LOCATION_Y]
    x = part.events.x + np.where(by_phone, error * np.cos(angle), events.JOINT_DISTANCE_M / 4 * np.cos(angle))
    y = part.events.y + np.where(by_phone, error * np.sin(angle), events.JOINT_DISTANCE_M / 4 * np.sin(angle))
    lon, lat = to_degrees(profile.crs, x, y)
    ugly = again(u[:, U.UGLY], turn)
    zero = ~nowhere & (ugly < UGLY["zero coordinates"])
    blank = nowhere | (~zero & (ugly < UGLY["zero coordinates"] + UGLY["blank coordinates"]))
    method = np.select([blank, by_phone, u[:, U.LOCATION] > 0.7], ["", "신고자조회", "현장확인"], "주소")
    frame = pl.DataFrame(
        {"lon": np.where(zero, 0.0, lon), "lat": np.where(zero, 0.0, lat), "method": method, "blank": blank}
    ).select(
        pl.when(~pl.col("blank")).then("lon").alias("lon"),
        pl.when(~pl.col("blank")).then("lat").alias("lat"),
        pl.when(pl.col("method") != "").then("method").alias("location_method"),
    )
    return frame["lon"], frame["lat"], frame["location_method"]


def _channel(discovered: Floats, u: Floats) -> pl.Series:
    """How the police learnt of it: found on patrol, by phone, by message, or not noted."""
    edges = [u < discovered, u < discovered + CHANNEL_UNKNOWN, u > 0.92]
    words = np.select(edges, ["순찰발견", "", "문자"], "전화")
    return pl.Series("report_channel", words, pl.String).replace({"": None})


def _stations(names: Texts) -> pl.Series:
    """The police station of a district: one each here, under the district's name."""
    name = pl.Series(names)
    short = pl.when(name.str.len_chars() > 2).then(name.str.strip_suffix("구")).otherwise(name)
    return pl.select(station_name=pl.concat_str(pl.lit("서울"), short, pl.lit("경찰서")))["station_name"]


def _numbers(profile: Profile, found: Records) -> pl.Series:
    """Incident numbers: local day of reception and running number."""
    day = written("day", found.reported, profile.time_zone, "%Y%m%d")
    return pl.select(incident_no=pl.concat_str(day, pl.lit("-"), pl.Series(found.number).cast(pl.String).str.zfill(6)))[
        "incident_no"
    ]


def _local_days(seconds: Integers, profile: Profile) -> Integers:
    days = pl.Series(seconds * 1000).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(profile.time_zone).dt.date()
    return np.asarray(days.to_physical().to_numpy())


def _number_in_day(days: Integers) -> Integers:
    """1, 2, 3, … within each run of equal days."""
    if not days.size:
        return days
    starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
    return np.asarray(np.arange(days.size) - np.repeat(starts, np.diff(np.r_[starts, days.size])) + 1)
