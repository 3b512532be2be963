import math
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pandas as pd
import pytest

from pipelines.config.environment import SettingError
from pipelines.forecast.parallel import HERE, THREADS, Engine, EngineError, Workers, answer, map_tasks, opened

ROOTS = [(4.0,), (9.0,), (16.0,)]


def _process(_task: object) -> str:
    return multiprocessing.current_process().name


def _engine(processes: int) -> str:
    with opened(processes) as workers:
        return workers.engine


def test_results_are_in_task_order_on_any_number_of_processes() -> None:
    with opened(1) as single, opened(2) as two:
        assert map_tasks(math.sqrt, ROOTS, single) == map_tasks(math.sqrt, ROOTS, two) == [2.0, 3.0, 4.0]


def test_two_processes_do_the_work_outside_this_one_and_stay_for_the_next() -> None:
    with opened(2) as workers:
        names = [set(map_tasks(_process, [(task,) for task in range(9)], workers)) for _ in range(2)]
    assert multiprocessing.current_process().name not in names[0] | names[1]
    assert len(names[0] | names[1]) <= 2


def test_without_enough_processes_or_tasks_none_is_started() -> None:
    with opened(1) as alone, opened(2) as workers:
        for where, tasks in ((HERE, ROOTS), (alone, ROOTS), (workers, ROOTS[:1])):
            assert set(map_tasks(_process, tasks, where)) == {multiprocessing.current_process().name}


def test_processes_share_the_processors_and_user_settings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with opened(2) as workers:
        widths = map_tasks(os.getenv, [(name,) for name in THREADS], workers)
    assert widths == [str(max((os.cpu_count() or 1) // 2, 1)), "7"]
    assert "POLARS_MAX_THREADS" not in os.environ


def test_progress_is_reported_up_to_the_last_task() -> None:
    reports: list[str] = []
    map_tasks(math.sqrt, ROOTS, progress=reports.append, what="roots")
    assert reports == ["1 of 3 roots", "2 of 3 roots", "3 of 3 roots"]


def test_a_task_that_raises_is_not_swallowed() -> None:
    with pytest.raises(ValueError, match="math domain error"), opened(2) as workers:
        map_tasks(math.sqrt, [(4.0,), (-1.0,)], workers)


def test_a_cluster_worker_runs_nested_tasks_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_ENGINE", "ray")
    results = answer(pd.DataFrame({"task": [0], "payload": [pickle.dumps((_engine, (1,)))]}))
    assert pickle.loads(results["payload"][0]) == "local"


def test_an_unknown_engine_is_rejected_with_the_available_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_ENGINE", "dask")
    with pytest.raises(SettingError, match=r"BONGSU_ENGINE is 'dask'.*'local', 'ray' or 'spark'"), opened(2):
        pass


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


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A fake of Fugue and Ray: tasks come back in another order; what Ray is started with is noted."""
    seen: dict[str, object] = {}

    def transform(tasks: pd.DataFrame, work: Callable[[pd.DataFrame], pd.DataFrame], **options: object) -> pd.DataFrame:
        seen["engine"], seen["tasks"] = options["engine"], len(tasks)
        return pd.concat(work(tasks.iloc[[row]]) for row in reversed(range(len(tasks))))

    context = SimpleNamespace(enable_progress_bars=True)
    data = SimpleNamespace(DataContext=SimpleNamespace(get_current=lambda: context))
    started = seen.setdefault("started", [])
    ray = SimpleNamespace(data=data, is_initialized=lambda: bool(started), init=lambda **words: started.append(words))  # type: ignore[union-attr, attr-defined]
    api = SimpleNamespace(transform=transform, as_pandas=lambda frame: frame)
    modules = {"fugue": SimpleNamespace(api=api), "fugue.api": api, "fugue_ray": ray, "fugue_spark": ray}
    for name, module in (modules | {"ray": ray, "ray.data": data}).items():
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("RAY_USAGE_STATS_ENABLED", "PYSPARK_PYTHON", "BONGSU_ENGINE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    seen["context"] = context
    return seen


@pytest.mark.parametrize("engine", ["ray", "spark"])
def test_answers_of_a_cluster_are_in_the_order_of_the_tasks(cluster: dict[str, object], engine: Engine) -> None:
    shown: list[str] = []
    answers = map_tasks(math.sqrt, ROOTS, Workers(engine), shown.append)
    assert answers == [2.0, 3.0, 4.0]
    assert shown == ["3 of 3 tasks"]
    assert (cluster["engine"], cluster["tasks"]) == (engine, 3)
    assert map_tasks(math.sqrt, [], Workers(engine)) == []


def test_ray_is_started_once_quietly_and_reports_nothing_to_anybody(cluster: dict[str, object]) -> None:
    for _ in range(2):
        map_tasks(math.sqrt, ROOTS, Workers("ray"))
    assert cluster["started"] == [{"include_dashboard": False, "log_to_driver": False, "logging_level": "warning"}]
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert not cluster["context"].enable_progress_bars  # type: ignore[attr-defined]


def test_spark_on_this_machine_runs_this_very_python(cluster: dict[str, object]) -> None:
    map_tasks(math.sqrt, ROOTS, Workers("spark"))
    assert os.environ["PYSPARK_PYTHON"] == sys.executable
