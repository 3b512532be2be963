"""The log line of a task that has failed after its last retry."""

import logging
from types import SimpleNamespace

import pytest

from pipelines.steps import failure


def test_a_failed_task_logs_where_why_and_what_to_do_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    task = SimpleNamespace(dag_id="daily", run_id="manual__1", task_id="load", map_index=2)
    with caplog.at_level(logging.ERROR):
        failure.report({"task_instance": task, "exception": ValueError("no disk\nTraceback")})
        failure.report({"task_instance": task})
    first, second = (record.getMessage() for record in caplog.records)
    assert first == (
        "bongsu: a task failed: no disk; run `bongsu status`, then clear the task "
        "dag=daily dag_run=manual__1 task=load map_index=2"
    )
    assert "a task failed: no error is known;" in second
