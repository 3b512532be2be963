"""Rolling origins: where they lie, and what stands beside each other there."""

from datetime import datetime, timedelta

import polars as pl

from pipelines.forecast.demand import rolling
from pipelines.forecast.demand.rolling import Model

START = datetime(2026, 1, 5)
STAMP = pl.Datetime("us")


def last(**cutoffs: datetime) -> pl.DataFrame:
    rows = {"unique_id": list(cutoffs), "pool": "p", "cutoff": list(cutoffs.values())}
    return pl.DataFrame(rows, schema_overrides={"cutoff": STAMP})


def test_origins_lie_a_step_apart_before_each_series_own_end() -> None:
    ends = last(a=START, b=START + timedelta(days=3))
    targets = rolling.past_targets(ends, "D", 2, timedelta(days=7), 2)
    a = targets.filter(pl.col("unique_id") == "a")
    assert a["cutoff"].unique().sort().to_list() == [START - timedelta(days=14), START - timedelta(days=7)]
    assert a.height == 4
    assert targets.filter(pl.col("unique_id") == "b")["cutoff"].max() == START - timedelta(days=4)


def test_every_model_is_asked_and_the_outcome_stands_beside_it() -> None:
    history = pl.DataFrame({"unique_id": [1], "ds": [START], "y": [5.0]}, schema_overrides={"ds": STAMP})
    targets = pl.DataFrame(
        {"unique_id": [1, 1], "cutoff": START, "ds": [START, START + timedelta(days=1)]},
        schema_overrides={"cutoff": STAMP, "ds": STAMP},
    )
    zero = Model("zero", lambda h, t: t.with_columns(mean=pl.lit(0.0), spread_mean=pl.lit(0.5)))
    one = Model("one", lambda h, t: t.with_columns(mean=pl.lit(1.0)))
    frame = rolling.run([zero, one], history, targets)
    assert frame.select("model", "y", "mean", "centre").rows() == [
        ("zero", 5.0, 0.0, 0.5),
        ("zero", None, 0.0, 0.5),
        ("one", 5.0, 1.0, 1.0),
        ("one", None, 1.0, 1.0),
    ]
