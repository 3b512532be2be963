"""Faults in the records themselves: keys, times, coordinates, columns, words.

One bad record never blocks the others.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.agencies import Rows
from tests.faults.matrix import ALL, Case, Counts, fault, put

ONE: Counts = (12, 11, 0, 1, 0)
WHOLE: Counts = (12, 0, 0, 0, 12)
ALL_STAGED = ("select count(*) from {}", 12)
EVERY = tuple(range(12))


def renamed(old: str, new: str) -> Callable[[Rows], Rows]:
    return lambda rows: [{new if name == old else name: value for name, value in row.items()} for row in rows]


def without(column: str) -> Callable[[Rows], Rows]:
    return lambda rows: [{name: value for name, value in row.items() if name != column} for row in rows]


def moved(
    lon: Callable[[int], object], lat: Callable[[int], object], *numbers: int
) -> dict[str, Callable[[Rows], Rows]]:
    """Return both coordinates of some records, under the names of the two live agencies."""

    def at(rows: Rows, x: str, y: str, written: Callable[[object], object]) -> Rows:
        return [
            row | {x: written(lon(number)), y: written(lat(number))} if number in numbers else row
            for number, row in enumerate(rows)
        ]

    return {
        "police": lambda rows: at(rows, "lon", "lat", lambda value: value),
        "fire": lambda rows: at(rows, "damg_rgn_lot", "damg_rgn_lat", str),
    }


def places(
    name: str,
    lon: Callable[[int], object],
    lat: Callable[[int], object],
    *numbers: int,
    declared: dict[str, Any],
    instead: dict[str, Any],
) -> list[Case]:
    """Declare a fault of coordinates; at the agency that withholds them its counterpart, a fault of the province."""
    rows = moved(lon, lat, *numbers)
    sent = kept_as_sent if declared["outcome"] == "accept" else lambda change: {"rows": change}
    return fault(name, **declared, police=sent(rows["police"]), fire=sent(rows["fire"]), investigation=instead)


def province(code: object, *numbers: int) -> Callable[[Rows], Rows]:
    return put({"시도코드": code}, *numbers)


QUARANTINED: dict[str, Any] = {"outcome": "quarantine", "counts": ONE}
REJECTED: dict[str, Any] = {"outcome": "reject", "counts": WHOLE}
ACCEPTED: dict[str, Any] = {"outcome": "accept", "counts": ALL}


def kept_as_sent(rows: Callable[[Rows], Rows]) -> dict[str, Any]:
    """A value accepted as sent is in raw as a separate version, even if it is corrected later."""
    return {"rows": rows, "kept": rows}


def decomposed(word: str) -> str:
    """Return a word as a Mac writes it, with its syllables decomposed. Source files tend to compose literals again."""
    apart = unicodedata.normalize("NFD", word)
    assert apart != word
    return apart


def mapped(column: str, sent: str, read: str) -> dict[str, Any]:
    """A word accepted as sent is read in staging as ``read``, with the service of its category."""
    query = (
        f"select bool_and(service is not null) and count(*) filter (source_category = '{read}') = {{}} from {{{{}}}}"
    )
    usual = {"절도": 4, "구급": 12, "경제": 4}
    return {**kept_as_sent(put({column: sent})), "staged": (query.format(usual.get(read, 1)), True)}


KEYS = [
    *fault("null key", "quarantine", ONE, "without its number", sets={"id": None}),
    *fault("key cut off", "quarantine", ONE, "cut off", sets={"id": "2025"}),
    *fault("key of another agency", "quarantine", ONE, "another system", sets={"id": "ZZ-2025-1"}),
    *fault(
        "zero-width character in a key",
        "quarantine",
        ONE,
        police={"sets": {"id": "20251102-000004\u200b"}},
        fire={"sets": {"id": "11920251102000004\u200b"}},
        investigation={"sets": {"id": "수사11-20251102-0004\u3000"}},  # CP949 has no zero-width characters
    ),
    *fault("null instant of change", "quarantine", ONE, "no version is the latest", sets={"updated": None}),
    *fault("duplicate rows in one delivery", "accept", (14, 12, 2, 0, 0), rows=lambda rows: [*rows, rows[2], rows[7]]),
]

TIMES = [
    *fault(
        "impossible date",
        "quarantine",
        ONE,
        police={"sets": {"reported_at": "2025-02-30T10:00:00+09:00"}},
        fire={"sets": {"dclr_dt": "20250230100000"}},
        investigation={"sets": {"접수일": "2025-02-30"}},
    ),
    *fault(
        "29 February of a common year",
        "quarantine",
        ONE,
        police={"sets": {"reported_at": "2025-02-29T10:00:00+09:00"}},
        fire={"sets": {"dclr_dt": "20250229100000"}},
        investigation={"sets": {"접수일": "2025-02-29"}},
    ),
    *fault(
        "mixed zones",
        "quarantine",
        ONE,
        police={
            **ACCEPTED,
            "rows": put({"updated_at": "2025-11-02T02:40:00Z"}),
            "truth": put({"updated_at": "2025-11-02T02:40:00Z"}),
        },
        fire={"sets": {"chg_dt": "2025-11-02T11:40:00+09:00"}},
        investigation={"sets": {"변경일시": "2025-11-02T11:40:00+09:00"}},
    ),
    *fault(
        "time without its leading zeros",
        "quarantine",
        ONE,
        police={"sets": {"reported_at": "2025-11-2T9:05:00+09:00"}},
        fire={"sets": {"dclr_dt": "2025112905"}},
        investigation={"sets": {"접수일": "2025-11-2"}},
    ),
    *fault(
        "sentinel 1900-01-01",
        "quarantine",
        ONE,
        police={"sets": {"reported_at": "1900-01-01T00:00:00+09:00"}},
        fire={"sets": {"dclr_dt": "19000101000000"}},
        investigation={"sets": {"접수일": "1900-01-01"}},
    ),
    *fault(
        "timestamp in the future",
        "quarantine",
        ONE,
        police={"sets": {"reported_at": "2099-11-02T10:00:00+09:00"}},
        fire={"sets": {"dclr_dt": "20991102100000"}},
        investigation={"sets": {"접수일": "2099-11-02"}},
    ),
    *fault(
        "clock of the source in a far year",
        "quarantine",
        ONE,
        "after the end of the window",
        police={"sets": {"updated_at": "2049-11-02T10:00:00+09:00"}},
        fire={"sets": {"chg_dt": "20491102100000"}},
        investigation={"sets": {"변경일시": "2049-11-02 10:00:00"}},
    ),
    *fault(
        "report of a day that is yet to come",
        "quarantine",
        ONE,
        "after the end of the window",
        police={"sets": {"reported_at": "2025-11-06T00:00:00+09:00"}},
        fire={"sets": {"dclr_dt": "20251106000000"}},
        investigation={"sets": {"접수일": "2025-11-06"}},
    ),
    *fault(
        "report some hours ahead",
        "accept",
        ALL,
        police={
            "rows": put({"reported_at": "2025-11-04T23:59:59+09:00"}),
            "truth": put({"reported_at": "2025-11-04T23:59:59+09:00"}),
        },
        fire={"rows": put({"dclr_dt": "20251104235959"}), "truth": put({"dclr_dt": "20251104235959"})},
        investigation={
            "rows": put({"접수일": "2025-11-04"}),
            "truth": put({"접수일": "2025-11-04"}),
        },
    ),
    *fault(
        "clock of the source a year ahead in all records",
        "reject",
        WHOLE,
        "rows fail the suite",
        police={"rows": put({"updated_at": "2026-11-02T10:00:00+09:00"}, *EVERY)},
        fire={"rows": put({"chg_dt": "20261102100000"}, *EVERY)},
        investigation={"rows": put({"변경일시": "2026-11-02 10:00:00"}, *EVERY)},
    ),
    *fault(
        "unit change: times as seconds or serial days",
        "reject",
        WHOLE,
        "rows fail the suite",
        police={"rows": put({"reported_at": "1762045500"}, *EVERY)},
        fire={"rows": put({"dclr_dt": "1762045500"}, *EVERY)},
        investigation={"rows": put({"접수일": "45963"}, *EVERY)},
    ),
]

COLUMNS = [
    *fault(
        "renamed column",
        "reject",
        WHOLE,
        "lacks the columns",
        police={"rows": renamed("category", "kind")},
        fire={"rows": renamed("dclr_dt", "rcpt_dt")},
        investigation={"rows": renamed("범죄분류", "분류")},
    ),
    *fault(
        "dropped column",
        "reject",
        WHOLE,
        "lacks the columns",
        police={"rows": without("priority")},
        fire={"rows": without("del_yn")},
        investigation={"rows": without("시도코드")},
    ),
    *fault("added column", "accept", ALL, rows=put({"memo": "새 열"}, *EVERY)),
    *fault("column name that is SQL", "accept", ALL, rows=put({'x"; drop schema raw cascade; --': "1"}, *EVERY)),
    *fault("reordered columns", "accept", ALL, rows=lambda rows: [dict(reversed(row.items())) for row in rows]),
    *fault(
        "retyped column",
        "reject",
        WHOLE,
        "",
        police={"rows": put({"priority": "긴급"}, *EVERY), "says": "changed its type"},
        fire={"rows": put({"dclr_dt": 20251102}, *EVERY), "says": "rows fail the suite"},
        investigation={"rows": put({"시도코드": "11.0"}, *EVERY), "says": "rows fail the suite"},
    ),
    *fault(
        "number too large for its column",
        "quarantine",
        ONE,
        police={**REJECTED, "sets": {"priority": 2**64 - 1}, "says": "changed its type"},
        fire={"sets": {"dclr_rcpt_no": 10**18}},
        investigation={"sets": {"시도코드": str(10**18)}},
    ),
]

WORDS = [
    *fault(
        "code-list change: unknown word",
        "accept",
        ALL,
        police=kept_as_sent(put({"category": "신종"})),
        fire={
            **kept_as_sent(put({"emrg_rscu_clsf_nm": "신종"})),
            "staged": ("select count(*) from {} where service = 'ems'", 12),  # an ambulance was sent
        },
        investigation=kept_as_sent(put({"범죄분류": "신종"})),
    ),
    *fault(
        "null category", "quarantine", ONE, "cannot be mapped|", sets={"category": None}, fire={"says": "no service"}
    ),
    *fault(
        "flag that says neither yes nor no",
        "quarantine",
        ONE,
        "still stands",
        police={"sets": {"is_withdrawn": None}},
        fire={"sets": {"del_yn": "?"}},
        investigation={"sets": {"삭제여부": "?"}},
    ),
    *fault(
        "sentinel -1",
        "quarantine",
        ONE,
        police={"sets": {"priority": -1}},
        fire={"sets": {"damg_rgn_lot": "-1"}},
        investigation={"sets": {"시도코드": "-1"}},
    ),
    *fault(
        "sentinel 9999",
        "quarantine",
        ONE,
        police={"sets": {"lon": 9999.0}},
        fire={"sets": {"damg_rgn_lot": "9999"}},
        investigation={"sets": {"시도코드": "9999"}},
    ),
    *fault(
        "decomposed Hangul (NFD)",
        "accept",
        ALL,
        police=mapped("category", decomposed("절도"), "절도"),
        fire=mapped("emrg_rscu_clsf_nm", decomposed("구급"), "구급"),
        investigation=mapped(
            "범죄분류", "ㄱㅕㅇㅈㅔ", "ㄱㅕㅇㅈㅔ"
        ),  # CP949 has single letters only, which make another word
    ),
    *fault(
        "zero-width character in a word",
        "accept",
        ALL,
        police=mapped("category", "절도\u200b", "절도"),
        fire=mapped("emrg_rscu_clsf_nm", "구급\u200b", "구급"),
        investigation=mapped("범죄분류", "경제\u3000", "경제"),
    ),
    *fault(
        "formula in a text",
        "accept",
        ALL,
        staged=ALL_STAGED,
        police=kept_as_sent(put({"station_name": '=HYPERLINK("http://x")'})),
        fire=kept_as_sent(put({"cmptnc_frstn_nm": "=cmd|'/C calc'!A0"})),
        investigation=kept_as_sent(put({"진행상태": "@SUM(1+1)"})),
    ),
    *fault(
        "SQL in a text",
        "accept",
        ALL,
        staged=ALL_STAGED,
        police=kept_as_sent(put({"category": "'); drop table raw.police_112; --"})),
        fire=kept_as_sent(put({"emrg_rscu_clsf_nm": "'); drop table raw.fire_119; --"})),
        investigation=kept_as_sent(put({"범죄분류": "'); drop table raw.investigation_cases; --"})),
    ),
    *fault(
        "poison row: every value wrong",
        "quarantine",
        ONE,
        rows=lambda rows: [
            *rows[:3],
            {name: "?" if isinstance(value, str) else value for name, value in rows[3].items()},
            *rows[4:],
        ],
    ),
    *fault(
        "more bad rows than one in five",
        "reject",
        WHOLE,
        "more than 20%",
        police={"rows": put({"priority": 9}, 0, 4, 8)},
        fire={"rows": put({"del_yn": "?"}, 0, 4, 8)},
        investigation={"rows": put({"삭제여부": "?"}, 0, 4, 8)},
    ),
    *fault(
        "ten times the usual volume",
        "accept",
        (120, 120, 0, 0, 0),
        rows=lambda rows: tenfold(rows),
        truth=lambda rows: tenfold(rows),
    ),
]


def tenfold(rows: Rows) -> Rows:
    """Return ten records for each, with separate numbers."""
    name = next(iter(rows[0]))
    return [
        row | {name: f"{row[name][:-2]}{int(row[name][-2:]) + 12 * again:02d}"} for again in range(8) for row in rows
    ] + [
        row | {name: f"{row[name][:-4]}{9000 + int(row[name][-2:]) + 12 * again}"} for again in range(2) for row in rows
    ]


PLACES = [
    *places(
        "swapped axes, one record",
        lambda n: 37.56,
        lambda n: 126.97,
        3,
        declared=QUARANTINED,
        instead={"sets": {"시도코드": "서울특별시", "시도명": "11"}},
    ),
    *places(
        "swapped axes, all records",
        lambda n: 37.56 + n / 1000,
        lambda n: 126.97 + n / 1000,
        *EVERY,
        declared=REJECTED,
        instead={"rows": put({"시도코드": "서울특별시", "시도명": "11"}, *EVERY)},
    ),
    *places(
        "outside Korea", lambda n: 139.69, lambda n: 35.68, 3, declared=QUARANTINED, instead={"rows": province("도쿄")}
    ),
    *places(
        "0,0",
        lambda n: 0.0,
        lambda n: 0.0,
        3,
        declared={**ACCEPTED, "staged": ("select count(*) from {} where lon is null", 1)},
        instead={**kept_as_sent(province("00")), "staged": ALL_STAGED},
    ),
    *places(
        "EPSG:5179 instead of degrees",
        lambda n: 953_000.0 + n,
        lambda n: 1_952_000.0 + n,
        *EVERY,
        declared=REJECTED,
        instead={"rows": province("11110", *EVERY)},
    ),
    *places(
        "EPSG:5186 instead of degrees",
        lambda n: 198_000.0 + n,
        lambda n: 551_900.0 + n,
        *EVERY,
        declared=REJECTED,
        instead={"rows": province("1111010100", *EVERY)},
    ),
    *places(
        "EPSG:5174 instead of degrees",
        lambda n: 197_900.0 + n,
        lambda n: 451_600.0 + n,
        *EVERY,
        declared=REJECTED,
        instead={"rows": province("KR-11", *EVERY)},
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [*KEYS, *TIMES, *COLUMNS, *WORDS, *PLACES], ids=lambda case: f"{case.fault}: {case.agency.name}"
)
def test_a_faulty_record_ends_as_declared(case: Case, run_matrix_case: Callable[[Case], None]) -> None:
    sent, clean = ([list(row.items()) for row in rows] for rows in (case.rows(case.agency.clean), case.agency.clean))
    assert sent != clean, "the fault changes nothing"
    run_matrix_case(case)
