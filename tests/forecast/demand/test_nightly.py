"""The nightly forecast on small panels: issued rows, unread data, reported reasons."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.config import profile as profiles
from pipelines.config.profile import Profile
from pipelines.forecast.demand import issued, nightly, tables
from pipelines.forecast.demand.evaluation import rolling_origin, selection_table
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS
from pipelines.forecast.demand.hierarchy import reconciliation
from pipelines.forecast.demand.models import prophet
from pipelines.forecast.demand.models.registry import TABLE
from pipelines.forecast.demand.nightly import DemandForecast
from pipelines.forecast.demand.outlook import Kept
from pipelines.forecast.demand.panel import Known, Panel

AS_OF = datetime(2026, 3, 2, 20, 15, tzinfo=UTC)
SHIPPED = profiles.load("korea")
KOREA = SHIPPED.model_copy(update={"demand": SHIPPED.demand.model_copy(update={"shifts": {}})})
DAYS = 150


def hourly(rates: dict[tuple[str, str], float], seed: int = 1, days: int = DAYS) -> pl.DataFrame:
    """``marts.demand_hourly`` for pairs of area and service, and each service's region row."""
    rng = np.random.default_rng(seed)
    until = AS_OF.replace(minute=0)
    hours = [until - timedelta(hours=i) for i in range(24 * days, 0, -1)]
    clock = pl.DataFrame({"hour_start_at": hours}, schema={"hour_start_at": pl.Datetime("us", "UTC")}).with_columns(
        local=pl.col("hour_start_at").dt.convert_time_zone("Asia/Seoul")
    )
    clock = clock.select(
        "hour_start_at",
        pl.col("local").dt.date().alias("local_date"),
        pl.col("local").dt.hour().cast(pl.Int32).alias("local_hour"),
    )
    frames = []
    for (area, service), rate in rates.items():
        calls = pl.Series("calls", rng.poisson(rate, len(hours)), dtype=pl.Int64)
        frames.append(clock.with_columns(pl.lit(area).alias("area_id"), pl.lit(service).alias("service"), calls))
    districts = pl.concat(frames)
    region = districts.group_by("service", "hour_start_at", "local_date", "local_hour").agg(pl.col("calls").sum())
    both = pl.concat([districts, region.with_columns(area_id=pl.lit("11")).select(districts.columns)])
    level = pl.when(pl.col("area_id").str.len_bytes() > 3).then(pl.lit("district")).otherwise(pl.lit("province"))
    units = pl.lit(None, pl.Int64)
    named = both.with_columns(
        units.alias("dispatches"),
        pl.col("calls").alias("releasable_calls"),
        units.alias("releasable_dispatches"),
        pl.lit("admin").alias("hierarchy"),
        level.alias("area_level"),
    )
    return named.sort("area_id", "service", "hour_start_at")


def test_counts_with_categories_are_the_same_series_as_with_text() -> None:
    frame = hourly({("11110", "police_code_2"): 0.5, ("11140", "ems"): 1.0}, days=20)
    text = Panel.read(frame, AS_OF, KOREA, Known({}, {}))
    categories = Panel.read(frame.with_columns(pl.col(pl.String).cast(pl.Categorical)), AS_OF, KOREA, Known({}, {}))
    for name in ("series", "history", "late"):
        assert getattr(categories, name).equals(getattr(text, name))


@pytest.fixture(scope="module")
def panel() -> pl.DataFrame:
    return hourly({("11010", "ems"): 0.6, ("11020", "ems"): 0.3, ("11010", "fire"): 0.01, ("11020", "fire"): 0.005})


@pytest.fixture(scope="module")
def result(panel: pl.DataFrame) -> DemandForecast:
    return nightly.forecast_demand(panel, AS_OF, KOREA)


def test_every_area_service_hour_and_day_ahead_has_one_published_row(result: DemandForecast) -> None:
    published = result.forecasts.filter(~pl.col("is_baseline"))
    assert published.select("frequency", "area_id", "service", "target_start").is_duplicated().sum() == 0
    counts = dict(published.group_by("frequency").len().iter_rows())
    assert counts == {"h": 6 * 168, "D": 6 * 84}
    assert result.forecasts.columns == list(tables.FORECAST_COLUMNS)
    assert result.scores.columns == list(tables.SCORE_COLUMNS)


def test_published_means_are_additive_over_areas_and_hours(result: DemandForecast) -> None:
    published = result.forecasts.filter(~pl.col("is_baseline"))
    is_region = pl.col("area_id") == "11"
    keys = ["frequency", "service", "target_start"]
    parts = published.filter(~is_region).group_by(keys).agg(pl.col("mean").sum())
    both = published.filter(is_region).join(parts, on=keys, suffix="_parts")
    assert both.height == 2 * (168 + 84)
    np.testing.assert_allclose(both["mean"], both["mean_parts"], rtol=1e-9)
    day = pl.col("target_start").dt.convert_time_zone("Asia/Seoul").dt.date().alias("day")
    hours = published.filter(pl.col("frequency") == "h").with_columns(day)
    whole = hours.group_by("area_id", "service", "day").agg(pl.col("mean").sum(), pl.len()).filter(pl.col("len") == 24)
    days = published.filter(pl.col("frequency") == "D").with_columns(day)
    near = days.join(whole, on=["area_id", "service", "day"], suffix="_hours")
    assert near.height == 6 * 6 and near["model"].unique().to_list() == [reconciliation.MODEL]
    np.testing.assert_allclose(near["mean"], near["mean_hours"], rtol=1e-9)


def test_a_sum_of_many_is_steadier_than_its_parts(result: DemandForecast) -> None:
    days = result.forecasts.filter(~pl.col("is_baseline"), pl.col("frequency") == "D", pl.col("service") == "ems")
    width = days.with_columns(((pl.col("q0.9") - pl.col("q0.1")) / pl.col("mean")).alias("width"))
    wide = dict(width.group_by("area_id").agg(pl.col("width").mean()).iter_rows())
    assert wide["11"] < min(wide["11010"], wide["11020"])


def test_each_published_row_has_a_seasonal_naive_row(result: DemandForecast) -> None:
    keys = ["frequency", "area_id", "service", "target_start"]
    published = result.forecasts.filter(~pl.col("is_baseline"))
    baseline = result.forecasts.filter(pl.col("model") == "seasonal_naive", pl.col("is_baseline"))
    assert published.join(baseline, on=keys, how="anti").is_empty()


def test_targets_are_ahead_and_leads_are_hours_to_their_end(result: DemandForecast) -> None:
    forecasts = result.forecasts
    assert (forecasts["target_start"] >= AS_OF).all()
    first = forecasts.filter(pl.col("frequency") == "h")["horizon_hours"].min()
    assert (first, forecasts.filter(pl.col("frequency") == "D")["horizon_hours"].min()) == (2, 43)


def test_quantiles_are_whole_and_never_fall(result: DemandForecast) -> None:
    values = result.forecasts.select(COLUMNS).to_numpy()
    assert (values == np.round(values)).all() and (values >= 0).all()
    assert (np.diff(values, axis=1) >= 0).all()


def test_published_forecasts_follow_the_current_selection(result: DemandForecast) -> None:
    assert result.selections.columns == list(selection_table.COLUMNS)
    newest = result.selections.filter(pl.col("origin_at") == pl.col("origin_at").max().over("frequency", "service"))
    keys = ["frequency", "area_id", "service"]
    assert newest.group_by(keys).agg(pl.col("model_weight").sum().round(6))["model_weight"].unique().to_list() == [1.0]
    first = (pl.col("target_start") - pl.col("data_as_of")).dt.total_days() < 1
    leaves = pl.col("area_id") != "11"
    near = result.forecasts.filter(first, leaves, ~pl.col("is_baseline"), pl.col("frequency") == "h")
    models = newest.group_by(keys).agg(pl.col("model").alias("models"))
    predictions = near.join(models, on=keys)
    is_single = pl.col("models").list.len() == 1
    expected = pl.when(is_single).then(pl.col("models").list.first()).otherwise(pl.lit(tables.COMBINATION))
    assert predictions.height and predictions.select((pl.col("model") == expected).all()).item()


def test_a_sparse_series_has_no_model_of_dense_days_and_a_dense_one_has(
    result: DemandForecast,
) -> None:
    published = result.forecasts.filter(pl.col("frequency") == "D", ~pl.col("is_baseline"))
    sparse = published.filter(pl.col("service") == "fire", pl.col("area_id") != "11")
    assert not sparse["model"].str.contains("prophet_mean|ets").any()
    days = result.selections.filter(pl.col("frequency") == "D")
    assert "ets" in days.filter(pl.col("service") == "ems")["model"].to_list()


def test_published_and_floors_are_scored_on_the_same_targets(result: DemandForecast) -> None:
    sizes = result.scores.group_by("frequency", "service", "area_level").agg(pl.col("targets").n_unique())
    assert sizes["targets"].to_list() == [1] * sizes.height
    assert set(result.scores["model"]) >= {"hour_of_week", "day_of_week", "seasonal_naive"}
    assert result.scores["origin_kind"].unique().to_list() == ["backtest"]
    keys = ["frequency", "service", "measure", "area_level", "model", "is_baseline"]
    assert not result.scores.select(keys).is_duplicated().any()


def test_a_backtest_has_the_skill_over_the_weekly_table(result: DemandForecast) -> None:
    table = result.scores.filter(pl.col("is_baseline"), pl.col("model").is_in(["hour_of_week", "day_of_week"]))
    assert table["skill"].unique().to_list() == [0.0]
    published = result.scores.filter(~pl.col("is_baseline"))
    assert published["skill"].null_count() == 0 and published["worse_share"].null_count() == 0


def test_nothing_from_as_of_on_changes_a_forecast(panel: pl.DataFrame, result: DemandForecast) -> None:
    later = panel.filter(pl.col("hour_start_at") >= AS_OF - timedelta(days=1)).with_columns(
        pl.col("hour_start_at") + timedelta(days=1), pl.lit(500, pl.Int64).alias("calls")
    )
    later = later.filter(pl.col("hour_start_at") >= AS_OF.replace(minute=0))
    assert later.height
    again = nightly.forecast_demand(pl.concat([panel, later]), AS_OF, KOREA)
    assert again.forecasts.equals(result.forecasts)
    assert again.scores.equals(result.scores)


def test_hours_after_a_services_edge_are_unknown_and_not_zero(panel: pl.DataFrame) -> None:
    edge = AS_OF - timedelta(hours=40)
    zeroed = panel.with_columns(
        pl.when(pl.col("service").eq("ems") & (pl.col("hour_start_at") >= edge.replace(minute=0)))
        .then(0)
        .otherwise(pl.col("calls", "releasable_calls"))
        .name.keep()
    )
    known = Known(through={"ems": edge}, degraded={"ems": "feed fire_119 is stale"})
    single, two = (nightly.forecast_demand(frame, AS_OF, KOREA, known).forecasts for frame in (panel, zeroed))
    assert single.equals(two)
    ems = single.filter(pl.col("service") == "ems")
    assert ems["data_as_of"].unique().to_list() == [edge.replace(minute=0)]
    assert ems["degraded_reason"].unique().to_list() == ["feed fire_119 is stale"]
    assert single.filter(pl.col("service") == "fire")["data_as_of"].unique().to_list() == [AS_OF.replace(minute=0)]


def test_hours_of_an_outage_are_unknown_in_it_and_after_it(panel: pl.DataFrame) -> None:
    """Forty days without rows lower no mean, whether they end three weeks ago or go on."""
    region = pl.col("area_id") == "11", pl.col("service") == "ems", pl.col("model") == "hour_of_week"
    mean = nightly.forecast_demand(panel, AS_OF, KOREA).forecasts.filter(*region)["mean"].mean()
    for first, end in ((61, 21), (40, 0)):
        inside = pl.col("hour_start_at").is_between(AS_OF - timedelta(days=first), AS_OF - timedelta(days=end))
        forecasts = nightly.forecast_demand(
            panel.filter(~(inside & (pl.col("service") == "ems"))), AS_OF, KOREA
        ).forecasts
        assert forecasts.filter(*region)["mean"].mean() == pytest.approx(mean, rel=0.1)


def test_a_station_that_stopped_has_no_forecast_and_its_region_has_one(panel: pl.DataFrame) -> None:
    stopped = (pl.col("area_id") == "11010") & (pl.col("hour_start_at") >= AS_OF - timedelta(days=30))
    forecasts = nightly.forecast_demand(panel.filter(~stopped), AS_OF, KOREA).forecasts
    assert "11010" not in forecasts["area_id"] and {"11", "11020"} <= set(forecasts["area_id"])


def test_a_shift_of_level_is_named_in_the_forecasts_of_its_series_alone(panel: pl.DataFrame) -> None:
    is_after = (pl.col("hour_start_at") >= AS_OF - timedelta(days=12)) & (pl.col("service") == "ems")
    region = pl.col("area_id") == "11"
    shifted = panel.with_columns(calls=pl.when(is_after, region).then(pl.col("calls") * 2).otherwise("calls"))
    forecasts = nightly.forecast_demand(shifted, AS_OF, KOREA).forecasts.filter(region, ~pl.col("is_baseline"))
    rose = pl.col("degraded_reason").str.contains("the level rose about").fill_null(False)
    assert set(forecasts.filter(rose)["service"]) == {"ems"}


def test_one_absurd_hour_moves_no_median_and_is_named(panel: pl.DataFrame) -> None:
    hour = AS_OF.replace(minute=0) - timedelta(days=5)
    is_absurd = (pl.col("hour_start_at") == hour) & (pl.col("service") == "ems") & (pl.col("area_id") == "11")
    absurd = panel.with_columns(calls=pl.when(is_absurd).then(50_000).otherwise("calls"))
    region = pl.col("area_id") == "11", pl.col("service") == "ems", ~pl.col("is_baseline")
    usual, then = (nightly.forecast_demand(frame, AS_OF, KOREA).forecasts.filter(region) for frame in (panel, absurd))
    assert then["q0.5"].mean() == pytest.approx(usual["q0.5"].mean(), rel=0.03)
    assert set(then["degraded_reason"].str.contains("is extreme and left out of the mean")) == {True}


def test_a_region_that_lacks_a_stopped_station_has_no_forecast_and_other_stations_have_one(panel: pl.DataFrame) -> None:
    """Of that service: a sum without a part is not the region's demand."""
    lacking = pl.col("area_id").is_in(["11", "11010"]) & (pl.col("service") == "ems")
    stopped = lacking & (pl.col("hour_start_at") >= AS_OF - timedelta(days=30))
    forecasts = nightly.forecast_demand(panel.filter(~stopped), AS_OF, KOREA).forecasts
    assert set(forecasts.filter(pl.col("service") == "ems")["area_id"]) == {"11020"}
    assert {"11", "11010", "11020"} == set(forecasts.filter(pl.col("service") == "fire")["area_id"])


def test_a_short_history_still_gives_a_forecast_with_the_reason_for_its_model() -> None:
    forecasts = nightly.forecast_demand(hourly({("11010", "ems"): 2.0}, days=10), AS_OF, KOREA).forecasts
    days = forecasts.filter(pl.col("frequency") == "D", ~pl.col("is_baseline"))
    assert set(days["model"]) == {"day_of_week", reconciliation.MODEL}
    assert days["degraded_reason"].str.contains("fewer than 70 days").all()
    hours = forecasts.filter(pl.col("frequency") == "h", ~pl.col("is_baseline"))
    assert hours.height == 2 * 168


def test_a_failing_prophet_is_replaced_by_the_table_with_a_reason(
    panel: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = panel.filter(pl.col("area_id") == "11")  # without parts, so that it is not a sum
    first = nightly.forecast_demand(alone, AS_OF, KOREA)
    models = pl.when(frequency="h").then(pl.lit(["hour_of_week"])).otherwise(pl.lit(["day_of_week", "prophet_mean"]))
    weights = (
        first.selections.unique(["frequency", "service", "origin_at"])
        .with_columns(pl.col("selected_at") - timedelta(days=1), models.alias("model"), model_weight=0.5)
        .explode("model")
    )
    kept = Kept(weights, first.scores, first.past)
    far = (pl.col("frequency") == "D") & (pl.col("target_start") > AS_OF + timedelta(days=7)) & ~pl.col("is_baseline")

    def published() -> pl.DataFrame:
        return nightly.forecast_demand(alone, AS_OF, KOREA, kept=kept).forecasts.filter(far, pl.col("service") == "ems")

    before = published()
    assert before["model"].unique().to_list() == [tables.COMBINATION]
    assert before["degraded_reason"].unique().to_list() == [None]
    monkeypatch.setattr(prophet, "_answer", lambda task: prophet.Answer(task.key, None, "Prophet failed: no luck"))
    after = published()
    assert after["target_start"].equals(before["target_start"])
    assert after["model"].unique().to_list() == ["day_of_week"]
    assert after["degraded_reason"].unique().to_list() == ["prophet_mean: Prophet failed: no luck"]


def test_without_any_known_hour_there_is_no_forecast_in_the_same_columns(
    panel: pl.DataFrame, result: DemandForecast
) -> None:
    empty = nightly.forecast_demand(panel.clear(), AS_OF, KOREA)
    for name in ("forecasts", "scores", "selections"):
        assert getattr(empty, name).is_empty()
        assert getattr(empty, name).schema == getattr(result, name).schema, name


def test_toronto_forecasts_across_a_clock_change() -> None:
    toronto: Profile = profiles.load("toronto")
    as_of = datetime(2026, 10, 31, 9, 15, tzinfo=UTC)
    shift = as_of.replace(minute=0) - AS_OF.replace(minute=0)
    zone = "America/Toronto"
    frame = hourly({("T-001", "police"): 1.0}, days=60).with_columns(pl.col("hour_start_at") + shift)
    local = pl.col("hour_start_at").dt.convert_time_zone(zone)
    frame = frame.with_columns(
        local.dt.date().alias("local_date"),
        local.dt.hour().cast(pl.Int32).alias("local_hour"),
        pl.col("area_id").replace("11", "TOR"),
    )
    forecasts = nightly.forecast_demand(frame, as_of, toronto).forecasts
    hours = forecasts.filter(pl.col("frequency") == "h", pl.col("area_id") == "TOR", ~pl.col("is_baseline"))
    assert hours.height == 168 and hours["target_start"].n_unique() == 168
    published = forecasts.filter(~pl.col("is_baseline"), pl.col("frequency") == "h")
    part = published.filter(pl.col("area_id") == "T-001").sort("target_start")["mean"]
    np.testing.assert_allclose(hours.sort("target_start")["mean"], part, rtol=1e-9)
    day = pl.col("target_start").dt.convert_time_zone(zone).dt.date()
    whole = hours.group_by(day).agg(pl.col("mean").sum(), pl.len()).filter(pl.col("len") >= 24)
    assert 25 in whole["len"], "clocks go back on the first day"
    days = forecasts.filter(~pl.col("is_baseline"), pl.col("frequency") == "D", pl.col("area_id") == "TOR")
    both = whole.join(days.with_columns(day), on="target_start", suffix="_day")
    np.testing.assert_allclose(both["mean"], both["mean_day"], rtol=1e-9)


def stations(panel: pl.DataFrame) -> pl.DataFrame:
    """Two ambulance stations, each with its district's calls, two units to a call."""
    ems = panel.filter(pl.col("service") == "ems", pl.col("area_id") != "11")
    units = 2 * pl.col("calls")
    return ems.with_columns(
        pl.format("F-{}", "area_id").alias("area_id"),
        pl.lit("fire").alias("hierarchy"),
        pl.lit("station").alias("area_level"),
        units.alias("dispatches"),
        units.alias("releasable_dispatches"),
    )


def test_stations_and_units_sent_have_forecasts_of_their_own_and_change_no_other(
    panel: pl.DataFrame, result: DemandForecast
) -> None:
    built = nightly.forecast_demand(pl.concat([panel, stations(panel)]), AS_OF, KOREA)
    # To the last quantile: draws know a series by its place in the panel, and areas of the stations' tree come last.
    assert built.forecasts.filter(pl.col("hierarchy") == "admin").equals(result.forecasts)
    assert built.selections.filter(pl.col("hierarchy") == "admin").equals(result.selections)
    assert built.scores.filter(pl.col("area_level") != "station").equals(result.scores)
    hours = built.forecasts.filter(
        pl.col("hierarchy") == "fire", pl.col("frequency") == "h", pl.col("model") == "seasonal_naive"
    )
    calls, units = (hours.filter(pl.col("measure") == name) for name in ("calls", "dispatches"))
    assert calls.height == 2 * 168 and (2 * calls["mean"]).equals(units["mean"])
    assert set(built.scores.select("measure", "area_level").unique().rows()) == {
        ("calls", "region"), ("calls", "district"), ("calls", "station"), ("dispatches", "station"),
    }  # fmt: skip
    days = built.forecasts.filter(pl.col("hierarchy") == "fire", pl.col("frequency") == "D")
    assert set(days["model"]) == {"day_of_week", "seasonal_naive", reconciliation.MODEL}
    scaled = days.filter(pl.col("is_reconciled"))
    assert scaled.height and set(scaled.select("model", "method").unique().rows()) == {("day_of_week", nightly.SIMPLE)}
    table = days.filter(pl.col("model") == "day_of_week", "is_baseline")
    keys = ["area_id", "measure", "target_start"]
    assert scaled.join(table, on=keys).height == scaled.height, "the table itself is there next to what was adjusted"
    is_hour = (pl.col("frequency") == "h") & (pl.col("measure") == "calls") & ~pl.col("is_baseline")
    assert built.scores.filter(is_hour, pl.col("area_level") == "station")["skill"].item() != 0


def test_a_selection_of_this_week_is_reused_and_an_older_one_is_not(
    panel: pl.DataFrame, result: DemandForecast
) -> None:
    def again(days: int, selections: pl.DataFrame) -> DemandForecast:
        selected_at = pl.col("selected_at") - timedelta(days=days)
        table = pl.col("frequency").replace(TABLE).alias("model")
        shifted = selections.unique(["frequency", "area_id", "service", "measure", "origin_at"])
        kept = Kept(shifted.with_columns(selected_at, table, model_weight=1.0), result.scores, result.past)
        return nightly.forecast_demand(panel, AS_OF, KOREA, kept=kept)

    kept = again(6, result.selections)
    published = kept.forecasts.filter(~pl.col("is_baseline"))
    assert set(published["model"]) == {"hour_of_week", "day_of_week", reconciliation.MODEL}
    assert kept.selections["selected_at"].unique().to_list() == [AS_OF - timedelta(days=6)]
    reselected = again(7, result.selections)
    assert reselected.forecasts.equals(result.forecasts) and reselected.selections.equals(result.selections)
    assert again(1, result.selections.filter(pl.col("area_id") != "11020")).selections.equals(result.selections)


def earlier(result: DemandForecast, days: int = 3) -> Kept:
    """What a night some days earlier has issued, by the forecast of tonight."""
    ago = timedelta(days=days)
    return Kept(
        result.selections.with_columns(pl.col("selected_at", "reference_at") - ago),
        result.scores.with_columns(pl.col("reference_at") - ago),
        result.past,
    )


def test_a_night_that_reuses_forecasts_runs_models_only_ahead_and_issues_the_same(
    panel: pl.DataFrame, result: DemandForecast, monkeypatch: pytest.MonkeyPatch
) -> None:
    cutoffs: list[int] = []
    run, add_up = rolling_origin.run, reconciliation.add_up

    def watched(models: Any, history: Any, targets: pl.DataFrame) -> pl.DataFrame:
        cutoffs.append(targets["cutoff"].n_unique())
        return run(models, history, targets)

    def drawn(family: reconciliation.Family, at: list[datetime], *rest: Any) -> reconciliation.Sums:
        cutoffs.append(len(at))
        return add_up(family, at, *rest)

    monkeypatch.setattr(rolling_origin, "run", watched)
    monkeypatch.setattr(reconciliation, "add_up", drawn)
    again = nightly.forecast_demand(panel, AS_OF, KOREA, kept=earlier(result))
    assert cutoffs == [1] * 6, "hours and days: one run of the models, and sums of two services"
    keys = ["frequency", "service", "area_id", "target_start", "model", "is_baseline"]
    assert_frame_equal(again.forecasts, result.forecasts.sort(keys, maintain_order=True), check_row_order=False)
    assert again.past.is_empty() and not result.past.is_empty()


def test_reused_scores_are_frozen_while_the_selection_is(panel: pl.DataFrame, result: DemandForecast) -> None:
    kept = earlier(result)
    kept = replace(kept, scores=kept.scores.with_columns(mae=pl.lit(7.0)))
    again = nightly.forecast_demand(panel, AS_OF, KOREA, kept=kept)
    assert again.scores.equals(result.scores.with_columns(mae=pl.lit(7.0)))


@pytest.mark.parametrize("lacking", ["scores", "past"])
def test_without_the_scores_or_past_forecasts_of_the_selection_models_compete(
    panel: pl.DataFrame, result: DemandForecast, lacking: str
) -> None:
    kept = earlier(result)
    parts = {"scores": replace(kept, scores=result.scores), "past": replace(kept, past=result.past.clear())}
    again = nightly.forecast_demand(panel, AS_OF, KOREA, kept=parts[lacking])
    assert again.selections.equals(result.selections) and again.scores.equals(result.scores)


@pytest.mark.slow
def test_days_are_scored_at_eight_origins_whose_whole_horizon_has_passed(result: DemandForecast) -> None:
    """The oldest origins of 150 days of history have no forecast; the first week is published as sums of hours."""
    days = result.scores.filter(pl.col("frequency") == "D", pl.col("area_level") == "region")
    origins = days["targets"].unique().to_list()
    assert len(origins) == 1 and origins[0] % (84 - 7) == 0 and 1 < origins[0] // (84 - 7) <= nightly.SCORED


@pytest.mark.parametrize(
    ("horizon", "scored", "days_back"),
    [
        (84, 1, [168, 140, 112, 84, 56, 28]),
        (84, 3, [196, 168, 140, 112, 98, 84, 56, 28]),
        (28, 1, [112, 84, 56, 28]),
        (10, 2, [45, 35, 25, 15, 10]),
    ],
)
def test_daily_origins_hold_those_that_are_scored_and_three_before_the_first(
    horizon: int, scored: int, days_back: list[int]
) -> None:
    end = datetime(2026, 3, 1)
    last = pl.DataFrame({"unique_id": [0], "cutoff": [end]}, schema_overrides={"cutoff": pl.Datetime("us")})
    origins = rolling_origin.daily_origins(last, horizon, scored)["cutoff"].unique().sort()
    assert [(end - cutoff).days for cutoff in origins] == days_back


# Issued forecasts, scored later


def test_units_sent_are_scored_against_units(panel: pl.DataFrame) -> None:
    both = pl.concat([panel, stations(panel)])
    forecasts = nightly.forecast_demand(both, AS_OF, KOREA).forecasts.filter(pl.col("frequency") == "h")
    ahead = pl.col("hour_start_at") + timedelta(days=7)
    later = both.with_columns(ahead, pl.col("local_date") + timedelta(days=7))
    outcomes = issued.Outcomes.of(later, AS_OF - timedelta(days=1))
    when = AS_OF + timedelta(days=7)
    scores = issued.score_issued(forecasts, outcomes, when, KOREA, {})
    naive = scores.filter(pl.col("model") == "seasonal_naive")
    # Last week's week comes again, so that last week's counts are right to the call and to the unit.
    assert naive["mae"].unique().to_list() == [0.0]
    assert set(naive["measure"]) == {"calls", "dispatches"}


def test_issued_forecasts_are_scored_once_their_hours_are_known(result: DemandForecast) -> None:
    later = AS_OF + timedelta(days=3)
    shifted = hourly({("11010", "ems"): 0.6, ("11020", "ems"): 0.3, ("11010", "fire"): 0.01, ("11020", "fire"): 0.005})
    shifted = shifted.with_columns(
        pl.col("hour_start_at") + timedelta(days=3), pl.col("local_date") + timedelta(days=3)
    )
    scores = issued.score_issued(result.forecasts, issued.Outcomes.of(shifted), later, KOREA, {"fire": AS_OF})
    assert scores.columns == list(tables.SCORE_COLUMNS)
    assert scores["origin_kind"].unique().to_list() == ["issued"]
    assert scores["service"].unique().to_list() == ["ems"]
    table = scores.filter(pl.col("model") == "hour_of_week", pl.col("area_level") == "district").row(0, named=True)
    assert table["targets"] == 2 * (3 * 24 - 1)
    assert 0.9 < table["expected_coverage_80"] < 1 and 0.85 < table["coverage_80"] <= 1
    days = scores.filter(pl.col("frequency") == "D", pl.col("area_level") == "region", ~pl.col("is_baseline"))
    assert days["targets"].to_list() == [2]


def test_nothing_is_scored_before_it_is_known(result: DemandForecast, panel: pl.DataFrame) -> None:
    assert issued.score_issued(result.forecasts, issued.Outcomes.of(panel), AS_OF, KOREA, {}).is_empty()


def test_a_service_that_was_never_fetched_has_no_forecast_and_harms_no_other(panel: pl.DataFrame) -> None:
    never = Known(through={"fire": datetime(1970, 1, 1, tzinfo=UTC)}, degraded={"fire": "never fetched"})
    built = nightly.forecast_demand(panel, AS_OF, KOREA, never)
    assert built.forecasts["service"].unique().to_list() == ["ems"]
    assert built.scores["service"].unique().to_list() == ["ems"]


@pytest.mark.parametrize("days", [30, DAYS])
def test_a_service_without_any_call_is_forecast_as_nearly_none(days: int) -> None:
    quiet = hourly({("11010", "ems"): 0.0}, days=days)
    forecasts = nightly.forecast_demand(quiet, AS_OF, KOREA).forecasts
    assert forecasts["mean"].max() < 0.1
    assert forecasts["q0.9"].max() == 0


def test_a_service_without_a_row_has_no_forecast_and_harms_no_other(panel: pl.DataFrame) -> None:
    unfetched = panel.filter(pl.col("service") != "fire")
    known = Known({"fire": datetime(1970, 1, 1, tzinfo=UTC)}, {"fire": "never fetched"})
    built = nightly.forecast_demand(unfetched, AS_OF, KOREA, known)
    assert built.forecasts["service"].unique().to_list() == ["ems"]
    assert built.forecasts["degraded_reason"].null_count() == built.forecasts.height
    assert built.forecasts["data_as_of"].unique().to_list() == [AS_OF.replace(minute=0)]


@pytest.mark.parametrize("hours_known", [3, 30, 24 * 100])
def test_a_service_whose_rows_end_early_is_known_to_there_and_others_to_as_of(
    panel: pl.DataFrame, result: DemandForecast, hours_known: int
) -> None:
    start = AS_OF.replace(minute=0) - timedelta(days=DAYS)
    edge = start + timedelta(hours=hours_known)
    is_fire = pl.col("service") == "fire"
    built = nightly.forecast_demand(panel.filter(~is_fire | (pl.col("hour_start_at") < edge)), AS_OF, KOREA)
    fire = built.forecasts.filter(is_fire)
    assert fire["data_as_of"].unique().to_list() == [edge]
    assert fire.filter(pl.col("frequency") == "h", ~pl.col("is_baseline")).height == 3 * 168
    ems = built.forecasts.filter(~is_fire)
    assert ems["data_as_of"].unique().to_list() == [AS_OF.replace(minute=0)]
    # Levels are moved by what the ranges of all services missed, and means by boosting, which learns from all services
    # that are known equally far.
    is_own = pl.col("is_baseline")
    single, two = (frame.filter(~is_fire) for frame in (built.forecasts, result.forecasts))
    ranges = (*COLUMNS, "dispersion", "calibration_map")
    assert single.filter(is_own).drop(ranges).equals(two.filter(is_own).drop(ranges))
    errors = ["frequency", "service", "area_level", "model", "targets", "mae", "mase", "rmsse", "bias"]
    floors = [frame.filter(~is_fire, pl.col("is_baseline")).select(errors) for frame in (built.scores, result.scores)]
    assert floors[0].height == 8 and floors[0].equals(floors[1])
    near = [frame.filter(~is_own)["mean"] for frame in (single, two)]
    assert near[0].to_numpy() == pytest.approx(near[1].to_numpy(), rel=0.3)
    assert near[0].sum() == pytest.approx(near[1].sum(), rel=0.02)  # type: ignore[operator]


def test_a_few_hours_of_history_give_no_days_and_no_error() -> None:
    few = hourly({("11010", "ems"): 2.0}, days=1).filter(pl.col("hour_start_at") >= AS_OF - timedelta(hours=5))
    built = nightly.forecast_demand(few, AS_OF, KOREA)
    assert built.forecasts["frequency"].unique().to_list() == ["h"]
    assert built.scores.columns == list(tables.SCORE_COLUMNS)


def test_issued_forecasts_of_a_service_without_rows_wait_for_their_score(
    result: DemandForecast, panel: pl.DataFrame
) -> None:
    later = panel.with_columns(pl.col("hour_start_at") + timedelta(days=3), pl.col("local_date") + timedelta(days=3))
    outcomes = issued.Outcomes.of(later.filter(pl.col("service") == "ems"))
    scores = issued.score_issued(result.forecasts, outcomes, AS_OF + timedelta(days=3), KOREA, {})
    assert scores["service"].unique().to_list() == ["ems"]
    nothing = issued.Outcomes.of(panel.clear())
    assert issued.score_issued(result.forecasts, nothing, AS_OF + timedelta(days=3), KOREA, {}).is_empty()
