"""Rolling origins: where they lie, and that ranges never see their own future."""

from datetime import datetime, timedelta

import polars as pl
import pytest

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


def said(model: str, cutoff: datetime, ds: datetime, y: float | None, mean: float) -> dict[str, object]:
    return {"unique_id": 1, "pool": "p", "cutoff": cutoff, "ds": ds, "y": y, "model": model, "mean": mean}


def calibrated(rows: list[dict[str, object]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema_overrides={"cutoff": STAMP, "ds": STAMP, "y": pl.Float64})
    return rolling.calibrated(frame, "D", "naive")


def test_before_any_outcome_the_ranges_are_poissons_and_say_so() -> None:
    frame = calibrated([said("m", START, START, 9.0, 4.0)])
    assert frame["dispersion"].to_list() == [0.0]
    assert frame["is_calibrated"].to_list() == [False]


def test_a_dispersion_learns_only_from_outcomes_before_its_cutoff() -> None:
    later = START + timedelta(days=7)
    frame = calibrated([said("m", START, START, 24.0, 4.0), said("m", later, later, 400.0, 4.0)])
    assert frame["dispersion"][0] == 0.0
    assert frame["dispersion"][1] == pytest.approx((400.0 - 4.0) / 16.0)


def test_an_outcome_that_is_not_yet_known_at_a_cutoff_teaches_nothing() -> None:
    later = START + timedelta(days=1)
    frame = calibrated([said("m", START, later, 24.0, 4.0), said("m", later, later, None, 4.0)])
    assert frame["is_calibrated"].to_list() == [False, False]


def test_a_model_without_outcomes_takes_the_pools_dispersion_but_never_the_naive_ones() -> None:
    later = START + timedelta(days=7)
    rows = [said("table", START, START, 24.0, 4.0), said("naive", START, START, 4.0, 4.0)]
    frame = calibrated([*rows, said("prophet", later, later, None, 4.0)])
    new = frame.filter(pl.col("model") == "prophet")
    assert new["dispersion"].item() == pytest.approx((400.0 - 4.0) / 16.0)
    assert new["is_calibrated"].item()


def test_the_second_week_ahead_has_ranges_of_its_own() -> None:
    far, later = START + timedelta(days=7), START + timedelta(days=14)
    rows = [said("m", START, START, 4.0, 4.0), said("m", START, far, 24.0, 4.0)]
    frame = calibrated(
        [*rows, said("m", later, later, None, 4.0), said("m", later, later + timedelta(days=7), None, 4.0)]
    )
    near, wide = frame.filter(pl.col("cutoff") == later)["dispersion"].to_list()
    assert near == 0 and wide > 1


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
