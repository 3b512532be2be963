"""Best posts: against every other placement on small cities, and against published solutions on real ones."""

from collections import Counter
from itertools import combinations, combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.dispatch import own_posts, posts
from pipelines.dispatch.posts import PlanError
from pipelines.dispatch.travel import of_pairs
from tests.dispatch import utrecht
from tests.dispatch.utrecht import needs_utrecht
from tests.replay import shared_data

SAN_FRANCISCO = shared_data() / "san_francisco" / "fire"


def city(seed: int, sites: int = 6, zones: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Whether each site reaches each zone, and the zones' demand; some zones have none."""
    rng = np.random.default_rng(seed)
    return rng.random((sites, zones)) < 0.35, np.where(rng.random(zones) < 0.2, 0.0, rng.integers(1, 40, zones)) + 1e-3


def counted(chosen: tuple[int, ...], sites: int) -> np.ndarray:
    return np.bincount(chosen, minlength=sites)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([0.0, 0.3, 0.6, 0.95]))
def test_no_placement_of_the_units_covers_more(seed: int, units: int, busy: float) -> None:
    covers, weights = city(seed)
    best = posts.place(covers, weights, units, busy, np.full(6, 2))
    every = (counted(chosen, 6) for chosen in combinations_with_replacement(range(6), units))
    allowed = [placed for placed in every if placed.max() <= 2]
    assert best.sum() == units and best.max() <= 2
    values = [posts.coverage(covers, weights, placed, busy) for placed in allowed]
    assert posts.coverage(covers, weights, best, busy) == pytest.approx(max(values), abs=2e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_no_choice_of_sites_reaches_more(seed: int, count: int) -> None:
    covers, weights = city(seed)
    best = posts.choose(covers, weights, count)
    every = [posts.coverage(covers, weights, counted(chosen, 6)) for chosen in combinations(range(6), count)]
    assert best.sum() == count and best.max() == 1
    assert posts.coverage(covers, weights, best) == pytest.approx(max(every), abs=2e-9)


def test_of_equal_placements_the_units_are_at_the_posts_listed_first() -> None:
    alike = np.ones((4, 3), dtype=bool)
    assert posts.place(alike, np.ones(3), 3, 0.5, np.array([2, 9, 9, 9])).tolist() == [2, 1, 0, 0]
    assert posts.choose(alike, np.ones(3), 2).tolist() == [1, 1, 0, 0]
    nowhere = np.zeros((3, 2), dtype=bool)
    assert posts.place(nowhere, np.ones(2), 2, 0.5, np.full(3, 9)).tolist() == [2, 0, 0]


def test_a_second_unit_within_reach_adds_the_chance_that_the_first_is_busy() -> None:
    covers = np.array([[True, False], [True, True]])
    assert posts.coverage(covers, np.array([3.0, 1.0]), np.array([1, 1]), 0.4) == pytest.approx(
        (3 * (1 - 0.16) + 0.6) / 4
    )


def test_a_search_that_ends_early_states_what_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    points = rng.random((150, 2))
    covers = np.abs(points[:, None] - points[None]).sum(axis=2) < 0.25
    weights, sites = rng.random(150), np.ones(150, dtype=int)
    best, bound = posts.best_choice(covers, weights, 8)
    assert bound == posts.coverage(covers, weights, best)
    solve = posts.milp

    def first_solution(*given: Any, **options: Any) -> Any:
        solved = solve(*given, **options)
        solved.status, solved.mip_dual_bound = 4, solved.fun * 1.01
        solved.x[:150] = 0
        solved.x[:8] = 1
        return solved

    monkeypatch.setattr(posts, "milp", first_solution)
    near, limit = posts.best_placement(covers, weights, 8, 0.0, sites)
    assert near.sum() == 8 and near.max() == 1
    value = posts.coverage(covers, weights, near)
    assert 0.9 * bound < value <= bound and limit == pytest.approx(bound * 1.01)


def test_units_without_room_are_refused() -> None:
    with pytest.raises(PlanError, match="5 units do not fit: the posts have room for 4"):
        posts.place(np.ones((2, 1), dtype=bool), np.ones(1), 5, 0.5, np.array([2, 2]))
    with pytest.raises(PlanError, match="3 sites cannot be chosen from 2"):
        posts.choose(np.ones((2, 1), dtype=bool), np.ones(1), 3)


@needs_utrecht
@pytest.mark.parametrize(("units", "objective"), [(20, 0.85209), (23, 0.87936), (24, 0.88663)])
def test_the_published_solutions_of_utrecht_are_reproduced(units: int, objective: float) -> None:
    travel, demand = utrecht.travel(), utrecht.nodes()["weight"].to_numpy()
    rows = pl.DataFrame({"zone": utrecht.column("RAVU_base_locations_Utrecht_2021.csv")})
    sites = own_posts.sites_of(rows, travel, "posts.csv")
    plan = own_posts.plan(travel, demand, sites, within=12, units=units, busy=0.6)
    assert plan.objective == pytest.approx(objective, abs=5e-6)
    assert dict(plan.placed.iter_rows()) == Counter(utrecht.bases(units))


@pytest.mark.skipif(not SAN_FRANCISCO.is_dir(), reason=f"no real records at {SAN_FRANCISCO}")
def test_the_stations_of_san_francisco_cover_what_was_published() -> None:
    import shapely

    pairs = pl.read_csv(SAN_FRANCISCO / "travel_time.csv")
    rows = pairs.select(pl.col("selected_zone").alias("from"), pl.col("covered_zone").alias("to"), minutes=pl.lit(1))
    demand = pl.read_csv(SAN_FRANCISCO / "demand_data.csv").rename({"zone_idx": "zone", "number_of_calls": "weight"})
    travel, weights = own_posts.demand_of(demand, of_pairs(rows, "travel.csv"), "demand.csv")
    stations, cells = (
        [(feature["properties"], feature["geometry"]) for feature in _features(SAN_FRANCISCO / f"{name}.geojson")]
        for name in ("current_fire_stations", "grid_definitions")
    )
    polygons = [(properties["zone_idx"], shapely.from_geojson(_json(shape))) for properties, shape in cells]
    points = [shapely.from_geojson(_json(shape)) for _, shape in stations]
    at = [next(zone for zone, polygon in polygons if polygon.contains(point)) for point in points]
    today = own_posts.sites_of(pl.DataFrame({"zone": at, "units": 1}), travel, "stations.csv")
    free = own_posts.sites_of(rows.select(zone="from").unique(maintain_order=True), travel, "sites.csv")
    assert own_posts.plan(travel, weights, today, 1, 42).objective == pytest.approx(0.9865, abs=5e-5)
    assert own_posts.plan(travel, weights, free, 1, 10).objective == pytest.approx(0.9574, abs=5e-5)
    assert own_posts.plan(travel, weights, free, 1, 20).objective == pytest.approx(0.9970, abs=5e-5)
    moved = own_posts.plan(travel, weights, today, 1, 42, busy=0.3)
    # Published as .928, .959 and .987.
    assert moved.today_objective == pytest.approx(0.92746, abs=5e-6)
    assert moved.objective == pytest.approx(0.959, abs=5e-4)
    assert own_posts.plan(travel, weights, free, 1, 42, busy=0.3).objective == pytest.approx(0.987, abs=5e-4)


def _features(path: Path) -> list[dict[str, Any]]:
    import orjson

    return list(orjson.loads(path.read_bytes())["features"])


def _json(shape: object) -> str:
    import orjson

    return orjson.dumps(shape).decode()
