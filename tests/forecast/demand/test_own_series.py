"""Your own series: the documented columns, no leaks, and a baseline that is beaten on real calls."""

import os
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand import own_batches, own_series
from pipelines.forecast.demand.evaluation import model_weights, scoring
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS
from pipelines.forecast.demand.named_days import Place, named_days
from pipelines.forecast.demand.series import SeriesError
from pipelines.steps import own_data
from pipelines.steps.own_files import OwnDataError

SHARED = Path(os.environ.get("BONGSU_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
START = datetime(2025, 9, 1)


def series(n: int, every: timedelta, rate: float = 3.0, name: str = "a") -> pl.DataFrame:
    rng = np.random.default_rng(5)
    return pl.DataFrame({"unique_id": name, "ds": [START + every * i for i in range(n)], "y": rng.poisson(rate, n)})


def test_forecasts_beyond_a_century_are_refused_before_the_work() -> None:
    daily = series(90, timedelta(days=1))
    with pytest.raises(SeriesError, match="span more than a century: use a shorter horizon, or fewer origins"):
        own_series.predict(daily, "D", 3_000_000)
    with pytest.raises(SeriesError, match="more than a century"):
        own_series.backtest(daily, "D", 7, 1000, 1000)


def test_hours_ahead_follow_each_series_own_end() -> None:
    both = pl.concat([series(24 * 40, timedelta(hours=1)), series(24 * 30, timedelta(hours=1), name="b")])
    predictions = own_series.predict(both, "h", 48)
    assert predictions.columns == ["unique_id", "ds", "mean", "model", *COLUMNS]
    assert predictions.group_by("unique_id").agg(pl.col("ds").min()).sort("unique_id").rows() == [
        ("a", START + timedelta(days=40)),
        ("b", START + timedelta(days=30)),
    ]
    assert predictions.height == 96 and predictions.null_count().sum_horizontal().item() == 0


def test_days_ahead_are_a_mean_of_the_models_that_serve_a_series() -> None:
    both = pl.concat([series(140, timedelta(days=1), 20.0), series(140, timedelta(days=1), 0.1, "b")])
    predictions = own_series.predict(both, "D", 14)
    names = {name: predictions.filter(unique_id=name)["model"].unique().to_list() for name in "ab"}
    assert names["a"] != names["b"] and "ets" in names["a"][0] and "ets" not in names["b"][0]


@pytest.mark.slow
def test_a_public_holiday_is_forecast_like_earlier_ones_only_with_the_country() -> None:
    """Half the calls on every public holiday of four years; the day before is like any other."""
    england = Place("GB", "ENG")
    first, last = date(2021, 1, 4), date(2024, 12, 15)
    holidays = named_days(england, first, last).filter("is_holiday")["day"]
    ds = pl.date_range(first, last, eager=True)
    calls = np.random.default_rng(6).poisson(np.where(ds.is_in(holidays.implode()), 40, 80))
    past = pl.DataFrame({"unique_id": "a", "ds": ds.cast(pl.Datetime("us")), "y": calls})

    def medians(place: Place | None) -> list[float]:
        forecast = own_series.predict(past, "D", 14, place=place)
        return forecast.filter(pl.col("ds").dt.day().is_in([24, 25]))["q0.5"].to_list()

    (eve, christmas), (any_eve, any_day) = medians(england), medians(None)
    assert christmas < 0.65 * any_day and eve == pytest.approx(any_eve, rel=0.05)


def test_a_country_without_known_holidays_is_named(tmp_path: Path) -> None:
    series(90, timedelta(days=1)).write_csv(tmp_path / "series.csv")

    def predict(**place: str) -> None:
        source = own_data.Source(tmp_path / "series.csv", **place)  # type: ignore[arg-type]
        own_data.predict_demand(source, "D", 7, tmp_path / "out.parquet")

    with pytest.raises(OwnDataError, match="--country: 'Korea' is not a country whose holidays are known"):
        predict(country="Korea")
    with pytest.raises(OwnDataError, match=r"--subdivision: 'London' is not a subdivision of GB: .*ENG"):
        predict(country="GB", subdivision="London")
    with pytest.raises(OwnDataError, match="--subdivision needs the --country"):
        predict(subdivision="CA")


def test_a_backtest_without_a_count_known_at_any_origin_names_known_at() -> None:
    daily = series(90, timedelta(days=1)).with_columns(known_at=pl.lit(datetime(2026, 6, 1)))
    with pytest.raises(
        SeriesError, match=r"became known \(known_at\) only after the last row of its series.*leave known"
    ):
        own_series.backtest(daily, "D", 7, 2, 7)


@pytest.mark.slow
def test_a_backtest_equals_the_forecasts_of_its_origins() -> None:
    full = series(120, timedelta(days=1))
    built = own_series.backtest(full, "D", 8, 2, 4)
    first = built.forecasts["cutoff"].min()
    then = built.forecasts.filter(pl.col("cutoff") == first, ~pl.col("is_baseline"))
    predictions = own_series.predict(full.filter(pl.col("ds") < first), "D", 8)
    assert then["models"].to_list() == predictions["model"].to_list()
    assert then.select("mean", *COLUMNS).equals(predictions.select("mean", *COLUMNS))


def test_a_backtest_returns_scores_selections_and_pits() -> None:
    built = own_series.backtest(series(24 * 60, timedelta(hours=1)), "h", 168, 2, 168)
    assert built.scores.columns == ["is_parent", "model", "is_baseline", *scoring.SCORES]
    assert built.scores["model"].to_list() == ["chosen", "hour_of_week", "seasonal_naive"]
    assert built.scores["targets"].to_list() == [2 * 168] * 3
    assert built.scores["skill"][1] == 0 and built.scores["skill"][2] < 0
    assert built.weights.columns == ["unique_id", "cutoff", *model_weights.WEIGHTS]
    sums = built.weights.group_by("cutoff").agg(pl.col("weight").sum().round(9))
    assert sums["weight"].to_list() == [1.0, 1.0]
    assert built.pits.group_by("model").agg(pl.col("targets").sum())["targets"].to_list() == [336] * 3


def test_altering_the_future_changes_no_backtest_forecast() -> None:
    full = series(24 * 60, timedelta(hours=1))
    end = START + timedelta(days=53)
    altered = full.with_columns(pl.when(pl.col("ds") >= end).then(77).otherwise("y").alias("y"))
    single, two = (own_series.backtest(frame, "h", 168, 2, 168) for frame in (full, altered))
    assert single.forecasts.drop("y").equals(two.forecasts.drop("y"))
    assert single.weights.equals(two.weights)


def four(hours: int = 24 * 40) -> pl.DataFrame:
    return pl.concat(
        [series(hours, timedelta(hours=1), rate, name) for name, rate in zip("dbca", (1, 2, 3, 4), strict=True)]
    )


def test_two_processes_give_the_same_result_as_one() -> None:
    single, two = (own_series.predict(four(), "h", 24, processes, batch=2) for processes in (1, 2))
    assert single.equals(two)
    assert single["unique_id"].unique(maintain_order=True).to_list() == list("abcd")


def test_a_backtest_of_batches_scores_all_series_together() -> None:
    built = own_series.backtest(four(), "h", 24, 2, 24, batch=2)
    alike = built.forecasts.with_columns((pl.col("y") - pl.col("mean")).abs().alias("error"))
    mae = alike.group_by("model", "is_baseline").agg(pl.col("error").mean()).sort("is_baseline", "model")["error"]
    assert built.scores["mae"].to_list() == pytest.approx(mae.to_list(), abs=1e-8)
    assert built.scores["targets"].to_list() == [4 * 2 * 24] * 3
    assert built.series_scores["unique_id"].unique(maintain_order=True).to_list() == list("abcd")
    counted = built.pits.group_by("model").agg(pl.col("targets", "expected_targets").sum())
    assert counted.rows()[0][1:] == pytest.approx((192, 192))
    assert built.weights.select("unique_id").n_unique() == 4


def test_batches_are_even_and_as_many_as_the_series_need_on_any_engine() -> None:
    names = pl.DataFrame({"unique_id": [f"s{n:02}" for n in range(11)], "ds": START, "y": 1.0})
    batches = own_batches.split(names, "h", 5)
    assert [batch["unique_id"].n_unique() for batch in batches] == [3, 4, 4]
    assert [batch["unique_id"].min() for batch in batches] == ["s00", "s03", "s07"]


def test_a_batch_of_series_too_short_leaves_the_others_their_forecasts() -> None:
    both = pl.concat([series(24 * 40, timedelta(hours=1)), series(24, timedelta(hours=1), name="b")])
    built = own_series.backtest(both, "h", 168, 1, 24, batch=1)
    assert built.series_scores["unique_id"].unique().to_list() == ["a"]


def test_a_backtest_names_the_series_that_are_too_short_to_be_scored(tmp_path: Path) -> None:
    short = [series(24, timedelta(hours=1), name=name) for name in ("b", "c")]
    pl.concat([series(24 * 40, timedelta(hours=1)), *short]).write_parquet(tmp_path / "series.parquet")
    stored: list[str] = []
    scores, _ = own_data.backtest_demand(
        own_data.Source(tmp_path / "series.parquet"), "h", 168, 1, 24, tmp_path / "out", note=stored.append
    )
    assert scores["targets"].max() == 168
    assert stored[-1] == "2 series are too short for one origin and not scored: b, c; use a shorter horizon"


def test_progress_is_reported_in_batches_or_in_fits_of_a_single_batch() -> None:
    stored: list[str] = []
    own_series.predict(four(24 * 20), "h", 24, progress=stored.append, batch=2)
    assert stored == ["1 of 2 batches of series", "2 of 2 batches of series"]


def test_series_that_are_too_short_are_reported() -> None:
    with pytest.raises(SeriesError, match="shorter horizon"):
        own_series.backtest(series(24, timedelta(hours=1)), "h", 168, 1, 24)
    with pytest.raises(SeriesError, match="1 or more"):
        own_series.backtest(series(24, timedelta(hours=1)), "h", 168, 0, 24)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the shared data are not at {SHARED} (BONGSU_SHARED_DATA)")
def test_real_911_calls_are_forecast_better_than_last_week_and_as_widely_as_expected() -> None:
    calls = pl.read_parquet(SHARED / "montgomery" / "calls_911.parquet").select(
        pl.col("timeStamp").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.truncate("1h").alias("ds"),
        pl.col("title").str.split(":").list.first().alias("unique_id"),
    )
    first, last = datetime(2015, 12, 11), datetime(2016, 6, 30)
    hours = pl.DataFrame({"ds": pl.datetime_range(first, last, "1h", closed="left", eager=True)})
    grid = calls.select("unique_id").unique().join(hours, how="cross")
    full = grid.join(calls.group_by("unique_id", "ds").len("y"), on=["unique_id", "ds"], how="left").fill_null(0)
    scores = own_series.backtest(full, "h", 168, 8, 168).scores
    table, naive = (scores.filter(pl.col("model") == m).row(0, named=True) for m in ("chosen", "seasonal_naive"))
    assert table["pinball"] < 0.75 * naive["pinball"]
    assert abs(table["coverage_80"] - table["expected_coverage_80"]) < 0.03


def test_a_backtest_leaves_its_frames_and_a_picture_of_a_good_a_typical_and_a_bad_series(tmp_path: Path) -> None:
    both = pl.concat([series(24 * 60, timedelta(hours=1), rate, name) for rate, name in ((3, "a"), (1, "b"), (9, "c"))])
    both.write_parquet(tmp_path / "series.parquet")
    scores, _ = own_data.backtest_demand(own_data.Source(tmp_path / "series.parquet"), "h", 24, 2, 24, tmp_path / "out")
    names = {f"{n}.parquet" for n in ("forecasts", "pits", "scores", "series_scores", "weights")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {"series.png"}
    assert pl.read_parquet(tmp_path / "out" / "scores.parquet").equals(scores)
    assert (tmp_path / "out" / "series.png").read_bytes()[:4] == b"\x89PNG"


def test_a_capacity_column_scores_the_probability_of_more() -> None:
    rng = np.random.default_rng(4)
    ds = pl.datetime_range(datetime(2025, 1, 6), datetime(2025, 8, 3), "1d", eager=True)
    line = pl.DataFrame({"unique_id": "a", "ds": ds, "y": rng.poisson(6.0, len(ds)).astype(float)})
    with_capacity = line.with_columns(capacity=pl.when(pl.col("ds").dt.weekday() == 1).then(8))
    scores = own_series.backtest(with_capacity, "D", 7, 3, 7).scores
    table = scores.filter(pl.col("model") == "day_of_week")["brier_capacity"].item()
    # P(more than 8) is 0.15 where 6 are expected; other days have no capacity.
    assert 0.001 < table < 0.4
    assert own_series.backtest(line, "D", 7, 3, 7).scores["brier_capacity"].null_count() == scores.height
