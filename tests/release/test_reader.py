"""Reading the current release: errors list what can be read."""

from pathlib import Path

import duckdb
import pytest

from pipelines.config.settings import Settings
from pipelines.release import integrity, reader
from pipelines.release.reader import ReaderError


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A release that holds one table for one audience, intact."""
    folder = settings.published / "releases" / "one" / "audiences" / "public"
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / "public.duckdb")) as con:
        con.execute(
            "create table feed_status as select 'calls' as feed, timestamptz '2026-03-02 05:15:00+09' as seen_at"
        )
    settings.current.symlink_to("releases/one")
    monkeypatch.setattr(integrity, "missing", lambda _: [])
    monkeypatch.setattr(integrity, "problems", lambda *_: [])
    return settings


def test_a_failing_statement_lists_the_available_tables(home: Settings) -> None:
    with pytest.raises(ReaderError, match=r"^.*not_there does not exist.*; tables for public: feed_status$"):
        reader.query(home, "from not_there")


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("", "nothing"),
        ("-- x", "nothing"),
        ("select 1; select 2", "SELECT, SELECT"),
        ("set threads = 1", "SET"),
        ("create table t as select 1", "CREATE"),
    ],
)
def test_anything_but_one_statement_that_reads_is_refused_in_one_line(home: Settings, sql: str, what: str) -> None:
    with pytest.raises(ReaderError, match=f"^give one statement that reads, such as .*, instead of {what}$"):
        reader.query(home, sql)


def test_a_pivot_without_its_values_is_refused_with_how_to_write_it(home: Settings) -> None:
    with pytest.raises(ReaderError, match=r"^PIVOT needs its values, as in: pivot t on month in \(1, 2\)"):
        reader.query(home, "pivot feed_status on feed using count(*)")
    assert reader.query(home, "pivot feed_status on feed in ('calls') using count(*)").height == 1


@pytest.mark.parametrize("sql", ["show tables", "describe feed_status", "explain from feed_status", "values (1)"])
def test_statements_that_describe_are_allowed(home: Settings, sql: str) -> None:
    assert reader.query(home, sql).height


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ("interval 1 day", "INTERVAL"),
        ("[interval 1 day]", r"INTERVAL\[\]"),
        ("map{1: {'a': interval 1 day}}", "MAP"),
        ("union_value(n := 2)", "UNION"),
        ("340282366920938463463374607431768211455::uhugeint", "UHUGEINT"),
        ("bit '0101'", "BIT"),
        ("timetz '12:00:00+09'", "TIME WITH TIME ZONE"),
    ],
)
def test_a_type_that_cannot_be_exported_is_named_with_what_to_do(home: Settings, value: str, dtype: str) -> None:
    with pytest.raises(ReaderError, match=f"^column x has a type .* \\({dtype}.*; cast it to varchar$"):
        reader.query(home, f"select {value} as x")


@pytest.mark.parametrize(
    "value", ["date 'infinity'", "timestamp '-infinity'", "timestamptz 'infinity'", "date '12000-01-01'"]
)
def test_a_date_that_other_programs_do_not_know_is_named_with_what_to_do(home: Settings, value: str) -> None:
    with pytest.raises(ReaderError, match="column x has a date outside the years 1 to 9999; cast it to varchar"):
        reader.query(home, f"select {value} as x")
    assert reader.query(
        home, "select date '0001-01-01' as x, timestamp '9999-12-31 23:00' as y, null::date as z"
    ).height


def test_an_unknown_audience_lists_the_available_ones(home: Settings) -> None:
    with pytest.raises(ReaderError, match="there is no audience 'press'; this release has public"):
        reader.query(home, "from feed_status", "press")


def test_a_reader_cannot_open_files_or_change_data(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (f"from '{tmp_path}/secret.csv'", "delete from feed_status", "set enable_external_access = true"):
        with pytest.raises(ReaderError):
            reader.query(home, sql)
    assert reader.query(home, "select feed from feed_status").rows() == [("calls",)]


def test_instants_are_read_in_utc(home: Settings) -> None:
    assert reader.query(home, "select seen_at::varchar as text from feed_status").rows() == [
        ("2026-03-01 20:15:00+00",)
    ]
