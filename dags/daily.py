"""Daily run: fetch and load every feed, build, score, patterns, forecast, dispatch, publish, check.

One agency's failure does not stop the others: the release is published, its rows state what is stale, and the run is
marked failed.
Conf: `{"profile": "korea", "as_of": "2026-11-23"}`; without it the home's profile and the run's own instant.
Pool `warehouse` has one slot, because DuckDB has one writer: `make airflow` creates it. Models run outside it.
"""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Asset, CronTriggerTimetable, dag, task, task_group

from pipelines.config import environment
from pipelines.steps import failure

release = Asset("published_release", uri="bongsu://published/current")


@task(doc_md="List the feeds of the profile.")
def feeds(dag_run: Any = None) -> list[str]:
    from pipelines.steps import fetch, run_settings

    return fetch.feed_names(run_settings.settings_of_dag_run(dag_run))


@task(doc_md="Download new data from a feed and store it, encrypted.")
def fetch(feed: str, dag_run: Any = None) -> int:
    from pipelines.steps import fetch, run_settings

    return fetch.fetch(run_settings.settings_of_dag_run(dag_run), feed)


@task(pool="warehouse", doc_md="Parse, check and merge the stored deliveries of a feed.")
def load(feed: str, dag_run: Any = None) -> dict[str, int]:
    from pipelines.steps import load, run_settings

    return load.load(run_settings.settings_of_dag_run(dag_run), feed)


@task(pool="warehouse", trigger_rule="all_done", doc_md="Build the tables and check them, even if a feed failed.")
def build(dag_run: Any = None) -> None:
    from pipelines.steps import build, run_settings

    build.build(run_settings.settings_of_dag_run(dag_run))


@task(pool="warehouse", doc_md="Score past forecasts whose targets have passed.")
def score(dag_run: Any = None) -> None:
    from pipelines.steps import run_settings, score

    score.score(run_settings.settings_of_dag_run(dag_run))


@task(pool="warehouse", doc_md="Compute the tables of crime patterns.")
def patterns(dag_run: Any = None) -> None:
    from pipelines.steps import patterns, run_settings

    patterns.patterns(run_settings.settings_of_dag_run(dag_run))


@task(pool="warehouse", doc_md="Copy what the models read out of the warehouse.")
def forecast_read(dag_run: Any = None) -> None:
    from pipelines.steps import forecast, run_settings

    forecast.read(run_settings.settings_of_dag_run(dag_run))


@task(doc_md="Run the models of demand and risk; opens no warehouse.")
def forecast_fit(dag_run: Any = None) -> None:
    from pipelines.steps import forecast, run_settings

    forecast.fit(run_settings.settings_of_dag_run(dag_run))


@task(pool="warehouse", doc_md="Record the forecasts as issued, and fill their tables.")
def forecast_write(dag_run: Any = None) -> None:
    from pipelines.steps import forecast, run_settings

    forecast.write(run_settings.settings_of_dag_run(dag_run))


@task(pool="warehouse", doc_md="Compute the units required from the demand forecast.")
def dispatch(dag_run: Any = None) -> None:
    from pipelines.steps import dispatch, run_settings

    dispatch.dispatch(run_settings.settings_of_dag_run(dag_run))


@task(pool="warehouse", outlets=[release], doc_md="Build a release, read it back, and make it the current one.")
def publish(dag_run: Any = None) -> None:
    from pipelines.steps import publish, run_settings

    publish.publish(run_settings.settings_of_dag_run(dag_run))


@task(pool="warehouse", trigger_rule="all_done", doc_md="Fail the run if a step failed or a feed is stale.")
def check(dag_run: Any = None) -> None:
    from pipelines.steps import check, run_settings

    check.check(run_settings.settings_of_dag_run(dag_run))


@task_group
def ingest(feed: str) -> None:
    """Fetch, then load one feed."""
    fetch(feed) >> load(feed)


@dag(
    schedule=CronTriggerTimetable("15 5 * * *", timezone=str(environment.load().time_zone)),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": environment.load().retries,
        "retry_delay": timedelta(minutes=5),
        "on_failure_callback": failure.report,
    },
    tags=["bongsu"],
    doc_md=__doc__,
)
def daily() -> None:
    """Order the steps of a run."""
    scored = score()
    staffed = dispatch()
    ingest.expand(feed=feeds()) >> build() >> scored
    released = publish()
    scored >> patterns() >> released
    scored >> forecast_read() >> forecast_fit() >> forecast_write() >> staffed >> released >> check()


daily()
