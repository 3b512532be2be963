"""Faults of order and time: late, early, twice, again, missing, too few, always the same. All of them converge."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.agencies import AGENCIES, Agency, Rows
from tests.faults.matrix import NOTHING, Case, Declared, fault

LATER = {
    "updated_at": "2025-11-04T10:00:00+09:00",
    "chg_dt": "20251104100000",
    "변경일시": "2025-11-04 10:00:00",
}
EARLIER = {
    "updated_at": "2025-11-01T10:00:00+09:00",
    "chg_dt": "20251101100000",
    "변경일시": "2025-11-01 10:00:00",
}
OTHER = {"category": "사기", "emrg_rscu_clsf_nm": "구조", "범죄분류": "선거"}


LONG_AGO = {"reported_at": "2019-05-01T09:00:00+09:00", "dclr_dt": "20190501090000", "접수일": "2019-05-01"}
NOW = {"reported_at": "2025-11-04T09:00:00+09:00", "dclr_dt": "20251104090000", "접수일": "2025-11-04"}
OLD = {"incident_no": "20190501-000001", "dclr_rcpt_no": "11920190501000001", "사건번호": "수사11-20190501-0001"}


def version(agency: Agency, rows: Rows, number: int, **changed: object) -> dict[str, Any]:
    """Return another version of a record: changes by the role of a column for the agency."""
    return rows[number] | {getattr(agency, name): value for name, value in changed.items()}


def per_agency(
    change: Callable[[Agency, Rows], Rows], *also: str, known: Callable[[Rows], Rows] | None = list
) -> dict[str, Declared]:
    """Return what an agency sends, and what it finally holds, after a day without faults."""
    declared = {}
    for agency in AGENCIES.values():
        rows = lambda rows, agency=agency: change(agency, rows)  # noqa: E731
        declared[agency.name] = {"rows": rows, "known": known, **dict.fromkeys(also, rows)}
    return declared


def changed(number: int, later: bool = True, **values: str) -> Callable[[Agency, Rows], Rows]:
    """Return one record in another version, the others unchanged."""

    def sent(agency: Agency, rows: Rows) -> Rows:
        at = LATER[agency.updated] if later else rows[number][agency.updated]
        other = {name: value(agency) for name, value in values.items()}  # type: ignore[operator]
        return [*rows[:number], version(agency, rows, number, updated=at, **other), *rows[number + 1 :]]

    return sent


def another(agency: Agency) -> object:
    return OTHER[agency.category]


HISTORY = [
    *fault("delivered again", "accept", (12, 0, 12, 0, 0), known=list),
    *fault("old days after new ones", "accept", (12, 12, 0, 0, 0), rows=lambda rows: list(reversed(rows))),
    *fault(
        "old day played again next to the new",
        "accept",
        (18, 0, 18, 0, 0),
        known=list,
        rows=lambda rows: [*rows, *rows[:6]],
    ),
    *fault("half a day now, the rest later", "accept", (9, 9, 0, 0, 0), rows=lambda rows: rows[:9]),
    *fault(
        "late correction",
        "accept",
        (12, 1, 11, 0, 0),
        staged=("select count(*) from {} where known_at >= '2025-11-04 01:00:00+00'", 1),
        **per_agency(changed(3, category=another), "truth"),
    ),
    *fault(
        "late withdrawal",
        "accept",
        (12, 1, 11, 0, 0),
        staged=("select count(*) from {}", 11),
        **per_agency(changed(3, withdrawn=lambda agency: agency.gone), "truth"),
    ),
    *fault(
        "corrected twice, the newer first",
        "accept",
        (13, 2, 11, 0, 0),
        staged=("select count(*) from {}", 12),
        **per_agency(
            lambda agency, rows: [
                *changed(3, category=another)(agency, rows),
                version(agency, rows, 3, updated=EARLIER[agency.updated]),
            ],
            "truth",
        ),
    ),
    *fault(
        "changed without a new update time",
        "accept",
        (12, 1, 11, 0, 0),
        staged=("select count(*) from {}", 12),
        **per_agency(changed(3, later=False, category=another), "truth"),
    ),
    *fault("record that comes late", "accept", (12, 1, 11, 0, 0), known=lambda rows: rows[:11]),
    *fault(
        "record that vanishes without notice",
        "accept",
        (11, 0, 11, 0, 0),
        known=list,
        rows=lambda rows: rows[:11],
        truth=lambda rows: rows[:11],
    ),
    *fault(
        "number given to another event",
        "accept",
        (12, 1, 11, 0, 0),
        staged=("select count(*) from {}", 12),
        **per_agency(changed(3, category=another, reported=lambda agency: NOW[agency.reported]), "truth"),
    ),
    *fault(
        "all records changed at once",
        "accept",
        (12, 12, 0, 0, 0),
        staged=("select count(*) from {}", 12),
        **per_agency(
            lambda agency, rows: [version(agency, rows, n, updated=LATER[agency.updated]) for n in range(12)], "truth"
        ),
    ),
    *fault("silent feed", "accept", NOTHING, known=list, rows=lambda rows: []),
    *fault("a tenth of the usual volume", "accept", (1, 0, 1, 0, 0), known=list, rows=lambda rows: rows[:1]),
    *fault("the same records for ever", "accept", (12, 0, 12, 0, 0), known=list, rows=list, truth=list),
    *fault(
        "record of years ago",
        "accept",
        (13, 13, 0, 0, 0),
        staged=("select count(*) from {}", 13),
        **per_agency(
            lambda agency, rows: [
                *rows,
                version(agency, rows, 3, id=OLD[agency.id], reported=LONG_AGO[agency.reported]),
            ],
            "truth",
            known=None,
        ),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", HISTORY, ids=lambda case: f"{case.fault}: {case.agency.name}")
def test_a_fault_of_order_or_time_ends_as_declared(case: Case, run_matrix_case: Callable[[Case], None]) -> None:
    run_matrix_case(case)
