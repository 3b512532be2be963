"""Expected faults. Each ends in one line of advice; anything else is a defect and ends in a traceback."""


class BongsuError(Exception):
    """What happened, where, and what to do next."""


class StepError(BongsuError):
    """A step cannot do its work, or a run failed: why, and what to do next."""
