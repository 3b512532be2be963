"""Units required, against published values and against simulation-free arithmetic."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.dispatch import queues, staffing, workload
from pipelines.forecast.demand.evaluation import calibration

AT = datetime(2026, 3, 2, 21, tzinfo=UTC)


@given(st.floats(0.01, 60), st.floats(0.01, 0.5))
@example(load=0.027877984905078812, target=0.027877984905078812)
def test_required_units_meet_the_target_and_one_less_does_not(load: float, target: float) -> None:
    units = int(staffing.units_required(np.array([[load]]), target)[0])
    # One unit waits with probability equal to the load: at a tie the last bit of a double decides.
    assert queues.erlang_c(units, load) <= target * (1 + 1e-12)
    assert queues.erlang_c(units - 1, load) > target * (1 - 1e-12)


def test_without_load_no_unit_is_required() -> None:
    assert staffing.units_required(np.array([[0.0, 0.0], [0.0, 1.0]]), 0.05).tolist() == [0, 4]


def test_rates_behind_a_forecast_keep_its_mean_and_spread_with_its_dispersion() -> None:
    rates = staffing.rates(np.array([4.0, 4.0, 0.0]), np.array([0.0, 0.5, 0.5]))
    assert rates.mean(axis=1) == pytest.approx([4, 4, 0])
    assert rates[0].std() < 0.01 < 1.5 < rates[1].std()


def test_an_uncertain_forecast_needs_more_units_than_a_certain_one() -> None:
    sure, unsure = staffing.units_required(staffing.rates(np.array([6.0, 6.0]), np.array([0.0, 0.3])), 0.05)
    assert unsure > sure


def forecast(
    service: str = "ems", mean: float = 2.0, dispersion: float = 0.1, **overrides: object
) -> list[dict[str, object]]:
    row: dict[str, object] = {
        "reference_at": AT, "frequency": "h", "area_id": "11010", "service": service, "measure": "calls",
        "target_start": AT, "target_end": AT + timedelta(hours=1), "model": "hour_of_week", "is_baseline": False,
        "mean": mean, "q0.1": 0.0, "q0.5": 2.0, "q0.9": 4.0, "q0.99": 6.0, "data_as_of": AT, "degraded_reason": None,
        "method": "selected", "dispersion": dispersion, "calibration_map": None,
    }  # fmt: skip
    baseline = row | {"model": "seasonal_naive", "is_baseline": True, "mean": 3.0}
    return [row | overrides, baseline | overrides]


def kept(power: float) -> list[float]:
    """A calibration map: levels below 0.5 covered more often than nominal if the power is below 1."""
    return (0.5 * (2 * calibration.GRID[1 : calibration.MIDDLE]) ** power).round(4).tolist()


def rows_of(dispersion: float, levels: list[float] | None, **means: Sequence[float]) -> pl.DataFrame:
    (count,) = {len(values) for values in means.values()}
    maps = pl.Series([levels] * count, dtype=pl.List(pl.Float64))
    return pl.DataFrame(means).with_columns(dispersion=pl.lit(dispersion), calibration_map=maps)


def dispersions(dispersion: float, levels: list[float] | None, *means: float) -> np.ndarray:
    return staffing.rate_dispersions(rows_of(dispersion, levels, mean=means))


def test_without_recalibration_the_dispersion_is_unchanged() -> None:
    assert dispersions(0.3, None, 0.5, 40.0).tolist() == [0.3, 0.3]
    assert dispersions(0.3, kept(1.0), 0.01, 0.5, 40.0) == pytest.approx([0.3] * 3, rel=0.01)
    assert dispersions(0.3, kept(0.6), 0.0).tolist() == [0.3]


@pytest.mark.parametrize("power", [0.6, 1.2])
def test_recalibrated_quantiles_set_the_dispersion_of_the_rate(power: float) -> None:
    means, dispersion = np.array([0.5, 4.0, 60.0]), 0.4
    forecasts = rows_of(dispersion, kept(power), centre=means.tolist())
    distributions, curves = calibration.curves_in(forecasts)
    drawn = calibration.counts(np.tile((np.arange(100_000) + 0.5) / 100_000, (3, 1)), distributions, curves)
    beyond = (drawn.var(axis=1) - drawn.mean(axis=1)) / drawn.mean(axis=1) ** 2
    result = dispersions(dispersion, kept(power), *means)
    assert result == pytest.approx(beyond, rel=0.02)
    assert (result > dispersion).all() if power < 1 else (result < dispersion).all()


def test_the_dispersion_of_a_rate_is_never_negative() -> None:
    assert dispersions(0.0, kept(1.4), 0.5, 4.0, 60.0).tolist() == [0, 0, 0]
    assert (dispersions(0.0, kept(0.6), 0.5, 4.0, 60.0) > 0).all()


def minutes(**services: float) -> pl.DataFrame:
    return pl.DataFrame({"service": list(services), "service_minutes": list(services.values()), "units_per_call": 1.0})


def plan(rows: list[dict[str, object]], **services: float) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema_overrides={"degraded_reason": pl.String, "calibration_map": pl.List(pl.Float64)})
    return staffing.staffing(frame, minutes(**services), 0.05)


def test_a_plan_row_has_the_forecast_its_baseline_and_the_units() -> None:
    row = plan(forecast(), ems=60.0).row(0, named=True)
    assert list(row) == list(staffing.STAFFING_COLUMNS)
    assert (row["expected_calls"], row["baseline_calls"], row["p90"]) == (2.0, 3.0, 4.0)
    assert row["workload_erlangs"] == 2.0
    assert row["units_required"] in (5, 6)
    assert row["unit_hour_utilisation"] == pytest.approx(2 / row["units_required"])


def test_units_follow_recalibrated_quantiles() -> None:
    areas = {"a": kept(0.4), "b": None, "c": kept(1.8)}
    rows = [row for area, levels in areas.items() for row in forecast(mean=6.0, calibration_map=levels, area_id=area)]
    wide, usual, narrow = plan(rows, ems=60.0).sort("area_id")["units_required"].to_list()
    assert wide > usual > narrow


def test_a_call_that_takes_five_units_needs_five_at_once() -> None:
    frame = pl.DataFrame(forecast("fire", mean=0.01), schema_overrides={"degraded_reason": pl.String})
    five = minutes(fire=60.0).with_columns(units_per_call=pl.lit(5.0))
    row = staffing.staffing(frame, five, 0.05).row(0, named=True)
    assert (row["units_required"], row["workload_erlangs"]) == (5, pytest.approx(0.05))


def test_services_that_need_no_unit_daily_rows_and_units_sent_are_not_planned() -> None:
    advice = forecast("police_code_4")
    daily, units = forecast(frequency="D"), forecast(measure="dispatches")
    assert plan([*advice, *daily, *units, *forecast("other")], ems=60.0, police_code_4=0.0).is_empty()


def test_no_expected_call_needs_no_unit_and_has_no_utilisation() -> None:
    row = plan(forecast(mean=0.0), ems=60.0).row(0, named=True)
    assert (row["units_required"], row["unit_hour_utilisation"]) == (0, None)


# Workload


def task(incident: str, minutes_: float | None, service: str = "ems") -> dict[str, object]:
    end = None if minutes_ is None else AT + timedelta(minutes=minutes_)
    return {"incident_id": incident, "service": service, "dispatched_at": AT, "available_at": end}


TASKS = {
    "incident_id": pl.String,
    "service": pl.String,
    "dispatched_at": pl.Datetime("us", "UTC"),
    "available_at": pl.Datetime("us", "UTC"),
}


def measured(rows: list[dict[str, object]], **assumed: float) -> dict[str, tuple[float, float, bool]]:
    frame = workload.service_minutes(pl.DataFrame(rows, schema=TASKS), assumed)
    return {row[0]: row[1:] for row in frame.iter_rows()}


def test_units_and_minutes_of_calls_are_measured() -> None:
    rows = [task(str(i), m) for i in range(200) for m in (20, 40)]
    assert measured(rows, ems=65)["ems"] == (30, 2, True)


def test_too_few_or_invalid_tasks_keep_the_assumption() -> None:
    few = [task(str(i), 20) for i in range(199)]
    broken = [task(str(i), m) for i, m in enumerate([None, -5, 60 * 30] * 100)]
    assert measured(few, ems=65)["ems"] == (65, 1, False)
    assert measured(broken, ems=65)["ems"] == (65, 1, False)
    assert measured([], ems=65)["ems"] == (65, 1, False)


def test_a_service_without_units_stays_at_none() -> None:
    rows = [task(str(i), 20, "police_code_4") for i in range(300)]
    assert measured(rows, police_code_4=0)["police_code_4"] == (0, 1, False)
