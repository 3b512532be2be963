import math
import multiprocessing
import os
import pickle

import pandas as pd
import pytest

from pipelines.forecast.parallel import THREADS, EngineError, Workers, answer, map_tasks

ROOTS = [(4.0,), (9.0,), (16.0,)]


def _process(_task: int) -> str:
    return multiprocessing.current_process().name


def test_results_are_in_task_order_on_any_number_of_processes() -> None:
    assert map_tasks(math.sqrt, ROOTS) == map_tasks(math.sqrt, ROOTS, Workers(processes=2)) == [2.0, 3.0, 4.0]


def test_two_processes_do_the_work_outside_this_one() -> None:
    assert multiprocessing.current_process().name not in map_tasks(_process, [(1,), (2,)], Workers(processes=2))


def test_processes_share_the_processors_and_user_settings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    widths = map_tasks(os.getenv, [(name,) for name in THREADS], Workers(processes=2))
    assert widths == [str(max((os.cpu_count() or 1) // 2, 1)), "7"]
    assert "POLARS_MAX_THREADS" not in os.environ


def test_progress_is_reported_up_to_the_last_task() -> None:
    reports: list[tuple[int, int]] = []
    map_tasks(math.sqrt, ROOTS, progress=lambda done, total: reports.append((done, total)))
    assert reports == [(1, 3), (2, 3), (3, 3)]


def test_a_task_that_raises_is_not_swallowed() -> None:
    with pytest.raises(ValueError, match="math domain error"):
        map_tasks(math.sqrt, [(4.0,), (-1.0,)], Workers(processes=2))


def test_a_cluster_worker_runs_nested_tasks_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_ENGINE", "ray")
    results = answer(pd.DataFrame({"task": [0], "payload": [pickle.dumps((Workers.of, (1,)))]}))
    assert pickle.loads(results["payload"][0]) == Workers("local", 1)


def test_an_unknown_engine_is_rejected_with_the_available_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_ENGINE", "dask")
    with pytest.raises(EngineError, match="local, ray, spark"):
        Workers.of(2)


def test_without_the_extra_the_message_states_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fugue_ray", None)
    with pytest.raises(EngineError, match=r"bongsu\[distributed\]"):
        map_tasks(math.sqrt, ROOTS, Workers("ray"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ray", "spark"])
@pytest.mark.filterwarnings("default")
def test_a_cluster_gives_the_same_answers(engine: str) -> None:
    pytest.importorskip({"ray": "ray", "spark": "pyspark"}[engine], reason="the extra 'distributed' is not installed")
    assert map_tasks(math.sqrt, ROOTS, Workers(engine)) == [2.0, 3.0, 4.0]  # type: ignore[arg-type]
