"""Disclosure-safe forecasts: they do not disclose which area's records were withheld."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand import issued, nightly
from pipelines.forecast.demand.hierarchy import disclosure_safe
from pipelines.forecast.demand.nightly import DemandForecast
from tests.forecast.demand.test_nightly import AS_OF, KOREA, hourly, stations
from tests.forecast.demand.test_shifts import PATTERN

PROFILE = KOREA.model_copy(update={"demand": KOREA.demand.model_copy(update={"shifts": PATTERN})})
RATES = {("11010", "ems"): 3.0, ("11020", "ems"): 1.0, ("11010", "fire"): 0.4, ("11020", "fire"): 0.2}


def withholding(frame: pl.DataFrame, shares: dict[str, float]) -> pl.DataFrame:
    """The mart with so large a share of each district's ambulance calls kept out of its records."""
    rng = np.random.default_rng(3)
    share = pl.col("area_id").str.strip_prefix("F-").replace_strict(shares, default=0.0)
    is_ems = (pl.col("service") == "ems").cast(pl.Float64)
    withheld = frame.select("calls", (share * is_ems).alias("share"))
    drawn = pl.Series(rng.binomial(withheld["calls"].to_numpy(), withheld["share"].to_numpy()), dtype=pl.Int64)
    return frame.with_columns((pl.col("calls") - drawn).alias("releasable_calls"))


@pytest.fixture(scope="module")
def mart() -> pl.DataFrame:
    """Two districts and their two stations; a tenth of the ambulance calls of one of each is in no record."""
    frame = hourly(RATES, days=100)
    return withholding(pl.concat([frame, stations(frame)]), {"11010": 0.1})


@pytest.fixture(scope="module")
def built(mart: pl.DataFrame) -> DemandForecast:
    return nightly.forecast_demand(mart, AS_OF, PROFILE)


def published(built: DemandForecast, measure: str) -> pl.DataFrame:
    return built.forecasts.filter(pl.col("measure") == measure, ~pl.col("is_baseline"))


KEYS = ["frequency", "service", "shift", "target_start"]


def test_a_hierarchy_with_withheld_records_is_apportioned(mart: pl.DataFrame) -> None:
    assert disclosure_safe.separate_hierarchies(mart).rows() == [("ems", "admin"), ("ems", "fire")]
    everything = mart.with_columns(releasable_calls="calls", releasable_dispatches="dispatches")
    assert disclosure_safe.separate_hierarchies(everything).is_empty()


def test_every_area_has_a_share_of_every_apportioned_forecast(
    built: DemandForecast,
) -> None:
    areas = ["area_id", *KEYS]
    subset = published(built, "calls").filter(pl.col("service") == "ems")
    shared = published(built, "disclosure_safe_calls")
    assert shared.select(areas).sort(areas).equals(subset.select(areas).sort(areas))
    assert set(shared["frequency"]) == {"h", "D", "S"} and set(shared["model"]) == {disclosure_safe.MODEL}
    region = [frame.filter(pl.col("area_id") == "11").sort(areas)["mean"] for frame in (subset, shared)]
    assert np.allclose(*region, rtol=2e-3), "the region as a whole has all calls"


def test_readers_of_records_get_the_region_where_it_has_stations_and_no_districts(mart: pl.DataFrame) -> None:
    few = mart.filter(pl.col("service") == "ems", (pl.col("area_id") == "11") | (pl.col("hierarchy") == "fire"))
    shared = published(
        nightly.forecast_demand(withholding(few, {"11": 0.1, "11010": 0.1}), AS_OF, KOREA), "disclosure_safe_calls"
    )
    assert shared["area_id"].unique().sort().to_list() == ["11", "F-11010", "F-11020"]


def test_shares_of_a_tree_add_up_to_what_is_expected_of_all_its_areas(built: DemandForecast) -> None:
    def totals(measure: str) -> pl.DataFrame:
        areas = published(built, measure).filter(pl.col("service") == "ems", pl.col("area_id") != "11")
        return areas.group_by("hierarchy", *KEYS).agg(pl.col("mean").sum()).sort("hierarchy", *KEYS)

    all_calls, shared = totals("calls"), totals("disclosure_safe_calls")
    assert shared.select("hierarchy", *KEYS).equals(all_calls.select("hierarchy", *KEYS))
    # Beyond the first week hours divide days, for the sum of areas a little otherwise than for each.
    assert np.allclose(shared["mean"], all_calls["mean"], rtol=2e-3)
    exact = pl.col("frequency") != "S"
    assert np.allclose(shared.filter(exact)["mean"], all_calls.filter(exact)["mean"], rtol=1e-9)


def test_a_day_of_the_first_week_is_the_sum_of_its_hours(built: DemandForecast) -> None:
    shared = published(built, "disclosure_safe_calls").filter(pl.col("area_id") == "11010")
    day = shared.filter(pl.col("frequency") == "D").row(2, named=True)
    inside = pl.col("target_start").is_between(day["target_start"], day["target_end"], closed="left")
    hours = shared.filter(pl.col("frequency") == "h", inside)
    assert hours.height == 24 and hours["mean"].sum() == pytest.approx(day["mean"])


def test_shares_are_the_same_wherever_the_withheld_calls_happened() -> None:
    records = hourly({("11010", "ems"): 3.0, ("11020", "ems"): 1.0}, days=60)
    hidden = pl.Series(np.random.default_rng(5).poisson(0.5, records.height // 3), dtype=pl.Int64)

    def shares(there: str) -> pl.DataFrame:
        more = pl.concat([hidden if area in ("11", there) else 0 * hidden for area in ("11", "11010", "11020")])
        mart = records.sort("area_id", "hour_start_at").with_columns(pl.col("calls") + more)
        stored = published(nightly.forecast_demand(mart, AS_OF, KOREA), "disclosure_safe_calls").filter(
            pl.col("area_id") != "11"
        )
        hours = stored.filter(pl.col("frequency") == "h").sort("area_id", "target_start")
        return hours.select("area_id", "target_start", pl.col("mean") / pl.col("mean").sum().over("target_start"))

    single, two = shares("11010"), shares("11020")
    assert single.height == 2 * 168
    assert np.allclose(single["mean"], two["mean"], rtol=1e-9)


def test_units_sent_are_shared_where_the_region_has_a_forecast_of_them() -> None:
    frame = hourly({("11010", "ems"): 3.0, ("11020", "ems"): 1.0}, days=60)
    sent = withholding(frame, {"11010": 0.1}).with_columns(
        (2 * pl.col("calls")).alias("dispatches"), (2 * pl.col("releasable_calls")).alias("releasable_dispatches")
    )
    shared = published(nightly.forecast_demand(sent, AS_OF, KOREA), "disclosure_safe_dispatches")
    assert shared.group_by("frequency", "area_id").len().sort("frequency", "area_id").rows() == [
        ("D", "11", 84), ("D", "11010", 84), ("D", "11020", 84),
        ("h", "11", 168), ("h", "11010", 168), ("h", "11020", 168),
    ]  # fmt: skip


def test_apportioned_forecasts_are_scored_against_all_calls(built: DemandForecast, mart: pl.DataFrame) -> None:
    ahead = timedelta(days=7)
    later = mart.with_columns(pl.col("hour_start_at") + ahead, pl.col("local_date") + ahead)
    outcomes = issued.Outcomes.of(later, AS_OF, PATTERN)
    scores = issued.score_issued(built.forecasts, outcomes, AS_OF + ahead, PROFILE, {}).filter(
        pl.col("frequency") == "h", pl.col("service") == "ems", pl.col("area_level") == "district"
    )
    result = {row["measure"]: row for row in scores.filter(~pl.col("is_baseline")).iter_rows(named=True)}
    assert set(result) == {"calls", "disclosure_safe_calls"}
    assert result["disclosure_safe_calls"]["targets"] == result["calls"]["targets"]
    assert result["disclosure_safe_calls"]["pinball"] == pytest.approx(result["calls"]["pinball"], rel=0.05)
