"""Nearest-neighbour hierarchical clusters against CrimeStat's rule as plain loops, and against random points."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import shapely
from scipy.spatial import KDTree

from pipelines.patterns import nnh_clusters as module
from pipelines.patterns.nnh_clusters import NONE, cluster, nnh_clusters, region_km2, threshold

END = date(2026, 3, 3)
CRS = "EPSG:5179"
CORNER = np.array([950_000.0, 1_950_000.0])


def points(xy: np.ndarray, category: str = "theft", day: date = END - timedelta(days=1)) -> pl.DataFrame:
    x, y = (np.asarray(xy, float).reshape(-1, 2) + CORNER).T
    return pl.DataFrame({"x_m": x, "y_m": y}).with_columns(category=pl.lit(category), occurrence_date=pl.lit(day))


def by_loops(xy: np.ndarray, radius: float, least: int) -> list[set[int]]:
    """Levine's rule on single points, every distance looked at."""
    near = [[j for j in range(len(xy)) if np.hypot(*(xy[i] - xy[j])) <= radius] for i in range(len(xy))]
    order = sorted(range(len(xy)), key=lambda i: (-len(near[i]), xy[i][0], xy[i][1]))
    free, result = set(range(len(xy))), []
    for seed in order:
        members = {j for j in near[seed] if j in free}
        if seed in free and len(members) >= least:
            result.append(members)
            free -= members
    return result


@pytest.mark.parametrize("seed", range(5))
def test_clusters_are_those_of_the_rule_written_as_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    single = np.concatenate(
        [rng.uniform(0, 1000, (120, 2)), rng.normal(300, 40, (60, 2)), rng.normal(700, 60, (60, 2))]
    )
    single = np.round(single, -1)  # moved to a mesh of 10 m, so that several share a place
    expected = by_loops(single, 60.0, 8)
    places, of_point, count = np.unique(single, axis=0, return_inverse=True, return_counts=True)
    built = cluster(places, count.astype(float), 60.0, 8)[of_point.ravel()]
    result = [set(np.flatnonzero(built == number).tolist()) for number in range(built.max() + 1)]
    assert result == expected and len(result) > 2


def test_counting_pairs_in_chunks_gives_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    xy = np.unique(np.random.default_rng(6).normal(0, 100, (300, 2)).round(), axis=0)
    whole = cluster(xy, np.ones(len(xy)), 40.0, 8)
    monkeypatch.setattr(module, "MAX_PAIRS", 500)
    assert (cluster(xy, np.ones(len(xy)), 40.0, 8) == whole).all() and whole.max() > 3


def test_the_threshold_is_the_mean_nearest_neighbour_distance_of_random_points_less_its_error() -> None:
    rng = np.random.default_rng(1)
    means = []
    for _ in range(400):
        xy = rng.uniform(0, 10_000, (400, 2))
        # Round the corner: an edge would make nearest neighbours farther away than theory has them.
        means.append(KDTree(xy, boxsize=10_000).query(xy, k=2)[0][:, 1].mean())
    assert threshold(400, 100.0, 0.5) == pytest.approx(np.mean(means), rel=0.01)
    assert threshold(400, 100.0, 0.05) == pytest.approx(np.quantile(means, 0.05), rel=0.01)
    assert threshold(0, 100.0) == 0 and threshold(1, 100.0) >= 0


def test_planted_clusters_are_found_with_their_incidents_and_outlines() -> None:
    rng = np.random.default_rng(2)
    background = rng.uniform(0, 10_000, (300, 2))
    middles = np.array([[2000, 2000], [8000, 8000.0]])
    planted = [rng.normal(middle, 40, (n, 2)) for middle, n in zip(middles, (80, 40), strict=True)]
    result = nnh_clusters(points(np.concatenate([background, *planted])), 100.0, CRS, END)
    first = result.filter(pl.col("nnh_order") == 1)
    assert first["nnh_cluster_id"].to_list()[:2] == ["theft-1-1", "theft-1-2"]
    assert 75 <= first["incidents"][0] <= 90 and 38 <= first["incidents"][1] <= 46
    outlines = shapely.from_wkb(first["geometry"].to_list())
    assert shapely.is_valid(outlines).all() and (shapely.get_type_id(outlines) == 3).all()
    centres = shapely.points(first["lon"].to_numpy(), first["lat"].to_numpy())
    assert shapely.contains(outlines, centres).all()
    assert first["incidents_per_km2"][0] == pytest.approx(first["incidents"][0] / first["cluster_km2"][0])


def test_incidents_all_at_one_junction_are_a_cluster_with_an_outline() -> None:
    seen = points(np.concatenate([np.tile([[5000.0, 5000.0]], (30, 1)), [[1000, 1000], [9000, 1000]]]))
    (row,) = nnh_clusters(seen, 100.0, CRS, END).to_dicts()
    assert (row["incidents"], row["distinct_places"], row["first_order_clusters"]) == (30, 1, None)
    assert row["cluster_km2"] == pytest.approx(np.pi * 0.025**2, rel=0.05)


def test_second_order_clusters_contain_all_their_incidents() -> None:
    rng = np.random.default_rng(3)
    # Farther apart than twice the threshold: a seed between two would take both.
    near = [[5000 + 800 * (i % 3), 5000 + 800 * (i // 3)] for i in range(6)]
    far = [[20_000, 30_000], [70_000, 80_000], [90_000, 10_000]]
    planted = [rng.normal(middle, 20, (20 + number, 2)) for number, middle in enumerate(near + far)]
    result = nnh_clusters(points(np.concatenate([*planted, rng.uniform(0, 100_000, (20_000, 2))])), 10_000.0, CRS, END)
    first, second = (result.filter(pl.col("nnh_order") == order) for order in (1, 2))
    (upper,) = second.to_dicts()
    below = first.filter(pl.col("parent_nnh_cluster_id") == upper["nnh_cluster_id"])
    assert below.height == upper["first_order_clusters"] == 6
    assert below["incidents"].sum() == upper["incidents"] and below["distinct_places"].sum() == upper["distinct_places"]
    # Round corners are drawn with few vertices: a metre or two of play.
    hull = shapely.from_wkb(upper["geometry"]).buffer(2e-5)
    assert shapely.contains(hull, shapely.from_wkb(below["geometry"].to_list())).all()


def test_random_points_rarely_cluster() -> None:
    rng = np.random.default_rng(4)
    result = nnh_clusters(points(rng.uniform(0, 10_000, (5_000, 2))), 100.0, CRS, END)
    assert result.is_empty() and result.schema == module.SCHEMA


def test_the_order_of_the_records_does_not_matter() -> None:
    seen = points(np.random.default_rng(5).normal(0, 300, (500, 2)).round(-1))
    item, other = (
        nnh_clusters(frame, 10.0, CRS, END) for frame in (seen, seen.sample(fraction=1, shuffle=True, seed=1))
    )
    assert item.equals(other) and not item.is_empty()


def test_no_incidents_give_no_cluster_and_the_window_applies() -> None:
    assert nnh_clusters(points([[0, 0]]).clear(), 100.0, CRS, END).schema == module.SCHEMA
    assert nnh_clusters(points([[0, 0]]), 100.0, CRS, END).schema == module.SCHEMA
    late = points(np.zeros((20, 2)), day=END)
    assert nnh_clusters(late, 100.0, CRS, END).is_empty()
    assert (cluster(np.empty((0, 2)), np.empty(0), 1.0, 1) == NONE).all()


def test_the_region_is_all_districts_in_metres() -> None:
    def area(area_id: str, hierarchy: str, west: float) -> dict[str, object]:
        shape = shapely.to_wkb(shapely.box(west, 37.5, west + 0.1, 37.6))
        return {"area_id": area_id, "hierarchy": hierarchy, "area_level": "district", "geometry": shape}

    areas = pl.DataFrame([area("a", "admin", 127.0), area("b", "admin", 127.1), area("c", "police", 127.0)])
    east, north = 111.32 * np.cos(np.radians(37.55)), 111.0
    assert region_km2(areas, CRS) == pytest.approx(0.2 * east * 0.1 * north, rel=0.005)
