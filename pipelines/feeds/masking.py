"""Mask a feed's key in messages, even if the source repeats the key in its answer."""

import re
from typing import Final
from urllib.parse import unquote

__all__ = ["masked"]

MIN_CHARACTERS: Final = 8
"""Runs of at least this many characters of a key are masked: messages show parts of answers, which may cut a key."""

_MASK = "…"


def masked(text: str, secret: str | None) -> str:
    """Return a text with the secret, and parts of it, masked in whatever encoding they appear.

    Args:
        text: A message.
        secret: The key as given; it may appear quoted for a URL. None masks nothing.
    """
    hidden = [False] * len(text)
    for key in {secret, unquote(secret)} if secret else ():
        size = min(MIN_CHARACTERS, len(key))
        pieces = {"".join(map(_written, key[at : at + size])) for at in range(len(key) - size + 1)}
        # Search from every character, so that parts may overlap.
        for match in re.finditer(f"(?=({'|'.join(sorted(pieces))}))", text, re.IGNORECASE):
            hidden[match.start(1) : match.end(1)] = [True] * (match.end(1) - match.start(1))
    shown = ((char, at) for at, char in enumerate(text) if not (hidden[at] and at and hidden[at - 1]))
    return "".join(_MASK if hidden[at] else char for char, at in shown)


def _written(char: str) -> str:
    """Return a pattern for a character: plain, after backslashes, quoted for a URL, or escaped in JSON or XML."""
    code = ord(char)
    return rf"(?:\\*{re.escape(char)}|%{code:02x}|\\+u{code:04x}|&#(?:{code}|x0*{code:x});)"
