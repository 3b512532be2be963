"""Dispatch planning at the size of Seoul: processor seconds of the best posts and of simulated days."""

import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from pipelines.dispatch import posts
from pipelines.dispatch.simulation import Calls, Fleet, simulate
from pipelines.dispatch.way_home import Way

ZONES, SITES, UNITS, CALLS, DAYS = 425, 120, 161, 1_500, 50
"""Administrative dongs, 119 safety centres and ambulances of Seoul, and calls of a day, rounded."""


def cpu_seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def city(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points in km, minutes between them at 37 km/h along streets, and the zones of sites."""
    points = rng.random((ZONES, 2)) * [30, 25]
    minutes = np.abs(points[:, None] - points[None]).sum(axis=2) * 1.6 + 1
    return points, minutes, rng.choice(ZONES, SITES, replace=False)


def table(console: Console) -> None:
    """Print processor seconds next to what planning may take."""
    rng = np.random.default_rng(1)
    points, minutes, sites = city(rng)
    weights, shape = rng.gamma(2, 1, ZONES), (DAYS, CALLS)
    fleet = Fleet(np.concatenate([sites, rng.choice(sites, UNITS - SITES)]))
    calls = Calls(
        np.full(DAYS, CALLS), np.sort(rng.uniform(0, 1440, shape), axis=1), rng.integers(0, ZONES, shape),
        rng.gamma(4, 5, shape), np.where(rng.random(shape) < 0.6, rng.gamma(4, 5, shape), np.nan), np.zeros(shape),
        np.full(shape, -1),
    )  # fmt: skip
    hospitals = rng.choice(ZONES, 30, replace=False)
    rows = [
        (f"best posts for {UNITS} units, {busy:.0%} busy", 1.0, 1, lambda busy=busy: posts.place(
            minutes[sites] <= 6, weights, UNITS, busy, np.full(SITES, UNITS)))
        for busy in (0.25, 0.5)
    ] + [
        (f"simulated day, {what}", 0.03, DAYS, lambda way=way: simulate(way, fleet, hospitals, calls))
        for what, way in (("with coordinates", Way(minutes, points)), ("without", Way(minutes)))
    ]  # fmt: skip
    result = Table("dispatch", "processor seconds", "at most")
    for name, limit, parts, work in rows:
        result.add_row(name, f"{cpu_seconds(work) / parts:.4f}", f"{limit:g}")
    console.print(result)


if __name__ == "__main__":
    table(Console(width=140))
