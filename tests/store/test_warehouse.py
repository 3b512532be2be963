"""The warehouse: one writer, models in dependency order, and hashes that depend on content only."""

from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines.config import paths
from pipelines.config.environment import Environment
from pipelines.config.settings import Settings
from pipelines.store import handover, warehouse


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "SQL", tmp_path / "sql")
    (tmp_path / "sql" / "marts").mkdir(parents=True)
    return tmp_path / "sql" / "marts"


def test_the_hash_ignores_row_order_and_bookkeeping(settings: Settings) -> None:
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "_run_id": [7, 8, 9]})
    with warehouse.connect(settings) as con:
        warehouse.write_frame(con, "marts", "one", frame)
        warehouse.write_frame(con, "marts", "two", frame.reverse().with_columns(_run_id=pl.lit(0)))
        assert warehouse.logical_hash(con, "marts", "one") == warehouse.logical_hash(con, "marts", "two")


@pytest.mark.parametrize(
    "other",
    [
        {"a": [1, 2, 4], "b": ["x", "y", "z"]},
        {"a": [1, 2], "b": ["x", "y"]},
        {"a": [1, 2, 3], "c": ["x", "y", "z"]},
        {"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]},
        {"a": [2, 1, 3], "b": ["x", "y", "z"]},
    ],
)
def test_the_hash_changes_with_values_names_and_types(settings: Settings, other: dict[str, list[object]]) -> None:
    with warehouse.connect(settings) as con:
        warehouse.write_frame(con, "marts", "one", pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}))
        warehouse.write_frame(con, "marts", "two", pl.DataFrame(other))
        assert warehouse.logical_hash(con, "marts", "one") != warehouse.logical_hash(con, "marts", "two")


def test_models_are_built_in_the_order_of_their_from_clauses(settings: Settings, models: Path) -> None:
    (models / "a.sql").write_text("select sum(n) as n from marts.b")
    (models / "b.sql").write_text("-- Grain: n.\nwith c as (select n from marts.c) select n + 1 as n from c")
    (models / "c.sql").write_text("select 1 as n")
    with warehouse.connect(settings) as con:
        edges = warehouse.run_models(con, "marts")
        assert con.execute("select n from marts.a").fetchall() == [(2,)]
    assert edges == {"marts.a": {"marts.b"}, "marts.b": {"marts.c"}, "marts.c": set()}


def test_models_that_read_each_other_in_a_cycle_are_rejected(settings: Settings, models: Path) -> None:
    (models / "a.sql").write_text("select n from marts.b")
    (models / "b.sql").write_text("select n from marts.a")
    with warehouse.connect(settings) as con, pytest.raises(warehouse.WarehouseError, match="cycle"):
        warehouse.run_models(con, "marts")


@pytest.mark.parametrize("text", ["select 1; select 2", "create table x as select 1", "pivot t on a using sum(b)", ""])
def test_a_model_that_is_not_one_plain_select_is_rejected(settings: Settings, models: Path, text: str) -> None:
    (models / "a.sql").write_text(text)
    with warehouse.connect(settings) as con, pytest.raises(warehouse.WarehouseError, match=r"marts/a\.sql"):
        warehouse.run_models(con, "marts")


def test_a_model_that_fails_names_its_file(settings: Settings, models: Path) -> None:
    (models / "a.sql").write_text("select missing from marts.nothing")
    with warehouse.connect(settings) as con, pytest.raises(warehouse.WarehouseError, match=r"sql/marts/a\.sql"):
        warehouse.run_models(con, "marts")


def test_a_failed_transaction_leaves_nothing(settings: Settings) -> None:
    with warehouse.connect(settings) as con:
        warehouse.write_frame(con, "marts", "one", pl.DataFrame({"a": [1]}))
        with pytest.raises(ZeroDivisionError), warehouse.transaction(con):
            con.execute("insert into marts.one values (2)")
            raise ZeroDivisionError
        assert con.execute("select count(*) from marts.one").fetchall() == [(1,)]


def test_a_second_writer_waits_and_then_reports_who_holds_the_file(settings: Settings) -> None:
    import subprocess
    import sys

    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.readline()"
    settings.work.mkdir(parents=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(settings.warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None and holder.stdout is not None
    with holder, holder.stdin:
        holder.stdout.readline()
        impatient = settings.model_copy(update={"environment": Environment(lock_timeout_seconds=0.3)})
        with pytest.raises(warehouse.WarehouseError, match=f"PID {holder.pid}"), warehouse.connect(impatient):
            pass


def test_the_file_opens_read_only_without_its_log_or_any_extension(settings: Settings) -> None:
    with warehouse.connect(settings) as con:
        warehouse.write_frame(con, "marts", "one", pl.DataFrame({"a": [1]}))
    assert not settings.warehouse.with_name("warehouse.duckdb.wal").exists()
    with duckdb.connect(str(settings.warehouse), read_only=True) as reader:
        assert reader.execute("select a from marts.one").fetchall() == [(1,)]


@pytest.mark.parametrize("content", [b"no database" * 1000, b"x"])
def test_a_damaged_file_is_named_with_its_remedy_and_can_be_discarded(settings: Settings, content: bytes) -> None:
    settings.work.mkdir(parents=True)
    settings.warehouse.write_bytes(content)
    message = r"cannot be opened .*`bongsu rebuild`"
    with pytest.raises(warehouse.WarehouseError, match=message), warehouse.connect(settings):
        pass
    warehouse.discard(settings)
    assert not settings.warehouse.exists()
    warehouse.discard(settings)


def test_a_file_that_another_process_writes_is_not_discarded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attach(*_: object) -> None:
        raise warehouse.WarehouseError("another process writes the warehouse; wait or stop it")

    settings.work.mkdir(parents=True)
    settings.warehouse.touch()
    monkeypatch.setattr(warehouse, "_attach", attach)
    with pytest.raises(warehouse.WarehouseError, match="another process"):
        warehouse.discard(settings)
    assert settings.warehouse.exists()


def test_a_writer_waits_for_the_lock_until_it_is_free(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(warehouse.time, "sleep", waits.append)

    class Connection:
        def execute(self, _sql: str) -> None:
            if len(waits) < 3:
                raise duckdb.IOException("Could not set lock on file")

    warehouse._attach(Connection(), settings)  # type: ignore[arg-type]
    assert waits == [0.2] * 3


def test_an_extension_that_is_not_installed_is_named_with_its_remedy() -> None:
    with duckdb.connect() as con, pytest.raises(warehouse.WarehouseError, match=r"duckdb-extension-none .*make setup"):
        warehouse.load_extension(con, "none")


def test_a_task_whose_input_was_not_handed_over_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(handover.HandoverError, match="run the task before this one, or the whole step"):
        handover.load(tmp_path / "forecast")


def test_a_warehouse_of_another_version_is_named_with_its_remedy(settings: Settings) -> None:
    with warehouse.connect(settings) as con:
        con.execute("alter table ops.batches rename column batch_type to kind")
    message = r"another version .*ops\.batches differ.*run `bongsu rebuild`"
    with pytest.raises(warehouse.WarehouseError, match=message), warehouse.connect(settings):
        pass
    warehouse.discard(settings)
    with warehouse.connect(settings) as con:
        assert con.execute("select count(batch_type) from ops.batches").fetchall() == [(0,)]
