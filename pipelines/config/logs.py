"""Log lines that end with where they come from, as key=value: run, step, feed, batch.

The same under Airflow and on the command line: the pairs are part of the message, whatever formats the line.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""The format of log lines on the command line."""

_context: ContextVar[Mapping[str, str]] = ContextVar("bongsu_log")


def logger(name: str) -> logging.Logger:
    """Return the logger of a module, whose lines end with the context."""
    log = logging.getLogger(name)
    log.addFilter(_add_context)
    return log


@contextmanager
def context(**pairs: str) -> Iterator[None]:
    """Add pairs to every line logged within; an empty value is left out."""
    token = _context.set({**_context.get({}), **{name: value for name, value in pairs.items() if value}})
    try:
        yield
    finally:
        _context.reset(token)


def _add_context(record: logging.LogRecord) -> bool:
    if pairs := _context.get({}):
        record.msg = " ".join([record.getMessage(), *(f"{name}={value}" for name, value in pairs.items())])
        record.args = ()
    return True
