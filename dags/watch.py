"""Hourly: fetch and load what is new of the watched feeds and judge them: silence, flood, dearth or an unreadable feed
ends red within hours, not at dawn.

Builds and publishes nothing: that is the daily run's, which reads its lag again whatever a watch has read. Watched are
feeds with `watched = true` in the profile. Conf: `{"profile": "korea"}`; without it the home's profile.
"""

import os
from datetime import datetime
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task


def _settings() -> Any:
    from pipelines import steps

    run = get_current_context()["dag_run"]
    conf = {"as_of": run.run_after.isoformat(), **(run.conf or {})}
    return steps.settings_for_run(os.environ.get("BONGSU_HOME", ".bongsu"), conf, run.run_after)


@dag(
    schedule=CronTriggerTimetable("45 * * * *", timezone=os.environ.get("BONGSU_TIME_ZONE", "Asia/Seoul")),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"pool": "warehouse"},
    tags=["bongsu"],
    doc_md=__doc__,
)
def watch() -> None:
    """Wire the one step of a watch."""

    @task(task_id="watch")
    def judge() -> None:
        from pipelines import steps

        steps.watch(_settings())

    judge()


watch()
