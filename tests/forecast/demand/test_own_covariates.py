"""Covariates of your own series: what must be known when, and what that is worth."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand import covariate_rows, own_series
from pipelines.forecast.demand.hierarchy import parents
from pipelines.forecast.demand.series import SeriesError
from tests.forecast.demand.hierarchy.test_parents import rows

MONDAY = datetime(2024, 1, 1)
DAYS = 300
RNG = np.random.default_rng(8)
EVENTS = (np.arange(DAYS + 14) * 7 % 11 < 2).astype(float)
"""Days of many calls, in no rhythm of weeks."""
NOISE = RNG.normal(size=DAYS + 14)


def days(n: int) -> pl.Series:
    return pl.datetime_range(MONDAY, MONDAY + timedelta(days=n - 1), "1d", eager=True)


def calls(*names: str, n: int = DAYS, rate: float = 30.0) -> pl.DataFrame:
    """Series with 60 % more calls on days of events."""
    expected = rate * (1 + 0.6 * EVENTS[:n])
    return pl.concat(
        pl.DataFrame({"unique_id": name, "ds": days(n), "y": np.random.default_rng(seed).poisson(expected)})
        for seed, name in enumerate(names)
    )


def known(n: int = DAYS + 14, **columns: object) -> pl.DataFrame:
    return covariate_rows.read(pl.DataFrame({"ds": days(n), **(columns or {"event": EVENTS[:n]})}))


@pytest.mark.slow
def test_an_event_known_ahead_sharpens_scores_and_a_covariate_without_effect_hardly_changes_them() -> None:
    def loss(covariates: pl.DataFrame | None) -> float:
        scores = own_series.backtest(calls(*"abc"), "D", 14, 3, 14, covariates=covariates).scores
        return float(scores.filter(model="chosen")["pinball"].item())

    plain = loss(None)
    assert loss(known(event=EVENTS)) < 0.75 * plain
    assert loss(known(noise=NOISE)) < 1.01 * plain


def test_the_days_of_an_event_ahead_are_forecast_higher() -> None:
    forecast = own_series.predict(calls(*"ab"), "D", 14, covariates=known())
    mean = (
        forecast.join(known(), on="ds").group_by("covariate event").agg(pl.col("mean").mean()).sort("covariate event")
    )
    assert mean["mean"][1] > 1.3 * mean["mean"][0]


def test_a_rare_large_event_is_not_taken_for_a_slip() -> None:
    """One day in 30 has half as many calls again: without the covariate each is an extreme count."""
    rare = (np.arange(DAYS + 14) % 30 == 5).astype(float)
    counts = calls("a", "b", rate=1000 / 1.1).with_columns(y=pl.lit(1000) + pl.col("y") // 100)
    series = counts.join(known(event=rare), on="ds").with_columns(
        y=pl.col("y") + (pl.col("unique_id") == "a") * (500 * pl.col("covariate event")).cast(pl.Int64)
    )
    forecast = own_series.predict(series.select("unique_id", "ds", "y"), "D", 14, covariates=known(event=rare))
    on_event = forecast.join(known(event=rare), on="ds").filter(pl.col("covariate event") == 1, unique_id="a")
    assert on_event["mean"].to_list() == pytest.approx([1500], rel=0.1)


def test_days_read_the_mean_of_hourly_covariates() -> None:
    hours = known().select(pl.datetime_ranges("ds", pl.col("ds") + pl.duration(hours=23), "1h"), "covariate event")
    by_hour = hours.explode("ds").with_columns(pl.col("covariate event") * (pl.col("ds").dt.hour() >= 12) * 2)
    by_hour, by_day = (own_series.predict(calls("a"), "D", 7, covariates=frame) for frame in (by_hour, known()))
    assert by_hour.equals(by_day)


def test_values_of_one_series_change_that_series_alone() -> None:
    series = pl.concat([calls("a"), calls("b").with_columns(y=pl.lit(30, pl.Int64))])
    shared, single = (known(), known().with_columns(unique_id=pl.lit("a")))
    both = pl.concat([single, known().with_columns(pl.lit(0.0).alias("covariate event"), unique_id=pl.lit("b"))])
    forecast = own_series.predict(series, "D", 14, covariates=both).join(shared, on="ds")
    mean = (
        forecast.group_by("unique_id", "covariate event")
        .agg(pl.col("mean").mean())
        .sort("unique_id", "covariate event")
    )
    low_a, high_a, low_b, high_b = mean["mean"]
    assert high_a > 1.2 * low_a and high_b == pytest.approx(low_b, rel=0.02)


@pytest.mark.parametrize(
    ("covariates", "message"),
    [
        (
            known(DAYS + 5),
            r"covariate event has no value for 2024-11-01 00:00, which the forecast of series a needs; give it one for "
            r"every step ahead \(--horizon 14\), or leave it out",
        ),
        (
            known(event=[None] * DAYS + [1.0] * 14),
            "covariate event has no value before 2024-10-27 00:00, so its effect",
        ),
        (
            known().with_columns(unique_id=pl.lit("a")),
            r"have a unique_id, but no row of series b; give every series its rows \(0 where an event is elsewhere\)",
        ),
        (
            known()
            .with_columns(known_at=MONDAY + timedelta(days=DAYS + 3))
            .vstack(known(DAYS).with_columns(known_at=MONDAY + timedelta(days=DAYS - 1))),
            None,
        ),
    ],
)
def test_every_step_ahead_of_every_series_needs_a_value(covariates: pl.DataFrame, message: str | None) -> None:
    if message is None:
        assert own_series.predict(calls(*"ab", n=DAYS), "D", 14, covariates=covariates).height == 28
        return
    with pytest.raises(SeriesError, match=message):
        own_series.predict(calls(*"ab"), "D", 14, covariates=covariates)


def test_a_covariate_that_never_varied_is_noted() -> None:
    stored: list[str] = []
    constant = known(event=EVENTS, fee=[2.0] * DAYS + [3.0] * 14)
    own_series.predict(calls("a"), "D", 14, covariates=constant, note=stored.append)
    assert stored == ["covariate fee has one value in the whole past, so it has no effect on the forecast"]


def archived(lead: int) -> pl.DataFrame:
    """Each day's event as it was known ``lead`` days before, and wrong in what became known after it."""
    first = known().with_columns(known_at=pl.col("ds") - timedelta(days=lead))
    wrong = known(event=1 - EVENTS).with_columns(known_at=pl.col("ds") + timedelta(days=900))
    return pl.concat([first, wrong])


def test_an_origin_reads_only_the_forecasts_of_covariates_known_at_it() -> None:
    stored: list[str] = []
    plain, dated = (
        own_series.backtest(calls("a"), "D", 7, 2, 7, covariates=frame, note=stored.append)
        for frame in (known(), archived(14))
    )
    assert dated.forecasts.equals(plain.forecasts)
    assert [text[:40] for text in stored] == ["the covariates have no known_at, so past"]


def test_origins_at_which_a_covariate_was_not_known_for_every_step_do_without_it() -> None:
    late = known().with_columns(
        known_at=pl.max_horizontal(pl.lit(MONDAY + timedelta(days=280)), pl.col("ds") - timedelta(days=7))
    )
    stored: list[str] = []
    built = own_series.backtest(calls("a"), "D", 7, 2, 7, covariates=late, note=stored.append)
    assert stored == [
        "covariate event is not known for every step ahead at 6 of 7 earlier origins (first 2024-09-01 00:00), which "
        "are forecast without it"
    ]
    assert built.scores.height > 0


def test_a_backtest_refuses_covariates_whose_forecasts_are_shorter_than_the_horizon() -> None:
    with pytest.raises(SeriesError, match=r"no value for .* that was known at its origin \(known_at\)"):
        own_series.backtest(calls("a"), "D", 14, 2, 7, covariates=archived(7))


def test_parents_use_covariates_that_all_series_share() -> None:
    listed = parents.read(rows("a<x", "b<x"), set("ab"))
    built = own_series.backtest(calls(*"ab"), "D", 7, 1, 7, hierarchy=listed, covariates=known())
    direct = built.forecasts.filter(model="direct").join(known(), on="ds")
    mean = direct.group_by("covariate event").agg(pl.col("mean").mean()).sort("covariate event")["mean"]
    assert mean[1] > 1.2 * mean[0]
