"""Published sums: means that add up over areas, trees and time, spread as sample paths are; leaves stay as they are."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast import parallel
from pipelines.forecast.demand import shifts
from pipelines.forecast.demand.evaluation.calibration import IDENTITY
from pipelines.forecast.demand.hierarchy import reconciliation
from pipelines.forecast.demand.hierarchy.reconciliation import Family

ORIGINS = [datetime(2026, 1, 5) + timedelta(days=7 * i) for i in range(6)]
ADMIN = pl.DataFrame({"unique_id": [1, 2], "region": [0, 0]})
STATIONS = pl.DataFrame({"unique_id": [4, 5, 6], "region": [0, 0, 0], "depth 1": [3, 3, 6]})
MEANS = {0: 9.0, 1: 4.0, 2: 6.0, 3: 8.0, 4: 5.0, 5: 3.0, 6: 1.0}
NOW = ORIGINS[-1]


def forecasts(means: dict[int, float], noise: float, seed: int = 1) -> pl.DataFrame:
    """A week of hours at six origins; outcomes of a day share a shock of relative size ``noise``."""
    rng = np.random.default_rng(seed)
    rows = []
    for cutoff in ORIGINS:
        for hour in range(168):
            ds = cutoff + timedelta(hours=hour)
            shock = np.random.default_rng(ds.toordinal()).gamma(1 / max(noise, 1e-9) ** 2) * max(noise, 1e-9) ** 2
            drawn = {name: float(rng.poisson(means[name] * shock)) for name in means}
            for name, mean in means.items():
                rows.append((name, cutoff, ds, 1, drawn[name] if cutoff < NOW else None, mean, noise**2, 0))
    schema = {"unique_id": pl.Int64, "cutoff": pl.Datetime("us"), "ds": pl.Datetime("us"), "block": pl.Int8,
              "y": pl.Float64, "mean": pl.Float64, "dispersion": pl.Float64, "curve": pl.UInt32}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.fixture(scope="module")
def quiet() -> reconciliation.Sums:
    listed = pl.DataFrame({"shift": ["night"], "service": ["ems"], "begins": [20], "ends": [32]})
    rows = forecasts(MEANS, 0.0)
    ahead = rows.filter(pl.col("cutoff") == NOW, pl.col("unique_id") == 0)["ds"]
    family = Family(rows, [ADMIN, STATIONS], "h", shifts.periods(ahead, "ems", listed), is_informed=False)
    return reconciliation.add_up(family, [ORIGINS[4], NOW], IDENTITY)


def test_means_of_every_tree_add_up_to_the_region_of_the_administrative_one(quiet: reconciliation.Sums) -> None:
    at = quiet.areas.filter(pl.col("ds") == NOW + timedelta(hours=30), pl.col("cutoff") == NOW)
    mean = dict(at.select("unique_id", "mean").iter_rows())
    assert len(mean) == at.height == 7
    assert mean[0] == pytest.approx(mean[1] + mean[2]) == pytest.approx(10.0)
    assert mean[4] + mean[5] + mean[6] == pytest.approx(mean[0])
    assert mean[3] == pytest.approx(mean[4] + mean[5])
    assert dict(at.select("unique_id", "is_sum").iter_rows()) == {0: True, 1: False, 2: False, 3: True} | dict.fromkeys(
        (4, 5, 6), False
    )


def test_means_of_days_and_shifts_are_the_sums_of_their_hours(quiet: reconciliation.Sums) -> None:
    days = quiet.periods.filter(pl.col("frequency") == "D")
    assert days["period"].n_unique() == 7 and days["unique_id"].n_unique() == 7
    assert days.filter(pl.col("unique_id") == 0)["mean"].to_list() == pytest.approx([240.0] * 7)
    nights = quiet.periods.filter(pl.col("frequency") == "S", pl.col("unique_id") == 1)
    # The last night of the week ends after the last hour.
    assert nights["mean"].to_list() == pytest.approx([48.0] * 6) and set(nights["shift"]) == {"night"}


def test_independent_poisson_leaves_make_poisson_sums(quiet: reconciliation.Sums) -> None:
    assert quiet.areas["dispersion"].max() < 0.02
    assert quiet.periods.filter(pl.col("unique_id") == 0)["dispersion"].mean() < 0.001


def test_leaves_that_move_together_make_sums_that_stay_as_dispersed_as_they_are() -> None:
    rows = forecasts(MEANS, 0.3)
    ahead = rows.filter(pl.col("cutoff") == NOW, pl.col("unique_id") == 0)["ds"]
    none = pl.DataFrame(schema={"shift": pl.String, "service": pl.String, "begins": pl.Int64, "ends": pl.Int64})
    family = Family(rows, [ADMIN], "h", shifts.periods(ahead, "ems", none), is_informed=False)
    result = reconciliation.add_up(family, [NOW], IDENTITY)
    assert result.areas.filter("is_sum")["dispersion"].mean() == pytest.approx(0.09, rel=0.35)
    region = result.periods.filter(pl.col("unique_id") == 0)
    assert region["dispersion"].mean() == pytest.approx(0.09, rel=0.35), "all hours of a day share its shock"


def test_an_upper_forecast_that_was_right_moves_the_leaves_and_one_that_was_wrong_does_not() -> None:
    truth = forecasts(MEANS | {0: 10.0}, 0.0)
    high = pl.when(pl.col("unique_id").is_in([1, 2])).then(1.2).otherwise(1.0)
    right = truth.with_columns(pl.col("mean") * high)
    wrong = truth.with_columns(
        pl.when(pl.col("unique_id") == 0).then(pl.col("mean") * 2).otherwise("mean").alias("mean")
    )
    for rows, leaf in ((right, 4.0), (wrong, 4.0)):
        result = reconciliation.add_up(Family(rows, [ADMIN], "h"), [NOW], IDENTITY).areas
        assert result.filter(pl.col("unique_id") == 1)["mean"].mean() == pytest.approx(leaf, rel=0.05)


def test_sums_made_side_by_side_in_two_processes_are_those_made_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    families = [
        (Family(forecasts(MEANS, noise), [ADMIN, STATIONS], "h"), [ORIGINS[4], NOW], IDENTITY) for noise in (0.1, 0.3)
    ]
    alone = reconciliation.together(families, parallel.HERE)
    # A city large enough to be worth a start takes minutes.
    monkeypatch.setattr(reconciliation, "WORTH_A_START", 0)
    with parallel.opened(2) as workers:
        adjacent = reconciliation.together(families, workers)
    assert adjacent.areas.equals(alone.areas)
    assert adjacent.periods.equals(alone.periods)


def test_nothing_from_a_cutoff_on_changes_its_sums(quiet: reconciliation.Sums) -> None:
    rows = forecasts(MEANS, 0.0)
    later = rows.with_columns(pl.when(pl.col("ds") >= ORIGINS[4]).then(999.0).otherwise("y").alias("y"))
    single, two = (
        reconciliation.add_up(Family(r, [ADMIN, STATIONS], "h"), [ORIGINS[4]], IDENTITY).areas for r in (rows, later)
    )
    assert single.equals(two)


def test_what_is_published_takes_the_sums_and_keeps_the_leaves_own_ranges(quiet: reconciliation.Sums) -> None:
    chosen = (
        forecasts(MEANS, 0.5)
        .filter(pl.col("cutoff") == NOW)
        .with_columns(
            pl.col("mean").alias("centre"),
            models=pl.lit("ets"),
            method=pl.lit(None, pl.String),
            is_reconciled=pl.lit(False),
            is_calibrated=pl.lit(False),
            curve=pl.lit(3, pl.UInt32),
        )
    )
    result = reconciliation.added(chosen, quiet)
    assert result.columns == chosen.columns and result.height == chosen.height
    region, leaf = (result.filter(pl.col("unique_id") == name) for name in (0, 1))
    assert set(region.select("models", "curve").rows()) == {(reconciliation.MODEL, 0)} and region["mean"][
        0
    ] == pytest.approx(10)
    assert set(leaf.select("models", "curve", "dispersion").rows()) == {("ets", 3, 0.25)}
