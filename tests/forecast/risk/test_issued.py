"""Scores of issued risk by whether the selected cells were patrolled: by hand, and nothing changes without patrols."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from pipelines.config import profile as profiles
from pipelines.forecast.risk import issued, nightly

KOREA = profiles.load("korea")
START = datetime(2026, 3, 3, 15, tzinfo=UTC)  # 4 March, 00:00 in Seoul
OVER = START + timedelta(days=7)


def forecasts() -> pl.DataFrame:
    """A week's thefts in eight cells of which four are selected; the count would select the last four."""
    shared = {
        "reference_at": START - timedelta(days=1), "cell_metres": 100, "category": "theft", "window": "week",
        "target_start": START, "target_end": OVER, "model": "stack", "data_as_of": START, "ranking_method": "boosting",
    }  # fmt: skip
    rows = [
        shared
        | {"cell_id": cell, "rank": rank, "is_selected": rank <= 4, "expected": 1.0, "baseline_expected": rank / 8}
        for rank, cell in enumerate("abcdefgh", 1)
    ]
    return pl.DataFrame(rows, schema_overrides=nightly.FORECAST_COLUMNS)


def thefts(**cells: int) -> pl.DataFrame:
    rows = [
        {"cell_id": c, "category": "theft", "occurrence_date": date(2026, 3, 5), "incidents": n}
        for c, n in cells.items()
    ]
    return pl.DataFrame(rows)


def patrols(*rows: tuple[str, datetime, float]) -> pl.DataFrame:
    instant = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        rows, schema={"cell_id": pl.String, "slot_start_at": instant, "patrol_minutes": pl.Float64}, orient="row"
    )


def scores(given: pl.DataFrame | None) -> pl.DataFrame:
    return issued.score_issued(forecasts(), thefts(a=3, b=1, c=2, h=4), OVER, KOREA, given)


def test_hits_are_split_by_whether_their_cells_were_patrolled() -> None:
    result = scores(patrols(("a", START, 20.0), ("a", START + timedelta(days=3), 10.0), ("b", START, 5.0)))
    stack = result.filter(model="stack").select("patrolled", "hits", "incidents", "area_share", "patrol_minutes")
    assert stack.rows() == [("all", 6, 10, 0.5, 35.0), ("false", 2, 10, 0.25, 0.0), ("true", 4, 10, 0.25, 35.0)]
    count = result.filter(model="best_count").select("patrolled", "hits", "patrol_minutes")
    assert count.rows() == [("all", 4, 0.0), ("false", 4, 0.0)], "none of the count's cells was patrolled"


def test_the_halves_sum_to_the_whole() -> None:
    result = scores(patrols(("c", START, 1.0), ("d", START, 1.0), ("h", START, 9.0)))
    for _, single in result.group_by("model"):
        whole, halves = single.filter(patrolled="all"), single.filter(pl.col("patrolled") != "all")
        for name in ("hits", "patrol_minutes", "area_share"):
            assert halves[name].sum() == pytest.approx(whole[name].item())


@pytest.mark.parametrize(
    "given",
    [None, patrols(), patrols(("a", START - timedelta(hours=1), 60.0), ("a", OVER, 60.0))],
    ids=["no feed", "no row", "other weeks"],
)
def test_without_patrols_of_the_window_nothing_is_split(given: pl.DataFrame | None) -> None:
    result = scores(given)
    assert result["patrolled"].unique().to_list() == ["all"]
    assert result["patrol_minutes"].null_count() == result.height == 2
    assert result.equals(scores(None))


def test_null_minutes_are_not_a_patrol() -> None:
    result = scores(patrols(("a", START, 0.0)))
    assert set(result["patrolled"]) == {"all", "false"} and result["patrol_minutes"].unique().to_list() == [0.0]
