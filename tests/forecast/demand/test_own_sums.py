"""Parents of your own series: sums that add up in every hierarchy, next to series that stay as they are."""

from datetime import timedelta

import polars as pl
import pytest

from pipelines.forecast.demand import own_series
from pipelines.forecast.demand.hierarchy import parents
from pipelines.forecast.demand.hierarchy.parents import Hierarchy
from tests.forecast.demand.hierarchy.test_parents import rows
from tests.forecast.demand.test_own_series import four, series

DISTRICTS = ("a<north", "b<north", "c<south", "north<city", "south<city")
KINDS = ("a<busy", "c<busy", "b<quiet", "d<lone")


def hierarchy(*pairs: str) -> Hierarchy:
    return parents.read(rows(*(pairs or (*DISTRICTS, *KINDS))), set("abcd"))


@pytest.fixture(scope="module")
def forecast() -> pl.DataFrame:
    return own_series.predict(four(), "h", 24, batch=2, hierarchy=hierarchy())


def test_means_add_up_in_every_hierarchy(forecast: pl.DataFrame) -> None:
    mean = forecast.pivot("unique_id", index="ds", values="mean")
    assert mean.width == 1 + 4 + 6
    for whole, *parts in (
        ("north", *"ab"),
        ("city", *"abc"),
        ("city", "north", "south"),
        ("busy", *"ac"),
        ("lone", "d"),
    ):
        assert mean[whole].to_list() == pytest.approx(mean.select(pl.sum_horizontal(parts)).to_series().to_list())


def test_series_of_one_parent_keep_their_shares_of_it(forecast: pl.DataFrame) -> None:
    """The parents' own forecasts scale the series below them, where that pays, and change nothing else."""
    alone = own_series.predict(four(), "h", 24, batch=2)
    both = forecast.join(alone, on=["unique_id", "ds"], suffix="_alone").with_columns(
        ratio=pl.col("mean") / pl.col("mean_alone")
    )
    assert both["unique_id"].unique().sort().to_list() == list("abcd") and both["model"].equals(both["model_alone"])
    ratio = both.pivot("unique_id", index="ds", values="ratio")
    assert ratio["a"].to_list() == pytest.approx(ratio["b"].to_list())
    assert set(forecast.join(alone, on="unique_id", how="anti")["model"]) == {"sum_of_parts"}


def test_the_range_of_a_sum_is_narrower_than_the_sum_of_independent_series_ranges(forecast: pl.DataFrame) -> None:
    width = forecast.group_by("unique_id").agg((pl.col("q0.9") - pl.col("q0.1")).sum().alias("width"))
    wide = dict(width.iter_rows())
    assert max(wide["a"], wide["b"], wide["c"]) < wide["city"] < wide["a"] + wide["b"] + wide["c"]


def test_a_backtest_scores_parents_apart_with_the_forecast_of_the_parent_alone_next_to_the_sum() -> None:
    built = own_series.backtest(four(), "h", 24, 2, 24, batch=2, hierarchy=hierarchy())
    plain = own_series.backtest(four(), "h", 24, 2, 24, batch=2)
    single = pl.col("is_baseline") & ~pl.col("is_parent")
    assert built.scores.filter(single).equals(plain.scores.filter("is_baseline"))
    sums = built.scores.filter("is_parent")
    assert sums["model"].to_list() == ["chosen", "direct", "hour_of_week", "seasonal_naive"]
    assert sums["targets"].to_list() == [6 * 2 * 24] * 4
    chosen = built.forecasts.filter(pl.col("model") == "chosen")
    assert set(chosen.filter("is_parent")["models"]) == {"sum_of_parts"}
    city = chosen.filter(unique_id="city")
    parts = (
        chosen.filter(pl.col("unique_id").is_in(list("abc"))).group_by("cutoff", "ds").agg(pl.col("mean", "y").sum())
    )
    joined = city.join(parts, on=["cutoff", "ds"], suffix="_parts")
    assert joined["mean"].to_list() == pytest.approx(joined["mean_parts"].to_list())
    assert joined["y"].to_list() == joined["y_parts"].to_list()


def test_a_parent_is_scored_only_where_each_of_its_series_has_a_forecast() -> None:
    young = series(24 * 3, timedelta(hours=1), name="b").with_columns(pl.col("ds") + timedelta(days=37))
    both = pl.concat([series(24 * 40, timedelta(hours=1)), young])
    built = own_series.backtest(both, "h", 24, 4, 24, hierarchy=hierarchy("a<x", "b<x"))
    cutoffs = dict(
        built.forecasts.filter(model="chosen").group_by("unique_id").agg(pl.col("cutoff").n_unique()).iter_rows()
    )
    assert cutoffs == {"a": 4, "b": 2, "x": 2}


def test_series_too_short_for_a_backtest_leave_their_parent_without_scores() -> None:
    both = pl.concat([series(24 * 40, timedelta(hours=1)), series(24, timedelta(hours=1), name="b")])
    later = both.with_columns(
        pl.when(pl.col("unique_id") == "b").then(pl.col("ds") + timedelta(days=39)).otherwise("ds").alias("ds")
    )
    built = own_series.backtest(later, "h", 48, 1, 24, batch=1, hierarchy=hierarchy("a<x", "b<x"))
    assert built.series_scores["unique_id"].unique().to_list() == ["a"]


def test_numbers_as_names_become_text_with_a_hierarchy() -> None:
    numbered = four(24 * 20).with_columns(pl.col("unique_id").replace_strict({"a": 0, "b": 1, "c": 2, "d": 3}))
    listed = parents.read(rows("0<all", "1<all"), set("0123"))
    forecast = own_series.predict(numbered, "h", 24, hierarchy=listed)
    assert forecast["unique_id"].unique(maintain_order=True).to_list() == ["0", "1", "2", "3", "all"]
