"""Daily run: fetch and load every feed, build the models, score past forecasts, analyse, publish, check.

One agency's failure does not stop the others: the release goes out, says what is stale, and the run ends red.
Conf: `{"profile": "korea", "as_of": "2026-11-23"}`; without it the home's profile and the run's own instant.
Pool `warehouse` has one slot, because DuckDB has one writer: `make airflow` creates it.
"""

import os
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Asset, CronTriggerTimetable, dag, get_current_context, task, task_group

published = Asset("published_release", uri="bongsu://published/current")


def _settings() -> Any:
    from pipelines import steps

    run = get_current_context()["dag_run"]
    return steps.settings_for_run(os.environ.get("BONGSU_HOME", ".bongsu"), dict(run.conf or {}), run.run_after)


@dag(
    schedule=CronTriggerTimetable("15 5 * * *", timezone=os.environ.get("BONGSU_TIME_ZONE", "Asia/Seoul")),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": int(os.environ.get("BONGSU_RETRIES", "2")), "retry_delay": timedelta(minutes=5)},
    tags=["bongsu"],
    doc_md=__doc__,
)
def daily() -> None:
    """Wire the steps of a run."""

    def step(name: str, **options: Any) -> Any:
        def run() -> None:
            from pipelines import steps

            getattr(steps, name)(_settings())  # no result: XCom carries counts only

        run.__name__ = name
        return task(pool="warehouse", **options)(run)()

    @task
    def feeds() -> list[str]:
        from pipelines import steps

        return steps.feed_names(_settings())

    @task_group
    def ingest(feed: str) -> None:
        @task
        def fetch(feed: str) -> int:
            from pipelines import steps

            return steps.fetch(_settings(), feed)

        @task(pool="warehouse")
        def load(feed: str) -> dict[str, int]:
            from pipelines import steps

            return steps.load(_settings(), feed)

        fetch(feed) >> load(feed)

    build, score = step("build", trigger_rule="all_done"), step("score")
    patterns, forecast, dispatch = step("patterns"), step("forecast"), step("dispatch")
    publish, check = step("publish", outlets=[published]), step("check", trigger_rule="all_done")
    ingest.expand(feed=feeds()) >> build >> score >> [patterns, forecast]
    forecast >> dispatch
    [patterns, dispatch] >> publish >> check


daily()
