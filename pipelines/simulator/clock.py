"""Times in the simulated agencies' formats. Inside the simulator, an instant is UTC seconds since 1970; -1 is none."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from scipy.special import ndtri

from pipelines.simulator.seeds import Floats, Integers

NONE = -1
DAY = 86_400
_QUARTER = 900
EPOCH = date(1970, 1, 1)
ISO = ("%Y-%m-%d", "T%H:%M:%S")
PACKED = ("%Y%m%d", "%H%M%S")
SPACED = ("%Y-%m-%d", " %H:%M:%S")
"""Formats of a local time: the day, and the time of day."""


def lognormal(median: Floats | float, spread: Floats | float, u: Floats) -> Floats:
    """Return lognormal delays from uniform numbers."""
    return np.asarray(median * np.exp(spread * ndtri(np.clip(u, 1e-9, 1 - 1e-9))))


def local(seconds: Integers, zone: str) -> Integers:
    """Convert instants to local seconds since 1970.

    Offsets are looked up by quarter hour, within which none changes.
    """
    if not seconds.size:
        return seconds
    first, last = int(seconds.min()) // _QUARTER, int(seconds.max()) // _QUARTER
    quarters = np.arange(first, last + 1) * _QUARTER
    instants = pl.Series(quarters * 1000).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(zone)
    offsets = instants.dt.replace_time_zone(None).to_physical().to_numpy() // 1000 - quarters
    return np.asarray(seconds + offsets[seconds // _QUARTER - first])


def written(name: str, seconds: Integers, zone: str, form: tuple[str, str], offset: bool = False) -> pl.Series:
    """Format instants as local text, with their UTC offset if requested; none becomes null.

    Days and times of day are formatted once each and looked up, which is ten times as fast as formatting every instant.
    """
    known = seconds != NONE
    if not known.any():
        return pl.Series(name, [None], pl.String).new_from_index(0, len(seconds))
    filled = np.where(known, seconds, seconds[known][0])
    clock = local(filled, zone)
    day, second = np.divmod(clock, DAY)
    parts = [_days(day, form[0]), _TIMES[form[1]].gather(second)]
    if offset:
        parts.append(_offsets(clock - filled))
    text = pl.select(pl.concat_str(parts).alias(name))[name]
    return text if known.all() else pl.select(pl.when(pl.Series(known)).then(text).alias(name))[name]


def day_texts(seconds: Integers, zone: str, form: str) -> pl.Series:
    """Return the local days of instants as text."""
    return _days(days(seconds, zone), form)


def midnight(day: date, zone: str) -> int:
    """Return a day's local midnight in seconds since 1970."""
    return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp())


def days(seconds: Integers, zone: str) -> Integers:
    """Return the local days of instants, counted from 1970."""
    return local(seconds, zone) // DAY


def months(first: date, last: date) -> list[tuple[date, date]]:
    """Split the days [first, last) at the first day of each month."""
    spans = []
    while first < last:
        following = min((first.replace(day=1) + timedelta(days=32)).replace(day=1), last)
        spans.append((first, following))
        first = following
    return spans


def _days(day: Integers, form: str) -> pl.Series:
    if not day.size:
        return pl.Series([], dtype=pl.String)
    first, last = int(day.min()), int(day.max())
    span = pl.date_range(EPOCH + timedelta(days=first), EPOCH + timedelta(days=last), eager=True).dt.strftime(form)
    return span.gather(day - first)


def _offsets(seconds: Integers) -> pl.Series:
    distinct, place = np.unique(seconds, return_inverse=True)
    words = [f"{'-' if s < 0 else '+'}{abs(s) // 3600:02d}:{abs(s) % 3600 // 60:02d}" for s in distinct.tolist()]
    return pl.Series(words, dtype=pl.String).gather(place)


_TIMES = {
    form: pl.Series(np.arange(DAY) * 1000).cast(pl.Datetime("ms")).dt.strftime(form)
    for _, form in (ISO, PACKED, SPACED)
}
