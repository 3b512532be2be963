"""Averages by hour of week or weekday: what old and large counts do to them."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.models import hour_of_week
from pipelines.forecast.demand.series_checks import LARGEST
from tests.forecast.demand.conftest import MONDAY, line, targets_of


def test_a_series_whose_newest_row_is_years_old_has_no_mean() -> None:
    history = pl.concat([line(np.full(60, 7), 1), line(np.full(1060, 7), 2)])
    cutoff = MONDAY + timedelta(days=1060)
    forecasts = hour_of_week.predict(history, pl.concat(targets_of(cutoff, 7, series) for series in (1, 2)), "D")
    old, new = (forecasts.filter(unique_id=series)["mean"] for series in (1, 2))
    assert old.null_count() == 7 and new.to_list() == pytest.approx([7.0] * 7, rel=0.01)


@pytest.mark.parametrize("gap_days", [60, 400, 700])
def test_the_mean_of_a_series_that_ended_is_its_own_level(gap_days: int) -> None:
    forecasts = hour_of_week.predict(line(np.full(90, 7)), targets_of(MONDAY + timedelta(days=90 + gap_days), 7), "D")
    assert forecasts["mean"].to_list() == pytest.approx([7.0] * 7, rel=0.1)


def test_the_largest_count_that_series_may_have_does_not_overflow() -> None:
    cutoff = MONDAY + timedelta(days=3000)
    forecasts = hour_of_week.predict(line(np.full(3000, LARGEST)), targets_of(cutoff, 7), "D")
    assert forecasts["mean"].to_list() == pytest.approx([LARGEST] * 7, rel=0.01)
