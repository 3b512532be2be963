"""Effects of a cycle other than the week: found where there is one, 1 elsewhere, and never from later data."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand import cycle_effects, own_series
from pipelines.forecast.demand.series import STEP, Frequency

START = datetime(2024, 1, 1)
ROTA = np.array([1.4, 1.2, 1.0, 1.0, 0.6, 0.8, 1.0, 1.0])


def counts(rota: np.ndarray, days: int = 400, rate: float = 50.0, freq: Frequency = "D", name: int = 1) -> pl.DataFrame:
    """Poisson counts with a week and a cycle, which begins on the first day."""
    steps = days * (24 if freq == "h" else 1)
    ds = [START + STEP[freq] * i for i in range(steps)]
    week = np.where(np.array([at.weekday() for at in ds]) < 5, 1.0, 0.7)
    mean = rate * week * rota[np.arange(steps) % len(rota)]
    y = np.random.default_rng(3).poisson(mean).astype(float)
    return pl.DataFrame({"unique_id": name, "ds": pl.Series(ds, dtype=pl.Datetime("us")), "y": y})


def learned(rows: pl.DataFrame, season: int, freq: Frequency = "D") -> np.ndarray:
    """Effects from the first step of ``counts`` on."""
    end: datetime = rows["ds"].max() + STEP[freq]  # type: ignore[operator,assignment]
    effects = cycle_effects.effects(rows, end, freq, season).sort("position")["effect"].to_numpy()
    first = int((START - datetime(1970, 1, 1)) / STEP[freq]) % season
    return np.roll(effects, -first)


def test_a_rota_of_eight_days_is_found_next_to_the_week() -> None:
    assert learned(counts(ROTA), 8) == pytest.approx(ROTA, abs=0.05)


def test_a_cycle_of_hours_is_found() -> None:
    rota = np.repeat(ROTA, 24)
    assert learned(counts(rota, days=300, rate=20.0, freq="h"), 192, "h") == pytest.approx(rota, abs=0.25)


@pytest.mark.parametrize("season", [5, 6, 9, 10, 11, 30, 56])
def test_a_cycle_that_is_not_there_changes_nothing(season: int) -> None:
    assert learned(counts(np.ones(1)), season).tolist() == [1.0] * season


def test_fewer_than_four_cycles_and_later_rows_teach_nothing() -> None:
    rows = counts(ROTA)
    assert cycle_effects.effects(rows, START + timedelta(days=31), "D", 8).is_empty()
    early = cycle_effects.effects(rows.head(200), START + timedelta(days=200), "D", 8)
    assert early.equals(cycle_effects.effects(rows, START + timedelta(days=200), "D", 8))


def test_a_cycle_makes_forecasts_better_and_a_wrong_one_leaves_them() -> None:
    rows = counts(ROTA)
    losses = {}
    for season in (None, 8, 9):
        scores = own_series.backtest(rows, "D", 14, 2, 14, season=season).scores
        losses[season] = scores.filter(model="chosen")["pinball"].item()
    assert losses[8] < 0.8 * losses[None] and losses[9] == losses[None]


@pytest.mark.parametrize(
    ("season", "message"),
    [
        (7, "--season 7 changes nothing: the models know the week and its parts"),
        (365, "--season 365 changes nothing: the models know the time of year"),
        (9, "--season 9 changes nothing in 1 of 2 series, where no such cycle is clear: 1"),
    ],
)
def test_a_cycle_that_changes_nothing_is_noted(season: int, message: str) -> None:
    nine = counts(np.array([1.5, *[1.0] * 7, 0.5]), name=2)
    stored: list[str] = []
    used = cycle_effects.usable(season, pl.concat([counts(np.ones(1)), nine]), "D", stored.append)
    assert used == (9 if season == 9 else None) and stored == [message]
