"""Upper levels adjust the bottom, less and less where earlier origins speak against it."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forecast.demand.hierarchy import top_down

START = datetime(2024, 1, 1)
LATE = datetime(2030, 1, 1)
MEMBERS = pl.DataFrame({"unique_id": ["a", "b", "c", "d"], "nation": "k", "area": ["x", "x", "y", "y"]})
TRUE = {"a": 5.0, "b": 9.0, "c": 2.0, "d": 30.0}


def backtest(origins: int, wrong: float, seed: int = 1) -> pl.DataFrame:
    """Poisson outcomes; at each origin all bottom means are off by one factor, of log standard deviation ``wrong``."""
    rng = np.random.default_rng(seed)
    weeks = [START + timedelta(days=7 * i) for i in range(origins)]
    off = np.exp(rng.normal(0, wrong, origins))
    cutoffs = pl.DataFrame({"cutoff": weeks, "off": off}, schema={"cutoff": pl.Datetime("us"), "off": pl.Float64})
    rows = MEMBERS.select("unique_id").join(cutoffs, how="cross").join(pl.DataFrame({"ahead": range(7)}), how="cross")
    true = rows["unique_id"].replace_strict(TRUE, return_dtype=pl.Float64)
    return rows.select(
        "unique_id",
        "cutoff",
        (pl.col("cutoff") + pl.duration(days="ahead")).alias("ds"),
        pl.Series("y", rng.poisson(true.to_numpy()).astype(float)),
        (true * pl.col("off")).alias("mean"),
    )


def above(bottom: pl.DataFrame, level: str, wrong: float = 0.0, seed: int = 2) -> pl.DataFrame:
    """The upper level's forecast: the truth, off by a factor of its own at each target."""
    true = pl.col("unique_id").replace_strict(TRUE, return_dtype=pl.Float64).sum().alias("mean")
    named = bottom.join(MEMBERS, on="unique_id").group_by(pl.col(level).alias("group"), "cutoff", "ds").agg(true)
    named = named.sort("group", "cutoff", "ds").with_columns(pl.lit(level).alias("level"))
    off = np.exp(np.random.default_rng(seed).normal(0, wrong, named.height))
    return named.with_columns(pl.col("mean") * pl.Series(off))


def weight_of(bottom: pl.DataFrame, upper: pl.DataFrame) -> float:
    (row,) = top_down.learn_weights(bottom, upper, MEMBERS, LATE).to_dicts()
    return float(row["weight"])


def test_a_more_accurate_upper_level_adjusts_the_bottom_almost_fully() -> None:
    bottom = backtest(12, wrong=0.3)
    upper = above(bottom, "nation")
    assert weight_of(bottom, upper) > 0.99
    moved = top_down.informed(bottom, upper, MEMBERS, top_down.learn_weights(bottom, upper, MEMBERS, LATE))
    assert moved["mean"].to_list() == pytest.approx(moved["unique_id"].replace_strict(TRUE).to_list(), rel=0.01)


def test_a_less_accurate_upper_level_loses_its_weight() -> None:
    bottom = backtest(12, wrong=0.02)
    assert weight_of(bottom, above(bottom, "nation", wrong=0.5)) < 0.01


def test_without_evidence_the_weight_is_the_prior() -> None:
    bottom = backtest(12, wrong=0.0)
    assert weight_of(bottom, above(bottom, "area")) == pytest.approx(top_down.PRIOR, abs=0.001)
    assert weight_of(bottom.with_columns(y=pl.lit(None, pl.Float64)), above(bottom, "nation")) == top_down.PRIOR
    early = top_down.learn_weights(bottom, above(bottom, "nation"), MEMBERS, START)
    assert early.rows() == [("nation", top_down.PRIOR)]


def test_one_origin_moves_the_weight_less_than_many() -> None:
    single, many = (weight_of(rows, above(rows, "nation")) for rows in (backtest(1, 0.3), backtest(12, 0.3)))
    assert top_down.PRIOR < single < many


def test_the_widest_level_is_applied_last() -> None:
    bottom = backtest(12, wrong=0.3)
    upper = pl.concat([above(bottom, "area"), above(bottom, "nation").with_columns(pl.col("mean") * 2)])
    weights = pl.DataFrame([("area", 1.0), ("nation", 1.0)], schema=top_down.SCHEMA, orient="row")
    moved = top_down.informed(bottom, upper, MEMBERS, weights)
    assert moved.group_by("cutoff", "ds").agg(pl.col("mean").sum())["mean"].to_list() == pytest.approx([92.0] * 84)


def test_outcomes_from_the_origin_on_change_no_weight() -> None:
    bottom = backtest(12, wrong=0.3)
    upper, origin = above(bottom, "nation"), START + timedelta(days=60)
    falsified = bottom.with_columns(
        pl.when(pl.col("ds") < origin).then("y").otherwise(pl.col("mean").round()).alias("y")
    )
    single, other = (top_down.learn_weights(rows, upper, MEMBERS, origin) for rows in (bottom, falsified))
    assert single.equals(other) and single.height == 1
    assert not single.equals(top_down.learn_weights(falsified, upper, MEMBERS, LATE))


def test_an_incompletely_known_group_gives_no_evidence() -> None:
    bottom = backtest(12, wrong=0.3).with_columns(pl.when(pl.col("unique_id") != "a").then("y").alias("y"))
    assert weight_of(bottom, above(bottom, "nation")) == top_down.PRIOR


def test_a_level_without_forecasts_has_no_weight() -> None:
    bottom = backtest(3, wrong=0.3)
    assert top_down.learn_weights(bottom, above(bottom, "nation"), MEMBERS, LATE)["level"].to_list() == ["nation"]


def test_targets_without_an_upper_forecast_stay_as_they_are() -> None:
    bottom = backtest(3, wrong=0.3)
    weights = pl.DataFrame([("nation", 1.0)], schema=top_down.SCHEMA, orient="row")
    assert top_down.informed(bottom, above(bottom, "nation").clear(), MEMBERS, weights).equals(bottom)
    assert top_down.informed(bottom.drop("y"), above(bottom, "nation").clear(), MEMBERS, weights).equals(
        bottom.drop("y")
    )


@given(
    st.lists(st.tuples(st.floats(0.01, 50), st.integers(0, 60)), min_size=1, max_size=6),
    st.floats(0.3, 3),
)
def test_scaling_gains_the_bottom_just_what_it_gains_the_total(rows: list[tuple[float, int]], factor: float) -> None:
    """Poisson log scores: the promise on which ``learn_weights`` rests."""
    mean, y = np.array([m for m, _ in rows]), np.array([float(count) for _, count in rows])

    def loss(means: np.ndarray, counts: np.ndarray) -> float:
        return float((means - counts * np.log(means)).sum())

    below = loss(mean * factor, y) - loss(mean, y)
    total = loss(mean.sum(keepdims=True) * factor, y.sum(keepdims=True)) - loss(
        mean.sum(keepdims=True), y.sum(keepdims=True)
    )
    assert below == pytest.approx(total, rel=1e-9, abs=1e-8)
