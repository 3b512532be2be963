"""Weekly: destroy what is past its retention, verify every byte, copy to BONGSU_REPLICA, restore the copy as proof.

Without BONGSU_REPLICA the copy is a fresh one beside the home: it proves the restore, not the distance.
"""

import os
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task


def _settings() -> Any:
    from pipelines import steps

    run = get_current_context()["dag_run"]
    return steps.settings_for_run(os.environ.get("BONGSU_HOME", ".bongsu"), dict(run.conf or {}), run.run_after)


@dag(
    schedule=CronTriggerTimetable("0 13 * * 0", timezone=os.environ.get("BONGSU_TIME_ZONE", "Asia/Seoul")),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=15), "pool": "warehouse"},
    tags=["bongsu"],
    doc_md=__doc__,
)
def continuity() -> None:
    """Wire expire, verify, replicate and drill."""

    @task
    def expire() -> dict[str, int]:
        from pipelines import custody

        return custody.expire(_settings())

    @task
    def verify() -> dict[str, int]:
        from pipelines import custody

        return custody.verify(_settings())

    @task
    def replicate() -> int:
        from pipelines import custody

        return custody.replicate(_settings(), os.environ.get("BONGSU_REPLICA"))

    @task
    def drill() -> int:
        from pipelines import custody

        return custody.drill(_settings(), os.environ.get("BONGSU_REPLICA"))

    expire() >> verify() >> replicate() >> drill()


continuity()
