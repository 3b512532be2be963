"""A release: complete, identical for identical content, switched atomically, and rejected if it must be."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import geopandas
import orjson
import polars as pl
import pytest

from pipelines.config.settings import Settings
from pipelines.monitoring import status as monitoring
from pipelines.release import integrity, manifest, publish, readback, reader
from pipelines.release.publish import ReleaseError
from pipelines.release.reader import ReaderError
from pipelines.steps.status import current_release
from pipelines.store import warehouse
from tests.conftest import unexpected_modes
from tests.release.conftest import AS_OF, for_audience, insert, settings_at

AUDIENCES = ("public", "dispatch", "police", "fire", "investigation")


def changed(settings: Settings) -> None:
    """Change one published number."""
    with warehouse.connect(settings) as con:
        con.execute("update marts.response_times set incidents = incidents + 1")


@pytest.fixture
def home(filled: Settings) -> Settings:
    """A home that publishes for the fire agency only."""
    return for_audience(filled, "fire")


@pytest.fixture
def copy(released: Path, tmp_path: Path) -> Path:
    """A release that a test may damage."""
    target = tmp_path / released.name
    shutil.copytree(released, target)
    for path in manifest.files(target):
        path.chmod(0o644)
    return target


def test_a_release_is_named_by_as_of_and_content(released: Path) -> None:
    assert released.name.startswith("20261122T2015Z-") and len(released.name) == len("20261122T2015Z-") + 8
    assert (released.parents[1] / "current").resolve() == released
    assert os.readlink(released.parents[1] / "current") == f"releases/{released.name}"


def test_every_file_with_data_is_under_its_audience(released: Path) -> None:
    assert {path.name for path in released.iterdir()} == {"audiences", "manifest.json"}
    assert {path.name for path in (released / "audiences").iterdir()} == set(AUDIENCES)
    for audience in AUDIENCES:
        folder = released / "audiences" / audience
        for name in (
            f"{audience}.duckdb",
            "parquet/release.parquet",
            "briefing/index.html",
            "dictionary.md",
            "datapackage.json",
            "quality_report.html",
            "lineage/lineage.json",
        ):
            assert (folder / name).is_file(), name


def test_the_manifest_lists_every_file_and_every_table(released: Path) -> None:
    content = manifest.read(released)
    assert content["release_id"] == released.name
    assert content["as_of"] == "2026-11-22T20:15:00+00:00"
    assert {feed["feed"]: feed["is_stale"] for feed in content["feeds"]}["fire_119"] is True
    assert set(content["files"]) == {
        str(path.relative_to(released)) for path in manifest.files(released) if path.name != "manifest.json"
    }
    assert content["audiences"]["police"]["tables"]["incidents"]["rows"] == 2


def test_a_table_that_failed_its_gate_is_left_out_with_what_is_made_from_it(home: Settings) -> None:
    limited = for_audience(home, "dispatch")
    with warehouse.connect(limited) as con:
        insert(con, "ops.lineage", {"source_table": "marts.demand_hourly", "target_table": "marts.calls_hourly"})
        insert(con, "ops.held_back", {"held_table": "marts.demand_hourly", "reason": "a count below zero"})
    folder = publish.publish(limited)
    content = manifest.read(folder)
    tables = set(content["audiences"]["dispatch"]["tables"])
    assert {"demand_hourly", "calls_hourly"} <= set(content["held_back"]) and "feed_status" in tables
    assert tables.isdisjoint(content["held_back"])
    assert readback.problems(folder) == []
    problems = current_release(limited).problems
    assert (
        "table demand_hourly is held back: quality gate failed for marts.demand_hourly: a count below zero" in problems
    )


def test_a_complete_release_reads_back_without_a_problem(released: Path) -> None:
    assert readback.problems(released) == []


def test_readback_detects_a_flipped_bit(copy: Path) -> None:
    path = copy / "audiences/fire/fire.duckdb"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert readback.problems(copy) == ["audiences/fire/fire.duckdb is not what was written"]


def test_readback_detects_missing_unknown_and_misplaced_files(copy: Path) -> None:
    (copy / "audiences/fire/dictionary.md").unlink()
    (copy / "audiences/fire/fire.duckdb.wal").write_bytes(b"x")
    (copy / "notes.txt").write_text("x")
    result = "\n".join(readback.problems(copy))
    assert "audiences/fire/dictionary.md is missing" in result
    assert "fire.duckdb.wal: the file was not checkpointed" in result
    assert "notes.txt is outside the audiences' folders" in result


def test_readback_detects_content_that_differs_from_the_manifest(copy: Path) -> None:
    content = manifest.read(copy)
    content["audiences"]["police"]["tables"]["incidents"]["rows"] = 3
    manifest.write(copy, content)
    result = readback.problems(copy)
    assert len(result) == 2 and all("table incidents reads back as" in problem for problem in result)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def add_another(path: Path) -> None:
    path.with_name("another").write_bytes(b"x")


def problems_of(settings: Settings) -> str:
    return "\n".join(monitoring.status(settings, AS_OF, current_release(settings)).problems)


def test_a_flipped_bit_in_any_file_is_reported(home: Settings) -> None:
    folder = publish.publish(home)
    assert "damaged" not in problems_of(home)
    assert integrity.verify(home) == len(list(manifest.files(folder)))
    for path in manifest.files(folder):
        whole = path.read_bytes()
        flip_a_bit(path)
        line = f"release {folder.name} is damaged: {path.relative_to(folder)} is not what was written; "
        assert line in problems_of(home)
        with pytest.raises(manifest.ManifestError, match=re.escape(line)):
            integrity.verify(home)
        path.write_bytes(whole)
    assert integrity.verify(home)


def test_the_current_release_of_a_home_given_by_a_relative_path_is_to_be_built_again(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish.publish(home)
    flip_a_bit(folder / "audiences/fire/fire.duckdb")
    monkeypatch.chdir(home.home.parent)
    relative = home.model_copy(update={"home": Path(home.home.name)})
    with pytest.raises(manifest.ManifestError, match="run `bongsu publish` to build it again"):
        integrity.verify(relative)


@pytest.mark.parametrize(
    "name", ["manifest.json", "audiences/fire/fire.duckdb", "audiences/fire/parquet/release.parquet"]
)
@pytest.mark.parametrize("damage", [flip_a_bit, cut, Path.unlink, add_another], ids=lambda damage: damage.__name__)
def test_a_damaged_release_is_built_again(home: Settings, name: str, damage: Callable[[Path], None]) -> None:
    folder = publish.publish(home)
    damage(folder / name)
    assert f"release {folder.name} is damaged: " in problems_of(home)
    assert publish.publish(home) == folder
    assert readback.problems(folder) == [] and integrity.verify(home)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_damaged_release_of_other_content_is_removed_once_another_is_current(home: Settings) -> None:
    damaged = publish.publish(home)
    flip_a_bit(damaged / "audiences/fire/fire.duckdb")
    changed(home)
    whole = publish.publish(home)
    assert list(whole.parent.iterdir()) == [whole] and whole != damaged
    assert integrity.verify(home) and "damaged" not in problems_of(home)


def test_a_current_release_that_is_gone_is_named_and_built_again(home: Settings) -> None:
    folder = publish.publish(home)
    shutil.rmtree(folder)
    line = f"the current release {folder.name} is missing: run `bongsu publish`"
    assert line in problems_of(home)
    with pytest.raises(manifest.ManifestError, match=line):
        integrity.verify(home)
    with pytest.raises(ReaderError, match=line):
        reader.query(home, "from release", "fire")
    assert publish.publish(home) == folder == home.current.resolve()


def test_a_damaged_file_is_not_queried(home: Settings) -> None:
    folder = publish.publish(home)
    flip_a_bit(folder / "audiences/fire/dictionary.md")
    assert reader.query(home, "from release", "fire").height == 1, "its own file is whole"
    flip_a_bit(folder / "audiences/fire/fire.duckdb")
    with pytest.raises(ReaderError) as refused:
        reader.query(home, "from release", "fire")
    assert str(refused.value) == (
        f"release {folder.name} is damaged: audiences/fire/fire.duckdb is not what was written; "
        "run `bongsu publish` to build it again"
    )


def test_an_unknown_audience_is_not_reported_as_damage(home: Settings) -> None:
    publish.publish(home)
    with pytest.raises(ReaderError, match="there is no audience 'press'; this release has fire"):
        reader.query(home, "from release", "press")


def test_a_damaged_older_release_is_reported_by_verify_only(home: Settings) -> None:
    older = publish.publish(home)
    changed(home)
    publish.publish(home)
    flip_a_bit(older / "audiences/fire/fire.duckdb")
    assert "damaged" not in problems_of(home)
    with pytest.raises(manifest.ManifestError, match=f"{older.name} is damaged: .*fire.duckdb .*; remove its folder"):
        integrity.verify(home)


def test_a_release_of_an_earlier_version_is_not_reported_as_damaged(home: Settings) -> None:
    folder = publish.publish(home)
    content = manifest.read(folder)
    del content["sha256"]
    (folder / "manifest.json").write_bytes(orjson.dumps(content))
    assert integrity.verify(home)


def test_publishing_the_same_content_again_changes_nothing(home: Settings) -> None:
    first = publish.publish(home)
    before = {path: path.stat().st_mtime_ns for path in home.published.rglob("*")}
    assert publish.publish(home) == first
    assert {path: path.stat().st_mtime_ns for path in home.published.rglob("*")} == before


def test_the_number_of_runs_makes_no_new_release(home: Settings) -> None:
    first = publish.publish(home)
    with warehouse.connect(home) as con:
        con.execute("insert into ops.batches select * replace ('b2' as batch_id) from ops.batches")
    assert publish.publish(home) == first


def test_other_content_is_a_new_release_and_old_ones_are_kept_up_to_a_number(
    filled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONGSU_KEEP_RELEASES", "2")
    settings = for_audience(filled, "fire")
    published = []
    for _ in range(3):
        published.append(publish.publish(settings).name)
        changed(settings)
    assert len(set(published)) == 3
    assert {path.name for path in (filled.published / "releases").iterdir()} == set(published[1:])
    assert filled.current.resolve().name == published[-1]


def test_all_releases_but_the_current_one_can_be_removed(home: Settings) -> None:
    assert publish.prune_others(home) == [], "nothing is published yet"
    first = publish.publish(home)
    changed(home)
    second = publish.publish(home)
    (second.parent / ".tmp-gone-half").mkdir()
    assert publish.prune_others(home) == [first.name]
    assert list(second.parent.iterdir()) == [second] and home.current.resolve() == second
    assert readback.problems(second) == []


def test_leftovers_of_a_dead_run_are_removed(home: Settings) -> None:
    leftover = home.published / "releases" / ".tmp-20261122T2015Z-deadbeef"
    leftover.mkdir(parents=True)
    (leftover / "half").write_text("x")
    publish.publish(home)
    assert not list((home.published / "releases").glob(".*"))


def test_a_release_that_does_not_read_back_keeps_the_last_one(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first = publish.publish(home)
    changed(home)
    # A torn write between the manifest and the disk.
    write = manifest.write

    def torn(root: Path, content: dict[str, object]) -> None:
        write(root, content)
        (root / "audiences/fire/fire.duckdb").write_bytes(b"")

    monkeypatch.setattr(manifest, "write", torn)
    with pytest.raises(ReleaseError, match=r"fire\.duckdb is not what was written"):
        publish.publish(home)
    assert home.current.resolve() == first


def test_the_link_always_points_to_a_complete_release(home: Settings) -> None:
    first = publish.publish(home)
    changed(home)
    second = publish.publish(home)
    for _ in range(50):
        for target in (first, second):
            publish.flip(home.current, target)
            assert (home.current / "manifest.json").is_file()
    assert not list(home.published.glob(".current*"))


@pytest.mark.parametrize("field", ["legal_basis", "purpose", "impact_assessment"])
def test_a_feed_without_its_legal_basis_fails_the_release(filled: Settings, field: str) -> None:
    profile = filled.profile
    feeds = dict(profile.feeds) | {"fire_119": profile.feeds["fire_119"].model_copy(update={field: " "})}
    without = settings_at(filled.home, profile=profile.model_copy(update={"feeds": feeds}))
    with pytest.raises(ReleaseError, match=rf"leaves empty \[feeds.fire_119\] {field}; state them there"):
        publish.publish(without)
    assert not filled.current.exists()


def test_no_value_of_a_quarantined_row_is_in_any_byte_of_a_release(released: Path) -> None:
    for path in manifest.files(released):
        assert b"OFFENDING-VALUE" not in path.read_bytes(), path
    for path in released.rglob("*.parquet"):
        if path.parent.name == "parquet":
            assert "OFFENDING-VALUE" not in str(duckdb.read_parquet(str(path)).fetchall())


def test_a_released_file_needs_no_wal_and_carries_the_notice(released: Path) -> None:
    path = released / "audiences/police/police.duckdb"
    assert not list(released.rglob("*.wal"))
    with duckdb.connect(path, read_only=True) as con:
        comments = con.execute("select comment from duckdb_tables()").fetchall()
        assert all(comment.startswith("모의자료 SIMULATED. ") for (comment,) in comments)
        described = con.execute("select count(*) from duckdb_columns() where not internal and comment is null")
        assert described.fetchall() == [(0,)]
        (tags,) = con.execute("select tags from duckdb_databases() where database_name = 'police'").fetchone() or ({},)
        assert tags["storage_version"].startswith("v1.5.0")
        assert con.execute("select release_id from release").fetchall() == [(released.name,)]


def test_renamed_columns_and_tables_are_readable_under_their_old_names(released: Path) -> None:
    with duckdb.connect(released / "audiences/dispatch/dispatch.duckdb", read_only=True) as con:
        old = con.execute("select area_id, tree, level, basis from previous.demand_forecast order by all").fetchall()
        new = "select area_id, hierarchy, area_level, disclosure_basis from demand_forecast order by all"
        assert old == con.execute(new).fetchall() != []
        assert con.execute("select count(chosen_at) from previous.forecast_choices").fetchall() != [(0,)]
        comments = con.execute("select comment from duckdb_views() where not internal").fetchall()
        assert all(comment.startswith("모의자료 SIMULATED. ") for (comment,) in comments)


def test_layers_open_in_a_gis_and_state_that_they_are_simulated(released: Path) -> None:
    folder = released / "audiences/police/geo"
    assert {path.stem for path in folder.iterdir()} == {
        f"{name}_SIMULATED"
        for name in (
            "areas",
            "cells",
            "district_harm",
            "emerging_hot_spots",
            "hot_spots",
            "near_repeat_chains",
            "nnh_clusters",
            "patrol_areas",
            "point_pattern_places",
            "risk_selected",
            "space_time_clusters",
        )
    }
    layer = geopandas.read_parquet(folder / "hot_spots_SIMULATED.parquet")
    assert layer.crs.to_epsg() == 4326 and layer.geometry.is_valid.all() and len(layer) == 2
    content = orjson.loads((folder / "hot_spots_SIMULATED.geojson").read_bytes())
    assert content["name"] == "hot_spots 모의자료 SIMULATED"


def test_crews_get_their_list_as_csv_and_geopackage_marked_as_simulated(released: Path) -> None:
    folder = released / "audiences/police/crews"
    assert {path.name for path in folder.iterdir()} == {"patrol_areas_SIMULATED.csv", "patrol_areas_SIMULATED.gpkg"}
    table = pl.read_csv(folder / "patrol_areas_SIMULATED.csv")
    assert table.select("area_name", "shift", "rank", "recent_hits", "notice").row(0) == (
        "서울종로구경찰서", "police_day", 1, 4, "모의자료 SIMULATED",
    )  # fmt: skip
    layer = geopandas.read_file(folder / "patrol_areas_SIMULATED.gpkg")
    assert layer.crs.to_epsg() == 4326 and len(layer) == 2 and layer.geometry.is_valid.all()
    assert set(layer["notice"]) == {"모의자료 SIMULATED"}
    for audience in set(AUDIENCES) - {"police"}:
        assert not (released / "audiences" / audience / "crews").exists()


def test_real_lists_have_no_mark_and_the_same_bytes_in_every_release(filled: Settings) -> None:
    real = for_audience(filled, "police", profile={"notice": ""})
    first = (publish.publish(real) / "audiences/police/crews").iterdir()
    before = {path.name: path.read_bytes() for path in first}
    with warehouse.connect(real) as con:
        con.execute("update forecast.risk_scores set hits = hits + 1")
    after = {path.name: path.read_bytes() for path in (publish.publish(real) / "audiences/police/crews").iterdir()}
    assert set(before) == {"patrol_areas.csv", "patrol_areas.gpkg"} and before == after


def test_a_release_is_readable_by_its_group_and_writable_by_its_owner_only(released: Path) -> None:
    published = released.parents[1]
    assert [path for path in unexpected_modes(published.parent) if path.startswith(str(published))] == []


def test_lineage_of_a_published_table_has_its_sources_only(released: Path) -> None:
    lineage = orjson.loads((released / "audiences/public/lineage/lineage.json").read_bytes())["made_from"]
    assert lineage["views.crime_quarterly"] == ["marts.crime_gaps", "marts.crime_quarterly"]
    assert lineage["marts.crime_quarterly"] == ["core.incidents"]
    assert "views.hot_spots" not in lineage


def test_the_data_package_describes_every_parquet_file(released: Path) -> None:
    for audience in AUDIENCES:
        folder = released / "audiences" / audience
        package = orjson.loads((folder / "datapackage.json").read_bytes())
        described = {resource["path"] for resource in package["resources"]}
        written = {f"parquet/{path.name}" for path in (folder / "parquet").iterdir()}
        assert written - described == {"parquet/release.parquet", "parquet/dictionary.parquet"}
        assert package["description"].startswith("모의자료 SIMULATED")
