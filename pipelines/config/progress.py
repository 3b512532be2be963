"""How long work reports where it is."""

from typing import Protocol


class Progress(Protocol):
    """Called with a short text whenever the work has come to something new."""

    def __call__(self, text: str, /) -> None:
        """Report a text."""


def silent(_text: str, /) -> None:
    """Report nothing."""
