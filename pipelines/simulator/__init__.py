"""Simulated Korean agencies: incidents with known truth, served over real HTTP and file drops in the real formats.

A pure function of the profile (seed, scale, areas) and the requested day, independent of the day of the run: any day
can be simulated alone, in any order. All records are invented and must be marked as simulated wherever they are shown.
"""

from pipelines.simulator.archive import Written, archive
from pipelines.simulator.dropbox import drop, public_key
from pipelines.simulator.layouts import fire_files
from pipelines.simulator.server import KEY, serve
from pipelines.simulator.truth import tables, truth

__all__ = [
    "KEY",
    "Written",
    "archive",
    "drop",
    "fire_files",
    "public_key",
    "serve",
    "tables",
    "truth",
]
