"""Expected faults: what a user, an agency or a machine did, each said in one line with what to do next."""


class BongsuError(Exception):
    """An expected fault; the message says what happened, where, and what to do next. Anything else is a defect."""
