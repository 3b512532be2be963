"""How far back the records reach: before that day, few incidents means few records."""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

SPAN_DAYS: Final = 28
LEAST_SHARE: Final = 0.1
ENOUGH: Final = 20
"""Where spans usually hold so many, none holds less than a tenth of it by chance (Poisson)."""

Integers = NDArray[np.int64]

_EPOCH: Final = date(1970, 1, 1)


def history_start(points: pl.DataFrame, window_end: date) -> date | None:
    """The first local date from which incidents were reported without a gap, as `first_day` finds it.

    Args:
        points: One row per incident: ``reported_date``.
        window_end: The first local date that no longer counts.

    Returns:
        None without any incident.
    """
    days = points["reported_date"].drop_nulls().cast(pl.Int32).to_numpy().astype(np.int64)
    found = first_day(days, (window_end - _EPOCH).days)
    return None if found is None else _EPOCH + timedelta(days=found)


def first_day(days: Integers, end: int) -> int | None:
    """The earliest day of the oldest span that the records reach back to without a gap.

    Spans of four weeks are counted back from ``end``, of twice as many weeks and so on where they would usually hold
    fewer than `ENOUGH` incidents. The records stop at a span with less than a tenth of what is usual. A source of a few
    years also holds old offences that were reported late, one by one back to decades ago (Toronto), and those years are
    not known for that. The newest spans may be thin, for reports come late: that is no gap.

    Args:
        days: One per incident, as numbers.
        end: The first day that no longer counts.

    Returns:
        None without any incident before ``end``.
    """
    past = days[days < end]
    if not past.size:
        return None
    age = end - 1 - past
    span = SPAN_DAYS
    while _usual(counts := np.bincount(age // span)) < ENOUGH and counts.size > 1:
        span *= 2
    counts_much = counts >= LEAST_SHARE * _usual(counts)
    newest = int(counts_much.argmax())
    gaps = np.flatnonzero(~counts_much[newest:])
    reach = newest + int(gaps[0]) if gaps.size else counts.size
    return int(past[age < reach * span].min())


def _usual(counts: Integers) -> float:
    """The median of the busier spans: half of the spans of a source may be stray ones."""
    held = counts[counts > 0]
    return float(np.median(held[held >= held.mean()]))
