"""Lists of places as issued, and their scores once the month has passed."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import shapely

from pipelines.config import profile as profiles
from pipelines.forecast.risk import nightly as risk
from pipelines.forecast.risk.patrol import issued, nightly
from pipelines.forecast.risk.patrol.nightly import PatrolForecast

KOREA = profiles.load("korea")
AS_OF = datetime(2026, 3, 2, 20, 15, tzinfo=UTC)
TODAY = date(2026, 3, 3)
SIDE = 20
CORNER_X, CORNER_Y = 953_000, 1_952_000
"""A place in Seoul, EPSG:5179."""
BUSY = [105, 106, 125]


def cells() -> pl.DataFrame:
    """The grid of a square of two kilometres; its southern half is one station area, of the rest none is known."""
    y, x = np.divmod(np.arange(SIDE**2), SIDE)
    return pl.DataFrame(
        {
            "cell_id": [f"c{i:03d}" for i in range(SIDE**2)],
            "cell_metres": 100,
            "x_m": CORNER_X + x * 100,
            "y_m": CORNER_Y + y * 100,
            "police_area_id": ["P-1" if row < SIDE // 2 else None for row in y],
            "admin_area_id": ["D-1" if column < SIDE // 2 else "D-2" for column in x],
        }
    )


def crime(first: date, days: int, hour: int = 22, seed: int = 1) -> pl.DataFrame:
    """Two thefts a day at one local hour in the busy cells, one anywhere; known on the next day."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), 3)
    place = np.where(np.arange(day.size) % 3 < 2, rng.choice(BUSY, day.size), rng.integers(0, SIDE**2, day.size))
    rows = pl.DataFrame(
        {"cell_id": [f"c{i:03d}" for i in place], "occurrence_date": [first + timedelta(int(d)) for d in day]}
    )
    at = pl.col("occurrence_date").cast(pl.Datetime("us")).dt.offset_by(f"{hour}h")
    never = pl.lit(None, pl.Datetime("us", "UTC"))
    occurred = at.dt.replace_time_zone(KOREA.time_zone).dt.convert_time_zone("UTC")
    return rows.with_columns(
        pl.lit("theft").alias("category"), occurred.alias("occurred_at"), never.alias("occurred_until"),
        (occurred + timedelta(days=1)).alias("known_at"), never.alias("superseded_at"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def result() -> PatrolForecast:
    return risk.forecast_risk(crime(TODAY - timedelta(days=420), 420), cells(), AS_OF, KOREA).patrol


def test_the_first_place_joins_the_busy_cells_and_is_listed_in_both_shifts(result: PatrolForecast) -> None:
    first = result.forecasts.filter(rank=1)
    assert first.select("police_area_id", "shift").rows() == [("P-1", "police_day"), ("P-1", "police_night")]
    assert set(BUSY) <= {int(cell[1:]) for cell in first["cell_ids"][1]}
    night = first.row(1, named=True)
    assert night["expected"] == pytest.approx(2 * 28, rel=0.2)
    assert night["q0.1"] <= night["expected"] <= night["q0.9"]
    assert night["recent_hits"] >= 56 and first["recent_hits"][0] == 0


def test_a_list_has_no_more_places_than_planned_best_per_patrol_hour_first(result: PatrolForecast) -> None:
    assert result.forecasts.columns == list(nightly.FORECAST)
    for _, places in result.forecasts.group_by("shift"):
        assert places["rank"].to_list() == list(range(1, places.height + 1)) and places.height <= KOREA.patrol.areas
        assert places["expected_per_patrol_hour"].is_sorted(descending=True)
    row = result.forecasts.row(0, named=True)
    assert (row["visits"], row["planned_minutes"]) == (6, 90)
    assert row["expected_per_patrol_hour"] == pytest.approx(row["expected"] / (1.5 * 28))


def test_the_average_and_the_reach_refer_to_the_station_area(result: PatrolForecast) -> None:
    for row in result.forecasts.iter_rows(named=True):
        share = len(row["cell_ids"]) / (SIDE**2 / 2)
        assert row["base_expected"] == pytest.approx(row["station_expected"] * share)
        assert row["expected"] >= KOREA.patrol.least_ratio * row["base_expected"]
    reached = result.forecasts.group_by("shift").agg(pl.col("expected").sum(), pl.col("station_expected").first())
    assert (reached["expected"] <= reached["station_expected"] * (1 + 1e-9)).all()


def test_a_round_is_the_same_for_all_places_of_a_list_and_no_longer_than_to_each_and_back(
    result: PatrolForecast,
) -> None:
    for _, places in result.forecasts.group_by("shift"):
        assert places["round_km"].n_unique() == 1
        assert (places.height > 1) == (places["round_km"][0] > 0)
        assert places["round_km"][0] < places.height * 2 * 2**0.5 * SIDE * 0.1


def test_a_place_fits_into_the_square_that_a_crew_walks_and_is_where_its_cells_are(result: PatrolForecast) -> None:
    metres = shapely.from_wkb(result.forecasts["geometry"].to_list())
    for row, outline in zip(result.forecasts.iter_rows(named=True), metres, strict=True):
        assert outline.contains(shapely.Point(row["lon"], row["lat"]))
        assert 126 < row["lon"] < 128 and 37 < row["lat"] < 38
        corners = cells().filter(pl.col("cell_id").is_in(row["cell_ids"]))
        for axis in ("x_m", "y_m"):
            assert corners[axis].max() - corners[axis].min() + 100 <= KOREA.patrol.longest_metres  # type: ignore[operator]
        assert row["area_km2"] == pytest.approx(0.01 * len(row["cell_ids"]))


def test_the_month_begins_at_the_next_local_midnight(result: PatrolForecast) -> None:
    start = datetime(2026, 3, 3, 15, tzinfo=UTC)
    spans = result.forecasts.select("target_start", "target_end").unique().rows()
    assert spans == [(start, start + timedelta(days=28))]


def test_the_backtest_has_the_lists_next_to_plain_ones_of_every_shift(result: PatrolForecast) -> None:
    assert result.scores.columns == list(nightly.SCORES)
    models = result.scores.group_by("shift").agg(pl.col("model").n_unique(), pl.col("area_km2").n_unique())
    assert models.select("model", "area_km2").unique().rows() == [(3, 1)]
    night = result.scores.filter(shift="police_night", model="patrol_areas").row(0, named=True)
    assert night["hits"] > 0.5 * night["incidents"] and night["origins"] >= 6


def test_a_month_with_an_unknown_day_has_no_recent_count() -> None:
    gap = pl.DataFrame(
        {"category": ["theft"], "from_date": [TODAY - timedelta(days=9)], "until_date": [TODAY - timedelta(days=8)]}
    )
    past = crime(TODAY - timedelta(days=300), 300)
    lists = risk.forecast_risk(past, cells(), AS_OF, KOREA, gaps=gap).patrol.forecasts
    assert lists["recent_hits"].null_count() == lists.height > 0


def test_without_station_areas_there_is_no_list() -> None:
    nowhere = cells().with_columns(pl.lit(None, pl.String).alias("police_area_id"))
    lists = risk.forecast_risk(crime(TODAY - timedelta(days=300), 300), nowhere, AS_OF, KOREA).patrol
    assert lists.forecasts.is_empty() and lists.forecasts.columns == list(nightly.FORECAST)


def test_where_no_stations_are_known_lists_are_by_district() -> None:
    city = KOREA.areas.model_copy(update={"source": "feed", "facilities_feed": None})
    profile = KOREA.model_copy(update={"areas": city})
    lists = risk.forecast_risk(crime(TODAY - timedelta(days=300), 300), cells(), AS_OF, profile).patrol.forecasts
    assert set(lists["police_area_id"]) == {"D-1", "D-2"}


def later(issue: pl.DataFrame, days: int, gaps: pl.DataFrame | None = None) -> pl.DataFrame:
    """Score an issue so many days after it, with thefts at 23:00 in the cells as before."""
    known_through = AS_OF + timedelta(days=days)
    return issued.score_issued(issue, crime(TODAY, days, hour=23), known_through, KOREA, gaps)


def test_an_issue_is_scored_once_its_month_has_passed(result: PatrolForecast) -> None:
    assert later(result.forecasts, 28).is_empty()
    scores = later(result.forecasts, 40)
    assert scores.columns == list(nightly.SCORES) and scores["origin_kind"].unique().to_list() == ["issued"]
    night, day = (scores.filter(shift=f"police_{name}").row(0, named=True) for name in ("night", "day"))
    assert night["incidents"] == 3 * 28 and night["hits"] >= 56 and day["hits"] == day["incidents"] == 0
    assert night["planned_hours"] == pytest.approx(night["stops"] * 1.5 * 28)


def test_an_issue_with_an_unknown_day_in_its_month_has_no_score(result: PatrolForecast) -> None:
    day = TODAY + timedelta(days=5)
    gap = pl.DataFrame({"category": ["theft"], "from_date": [day], "until_date": [day + timedelta(days=1)]})
    assert later(result.forecasts, 40, gap).is_empty()


def test_an_issue_in_an_outage_of_another_category_has_no_score(result: PatrolForecast) -> None:
    other = crime(TODAY - timedelta(days=90), 60).with_columns(pl.lit("robbery").alias("category"))
    gap = {
        "category": ["robbery"],
        "from_date": [TODAY - timedelta(days=30)],
        "until_date": [TODAY + timedelta(days=90)],
    }
    points = pl.concat([crime(TODAY, 40), other])
    known_through = AS_OF + timedelta(days=40)
    assert issued.score_issued(result.forecasts, points, known_through, KOREA, pl.DataFrame(gap)).is_empty()
    assert issued.score_issued(result.forecasts, points, known_through, KOREA).height == 2
