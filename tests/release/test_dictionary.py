"""The dictionary is the allow-list: what it does not list cannot be published."""

from pathlib import Path

import duckdb
import pytest

from pipelines.release import audiences, dictionary
from pipelines.release.audiences import AudienceError
from pipelines.release.dictionary import DictionaryError
from pipelines.schema.incident import DISPATCH_COLUMNS, INCIDENT_COLUMNS, STAGED_COLUMNS


def test_an_unlisted_table_fails_and_the_message_says_what_to_add(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create table views.secrets (name varchar)")
    with pytest.raises(DictionaryError, match=r"views\.secrets is not listed: add it under `tables:`.*\['name'\]"):
        dictionary.check(con, "views")


def test_an_unlisted_column_fails_and_the_message_says_what_to_add(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("alter table views.incidents add column caller_phone varchar")
    with pytest.raises(DictionaryError, match="'caller_phone' to the table's `columns:` and define it"):
        dictionary.check(con, "views")


def test_a_missing_column_and_a_changed_type_fail(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("alter table views.incidents drop column lon")
    con.execute("alter table views.incidents alter priority type bigint")
    missing, changed = dictionary.problems(con, "views")
    assert "views.incidents lacks the column 'lon'" in missing
    assert "views.incidents.priority is BIGINT, but the dictionary says INTEGER" in changed


def test_our_bookkeeping_columns_need_no_entry(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("alter table core.incidents add column _batch_id varchar")
    assert dictionary.problems(con, "core") == []


def test_staging_of_a_feed_is_held_against_the_common_record(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create table staging.fire_119 as from staging.incidents")
    con.execute("create table staging.fire_119_dispatches as from staging.dispatches")
    assert dictionary.problems(con, "staging") == []


def test_the_dictionary_and_the_common_record_agree() -> None:
    known = dictionary.load()
    types = {name: known.columns[name].type for name in STAGED_COLUMNS | DISPATCH_COLUMNS}
    assert types == STAGED_COLUMNS | DISPATCH_COLUMNS
    assert known.tables["staging.incidents"].columns == tuple(STAGED_COLUMNS)
    assert known.tables["staging.dispatches"].columns == tuple(DISPATCH_COLUMNS)
    assert known.tables["core.incidents"].columns[: len(INCIDENT_COLUMNS)] == INCIDENT_COLUMNS


def test_every_column_is_used_and_every_table_says_what_it_is() -> None:
    known = dictionary.load()
    used = {column for table in known.tables.values() for column in table.columns}
    assert set(known.columns) == used
    assert all(table.meaning.endswith(".") for table in known.tables.values())
    assert all(set(table.grain) <= set(table.columns) for table in known.tables.values())


def test_only_views_may_have_an_audience(tmp_path: Path) -> None:
    path = tmp_path / "dictionary.yml"
    path.write_text(
        "columns: {a: {type: VARCHAR, meaning: x}}\n"
        "tables: {core.t: {meaning: x, grain: [a], columns: [a], audiences: {public: }}}\n"
    )
    with pytest.raises(DictionaryError, match="only schema views is published"):
        dictionary.load(path)


def test_a_table_may_not_name_an_undefined_column(tmp_path: Path) -> None:
    path = tmp_path / "dictionary.yml"
    path.write_text("columns: {}\ntables: {views.t: {meaning: x, grain: [], columns: [b]}}\n")
    with pytest.raises(DictionaryError, match=r"views\.t lists \['b'\]; define them once"):
        dictionary.load(path)


def test_a_hidden_column_is_in_no_selection_and_no_description_of_its_audience() -> None:
    (entry,) = [entry for entry in audiences.tables_of("police") if entry.name == "staffing"]
    assert "baseline_calls" not in entry.select and "expected_calls" in entry.select
    assert "baseline_calls" not in dictionary.markdown("police", {entry.name: entry.table}, "Seoul", "")
    assert "baseline_calls" in dictionary.load().published("dispatch")["staffing"].columns


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        ("{public: [b]}", r"hides \['b'\] from public"),
        ("{public: [a]}", r"hides \['a'\] from public"),
        ("{press: [c]}", "hides columns from press"),
    ],
)
def test_only_columns_outside_the_grain_can_be_hidden_from_who_gets_the_table(
    tmp_path: Path, hidden: str, message: str
) -> None:
    path = tmp_path / "dictionary.yml"
    path.write_text(
        "columns: {a: {type: VARCHAR, meaning: x}, c: {type: VARCHAR, meaning: x}}\n"
        f"tables: {{views.t: {{meaning: x, grain: [a], columns: [a, c], audiences: {{public: }}, hidden: {hidden}}}}}\n"
    )
    with pytest.raises(DictionaryError, match=message):
        dictionary.load(path)


def test_an_audience_without_tables_is_refused() -> None:
    with pytest.raises(AudienceError, match="'press' gets no table"):
        audiences.check(["public", "press"])


def test_the_notice_leads_every_table_comment() -> None:
    table = dictionary.load().tables["views.hot_spots"]
    assert dictionary.comments(table, "모의자료 SIMULATED")[0].startswith("모의자료 SIMULATED. Gi*")
    assert dictionary.comments(table, "")[0].startswith("Gi*")
