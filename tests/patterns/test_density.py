"""Kernel density against a direct sum over all pairs, against its own integral, and at the edge."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.patterns import density as module
from pipelines.patterns.density import bandwidth, density, quartic

END = date(2026, 3, 3)


def cells(columns: int = 60, rows: int = 40, side: int = 100) -> pl.DataFrame:
    y, x = np.divmod(np.arange(columns * rows), columns)
    names = [f"c{i:05d}" for i in range(columns * rows)]
    return pl.DataFrame({"cell_id": names, "cell_metres": side, "x_m": x * side + 900_000, "y_m": y * side + 1_900_000})


def points(xy: np.ndarray, category: str = "theft", day: date = END - timedelta(days=1)) -> pl.DataFrame:
    x, y = np.asarray(xy, float).reshape(-1, 2).T
    return pl.DataFrame({"x_m": x + 900_000, "y_m": y + 1_900_000}).with_columns(
        category=pl.lit(category), occurrence_date=pl.lit(day)
    )


def direct(seen: pl.DataFrame, grid: pl.DataFrame, radius: float) -> np.ndarray:
    """Incidents per km² at every cell's centre: a sum over all pairs, over the share of the kernel on cells."""
    side = grid["cell_metres"][0]
    centres = grid.select("x_m", "y_m").to_numpy() + side / 2

    def kernel(others: np.ndarray) -> np.ndarray:
        distance = np.sqrt(((centres[:, None, :] - others[None, :, :]) ** 2).sum(axis=2))
        inside = distance < radius
        return np.where(inside, 3 / (np.pi * radius**2) * (1 - (distance / radius) ** 2) ** 2, 0)

    reach = np.arange(-radius, radius + 1, side) if radius % side == 0 else np.arange(-20, 21) * side
    far = np.hypot(*np.meshgrid(reach, reach))
    whole = (3 / (np.pi * radius**2) * np.where(far < radius, 1 - (far / radius) ** 2, 0) ** 2).sum()
    return kernel(seen.select("x_m", "y_m").to_numpy()).sum(axis=1) / (kernel(centres).sum(axis=1) / whole) * 1e6


def test_density_is_the_direct_sum_over_all_pairs() -> None:
    rng = np.random.default_rng(1)
    grid = cells().sample(fraction=0.8, seed=1).sort("cell_id")
    seen = points(rng.uniform((-300, -300), (6300, 4300), (300, 2)))
    result = density(seen, grid, 100, END)
    assert result["bandwidth_m"].unique().to_list() == [200.0]
    joined = grid.join(result, on="cell_id", how="left", maintain_order="left")["density_per_km2_year"].fill_null(0)
    assert joined.to_numpy() == pytest.approx(direct(seen, grid, 200.0), abs=6e-4)


def test_the_surface_integrates_to_all_incidents() -> None:
    grid = cells(300, 200)
    seen = points(np.random.default_rng(2).uniform((2000, 2000), (28_000, 18_000), (500, 2)))
    result = density(seen, grid, 100, END)
    assert result["bandwidth_m"][0] == 650
    assert result["density_per_km2_year"].sum() * 0.01 == pytest.approx(500, rel=0.002)
    assert result.filter(pl.col("cell_id") == "c30150")["kernel_share"].to_list() == [1.0], "in the middle"


def test_the_kernel_adds_up_to_one_and_is_highest_at_the_point() -> None:
    step = np.arange(-500, 500, 2.0) + 1
    total = quartic(step**2 + (step**2)[:, None], 400.0).sum() * 4
    assert total == pytest.approx(1, abs=1e-4)
    assert quartic(np.array([0.0, 400.0**2, 1e9]), 400.0).tolist() == pytest.approx([3 / (np.pi * 400**2), 0, 0])


def test_beyond_the_edge_is_unknown_and_not_empty() -> None:
    grid = cells(300, 200)
    y, x = np.divmod(np.arange(300 * 200), 300)
    result = density(points(np.column_stack([x * 100 + 50.0, y * 100 + 50.0])), grid, 100, END)
    assert result["density_per_km2_year"].to_numpy() == pytest.approx(np.full(60_000, 100.0), rel=1e-3)
    corner = result.sort("cell_id")["kernel_share"][0]
    assert 0.2 < corner < 0.4


def test_incidents_moved_to_one_junction_count_each() -> None:
    single, many = (density(points(np.tile([3000.0, 2000.0], (n, 1))), cells(), 100, END) for n in (1, 40))
    assert many["density_per_km2_year"].sum() == pytest.approx(40 * single["density_per_km2_year"].sum(), rel=1e-3)


def test_the_bandwidth_follows_the_regions_shorter_side_within_its_limits() -> None:
    assert [bandwidth(*size, 100) for size in ((30_000, 21_000), (200_000, 90_000), (1_000, 1_000))] == [700, 1000, 200]
    assert bandwidth(10_000, 10_000, 250) == 500


def test_categories_and_years_are_separate_and_far_points_have_no_effect() -> None:
    seen = pl.concat(
        [
            points([[3000, 2000]], "burglary"),
            points([[1000, 1000]]),
            points([[5000, 3000]], day=END),
            points([[1e6, 1e6]], "robbery"),
        ]
    )
    result = density(seen, cells(), 100, END)
    assert result["category"].unique().sort().to_list() == ["burglary", "theft"]
    assert result.filter(pl.col("category") == "theft").height == result.height / 2
    assert result["density_per_km2_year"].min() > 0


def test_no_incidents_give_an_empty_surface() -> None:
    assert density(points([[1, 1]]).clear(), cells(), 100, END).schema == module.SCHEMA
    assert density(points([[1, 1]]), cells().clear(), 100, END).schema == module.SCHEMA
    assert density(points([[50, 50]]), cells(1, 1), 100, END).height == 1
