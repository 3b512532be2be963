"""The nightly risk forecast on a toy region."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines import profile as profiles
from pipelines.forecast.risk import nightly

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
    return pl.concat([risk, coarse], how="vertical_relaxed")


def crime(days: int = 200, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    place = np.where(rng.random(1_500) < 0.4, rng.choice([17, 111, 205, 390], 1_500), rng.integers(0, SIDE**2, 1_500))
    rows = pl.DataFrame(
        {
            "cell_id": [f"c{i:03d}" for i in place],
            "category": rng.choice(["burglary", "theft"], 1_500),
            "local_date": [TODAY - timedelta(days=int(d)) for d in rng.integers(1, days, 1_500)],
        }
    )
    return rows.group_by(rows.columns).len("incidents").cast({"incidents": pl.Int64})


@pytest.fixture(scope="module")
def result() -> nightly.RiskForecast:
    return nightly.forecast_risk(crime(), cells(), AS_OF, KOREA)


def test_every_risk_cell_and_category_is_ranked_and_one_percent_selected(result: nightly.RiskForecast) -> None:
    frame = result.forecasts
    assert frame.columns == list(nightly.FORECAST_COLUMNS)
    for (_,), one in frame.group_by("category"):
        assert sorted(one["rank"]) == list(range(1, SIDE**2 + 1))
        assert one.filter("is_selected")["rank"].to_list() == [1, 2, 3, 4]


def test_the_week_begins_at_the_next_local_midnight(result: nightly.RiskForecast) -> None:
    assert result.forecasts["target_start"].unique().to_list() == [datetime(2026, 3, 3, 15, tzinfo=UTC)]
    assert result.forecasts["target_end"].unique().to_list() == [datetime(2026, 3, 10, 15, tzinfo=UTC)]


def test_expected_counts_add_up_to_a_usual_week(result: nightly.RiskForecast) -> None:
    weekly = result.forecasts.group_by("category").agg(pl.col("expected").sum(), pl.col("baseline_expected").sum())
    usual = crime().filter(pl.col("category") == "theft")["incidents"].sum() / 200 * 7
    theft = weekly.filter(pl.col("category") == "theft").row(0, named=True)
    assert theft["expected"] == pytest.approx(usual, rel=0.15)
    assert theft["baseline_expected"] == pytest.approx(usual, rel=0.15)


def test_the_busy_cells_are_selected_and_the_score_says_so(result: nightly.RiskForecast) -> None:
    selected = result.forecasts.filter("is_selected")["cell_id"].unique().sort().to_list()
    assert selected == ["c017", "c111", "c205", "c390"]
    row = result.scores.filter(pl.col("category") == "theft", pl.col("model") == "decayed_counts").row(0, named=True)
    assert row["area_share"] == pytest.approx(0.01)
    assert row["pai"] == pytest.approx(row["hit_rate"] / 0.01) and row["pai"] > 30


def test_nothing_after_what_is_known_changes_a_forecast(result: nightly.RiskForecast) -> None:
    later = pl.DataFrame({"cell_id": ["c002"], "category": ["theft"], "local_date": [TODAY], "incidents": [900]})
    again = nightly.forecast_risk(pl.concat([crime(), later]), cells(), AS_OF, KOREA)
    assert again.forecasts.equals(result.forecasts)
    assert again.scores.equals(result.scores)


def test_a_stale_feed_is_read_to_its_edge_and_said() -> None:
    edge = AS_OF - timedelta(days=5)
    frame = nightly.forecast_risk(crime(), cells(), AS_OF, KOREA, edge, "feed police_112 is stale").forecasts
    cut = nightly.forecast_risk(crime().filter(pl.col("local_date") < date(2026, 2, 26)), cells(), AS_OF, KOREA, edge)
    assert frame["degraded_reason"].unique().to_list() == ["feed police_112 is stale"]
    assert frame["data_as_of"].unique().to_list() == [edge]
    assert frame["expected"].to_list() == cut.forecasts["expected"].to_list()


def test_old_late_reports_do_not_stretch_what_is_known() -> None:
    old = pl.DataFrame({"cell_id": ["c001"], "category": ["theft"], "local_date": [date(1966, 6, 9)], "incidents": [1]})
    one, two = (
        nightly.forecast_risk(frame, cells(), AS_OF, KOREA).forecasts["expected"].sum()
        for frame in (crime(), pl.concat([crime(), old]))
    )
    assert two == pytest.approx(one, rel=0.05)


def test_no_incident_gives_empty_frames_of_the_right_shape() -> None:
    empty = nightly.forecast_risk(crime().clear(), cells(), AS_OF, KOREA)
    assert empty.forecasts.columns == list(nightly.FORECAST_COLUMNS) and empty.forecasts.is_empty()
    assert empty.scores.columns == list(nightly.SCORE_COLUMNS)


def test_issued_risk_is_scored_when_its_week_is_over(result: nightly.RiskForecast) -> None:
    outcome = pl.DataFrame(
        {
            "cell_id": ["c017", "c111", "c300", "c017"],
            "category": "theft",
            "local_date": [date(2026, 3, 4), date(2026, 3, 10), date(2026, 3, 7), date(2026, 3, 11)],
            "incidents": [3, 1, 4, 50],
        }
    )
    over = datetime(2026, 3, 10, 15, tzinfo=UTC)
    scores = nightly.score_issued(result.forecasts, outcome, over, KOREA)
    theft = scores.filter(pl.col("category") == "theft", pl.col("model") == "decayed_counts").row(0, named=True)
    assert (theft["incidents"], theft["hits"], theft["hit_rate"], theft["origin_kind"]) == (8, 4, 0.5, "issued")
    none = scores.filter(pl.col("category") == "burglary", pl.col("model") == "counts").row(0, named=True)
    assert (none["incidents"], none["hit_rate"], none["pai"]) == (0, None, None)
    assert nightly.score_issued(result.forecasts, outcome, over - timedelta(hours=1), KOREA).is_empty()
