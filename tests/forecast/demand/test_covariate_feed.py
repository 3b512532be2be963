"""Covariates of the nightly run: only what was known, and a reason for what is not."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from pipelines.forecast.demand import covariate_feed, nightly
from pipelines.forecast.demand.panel import Known
from pipelines.forecast.demand.series import SeriesError
from tests.forecast.demand.test_nightly import AS_OF, KOREA, hourly

NOW = AS_OF.astimezone(KOREA.zone).replace(tzinfo=None)
RAIN = "covariate rain"


def rain(days: int, lead: int = 7, value: float = 1.0) -> pl.DataFrame:
    """Hourly values from 10 days before the night to ``days`` after it, each known ``lead`` days ahead."""
    first, last = NOW.replace(minute=0) - timedelta(days=10), NOW + timedelta(days=days)
    ds = pl.datetime_range(first, last, "1h", eager=True)
    return pl.DataFrame({"ds": ds, "known_at": ds - timedelta(days=lead), RAIN: value})


def usable(covariates: pl.DataFrame) -> tuple[pl.DataFrame, str | None]:
    return covariate_feed.usable(covariates, AS_OF, 7, KOREA.zone)


def test_what_becomes_known_after_the_night_is_not_read() -> None:
    later = rain(8, lead=0, value=99.0).filter(pl.col("known_at") > NOW)
    known, reason = usable(pl.concat([rain(8, lead=9), later]))
    assert reason is None and set(known[RAIN]) == {1.0}


def test_a_covariate_that_ends_early_is_left_out_and_named_and_others_are_used() -> None:
    both = rain(8, lead=9).with_columns(
        pl.when(pl.col("ds") < NOW + timedelta(days=3)).then(5.0).alias("covariate heat")
    )
    known, reason = usable(both)
    assert known.columns == ["ds", "known_at", RAIN]
    assert reason == "forecast without covariate heat: not known for every hour ahead (newest of 2026-03-02 05:00)"


def test_a_file_of_which_nothing_is_known_yet_is_named() -> None:
    _, reason = usable(rain(8, lead=9).with_columns(known_at=NOW + timedelta(hours=1)))
    assert reason == "forecast without covariate rain: not known for every hour ahead (none yet)"


def test_values_that_past_nights_could_not_know_and_those_of_single_series_are_refused() -> None:
    with pytest.raises(SeriesError, match="the covariates lack known_at"):
        usable(rain(8).drop("known_at"))
    with pytest.raises(SeriesError, match="have a unique_id; give values of the whole region"):
        usable(rain(8).with_columns(unique_id=pl.lit("11")))


def test_an_origin_knows_what_the_night_that_used_it_knew() -> None:
    """Tonight came 5 h 15 min after the newest origin: what was known at its midnight was known to that origin."""
    cutoffs = pl.Series([datetime(2026, 3, 3), datetime(2026, 2, 24)])
    row = rain(1).head(1).with_columns(known_at=pl.lit(datetime(2026, 2, 24, 5, 15)))
    seen = covariate_feed.seen(row, AS_OF, cutoffs, KOREA.zone)
    assert seen is not None and seen["known_at"].to_list() == [datetime(2026, 2, 24)]
    assert covariate_feed.seen(None, AS_OF, cutoffs, KOREA.zone) is None


@pytest.mark.slow
def test_hours_and_days_of_an_event_ahead_are_forecast_higher_and_a_reason_is_published() -> None:
    """Three times the calls on days of events, which are in no rhythm of weeks."""
    panel = hourly({("11010", "ems"): 2.0})
    number = (pl.col("day") - datetime(2025, 1, 1).date()).dt.total_days()
    is_event = number * 7 % 11 < 2
    at = panel.with_columns(pl.col("local_date").alias("day"))
    busy = at.with_columns(pl.when(is_event).then(pl.col("calls") * 3).otherwise("calls").alias("calls")).drop("day")
    days = pl.DataFrame({"day": pl.date_range(datetime(2025, 9, 1), NOW + timedelta(days=99), eager=True)})
    events = days.select(
        pl.col("day").cast(pl.Datetime("us")).alias("ds"), is_event.cast(pl.Float64).alias("covariate event")
    ).with_columns(known_at=datetime(2025, 1, 1))
    known = Known({}, {"ems": "late"}).degraded_by("without heat", ["ems", "fire"])
    built = nightly.forecast_demand(busy, AS_OF, KOREA, known, covariates=usable(events)[0]).forecasts
    published = built.filter(~pl.col("is_baseline")).with_columns(
        pl.col("target_start").dt.convert_time_zone(KOREA.zone.key).dt.date().alias("day")
    )
    for frequency in ("h", "D"):
        mean = published.filter(frequency=frequency).group_by(is_event.alias("event")).agg(pl.col("mean").mean())
        usual, event = mean.sort("event")["mean"]
        assert event > 1.3 * usual, frequency
    assert all(reason.startswith("late; without heat") for reason in published["degraded_reason"].unique())
