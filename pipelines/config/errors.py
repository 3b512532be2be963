"""Expected errors. Each is shown as one line of advice; any other exception is a defect and shown as a traceback."""


class BongsuError(Exception):
    """An expected error: what happened, where, and what to do next."""


class StepError(BongsuError):
    """Report that a step cannot run, or that a run failed: why, and what to do next."""
