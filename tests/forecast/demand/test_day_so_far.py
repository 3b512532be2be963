"""The day so far: a busy morning makes a busy afternoon as far as past days did, and never by later data."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand import day_so_far
from pipelines.forecast.demand.evaluation import rolling_origin
from pipelines.forecast.demand.evaluation.rolling_origin import Model
from pipelines.forecast.demand.models import hour_of_week
from pipelines.forecast.demand.series import History

START = datetime(2025, 1, 6)
DAYS = 150
TODAY = START + timedelta(days=DAYS)
NOON = TODAY + timedelta(hours=12)
NO_CHANGES = pl.DataFrame(
    schema={"unique_id": pl.Int64, "ds": pl.Datetime("us"), "seen_from": pl.Datetime("us"), "y": pl.Float64}
)


def hours(day_sd: float, rates: dict[int, float], today: float = 1.5, seed: int = 2) -> pl.DataFrame:
    """Poisson counts of series that share a factor of each day; that of the last day is ``today``."""
    rng = np.random.default_rng(seed)
    factors = np.append(np.exp(rng.normal(0, day_sd, DAYS) - day_sd**2 / 2), today)
    ds = pl.datetime_range(START, TODAY + timedelta(hours=23), "1h", time_unit="us", eager=True)
    frames = []
    for name, rate in rates.items():
        y = pl.Series("y", rng.poisson(rate * np.repeat(factors, 24)).astype(float))
        frames.append(pl.DataFrame({"unique_id": pl.Series([name] * len(ds), dtype=pl.Int64), "ds": ds, "y": y}))
    return pl.concat(frames)


def effects(rows: pl.DataFrame, cutoff: datetime = NOON) -> dict[int, float]:
    pools = rows.select("unique_id").unique().with_columns(pool=pl.lit("p"))
    return dict(day_so_far.effects(rows, pools, cutoff).iter_rows())


def test_a_busy_morning_makes_a_busy_day_where_days_differ() -> None:
    assert 1.35 < effects(hours(0.3, {1: 20.0}))[1] < 1.5


def test_nothing_changes_where_the_hours_of_a_day_do_not_move_together() -> None:
    assert effects(hours(0.0, {1: 20.0}, today=1.0))[1] == pytest.approx(1.0, abs=0.01)
    assert effects(hours(0.0, {1: 20.0}))[1] < 1.1, "a single such day is not evidence"


def test_the_effect_grows_with_the_hours_known() -> None:
    rows = hours(0.3, {1: 5.0})
    morning, noon, evening = (effects(rows, TODAY + timedelta(hours=hour))[1] for hour in (2, 12, 20))
    assert 1.0 < morning < noon < evening < 1.6


def test_a_sparse_series_follows_its_pool() -> None:
    both = effects(hours(0.3, {1: 0.1, 2: 30.0}))
    assert both[1] == pytest.approx(both[2], abs=0.1) and both[1] > 1.3


def test_data_from_the_origin_on_change_no_effect() -> None:
    rows = hours(0.3, {1: 20.0, 2: 5.0})
    later = rows.with_columns(pl.when(pl.col("ds") >= NOON).then(0.0).otherwise("y").alias("y"))
    assert effects(rows) == effects(later)


def test_a_short_history_has_no_effect_of_the_day() -> None:
    rows = hours(0.3, {1: 20.0}).filter(pl.col("ds") >= TODAY - timedelta(days=50))
    assert effects(rows) == {}


def test_unknown_hours_are_not_a_quiet_day() -> None:
    rows = hours(0.3, {1: 20.0})
    holed = rows.filter(~pl.col("ds").is_between(TODAY, TODAY + timedelta(hours=6), closed="left"))
    assert effects(holed)[1] == pytest.approx(effects(rows)[1], abs=0.15)


def test_the_rest_of_today_alone_is_updated_and_an_origin_at_midnight_is_not() -> None:
    rows = hours(0.3, {1: 20.0})
    pools = pl.DataFrame({"unique_id": [1], "pool": "p"})
    targets = pl.DataFrame(
        {
            "unique_id": [1, 1, 1],
            "cutoff": [TODAY, NOON, NOON],
            "ds": [TODAY + timedelta(hours=13), NOON + timedelta(hours=1), NOON + timedelta(hours=13)],
        },
        schema_overrides={"cutoff": pl.Datetime("us"), "ds": pl.Datetime("us")},
    )
    stored = day_so_far.updated(History.of(rows, NO_CHANGES), pools, targets["cutoff"])
    assert stored.named_days is not None and stored.named_days["day"].unique().to_list() == [TODAY.date()]
    table = Model("table", lambda history, wanted: hour_of_week.predict(history, wanted, "h"))
    at_midnight, afternoon, tomorrow = rolling_origin.run([table], stored, targets)["mean"]
    assert at_midnight == pytest.approx(20, rel=0.15) and tomorrow == pytest.approx(20, rel=0.15)
    assert 1.3 < afternoon / tomorrow < 1.6


def test_a_holiday_keeps_its_effect_and_has_todays_too() -> None:
    rows = hours(0.3, {1: 20.0})
    holiday = pl.DataFrame(
        {"unique_id": [1] * 4, "cutoff": NOON, "day": date(2025, 6, 5), "quarter": [0, 1, 2, 3], "effect": 0.5},
        schema_overrides={"cutoff": pl.Datetime("us"), "quarter": pl.Int8},
    )
    assert TODAY.date() == date(2025, 6, 5)
    known = History(rows, History.of(rows, NO_CHANGES).late, named_days=holiday)
    built = day_so_far.updated(known, pl.DataFrame({"unique_id": [1], "pool": "p"}), pl.Series([NOON]))
    assert built.named_days is not None and built.named_days.height == 4
    # The counts of today are 1.5 times the usual and not half of it: three times what a holiday has.
    assert (built.named_days["effect"] / 0.5 > 2.2).all()
