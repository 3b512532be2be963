"""Patrols: a file a day from the folder to core; the latest version is used, invalid rows are quarantined."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines import feeds
from pipelines.config.profile import FeedSource
from pipelines.config.settings import Settings
from pipelines.feeds import patrols
from pipelines.feeds.feed import FeedError
from pipelines.ingest import fetch
from pipelines.ingest import load as loading
from pipelines.monitoring import alerts
from pipelines.store import warehouse
from pipelines.transform import build
from tests.feeds.korea import KOREA, memory
from tests.feeds.portal import as_of, load, rows, stage

FIXTURE = Path(__file__).parent / "patrols_20251101.csv"
AS_OF = datetime(2025, 11, 2, 20, 15, tzinfo=UTC)
"""3 November, 05:15 in Seoul: the files of the 1st and the 2nd are due."""


def slot(**overrides: Any) -> dict[str, Any]:
    known = {
        "cell_id": "다사530530",
        "slot_start": "2025-11-01T20:00:00+09:00",
        "slot_end": "2025-11-01T22:00:00+09:00",
    }
    return known | {"minutes": "25", "recorded_at": "2025-11-01T22:10:00+09:00"} | overrides


def staged(*given: dict[str, Any], at: str = "2025-12-01 00:00:00+00") -> list[dict[str, Any]]:
    con = memory()
    con.execute("insert into reference.feeds values ('patrols', 0)")
    load(con, patrols.FEED, rows(patrols.FEED, *given))
    as_of(con, at)
    return stage(con, "patrols").sort("cell_id", "slot_start_at").to_dicts()


def settings_of(tmp_path: Path) -> Settings:
    """Seoul with patrols: the fixture is the file of the 1st; that of the 2nd has no patrols."""
    drops = tmp_path / "drops"
    drops.mkdir()
    (drops / "patrols_20251101.csv").write_bytes(FIXTURE.read_bytes())
    (drops / "patrols_20251102.csv").write_bytes(FIXTURE.read_bytes().splitlines(keepends=True)[0])
    source = FeedSource(url=str(drops), freshness_hours=48, window_days=1, retention_days=30, legal_basis="a",
                        purpose="b", impact_assessment="c")  # fmt: skip
    profile = KOREA.model_copy(update={"feeds": {**KOREA.feeds, "patrols": source}})
    return Settings(home=tmp_path / "home", profile=profile, as_of=AS_OF)


def test_files_are_loaded_from_the_folder_into_core(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    feed = feeds.named(settings.profile, "patrols")
    fetch.fetch_window(settings, feed, (AS_OF - timedelta(days=2), AS_OF), lambda _: None)
    with warehouse.connect(settings) as con:
        booked = loading.load_pending(con, settings, feed)
        assert [(batch.received, batch.loaded, batch.quarantined) for batch in booked] == [(6, 5, 1), (0, 0, 0)]
        build.write_reference(con, settings.profile, feeds.of(settings.profile))
        build.stage(con, (feed,))
        con.execute("create table reference.cells as select '다사530530' as cell_id, 100 as cell_metres")
        warehouse.run_models(con, "core", ["patrols"])
        patrols = con.execute("select cell_id, slot_start_at, patrol_minutes from core.patrols").fetchall()
        assert patrols == [("다사530530", datetime(2025, 11, 1, 11, tzinfo=UTC), 25.0)]
        (note,) = [sql for sql in alerts._NOTES if "staging.patrols" in sql]
        ((_, message),) = con.execute(note).fetchall()
        assert message.startswith("patrols: 3 of 4 slots have no cell of the risk grid")


def test_a_profile_without_the_feed_has_an_empty_table_of_patrols(tmp_path: Path) -> None:
    assert "patrols" not in KOREA.feeds
    settings = Settings(home=tmp_path / "home", profile=KOREA, as_of=AS_OF)
    with warehouse.connect(settings) as con:
        build.stage(con, ())
        assert con.execute("from staging.patrols").pl().is_empty()


def test_a_day_without_its_file_is_an_error(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    (tmp_path / "drops" / "patrols_20251102.csv").unlink()
    feed = feeds.named(settings.profile, "patrols")
    with pytest.raises(FeedError, match=r"patrols_20251102\.csv cannot be read"):
        fetch.fetch_window(settings, feed, (AS_OF - timedelta(days=2), AS_OF), lambda _: None)


def test_the_latest_version_is_used_whatever_its_offset() -> None:
    again = slot(slot_start="2025-11-01T11:00:00Z", minutes="0", recorded_at="2025-11-03T09:00:00+09:00")
    (late,) = staged(slot(), again)
    assert late["patrol_minutes"] == 0.0
    (then,) = staged(slot(), again, at="2025-11-02 00:00:00+00")
    assert then["patrol_minutes"] == 25.0
    assert then["slot_end_at"] - then["slot_start_at"] == timedelta(hours=2)
    assert staged(slot(), at="2025-11-01 13:09:00+00") == []


@pytest.mark.parametrize(
    "wrong",
    [{"cell_id": None}, {"minutes": "many"}, {"minutes": "-5"}, {"slot_start": "2025-11-01 20:00"}, {"slot_end": None},
     {"recorded_at": "yesterday"}, {"minutes": None}],
)  # fmt: skip
def test_a_row_without_cell_time_or_minutes_is_quarantined(wrong: dict[str, Any]) -> None:
    assert len(staged(slot(**wrong), slot(cell_id="다사530531"))) == 1


def test_no_files_give_no_rows_and_a_slice_of_files_gives_the_rows_of_those_files() -> None:
    part = FIXTURE.read_bytes()
    assert patrols.parse([]).is_empty()
    assert pl.concat([patrols.parse([part]), patrols.parse([part])]).equals(patrols.parse([part, part]))
