"""Masking: a feed's key in no message, even if the source repeats it in what it answers."""

import re
from typing import Final
from urllib.parse import unquote

__all__ = ["masked"]

FEWEST_SIGNS: Final = 8
"""So many signs of a key in a row are hidden: messages show cuttings of answers, in which a key may be cut."""

_MASK = "…"


def masked(text: str, secret: str | None) -> str:
    """A text without the secret and without pieces of it, however it is written there.

    Args:
        text: a message.
        secret: the key as it was given, which may be quoted for a URL; none hides nothing.
    """
    hidden = [False] * len(text)
    for key in {secret, unquote(secret)} if secret else ():
        size = min(FEWEST_SIGNS, len(key))
        pieces = {"".join(map(_written, key[at : at + size])) for at in range(len(key) - size + 1)}
        # Looked for from every sign on, so that pieces may overlap.
        for found in re.finditer(f"(?=({'|'.join(sorted(pieces))}))", text, re.IGNORECASE):
            hidden[found.start(1) : found.end(1)] = [True] * (found.end(1) - found.start(1))
    shown = ((sign, at) for at, sign in enumerate(text) if not (hidden[at] and at and hidden[at - 1]))
    return "".join(_MASK if hidden[at] else sign for sign, at in shown)


def _written(sign: str) -> str:
    """A sign as it stands, behind backslashes, quoted for a URL, or escaped in JSON or XML."""
    code = ord(sign)
    return rf"(?:\\*{re.escape(sign)}|%{code:02x}|\\+u{code:04x}|&#(?:{code}|x0*{code:x});)"
