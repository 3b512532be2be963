"""The comparison of two builds: unlisted differences are reported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.equivalence import __main__ as command
from tests.equivalence.compare import Renames, differences

GRAIN = {"marts.calls": ["area_id", "hour"], "forecast.demand": ["area_id"]}
CALLS = (
    "create schema marts; create table marts.calls as from (values ('A', 1, 2), ('A', 2, 0)) t(area_id, hour, calls)"
)
DEMAND = "create schema forecast; create table forecast.demand as select 'A' as area_id, 0.1::double as mean"

Compared = Callable[..., list[str]]


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    """The differences between two files that are made by SQL, with some renames."""

    def run(before: str, after: str, audience: str | None = None, **renames: Any) -> list[str]:
        for name, sql in (("before", before), ("after", after)):
            with duckdb.connect(tmp_path / f"{name}.duckdb") as con:
                con.execute(sql)
        listed = Renames(base="base", **renames)
        return differences(tmp_path / "before.duckdb", tmp_path / "after.duckdb", listed, GRAIN, audience)

    return run


def test_equal_tables_have_no_difference_whatever_the_order_of_rows_and_columns(compared: Compared) -> None:
    rows = "from (values (0, 2, 'A'), (2, 1, 'A')) t(calls, hour, area_id)"
    assert compared(CALLS, f"create schema marts; create table marts.calls as {rows}") == []


def test_a_changed_value_and_a_row_of_one_side_are_counted_by_column(compared: Compared) -> None:
    other = f"{CALLS}; update marts.calls set calls = 9 where hour = 1; update marts.calls set hour = 3 where hour = 2"
    assert compared(CALLS, other) == [
        "marts.calls: 1 rows only before",
        "marts.calls: 1 rows only after",
        "marts.calls.calls: 1 rows differ",
    ]


def test_a_table_without_a_key_is_compared_as_rows_and_without_bookkeeping(compared: Compared) -> None:
    sql = "create schema raw; create table raw.rows as select unnest({}) as x, {} as _batch"
    assert compared(sql.format("[1, 1, 2]", 1), sql.format("[2, 1, 1]", 2)) == []


def test_computed_floats_of_a_table_without_a_key_may_differ_by_a_rounding_error(compared: Compared) -> None:
    sql = "create schema forecast; create table forecast.rows as select unnest([{}::double, 2.0]) as x"
    assert compared(sql.format("0.1"), sql.format("0.1 + 1e-12")) == []


def test_a_row_too_many_of_a_table_without_a_key_is_counted(compared: Compared) -> None:
    sql = "create schema raw; create table raw.rows as select unnest({}) as x"
    assert compared(sql.format("[1, 1, 2]"), sql.format("[1, 2, 2, 3]")) == [
        "raw.rows: 1 rows only before",
        "raw.rows: 2 rows only after",
    ]


def test_computed_floats_may_differ_by_a_rounding_error_and_those_of_sql_tables_may_not(compared: Compared) -> None:
    nearly = "0.1 + 1e-12"
    assert compared(DEMAND, DEMAND.replace("0.1", nearly)) == []


@pytest.mark.parametrize("value", ["0.1 + 1e-8", "null", "'nan'"])
def test_computed_floats_that_differ_by_more_are_named(compared: Compared, value: str) -> None:
    assert compared(DEMAND, DEMAND.replace("0.1", value)) == ["forecast.demand.mean: 1 rows differ"]


def test_floats_of_sql_tables_are_exact(compared: Compared) -> None:
    sql = "create schema marts; create table marts.calls as select 'A' as area_id, 1 as hour, {}::double as share"
    assert compared(sql.format("0.1"), sql.format("0.1 + 1e-12")) == ["marts.calls.share: 1 rows differ"]


def test_every_table_and_column_must_be_mapped(compared: Compared) -> None:
    renamed = CALLS.replace("marts.calls", "marts.demand").replace("calls)", "units)")
    assert compared(CALLS, renamed) == [
        "marts.calls: missing; it should be called marts.calls",
        "marts.demand: new and not listed",
    ]


def test_listed_renames_drops_and_additions_are_not_differences(compared: Compared) -> None:
    renamed = CALLS.replace("marts.calls", "marts.demand").replace("hour, calls)", "hour, units)")
    renamed += "; create table marts.more as select 1 as x; alter table marts.demand add column z integer"
    assert (
        compared(
            CALLS
            + "; create table marts.gone as select 1 as x; alter table marts.calls add column y integer default 3",
            renamed,
            tables={"marts.calls": "marts.demand"},
            columns={"marts.calls": {"calls": "units"}},
            dropped={"marts.gone": "unused", "marts.calls.y": "unused"},
            added={"marts.more": "new", "marts.calls.z": "new"},
        )
        == []
    )


def test_renamed_columns_of_any_table_and_renamed_values_are_not_differences(compared: Compared) -> None:
    sql = "create schema marts; create table marts.calls as from (values ('{}', 1, 2)) t({}, hour, calls)"
    before, after = sql.format("listed", "area_id"), sql.format("releasable", "place_id")
    columns = {"*": {"area_id": "place_id"}}
    assert compared(before, after, columns=columns, recoded={"*.area_id": {"listed": "releasable"}}) == []


def test_a_renamed_value_that_is_not_listed_is_a_difference(compared: Compared) -> None:
    sql = "create schema marts; create table marts.calls as from (values ('{}', 1, 2)) t(area_id, hour, calls)"
    assert compared(sql.format("listed"), sql.format("releasable")) != []


def test_a_column_whose_values_are_meant_to_differ_is_not_compared_and_a_changed_type_is_named(
    compared: Compared,
) -> None:
    other = CALLS.replace("('A', 1, 2)", "('A', 1, 7)")
    assert compared(CALLS, other, values={"*.calls": "counted again"}) == []
    assert compared(DEMAND, DEMAND.replace("::double", "::float"))[0] == "forecast.demand.mean: DOUBLE became FLOAT"


def test_a_key_is_what_is_left_of_it_without_a_column_that_is_meant_to_differ(compared: Compared) -> None:
    sql = (
        "create schema marts; create table marts.calls as from (values ('A', {}, 0.1::double + {})) t(area_id, hour, x)"
    )
    renames = {"values": {"*.hour": "counted from another day"}}
    assert compared(sql.format(1, 0), sql.format(2, 1), **renames) == ["marts.calls.x: 1 rows differ"]


@pytest.mark.parametrize(
    ("condition", "differs"), [("hour = 1", []), ("hour = 2", ["marts.calls.calls: 1 rows differ"])]
)
def test_rows_that_are_meant_to_differ_are_not_compared(compared: Compared, condition: str, differs: list[str]) -> None:
    other = f"{CALLS}; update marts.calls set calls = 9 where hour = 1"
    assert compared(CALLS, other, rows={"marts.*": condition}) == differs


@pytest.mark.parametrize(("value", "is_equal"), [(1, True), (2, False)])
def test_a_view_is_compared_with_the_table_that_it_was(compared: Compared, value: int, is_equal: bool) -> None:
    table = "create schema views; create table views.calls as select 1 as x"
    view = (
        f"create schema views; create table t as select {value} as x; create view views.calls as select x from main.t"
    )
    assert (compared(table, view, added={"main.t": "it was a table"}) == []) == is_equal


def test_tables_of_a_release_are_named_by_their_audience(compared: Compared) -> None:
    sql = "create table incidents as select {} as record_id"
    assert compared(sql.format(1), sql.format(2), audience="police") == [
        "police.incidents: 1 rows only before",
        "police.incidents: 1 rows only after",
    ]


def test_the_base_commit_is_found_by_its_subject_and_an_unknown_one_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Log:
        stdout = "c3 Newest\nb2 The base\na1 The base\n"

    monkeypatch.setattr(command.subprocess, "run", lambda *_args, **_options: Log)
    assert command.commit("The base") == "b2"
    with pytest.raises(SystemExit, match="fetch the whole history, or give --base"):
        command.commit("Another")
