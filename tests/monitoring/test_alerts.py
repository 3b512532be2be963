"""Alerts and notices of the loaded records, stored for `status`; alarms fail it, notices do not."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.config import profile as profiles
from pipelines.config.settings import Settings
from pipelines.monitoring import alerts, feed_volume
from pipelines.monitoring import status as monitoring
from pipelines.steps.status import current_release
from pipelines.store import warehouse
from tests.conftest import AS_OF
from tests.release.conftest import create_all, insert

QUIET = pl.DataFrame(schema=feed_volume.SCHEMA)


@pytest.fixture
def korea(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", profile=profiles.load("korea"), as_of=AS_OF)


def gathered(settings: Settings, judged: pl.DataFrame = QUIET, **tables: dict[str, object]) -> pl.DataFrame:
    with warehouse.connect(settings) as con:
        create_all(con)
        for name, row in tables.items():
            insert(con, name.replace("__", "."), row)
        return alerts.gather(con, judged)


def test_without_deviations_there_are_no_alerts(korea: Settings) -> None:
    assert gathered(korea).is_empty()


def test_a_feed_without_data_is_an_alarm_with_its_limit(korea: Settings) -> None:
    row = {"feed": "police_112", "state": "no_data", "is_alarm": True, "records": 9, "expected_records": 1004.6}
    judged = pl.DataFrame([row | {"no_data_hours": 7, "rule": "3 h"}], schema=feed_volume.SCHEMA)
    (alert,) = gathered(korea, judged).iter_rows(named=True)
    assert alert["is_alarm"] and "police_112: no data: 9 records in 48 h, expected 1005; 7 h" in alert["message"]
    assert alert["message"].endswith("Limit: 3 h")


def test_an_outage_that_the_profile_does_not_state_is_a_notice_with_what_to_do(korea: Settings) -> None:
    times = {"from_at": AS_OF - timedelta(days=60), "until_at": AS_OF - timedelta(days=20)}
    row = {"feed": "fire_119", "observation_state": "outage", "evidence": "records"} | times
    (notice,) = gathered(korea, marts__observation_windows=row).iter_rows(named=True)
    assert not notice["is_alarm"] and notice["message"].startswith("fire_119: no record from ")
    assert "outages, or, if there really was none, add it to quiet_spans of [feeds.fire_119]" in notice["message"]
    station = {"service": "ems", "area_id": "F-9"}
    (notice,) = gathered(korea, marts__observation_windows=row | station).iter_rows(named=True)
    assert "no record of ems in F-9 from " in notice["message"], "confirmed, it would be an outage of the whole feed"
    assert "confirm" not in notice["message"] and "add a day of it to quiet_spans" in notice["message"]
    assert gathered(korea, marts__observation_windows=row | {"evidence": "profile"}).is_empty()


def test_many_records_on_one_point_are_a_notice(korea: Settings) -> None:
    row = {"feed": "police_112", "lon": 126.98, "lat": 37.57, "incidents": 120, "placed_share": 0.3}
    (notice,) = gathered(korea, core__place_piles=row).iter_rows(named=True)
    assert not notice["is_alarm"]
    assert "120 records (30 % of those with a point) lie on the one point 126.98000, 37.57000" in notice["message"]
    assert "add [126.98000, 37.57000] to confirmed_points of [feeds.police_112]" in notice["message"]


def test_times_out_of_order_are_a_notice_with_their_number(korea: Settings) -> None:
    row = {"feed": "fire_119", "time_order": "report to arrival", "incidents": 11201, "disordered_incidents": 64}
    (notice,) = gathered(korea, marts__time_checks=row).iter_rows(named=True)
    assert not notice["is_alarm"]
    assert "64 of 11,201 records have the times from report to arrival out of order" in notice["message"]


def test_what_the_newest_delivery_lacks_is_a_notice_until_a_whole_one_is_loaded(korea: Settings) -> None:
    row = {"feed": "police_112", "batch_id": "b1", "batch_type": "delivery", "verdict": "accepted", "window_end": AS_OF}
    lacking = row | {"message": "months that were not read: 2026-02 (status 404)"}
    (notice,) = gathered(korea, ops__batches=lacking).iter_rows(named=True)
    assert not notice["is_alarm"] and notice["message"] == f"police_112: {lacking['message']}"
    whole = row | {"batch_id": "b2", "window_end": AS_OF + timedelta(days=1), "message": ""}
    with warehouse.connect(korea) as con:
        create_all(con)
        insert(con, "ops.batches", lacking, whole)
        assert alerts.gather(con, QUIET).is_empty()
        insert(con, "ops.batches", whole | {"batch_id": "b3", "verdict": "rejected", "message": "too many bad rows"})
        assert alerts.gather(con, QUIET).is_empty(), "a refusal is in the run log"


@pytest.mark.parametrize(
    ("monthly", "words"),
    [
        (0, "8 of 9 records state no time of day and are in no hour, so that forecasts of demand leave them out; if"),
        (8, "8 of 9 records are dated by month and are in no hour"),
    ],
)
def test_records_without_a_time_of_day_are_a_notice_that_says_how_they_are_dated(
    korea: Settings, monthly: int, words: str
) -> None:
    row = {"feed": "police_112", "incidents": 9, "date_only_incidents": 8, "month_only_incidents": monthly}
    (notice,) = gathered(korea, marts__untimed_records=row).iter_rows(named=True)
    assert not notice["is_alarm"] and words in notice["message"]
    assert ("another column" in notice["message"]) == (monthly == 0)


def test_an_ignored_list_of_keys_is_an_alarm(korea: Settings) -> None:
    row = {"feed": "police_112", "snapshot": "b", "listed_at": AS_OF, "known_keys": 1000, "missing_keys": 400}
    (alert,) = gathered(korea, staging__lists=row | {"is_accepted": False}).iter_rows(named=True)
    assert alert["is_alarm"] and "lacks 400 of 1,000 known records" in alert["message"]
    assert gathered(korea, staging__lists=row | {"is_accepted": True}).is_empty()


def test_unknown_columns_categories_and_corrected_errors_are_notices_with_what_to_do(korea: Settings) -> None:
    batch = {"feed": "police_112", "batch_id": "b1"}
    alerts_found = gathered(
        korea,
        ops__batches=batch | {"window_end": AS_OF},
        ops__drift=batch | {"column": "colour", "rows": 7},
        marts__unmapped_categories={"feed": "police_112", "source_category": "드론", "incidents": 3},
        ops__corrections=batch | {"key": "incident_no=1", "column": "category", "applied": 0, "kept": 1},
    )
    assert not alerts_found["is_alarm"].any()
    column, word, correction = alerts_found["message"]
    assert "undeclared column colour" in column and "since 2026-03-02: 7 values" in column
    assert '"드론": 3 incidents' in word and "[feeds.police_112.categories]" in word
    assert "corrections of category" in correction and "in 1 rows of 1 records" in correction
    assert "expectations/corrections/police_112.json" in correction


def test_no_alert_contains_the_key_of_a_record(korea: Settings) -> None:
    row = {"feed": "police_112", "batch_id": "b1", "key": "incident_no=20260302-000001", "column": "category"}
    alerts_found = gathered(korea, ops__corrections=row | {"applied": 0, "kept": 1})
    assert alerts_found.height == 1 and "000001" not in alerts_found.write_json()


def test_a_record_without_a_category_is_a_notice(korea: Settings) -> None:
    row = {"feed": "police_112", "source_category": None, "incidents": 3}
    alerts_found = gathered(korea, marts__unmapped_categories=row)
    assert '"(none)": 3 incidents' in alerts_found["message"][0]


def home_status(settings: Settings, at: datetime) -> monitoring.Status:
    return monitoring.status(settings, at, current_release(settings))


def problems(settings: Settings) -> list[str]:
    return monitoring.problems(settings, current_release(settings))


def kept(settings: Settings, *messages: tuple[bool, str]) -> None:
    rows = [("police_112", is_alarm, message) for is_alarm, message in messages]
    alerts.keep(settings, pl.DataFrame(rows, schema=alerts.SCHEMA, orient="row"))


def test_status_shows_the_alerts_of_the_last_run(korea: Settings) -> None:
    kept(korea, (True, "no_data"), (False, "a new word"))
    later = korea.model_copy(update={"as_of": AS_OF + timedelta(days=1)})
    for settings, at in ((korea, AS_OF), (later, AS_OF + timedelta(hours=9))):
        report = home_status(settings, at)
        assert "no_data" in report.problems and "a new word" in report.notes
    kept(later)
    assert "no_data" not in home_status(later, later.as_of).problems


def test_check_reports_alarms_and_not_notices(korea: Settings) -> None:
    kept(korea, (True, "no_data"), (False, "a new word"))
    assert "no_data" in problems(korea) and "a new word" not in monitoring.problems(korea, current_release(korea))


def test_the_same_alerts_again_are_not_stored_twice(korea: Settings) -> None:
    kept(korea, (True, "no_data"))
    kept(korea, (True, "no_data"))
    assert len(list((korea.records / alerts.KIND).iterdir())) == 1
