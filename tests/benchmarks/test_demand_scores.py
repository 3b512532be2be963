"""The benchmark's scores: one rule for all, compared on the same targets."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS
from pipelines.forecast.demand.named_days import Place
from tests.benchmarks import demand, demand_scores
from tests.benchmarks.demand_data import Panel

DAYS = 140


def rows(shift: float, model: str) -> pl.DataFrame:
    """Normal forecasts, whose centre is ``shift`` from the truth's, of one series over twenty weeks."""
    y = np.random.default_rng(4).normal(size=DAYS)
    ds = [datetime(2025, 1, 1) + timedelta(days=i) for i in range(DAYS)]
    frame = pl.DataFrame({"ds": ds, "y": y}, schema_overrides={"ds": pl.Datetime("us")})
    return frame.with_columns(
        *[pl.lit(float(q) + shift).alias(c) for q, c in zip(norm.ppf(LEVELS), COLUMNS, strict=True)],
        level=pl.lit("total"), model=pl.lit(model), unique_id=pl.lit(0), cutoff=pl.lit(datetime(2025, 1, 1)),
        mean=pl.lit(shift), scale=pl.lit(1.0), scale_squared=pl.lit(1.0), expected=pl.lit(0.8),
        exact=pl.lit(None, pl.Float64),
    )  # fmt: skip


def test_crps_from_published_levels_is_that_of_the_whole_distribution() -> None:
    built = rows(0.0, "chosen")
    y = built["y"].to_numpy()
    exact = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
    assert sum(demand_scores.WIDTHS) == pytest.approx(1)
    assert built.select(demand_scores.crps().mean()).item() == pytest.approx(exact.mean(), rel=0.02)


def test_a_model_that_left_targets_out_is_not_compared() -> None:
    both = pl.concat([rows(0.0, "chosen"), rows(0.0, "sparing").head(DAYS - 1)])
    assert demand_scores.by_level(both)["model"].to_list() == ["chosen"]


@pytest.mark.parametrize("block_days", [1, 7])
def test_a_biased_forecast_loses_with_an_interval_below_zero(block_days: int) -> None:
    both = pl.concat([rows(0.0, "chosen"), rows(1.0, "off")])
    result = demand_scores.over(both, demand_scores.by_level(both), "off", block_days)
    skill, low, worse = result.filter(pl.col("model") == "chosen").select("skill", "skill_low", "worse_share").row(0)
    assert 0 < low < skill < 1 and worse == 0


def test_the_bottom_is_a_member_of_every_level_above_it() -> None:
    series = pl.DataFrame({
        "unique_id": [0, 1, 2, 3, 4],
        "name": ["all", "north", "south", "north | a", "south | a"],
        "level": ["total", "board", "board", "bottom", "bottom"],
        "parent": [None, 0, 0, 1, 2],
    })  # fmt: skip
    empty = pl.DataFrame()
    result = demand.members(Panel(empty, series, "D", 1, [], Place("GB"), 1))
    assert result.columns == ["unique_id", "region", "board"]
    assert result.rows() == [(3, 0, 1), (4, 0, 2)]
