"""Feed volume: no data, spikes and drops are noticed within hours, and an ordinary year raises no alarm."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import polars as pl
import pytest

from pipelines import simulator
from pipelines.config import profile as profiles
from pipelines.monitoring import feed_volume
from pipelines.store import warehouse
from tests.release.conftest import create_all, insert, settings_at

SEOUL = ZoneInfo("Asia/Seoul")
THROUGH = datetime(2026, 3, 2, 20, tzinfo=UTC)
SOURCE = profiles.load("korea").feeds["police_112"].model_copy(update={"no_data_hours": 3.0, "spike_ratio": 5.0})
HISTORY = feed_volume.LEARNT_DAYS * 24 + feed_volume.JUDGED_HOURS


def ordinary(per_day: float, hours: int = HISTORY, seed: int = 1) -> feed_volume.Integers:
    """Records per hour: twice as many by day as by night, and good and bad days."""
    clock = np.arange(hours)
    shape = np.where(clock % 24 < 12, 4 / 3, 2 / 3) * per_day / 24
    days = np.random.default_rng(seed).gamma(50, 1 / 50, hours // 24 + 1)
    return np.random.default_rng(seed).poisson(shape * days[clock // 24])


def judged(records: feed_volume.Integers, **source: Any) -> dict[str, Any]:
    return dict(feed_volume.judge(records, THROUGH, SEOUL, SOURCE.model_copy(update=source)))


@pytest.mark.parametrize("per_day", [2, 20, 500, 20_000])
def test_ordinary_days_raise_no_alarm_however_many_records(per_day: float) -> None:
    year = ordinary(per_day, 365 * 24)
    ends = range(HISTORY, len(year), 24)
    states = {judged(year[end - HISTORY : end])["state"] for end in ends}
    assert states == {"usual"}


@pytest.mark.parametrize("per_day", [500, 20_000])
def test_a_busy_feed_without_data_is_noticed_at_the_fixed_limit(per_day: float) -> None:
    records = ordinary(per_day)
    records[-2:] = 0
    assert judged(records)["state"] == "usual"
    records[-3:] = 0
    assert judged(records)["state"] == "no_data"
    assert judged(records)["no_data_hours"] == 3
    assert judged(records, no_data_hours=4.0)["state"] == "usual"


def test_a_low_volume_feed_may_have_no_data_for_a_day_but_not_a_month() -> None:
    records = ordinary(2)
    records[-24:] = 0
    assert judged(records)["state"] == "usual"
    records[-30 * 24 :] = 0
    assert judged(records)["state"] in ("usual", "no_data")
    assert judged(np.r_[ordinary(2), np.zeros(30 * 24, np.int64)][-HISTORY - 24 * 28 :])["state"] == "no_data"


def test_a_filled_gap_is_reported_for_two_days() -> None:
    records = ordinary(500)
    records[-20:-12] = 0
    assert judged(records)["state"] == "no_data"


def test_ten_times_the_records_are_noticed_in_the_first_hour() -> None:
    records = ordinary(500)
    records[-1] = 10 * max(records[-25], 10)
    assert judged(records)["state"] == "volume_spike"


def test_a_spike_of_a_low_volume_feed_is_noticed_by_the_day() -> None:
    records = ordinary(8)
    records[-24:] = 5
    assert judged(records)["state"] == "volume_spike"


def test_twice_the_records_are_not_a_spike() -> None:
    records = ordinary(500)
    records[-24:] *= 2
    assert judged(records)["state"] == "usual"


def test_a_tenth_of_the_records_is_noticed_though_the_feed_has_data() -> None:
    records = ordinary(2000)
    records[-24:] //= 10
    assert judged(records)["state"] == "volume_drop"


def test_without_two_weeks_of_history_no_volume_is_usual() -> None:
    assert judged(ordinary(500)[-15 * 24 :])["state"] == "unknown"
    assert not judged(np.zeros(0, np.int64))["is_alarm"]


def test_the_limits_are_stated_in_one_line() -> None:
    assert "nothing is reported for 3 h" in feed_volume.rule(SOURCE) and "5 times" in feed_volume.rule(SOURCE)
    assert "\n" not in feed_volume.rule(SOURCE)


def test_records_are_counted_by_the_hour_of_their_report_while_the_feed_is_complete() -> None:
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'; create schema staging")
        con.execute("create table staging.incidents (feed varchar, reported_at timestamptz, occurred_at timestamptz)")
        at = THROUGH - timedelta(hours=2)
        rows = [{"feed": "calls", "reported_at": at}, {"feed": "calls", "reported_at": None, "occurred_at": at}]
        insert(con, "staging.incidents", *rows, {"feed": "calls", "reported_at": THROUGH}, rows[0] | {"feed": "other"})
        assert feed_volume.counts(con, "calls", THROUGH, at - timedelta(days=9)).tolist() == [2, 0]
        assert feed_volume.counts(con, "calls", THROUGH, at + timedelta(hours=1)).tolist() == []


def test_a_feed_that_was_not_fetched_through_is_checked_up_to_its_cursor() -> None:
    settings = settings_at(Path("unused"))
    with duckdb.connect() as con:
        con.execute(f"set timezone = 'UTC'; set variable as_of = timestamptz '{settings.as_of}'")
        for schema in warehouse.SCHEMAS:
            con.execute(f"create schema {schema}")
        create_all(con)
        feed = {"feed": "police_112", "agency": "police", "is_reference": False, "delay_seconds": 3600}
        insert(con, "reference.feeds", feed)
        insert(con, "ops.cursors", {"feed": "police_112", "fetched_through_at": settings.as_of - timedelta(hours=5)})
        judged = feed_volume.judge_feeds(con, settings)
    assert judged["judged_through_at"].to_list() == [datetime(2026, 11, 22, 14, tzinfo=UTC)]
    assert judged["state"].to_list() == ["unknown"]


@pytest.fixture(scope="module")
def year() -> dict[str, feed_volume.Integers]:
    """Records per hour of report over fourteen simulated months, storms and holidays included."""
    korea = profiles.load("korea")
    tables = simulator.tables(korea, date(2025, 1, 1), date(2026, 3, 1))
    start = korea.at(date(2025, 1, 1)).replace(hour=0, minute=0).timestamp()
    calls = {
        "police_112": tables["police_112"].select(
            key="incident_no", at=_seconds("reported_at", "%Y-%m-%dT%H:%M:%S%:z")
        ),
        "fire_119": tables["fire_119"].select(key="dclr_rcpt_no", at=_seconds("dclr_dt", "%Y%m%d%H%M%S")),
    }
    hours = {name: frame.drop_nulls().unique("key")["at"].to_numpy() for name, frame in calls.items()}
    return {name: np.bincount(((at - start) // 3600).astype(np.int64)) for name, at in hours.items()}


def _seconds(column: str, form: str) -> pl.Expr:
    local = pl.col(column).str.to_datetime(form, strict=False)
    return (local if "%:z" in form else local.dt.replace_time_zone("Asia/Seoul")).dt.epoch("s")


@pytest.mark.parametrize("feed", ["police_112", "fire_119"])
def test_a_simulated_year_raises_no_alarm_and_a_cut_feed_does_within_five_hours(
    feed: str, year: dict[str, feed_volume.Integers]
) -> None:
    source = profiles.load("korea").feeds[feed]
    through = datetime(2025, 1, 1, tzinfo=SEOUL)
    for end in range(HISTORY + 5, len(year[feed]) - 24, 24):
        records = year[feed][end - HISTORY : end]
        at = (through + timedelta(hours=end)).astimezone(UTC)
        assert feed_volume.judge(records, at, SEOUL, source)["state"] == "usual", at
        cut = np.r_[records[5:], np.zeros(5, np.int64)]
        assert feed_volume.judge(cut, at + timedelta(hours=5), SEOUL, source)["state"] == "no_data", at
        flooded = np.r_[records[3:], 10 * year[feed][end : end + 3]]
        assert feed_volume.judge(flooded, at + timedelta(hours=3), SEOUL, source)["state"] == "volume_spike", at
