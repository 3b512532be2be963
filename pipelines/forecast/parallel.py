"""Parallel execution over processes of this machine, or over a Ray or Spark cluster through Fugue.

A task is a module's function with its arguments, and its result depends only on them (random draws are seeded by series
and origin), so every engine gives the same numbers. Ray and Spark need the extra ``distributed`` and this package on
every worker; a cluster is located by their own settings (``RAY_ADDRESS``; ``SPARK_REMOTE`` or Spark's own
configuration), otherwise they start one on this machine.
"""

import logging
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pipelines.config import environment
from pipelines.config.environment import Engine
from pipelines.config.errors import BongsuError
from pipelines.config.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd

VARIABLE: Final = "BONGSU_ENGINE"
"""The environment variable that names the engine."""
THREADS: Final = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS")
"""Environment variables that size the thread pools of a process; those already set are kept."""

Answer = TypeVar("Answer")

_COLUMNS: Final = "task:long,payload:binary"


class EngineError(BongsuError, RuntimeError):
    """Report that the engine cannot be used here; the message states what to install."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Where tasks run: the engine and, on this machine, the processes; without any, in this process."""

    engine: Engine = "local"
    processes: int = 1
    pool: ProcessPoolExecutor | None = None


HERE: Final = Workers()


@contextmanager
def opened(processes: int) -> Iterator[Workers]:
    """Open the engine that ``BONGSU_ENGINE`` names; if it is unset, up to ``processes`` processes of this machine.

    The processes start with the first tasks and stay until the end, because starting one means importing the models.

    Raises:
        SettingError: There is no such engine.
    """
    name = environment.load().engine
    # A daemonic process (a worker of some schedulers) may not have children.
    if name != "local" or processes <= 1 or multiprocessing.current_process().daemon:
        yield Workers(name)
        return
    # Spawned, never forked: a forked child of a process with Polars threads can hang.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield Workers("local", processes, pool)


def map_tasks(
    work: Callable[..., Answer],
    tasks: Sequence[tuple[Any, ...]],
    workers: Workers = HERE,
    progress: Progress = silent,
    what: str = "tasks",
) -> list[Answer]:
    """Call ``work(*task)`` for every task, in parallel.

    Args:
        work: A function of a module (or a partial of one): workers import it by name.
        tasks: The arguments of each call.
        workers: As from `opened`.
        progress: Reports how many of ``what`` are done, as tasks complete; on a cluster, once at the end.
        what: What a task is, in the plural.

    Returns:
        The results, in the order of the tasks.

    Raises:
        EngineError: Fugue with Ray or Spark is not installed.
    """
    if workers.engine != "local":
        answers: list[Answer] = _clustered(work, tasks, workers.engine)
        progress(f"{len(tasks):,} of {len(tasks):,} {what}")
        return answers
    done: dict[int, Answer] = {}
    for place, answer in _local(work, tasks, workers):
        done[place] = answer
        progress(f"{len(done):,} of {len(tasks):,} {what}")
    return [done[place] for place in range(len(tasks))]


def _local(
    work: Callable[..., Answer], tasks: Sequence[tuple[Any, ...]], workers: Workers
) -> Iterator[tuple[int, Answer]]:
    if workers.pool is None or len(tasks) <= 1:
        yield from ((place, work(*task)) for place, task in enumerate(tasks))
        return
    with _main_hidden(), _threads_shared(workers.processes):
        places = {workers.pool.submit(work, *task): place for place, task in enumerate(tasks)}
    for future in as_completed(places):
        yield places[future], future.result()


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Let spawned children import this package only.

    A spawned child first imports the parent's main module again. Under a scheduler that is Airflow's own command, which
    refuses to start inside a task.
    """
    main = sys.modules["__main__"].__dict__
    removed: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(removed)


@contextmanager
def _threads_shared(processes: int) -> Iterator[None]:
    """Give every child started within the context its share of the processors.

    Thread pools as wide as the machine in each child compete: a third of the processor time was lost to that.
    """
    share = str(max(environment.cores() // processes, 1))
    unset = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, share))
    try:
        yield
    finally:
        for name in unset:
            del os.environ[name]


def _clustered(work: Callable[..., Answer], tasks: Sequence[tuple[Any, ...]], engine: Engine) -> list[Answer]:
    if not tasks:
        return []
    _prepare(engine)
    import fugue.api as fugue
    import pandas as pd

    payloads = [pickle.dumps((work, task)) for task in tasks]
    answered = fugue.transform(
        pd.DataFrame({"task": range(len(tasks)), "payload": payloads}),
        answer,
        schema=_COLUMNS,
        partition={"num": len(tasks), "algo": "even"},
        engine=engine,
        as_local=True,
    )
    rows = fugue.as_pandas(answered).sort_values("task")
    return [pickle.loads(bytes(payload)) for payload in rows["payload"]]


def answer(tasks: "pd.DataFrame") -> "pd.DataFrame":
    """Run a cluster worker's share of the tasks: ``task`` and pickled ``payload``, in and out."""
    import pandas as pd

    # A worker may inherit the variable of its parent: a task that runs tasks in parallel must stay in its worker.
    os.environ[VARIABLE] = "local"
    calls = [pickle.loads(bytes(payload)) for payload in tasks["payload"]]
    return pd.DataFrame({"task": tasks["task"], "payload": [pickle.dumps(work(*task)) for work, task in calls]})


def _prepare(engine: Engine) -> None:
    """Start or find the cluster: without output, dashboard or usage reports."""
    try:
        if engine == "ray":
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            import fugue_ray  # noqa: F401  registers the engine
            import ray.data

            # It reports its own progress every ten seconds.
            logging.getLogger("ray.data").setLevel(logging.WARNING)
            ray.data.DataContext.get_current().enable_progress_bars = False
            if not ray.is_initialized():
                ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
        else:
            # A cluster on this machine runs this Python, which has the packages.
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
            import fugue_spark  # noqa: F401  registers the engine
    except ImportError as error:
        raise EngineError(
            f"{VARIABLE}={engine} needs Fugue with Ray and Spark; install the extra: pip install 'bongsu[distributed]'"
        ) from error
