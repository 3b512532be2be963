"""Records of older versions are read in today's columns and values."""

import hashlib
import io

import polars as pl
import pytest

from pipelines.config.settings import Settings
from pipelines.schema.dictionary import frame_schema
from pipelines.store import record_upgrades, records


def upgraded(kind: str, **row: object) -> dict[str, object]:
    (only,) = record_upgrades.upgraded(kind, 1, pl.DataFrame([row])).iter_rows(named=True)
    return only


def test_columns_of_version_2_get_their_present_names() -> None:
    frame = pl.DataFrame({"tree": ["admin"], "level": ["district"], "chosen_at": [1], "chosen_by": ["series"]})
    columns = record_upgrades.upgraded("demand_selections", 2, frame).columns
    assert columns == ["hierarchy", "area_level", "selected_at", "selected_by"]
    slots = record_upgrades.upgraded("risk_slots_forecasts", 2, pl.DataFrame({"method": ["count"]}))
    assert slots.columns == ["ranking_method"]


def test_models_of_version_3_that_were_averaged_by_horizon_block_get_a_weight_each() -> None:
    frame = pl.DataFrame(
        {
            "reference_at": [1, 1], "area_id": ["11", "11"], "horizon_block": ["day 1", "days 2-7"],
            "models": ["table + ets", "ets"], "model_weight": [0.5, 1.0], "scaled_pinball": [0.2, 0.3],
            "runner_up": ["ets", None], "runner_up_scaled_pinball": [0.3, None], "standard_error": [0.1, None],
            "origins": [3, 2], "selected_by": ["series", "cluster"],
        }
    )  # fmt: skip
    weights = record_upgrades.upgraded("demand_selections", 3, frame)
    assert set(weights.columns) == {
        "reference_at", "area_id", "model", "model_weight", "loss_ratio", "origins", "selected_by"
    }  # fmt: skip
    assert dict(weights.select("model", "model_weight").iter_rows()) == {"table": 0.25, "ets": 0.75}
    assert weights["origins"].unique().to_list() == [3] and weights["loss_ratio"].null_count() == 2


def test_apportioned_measures_of_version_2_are_disclosure_safe_ones() -> None:
    frame = pl.DataFrame({"measure": ["calls", "apportioned_calls"]})
    measures = record_upgrades.upgraded("demand_scores", 2, frame)["measure"].to_list()
    assert measures == ["calls", "disclosure_safe_calls"]


def test_upgraded_scores_have_the_columns_of_their_table_and_no_others() -> None:
    columns = set(frame_schema("forecast.demand_scores"))
    old = pl.DataFrame({name: ["x"] for name in columns - {"measure"}})
    assert set(record_upgrades.upgraded("demand_scores", 1, old).columns) == columns


@pytest.mark.parametrize(
    ("message", "batch_type"),
    [
        ("accepted now: refused batch ", "acceptance"),
        ("released from quarantine of batch ", "release"),
        ("held back since the rules or corrections changed: rows of batch ", "requarantine"),
    ],
)
def test_a_retry_that_names_its_batch_in_its_message_gets_a_type_and_the_batch(message: str, batch_type: str) -> None:
    batch_id = "a" * 64
    entry = record_upgrades.load_entry({"load": "retry", "batch_id": "b", "message": message + batch_id})
    assert (entry["batch_type"], entry["retried_batch_id"]) == (batch_type, batch_id)


def test_an_older_delivery_is_a_delivery_and_an_entry_of_today_is_unchanged() -> None:
    assert record_upgrades.load_entry({"load": "delivery", "message": ""})["batch_type"] == "delivery"
    entry = {"batch_type": "release", "retried_batch_id": "a"}
    assert record_upgrades.load_entry(entry) == entry


def test_the_distribution_in_a_text_becomes_columns() -> None:
    text = "ets gives no mean; its mean moved by the forecasts of the areas above; negative binomial, dispersion "
    row = upgraded(
        "demand_forecasts",
        model="hour_of_week + regression (moved)",
        method=f"{text}0.013477; levels kept 0.0054 0.0104",
        is_baseline=False,
    )
    assert row == {
        "model": "combination", "method": "fallback", "is_baseline": False, "measure": "calls", "shift": None,
        "dispersion": 0.013477, "calibration_map": [0.0054, 0.0104], "is_reconciled": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "text", "is_baseline", "method"),
    [
        (
            "sum_of_parts",
            "sum of its parts on joint sample paths; negative binomial",
            False,
            "bottom_up",
        ),
        ("share_of_region", "the region's forecast, shared among areas by listed calls", False, "region_share"),
        ("day_of_week", "stations and units sent keep to the weekly table", False, "simple_table"),
        ("part_of_days (moved)", "Poisson, no backtest yet: dispersion 0", False, "day_share"),
        ("ets", "negative binomial, dispersion 2e-06", False, "selected"),
        ("seasonal_naive", "negative binomial, dispersion 0.1", True, "baseline"),
    ],
)
def test_every_text_has_its_method(model: str, text: str, is_baseline: bool, method: str) -> None:
    row = upgraded("demand_forecasts", model=model, method=text, is_baseline=is_baseline)
    assert row["method"] == method
    assert row["calibration_map"] is None


def test_the_score_of_several_models_is_that_of_a_combination() -> None:
    assert upgraded("demand_scores", model="ets, hour_of_week (moved)")["model"] == "combination"
    assert upgraded("demand_backtests", model="hour_of_week (moved)")["model"] == "hour_of_week"


def test_the_only_window_of_the_first_risk_forecasts_was_the_week() -> None:
    assert upgraded("risk_forecasts", cell_id="a")["window"] == "week"


def test_the_outcome_of_the_whole_forecast_step_is_that_of_its_three_tasks() -> None:
    frame = pl.DataFrame({"step": ["build", "forecast"], "is_ok": [True, False]})
    steps = record_upgrades.upgraded("outcomes", 1, frame)
    assert steps.rows() == [
        ("build", True), ("forecast_read", False), ("forecast_fit", False), ("forecast_write", False),
    ]  # fmt: skip


def test_a_record_without_a_version_is_of_the_first_and_a_new_one_is_read_as_written(settings: Settings) -> None:
    frame = pl.DataFrame({"model": ["ets, hour_of_week"], "measure": ["calls"], "shift": ["day"]})
    records.write(settings, "demand_scores", "20260302T2015Z", frame)
    (entry,) = records.entries(settings, "demand_scores")
    assert records.frame_of(settings, entry).equals(frame)
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    old = entry | {"sha256": digest, "path": f"demand_scores/20260302T2015Z-{digest[:12]}.parquet"}
    (settings.records / old["path"]).write_bytes(buffer.getvalue())
    assert records.frame_of(settings, old)["model"].to_list() == ["combination"]
