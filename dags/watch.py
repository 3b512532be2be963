"""Load and check the watched feeds every hour.

The run fails if one delivers no data, a volume spike or drop, or cannot be read: hours before the next daily run.

Builds and publishes nothing: the daily run does, and reads its lag again whatever a watch has read. Watched are feeds
with `watched = true` in the profile. Conf: `{"profile": "korea"}`; without it the home's profile.
"""

from datetime import datetime
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task

from pipelines.config import environment
from pipelines.steps import failure


@task(task_id="watch", doc_md="Fetch, load and check the watched feeds.")
def watch_feeds(dag_run: Any = None) -> list[str]:
    from pipelines.steps import run_settings, watch

    return watch.watch(run_settings.settings_of_dag_run(dag_run, follows_schedule=False))


@dag(
    schedule=CronTriggerTimetable("45 * * * *", timezone=str(environment.load().time_zone)),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"pool": "warehouse", "on_failure_callback": failure.report},
    tags=["bongsu"],
    doc_md=__doc__,
)
def watch() -> None:
    """Run the one step of a watch."""
    watch_feeds()


watch()
