"""Folders of the repository that are read at run time, and the folder that holds what a run makes."""

from pathlib import Path

_ROOT = Path(__file__).parents[2]
SQL = _ROOT / "sql"
EXPECTATIONS = _ROOT / "expectations"
DEFAULT_HOME = Path(".bongsu")
