"""Two-hour slots of the week: estimated hours, selection and scores."""

from dataclasses import fields
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import profile as profiles
from pipelines.forecast.risk.cell_hours import backtest, nightly
from pipelines.forecast.risk.cell_hours import hours as slots
from pipelines.forecast.risk.cell_hours.hours import SLOTS, Times
from pipelines.forecast.risk.history import ALWAYS, Events, Grid, History
from pipelines.forecast.risk.ranking import Lots, ranks

KOREA = profiles.load("korea")
TORONTO = profiles.load("toronto")
SIDE = 12
UNTIL = 20_000
NIGHT, MORNING = 2, 4
"""Slots of a Monday: four to six, eight to ten."""


def grid() -> Grid:
    y, x = np.divmod(np.arange(SIDE * SIDE), SIDE)
    return Grid.of(x * 100, y * 100, 100)


def times(cell: np.ndarray, slot: np.ndarray, day: np.ndarray) -> Times:
    cell, slot, day = np.broadcast_arrays(cell, slot, day)
    return Times(cell, slot, day, day + 1, np.full(day.size, ALWAYS))


def history(seen: Times) -> History:
    events = Events(seen.cell, seen.day, seen.known_from, seen.known_until)
    return History(grid(), {"theft": events}, int(seen.day.min()))


def two_places(count: int = 2_000, days: int = 800) -> Times:
    """Half of the incidents at night in cell 0, half in the morning in cell 143, and a tenth of them anywhere."""
    rng = np.random.default_rng(5)
    cell = np.where(np.arange(count) % 2, 0, 143)
    slot = np.where(np.arange(count) % 2, NIGHT, MORNING)
    anywhere = rng.random(count) < 0.1
    return times(
        np.where(anywhere, rng.integers(0, 144, count), cell),
        np.where(anywhere, rng.integers(0, SLOTS, count), slot),
        UNTIL - rng.integers(1, days, count),
    )


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=1, max_size=40),
    st.integers(0, 160),
    st.booleans(),
    st.integers(0, 5),
)
def test_leading_products_are_those_of_the_whole_table(
    rates: list[float], first: int, of_region: bool, seed: int
) -> None:
    drawn = np.random.default_rng(seed).integers(0, 3, (1 if of_region else len(rates), 4)) / 4
    rate, share, first = np.array(rates, np.float32), drawn.astype(np.float32), min(first, 4 * len(rates))
    result = Lots.of(rate.size, 4, first, "theft", seed).leading(rate, share)
    ranked = ranks((rate[:, None] * share).ravel(), "theft", seed)
    assert result.tolist() == np.argsort(ranked)[:first].tolist()


@given(st.integers(0, 99), st.sampled_from([0.7, 2.0, 8.0]))
def test_smooth_rows_equals_smooth_per_column(seed: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    holed = rng.permutation(SIDE * SIDE)[:100]
    y, x = np.divmod(holed, SIDE)
    there = Grid.of(x * 100, y * 100, 100)
    cells, wanted = np.sort(rng.permutation(100)[:30]), rng.permutation(100)[:50]
    values = rng.random((30, 3)).astype(np.float32)
    for column in range(3):
        laid = np.zeros(100)
        laid[cells] = values[:, column]
        result = there.smooth_rows(cells, values, sigma, wanted)[:, column]
        np.testing.assert_allclose(result, there.smooth(laid, sigma)[wanted], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(None, (7, 8)), (0, (7, 8)), (-30, (7, 8)), (120, (7, 10)), (121, None)],
)
def test_an_incident_has_the_slot_of_its_middle_unless_its_span_is_over_two_hours(
    minutes: int | None, expected: tuple[int, int] | None
) -> None:
    start = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)  # Sunday 09:30 in Seoul
    end = None if minutes is None else start + timedelta(minutes=minutes)
    point = pl.DataFrame(
        {"occurrence_date": [date(2026, 3, 1)], "occurred_at": [start], "occurred_until": [end]},
        schema_overrides={"occurred_until": pl.Datetime("us", "UTC")},
    )
    result = nightly.with_slots(point, KOREA)["slot"].item()
    assert result == (-1 if expected is None else (expected[0] - 1) * 12 + expected[1] // 2)


def test_the_day_is_that_of_the_middle_and_kept_without_a_time() -> None:
    late = datetime(2026, 3, 1, 14, 30, tzinfo=UTC)  # 23:30 in Seoul
    point = pl.DataFrame(
        {
            "occurrence_date": [date(2026, 3, 1)] * 2,
            "occurred_at": [late, None],
            "occurred_until": [late + timedelta(hours=2), None],
        }
    )
    first = (date(2026, 3, 1) - date(1970, 1, 1)).days
    assert nightly.with_slots(point, KOREA).select("day", "slot").rows() == [(first + 1, 0), (first, -1)]


def test_every_cells_shares_sum_to_one_even_without_incidents() -> None:
    none = two_places().where(np.zeros(2_000, bool))
    for seen in (two_places(), none):
        levels = slots.learn(grid(), seen, UNTIL)
        reported = slots.shares(grid(), seen, UNTIL, levels)
        assert reported.shape == (144, SLOTS) and (reported > 0).all()
        np.testing.assert_allclose(reported.sum(axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(reported, 1 / SLOTS, rtol=1e-4)


def test_a_cells_hours_also_affect_its_neighbours() -> None:
    seen = two_places()
    reported = slots.shares(grid(), seen, UNTIL, slots.learn(grid(), seen, UNTIL))
    assert reported[0].argmax() == NIGHT and reported[143].argmax() == MORNING
    assert reported[1, NIGHT] > 2 * reported[1, MORNING] and reported[142, MORNING] > 2 * reported[142, NIGHT]


def test_incidents_without_a_slot_do_not_affect_hours() -> None:
    seen = two_places()
    untimed = times(np.full(900, 143), np.full(900, -1), np.full(900, UNTIL - 10))
    both = Times(
        *(np.concatenate([getattr(seen, single.name), getattr(untimed, single.name)]) for single in fields(Times))
    )
    levels = slots.learn(grid(), seen, UNTIL)
    assert slots.learn(grid(), both, UNTIL) == levels
    assert np.array_equal(slots.shares(grid(), both, UNTIL, levels), slots.shares(grid(), seen, UNTIL, levels))
    assert np.array_equal(slots.region_share(both), slots.region_share(seen))


def test_counts_are_smoothed_cyclically_and_none_is_lost() -> None:
    sunday_night = np.zeros((1, SLOTS), np.float32)
    sunday_night[0, -1] = 1
    spread = slots._spread(sunday_night, 1.0, 0.1)
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    assert spread[0, 0] == pytest.approx(spread[0, -2]) and spread[0, 0] > spread[0, 11] * 2


def test_a_shuffled_future_does_not_change_a_forecast() -> None:
    seen = two_places()
    origin = UNTIL - 200
    shuffled = Times(
        np.where(seen.day >= origin, 7, seen.cell), np.where(seen.day >= origin, 9, seen.slot), *(
            getattr(seen, name) for name in ("day", "known_from", "known_until")
        )
    )  # fmt: skip
    single, two = (backtest.slot_rates(history(each), each, "theft", origin, np.ones(144)) for each in (seen, shuffled))
    assert single.levels == two.levels
    assert all(np.array_equal(single.expected(name), two.expected(name)) for name in single.rates)
    assert all(np.array_equal(single.baseline(name), two.baseline(name)) for name in single.counts)


def test_records_unknown_at_an_origin_do_not_affect_it() -> None:
    seen = two_places()
    late = Times(seen.cell, seen.slot, seen.day, np.full(seen.day.size, UNTIL), seen.known_until)
    assert late.seen(UNTIL - 1, 0).cell.size == 0
    assert late.seen(UNTIL, 0).cell.size == seen.cell.size


def test_cell_hours_catch_more_than_the_regions_hours_for_two_distinct_places() -> None:
    """One per cent are 120 cell-slots, where the region's hours give both places both times."""
    seen = two_places(20_000)
    windows = [(UNTIL - 28 * back, 28) for back in (8, 7, 6, 5, 4, 3, 2, 1)]
    flat = {origin: np.full(144, 0.1) for origin, _ in windows}
    _, result = backtest.backtest(history(seen), seen, "theft", windows, flat, 2.5 / 144 / SLOTS)
    hits = dict(result.group_by("model").agg(pl.col("hits").sum()).rows())
    assert result["cells"].unique().to_list() == [2]
    assert hits["slots"] > 1.5 * hits["best_count"]


def test_without_origins_the_default_is_used_and_a_rate_must_beat_it() -> None:
    seen = two_places()
    good, bad = np.array([NIGHT, 143 * SLOTS + MORNING]), np.array([5 * SLOTS, 6 * SLOTS])
    names = [f"{name} × {backtest.PLAIN}" for name in backtest.COUNTS] + list(backtest.RATES)

    def trial(weeks: int, winner: str) -> backtest.Trial:
        lists = dict.fromkeys(names, bad) | {winner: good, f"count_3y × {backtest.PLAIN}": good}
        return backtest.Trial(UNTIL - 7 * weeks, UNTIL - 7 * weeks + 7, lists)

    def chosen(origin: int, *winners: str) -> backtest.Choice:
        tried = [trial(weeks, winner) for weeks, winner in zip(range(len(winners), 0, -1), winners, strict=True)]
        return backtest.choose(seen, origin, tried)

    decayed, boosting = backtest.RATES[0], backtest.RATES[-1]
    assert chosen(UNTIL - 8, boosting, boosting) == backtest.Choice(decayed, decayed, 0)
    assert chosen(UNTIL - 7, boosting, decayed) == backtest.Choice("count_3y", boosting, 1)
    assert chosen(UNTIL, boosting, boosting) == backtest.Choice("count_3y", boosting, 2)
    assert chosen(UNTIL, boosting, decayed, decayed).rate == decayed


def test_untrained_boosting_has_no_rate() -> None:
    seen = two_places()
    forecast = backtest.slot_rates(history(seen), seen, "theft", UNTIL, None)
    assert set(forecast.rates) == {backtest.FIRST_COUNT, "smoothed"}


def test_on_short_history_and_without_boosting_the_count_is_used_regardless_of_trials() -> None:
    """Boosting catches every incident in the trials that have it, and other models none."""
    seen = two_places()
    good, bad = np.array([NIGHT, 143 * SLOTS + MORNING]), np.array([5 * SLOTS, 6 * SLOTS])
    lists = {f"{name} × {backtest.PLAIN}": bad for name in backtest.COUNTS}
    without = lists | {backtest.FIRST_COUNT: bad, "smoothed": bad}
    having = without | {"boosting 1/2": bad, "boosting": good}
    tried = [
        backtest.Trial(UNTIL - 7 * weeks, UNTIL - 7 * weeks + 7, best)
        for weeks, best in ((3, without), (2, having), (1, having))
    ]
    assert backtest.choose(seen, UNTIL, tried).rate == "boosting"
    assert backtest.choose(seen, UNTIL, tried[:1]).rate == backtest.FIRST_COUNT
    chosen = backtest.allowed(backtest.choose(seen, UNTIL, tried), "boosting did not train")
    assert (chosen.rate, chosen.reason) == (backtest.FIRST_COUNT, "boosting did not train")
    assert "; boosting did not train;" in nightly.method(chosen, 10, 2)


def test_a_backtest_of_slots_continues_without_trained_boosting() -> None:
    seen = two_places()
    windows = [(UNTIL - 28 * back, 28) for back in (3, 2, 1)]
    boosted = {windows[0][0]: None, windows[1][0]: None, windows[2][0]: np.full(144, 0.1)}
    trials, scored = backtest.backtest(history(seen), seen, "theft", windows, boosted, 0.01)
    assert ["boosting" in trial.best for trial in trials] == [False, False, True]
    assert scored["model"].to_list() == ["slots", "best_count"] * 3


def test_the_slots_of_a_week_have_no_gap_at_a_clock_change() -> None:
    week = nightly._week(date(2026, 3, 3), TORONTO).sort("slot_start")  # Sunday 8 March, two o'clock does not exist
    assert week["slot_start"].to_list()[1:] == week["slot_end"].to_list()[:-1]
    assert week["slot_start"][0] == datetime(2026, 3, 3, 5, tzinfo=UTC)
    assert week["slot_end"][-1] == datetime(2026, 3, 10, 4, tzinfo=UTC)
    hours = (week["slot_end"] - week["slot_start"]).dt.total_hours()
    assert sorted(hours.unique().to_list()) == [1, 2] and hours.sum() == 167
    assert week["slot"].n_unique() == SLOTS


def issued() -> pl.DataFrame:
    """Lists of two cell-slots of Tuesday morning, issued on Monday 2 March by the local clock."""
    start = datetime(2026, 3, 3, 0, tzinfo=UTC)  # 09:00 in Seoul is slot 8 to 10 on Tuesday
    rows = {
        "reference_at": datetime(2026, 3, 1, 20, 15, tzinfo=UTC), "cell_metres": 100, "category": "theft",
        "slot_start": start, "slot_end": start, "weekday": 2, "hour": 8, "expected": 1.0, "baseline_expected": 1.0,
        "area_share": 0.01, "data_as_of": start, "ranking_method": "", "degraded_reason": None,
    }  # fmt: skip
    return pl.DataFrame(
        [
            rows | {"cell_id": "a", "rank": 1, "baseline_rank": None},
            rows | {"cell_id": "b", "rank": 2, "baseline_rank": 1},
            rows | {"cell_id": "c", "rank": None, "baseline_rank": 2},
        ],
        schema=nightly.FORECAST,
    )


def crime(*incidents: tuple[str, datetime, int | None]) -> pl.DataFrame:
    """Thefts as (cell, start, minutes until the end)."""
    rows = [
        ("theft", cell, (start + timedelta(hours=9)).date(), start, minutes and start + timedelta(minutes=minutes))
        for cell, start, minutes in incidents
    ]
    instant = pl.Datetime("us", "UTC")
    names = ("category", "cell_id", "occurrence_date", "occurred_at", "occurred_until")
    types = (pl.String, pl.String, pl.Date, instant, instant)
    return pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")


def test_an_issued_week_is_scored_by_cell_and_slot_when_it_is_over() -> None:
    tuesday = datetime(2026, 3, 3, 0, 30, tzinfo=UTC)  # 09:30 in Seoul
    outcome = crime(
        ("a", tuesday, None),
        ("a", tuesday, 40),
        ("b", tuesday + timedelta(hours=3), None),  # another slot
        ("c", tuesday, None),
        ("a", tuesday, 600),  # no slot
        ("a", tuesday + timedelta(days=7), None),  # after the week
    )
    over = datetime(2026, 3, 9, 15, tzinfo=UTC)
    early = nightly.score_issued(issued(), outcome, over - timedelta(hours=1), KOREA)
    assert early.is_empty() and early.schema == pl.Schema(nightly.SCORES)
    scores = nightly.score_issued(issued(), outcome, over, KOREA)
    assert scores.schema == early.schema
    ours, plain = scores.sort("is_baseline").to_dicts()
    assert (ours["incidents"], ours["untimed_incidents"], ours["hits"], ours["pai"]) == (4, 1, 2, pytest.approx(50))
    assert (plain["hits"], plain["hit_rate"]) == (1, 0.25)
    # Two cell-slots of two hours each, once in a week.
    assert ours["hits_per_patrol_hour"] == pytest.approx(2 / 4)
    assert (ours["gain"], ours["pai_low"], ours["origin_kind"]) == (None, None, "issued")


def test_a_week_without_any_incident_is_scored_as_such() -> None:
    scores = nightly.score_issued(issued(), crime(), datetime(2026, 3, 9, 15, tzinfo=UTC), KOREA)
    assert scores.select("incidents", "hits", "hit_rate").rows() == [(0, 0, None)] * 2
