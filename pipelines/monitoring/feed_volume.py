"""Feed volume: compare a feed's last two days with its usual volume. No data, spikes and drops are alarms.

The usual volume is estimated from the feed's preceding eight weeks: records per hour of the week by time of report, and
their variation beyond chance (negative binomial). An alarm needs both a fixed limit from the profile
(``no_data_hours``, ``spike_ratio``) and a chance below one in a million, so that a feed of three records a day does not
raise an alarm every night and a busy one not at every storm. Only whole hours for which the feed is complete are
checked; a feed that could not be fetched is stale (`marts.feed_status`), not without data.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.config.profile import FeedSource
from pipelines.config.settings import Settings
from pipelines.schema.dictionary import frame_schema
from pipelines.store import warehouse

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CHANCE: Final = 1e-6
JUDGED_HOURS: Final = 48
LEARNT_DAYS: Final = 56
FEWEST_DAYS: Final = 14
FEWEST_RECORDS: Final = 10
"""Fewer records in an hour or day are not a spike, and where fewer are usual, few records are not a drop."""

ALARMS: Final = ("no_data", "volume_spike", "volume_drop")
HOUR = timedelta(hours=1)

SCHEMA: Final = frame_schema("ops.feed_health")


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual volume of a feed: the mean of every hour, and the variation beyond chance.

    ``spread`` is the squared coefficient of variation beyond Poisson: the variance of a count with mean m is
    m + spread·m².
    """

    mean: Floats
    spread: float

    def chance_of_none(self, expected: float, hours: int) -> float:
        """Return the probability of no record in these hours; hours of a day share one effect, days are independent."""
        days = max(1.0, hours / 24)
        return float((1 + self.spread * expected / days) ** (-days / self.spread))

    def chance_of_more(self, records: Integers, expected: Floats) -> Floats:
        """Return the probability of this many records or more."""
        from scipy.stats import nbinom

        size = 1 / self.spread
        return np.asarray(nbinom.sf(records - 1, size, size / (size + np.maximum(expected, 1e-9))))

    def chance_of_fewer(self, records: Integers, expected: Floats) -> Floats:
        """Return the probability of this many records or fewer."""
        from scipy.stats import nbinom

        size = 1 / self.spread
        return np.asarray(nbinom.cdf(records, size, size / (size + np.maximum(expected, 1e-9))))


def write(con: duckdb.DuckDBPyConnection, settings: Settings) -> pl.DataFrame:
    """Store the result of `judge_feeds` in ``ops.feed_health``."""
    judged = judge_feeds(con, settings)
    warehouse.write_frame(con, "ops", "feed_health", judged)
    return judged


def judge_feeds(con: duckdb.DuckDBPyConnection, settings: Settings) -> pl.DataFrame:
    """Check every feed of records at ``as_of``, from ``staging.incidents``; the columns are those of `SCHEMA`."""
    feeds = con.execute(
        """
        select feeds.feed, agency, least(fetched_through_at, getvariable('as_of')) - to_seconds(delay_seconds),
            (select min(window_start) from ops.batches where batches.feed = feeds.feed and verdict = 'accepted')
        from reference.feeds join ops.cursors on cursors.feed = feeds.feed
        where not is_reference and fetched_through_at is not null order by feeds.feed
        """
    ).fetchall()
    rows = []
    for feed, agency, complete, first in feeds:
        through = complete.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        counted = counts(con, feed, through, first or datetime.min.replace(tzinfo=UTC))
        result = judge(counted, through, settings.profile.zone, settings.profile.feeds[feed])
        rows.append({"feed": feed, "agency": agency} | result)
    return pl.DataFrame(rows, schema=SCHEMA)


def counts(con: duckdb.DuckDBPyConnection, feed: str, through: datetime, first: datetime) -> Integers:
    """Count records of a feed per hour of report (else of occurrence) up to ``through``.

    The counts begin with the first record after ``first`` if that is later: of records reported before the first
    request, only those that changed since are known.
    """
    hours = LEARNT_DAYS * 24 + JUDGED_HOURS
    rows = con.execute(
        """
        select date_diff('hour', $2::timestamptz, coalesce(reported_at, occurred_at)) as hour, count(*)
        from staging.incidents
        where feed = $1 and coalesce(reported_at, occurred_at) < $2::timestamptz
            and coalesce(reported_at, occurred_at) >= greatest($2::timestamptz - to_hours($3), $4::timestamptz)
        group by all
        """,
        [feed, through, hours, first],
    ).fetchall()
    counted = np.zeros(hours, np.int64)
    for hour, records in rows:
        counted[hour] = records
    return counted[int(np.argmax(counted > 0)) :] if rows else counted[:0]


def judge(records: Integers, through: datetime, zone: ZoneInfo, source: FeedSource) -> dict[str, object]:
    """Check the last two days of a feed's hourly records, which end at ``through``, against those before them.

    Returns the columns of ``ops.feed_health`` except feed and agency. ``state`` is usual, no_data (no record for too
    long), volume_spike (an hour or day of far more than usual), volume_drop (a day of far fewer) or unknown (less than
    two weeks of history).
    """
    answer: dict[str, object] = {
        "state": "unknown",
        "is_alarm": False,
        "judged_from_at": through - JUDGED_HOURS * HOUR,
        "judged_through_at": through,
        "records": int(records[-JUDGED_HOURS:].sum()),
        "rule": rule(source),
    }
    if len(records) < FEWEST_DAYS * 24 + JUDGED_HOURS:
        return answer
    usual = learn(records, through, zone)
    silence, has_no_data = _without_records(records, usual, source.no_data_hours)
    times, is_spike = _spike(records, usual, source.spike_ratio)
    states = {
        "no_data": has_no_data,
        "volume_spike": is_spike,
        "volume_drop": _is_drop(records, usual, source.spike_ratio),
    }
    state = next((name for name, holds in states.items() if holds), "usual")
    return answer | {
        "state": state,
        "is_alarm": state in ALARMS,
        "expected_records": round(float(usual.mean[-JUDGED_HOURS:].sum()), 1),
        "no_data_hours": silence,
        "times_usual": round(times, 1),
    }


def rule(source: FeedSource) -> str:
    """Return the feed's fixed limits in one line."""
    return (
        f"alarm when nothing is reported for {source.no_data_hours:g} h, when an hour or day brings more than "
        f"{source.spike_ratio:g} times what is usual, or a day less than 1/{source.spike_ratio:g} of it, and chance "
        "would do so less than once in a million"
    )


def learn(records: Integers, through: datetime, zone: ZoneInfo) -> Usual:
    """Estimate the usual volume of each hour from all but the two days checked.

    The mean of an hour of the week is shrunk towards that of its hour of the day, with the weight of four weeks: eight
    weeks alone are few data for a low-volume hour.
    """
    starts = pl.datetime_range(through - len(records) * HOUR, through, "1h", closed="left", eager=True, time_zone="UTC")
    local = starts.dt.convert_time_zone(str(zone))
    hour = local.dt.hour().cast(pl.Int64).to_numpy()
    of_week = (local.dt.weekday().cast(pl.Int64).to_numpy() - 1) * 24 + hour
    past = slice(0, len(records) - JUDGED_HOURS)
    by_hour = np.bincount(hour[past], records[past], 24) / np.maximum(np.bincount(hour[past], minlength=24), 1)
    seen = np.bincount(of_week[past], minlength=168)
    total = np.bincount(of_week[past], records[past], 168)
    shape = (total + 4 * np.tile(by_hour, 7)) / (seen + 4)
    mean = shape[of_week]
    beyond = ((records[past] - mean[past]) ** 2 - mean[past]).sum() / max(float((mean[past] ** 2).sum()), 1e-9)
    # Days vary more than eight weeks show: holidays, storms.
    return Usual(mean, max(float(beyond), 0.02))


def _without_records(records: Integers, usual: Usual, limit_hours: float) -> tuple[int, bool]:
    """Return the longest spell without a record that reaches into the checked hours, and whether it is an alarm."""
    edges = np.flatnonzero(np.diff(np.r_[0, (records == 0).astype(np.int64), 0]))
    spells = [
        (start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if end > len(records) - JUDGED_HOURS
    ]
    longest = max((end - start for start, end in spells), default=0)
    alarm = any(
        end - start >= limit_hours and usual.chance_of_none(float(usual.mean[start:end].sum()), end - start) < CHANCE
        for start, end in spells
    )
    return int(longest), alarm


def _spike(records: Integers, usual: Usual, ratio: float) -> tuple[float, bool]:
    """Return the last day's volume relative to the usual, and whether any checked hour or day is an alarm."""
    alarm = False
    for width in (1, 24):
        many, expected = _sums(records, usual, width)
        rare = usual.chance_of_more(many, expected) < CHANCE
        alarm |= bool((rare & (many > ratio * expected) & (many >= FEWEST_RECORDS)).any())
    return float(many[-1] / max(expected[-1], 1e-9)), alarm


def _is_drop(records: Integers, usual: Usual, ratio: float) -> bool:
    few, expected = _sums(records, usual, 24)
    rare = usual.chance_of_fewer(few, expected) < CHANCE
    return bool((rare & (few * ratio < expected) & (expected >= FEWEST_RECORDS)).any())


def _sums(records: Integers, usual: Usual, width: int) -> tuple[Integers, Floats]:
    """Return records and their expectation, summed over every ``width`` checked hours."""
    window = np.ones(width)
    many = np.convolve(records[-JUDGED_HOURS:], window, "valid")
    return many.astype(np.int64), np.convolve(usual.mean[-JUDGED_HOURS:], window, "valid")
