"""DAGs: they parse quickly and without warnings, and only wire steps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DAGS = sorted((ROOT / "dags").glob("*.py"))

PARSE = """
import sys, json
from airflow.models import DagBag
bag = DagBag("dags", known_pools={"default_pool", "warehouse"})
dags = {
    dag_id: {
        "tasks": {t.task_id: [t.pool, t.retries, t.trigger_rule.value, sorted(t.upstream_task_ids)] for t in dag.tasks},
        "undocumented": [t.task_id for t in dag.tasks if not t.doc_md],
        "unreported": [t.task_id for t in dag.tasks if not t.on_failure_callback],
        "max_active_runs": dag.max_active_runs,
        "doc": bool(dag.doc_md),
    }
    for dag_id, dag in bag.dags.items()
}
heavy = [m for m in ("polars", "duckdb", "geopandas", "prophet", "great_expectations") if m in sys.modules]
print(json.dumps({"errors": bag.import_errors, "warnings": bag.captured_warnings, "dags": dags, "heavy": heavy}))
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict:
    import json

    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    done = subprocess.run(
        [sys.executable, "-c", PARSE],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_every_dag_parses_without_error_or_warning(parsed: dict) -> None:
    assert parsed["errors"] == {}
    assert parsed["warnings"] == {}
    assert set(parsed["dags"]) == {"daily", "continuity", "watch"}


def test_parsing_imports_no_heavy_library(parsed: dict) -> None:
    assert parsed["heavy"] == []


def test_one_run_at_a_time_and_a_page_of_documentation(parsed: dict) -> None:
    assert all(dag["max_active_runs"] == 1 and dag["doc"] for dag in parsed["dags"].values())


def test_every_task_is_documented_and_its_failure_reported(parsed: dict) -> None:
    assert all(dag["undocumented"] == [] and dag["unreported"] == [] for dag in parsed["dags"].values())


def test_every_task_that_opens_the_warehouse_uses_its_single_slot(parsed: dict) -> None:
    tasks = parsed["dags"]["daily"]["tasks"]
    outside = {name for name, (pool, *_) in tasks.items() if pool != "warehouse"}
    assert outside == {"feeds", "ingest.fetch", "forecast_fit"}


def test_a_failed_feed_stops_neither_build_nor_check(parsed: dict) -> None:
    tasks = parsed["dags"]["daily"]["tasks"]
    assert {name for name, (_, _, rule, _) in tasks.items() if rule == "all_done"} == {"build", "check"}


def test_past_forecasts_are_scored_before_anything_is_published(parsed: dict) -> None:
    tasks = parsed["dags"]["daily"]["tasks"]

    def above(name: str) -> set[str]:
        direct = set(tasks[name][3])
        return direct.union(*(above(upstream) for upstream in direct))

    assert {"ingest.load", "build", "score", "patterns", "forecast_write", "dispatch"} <= above("publish")
    assert "score" in above("forecast_read")
    assert "publish" in above("check")


def make(*arguments: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}
    done = subprocess.run(
        ["make", "--no-print-directory", "-s", *arguments],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(("given", "expected"), [({}, "127.0.0.1"), ({"AIRFLOW__API__HOST": "0.0.0.0"}, "0.0.0.0")])
def test_the_page_of_airflow_listens_on_loopback_unless_set(given: dict[str, str], expected: str) -> None:
    assert make("--eval=show: ; @echo $$AIRFLOW__API__HOST", "show", **given).strip() == expected


def test_no_log_server_of_airflow_is_started() -> None:
    # They listen on all interfaces, and no setting changes that.
    started = make("-n", "-o", ".venv/.ready", "airflow")
    assert "standalone" not in started
    assert "scheduler --skip-serve-logs" in started and "triggerer --skip-serve-logs" in started


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.name)
def test_a_dag_file_is_wiring_only(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 135
    assert not [line for line in lines if line.strip().startswith(("if ", "while ", "for "))]
    imported = [line for line in lines if line.startswith(("import", "from")) and "pipelines" in line]
    assert imported == ["from pipelines.config import environment", "from pipelines.steps import failure"]
