"""The start of the records: before that day, few incidents mean few records."""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

SPAN_DAYS: Final = 28
LEAST_SHARE: Final = 0.1
ENOUGH: Final = 20
"""If spans usually have this many incidents, none has less than a tenth of it by chance (Poisson)."""

Integers = NDArray[np.int64]

_EPOCH: Final = date(1970, 1, 1)


def history_start(points: pl.DataFrame, window_end: date) -> date | None:
    """Return the first local date from which incidents were reported without a gap, as found by `first_day`.

    Args:
        points: One row per incident: ``report_date``.
        window_end: The first local date excluded.

    Returns:
        None without any incident.
    """
    days = points["report_date"].drop_nulls().cast(pl.Int32).to_numpy().astype(np.int64)
    day = first_day(days, (window_end - _EPOCH).days)
    return None if day is None else _EPOCH + timedelta(days=day)


def first_day(days: Integers, end: int) -> int | None:
    """Return the first day of the oldest span that the records reach without a gap.

    Spans of four weeks are counted back from ``end``, or of twice as many weeks and so on if they would usually have
    fewer than `ENOUGH` incidents. The records begin after a span with less than a tenth of the usual number. A source
    of a few years also has single old offences that were reported late, decades back (Toronto), which do not make those
    years known. The newest spans may be low because reports arrive late: that is not a gap.

    Args:
        days: One per incident, as numbers.
        end: The first day excluded.

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
    """Return the median of the busier spans: half of the spans of a source may have only stray incidents."""
    busy = counts[counts > 0]
    return float(np.median(busy[busy >= busy.mean()]))
