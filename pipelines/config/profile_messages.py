"""What is wrong with a profile, in words: file, line and key first."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipelines.config.profile_checks import Problem, line_of, lines_of_keys

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


_TOML: Final = {"tuple": "list [...]", "dictionary": "table {...}"}
_PYTHON: Final = re.compile(r"\b(tuple|dictionary)\b(?: or instance of \w+)?", re.IGNORECASE)
"""What pydantic calls the types of TOML."""


def unreadable(path: Path, text: str, error: tomllib.TOMLDecodeError) -> str:
    """Return where a file is not TOML: the line and key at which what cannot be read begins, and what to check.

    The error itself may be found lines later, such as at the end of the file for a quotation mark that is never closed.
    """
    lines = text.splitlines()
    start = next(end for end in range(len(lines) - 1, -1, -1) if _is_toml("\n".join(lines[:end])))
    reason = re.sub(r" \(at [^()]*\)$", "", str(error))
    word = re.match(r"""\s*\[*\s*("[^"]*"|'[^']*'|[^\s=\[\]:]+)""", lines[start])
    return (
        f"{path}:{start + 1}: {word[1] if word else lines[start].strip()}: is not TOML from here ({reason}); check "
        "quotes, brackets and =, and for a name that is there twice"
    )


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def reason(error: "ErrorDetails") -> str:
    """Return what pydantic objects to, in one line; of our own checks, their text."""
    if error["type"] == "missing":
        return "is missing: add it"
    if error["type"] == "extra_forbidden":
        return "is not a key of this table: remove it, or correct its name"
    return _PYTHON.sub(lambda match: _TOML[match[1].lower()], error["msg"].removeprefix("Value error, ")) + (
        f" (it is {error['input']!r})" if isinstance(error["input"], str | int | float) else ""
    )


def listed(path: Path, text: str, problems: Sequence[Problem]) -> str:
    """Return one line per problem: file, line, key, what is wrong."""
    lines = lines_of_keys(text)
    return "\n".join(
        f"{path}:{line_of(key, lines) or 1}: {'.'.join(key)}: {reason}" if key else f"{path}: {reason}"
        for key, reason in problems
    )
