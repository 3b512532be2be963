"""The published tables: who sees what, held against the rows of the small warehouse."""

import duckdb

from pipelines.release import audiences, dictionary


def rows(con: duckdb.DuckDBPyConnection, audience: str, table: str) -> list[dict[str, object]]:
    """What an audience gets of a table."""
    (entry,) = [entry for entry in audiences.tables_of(audience) if entry.name == table]
    return con.execute(entry.select).pl().to_dicts()


def test_every_view_is_in_the_dictionary_with_its_columns_and_types(con: duckdb.DuckDBPyConnection) -> None:
    assert dictionary.problems(con, "views") == []


def test_police_and_fire_see_their_own_incidents_only(con: duckdb.DuckDBPyConnection) -> None:
    assert {row["agency"] for row in rows(con, "police", "incidents")} == {"police"}
    assert {row["agency"] for row in rows(con, "fire", "incidents")} == {"fire"}
