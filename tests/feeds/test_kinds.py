"""Feeds that a profile declares without a module: required and forbidden settings."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines import areas, feeds
from pipelines.config import profile as profiles
from pipelines.config.profile import Profile, ProfileError
from pipelines.feeds.feed import FeedError, conform
from pipelines.ingest import merge
from pipelines.store import warehouse
from pipelines.transform import build
from tests.feeds.cities import CHICAGO, memory, others, place
from tests.feeds.portal import load


def renamed(name: str) -> dict[str, Any]:
    """The page's Chicago profile as plain values, its feed under another name."""
    content = place().model_dump(mode="json")
    content["feeds"][name] = content["feeds"].pop("chicago_assaults")
    return content


@pytest.mark.parametrize("name", sorted(others()))
def test_every_feed_of_the_page_can_be_declared(name: str) -> None:
    feed, districts = feeds.of(place(name))
    assert (feed.name, feed.agency) == (name, place(name).feeds[name].agency)
    assert feed.suite in {"socrata", "data_police_uk"} and districts.is_reference


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"resource": "crimes"}, "resource: must be the table's id"),
        ({"resource": "aggr-aslt?$where=1"}, "resource: must be the table's id"),
        ({"agency": None}, "agency: must be"),
        ({"services": []}, "services: must name some of police"),
        ({"services": ["coastguard"]}, "services: 'coastguard' is not a service: police"),
        ({"columns": {"lon": "longitude"}}, "must map occurred_at or reported_at"),
        ({"columns": {"occurred_at": "date", "suspect": "name"}}, "suspect"),
        ({"columns": {"occurred_at": "date' or 1=1 --"}}, "is not a column name"),
        (
            {"columns": {"occurred_at": "date", "updated_at": "changed", "source_id": "id"}},
            "window_days, or neither",
        ),
        ({"window_days": 31}, "window_days, or neither"),
        ({"columns": {"occurred_at": "d", "updated_at": "u"}, "window_days": 1}, "needs source_id"),
        ({"columns": {"occurred_at": "date", "source_id": "id", "unit_id": "unit"}}, "unit_id needs row_id"),
        ({"crs": "EPSG:3435"}, "crs: must be EPSG:4326"),
    ],
    ids=str,
)
def test_an_invalid_table_entry_is_rejected_before_any_request(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        feeds.of(place(**changed))


def test_a_mapping_to_an_undefined_category_fails_the_profile(tmp_path: Path) -> None:
    path = tmp_path / "chicago.toml"
    path.write_text(CHICAGO.replace('"aggravated assault" = "assault"', '"aggravated assault" = "asault"'), "utf-8")
    with pytest.raises(
        ProfileError, match=r":\d+: feeds.chicago_assaults.categories.aggravated assault: maps to 'asault'"
    ):
        profiles.load(str(path))


def test_sensitive_words_of_the_page_are_mapped_to_sensitive_categories() -> None:
    words = ("sex", "violent-crime", "stalk", "suicide", "child", "domestic")
    for name in others():
        profile = place(name)
        for source, word in profile.feeds[name].categories.items():
            is_sensitive = any(part in source.lower() for part in words)
            assert profile.categories[word].is_sensitive == is_sensitive, (name, source)


@pytest.mark.parametrize("name", ["Chicago", "1st", "a-b", 'x"; drop table y', "x" * 62, ""])
def test_a_feed_name_must_be_a_valid_table_name(name: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Profile.model_validate(renamed(name))


@pytest.mark.parametrize("name", ["police_112", "incidents", "sf_dispatches", "sf_rows", "sf_keys"])
def test_names_in_use_are_rejected(name: str) -> None:
    with pytest.raises(ProfileError, match="already in use"):
        feeds.of(Profile.model_validate(renamed(name)))


def test_a_feed_without_a_kind_must_be_registered() -> None:
    content = renamed("chicago_thefts")
    content["feeds"]["chicago_thefts"]["source_type"] = None
    with pytest.raises(ProfileError, match=r"feeds.chicago_thefts: is not registered, and has no source_type"):
        feeds.of(Profile.model_validate(content))


def test_boundaries_that_no_hierarchy_uses_are_rejected() -> None:
    plain = place()
    other = plain.model_copy(update={"areas": plain.areas.model_copy(update={"feed": "chicago_assaults"})})
    with pytest.raises(ProfileError, match=r"feeds.chicago_districts: name the feed in \[areas\] as feed"):
        feeds.of(other)


def square(west: float, south: float) -> dict[str, Any]:
    east, north = west + 0.01, south + 0.01
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def test_boundaries_become_districts_with_their_parts_merged() -> None:
    profile = place()
    con, districts = memory(profile), feeds.named(profile, "chicago_districts")
    pieces = [("17", square(-87.6, 41.7)), ("17", square(-87.5, 41.7)), (9.0, square(-87.59, 41.7))]
    features = [
        {"type": "Feature", "properties": {"dist_num": code, "dist_label": f"No {code}"}, "geometry": shape}
        for code, shape in pieces
    ]
    collection = orjson.dumps({"type": "FeatureCollection", "features": features})
    load(con, districts, districts.parse([collection]))
    areas.build(con, profile)
    districts = con.execute("select area_id from reference.areas where area_level = 'district' order by 1").fetchall()
    assert districts == [("C-17",), ("C-9",)]
    warehouse.load_extension(con, "spatial")
    (parts,) = con.execute(
        "select st_numgeometries(st_geomfromwkb(geometry)) from reference.areas where area_id = 'C-17'"
    ).fetchall()[0]
    assert parts == 2


def test_a_property_missing_from_the_boundaries_is_reported() -> None:
    profile = place()
    feed = feeds.named(profile, "chicago_districts")
    feature = {"type": "Feature", "properties": {"district": "17"}, "geometry": square(0, 0)}
    with pytest.raises(FeedError, match=r"lacks the columns \['dist_num', 'dist_label'\].*district"):
        conform(feed, feed.parse([orjson.dumps({"type": "FeatureCollection", "features": [feature]})]))


def test_two_feeds_of_one_kind_are_staged_side_by_side() -> None:
    content = place().model_dump(mode="json")
    content["feeds"]["chicago_arsons"] = content["feeds"]["chicago_assaults"] | {"category": "arson"}
    profile = Profile.model_validate(content)
    con = memory(profile)
    both = [feed for feed in feeds.of(profile) if not feed.is_reference]
    for feed in both:
        merge.prepare(con, feed)
        page = [{"date": "2026-09-05T01:35:00.000", "longitude": "-87.6", "latitude": "41.7"}]
        load(con, feed, feed.parse([orjson.dumps(page)]))
    edges = build.stage(con, tuple(both))
    incidents = con.execute("select feed, source_category from staging.incidents order by all").fetchall()
    assert incidents == [("chicago_arsons", "arson"), ("chicago_assaults", "aggravated assault")]
    assert "raw.chicago_arsons" in edges["staging.chicago_arsons_rows"]
