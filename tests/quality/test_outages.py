"""Outages and the start of records, found from the records alone."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from pipelines.quality.outages import Observed, gaps_of_days, observed

FIRST = 480_000
"""A midnight in 2024, as hours since 1970."""
DAY = 24


def source(
    days: int,
    per_day: float,
    outages: Iterable[tuple[int, int]] = (),
    begins: int = 0,
    strays: Iterable[int] = (),
    seed: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Hours with records, and how many: more by day than by night, none in the outages (days) or before ``begins``."""
    hours = np.arange(days * DAY)
    records = np.random.default_rng(seed).poisson(per_day / DAY * (1 + 0.9 * np.sin(2 * np.pi * hours / DAY)))
    for start, end in outages:
        records[start * DAY : end * DAY] = 0
    records[: begins * DAY] = 0
    records[list(strays)] = 1
    return hours[records > 0] + FIRST, records[records > 0]


def found(hours: np.ndarray, records: np.ndarray, days: int, whole: Observed | None = None) -> Observed:
    return observed(hours, records, int(hours[0]), FIRST + days * DAY, whole)


@pytest.mark.parametrize("per_day", [3, 20, 200, 5_000])
def test_an_outage_is_found_to_the_hours_of_the_records_around_it(per_day: int) -> None:
    hours, records = source(800, per_day, [(700, 740)])
    ((start, end, known),) = found(hours, records, 800).outages
    before, after = hours[hours < FIRST + 700 * DAY].max(), hours[hours >= FIRST + 740 * DAY].min()
    assert (start, end) == (before, after + 1)
    assert start < known < start + DAY * max(40 / per_day * 3, 1), "as soon as chance does not explain it"


@trials(max_examples=30, deadline=None)
@given(st.sampled_from([0.2, 1, 7, 40, 600]), st.integers(0, 10_000))
def test_a_source_without_an_outage_has_none(per_day: float, seed: int) -> None:
    hours, records = source(500, per_day, seed=seed)
    assert found(hours, records, 500) == Observed(int(hours[0]), [])


def test_a_silence_up_to_the_end_is_an_outage() -> None:
    hours, records = source(800, 20, [(790, 800)])
    ((_, end, _),) = found(hours, records, 800).outages
    assert end == FIRST + 800 * DAY


def test_a_short_outage_soon_after_a_long_one_is_found() -> None:
    hours, records = source(800, 20, [(720, 760), (778, 781)])
    assert len(found(hours, records, 800).outages) == 2


def test_one_stray_record_does_not_end_an_outage() -> None:
    hours, records = source(800, 20, [(700, 740)], strays=[720 * DAY])
    assert len(found(hours, records, 800).outages) == 1


def test_old_offences_reported_late_one_by_one_are_not_the_start() -> None:
    hours, records = source(800, 20, begins=500, strays=range(0, 500 * DAY, 40 * DAY))
    assert (
        found(hours, records, 800) == Observed(FIRST + 500 * DAY, [])
        or abs(found(hours, records, 800).start - FIRST - 500 * DAY) < DAY
    )


@pytest.mark.parametrize("days", [29, 57, 365, 366])
def test_the_first_days_of_a_source_are_known_however_long_it_is(days: int) -> None:
    hours, records = source(days, 40)
    assert found(hours, records, days) == Observed(int(hours[0]), [])


def test_a_young_source_has_a_start_and_no_outage() -> None:
    hours, records = source(2, 30)
    assert found(hours, records, 2) == Observed(int(hours[0]), [])


def test_a_month_delivered_on_one_day_is_followed_by_no_outage() -> None:
    hours = FIRST + DAY * np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30] * 3)
    seen = observed(hours, np.full(hours.size, 500), int(hours[0]), int(hours[-1]) + 20 * DAY)
    assert seen.outages == []


def test_nights_and_weekends_without_records_are_usual_for_an_office() -> None:
    hours = np.arange(400 * DAY)
    records = np.random.default_rng(1).poisson(10, hours.size)
    records[(hours % 168 >= 120) | (hours % DAY < 9) | (hours % DAY > 17)] = 0
    assert observed(hours[records > 0], records[records > 0], 9, 400 * DAY).outages == []


def test_a_fast_growing_source_has_no_outage_when_it_was_small() -> None:
    hours = np.arange(700 * DAY)
    records = np.random.default_rng(1).poisson(np.geomspace(0.02, 20, hours.size))
    assert found(hours[records > 0] + FIRST, records[records > 0], 700).outages == []


def test_newest_weeks_that_still_fill_are_not_an_outage() -> None:
    hours, records = source(400, 20)
    late = (hours < FIRST + 380 * DAY) | (np.arange(hours.size) % 30 == 0)
    assert [each for each in found(hours[late], records[late], 400).outages if each.start < FIRST + 379 * DAY] == []


def test_a_part_shares_the_outages_of_its_source_and_has_its_own_where_it_stops_alone() -> None:
    hours, records = source(800, 60, [(700, 740)])
    whole = found(hours, records, 800)
    assert found(*source(800, 6, [(699, 740)], seed=2), 800, whole).outages == []
    ((start, end, _),) = found(*source(800, 6, [(500, 560), (700, 740)], seed=3), 800, whole).outages
    assert (start, end) == pytest.approx((FIRST + 500 * DAY, FIRST + 560 * DAY), abs=DAY)


def test_a_station_that_opens_later_begins_with_its_first_record_and_a_rare_one_with_its_source() -> None:
    whole = found(*source(800, 60), 800)
    hours, records = source(800, 6, begins=300)
    assert found(hours, records, 800, whole).start == hours[0]
    assert found(*source(800, 0.02), 800, whole).start == whole.start


def test_days_alone_tell_an_outage_with_its_partly_known_ends() -> None:
    days = np.repeat([day for day in range(20_000, 20_728) if not 20_600 <= day < 20_640], 2)
    assert gaps_of_days(days) == [(None, 20_000), (20_599, 20_641)]
    assert gaps_of_days(np.array([], np.int64)) == []
