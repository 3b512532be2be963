"""The sentence that sums up a backtest."""

import polars as pl
import pytest

from pipelines.forecast.demand.backtest_summary import sentence


def scores(skill: float, low: float | None, high: float | None) -> pl.DataFrame:
    """Scores of the published forecast, of its parents and of the averages."""
    return pl.DataFrame(
        {
            "is_parent": [False, True, False],
            "model": ["chosen", "chosen", "day_of_week"],
            "skill": [skill, 0.9, 0.0],
            "skill_low": [low, 0.8, 0.0],
            "skill_high": [high, 0.95, 0.0],
        },
        schema_overrides={"skill_low": pl.Float64, "skill_high": pl.Float64},
    )


@pytest.mark.parametrize(
    ("row", "beginning"),
    [
        ((0.08, 0.03, 0.12), "the forecast was better than day-of-week averages: its loss was 8.0 % lower"),
        ((0.01, -0.03, 0.04), "the forecast was about as good as day-of-week averages: its loss was 1.0 % lower"),
        (
            (-0.055, -0.105, -0.007),
            "the forecast was worse than day-of-week averages at these origins: its loss was 5.5 %",
        ),
        ((0.2, None, None), "too few weeks to tell"),
    ],
)
def test_a_gain_is_stated_only_as_far_as_its_interval_allows(
    row: tuple[float, float | None, float | None], beginning: str
) -> None:
    assert sentence(scores(*row), "D").startswith(beginning)
