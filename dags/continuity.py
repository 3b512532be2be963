"""Weekly: destroy batches past their feed's retention, verify every byte, copy to BONGSU_REPLICA, test the copy.

Batches past their retention are destroyed without asking; that cannot be undone. Without BONGSU_REPLICA no copy is
kept: the test restores a temporary one.
"""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task

from pipelines.config import environment
from pipelines.steps import failure


@task(doc_md="Destroy batches that are past their feed's retention: not reversible.")
def expire(dag_run: Any = None) -> dict[str, int]:
    from pipelines.steps import destroy, run_settings

    return destroy.expire(run_settings.settings_of_dag_run(dag_run))


@task(doc_md="Check every batch, record and released file, byte for byte.")
def verify(dag_run: Any = None) -> dict[str, int]:
    from pipelines.steps import copies, run_settings

    return copies.verify(run_settings.settings_of_dag_run(dag_run))


@task(doc_md="Copy the home to BONGSU_REPLICA; without it, copy nothing.")
def replicate(dag_run: Any = None) -> int:
    from pipelines.steps import copies, run_settings

    settings = run_settings.settings_of_dag_run(dag_run)
    return copies.replicate(settings, settings.environment.replica)


@task(doc_md="Restore the copy into a temporary folder, rebuild it and compare every table.")
def drill(dag_run: Any = None) -> int:
    from pipelines.steps import copies, run_settings

    settings = run_settings.settings_of_dag_run(dag_run)
    return copies.drill(settings, settings.environment.replica)


@dag(
    schedule=CronTriggerTimetable("0 13 * * 0", timezone=str(environment.load().time_zone)),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 1,
        "retry_delay": timedelta(minutes=15),
        "pool": "warehouse",
        "on_failure_callback": failure.report,
    },
    tags=["bongsu"],
    doc_md=__doc__,
)
def continuity() -> None:
    """Order the tasks of a week."""
    expire() >> verify() >> replicate() >> drill()


continuity()
