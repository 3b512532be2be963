"""Progress reports of long work."""

from typing import Protocol


class Progress(Protocol):
    """Called with a short text after each unit of work."""

    def __call__(self, text: str, /) -> None:
        """Report a text."""


def silent(_text: str, /) -> None:
    """Report nothing."""
