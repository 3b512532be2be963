"""Coordinates: checked against the declared CRS; fitting systems are named, never guessed."""

import dataclasses
import re

import duckdb
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from pyproj import Transformer

from pipelines.config import profile
from pipelines.config.profile import FeedSource
from pipelines.feeds import police_112
from pipelines.feeds.feed import FeedError
from pipelines.quality import coordinates
from pipelines.store import warehouse

KOREA = profile.load("korea")
BOUNDS = KOREA.bounds
FEED = dataclasses.replace(police_112.FEED, coordinate_columns=("lon", "lat"))
SEOUL_HALL = (126.9780, 37.5665)


def declared(crs: str) -> FeedSource:
    return KOREA.feeds["police_112"].model_copy(update={"crs": crs})


def around(place: tuple[float, float] = SEOUL_HALL, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return place[0] + rng.uniform(-0.1, 0.1, count), place[1] + rng.uniform(-0.1, 0.1, count)


def written(crs: str, place: tuple[float, float] = SEOUL_HALL, *, is_swapped: bool = False) -> pl.DataFrame:
    """Points around a place in a system's CRS."""
    x, y = Transformer.from_crs("EPSG:4326", coordinates.definition(crs), always_xy=True).transform(*around(place))
    return pl.DataFrame({"lon": y, "lat": x} if is_swapped else {"lon": x, "lat": y})


@pytest.mark.parametrize("crs", ["EPSG:4326", *coordinates.METRIC])
def test_coordinates_in_the_declared_crs_pass(crs: str) -> None:
    coordinates.check(written(crs), FEED, declared(crs), BOUNDS)


@pytest.mark.parametrize(
    ("crs", "also"),
    [
        ("EPSG:5179", ()),
        ("EPSG:5186", ("EPSG:5181", "EPSG:5174", "KATEC")),
        ("EPSG:5181", ("EPSG:5186", "EPSG:5174", "KATEC")),
        ("EPSG:5174", ("EPSG:5186", "EPSG:5181", "KATEC")),
        ("KATEC", ("EPSG:5186", "EPSG:5181", "EPSG:5174")),
        ("EPSG:3857", ()),
    ],
)
def test_metres_where_degrees_are_declared_are_rejected_with_every_crs_that_fits(
    crs: str, also: tuple[str, ...]
) -> None:
    with pytest.raises(FeedError, match="40 of 40 points") as refusal:
        coordinates.check(written(crs), FEED, declared("EPSG:4326"), BOUNDS)
    message = str(refusal.value)
    assert set(re.findall('crs = "([^"]+)"', message)) == {crs, *also}
    assert f"{crs} (middle 126.9" in message
    assert "[feeds.police_112] of the profile" in message
    assert ("ask the source" in message) == bool(also)
    assert "swapped" not in message


def test_degrees_where_metres_are_declared_are_rejected_as_degrees() -> None:
    with pytest.raises(FeedError, match=r'That fits EPSG:4326 \(middle 126.9\d+, 37.5\d+\): crs = "EPSG:4326"\. Write'):
        coordinates.check(written("EPSG:4326"), FEED, declared("EPSG:5186"), BOUNDS)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:5179"])
def test_swapped_axes_are_reported_and_not_corrected(crs: str) -> None:
    frame = written(crs, is_swapped=True)
    before = frame.clone()
    with pytest.raises(FeedError, match=f"{crs} with its axes swapped .*exchange the two columns"):
        coordinates.check(frame, FEED, declared(crs), BOUNDS)
    assert frame.equals(before)


def test_swapped_metres_are_reported_where_degrees_are_declared() -> None:
    with pytest.raises(FeedError, match=r'EPSG:5186 with its axes swapped .*crs = "EPSG:5186", and exchange'):
        coordinates.check(written("EPSG:5186", is_swapped=True), FEED, declared("EPSG:4326"), BOUNDS)


def test_unknown_coordinates_are_rejected_with_the_systems_tried() -> None:
    frame = pl.DataFrame({"lon": [1e7, 1.1e7, 1.2e7], "lat": [8e7, 8e7, 8e7]})
    with pytest.raises(FeedError, match=r"None of EPSG:5179, .*KATEC.* fits, in either order"):
        coordinates.check(frame, FEED, declared("EPSG:4326"), BOUNDS)


def test_a_table_in_degrees_only_is_never_advised_to_declare_another_crs() -> None:
    table = declared("EPSG:4326").model_copy(update={"source_type": "socrata"})
    with pytest.raises(FeedError, match=r"They fit EPSG:5179.*: map the table's longitude and latitude, or its point"):
        coordinates.check(written("EPSG:5179"), FEED, table, BOUNDS)
    feet = pl.DataFrame({"lon": [1e7, 1.1e7, 1.2e7], "lat": [8e7, 8e7, 8e7]})
    with pytest.raises(
        FeedError, match=r"fit no known CRS, .*: map the columns of .* that have longitude and latitude"
    ):
        coordinates.check(feet, FEED, table, BOUNDS)


def test_outliers_and_missing_locations_are_left_to_the_suite() -> None:
    lon, lat = around()
    lon[:15], lat[:15] = lat[:15].copy(), lon[:15].copy()
    odd = [(0.0, 0.0), (float("nan"), 37.5), (float("inf"), 37.5), (None, None)]
    frame = pl.DataFrame({"lon": [*lon, *(x for x, _ in odd)], "lat": [*lat, *(y for _, y in odd)]})
    coordinates.check(frame, FEED, declared("EPSG:4326"), BOUNDS)
    coordinates.check(frame.tail(4), FEED, declared("EPSG:4326"), BOUNDS)
    two = pl.DataFrame({"lon": [37.5, 37.6], "lat": [127.0, 127.1]})
    coordinates.check(two, FEED, declared("EPSG:4326"), BOUNDS)


def test_coordinates_may_come_as_text_with_blanks() -> None:
    as_text = [pl.format(" {} ", name).alias(name) for name in ("lon", "lat")]
    blank = pl.DataFrame({"lon": ["", "  ", "n/a"], "lat": ["", "37.5", ""]})
    sound = pl.concat([written("EPSG:4326").select(as_text), blank])
    coordinates.check(sound, FEED, declared("EPSG:4326"), BOUNDS)
    swapped = written("EPSG:4326", is_swapped=True).select(as_text)
    with pytest.raises(FeedError, match="swapped"):
        coordinates.check(swapped, FEED, declared("EPSG:4326"), BOUNDS)


def test_a_feed_without_coordinates_and_an_empty_delivery_are_not_checked() -> None:
    coordinates.check(
        written("EPSG:5179"), dataclasses.replace(FEED, coordinate_columns=None), declared("EPSG:4326"), BOUNDS
    )
    coordinates.check(written("EPSG:5179").clear(), FEED, declared("EPSG:4326"), BOUNDS)


def test_toronto_is_checked_against_its_own_country() -> None:
    toronto = profile.load("toronto")
    coordinates.check(written("EPSG:4326", (-79.4, 43.7)), FEED, declared("EPSG:4326"), toronto.bounds)
    with pytest.raises(FeedError, match='crs = "EPSG:4326", and exchange'):
        coordinates.check(written("EPSG:4326", (43.7, -79.4)), FEED, declared("EPSG:4326"), toronto.bounds)


@pytest.mark.parametrize("crs", ["utm", "EPSG:5186'; drop table x", "epsg:5186", "+proj=tmerc"])
def test_a_crs_in_a_profile_is_a_code_or_katec(crs: str) -> None:
    with pytest.raises(ValidationError, match="crs"):
        FeedSource(**(KOREA.feeds["police_112"].model_dump() | {"crs": crs}))


@pytest.mark.parametrize(
    ("crs", "degrees", "metres", "within_m"),
    [
        # Natural origins, as the register gives them.
        ("EPSG:5179", (127.5, 38.0), (1_000_000, 2_000_000), 0.01),
        ("EPSG:5186", (127.0, 38.0), (200_000, 600_000), 0.01),
        ("EPSG:5181", (127.0, 38.0), (200_000, 500_000), 0.01),
        # From conversions published by others; the two with the old datum used three parameters, hence metres.
        ("EPSG:5179", (131.0999928, 40.0099722), (1_307_285, 2_229_260), 0.02),
        ("KATEC", (126.978546, 37.566554), (309_961.25, 552_080.84), 5),
        ("KATEC", (127.0, 36.0), (310_039.79, 378_221.75), 5),
    ],
)
def test_known_points_come_out_where_they_are_published(
    crs: str, degrees: tuple[float, float], metres: tuple[float, float], within_m: float
) -> None:
    moved = Transformer.from_crs("EPSG:4326", coordinates.definition(crs), always_xy=True).transform(*degrees)
    assert np.hypot(*np.subtract(moved, metres)) <= within_m


@pytest.mark.parametrize("crs", ["EPSG:5179", "EPSG:5186", "EPSG:5181", "EPSG:5174", "KATEC"])
def test_staging_converts_declared_metres_to_degrees_as_pyproj_does(crs: str) -> None:
    x, y = Transformer.from_crs("EPSG:4326", coordinates.definition(crs), always_xy=True).transform(*SEOUL_HALL)
    with duckdb.connect() as con:
        warehouse.load_extension(con, "spatial")
        con.execute("create schema reference")
        feeds = pl.DataFrame({"feed": ["fire_119"], "crs": [coordinates.definition(crs)]})
        warehouse.write_frame(con, "reference", "feeds", feeds)
        place = con.execute(
            "select st_x(place), st_y(place) from (select st_transform("
            "st_point(?, ?), (select crs from reference.feeds where feed = 'fire_119'), 'EPSG:4326') as place)",
            [x, y],
        ).fetchall()[0]
    assert place == pytest.approx(SEOUL_HALL, abs=1e-7)  # a centimetre
