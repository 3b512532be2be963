"""Simulated Korean agencies: incidents with known truth, served over real HTTP and file drops in the real formats.

A pure function of the profile (seed, scale, areas) and the day asked for, never of the day of the run: any day can be
made alone, in any order. What it makes is invented; it must be marked as simulated wherever it is shown.
"""

from pipelines.simulator.events import truth
from pipelines.simulator.server import KEY, drop, serve, serving, tables

__all__ = ["KEY", "drop", "serve", "serving", "tables", "truth"]
