"""Effects of named days: found as simulated, shrunk where little is known, and never from later data."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand import calendar_effects
from pipelines.forecast.demand.evaluation import rolling_origin
from pipelines.forecast.demand.evaluation.rolling_origin import Model
from pipelines.forecast.demand.models import hour_of_week
from pipelines.forecast.demand.series import STEP, Frequency, History

START = datetime(2023, 1, 2)
END = datetime(2026, 1, 1)
FESTIVAL = [date(year, 5, 10) for year in (2023, 2024, 2025, 2026)]
CALENDAR = pl.DataFrame({"day": FESTIVAL, "name": "festival", "is_holiday": True})
NO_CHANGES = pl.DataFrame(
    schema={"unique_id": pl.Int64, "ds": pl.Datetime("us"), "seen_from": pl.Datetime("us"), "y": pl.Float64}
)


def counts(
    effects: dict[int, float], rate: float = 100.0, freq: Frequency = "D", night: float = 1.0, seed: int = 8
) -> pl.DataFrame:
    """Poisson counts of series with an effect on every festival each; at night times ``night`` more."""
    ds = pl.datetime_range(START, END, STEP[freq], closed="left", time_unit="us", eager=True)
    rng = np.random.default_rng(seed)
    is_festival = ds.dt.date().is_in(FESTIVAL).to_numpy()
    is_night = (ds.dt.hour() < 6).to_numpy() & (freq == "h")
    frames = []
    for name, effect in effects.items():
        mean = rate * np.where(is_festival, effect * np.where(is_night, night, 1.0), 1.0)
        y = pl.Series("y", rng.poisson(mean).astype(float))
        frames.append(pl.DataFrame({"unique_id": pl.Series([name] * len(ds), dtype=pl.Int64), "ds": ds, "y": y}))
    return pl.concat(frames)


def learned(rows: pl.DataFrame, cutoff: datetime = END, freq: Frequency = "D", pool: str = "p") -> pl.DataFrame:
    pools = rows.select("unique_id").unique().with_columns(pool=pl.lit(pool))
    return calendar_effects.effects(rows, pools, CALENDAR, cutoff, freq)


def effect(frame: pl.DataFrame, series: int = 1, quarter: int = 0) -> float:
    return frame.filter(unique_id=series, quarter=quarter)["effect"].item()  # type: ignore[no-any-return]


@pytest.mark.parametrize("true", [0.6, 1.0, 1.5])
def test_the_effect_of_a_busy_series_is_found_and_within_its_range(true: float) -> None:
    row = learned(counts({1: true}, rate=400.0)).row(0, named=True)
    assert (row["name"], row["days"]) == ("festival", 3)
    assert row["effect"] == pytest.approx(true, rel=0.1) and row["low"] < true < row["high"]


def test_a_sparse_series_takes_the_effect_of_its_pool() -> None:
    rare = counts({1: 0.5}, rate=0.2, seed=1)
    assert effect(learned(rare)) == pytest.approx(1.0, abs=0.05)
    busy = counts({2: 0.5}, rate=300.0)
    together = learned(pl.concat([rare, busy]))
    assert effect(together, 2) < effect(together, 1) < 0.68


def test_a_series_that_differs_from_its_pool_keeps_its_own_effect() -> None:
    both = learned(counts({1: 0.7, 2: 1.3}, rate=500.0))
    assert effect(both, 1) < 0.85 and effect(both, 2) > 1.15


def test_hours_have_an_effect_by_quarter_of_the_day() -> None:
    quarters = learned(counts({1: 1.0}, rate=40.0, freq="h", night=2.0), freq="h")
    night, *others = (effect(quarters, quarter=q) for q in range(4))
    assert night > 1.6 and max(others) < 1.15


def test_an_effect_that_differs_from_year_to_year_has_a_wider_range() -> None:
    same = counts({1: 0.8}, rate=400.0)
    factor = pl.col("ds").dt.year().replace_strict({2023: 0.7, 2024: 1.0, 2025: 1.3}, default=1.0)
    is_festival = pl.col("ds").dt.date().is_in(FESTIVAL)
    other = same.with_columns(pl.when(is_festival).then(pl.col("y") * factor).otherwise("y").alias("y"))
    widths = [learned(rows).select(pl.col("high") - pl.col("low")).item() for rows in (same, other)]
    assert widths[1] > 2 * widths[0]


def test_other_named_days_are_not_usual_days() -> None:
    """A week of named days in a row: each is compared with days that have no name."""
    days = [date(2023, 5, 10) + timedelta(days=i) for i in range(8)]
    named = pl.DataFrame({"day": days, "name": [f"day {i}" for i in range(8)], "is_holiday": True})
    rows = counts({1: 1.0}, rate=400.0)
    low = rows.with_columns(pl.when(pl.col("ds").dt.date().is_in(days)).then(200.0).otherwise("y").alias("y"))
    pools = pl.DataFrame({"unique_id": [1], "pool": "p"})
    learnt = calendar_effects.effects(low, pools, named, END, "D")
    assert learnt.height == 8 and (learnt["effect"] < 0.7).all()


def test_data_from_an_origin_on_change_no_effect() -> None:
    rows, cutoff = counts({1: 0.7, 2: 0.7}), datetime(2024, 8, 1)
    later = rows.with_columns(pl.when(pl.col("ds") >= cutoff).then(pl.col("y") * 9).otherwise("y").alias("y"))
    assert learned(rows, cutoff).equals(learned(later, cutoff))
    assert learned(rows, cutoff)["days"].unique().to_list() == [2]


def test_before_any_such_day_there_is_no_effect() -> None:
    assert learned(counts({1: 0.5}), datetime(2023, 5, 9)).is_empty()


@pytest.mark.parametrize("freq", ["D", "h"])
def test_a_model_that_knows_no_calendar_forecasts_the_named_day_and_its_mean_keeps_no_trace_of_it(
    freq: Frequency,
) -> None:
    rows = counts({1: 0.5}, rate=200.0 if freq == "D" else 20.0, freq=freq)
    cutoff = datetime(2025, 5, 12)
    known = History.of(rows, NO_CHANGES)
    pools = pl.DataFrame({"unique_id": [1], "pool": "p"})
    stored = calendar_effects.judged(known, pools, CALENDAR, pl.Series([cutoff, datetime(2025, 5, 9)]), freq)
    step = STEP[freq]
    targets = pl.DataFrame(
        {
            "unique_id": [1, 1],
            "cutoff": [datetime(2025, 5, 9), cutoff],
            "ds": [datetime(2025, 5, 10), cutoff + 2 * step],
        },
        schema_overrides={"cutoff": pl.Datetime("us"), "ds": pl.Datetime("us")},
    )
    table = Model("table", lambda history, wanted: hour_of_week.predict(history, wanted, freq))
    means = rolling_origin.run([table], stored, targets)["mean"].to_list()
    usual = 200.0 if freq == "D" else 20.0
    assert 0.5 * usual < means[0] < 0.68 * usual, "shrunk: it was seen twice"
    assert means[1] == pytest.approx(usual, rel=0.03)


def test_without_a_calendar_nothing_changes() -> None:
    known = History.of(counts({1: 0.5}), NO_CHANGES)
    pools = pl.DataFrame({"unique_id": [1], "pool": "p"})
    assert calendar_effects.judged(known, pools, CALENDAR.clear(), pl.Series([END]), "D").named_days is None


def test_a_storm_of_one_day_does_not_hide_the_holidays() -> None:
    rows = counts({1: 0.6}, rate=100.0)
    storm = pl.col("ds") == datetime(2024, 8, 7)
    stormy = rows.with_columns(pl.when(storm).then(3000.0).otherwise("y").alias("y"))
    assert effect(learned(stormy)) == pytest.approx(effect(learned(rows)), abs=0.02)


def test_no_count_is_extreme_on_a_day_that_covariates_explain() -> None:
    day = datetime(2025, 8, 20)
    flood = counts({1: 1.0}).with_columns(pl.when(ds=day).then(pl.col("y") * 20).otherwise("y").alias("y"))
    known, pools = History.of(flood, NO_CHANGES), pl.DataFrame({"unique_id": [1], "pool": ["p"]})

    def extreme_days(events: pl.Series | None) -> list[datetime]:
        stored = calendar_effects.judged(known, pools, CALENDAR, pl.Series([END]), "D", events)
        assert stored.extremes is not None
        return stored.extremes["ds"].to_list()

    assert extreme_days(None) == [day]
    assert extreme_days(pl.Series([day.date()])) == []
