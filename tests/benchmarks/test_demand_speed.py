"""Helpers of the benchmarks of speed and engines."""

import polars as pl

from tests.benchmarks import demand_engines, demand_speed


def test_a_series_does_not_depend_on_other_drawn_series() -> None:
    assert demand_speed.drawn(3).filter(unique_id="s00002").equals(demand_speed.drawn(1, 2))


def test_the_oracle_loses_least() -> None:
    after = demand_speed.drawn(2).filter(pl.col("ds") >= demand_speed.END)
    scales = pl.DataFrame({"unique_id": ["s00000", "s00001"], "scale": 1.0})
    true, blurred = (
        demand_speed.oracle(after.with_columns(rate=rate)) for rate in (pl.col("rate"), pl.col("rate") * 2)
    )
    assert demand_speed.loss(true, after, scales) < demand_speed.loss(blurred, after, scales)


def test_a_last_digit_is_a_difference() -> None:
    single = {"scores": pl.DataFrame({"mae": [0.1 + 0.2]})}
    assert demand_engines.differing(single, {"scores": pl.DataFrame({"mae": [0.3]})}) == ["scores"]
    assert demand_engines.differing(single, {"scores": single["scores"].clone()}) == []
