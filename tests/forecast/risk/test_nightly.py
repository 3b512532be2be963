"""The nightly risk forecast on a toy region."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from pipelines.config import profile as profiles
from pipelines.forecast.risk import issued, nightly
from pipelines.forecast.risk.cell_hours import nightly as slot_week
from pipelines.forecast.risk.evaluation import rolling
from pipelines.forecast.risk.evaluation.rolling import CategoryLists, Lists
from pipelines.forecast.risk.history import day_number

KOREA = profiles.load("korea")
AS_OF = datetime(2026, 3, 2, 20, 15, tzinfo=UTC)  # 3 March, 05:15 in Seoul
TODAY = date(2026, 3, 3)
SIDE = 20


def cells() -> pl.DataFrame:
    y, x = np.divmod(np.arange(SIDE * SIDE), SIDE)
    risk = pl.DataFrame(
        {"cell_id": [f"c{i:03d}" for i in range(SIDE * SIDE)], "cell_metres": 100, "x_m": x * 100, "y_m": y * 100}
    )
    coarse = pl.DataFrame({"cell_id": ["m0"], "cell_metres": [1000], "x_m": [0], "y_m": [0]})
    half = pl.when(pl.col("y_m") < 1000).then(pl.lit("P-south")).otherwise(pl.lit("P-north"))
    return pl.concat([risk, coarse], how="vertical_relaxed").with_columns(half.alias("police_area_id"))


def crime(days: int = 400, seed: int = 1) -> pl.DataFrame:
    """``marts.crime_points``: known at noon of the next day."""
    rng = np.random.default_rng(seed)
    place = np.where(rng.random(1_500) < 0.4, rng.choice([17, 111, 205, 390], 1_500), rng.integers(0, SIDE**2, 1_500))
    rows = pl.DataFrame(
        {
            "cell_id": [f"c{i:03d}" for i in place],
            "category": rng.choice(["burglary", "theft"], 1_500),
            "occurrence_date": [TODAY - timedelta(days=int(d)) for d in rng.integers(1, days, 1_500)],
        }
    )
    return known(rows)


def known(rows: pl.DataFrame) -> pl.DataFrame:
    day, never = pl.col("occurrence_date").cast(pl.Datetime("us", "UTC")), pl.lit(None, pl.Datetime("us", "UTC"))
    return rows.with_columns(
        occurred_at=day, occurred_until=never, known_at=day + pl.duration(hours=27), superseded_at=never
    )


def daily(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("cell_id", "category", "occurrence_date").agg(incidents=pl.len().cast(pl.Int64))


@pytest.fixture(scope="module")
def result() -> nightly.RiskForecast:
    return nightly.forecast_risk(crime(), cells(), AS_OF, KOREA)


def test_every_risk_cell_and_category_is_ranked_and_one_percent_selected(result: nightly.RiskForecast) -> None:
    frame = result.forecasts
    assert frame.columns == list(nightly.FORECAST_COLUMNS)
    for _, single in frame.group_by("category", "window"):
        assert sorted(single["rank"]) == list(range(1, SIDE**2 + 1))
        assert single.filter("is_selected")["rank"].to_list() == [1, 2, 3, 4]


def test_every_window_begins_at_the_next_local_midnight(result: nightly.RiskForecast) -> None:
    assert result.forecasts["target_start"].unique().to_list() == [datetime(2026, 3, 3, 15, tzinfo=UTC)]
    ends = result.forecasts.select("window", "target_end").unique().sort("target_end").rows()
    assert ends == [
        (name, datetime(2026, 3, 3, 15, tzinfo=UTC) + timedelta(days=days)) for name, days in nightly.WINDOWS.items()
    ]


def test_the_backtest_has_the_lead_of_the_issue_and_ends_with_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[tuple[list[tuple[int, int]], int]] = []

    def watched(lists: Lists, windows: list[tuple[int, int]], *rest: Any) -> Any:
        reported.append((windows, lists.lead))
        return score(lists, windows[:1], *rest)

    score = Lists.score
    monkeypatch.setattr(Lists, "score", watched)
    issued = nightly.forecast_risk(crime(), cells(), AS_OF, KOREA).forecasts
    (windows, lead), unknown = reported[0], day_number(TODAY)
    first = issued["target_start"].dt.convert_time_zone(KOREA.time_zone).dt.date()[0]
    assert lead == day_number(first) - unknown == 1
    assert unknown - 28 < windows[-1][0] + lead + windows[-1][1] <= unknown


def test_what_the_backtest_scores_at_an_origin_is_what_the_run_of_that_night_issues() -> None:
    """Cell by cell: the list of an earlier night against the one that a later night's backtest scores there."""
    origin = day_number(TODAY) - 1 - (day_number(TODAY) - 1 - 4) % 28 - 28
    night = AS_OF - timedelta(days=day_number(TODAY) - origin)
    before = crime(days=560)
    risk_cells = nightly._risk_cells(cells(), KOREA)
    placed = nightly._placed(slot_week.with_slots(before, KOREA), risk_cells, KOREA)
    past = nightly._history(placed, risk_cells, day_number(TODAY), KOREA, None)
    lists = Lists(past, 4, nightly.LEAD_DAYS)
    assert (origin, 28) == rolling.due_windows(past, day_number(TODAY), nightly.LEAD_DAYS)[-1]
    scored = lists.issue(origin, lists.choose(origin))
    then = nightly.forecast_risk(before, cells(), night, KOREA).forecasts.filter(window="day")
    for category, frame in scored.items():
        issued = then.filter(category=category).sort("rank")
        assert issued["cell_id"].to_list() == risk_cells["cell_id"].gather(frame["cell"]).to_list()
        for column in ("expected", "baseline_expected", "is_selected", "ranking_method"):
            assert issued[column].to_list() == frame[column].to_list()


def kept(of: nightly.RiskForecast) -> nightly.Kept:
    return nightly.Kept(of.choices, of.scores, of.curves, of.calibration, of.slots.scores, of.patrol.scores)


def frames(of: nightly.RiskForecast) -> list[pl.DataFrame]:
    parts = [of.forecasts, of.scores, of.curves, of.calibration, of.slots.forecasts, of.slots.scores, of.choices]
    return [*parts, of.patrol.forecasts, of.patrol.scores]


def test_until_the_next_month_is_due_nights_share_the_backtest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next month ends with 16 March 2026: the night of the 17th is the first that knows all of it."""
    nights = [AS_OF + timedelta(days=day) for day in (0, 13, 14)]
    first, second, due = (nightly.forecast_risk(crime(), cells(), night, KOREA) for night in nights)
    tried: list[int] = []
    trial = CategoryLists.trial

    def watched(lists: CategoryLists, origin: int) -> Any:
        tried.append(origin)
        return trial(lists, origin)

    monkeypatch.setattr(CategoryLists, "trial", watched)
    again = nightly.forecast_risk(crime(), cells(), nights[1], KOREA, kept=kept(first))
    assert tried == []
    assert second.scores.drop("reference_at").equals(first.scores.drop("reference_at"))
    assert all(single.equals(two) for single, two in zip(frames(again), frames(second), strict=True))
    afterwards = nightly.forecast_risk(crime(), cells(), nights[2], KOREA, kept=kept(again))
    assert len(tried) > 0
    assert all(single.equals(two) for single, two in zip(frames(afterwards), frames(due), strict=True))
    assert not due.scores.drop("reference_at").equals(first.scores.drop("reference_at"))


def test_incidents_that_arrive_later_change_no_reused_score(result: nightly.RiskForecast) -> None:
    then = pl.col("occurrence_date") == TODAY - timedelta(days=30)
    late = crime().filter(then).with_columns(known_at=pl.lit(AS_OF - timedelta(hours=9)).cast(pl.Datetime("us", "UTC")))
    more = pl.concat([crime(), late])
    scratch = nightly.forecast_risk(more, cells(), AS_OF, KOREA)
    again = nightly.forecast_risk(more, cells(), AS_OF, KOREA, kept=kept(result))
    assert again.scores.equals(result.scores) and again.slots.scores.equals(result.slots.scores)
    assert not scratch.scores.equals(result.scores)


def test_a_backtest_of_other_cells_method_or_night_is_not_reused(
    result: nightly.RiskForecast, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = kept(result)
    fingerprint = result.choices["fingerprint"][0]
    assert stored.fits(fingerprint)
    assert not replace(stored, scores=stored.issued_at(AS_OF - timedelta(days=1)).scores).fits(fingerprint)
    fewer = nightly.forecast_risk(crime(), cells().filter(pl.col("cell_id") != "c000"), AS_OF, KOREA)
    longer = KOREA.model_copy(update={"patrol": KOREA.patrol.model_copy(update={"areas": 5})})
    planned = nightly.forecast_risk(crime(), cells(), AS_OF, longer)
    monkeypatch.setattr(nightly, "METHOD", nightly.METHOD + 1)
    other = nightly.forecast_risk(crime(), cells(), AS_OF, KOREA)
    assert not stored.fits(fewer.choices["fingerprint"][0])
    assert not stored.fits(planned.choices["fingerprint"][0])
    assert not stored.fits(other.choices["fingerprint"][0])


def test_a_small_region_has_one_cell_selected() -> None:
    few = crime(days=100).filter(pl.col("cell_id") < "c040")
    issued = nightly.forecast_risk(few, cells().head(40), AS_OF, KOREA).forecasts.filter(window="week")
    assert issued.group_by("category").agg(pl.col("is_selected").sum()).sort("category").rows() == [
        ("burglary", 1),
        ("theft", 1),
    ]


@pytest.mark.slow
def test_one_thread_and_two_give_the_same_result(result: nightly.RiskForecast) -> None:
    alone = nightly.forecast_risk(crime(), cells(), AS_OF, KOREA, threads=1)
    assert alone.forecasts.equals(result.forecasts) and alone.scores.equals(result.scores)


def test_ranks_are_the_same_in_every_window(result: nightly.RiskForecast) -> None:
    assert result.forecasts.group_by("category", "cell_id").agg(pl.col("rank").n_unique())["rank"].max() == 1


def test_expected_counts_sum_to_a_usual_week(result: nightly.RiskForecast) -> None:
    weekly = (
        result.forecasts.filter(window="week")
        .group_by("category")
        .agg(pl.col("expected").sum(), pl.col("baseline_expected").sum())
    )
    usual = crime().filter(pl.col("category") == "theft").height / 400 * 7
    theft = weekly.filter(pl.col("category") == "theft").row(0, named=True)
    assert theft["expected"] == pytest.approx(usual, rel=0.2)
    assert theft["baseline_expected"] == pytest.approx(usual, rel=0.2)


def test_busy_cells_are_selected_and_scores_reflect_it(result: nightly.RiskForecast) -> None:
    selected = result.forecasts.filter("is_selected")["cell_id"].unique().sort().to_list()
    assert selected == ["c017", "c111", "c205", "c390"]
    of_theft = result.scores.filter(category="theft", model="stack").sort("area_share")
    assert of_theft["area_share"].to_list() == pytest.approx([0.005, 0.01, 0.05])
    row = of_theft.row(1, named=True)
    assert row["pai"] == pytest.approx(row["hit_rate"] / 0.01) and row["pai"] > 30


def test_the_curve_and_the_calibration_are_of_the_same_months_as_the_scores(result: nightly.RiskForecast) -> None:
    score = result.scores.filter(category="theft", model="stack").sort("area_share").row(1, named=True)
    curve = result.curves.filter(category="theft", model="stack").sort("area_share")
    assert curve.columns == list(nightly.CURVE_COLUMNS) and set(result.curves["window"]) == {"month"}
    # The issued list is the one selected for its share of the area, where both agree.
    issued_at = curve.filter(pl.col("area_share").is_between(0.0099, 0.0101)).row(0, named=True)
    assert [issued_at[name] for name in ("hits", "incidents", "origins")] == [
        score[name] for name in ("hits", "incidents", "origins")
    ]
    bands = result.calibration.filter(category="theft", model="stack").sort("band")
    assert bands.columns == list(nightly.CALIBRATION_COLUMNS) and bands["band"].to_list() == list(range(11))
    assert bands["incidents"].to_list()[0] == bands["incidents"][1:].sum() == score["incidents"]
    assert bands["calibration_ratio"].to_list()[0] == pytest.approx(1, abs=0.25)


def test_a_hundredth_of_all_cells_and_slots_is_selected_for_the_coming_week(result: nightly.RiskForecast) -> None:
    frame, scores = result.slots.forecasts, result.slots.scores
    assert frame.schema == pl.Schema(slot_week.FORECAST) and scores.schema == pl.Schema(slot_week.SCORES)
    for name in ("rank", "baseline_rank"):
        for _, single in frame.filter(pl.col(name).is_not_null()).group_by("category"):
            assert sorted(single[name]) == list(range(1, SIDE**2 * 84 // 100 + 1))
    assert frame["slot_start"].min() >= datetime(2026, 3, 3, 15, tzinfo=UTC)  # type: ignore[operator]
    assert frame["slot_end"].max() <= datetime(2026, 3, 10, 15, tzinfo=UTC)  # type: ignore[operator]
    # Every incident of the toy region happens at nine in the morning.
    assert frame.filter(pl.col("rank") == 1)["hour"].to_list() == [8, 8]
    assert set(frame.filter(pl.col("rank") == 1)["cell_id"]) <= {"c017", "c111", "c205", "c390"}
    of_theft = scores.filter(category="theft", model="slots").row(0, named=True)
    assert of_theft["pai"] == pytest.approx(of_theft["hit_rate"] / 0.01) and of_theft["pai"] > 30


def test_the_order_of_cells_and_records_changes_nothing() -> None:
    few = crime(days=250)
    sorted_rows = nightly.forecast_risk(few, cells(), AS_OF, KOREA)
    shuffled = nightly.forecast_risk(
        few.sample(few.height, shuffle=True, seed=1), cells().sample(401, shuffle=True, seed=2), AS_OF, KOREA
    )
    assert shuffled.forecasts.equals(sorted_rows.forecasts)
    assert shuffled.slots.forecasts.equals(sorted_rows.slots.forecasts)


def test_under_a_year_of_records_the_method_states_that_the_count_is_used() -> None:
    short = nightly.forecast_risk(crime(days=270), cells(), AS_OF, KOREA)
    for method in short.forecasts["ranking_method"].unique():
        assert method == "count; under a year of history"
    for method in short.slots.forecasts["ranking_method"].unique():
        assert method.startswith("count_decayed; under a year of history; hours learnt from")


def test_rows_of_a_short_history_say_why_they_are_degraded(result: nightly.RiskForecast) -> None:
    assert result.forecasts["degraded_reason"].is_null().all()
    young = nightly.forecast_risk(crime(days=200), cells(), AS_OF, KOREA)
    for frame in (young.forecasts, young.slots.forecasts):
        theft = frame.filter(pl.col("category") == "theft")["degraded_reason"].unique().to_list()
        assert theft == ["theft has 199 known days, fewer than the 364 that a ranking by more than a count needs"]


def test_records_after_the_known_ones_do_not_change_a_forecast(result: nightly.RiskForecast) -> None:
    later = known(pl.DataFrame({"cell_id": ["c002"] * 900, "category": "theft", "occurrence_date": TODAY}))
    again = nightly.forecast_risk(pl.concat([crime(), later]), cells(), AS_OF, KOREA)
    assert again.forecasts.equals(result.forecasts) and again.scores.equals(result.scores)
    assert again.slots.forecasts.equals(result.slots.forecasts) and again.slots.scores.equals(result.slots.scores)
    assert again.curves.equals(result.curves) and again.calibration.equals(result.calibration)


def test_a_stale_feed_is_read_to_its_end_and_reported() -> None:
    edge = AS_OF - timedelta(days=5)
    frame = nightly.forecast_risk(crime(), cells(), AS_OF, KOREA, edge, "feed police_112 is stale").forecasts
    cut = nightly.forecast_risk(
        crime().filter(pl.col("occurrence_date") < date(2026, 2, 26)), cells(), AS_OF, KOREA, edge
    )
    assert frame["degraded_reason"].unique().to_list() == ["feed police_112 is stale"]
    assert frame["data_as_of"].unique().to_list() == [edge]
    assert frame["expected"].to_list() == cut.forecasts["expected"].to_list()


def test_old_late_reports_do_not_extend_the_known_history() -> None:
    old = known(pl.DataFrame({"cell_id": ["c001"], "category": ["theft"], "occurrence_date": [date(1966, 6, 9)]}))
    single, two = (
        nightly.forecast_risk(frame, cells(), AS_OF, KOREA).forecasts["expected"].sum()
        for frame in (crime(), pl.concat([crime(), old]))
    )
    assert two == pytest.approx(single, rel=0.05)


@pytest.mark.slow
def test_old_records_received_yesterday_do_not_change_past_scores(result: nightly.RiskForecast) -> None:
    """A backlog of two more years is delivered: the forecast may use it, no origin of the backtest may."""
    rng = np.random.default_rng(5)
    days = [date(2025, 1, 27) - timedelta(days=int(day)) for day in rng.integers(0, 730, 3_000)]
    cell = [f"c{number:03d}" for number in rng.integers(0, SIDE**2, 3_000)]
    backlog = known(pl.DataFrame({"cell_id": cell, "category": "theft", "occurrence_date": days})).with_columns(
        known_at=pl.lit(AS_OF - timedelta(days=1)).cast(pl.Datetime("us", "UTC"))
    )
    again = nightly.forecast_risk(pl.concat([crime(), backlog]), cells(), AS_OF, KOREA)
    assert again.scores.equals(result.scores)
    assert not again.forecasts.equals(result.forecasts)


def test_a_record_counts_under_its_category_at_each_origin() -> None:
    """A record reclassified last week is theft in the backtest and burglary in the forecast."""
    changed = TODAY - timedelta(days=5)
    old = crime().with_columns(
        superseded_at=pl.when(category="theft").then(pl.lit(changed).cast(pl.Datetime("us", "UTC")))
    )
    new = (
        crime()
        .filter(category="theft")
        .with_columns(category=pl.lit("burglary"), known_at=pl.lit(changed).cast(pl.Datetime("us", "UTC")))
    )
    risk_cells = nightly._risk_cells(cells(), KOREA)
    placed = nightly._placed(pl.concat([old, new]), risk_cells, KOREA)
    past = nightly._history(placed, risk_cells, day_number(TODAY), KOREA, None)
    thefts = (
        crime().filter(pl.col("category") == "theft", pl.col("occurrence_date") < TODAY - timedelta(days=12)).height
    )
    assert past.seen(day_number(TODAY) - 10).events["theft"].cell.size >= thefts
    assert past.seen(day_number(TODAY)).events["theft"].cell.size == 0
    assert past.seen(day_number(TODAY)).events["burglary"].cell.size > thefts


def test_no_incident_gives_empty_frames_of_the_right_shape() -> None:
    empty = nightly.forecast_risk(crime().clear(), cells(), AS_OF, KOREA)
    assert empty.forecasts.columns == list(nightly.FORECAST_COLUMNS) and empty.forecasts.is_empty()
    assert empty.scores.columns == list(nightly.SCORE_COLUMNS)
    assert empty.curves.columns == list(nightly.CURVE_COLUMNS)
    assert empty.calibration.columns == list(nightly.CALIBRATION_COLUMNS)
    assert empty.slots.forecasts.is_empty() and empty.slots.forecasts.schema == pl.Schema(slot_week.FORECAST)


def test_issued_risk_is_scored_when_its_week_is_over(result: nightly.RiskForecast) -> None:
    outcome = pl.DataFrame(
        {
            "cell_id": ["c017", "c111", "c300", "c017"],
            "category": "theft",
            "occurrence_date": [date(2026, 3, 4), date(2026, 3, 10), date(2026, 3, 7), date(2026, 3, 11)],
            "incidents": [3, 1, 4, 50],
        }
    )
    over = datetime(2026, 3, 10, 15, tzinfo=UTC)
    scores = issued.score_issued(result.forecasts, outcome, over, KOREA).filter(window="week")
    theft = scores.filter(category="theft", model="stack").row(0, named=True)
    assert (theft["incidents"], theft["hits"], theft["hit_rate"], theft["origin_kind"]) == (8, 4, 0.5, "issued")
    assert theft["pei_star"] == pytest.approx(4 / 8) and theft["origins"] == 1
    none = scores.filter(category="burglary", model="best_count").row(0, named=True)
    assert (none["incidents"], none["hit_rate"], none["pai"]) == (0, None, None)
    early = issued.score_issued(result.forecasts, outcome, over - timedelta(hours=1), KOREA)
    assert set(early["window"]) == {"day"}
