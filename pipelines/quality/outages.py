"""Outages: spans whose lack of records chance cannot explain, and where records really begin.

A source, a service or a station may stop for days and come back, and nothing may state it. Its own records tell, in two
ways:

* A span without any record is an outage if the source's rate by hour of the week makes it next to impossible. The rate
  is the lower one of those before and after (as low as two standard errors below it), so that growth and season do not
  count, and the expected number is divided by the variance of daily counts over their mean, so that a source which
  delivers in bursts (a month at once) has no outage between two of them. The first and the last hour of a span have the
  last record before it and the first after it: they are partly known, and count as unknown.
* Four weeks with less than a tenth of the usual number of records are an outage too, and before the oldest four weeks
  with more the records have not begun: a source also has single old offences that were reported late, decades back
  (Toronto). The newest weeks may be low because reports arrive late: that is not an outage.

Hours are whole hours since 1970-01-01 UTC.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST_EXPECTED: Final = 20.0
"""Records that a span without any would usually have: by chance it happens in two of a thousand million (Poisson)."""
LEAST_SHARE: Final = 0.1
"""Fewer records than this share of the usual number are stray ones."""
ENOUGH: Final = 20
"""If spans usually have this many records, none has less than a tenth of it by chance (Poisson)."""
SPAN_HOURS: Final = 28 * 24
SIDE_DAYS: Final = 28
MOST_SIDE_DAYS: Final = 364
SIDE_RECORDS: Final = 50
"""The rate before and after a span is that of four weeks, or of as many days as usually have this many records."""
LEAST_DAYS: Final = 14
"""A rate by hour of the week needs each hour twice."""
WEEK: Final = 168

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Outage(NamedTuple):
    """The hours from ``start`` and before ``end`` are unknown, as could be known from ``known`` on."""

    start: int
    end: int
    known: int


class Observed(NamedTuple):
    """Records begin in the hour ``start``; ``outages`` are later, in order, and do not touch."""

    start: int
    outages: list[Outage]


class _Sides(NamedTuple):
    """Per span: the rate next to it as a multiple of the usual one, and its index of dispersion; NaN if unknown."""

    level: Floats
    dispersion: Floats


def observed(hours: Ints, records: Ints, first: int, end: int, whole: Observed | None = None) -> Observed:
    """Return where the records of one source begin, and its outages.

    Args:
        hours: The hours with records, ascending.
        records: How many each has, at least one.
        first: The hour from which there could be records: that of the first one. Earlier ones are left out.
        end: The first hour that is not complete.
        whole: What was found of the source of which this is a part, such as a station. A part begins with it unless the
            time until its first record is an outage, may become rare without being one, and shares its outages, which
            are not listed again.
    """
    if whole:
        first = whole.start
    inside = (hours >= first) & (hours < end)
    hours, records = hours[inside], records[inside]
    thin: list[Outage] = []
    if hours.size and whole is None:
        first, thin = _thin_spans(hours, records, end)
        records, hours = records[hours >= first], hours[hours >= first]
    if not hours.size or end - first < LEAST_DAYS * 24:
        return Observed(first, thin)
    known = whole.outages if whole else []
    silent = _silent_spans(hours, records, first, end, known)
    # A shorter outage next to a longer one shows once the longer one no longer lowers the rate around it.
    silent += _silent_spans(hours, records, first, end, [*known, *silent]) if silent else []
    return _begun(first, _joined(sorted([*thin, *silent])), hours, records, end)


def gaps_of_days(days: Ints) -> list[tuple[int | None, int]]:
    """Return the unknown days of a source that has dates only, as first day (None: ever before) and end.

    Args:
        days: The day of each record, since 1970-01-01, in any order; the last of them is known.
    """
    distinct, records = np.unique(days, return_counts=True)
    if not distinct.size:
        return []
    seen = observed(distinct * 24, records, int(distinct[0]) * 24, (int(distinct[-1]) + 1) * 24)
    return [(None, seen.start // 24), *((each.start // 24, -(-each.end // 24)) for each in seen.outages)]


def _thin_spans(hours: Ints, records: Ints, end: int) -> tuple[int, list[Outage]]:
    """Return where records begin, and the spans after that with less than a tenth of the usual number of records.

    Spans of four weeks are counted back from ``end``, or of twice as many weeks and so on if they would usually have
    fewer than `ENOUGH` records, or bursts of them.
    """
    age, length = end - 1 - hours, SPAN_HOURS
    counts = np.bincount(age // length, records).astype(float)
    enough = ENOUGH * _burst(np.bincount(age // 24, records).astype(float), counts)
    while _usual_of_busy(counts) < enough and counts.size > 1:
        length *= 2
        counts = np.bincount(age // length, records).astype(float)
    is_busy = counts >= LEAST_SHARE * _usual_of_busy(counts)
    # Of the oldest span only the hours from the first record on may count, if the records go on after it.
    began = counts[-1] * length / (int(age[0]) % length + 1)
    is_busy[-1] |= counts.size > 1 and is_busy[-2] and began >= LEAST_SHARE * _usual_of_busy(counts)
    busy = np.flatnonzero(is_busy)
    newest, oldest = int(busy[0]), int(busy[-1])
    ends = (end - span * length for span in np.setdiff1d(np.arange(newest, oldest), busy).tolist())
    thin = [Outage(last - length, last, last) for last in ends]
    return int(hours[age < (oldest + 1) * length].min()), thin


def _burst(by_day: Floats, by_span: Floats) -> float:
    """Return the usual variance of the days of a busy span over their mean, at least 1."""
    days = SPAN_HOURS // 24
    busy = np.flatnonzero((by_span > 0) & (by_span >= by_span[by_span > 0].mean()))
    each = np.pad(by_day, (0, by_span.size * days - by_day.size)).reshape(-1, days)[busy]
    return max(float(np.median(each.var(axis=1) / each.mean(axis=1))), 1.0)


def _usual_of_busy(counts: Floats) -> float:
    """Return the median of the busier spans: half of the spans of a source may have only stray records."""
    busy = counts[counts > 0]
    return float(np.median(busy[busy >= busy.mean()]))


def _silent_spans(hours: Ints, records: Ints, first: int, end: int, known: list[Outage]) -> list[Outage]:
    """Return the spans without a record that are next to impossible, from one hour with a record to the next.

    In ``known`` outages no record is expected.
    """
    origin = first // 24 * 24
    counts = np.zeros(-(-end // 24) * 24 - origin, np.int64)
    counts[hours - origin] = records
    is_open = np.zeros(counts.size, bool)
    is_open[first - origin : end - origin] = True
    for outage in known:
        is_open[outage.start - origin : outage.end - origin] = False
    usual = _usual(counts, is_open)
    summed = np.concatenate([[0.0], np.cumsum(usual)])
    # Before the first record and after the last there is no hour with a record on one side.
    last = np.concatenate([[first - 1], hours]) - origin
    following = np.concatenate([hours, [end]]) - origin
    level, dispersion = _sides(counts, usual, last + 1, following, end - origin)
    with np.errstate(invalid="ignore"):
        is_silent = (summed[following] - summed[np.minimum(last + 1, following)]) * level >= LEAST_EXPECTED * dispersion
    spans = []
    for gap in np.flatnonzero(is_silent):
        needed = summed[last[gap] + 1] + LEAST_EXPECTED * dispersion[gap] / level[gap]
        known_from = min(int(np.searchsorted(summed, needed)), int(following[gap]))
        spans.append(Outage(int(last[gap]) + origin, min(int(following[gap]) + 1 + origin, end), known_from + origin))
    return spans


def _begun(first: int, outages: list[Outage], hours: Ints, records: Ints, end: int) -> Observed:
    """Return the start after the newest outage before which only stray records lie, and the outages after it."""
    for number in range(len(outages) - 1, -1, -1):
        outage = outages[number]
        earlier = records[hours <= outage.start].sum() - (outage.start >= first)
        rate = records[hours >= outage.end].sum() / max(end - outage.end, 1)
        if earlier < LEAST_SHARE * rate * max(outage.start - first, 1):
            return Observed(outage.end - 1, outages[number + 1 :])
    return Observed(first, outages)


def _usual(counts: Ints, is_open: NDArray[np.bool_]) -> Floats:
    """Return for each hour the mean of its hour of the week; none where no record is expected."""
    week = np.arange(counts.size) % WEEK
    hours = np.bincount(week[is_open], minlength=WEEK)
    mean = np.bincount(week[is_open], counts[is_open], minlength=WEEK) / np.maximum(hours, 1)
    return np.asarray(np.where(is_open, mean[week], 0.0))


def _sides(counts: Ints, usual: Floats, gap_start: Ints, gap_end: Ints, end: int) -> _Sides:
    """Return the lower level and dispersion of the whole days before and after each span."""
    by_day, usual_day = counts.reshape(-1, 24).sum(axis=1), usual.reshape(-1, 24).sum(axis=1)
    side = int(np.clip(SIDE_RECORDS / usual_day[usual_day > 0].mean(), SIDE_DAYS, MOST_SIDE_DAYS))
    until, since = gap_start // 24, np.minimum(-(-gap_end // 24), end // 24)
    before = _side(by_day, usual_day, np.maximum(until - side, 0), until)
    after = _side(by_day, usual_day, since, np.minimum(since + side, end // 24))
    level = np.fmin(before.level, after.level)
    # Next to a stray record within an outage one side is the rest of the outage.
    highest = np.fmax(before.level, after.level)
    level = np.where(level < LEAST_SHARE * highest, highest, level)
    return _Sides(level, np.fmin(before.dispersion, after.dispersion))


def _side(by_day: Ints, usual_day: Floats, first: Ints, last: Ints) -> _Sides:
    """Return level and dispersion of the days from ``first`` and before ``last``."""
    ratio = np.divide(by_day**2, usual_day, out=np.zeros(by_day.size), where=usual_day > 0)

    def inside(values: Floats | Ints) -> Floats:
        summed = np.concatenate([[0.0], np.cumsum(values)])
        return np.asarray(summed[last] - summed[first])

    seen, usually, days = inside(by_day), inside(usual_day), inside((usual_day > 0).astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.where((days > 0) & (usually > 0), seen / usually, np.nan)
        # The sum of (count - mean)² / mean, the mean being level × usual.
        dispersion = (inside(ratio) / level - 2 * seen + level * usually) / days
        low = np.maximum(seen - 2 * np.sqrt(seen), 0) / usually
    is_known = np.isfinite(level)
    return _Sides(np.where(is_known, low, np.nan), np.where(is_known & (seen > 0), np.maximum(dispersion, 1.0), np.nan))


def _joined(outages: list[Outage]) -> list[Outage]:
    """Return the outages with those joined that touch: one stray record does not end an outage."""
    joined: list[Outage] = []
    for each in outages:
        if joined and each.start <= joined[-1].end:
            joined[-1] = joined[-1]._replace(end=max(joined[-1].end, each.end))
        else:
            joined.append(each)
    return joined
