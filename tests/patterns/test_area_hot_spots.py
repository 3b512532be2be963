"""Hot areas: neighbours from borders, steadied rates, and both statistics on planted districts."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import shapely

from pipelines.patterns import area_hot_spots as module
from pipelines.patterns.area_hot_spots import area_hot_spots
from pipelines.patterns.hot_spots import gi_star
from pipelines.patterns.statistics.adjacency import touching
from pipelines.patterns.statistics.neighbours import NONE
from pipelines.patterns.statistics.rates import rates

END = date(2026, 3, 3)
SIDE = 8


def squares(side: int = SIDE, size: float = 0.01) -> list[shapely.Polygon]:
    return [shapely.box(x * size, y * size, (x + 1) * size, (y + 1) * size) for y in range(side) for x in range(side)]


def areas(
    population: list[int | None] | None = None, hierarchy: str = "admin", level: str = "district"
) -> pl.DataFrame:
    shapes = squares()
    return pl.DataFrame(
        {
            "area_id": [f"{hierarchy}{i:02d}" for i in range(len(shapes))],
            "hierarchy": hierarchy,
            "area_level": level,
            "population": pl.Series(population or [1000] * len(shapes), dtype=pl.Int64),
            "geometry": [shapely.to_wkb(shape) for shape in shapes],
        }
    )


def points(counts: dict[int, int], category: str = "theft", day: date = END - timedelta(days=1)) -> pl.DataFrame:
    place = [number for number, count in counts.items() for _ in range(count)]
    return pl.DataFrame(
        {
            "category": category,
            "occurrence_date": day,
            "admin_area_id": [f"admin{i:02d}" for i in place],
            "police_area_id": [f"police{i:02d}" for i in place],
        },
        schema_overrides={"category": pl.String, "occurrence_date": pl.Date, "admin_area_id": pl.String},
    )


def lists(result: np.ndarray) -> list[list[int]]:
    return [sorted(row[row != NONE]) for row in result]


def test_areas_touch_by_border_corner_and_across_a_sliver_but_not_across_a_street() -> None:
    shapes = [
        shapely.box(0, 0, 1, 1),
        shapely.box(1.0002, 0, 2, 1),
        shapely.box(2, 1, 3, 2),
        shapely.box(3.01, 1, 4, 2),
    ]
    assert lists(touching(shapes)) == [[1], [0, 2], [1], []]
    assert lists(touching([shapes[0], None, shapely.Polygon()])) == [[], [], []]
    assert touching([]).shape == (0, 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_neighbours_equal_libpysals_queen_and_gi_star_on_them_equals_esda() -> None:
    import geopandas
    from esda import G_Local
    from libpysal.weights import Queen

    rng = np.random.default_rng(1)
    spots = shapely.multipoints(rng.random((60, 2)))
    cells = shapely.get_parts(shapely.voronoi_polygons(spots, extend_to=shapely.box(0, 0, 1, 1)))
    weights = Queen.from_dataframe(geopandas.GeoDataFrame(geometry=cells), use_index=False)
    result = touching(cells, gap=1e-9)
    assert lists(result) == [sorted(weights.neighbors[i]) for i in range(60)]
    values = rng.gamma(2, 3, 60)
    theirs = G_Local(values, weights, transform="B", star=True, permutations=0)
    assert gi_star(values, result) == pytest.approx(theirs.Zs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_empirical_bayes_rates_equal_esda() -> None:
    from esda.smoothing import Empirical_Bayes

    rng = np.random.default_rng(2)
    people = rng.integers(50, 20_000, 80).astype(float)
    events = rng.poisson(people * rng.gamma(4, 0.002, 80)).astype(float)
    raw, steadied = rates(events, people)
    assert steadied == pytest.approx(10_000 * Empirical_Bayes(events, people).r.ravel())
    assert raw == pytest.approx(10_000 * events / people)


def test_a_small_place_is_shrunk_further_towards_the_overall_rate() -> None:
    events, people = np.array([1.0, 100.0, 20.0, 40.0]), np.array([10.0, 1000.0, 1000.0, 1000.0])
    raw, steadied = rates(events, people)
    common = 10_000 * 161 / 3010
    pulled = (raw - steadied) / (raw - common)
    assert raw[0] == raw[1] == 1000 and pulled[0] > 10 * pulled[1] > 0


def test_rates_within_chance_all_equal_the_overall_rate() -> None:
    _, steadied = rates(np.array([10.0, 11.0, 9.0]), np.full(3, 1000.0))
    assert steadied == pytest.approx([100, 100, 100])


def test_an_unknown_population_has_no_rate() -> None:
    raw, steadied = rates(np.array([5.0, 5.0, 9.0]), np.array([np.nan, 0.0, 100.0]))
    assert np.isnan(raw).tolist() == np.isnan(steadied).tolist() == [True, True, False]
    assert np.isnan(rates(np.array([5.0]), np.array([np.nan]))[0]).all()


def test_a_district_is_hot_by_its_rate_and_not_by_its_size() -> None:
    rng = np.random.default_rng(3)
    people = np.full(64, 10_000)
    people[[45, 46, 53, 54]] = 200_000
    counts = rng.poisson(people * 0.002)
    planted = [9, 10, 17, 18]
    counts[planted] += 60
    frame = area_hot_spots(points(dict(enumerate(counts.tolist()))), areas(people.tolist()), END)
    hot = frame.filter("is_hot")["area_id"].to_list()
    assert {f"admin{i:02d}" for i in planted} <= set(hot) and len(hot) <= 16
    assert not {"admin45", "admin46", "admin53", "admin54"} & set(hot)
    assert frame["measured_on"].unique().to_list() == ["eb_rate"]
    quadrants = frame.filter(pl.col("area_id").is_in([f"admin{i:02d}" for i in planted]))
    assert quadrants["quadrant"].unique().to_list() == ["high-high"] and quadrants["is_moran_significant"].any()


def test_where_the_population_is_unknown_counts_are_tested_and_rates_are_null() -> None:
    some = areas([None] * 64)
    stations = areas([None] * 64, "police", "station")
    frame = area_hot_spots(points({0: 40, 1: 3, 63: 2}), pl.concat([some, stations]), END)
    assert frame.group_by("hierarchy").agg(pl.len(), pl.col("incidents").sum()).sort("hierarchy").rows() == [
        ("admin", 64, 45),
        ("police", 64, 45),
    ]
    assert frame["measured_on"].unique().to_list() == ["incidents"]
    assert frame["rate_per_10000"].null_count() == frame["eb_rate_per_10000"].null_count() == 128


def test_daytime_population_may_replace_residents() -> None:
    frame = areas().with_columns(daytime_population=pl.lit(50_000))
    result = area_hot_spots(points({5: 10}), frame, END, population="daytime_population")
    assert result.filter(pl.col("incidents") > 0)["rate_per_10000"].to_list() == [2.0]


def test_a_handful_of_incidents_makes_no_area_hot() -> None:
    steadied = area_hot_spots(points({10: 1, 12: 1, 40: 1}), areas(), END)
    assert steadied["eb_rate_per_10000"].n_unique() == 1 and not steadied["is_hot"].any()
    frame = area_hot_spots(points({10: 1, 12: 1, 40: 1}), areas([None] * 64), END)
    assert frame["gi_star_z"].max() > 2.5 and not frame["is_hot"].any() and not frame["is_moran_significant"].any()


def test_only_incidents_of_the_year_inside_areas_count() -> None:
    seen = pl.concat(
        [
            points({3: 2}),
            points({3: 5}, day=END),
            points({3: 7}, day=END - timedelta(days=366)),
            points({3: 1}).with_columns(pl.lit(None, pl.String).alias("admin_area_id")),
        ]
    )
    frame = area_hot_spots(seen, areas(), END)
    assert frame["incidents"].sum() == 2 and frame.height == 64


def test_no_incidents_no_areas_and_a_single_area_are_handled() -> None:
    assert area_hot_spots(points({}), areas(), END).schema == module.SCHEMA
    assert area_hot_spots(points({1: 3}), areas().clear(), END).is_empty()
    single = area_hot_spots(points({0: 3}), areas().head(1), END)
    assert single.select("incidents", "p_value", "is_hot", "quadrant").rows() == [(3, 1.0, False, None)]
    assert single.schema == module.SCHEMA
