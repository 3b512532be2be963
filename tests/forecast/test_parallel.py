import math
import multiprocessing
import os
import pickle

import pandas as pd
import pytest

from pipelines.forecast.parallel import THREADS, EngineError, Workers, answer, spread

ROOTS = [(4.0,), (9.0,), (16.0,)]


def _process(_task: int) -> str:
    return multiprocessing.current_process().name


def test_answers_come_in_the_order_of_the_tasks_on_any_number_of_processes() -> None:
    assert spread(math.sqrt, ROOTS) == spread(math.sqrt, ROOTS, Workers(processes=2)) == [2.0, 3.0, 4.0]


def test_two_processes_do_the_work_outside_this_one() -> None:
    assert multiprocessing.current_process().name not in spread(_process, [(1,), (2,)], Workers(processes=2))


def test_processes_share_the_processors_and_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = spread(os.getenv, [(name,) for name in THREADS], Workers(processes=2))
    assert found == [str(max((os.cpu_count() or 1) // 2, 1)), "7"]
    assert "POLARS_MAX_THREADS" not in os.environ


def test_progress_is_told_up_to_the_last_task() -> None:
    told: list[tuple[int, int]] = []
    spread(math.sqrt, ROOTS, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_task_that_raises_is_not_swallowed() -> None:
    with pytest.raises(ValueError, match="math domain error"):
        spread(math.sqrt, [(4.0,), (-1.0,)], Workers(processes=2))


def test_what_a_worker_of_a_cluster_spreads_stays_in_that_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_ENGINE", "ray")
    said = answer(pd.DataFrame({"task": [0], "payload": [pickle.dumps((Workers.of, (1,)))]}))
    assert pickle.loads(said["payload"][0]) == Workers("local", 1)


def test_an_unknown_engine_is_refused_with_the_names_of_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_ENGINE", "dask")
    with pytest.raises(EngineError, match="local, ray, spark"):
        Workers.of(2)


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fugue_ray", None)
    with pytest.raises(EngineError, match=r"bongsu\[distributed\]"):
        spread(math.sqrt, ROOTS, Workers("ray"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ray", "spark"])
@pytest.mark.filterwarnings("default")
def test_a_cluster_gives_the_same_answers(engine: str) -> None:
    pytest.importorskip({"ray": "ray", "spark": "pyspark"}[engine], reason="the extra 'distributed' is not installed")
    assert spread(math.sqrt, ROOTS, Workers(engine)) == [2.0, 3.0, 4.0]  # type: ignore[arg-type]
