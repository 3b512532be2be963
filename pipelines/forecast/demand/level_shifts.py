"""Shifts of level: days from which a series stays clearly above or below its usual level.

Counts of a day are compared with the level of the ten weeks that ended two weeks before, times the weekday's share of
the past year. Deviations beyond an allowance add up, above and below apart, until a bound is reached (a two-sided
CUSUM; Page 1954). The allowance is half of the smallest shift looked for: seasons and growth drift by less. At 10 calls
a day a shift of 30 % within two weeks is little more than chance, so about half are found in that time; at 30 a day
two thirds, at 100 nearly all (decision 0046).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from pipelines.forecast.demand.series import with_usual

LEAST_PER_DAY: Final = 5.0
"""Level below which a shift is hidden by chance."""
LAG_DAYS: Final = 14
"""Newest days that do not count towards the usual level, because a shift may have begun in them."""
LEVEL_DAYS: Final = 70
LEAST_KNOWN: Final = 35
"""Days of them that must be known."""
SHAPE_WEEKS: Final = 52
SHAPE_CALLS: Final = 30.0
"""Calls of an even week that a weekday's share starts from."""
ALLOWANCE: Final = 0.15
"""Half of the smallest shift looked for, as a share of the level."""
DAY_TO_DAY: Final = 0.05
"""Standard deviation of a day's rate that counts of any size have, as a share of the level."""
MOST_OF_A_DAY: Final = 3.0
"""The most that one day adds, in standard deviations: an extreme day is not a shift."""
BOUND: Final = 6.0
"""Standard deviations that must add up."""
TYPICAL: Final = 1.25
"""Standard deviations in a mean absolute one (normal)."""
HOLD_DAYS: Final = LAG_DAYS + LEVEL_DAYS
"""Days after a shift until the usual level contains no day before it."""

WEEK: Final = 7


def level_shifts(days: pl.DataFrame, single: pl.DataFrame, named_days: pl.Series | None = None) -> pl.DataFrame:
    """Find shifts of level in daily counts.

    Args:
        days: ``unique_id, ds, y``; a day without a row is unknown.
        single: The result of `extremes` for them: such a day is as the usual one.
        named_days: Dates of holidays and events, which are left out; none: no calendar.

    Returns:
        ``unique_id, known_on`` (the day whose count completed the evidence), ``since`` (the first day of it),
        ``is_up``; nothing after ``known_on`` is used.
    """
    counts = with_usual(days, single.select("unique_id", "ds", "usual"), ["unique_id", "ds"])
    if named_days is not None:
        counts = counts.filter(~pl.col("ds").dt.date().is_in(named_days.implode()))
    rows = [
        (unique_id, *shift)
        for (unique_id,), scored in _deviations(counts).group_by("unique_id", maintain_order=True)
        for shift in _shifts(scored.select("ds", "deviation", "allowance"))
    ]
    none = days.select("unique_id", known_on="ds", since="ds", is_up=pl.lit(True))
    return pl.DataFrame(rows, schema=none.schema, orient="row")


def texts(shifts: pl.DataFrame) -> pl.DataFrame:
    """Return ``unique_id, shift``: the newest shift of each series, in words.

    Its size is left out: next to the records an agency may read, it would give the withheld ones.
    """
    direction = pl.when("is_up").then(pl.lit("rose")).otherwise(pl.lit("fell"))
    words = pl.format(
        "the level {} about {}; forecasts follow within weeks", direction, pl.col("since").dt.strftime("%Y-%m-%d")
    )
    newest = shifts.sort("unique_id", "known_on").unique("unique_id", keep="last", maintain_order=True)
    return newest.select("unique_id", words.alias("shift"))


def _deviations(days: pl.DataFrame) -> pl.DataFrame:
    """Return ``unique_id, ds``, the ``deviation`` of each known day from the usual one and the ``allowance``, both in
    standard deviations.
    """
    y, level, usual = pl.col("y"), pl.col("level"), pl.col("usual")
    noise = (pl.col("noise") * TYPICAL).pow(2).clip(1.0).fill_null(1.0)
    scale = (noise * usual + (DAY_TO_DAY * usual) ** 2).sqrt()
    # The level is an estimate itself.
    allowance = ALLOWANCE + (noise / (LEVEL_DAYS * level)).sqrt()
    miss = ((y - usual).abs() / usual.sqrt()).shift(LAG_DAYS)
    return (
        _usual(days)
        .with_columns(miss.rolling_mean(LEVEL_DAYS, min_samples=LAG_DAYS).over("unique_id").alias("noise"))
        .filter(level >= LEAST_PER_DAY, y.is_not_null())
        .select(
            "unique_id", "ds", ((y - usual) / scale).alias("deviation"), (allowance * usual / scale).alias("allowance")
        )
    )


def _usual(days: pl.DataFrame) -> pl.DataFrame:
    """Return ``unique_id, ds, y, level, usual`` of every day, known or not: as expected ``LAG_DAYS`` before it."""
    weekday = ["unique_id", pl.col("ds").dt.weekday()]
    before, same_weekday = pl.col("y").shift(LAG_DAYS), pl.col("y").shift(LAG_DAYS // WEEK)
    count = same_weekday.is_not_null().cast(pl.Float64)
    year = pl.col("year_mean") * pl.col("weekdays") + SHAPE_CALLS
    return (
        days.group_by("unique_id")
        .agg(pl.datetime_range(pl.col("ds").min(), pl.col("ds").max(), "1d").alias("ds"))
        .explode("ds")
        .join(days.select("unique_id", "ds", "y"), on=["unique_id", "ds"], how="left")
        .sort("unique_id", "ds")
        .with_columns(
            before.rolling_mean(LEVEL_DAYS, min_samples=LEAST_KNOWN).over("unique_id").alias("level"),
            before.rolling_mean(SHAPE_WEEKS * WEEK, min_samples=LEAST_KNOWN).over("unique_id").alias("year_mean"),
            same_weekday.rolling_sum(SHAPE_WEEKS, min_samples=1).over(weekday).alias("weekday_calls"),
            count.rolling_sum(SHAPE_WEEKS, min_samples=1).over(weekday).alias("weekdays"),
        )
        .with_columns((pl.col("level") * (pl.col("weekday_calls") + SHAPE_CALLS) / year).alias("usual"))
    )


def _shifts(scored: pl.DataFrame) -> Iterator[tuple[datetime, datetime, bool]]:
    """Yield ``known_on, since, is_up`` of one series' shifts from its ``ds, deviation, allowance``."""
    sums, since = {True: 0.0, False: 0.0}, dict.fromkeys((True, False), datetime.min)
    held_until = datetime.min
    for day, deviation, allowance in scored.iter_rows():
        if day < held_until:
            continue
        for is_up, distance in ((True, deviation), (False, -deviation)):
            if sums[is_up] == 0.0:
                since[is_up] = day
            sums[is_up] = max(0.0, sums[is_up] + min(distance - allowance, MOST_OF_A_DAY))
        if max(sums.values()) > BOUND:
            is_up = sums[True] > sums[False]
            yield day, since[is_up], is_up
            sums, held_until = {True: 0.0, False: 0.0}, since[is_up] + timedelta(days=HOLD_DAYS)
