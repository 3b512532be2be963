"""Demand by shift: sums over the hours of a shift where hours are forecast, beyond that its part of the day.

A shift begins at a local wall-clock time on every day and may end on the next. Means come from the published forecasts
of hours and days, so that they add up; ranges are learnt as for days, from what the weekday table of the shift's own
counts missed at past origins (quantiles of hours do not add up to those of their shift).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.forecast.demand import hour_of_week, seasonal_naive
from pipelines.forecast.demand.models import BASELINE, TABLE
from pipelines.forecast.demand.rolling import Model
from pipelines.profile import Shift

MODEL: Final = "shift_sum"
"""Name of the published forecasts by shift."""


def floors() -> list[Model]:
    """What is tried at past origins on a shift's own counts: the weekday table, and last week's same shift."""
    return [
        Model(TABLE["D"], partial(hour_of_week.predict, freq="D")),
        Model(BASELINE, partial(seasonal_naive.predict, freq="D")),
    ]


def of_services(shifts: Mapping[str, Shift]) -> pl.DataFrame:
    """One row per shift and service: ``shift, service, begins`` and ``ends``, hours after the midnight it begins on."""
    rows = [
        (name, service, shift.begins.hour, shift.begins.hour + shift.hours)
        for name, shift in shifts.items()
        for service in shift.services
    ]
    schema = {"shift": pl.String, "service": pl.String, "begins": pl.Int64, "ends": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def hours_of(ds: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Every row with ``ds`` (hours) and ``service`` once per shift that it lies in, with ``shift`` and ``day``.

    ``day`` is the midnight of the date on which the shift began.
    """
    hour, date = pl.col("ds").dt.hour().cast(pl.Int64), pl.col("ds").dt.truncate("1d")
    found = ds.join(shifts, on="service")
    today = found.filter(hour >= pl.col("begins"), hour < pl.col("ends")).with_columns(date.alias("day"))
    night = found.filter(hour < pl.col("ends") - 24).with_columns((date - pl.duration(days=1)).alias("day"))
    return pl.concat([today, night])


def counts(history: pl.DataFrame, series: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Counts of whole shifts: one with fewer known hours than it has, less one for a clock change, is unknown.

    Args:
        history: ``unique_id, ds, y`` by hour.
        series: ``unique_id, service``.
        shifts: As ``of_services`` gives.

    Returns:
        ``series_id, shift, ds`` (midnight of the date on which it began)``, y``.
    """
    named = series.select(pl.col("unique_id").alias("series_id"), "service")
    # One shift at a time: all of them together are several times the history.
    found = [_counted(history, named, shift) for shift in shifts.partition_by("shift", maintain_order=True)]
    columns = [pl.lit("").alias("shift"), pl.lit(None, pl.Datetime("us")).alias("ds"), pl.lit(0.0).alias("y")]
    none = named.select("series_id", *columns).clear()
    return pl.concat([none, *found]).sort("series_id", "shift", "ds")


def _counted(history: pl.DataFrame, named: pl.DataFrame, shift: pl.DataFrame) -> pl.DataFrame:
    ids = named.join(shift, on="service", how="semi")
    lying = hours_of(history.rename({"unique_id": "series_id"}).join(ids, on="series_id"), shift)
    length = (pl.col("ends") - pl.col("begins")).first()
    return (
        lying.group_by("series_id", "shift", "day")
        .agg(pl.col("y").sum(), (pl.len() >= length - 1).alias("_is_whole"))
        .filter("_is_whole")
        .select("series_id", "shift", pl.col("day").alias("ds"), "y")
    )


def ahead(shifts: pl.DataFrame, as_of: datetime, days: int, zone: ZoneInfo) -> pl.DataFrame:
    """The next ``days`` whole shifts of each name that begin at or after ``as_of``.

    Returns:
        ``shift, ds`` (midnight of the date)``, target_start, target_end`` (UTC).
    """
    first = as_of.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)

    def instant(midnight: datetime, hours: int) -> datetime:
        return (midnight + timedelta(hours=hours)).replace(tzinfo=zone).astimezone(UTC)

    rows = []
    for name, begins, ends in shifts.select("shift", "begins", "ends").unique(maintain_order=True).iter_rows():
        begun = 0 if instant(first, begins) >= as_of else 1
        midnights = [first + timedelta(days=begun + i) for i in range(days)]
        rows += [(name, at, instant(at, begins), instant(at, ends)) for at in midnights]
    named = pl.DataFrame(rows, schema=["shift", "ds", "target_start", "target_end"], orient="row")
    utc = pl.Datetime("us", "UTC")
    return named.cast({"shift": pl.String, "ds": pl.Datetime("us"), "target_start": utc, "target_end": utc})


def means(hours: pl.DataFrame, days: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Expected counts of shifts from published forecasts.

    Args:
        hours: ``series_id, service, ds, mean`` of the coming hours; a whole week of them says how days divide.
        days: ``series_id, service, ds, mean`` of the coming days.
        shifts: As ``of_services`` gives.

    Returns:
        ``series_id, shift, ds, mean``: the sum over the shift's hours where all are forecast, else over its parts of
        days; a shift that neither covers has no row.
    """
    keys, weekday = ["series_id", "shift", "ds"], pl.col("ds").dt.weekday().alias("weekday")
    hour = pl.col("ds").dt.hour().alias("hour")
    share = (pl.col("mean") / pl.col("mean").sum().over("series_id", "weekday")).alias("share")
    parts = hours.with_columns(weekday, hour).select("series_id", "weekday", "hour", share)
    every = pl.DataFrame({"hour": range(24)}, schema={"hour": pl.Int8})
    at = pl.col("ds") + pl.duration(hours=pl.col("hour"))
    divided = (
        days.join(every, how="cross")
        .with_columns(weekday)
        .join(parts.unique(["series_id", "weekday", "hour"]), on=["series_id", "weekday", "hour"])
        .select("series_id", "service", at, pl.col("mean") * pl.col("share"))
    )
    return pl.concat([_sums(hours, shifts), _sums(divided, shifts)]).unique(keys, keep="first", maintain_order=True)


def _sums(hours: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Means of hours added up to those of whole shifts."""
    whole = pl.len() >= (pl.col("ends") - pl.col("begins")).first()
    return (
        hours_of(hours, shifts)
        .sort("series_id", "shift", "ds")
        .group_by("series_id", "shift", pl.col("day").alias("_day"), maintain_order=True)
        .agg(pl.col("mean").sum(), whole.alias("_is_whole"))
        .filter("_is_whole")
        .select("series_id", "shift", pl.col("_day").alias("ds"), "mean")
    )


def named_series(series: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """One series per series and shift.

    Args:
        series: As ``Panel.series``.
        shifts: As ``of_services`` gives.

    Returns:
        The columns of ``series`` with ``series_id`` (its ``unique_id``), ``shift``, an own ``unique_id`` and ``pool``,
        and as ``cutoff`` the midnight from which on no shift has ended yet.
    """
    last = (pl.col("cutoff") - pl.duration(hours=pl.col("ends"))).dt.truncate("1d") + pl.duration(days=1)
    return (
        series.rename({"unique_id": "series_id"})
        .join(shifts, on="service")
        .with_columns(last.alias("cutoff"), pl.concat_str("pool", "shift", separator=" ").alias("pool"))
        .drop("begins", "ends")
        .sort("series_id", "shift")
        .with_row_index("unique_id")
    )
