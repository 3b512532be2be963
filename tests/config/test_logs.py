"""Log lines end with the run, step, feed and batch that they are about."""

import logging
from datetime import UTC, datetime

import pytest

from pipelines.config import logs
from pipelines.config.settings import Settings
from pipelines.monitoring import run_log

log = logs.logger("pipelines.tests")


def test_a_line_ends_with_the_pairs_of_its_context(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="pipelines"):
        log.info("outside")
        with logs.context(run="20260302T2015", step="load", feed="fire_119"):
            with logs.context(batch="ab12", feed=""):
                log.info("100%% of %d rows", 7)
            log.warning("50% done")
    assert caplog.messages == [
        "outside",
        "100% of 7 rows run=20260302T2015 step=load feed=fire_119 batch=ab12",
        "50% done run=20260302T2015 step=load feed=fire_119",
    ]


def test_a_module_that_asks_twice_for_its_logger_gets_each_pair_once(caplog: pytest.LogCaptureFixture) -> None:
    logs.logger("pipelines.tests")
    with logs.context(step="load"):
        log.warning("here")
    assert caplog.messages == ["here step=load"]


@pytest.mark.parametrize(
    ("error", "how"), [(None, "done"), (ValueError("no disk\nmore"), "failed: ValueError: no disk")]
)
def test_a_step_logs_how_it_ended_with_run_step_and_feed(
    settings: Settings, caplog: pytest.LogCaptureFixture, error: Exception | None, how: str
) -> None:
    at = settings.model_copy(update={"as_of": datetime(2026, 3, 2, 20, 15, tzinfo=UTC)})
    with caplog.at_level(logging.INFO, logger="pipelines"):
        try:
            with run_log.recorded(at, "load", "calls"):
                if error:
                    raise error
        except ValueError:
            pass
        log.info("after")
    ended, after = caplog.messages
    assert ended.startswith(f"bongsu: load calls {how} (") and after == "after"
    assert ended.endswith(" s) run=20260302T2015Z step=load feed=calls")
