"""One page of each source: what it holds, what would not be mapped, and what cannot be read."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from pipelines.cli import main as cli
from pipelines.config import profile as profiles
from pipelines.config.profile import Profile
from pipelines.steps import check_sources
from tests import soda
from tests.feeds.cities import CHICAGO

AS_OF = datetime(2017, 6, 2, 10, 15, tzinfo=UTC)
MAPPED = {"category": "kind", "occurred_at": "date", "lon": "longitude", "lat": "latitude", "area_code": "district"}
NOTHING: Mapping[str, bytes] = {}


def record(**changed: Any) -> dict[str, Any]:
    known = {"kind": "aggravated assault", "date": "2017-05-01T22:30:00.000", "longitude": "-87.61"}
    return known | {"latitude": "41.71", "district": "6"} | changed


def boundaries() -> dict[str, bytes]:
    ring = [[-87.62, 41.70], [-87.60, 41.70], [-87.60, 41.72], [-87.62, 41.72], [-87.62, 41.70]]
    feature = {
        "type": "Feature",
        "properties": {"dist_num": "6", "dist_label": "Gresham"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    body = orjson.dumps({"type": "FeatureCollection", "features": [feature]})
    return {f"/resource/{soda.DISTRICTS}.geojson": body}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A city whose table has a column of categories."""
    columns = "\n".join(f'{name} = "{column}"' for name, column in MAPPED.items())
    before, _, rest = CHICAGO.partition("[feeds.chicago_assaults.columns]\n")
    text = before.replace('category = "aggravated assault"\n', "") + "[feeds.chicago_assaults.columns]\n" + columns
    (tmp_path / "city.toml").write_text(f"{text}\n\n{rest[rest.index('[') :]}", "utf-8")
    return tmp_path / "city.toml"


@pytest.fixture
def profile(path: Path) -> Profile:
    return profiles.load(str(path))


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, *rows: dict[str, Any], files: Mapping[str, bytes]) -> Iterator[None]:
    with soda.serve(soda.Portal({soda.ASSAULTS: pl.DataFrame(rows)}, files, instants=("date",))) as base:
        for name, url in soda.urls(base).items():
            monkeypatch.setenv(name, url)
        yield


def test_a_page_shows_times_places_and_the_words_that_are_not_mapped(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        record(),
        record(kind="robbery", date="2017-05-02"),
        record(kind="robbery", longitude="-87.50", district="OTR"),
        record(kind="arson", longitude=None, latitude=None),
        record(date="yesterday"),
    ]
    with served(monkeypatch, *rows, files=boundaries()):
        pages, failures = check_sources.check_sources(profile, AS_OF)
    assert failures == []
    assert pages.to_dicts() == [
        {
            "feed": "chicago_assaults",
            "records": 5,
            "quarantined": 1,
            "with time of day": "3 of 4",
            "inside boundaries": "2 of 3",
            "unmapped categories": '"robbery" (2), "arson" (1)',
            "unmapped areas": '"OTR" (1)',
        },
        {
            "feed": "chicago_districts",
            "records": 1,
            "quarantined": 0,
            "with time of day": None,
            "inside boundaries": None,
            "unmapped categories": None,
            "unmapped areas": None,
        },
    ]


def test_five_unmapped_words_are_named_and_the_others_counted(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [record(kind=f"kind {number}") for number in range(7)]
    with served(monkeypatch, *rows, files=boundaries()):
        pages, _ = check_sources.check_sources(profile, AS_OF)
    words = pages["unmapped categories"][0]
    assert words.startswith('"kind 0" (1), ') and words.endswith('"kind 4" (1) and 2 more')


def test_a_page_is_small_however_large_the_table(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(monkeypatch, *[record()] * (check_sources.PAGE + 1), files=boundaries()):
        pages, _ = check_sources.check_sources(profile, AS_OF)
    assert pages["records"].to_list() == [check_sources.PAGE, 1]


def test_without_boundaries_places_are_unknown_and_the_other_source_is_still_described(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(monkeypatch, record(kind="robbery"), files=NOTHING):
        pages, failures = check_sources.check_sources(profile, AS_OF)
    (failure,) = failures
    assert failure.startswith("chicago_districts: ") and "status 404; not found: check the feed's url" in failure
    (row,) = pages.to_dicts()
    assert (row["with time of day"], row["unmapped categories"]) == ("1 of 1", '"robbery" (1)')
    assert (row["inside boundaries"], row["unmapped areas"]) == (None, None)


def test_boundaries_in_a_file_are_loaded_like_any_other_source(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (body,) = boundaries().values()
    gpd.read_file(io.BytesIO(body)).to_crs(26916).to_file(tmp_path / "districts.gpkg")
    path.write_text(path.read_text("utf-8").replace('"geojson"', '"boundaries"'), "utf-8")
    with served(monkeypatch, record(), files=NOTHING):
        monkeypatch.setenv("BONGSU_URL_CHICAGO_DISTRICTS", str(tmp_path / "districts.gpkg"))
        pages, failures = check_sources.check_sources(profiles.load(str(path)), AS_OF)
    assert failures == []
    assert pages["inside boundaries"].to_list() == ["1 of 1", None]


def test_a_page_whose_rows_fail_the_suite_is_a_failure_with_the_reason(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(monkeypatch, record(date="yesterday"), record(), files=boundaries()):
        pages, failures = check_sources.check_sources(profile, AS_OF)
    assert failures == [
        "chicago_assaults: 1 of 2 rows fail the suite, more than 20%: rejected whole; most often occurred_at: the time "
        "of the offence is not ISO 8601, no day of the calendar, or before 1950: staging cannot read it (1 rows)"
    ]
    assert pages["feed"].to_list() == ["chicago_districts"]


@pytest.mark.parametrize(("files", "code"), [(boundaries(), 0), (NOTHING, 1)])
def test_the_command_exits_with_1_if_a_source_cannot_be_read_and_touches_no_home(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, bytes], code: int
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("BONGSU_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with served(monkeypatch, record(), files=files):
        done = CliRunner().invoke(cli.app, ["check-profile", str(path), "--fetch"])
    assert done.exit_code == code, done.output
    assert "chicago_assaults" in done.output and ("✗ chicago_districts" in done.output) == bool(code)
    assert sorted(tmp_path.rglob("*")) == before


def test_without_the_option_no_source_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_sources, "check_sources", lambda *_: pytest.fail("a source was read"))
    done = CliRunner().invoke(cli.app, ["check-profile", str(path)])
    assert done.exit_code == 0, done.output
