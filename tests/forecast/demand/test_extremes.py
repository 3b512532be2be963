"""Extreme counts: single ones are found by earlier counts alone, and leave no trace in a forecast."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand import extremes, own_series
from pipelines.forecast.demand.evaluation import rolling_origin
from pipelines.forecast.demand.series import Frequency, History
from tests.forecast.demand.conftest import MONDAY, line, targets_of

YEARS = 3 * 365


def days(**given: float) -> pl.DataFrame:
    """About 30 a day for three years, other counts on some days (`d5`: the fifth)."""
    counts = np.random.default_rng(4).poisson(30, YEARS)
    for name, count in given.items():
        counts[int(name[1:])] = count
    return line(counts)


def found(counts: pl.DataFrame, named_days: pl.Series | None = None) -> list[int]:
    """The days, from the first, with an extreme count."""
    at = extremes.extremes(counts, "D", named_days)["ds"]
    return [(day - MONDAY).days for day in at]


def test_a_count_far_above_the_usual_is_extreme_and_busy_days_are_not() -> None:
    assert found(days(d500=1000, d700=100_000, d800=60)) == [500, 700]
    (row,) = extremes.extremes(days(d500=1000), "D").to_dicts()
    assert 25 <= row["usual"] <= 35 and 60 < row["limit"] < 90


def test_a_rare_count_of_a_sparse_series_is_not_extreme() -> None:
    rng = np.random.default_rng(5)
    series = [line(rng.poisson(rate, YEARS), number) for number, rate in enumerate((0.05, 0.3, 1.0, 5.0, 300.0))]
    assert extremes.extremes(pl.concat(series), "D").height <= 1, "fifteen years"


def test_what_large_counts_make_up_is_not_extreme() -> None:
    """A fire a week, to which eight to twenty units are sent."""
    rng = np.random.default_rng(8)
    units = line(np.where(rng.random(YEARS) < 1 / 7, rng.integers(8, 21, YEARS), 0))
    assert found(units) == [] and found(line(2 * rng.poisson(0.4, YEARS))) == []
    absurd = units.with_columns(y=pl.when(pl.col("ds") == MONDAY + timedelta(days=500)).then(1000.0).otherwise("y"))
    assert found(absurd) == [500]


def test_a_surge_of_several_days_and_a_new_level_are_extreme_only_until_their_second_day() -> None:
    surge = days(d500=200, d501=210, d502=190)
    level = line(np.random.default_rng(6).poisson(np.repeat([30, 150], [500, 500])))
    for counts in (surge, level):
        assert (found(counts.head(501)), found(counts.head(502)), found(counts)) == ([500], [], [])


def test_an_origin_judges_a_surge_by_what_it_knew() -> None:
    counts = days(d500=200, d501=210)
    history = History(counts, counts.clear().select("unique_id", "ds", "y", seen_from="ds", row=pl.lit(0)))
    origins = pl.Series([MONDAY + timedelta(days=day) for day in (500, 501, 502, 600)])
    at = extremes.judged(history, "D", origins).extremes
    assert at is not None and at["cutoff"].to_list() == [MONDAY + timedelta(days=501)]


@pytest.mark.parametrize("apart", [364, 365, 371])
def test_what_comes_every_year_is_extreme_only_the_first_time(apart: int) -> None:
    assert found(days(d400=120, **{f"d{400 + apart}": 120})) == [400]


def test_no_count_of_a_named_day_is_extreme() -> None:
    christmas = (MONDAY + timedelta(days=500)).date()
    assert found(days(d500=1000, d600=1000), pl.Series([christmas], dtype=pl.Date)) == [600]
    assert found(days(d500=1000), pl.Series([date(1999, 1, 1)])) == [500]


def test_later_counts_change_no_judgement() -> None:
    counts = days(d500=200, d510=1000, d700=150)
    for end in (502, 512, 600):
        assert found(counts.head(end)) == [day for day in found(counts) if day < end]


def test_models_read_the_usual_count_and_ranges_the_limit_and_scores_the_count() -> None:
    counts = days(d500=1000)
    history = History(counts, counts.clear().select("unique_id", "ds", "y", seen_from="ds", row=pl.lit(0)))
    cutoff = MONDAY + timedelta(days=500)
    origins = pl.concat([targets_of(cutoff + timedelta(days=later), 3) for later in (0, 30)])
    judged = extremes.judged(history, "D", origins["cutoff"])
    read = []

    def predict(known: History | pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
        assert isinstance(known, History)
        read.extend(known.at(cutoff)["y"].max() for cutoff in targets["cutoff"].unique().sort())
        return targets.with_columns(mean=pl.lit(30.0))

    (row, *_) = rolling_origin.run([rolling_origin.Model("any", predict)], judged, origins).to_dicts()
    assert read == [1000, pytest.approx(45, abs=15)], "an origin reads nothing at or after it, and judges nothing there"
    assert row["y_now"] == 1000 and 60 < row["y"] < 90


@pytest.mark.slow
@pytest.mark.parametrize("size", [1_000, 100_000])
@pytest.mark.parametrize(("freq", "back"), [("D", 3), ("D", 40), ("h", 30), ("h", 900)])
def test_one_absurd_count_leaves_the_median_of_the_next_days(freq: Frequency, back: int, size: int) -> None:
    hours = np.arange(24 * 7 * 30)
    shape = 20 + 15 * np.sin(np.pi * (hours % 24) / 24)
    rng = np.random.default_rng(7)
    counts = rng.poisson(30, 900) if freq == "D" else rng.poisson(shape)
    absurd = counts.copy()
    absurd[-back] = size
    step = 24 if freq == "D" else 1
    named = [line(each, hours=step).with_columns(unique_id=pl.lit("a")) for each in (counts, absurd)]
    usual, then = (own_series.predict(each, freq, 28 if freq == "D" else 168) for each in named)
    assert then["q0.5"].mean() == pytest.approx(usual["q0.5"].mean(), rel=0.03)
    assert then["mean"].mean() == pytest.approx(usual["mean"].mean(), rel=0.03)
    assert then["q0.95"].mean() < 1.15 * usual["q0.95"].mean()  # type: ignore[operator]


def test_the_newest_extreme_count_is_put_into_words() -> None:
    assert extremes.texts(extremes.extremes(days(d400=200, d500=1000), "D"))["extreme"].to_list() == [
        f"the count of {MONDAY + timedelta(days=500):%Y-%m-%d} is extreme and left out of the mean"
    ]
