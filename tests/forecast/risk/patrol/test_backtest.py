"""Past lists: scored at the months of the risk backtest, next to plain lists of equal area."""

from collections.abc import Mapping
from datetime import time

import numpy as np
import polars as pl
import pytest

from pipelines.config.profile import Patrol, Shift
from pipelines.forecast.risk.history import ALWAYS, Events, Floats, Grid, History, Ints
from pipelines.forecast.risk.patrol import backtest
from pipelines.forecast.risk.patrol.backtest import AREAS, REGION_GRID, STATION_GRID
from pipelines.forecast.risk.patrol.expectation import Known
from pipelines.forecast.risk.patrol.shift_hours import ShiftTimes

SIDE = 12
SHIFT = {"day": Shift(services=(), begins=time(8), hours=12)}
PATROL = Patrol(areas=1, visit_minutes=30, visit_every_hours=4)
BUSY = np.array([13, 14, 26])
ORIGINS = tuple(400 + 28 * month for month in range(6))
END = ORIGINS[-1] + 29


def known(cell: Ints, day: Ints, is_timed: bool = True) -> Known:
    """Thefts known on the day after, all in the shift; the western and the eastern half are station areas."""
    y, x = np.divmod(np.arange(SIDE**2), SIDE)
    grid = Grid.of(x * 100, y * 100, 100)
    events = Events.of(cell, day)
    always = np.full(day.size, ALWAYS)
    times = {"theft": ShiftTimes(cell, day, day + 1, always, np.ones((day.size, 1), bool))} if is_timed else {}
    stations = {"east": np.flatnonzero(x >= 6), "west": np.flatnonzero(x < 6)}
    return Known(History(grid, {"theft": events}, int(day.min())), times, stations, SHIFT, 3)


def thefts(seed: int = 3) -> tuple[Ints, Ints]:
    """Three a day in the busy cells and one anywhere."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(END), 4)
    return np.where(np.arange(day.size) % 4 < 3, rng.choice(BUSY, day.size), rng.integers(0, SIDE**2, day.size)), day


def forecast() -> Mapping[str, Mapping[int, Floats]]:
    """The true rate a day of every cell, at every origin."""
    rate = np.full(SIDE**2, 1 / SIDE**2)
    rate[BUSY] += 1
    return {"theft": dict.fromkeys(ORIGINS, rate)}


def windows(past: Known) -> pl.DataFrame:
    return backtest.windows(past, forecast(), 28, 1, PATROL)


def test_all_lists_of_a_month_have_the_same_area_and_the_same_incidents() -> None:
    frame = windows(known(*thefts()))
    assert set(frame["model"]) == {AREAS, STATION_GRID, REGION_GRID} and frame["origin_day"].n_unique() == len(ORIGINS)
    shared = frame.group_by("origin_day").agg(pl.col("area_km2", "incidents").n_unique())
    assert shared.select(pl.col("area_km2", "incidents").max()).row(0) == (1, 1)


def test_hits_are_the_incidents_of_the_month_after_the_lead_in_the_shift() -> None:
    cell, day = thefts()
    row = windows(known(cell, day)).filter(pl.col("model") == AREAS).row(0, named=True)
    within = (day >= ORIGINS[0] + 1) & (day < ORIGINS[0] + 29)
    assert row["incidents"] == within.sum() == 112
    assert row["hits"] == np.isin(cell[within], BUSY).sum()
    assert row["stops"] == 1 and row["area_km2"] == pytest.approx(0.03)
    # Three visits of half an hour in twelve hours, on 28 days.
    assert row["planned_hours"] == pytest.approx(3 * 0.5 * 28)


def test_what_becomes_known_after_an_origin_changes_no_list_of_it() -> None:
    cell, day = thefts()
    late = known(np.append(cell, np.full(500, 100)), np.append(day, np.full(500, ORIGINS[0] - 5)))
    late.times["theft"].known_from[-500:] = END
    ours, theirs = (windows(past).filter(pl.col("origin_day") == ORIGINS[0]) for past in (known(cell, day), late))
    assert ours.select("hits", "area_km2", "stops").equals(theirs.select("hits", "area_km2", "stops"))


def test_hits_are_expected_only_of_incidents_whose_time_is_known() -> None:
    untimed = windows(known(*thefts(), is_timed=False))
    assert untimed.select(pl.col("hits", "expected_hits").sum()).row(0) == (0, 0.0)


def test_scattered_cells_take_more_stops_and_hit_less_per_patrol_hour_than_a_place() -> None:
    scattered = np.array([0, 4, 50, 74, 133])
    rng = np.random.default_rng(9)
    day = np.repeat(np.arange(END), 8)
    cell = np.where(np.arange(day.size) % 8 < 5, np.resize(scattered, day.size), rng.choice(BUSY, day.size))
    rate = np.zeros(SIDE**2)
    rate[BUSY], rate[scattered] = 1.0, 1.001
    frame = backtest.windows(known(cell, day), {"theft": dict.fromkeys(ORIGINS, rate)}, 28, 1, PATROL)
    scores = {row["model"]: row for row in backtest.pooled(frame).to_dicts()}
    assert scores[AREAS]["stops"] == 1 and scores[STATION_GRID]["stops"] == 4
    assert scores[STATION_GRID]["patrol_hour_ratio"] == pytest.approx(
        scores[AREAS]["hits_per_patrol_hour"] / scores[STATION_GRID]["hits_per_patrol_hour"]
    )
    assert scores[STATION_GRID]["patrol_hour_ratio_low"] > 1
    assert scores[AREAS]["km2_ratio"] is None and not scores[AREAS]["is_baseline"]


def test_ranges_contain_as_many_counts_as_they_should() -> None:
    """Ten forecasts right on average; counts of 200 places a month have a rate that a gamma draw multiplies."""
    rng = np.random.default_rng(4)
    means, singles = rng.uniform(2, 6, 200), [np.array([place]) for place in range(200)]
    past: list[backtest.Fit] = []
    for _ in range(10):
        counts = backtest.Counts(means, rng.poisson(means * rng.gamma(4, 1 / 4, 200)).astype(float), 1.0)
        past.append(backtest.fit(singles, counts, past))
    dispersion = sum(window.excess for window in past) / sum(window.squares for window in past)
    assert dispersion == pytest.approx(1 / 4, abs=0.06)
    inside, expected = (sum(getattr(window, name) for window in past[1:]) for name in ("inside", "expected_inside"))
    assert inside / expected == pytest.approx(1, abs=0.03)


def test_the_range_at_an_origin_knows_no_window_that_has_not_ended_there() -> None:
    """Where the incidents of the last window but one happened becomes known later: the last ranges do not follow it."""
    cell, day = thefts()
    late = (day > ORIGINS[-2]) & (day <= ORIGINS[-2] + 28)
    last = []
    for cells in (cell, np.where(late, 100, cell)):
        past = known(cells, day)
        past.times["theft"].known_from[late] = END
        frame = windows(past).filter((pl.col("origin_day") == ORIGINS[-1]) & (pl.col("model") == AREAS))
        last.append(frame.select("inside", "expected_inside"))
    assert last[0].equals(last[1])
