"""Hours that still fill up are not read."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pipelines.config import profile as profiles
from pipelines.forecast.demand import nightly, reporting_delay
from pipelines.forecast.demand.panel import Known, Panel
from tests.forecast.demand.test_nightly import AS_OF, KOREA, hourly

UNTIL = AS_OF.replace(minute=0)


def delays(shares: dict[int, int], service: str = "ems", days: int = 100) -> pl.DataFrame:
    """``marts.demand_delays``: every hour of the last days has this many calls after this many hours."""
    rows = [
        ("fire", service, UNTIL - timedelta(hours=age), late, calls)
        for age in range(1, 24 * days)
        for late, calls in shares.items()
        if late < age
    ]
    schema = {"agency": pl.String, "service": pl.String, "hour_start_at": pl.Datetime("us", "UTC")}
    counts = {"delay_hours": pl.Int64, "calls": pl.Int64}
    return pl.DataFrame(rows, schema=schema | counts, orient="row")


@pytest.mark.parametrize(("shares", "hours"), [({0: 9}, 0), ({0: 50, 3: 49, 30: 1}, 3), ({0: 9, 48: 1}, 48)])
def test_an_hour_is_full_when_hardly_any_of_its_calls_come_later(shares: dict[int, int], hours: int) -> None:
    assert reporting_delay.unfilled_hours(delays(shares), AS_OF) == {"ems": hours}


def test_a_rare_service_is_shrunk_to_its_agency() -> None:
    few = delays({0: 1, 30: 1}, "fire", days=17).filter(pl.col("hour_start_at") < UNTIL - timedelta(days=16))
    assert few["calls"].sum() < reporting_delay.LEAST_CALLS
    result = reporting_delay.unfilled_hours(pl.concat([delays({2: 9}), few]), AS_OF)
    assert result["ems"] == 2 and result["fire"] == 30
    assert reporting_delay.unfilled_hours(few, AS_OF) == {}


def test_what_becomes_known_after_the_origin_changes_nothing() -> None:
    known = delays({0: 50, 3: 50})
    later = known.filter(pl.col("hour_start_at") > AS_OF - timedelta(days=10)).with_columns(
        pl.col("delay_hours") + 200, pl.col("calls") * 1000
    )
    later = later.filter(pl.col("hour_start_at") + pl.duration(hours=pl.col("delay_hours")) > AS_OF)
    assert later.height
    assert reporting_delay.unfilled_hours(pl.concat([known, later]), AS_OF) == reporting_delay.unfilled_hours(
        known, AS_OF
    )


def test_a_feed_that_fills_slowly_no_longer_lowers_the_level() -> None:
    """Half of the calls are reported three days late: the last three days show half of what there was."""
    whole = hourly({("11010", "ems"): 8.0}, days=60)
    halved = whole.with_columns(
        pl.when(pl.col("hour_start_at") > UNTIL - timedelta(days=3)).then(pl.col("calls") // 2).otherwise("calls")
    )
    slow = Known({}, {}, delays({0: 5, 71: 5}))
    level = {}
    for name, frame, known in (("true", whole, slow), ("honest", halved, slow), ("naive", halved, Known({}, {}))):
        built = nightly.forecast_demand(frame, AS_OF, KOREA, known).forecasts
        hours = built.filter(pl.col("frequency") == "h", ~pl.col("is_baseline"), pl.col("area_id") == "11")
        level[name] = hours["mean"].mean()
        assert hours["data_as_of"].max() == UNTIL - timedelta(hours=71 if known is slow else 0)
    assert level["honest"] == pytest.approx(level["true"], rel=0.01)
    assert level["naive"] < 0.98 * level["true"]  # type: ignore[operator]


def test_hours_fill_until_the_instant_to_which_the_feed_was_read() -> None:
    frame = hourly({("11010", "ems"): 8.0}, days=30)
    read = AS_OF - timedelta(hours=5)
    panel = Panel.read(frame, AS_OF, profiles.load("korea"), Known({"ems": read}, {}, delays({2: 9})))
    assert panel.series["known_at"].unique().to_list() == [UNTIL - timedelta(hours=7)]
    assert panel.history["ds"].max() == datetime(2026, 3, 2, 21)


def test_no_delay_known_yet_drops_nothing() -> None:
    assert reporting_delay.unfilled_hours(delays({0: 1}).clear(), datetime(2026, 3, 2, tzinfo=UTC)) == {}
