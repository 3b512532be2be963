"""Folders of the repository that are read at run time."""

from pathlib import Path

_ROOT = Path(__file__).parents[2]
SQL = _ROOT / "sql"
EXPECTATIONS = _ROOT / "expectations"
