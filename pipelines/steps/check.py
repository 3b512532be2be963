"""Check: fail the run if one of its steps failed or a feed is stale."""

from pipelines.config.errors import StepError
from pipelines.config.settings import Settings
from pipelines.monitoring import run_log, status
from pipelines.steps.status import current_release


def check(settings: Settings) -> None:
    """End without error if every step succeeded, every feed is fresh and the release is intact.

    Raises:
        StepError: with one line per problem.
    """
    with run_log.recorded(settings, "check"):
        if problems := status.problems(settings, current_release(settings)):
            raise StepError("\n".join(["the run failed:", *problems]))
