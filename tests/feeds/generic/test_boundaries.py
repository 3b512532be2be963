"""Boundaries in a file: from a folder or a portal, to districts; without codes, or of elsewhere, refused."""

from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from pipelines import areas, feeds
from pipelines.areas import AreaError
from pipelines.config.profile import Profile
from pipelines.feeds.feed import Feed, FeedError, Request, conform
from tests.feeds.cities import memory, place
from tests.feeds.portal import END, load
from tests.feeds.protocols.test_map_layers import EAST, WEST, swapped, without_crs, written, zipped
from tests.replay import running

NAME = "chicago_districts"


def city(url: str, **source: Any) -> Profile:
    """The page's Chicago profile with its districts in a file."""
    whole = place().model_dump(mode="json", exclude_unset=True)
    kept = whole["feeds"][NAME] | {"source_type": "boundaries", "url": url}
    whole["feeds"][NAME] = kept | source
    return Profile.model_validate(whole)


def wards(*rows: tuple[Any, Any, Any], crs: int = 4326) -> gpd.GeoDataFrame:
    """Code, name and shape of each district."""
    codes, names, shapes = zip(*(rows or (("6", "Gresham", WEST), ("17", "Albany Park", EAST))), strict=True)
    return gpd.GeoDataFrame({"dist_num": codes, "dist_label": names}, geometry=list(shapes), crs=crs)


def parts(profile: Profile, url: str) -> tuple[bytes, ...]:
    (delivery,) = feed(profile).fetch(Request(url, None, profile.feeds[NAME], profile, None, END))
    return delivery.parts


def feed(profile: Profile) -> Feed:
    return feeds.named(profile, NAME)


def districts(profile: Profile, content: tuple[bytes, ...]) -> list[tuple[str, str, float]]:
    """Code, name and centre of every district that is built from a delivery."""
    con = memory(profile)
    verdict = load(con, feed(profile), feed(profile).parse(content))
    assert verdict.results["failed"].sum() == 0
    areas.build(con, profile)
    rows = con.execute(
        "select area_id, name, geometry from reference.areas where area_level = 'district' order by 1"
    ).fetchall()
    return [(code, name, round(shapely.from_wkb(bytes(shape)).centroid.x, 3)) for code, name, shape in rows]


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.fgb", "a.parquet"])
@pytest.mark.parametrize("crs", [4326, 26916])
def test_a_file_in_a_folder_becomes_districts_whatever_its_format_and_crs(tmp_path: Path, name: str, crs: int) -> None:
    url = str(written(wards().to_crs(crs), tmp_path / name))
    profile = city(url)
    assert districts(profile, parts(profile, url)) == [("C-17", "Albany Park", -87.59), ("C-6", "Gresham", -87.61)]


def test_a_zipped_shapefile_of_a_portal_is_stored_as_received_and_read(tmp_path: Path) -> None:
    content = zipped(written(wards().to_crs(26916), tmp_path / "a.shp")).read_bytes()
    with running(lambda path, query: (200, {"Content-Type": "application/zip"}, content)) as base:
        profile = city(f"{base}/a.zip")
        received = parts(profile, f"{base}/a.zip")
    assert received == (content,)
    assert len(districts(profile, received)) == 2


def test_a_shapefile_is_one_delivery_that_depends_on_its_files_only(tmp_path: Path) -> None:
    url = str(written(wards(), tmp_path / "a.shp"))
    first = parts(city(url), url)
    (tmp_path / "a.shp").touch()
    assert parts(city(url), url) == first
    (tmp_path / "a.dbf").unlink()
    with pytest.raises(FeedError, match=r"a\.dbf cannot be read \(FileNotFoundError\)"):
        parts(city(url), url)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_the_crs_of_the_profile_is_that_of_a_file_without_one(tmp_path: Path) -> None:
    url = str(without_crs(wards().to_crs(26916), tmp_path / "a.parquet"))
    assert len(districts(city(url, crs="EPSG:26916"), parts(city(url), url))) == 2
    with pytest.raises(FeedError, match=r"states no CRS, .*: set crs of \[feeds.chicago_districts\]") as refused:
        feed(city(url)).parse(parts(city(url), url))
    assert ".prj" not in str(refused.value)


def test_parts_of_a_district_share_its_code_and_name(tmp_path: Path) -> None:
    url = str(written(wards(("6", "Gresham", WEST), ("6", "Gresham", EAST)), tmp_path / "a.gpkg"))
    assert districts(city(url), parts(city(url), url)) == [("C-6", "Gresham", -87.6)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("6", "a", WEST), (None, "b", EAST)], "feature 2 has no dist_num: give every area its code"),
        ([("6", "a", WEST), (" ", "b", EAST)], "feature 2 has no dist_num"),
        ([("6", "a", WEST), ("6", "b", EAST)], "dist_num 6 is that of 'a' and of 'b': give each area a code"),
        ([("6", "a", WEST), ("7", "b", EAST.exterior)], "feature 2 is a Line.*, not a polygon"),
        ([("6", "a", swapped(WEST)), ("7", "b", swapped(EAST))], "its axes are swapped"),
        ([("6", "a", shapely.box(126.9, 37.5, 127, 37.6))], "is outside -125, 24.4, -66.9, 49.4"),
    ],
)
@pytest.mark.parametrize("source_type", ["boundaries", "geojson"])
def test_boundaries_that_would_lose_or_move_a_district_are_refused(
    tmp_path: Path, rows: list[tuple[Any, Any, Any]], message: str, source_type: str
) -> None:
    content = written(wards(*rows), tmp_path / "a.geojson").read_bytes()
    profile = city("https://data.example", source_type=source_type)
    with pytest.raises(FeedError, match=f"chicago_districts.*: .*{message}|chicago_districts: {message}"):
        feed(profile).parse([content])


def test_codes_that_are_one_after_padding_are_refused_when_the_districts_are_built(tmp_path: Path) -> None:
    url = str(written(wards(("7", "a", WEST), ("07", "b", EAST)), tmp_path / "a.gpkg"))
    profile = city(url)
    profile = profile.model_copy(update={"areas": profile.areas.model_copy(update={"id_digits": 3})})
    with pytest.raises(AreaError, match=r"dist_num C-007 is that of '.' and of '.'"):
        districts(profile, parts(profile, url))


def test_a_property_that_the_file_lacks_is_named_with_those_it_has(tmp_path: Path) -> None:
    content = written(wards().rename(columns={"dist_num": "district"}), tmp_path / "a.gpkg").read_bytes()
    with pytest.raises(FeedError, match="has no property dist_num, but district, dist_label: correct"):
        feed(city("a.gpkg")).parse([content])


def test_numbers_are_text_and_missing_ones_are_empty(tmp_path: Path) -> None:
    frame = wards((6, "a", WEST), (17, None, EAST))
    profile = city("https://data.example")
    profile = profile.model_copy(update={"areas": profile.areas.model_copy(update={"population_column": "people"})})
    content = written(frame.assign(people=[1200.0, None]), tmp_path / "a.gpkg").read_bytes()
    parsed = conform(feed(profile), feed(profile).parse([content]))
    assert parsed.drop("geometry", "_extra").rows() == [("6", "a", "1200.0"), ("17", None, None)]


def test_an_html_page_in_place_of_a_file_is_refused() -> None:
    page = (200, {"Content-Type": "text/html"}, b"<html>log in</html>")
    with running(lambda path, query: page) as base, pytest.raises(FeedError, match="an HTML page instead of data"):
        parts(city(f"{base}/a.zip"), f"{base}/a.zip")


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"agency": None}, "agency: must be police"), ({"crs": "KATEC"}, "crs: must be an EPSG code")],
)
def test_an_incomplete_entry_is_refused_before_any_request(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        feeds.of(city("a.gpkg", **changed))


def test_an_area_that_others_cover_wholly_is_refused_by_its_code(tmp_path: Path) -> None:
    url = str(written(wards(("6", "Gresham", WEST), ("17", "Albany Park", WEST)), tmp_path / "a.gpkg"))
    with pytest.raises(AreaError, match="chicago_districts: C-6: other areas cover all of it"):
        districts(city(url), parts(city(url), url))


def test_codes_that_differ_in_spaces_only_are_those_of_two_areas(tmp_path: Path) -> None:
    url = str(written(wards(("6", "Gresham", WEST), ("6 ", "Albany Park", EAST)), tmp_path / "a.gpkg"))
    with pytest.raises(FeedError, match="is that of 'Gresham' and of 'Albany Park'"):
        feed(city(url)).parse(parts(city(url), url))
