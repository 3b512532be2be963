"""The boosted factor on hour-of-week averages, its rows as known at an origin, and what is known ahead."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.models import boosting, covariates, features, hour_of_week
from pipelines.forecast.demand.models.features import Counts

MONDAY = datetime(2025, 1, 6)
STAMP = pl.Datetime("us")


def days(counts: np.ndarray, series: int = 1) -> pl.DataFrame:
    ds = [MONDAY + timedelta(days=i) for i in range(len(counts))]
    return pl.DataFrame({"unique_id": series, "ds": ds, "y": counts.astype(float)}, schema_overrides={"ds": STAMP})


def hours(counts: np.ndarray, series: int = 1) -> pl.DataFrame:
    ds = [MONDAY + timedelta(hours=i) for i in range(len(counts))]
    return pl.DataFrame({"unique_id": series, "ds": ds, "y": counts.astype(float)}, schema_overrides={"ds": STAMP})


def targets_of(cutoff: datetime, n: int, series: int = 1) -> pl.DataFrame:
    ds = [cutoff + timedelta(days=i) for i in range(n)]
    frame = {"unique_id": series, "cutoff": cutoff, "ds": ds}
    return pl.DataFrame(frame, schema_overrides={"cutoff": STAMP, "ds": STAMP})


def panel(n: int, series: int = 12, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    week = np.array([1, 1, 1, 1, 1.2, 1.6, 1.4])
    return pl.concat(days(rng.poisson(5.0 * (i + 1) * week[np.arange(n) % 7]), i) for i in range(series))


def panel_requested(cutoff: datetime, n: int, series: int = 12) -> pl.DataFrame:
    return pl.concat(targets_of(cutoff, n, i) for i in range(series))


def test_the_mean_follows_the_week_and_the_size_of_each_series() -> None:
    cutoff = MONDAY + timedelta(days=280)
    forecasts = boosting.predict(panel(280), panel_requested(cutoff, 14), "D")
    assert forecasts["failure"].null_count() == forecasts.height
    weekend = forecasts["ds"].dt.weekday() >= 6
    by_series = forecasts.filter(weekend).group_by("unique_id").agg(pl.col("mean").mean()).sort("unique_id")
    expected = 7.5 * (by_series["unique_id"] + 1)
    assert ((by_series["mean"] / expected - 1).abs() < 0.12).all()


def test_series_without_a_call_cannot_train_it_and_the_reason_is_given() -> None:
    cutoff = MONDAY + timedelta(days=150)
    forecasts = boosting.predict(days(np.zeros(150)), targets_of(cutoff, 14), "D")
    assert forecasts["mean"].null_count() == 14
    assert forecasts["failure"].unique().to_list() == ["fewer than 10 weeks of history, or no call in them"]


@pytest.mark.parametrize("freq", ["h", "D"])
def test_a_shuffled_future_changes_no_prediction(freq: str) -> None:
    rng = np.random.default_rng(2)
    make, step = (hours, timedelta(hours=1)) if freq == "h" else (days, timedelta(days=1))
    known = 168 * 12 if freq == "h" else 150
    history = pl.concat(make(rng.poisson(2.0 + i, known + 40), i) for i in range(4))
    cutoff = MONDAY + step * known
    future = pl.col("ds") >= cutoff
    altered = history.with_columns(y=pl.when(future).then(pl.col("y").reverse() + 50).otherwise("y"))
    targets = history.filter(future).select("unique_id", pl.lit(cutoff, STAMP).alias("cutoff"), "ds")
    single, two = (boosting.predict(h, targets, freq) for h in (history, altered))  # type: ignore[arg-type]
    assert single["mean"].null_count() == 0
    assert single.equals(two)


def test_cutoffs_of_a_day_share_what_was_known_before_all_of_them() -> None:
    rng = np.random.default_rng(8)
    history = pl.concat(hours(rng.poisson(2.0 + i, 168 * 12 + 24), i) for i in range(4))
    early, late = (MONDAY + timedelta(hours=168 * 12 + hour) for hour in (3, 15))
    between = pl.col("ds").is_between(early, late, closed="left")
    altered = history.with_columns(y=pl.when(between).then(77.0).otherwise("y"))
    targets = pl.concat(
        history.filter(pl.col("ds") >= late).select("unique_id", pl.lit(cutoff, STAMP).alias("cutoff"), "ds")
        for cutoff in (early, late)
    )
    single, two = (boosting.predict(h, targets, "h") for h in (history, altered))
    assert single.filter(cutoff=early).equals(two.filter(cutoff=early))
    assert (two.filter(cutoff=late)["mean"] > single.filter(cutoff=late)["mean"]).all()


def test_a_series_that_ends_a_day_early_is_still_fitted_at_its_own_end() -> None:
    targets = pl.DataFrame(
        {"unique_id": [1, 1, 1, 2, 2], "cutoff": [MONDAY + timedelta(days=day) for day in (60, 75, 88, 63, 87)]}
    )
    groups = targets.group_by(boosting._training_time(), maintain_order=True).agg(pl.struct("unique_id", "cutoff"))
    days = [[(row["cutoff"] - MONDAY).days for row in group] for group in groups["unique_id"]]
    assert sorted(days) == [[60, 75, 63], [87], [88]]


def test_a_series_that_begins_late_keeps_early_training_rows_of_others() -> None:
    late = days(np.full(80, 3), 77).with_columns(pl.col("ds") + pl.duration(days=200))
    counts = Counts.of(pl.concat([panel(280), late]), MONDAY, MONDAY + timedelta(days=280), "D")
    rows, truth, weights = boosting._training_rows(counts, 14, 1)
    first = [rows.steps[rows.series == number].min() for number in (0, 12)]
    assert first[0] < 60 and first[1] > 200
    assert np.isfinite(rows.table).all() and np.isfinite(rows.values[:, : len(features.OWN) - 1]).all()
    assert truth.size == weights.size and np.isfinite(weights).all()


def test_rows_of_an_origin_read_nothing_from_the_origin_on() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(3.0, 168 * 60)
    origin = 168 * 57 + 5
    altered = counts.copy()
    altered[origin:] = 99
    cutoff = MONDAY + timedelta(hours=len(counts))
    single, two = (features.at(Counts.of(hours(c), MONDAY, cutoff, "h"), origin, 100) for c in (counts, altered))
    assert np.array_equal(single.values, two.values, equal_nan=True)
    assert np.array_equal(single.table, two.table)
    assert np.isfinite(single.values[:, features.NAMES.index("year_ago")]).all()


@pytest.mark.parametrize("late", [0, 29])
def test_the_table_of_a_row_is_the_table_as_of_its_origin(late: int) -> None:
    rng = np.random.default_rng(4)
    history = hours(rng.poisson(1.5, 168 * 12)).sample(fraction=0.9, seed=1)
    cutoff = MONDAY + timedelta(hours=168 * 12 - 7)
    counts = Counts.of(history, MONDAY, cutoff, "h")
    moment = MONDAY + timedelta(hours=168 * 8 + late)
    rows = features.at(counts, (moment - counts.start) // timedelta(hours=1), 168)
    wanted = pl.DataFrame({"unique_id": 1, "cutoff": moment, "ds": [moment + timedelta(hours=i) for i in range(168)]})
    plain = hour_of_week.predict(history, wanted.with_columns(pl.col("cutoff", "ds").cast(STAMP)), "h")
    assert rows.table == pytest.approx(plain["mean"].to_numpy(), rel=1e-3)


def test_a_level_that_doubled_before_the_cutoff_is_known_at_once() -> None:
    history = panel(300).with_columns(
        y=pl.when(pl.col("ds") >= MONDAY + timedelta(days=210)).then(pl.col("y") * 2).otherwise("y")
    )
    forecasts = boosting.predict(history, panel_requested(MONDAY + timedelta(days=300), 7), "D")
    usual = panel(300).group_by("unique_id").agg(pl.col("y").mean())
    rate = forecasts.join(usual, on="unique_id").select(pl.col("mean").sum() / pl.col("y").sum()).item()
    assert rate == pytest.approx(2, abs=0.2)


def test_order_of_rows_changes_no_digit() -> None:
    targets = panel_requested(MONDAY + timedelta(days=150), 7)
    single = boosting.predict(panel(150), targets, "D")
    assert single.equals(boosting.predict(panel(150).sample(fraction=1, shuffle=True, seed=7), targets, "D"))


def test_a_short_or_unknown_series_has_no_mean_and_a_reason() -> None:
    history = pl.concat([panel(150), days(np.full(40, 3), 77).with_columns(pl.col("ds") + pl.duration(days=110))])
    cutoff = MONDAY + timedelta(days=150)
    targets = pl.concat([panel_requested(cutoff, 2), targets_of(cutoff, 2, 77), targets_of(cutoff, 2, 78)])
    forecasts = boosting.predict(history, targets, "D")
    yields = forecasts.filter(pl.col("unique_id") > 70)
    assert yields["mean"].null_count() == 4
    assert yields["failure"].str.contains("fewer than 10 weeks").all()
    assert forecasts.filter(pl.col("unique_id") < 70)["mean"].null_count() == 0


@pytest.mark.parametrize(("gap_days", "means"), [(700, 7), (3000, 7), (27_000, 0)])
def test_a_series_unknown_for_years_keeps_its_level_or_has_no_mean(gap_days: int, means: int) -> None:
    forecasts = boosting.predict(days(np.full(90, 5)), targets_of(MONDAY + timedelta(days=90 + gap_days), 7), "D")
    assert forecasts["mean"].drop_nulls().to_list() == pytest.approx([5.3] * means, rel=0.1)


def test_an_event_known_ahead_raises_its_days_and_an_unknown_one_is_not_used() -> None:
    n = 300
    event = (np.arange(n + 14) % 9 == 0).astype(float)
    rng = np.random.default_rng(5)
    history = pl.concat(days(rng.poisson(10 * (i + 1) * (1 + event[:n])), i) for i in range(8))
    known = days(event).select("ds", pl.col("y").alias("match"))
    cutoff = MONDAY + timedelta(days=n)
    targets = panel_requested(cutoff, 14, 8)
    forecasts = boosting.predict(history, targets, "D", known)
    rate = forecasts.join(known, on="ds").group_by("match").agg(pl.col("mean").mean()).sort("match")["mean"]
    assert rate[1] / rate[0] > 1.7
    without = boosting.predict(history, targets, "D", known.filter(pl.col("ds") < cutoff + timedelta(days=3)))
    assert without["failure"].unique().to_list() == ["forecast without match: not known for every step ahead"]
    assert without["mean"].equals(boosting.predict(history, targets, "D")["mean"])


def test_a_days_covariate_applies_to_its_hours_and_a_series_own_to_itself() -> None:
    rows = hours(np.zeros(30)).select("unique_id", "ds")
    by_day = pl.DataFrame({"ds": [MONDAY, MONDAY + timedelta(days=1)], "warm": [1, 2]})
    assert covariates.joined(rows, by_day)["warm"].to_list() == [1.0] * 24 + [2.0] * 6
    by_hour = pl.DataFrame({"unique_id": [1, 2], "ds": [MONDAY + timedelta(hours=5)] * 2, "rain": [0.5, 9.0]})
    rain = covariates.joined(rows, by_hour)["rain"]
    assert rain[5] == 0.5 and rain.null_count() == 29
