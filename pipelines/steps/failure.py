"""The log line of an Airflow task that has failed after its last retry."""

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)


def report(context: Mapping[str, Any]) -> None:
    """Log which task of which run failed, why, and what to do next: an ``on_failure_callback``."""
    task = context["task_instance"]
    log.error(
        "bongsu: a task failed: %s; run `bongsu status`, then clear the task dag=%s dag_run=%s task=%s map_index=%s",
        str(context.get("exception", "")).partition("\n")[0] or "no error is known",
        task.dag_id,
        task.run_id,
        task.task_id,
        task.map_index,
    )
