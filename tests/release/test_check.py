"""What the dictionary does not list cannot be published."""

import duckdb
import pytest

from pipelines.schema import check
from pipelines.schema.dictionary import DictionaryError


def test_an_unlisted_table_fails_and_the_message_states_what_to_add(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create table views.secrets (name varchar)")
    with pytest.raises(DictionaryError, match=r"views\.secrets is not listed: add it to sql/dictionary/views\.yml"):
        check.check(con, "views")


def test_an_unlisted_column_fails_and_the_message_states_what_to_add(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("alter table views.incidents add column caller_phone varchar")
    with pytest.raises(
        DictionaryError, match=r"'caller_phone' to the table's `columns:` in sql/dictionary/views\.yml with"
    ):
        check.check(con, "views")


def test_a_missing_column_and_a_changed_type_fail(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("alter table views.incidents drop column lon")
    con.execute("alter table views.incidents alter priority type bigint")
    missing, changed = check.problems(con, "views")
    assert "views.incidents lacks the column 'lon'" in missing
    assert "views.incidents.priority is BIGINT, but the dictionary has INTEGER" in changed


def test_bookkeeping_columns_need_no_entry(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("alter table core.incidents add column _batch_id varchar")
    assert check.problems(con, "core") == []


def test_staging_of_a_feed_is_compared_with_the_common_record(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create table staging.fire_119 as from staging.incidents")
    con.execute("create table staging.fire_119_dispatches as from staging.dispatches")
    assert check.problems(con, "staging") == []
