"""119 calls as the simulated fire service writes them: one row per call and responding unit, and per version.

The field names are those of the real call-reception files (bigdata-119.kr); `vhcl_*`, `dspt_dt`, `chg_dt` and
`del_yn` stand for the unit and change columns of the dispatch tables. A call that sends nobody (advice, hang-up,
repeat) is one row with an empty unit. A unit's row is written when it is ordered out and again when it is back; 3 %
of calls are reclassified 1 to 30 days later, 0.5 % withdrawn, with all their rows. Times are naive local text; words
carry trailing spaces, as in the real files. Volumes are orders of magnitude (`README.md` of this folder).
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
from pipelines.simulator.seeds import Flags, Floats, Integers, again

RECLASSIFIED = 0.03
WITHDRAWN = 0.005
UGLY = {"zero coordinates": 0.002, "blank coordinates": 0.003, "malformed time": 0.001}
LONGEST_CHANGE_DAYS = 31
FORM = "%Y%m%d%H%M%S"
CLASSES = ("화재", "구조", "구급", "자해", "생활안전", "안내", "기타")
FLEET = {"펌프차": 6, "물탱크차": 3, "구급차": 9, "구조공작차": 2, "고가사다리차": 2, "생활안전차": 3}
"""Vehicles of each kind at a station, an assumption; more units of a kind than this never go to one call."""
UNITS = {
    "화재": ("펌프차", "구급차", "펌프차", "물탱크차", "구조공작차", "고가사다리차", "펌프차", "구급차"),
    "구조": ("구조공작차", "구급차", "펌프차"),
    "구급": ("구급차", "펌프차"),
    "자해": ("구급차", "구조공작차"),
    "생활안전": ("생활안전차", "펌프차"),
}
"""Which units go, in this order."""
COUNTS = {
    "화재": (0.0, 0.0, 0.35, 0.2, 0.2, 0.1, 0.08, 0.07),
    "구조": (0.45, 0.35, 0.2),
    "구급": (0.92, 0.08),
    "자해": (0.6, 0.4),
    "생활안전": (0.93, 0.07),
}
"""Probability of 1, 2, 3, … units."""
CARRIED = 0.62
"""Share of ambulance runs that carry somebody to a hospital."""

_KINDS = tuple(FLEET)


@dataclass(frozen=True, slots=True)
class Records:
    """One entry per call and unit; ``unit`` indexes the kinds of vehicle (-1: none), ``ordinal`` counts the rows."""

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


def records(profile: Profile, first: date, last: date) -> Records:
    """Calls received on the local days [first, last), with one entry per unit sent."""
    days = range(first.toordinal(), last.toordinal())
    found = events.fire(profile, days)
    # The caller of a joint event rings a few minutes after the other agency's caller.
    wait = np.where(found.origin == 3, lognormal(100.0, 0.5, found.u[:, U.LAG]), 0).astype(np.int64)
    reported = events.midnights(profile, found.day) + np.minimum(found.second + wait, 86_399)
    order = np.lexsort((found.u[:, U.CODE], reported))
    found, reported = found.where(order), reported[order]
    opened = np.array([midnight(date.fromordinal(day), profile.time_zone) for day in days])
    place = np.searchsorted(opened, reported, side="right")
    number = np.arange(len(reported)) - np.searchsorted(place, place, side="left") + 1
    count = _units_sent(found)
    row = np.repeat(np.arange(len(reported)), np.maximum(count, 1))
    ordinal = np.arange(row.size) - np.searchsorted(row, row, side="left")
    return _timed(found.where(row), number[row], reported[row], count[row], ordinal)


def versions(profile: Profile, found: Records) -> pl.DataFrame:
    """Every version of the rows, in the service's own columns, with ``_updated`` (seconds) to cut windows by."""
    sent = found.unit >= 0
    u = found.events.u
    ended = np.where(sent, found.back, found.reported + 120)
    # All rows of a call change together: at an instant that only the call decides.
    later = found.reported + 86_400 * 2 + (again(u[:, U.CHANGE_DAYS], 0) * 28 * 86_400).astype(np.int64)
    first = _version(profile, found, sent, found.ordered + 30, turn=0)
    last = _version(profile, found, np.ones_like(sent), ended, turn=1)
    corrected = _version(profile, found, u[:, U.CHANGE] < RECLASSIFIED, later, turn=2)
    taken_back = _version(profile, found, u[:, U.CHANGE] > 1 - WITHDRAWN, later, turn=3)
    return pl.concat([first, last, corrected, taken_back]).sort("_updated", "dclr_rcpt_no", "vhcl_no")


def _units_sent(found: Events) -> Integers:
    """How many units go to each call; none for advice and for calls cancelled before anybody was sent."""
    share = rates.table("fire_calls")["dispatched_share"].to_numpy().astype(float)
    count = np.zeros(len(found.day), np.int64)
    for kind, word in enumerate(CLASSES):
        if word in COUNTS:
            mine = found.kind == kind
            count[mine] = 1 + np.searchsorted(np.cumsum(COUNTS[word])[:-1], found.u[mine, U.UNITS], side="right")
    return np.where(found.u[:, U.CODE] < share[found.kind], count, 0)


def _timed(found: Events, number: Integers, reported: Integers, count: Integers, ordinal: Integers) -> Records:
    """Give each row its vehicle and its times."""
    calls, u = rates.table("fire_calls"), found.u
    sent = count > 0
    order = np.full((len(CLASSES), 8), -1)
    for kind, word in enumerate(CLASSES):
        for place, vehicle in enumerate(UNITS.get(word, ())):
            order[kind, place] = _KINDS.index(vehicle)
    unit = np.where(sent, order[found.kind, ordinal], -1)
    repeat = np.zeros(len(unit), np.int64)
    for place in range(1, 8):
        # The n-th unit of one kind at a call is another vehicle.
        mine = ordinal == place
        repeat[mine] = (order[found.kind[mine], :place] == unit[mine, None]).sum(axis=1)
    fleet = np.array(list(FLEET.values()))[unit]
    vehicle = ((u[:, U.FLEET] * fleet).astype(np.int64) + repeat) % fleet + 1
    turn = ordinal + 1
    processing = lognormal(85.0, 0.45, u[:, U.PROCESSING]) + 20.0 * ordinal
    turnout = lognormal(_column(calls, "turnout_seconds", found.kind), 0.3, again(u[:, U.TRAVEL], turn + 7))
    travel = lognormal(_column(calls, "travel_seconds", found.kind), 0.45, again(u[:, U.TRAVEL], turn))
    stay = lognormal(_column(calls, "scene_minutes", found.kind) * 60, 0.5, again(u[:, U.SCENE], turn))
    carries = (unit == _KINDS.index("구급차")) & (again(u[:, U.CHANNEL], turn) < CARRIED)
    drive = lognormal(780.0, 0.4, again(u[:, U.LOCATION], turn))
    handover = lognormal(1200.0, 0.4, again(u[:, U.LOCATION_X], turn))
    ordered = reported + processing.astype(np.int64)
    left = ordered + turnout.astype(np.int64)
    arrived = left + travel.astype(np.int64)
    departed = arrived + stay.astype(np.int64)
    hospital = departed + drive.astype(np.int64)
    back = np.where(carries, hospital + handover.astype(np.int64), departed + 300)
    ambulance = sent & (unit == _KINDS.index("구급차"))
    return Records(
        events=found,
        number=number,
        reported=reported,
        unit=unit,
        vehicle=vehicle,
        ordinal=ordinal,
        ordered=np.where(sent, ordered, NONE),
        left=np.where(sent, left, NONE),
        arrived=np.where(sent, arrived, NONE),
        patient=np.where(ambulance, arrived + 90, NONE),
        departed=np.where(sent, departed, NONE),
        hospital=np.where(carries, hospital, NONE),
        back=np.where(sent, back, NONE),
    )


def _version(
    profile: Profile,
    found: Records,
    mask: Flags,
    updated: Integers,
    turn: int,
) -> pl.DataFrame:
    """One version of the rows of a mask: 0 sent, 1 ended, 2 reclassified, 3 withdrawn."""
    part = Records(found.events.where(mask), *(getattr(found, name)[mask] for name in Records.__slots__[1:]))
    event, u, zone = part.events, part.events.u, profile.time_zone
    calls, where = rates.table("fire_calls"), places(profile, events.settings(profile)[0])
    sent = part.unit >= 0
    word = np.array(CLASSES)[event.kind]
    if turn == 2:
        word = calls["reclassified_to"].to_numpy()[event.kind]
    names = np.array([district.name for district in where.districts])[event.district]
    station = np.where(names == "중구", "중부", np.char.rstrip(names.astype(str), "구"))
    vehicle = np.array([*_KINDS, ""])[part.unit]
    unit = np.where(sent, np.char.add(np.char.add(station, vehicle), part.vehicle.astype(str)), "")
    result = np.where(sent, "출동", np.where(np.isin(word, ("안내", "기타")), "상담종결", "취소"))
    lon, lat = _located(profile, part, turn)
    open_ = turn == 0
    none = np.full(len(u), NONE)
    text = {
        "dclr_rcpt_no": _numbers(profile, part),
        "vhcl_no": pl.Series(unit, dtype=pl.String),
        "vhcl_se_nm": pl.Series(np.where(sent, vehicle, ""), dtype=pl.String),
        "dclr_dt": _reported(part, zone, turn),
        "rcpt_path_nm": pl.Series(np.where(u[:, U.LOCATION_Y] < 0.86, "휴대전화", "유선전화"), dtype=pl.String),
        "emrg_rscu_clsf_nm": pl.Series(np.char.add(word.astype(str), "  "), dtype=pl.String),
        "prcs_rslt_se_nm": pl.Series(result, dtype=pl.String),
        "dspt_drtv_dt": written("x", part.ordered, zone, FORM),
        "dspt_dt": written("x", part.left, zone, FORM),
        "grnds_arvl_dt": written("x", none if open_ else part.arrived, zone, FORM),
        "ptn_cntc_dt": written("x", none if open_ else part.patient, zone, FORM),
        "grnds_dptre_dt": written("x", none if open_ else part.departed, zone, FORM),
        "hsptl_arvl_dt": written("x", none if open_ else part.hospital, zone, FORM),
        "cbk_dt": written("x", none if open_ else part.back, zone, FORM),
        "cmptnc_frstn_nm": pl.Series(np.char.add(station, "소방서  "), dtype=pl.String),
        "clmty_ctpv_nm": pl.Series([profile.areas.region], dtype=pl.String).new_from_index(0, len(u)),
        "clmty_sgg_nm": pl.Series(names, dtype=pl.String),
        "clmty_sgg_cd": pl.Series(np.array(where.ids)[event.district], dtype=pl.String),
        "damg_rgn_lot": lon,
        "damg_rgn_lat": lat,
        "jnt_crsp_yn": pl.Series(np.where(event.origin == 3, "Y", "N"), dtype=pl.String),
        "del_yn": pl.Series(["Y" if turn == 3 else "N"]).new_from_index(0, len(u)),
        "chg_dt": written("x", updated[mask], zone, FORM),
        "_updated": pl.Series(updated[mask], dtype=pl.Int64),
    }
    return pl.DataFrame([series.alias(name) for name, series in text.items()])


def _reported(part: Records, zone: str, turn: int) -> pl.Series:
    text = written("dclr_dt", part.reported, zone, FORM)
    malformed = np.flatnonzero(again(part.events.u[:, U.UGLY], turn + part.ordinal) > 1 - UGLY["malformed time"])
    # As in the real files: a time that lost its leading zeros.
    return text.scatter(malformed, text.gather(malformed).str.head(8) + "24") if malformed.size else text


def _located(profile: Profile, part: Records, turn: int) -> tuple[pl.Series, pl.Series]:
    """Coordinates of the scene as text, as the service sends them: blank on most calls that send nobody."""
    u = part.events.u
    angle = 2 * np.pi * u[:, U.LOCATION_X]
    reach = events.JOINT_DISTANCE_M / 2
    lon, lat = to_degrees(profile.crs, part.events.x + reach * np.cos(angle), part.events.y + reach * np.sin(angle))
    ugly = again(u[:, U.UGLY], turn + part.ordinal)
    zero = ugly < UGLY["zero coordinates"]
    blank = ~zero & (ugly < UGLY["zero coordinates"] + UGLY["blank coordinates"])
    blank |= (part.unit < 0) & (u[:, U.LOCATION] < 0.8)
    frame = pl.DataFrame({"x": np.where(zero, 0.0, lon), "y": np.where(zero, 0.0, lat), "blank": blank}).select(
        pl.when("blank").then(pl.lit("")).otherwise(pl.col("x").cast(pl.String)).alias("x"),
        pl.when("blank").then(pl.lit("")).otherwise(pl.col("y").cast(pl.String)).alias("y"),
    )
    return frame["x"], frame["y"]


def _numbers(profile: Profile, found: Records) -> pl.Series:
    day = written("day", found.reported, profile.time_zone, "%Y%m%d")
    return pl.select(number=pl.concat_str(pl.lit("119"), day, pl.Series(found.number).cast(pl.String).str.zfill(6)))[
        "number"
    ]


def _column(calls: pl.DataFrame, name: str, kind: Integers) -> Floats:
    # Classes that send nobody have zeros in the table; their times are never used.
    return np.asarray(np.maximum(calls[name].to_numpy().astype(float), 1.0)[kind])
