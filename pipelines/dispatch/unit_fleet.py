"""The fleet behind unit records, where no list of units on shift exists: which units there are, where, and when.

A unit is seen only when it is sent. One that is sent on most days, and in no quarter of the day fewer times than chance
explains (Poisson), is in service all day. Of the others, only how many are on duty at an hour of the day is inferred:
the mean number of spells, which end where a unit is not sent for ``GAP``. A unit that waits at the beginning or end of
its shift is not seen, so this is a lower bound.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import poisson

Floats = NDArray[np.float64]
GAP: Final = timedelta(hours=4)
HOURS: Final = 24
LEAST_DAYS_SHARE: Final = 0.7
"""A unit in service all day was sent on so many of the days."""
QUARTERS: Final = 4
SURPRISE: Final = 0.05
"""Chance of so few tasks in a quarter of the day, given the tasks of all units, below which a unit was off duty."""

_UNITS: Final[dict[str, type[pl.DataType] | pl.DataType]] = {
    "unit_id": pl.String, "unit_type": pl.String, "hours": pl.List(pl.Boolean),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UnitFleet:
    """``units``: ``unit_id, unit_type, lon, lat`` (home; null if it roams), ``hours`` (24 flags, by hour of day).

    ``on_duty``: ``unit_type, hour, on_duty`` (mean number of units).
    """

    units: pl.DataFrame
    on_duty: pl.DataFrame


def infer(records: pl.DataFrame, homes: pl.DataFrame) -> UnitFleet:
    """Infer the fleet.

    Args:
        records: ``unit_id, unit_type, dispatched_at, available_at``; local time. Rows that miss one of the times or end
            before they begin are left out.
        homes: ``unit_id, lon, lat`` of units that wait at a known place; may be empty. They are in service all day.
    """
    is_task = pl.col("available_at") >= pl.col("dispatched_at")
    tasks = records.filter(is_task).sort("unit_type", "unit_id", "dispatched_at")
    span = tasks.select((pl.col("dispatched_at").max() - pl.col("dispatched_at").min()).dt.total_seconds()).item() or 0
    days = max(1, round(span / 86_400))
    seen = _all_day(tasks, days)
    steady = seen.join(homes.unique("unit_id"), on="unit_id", how="left", maintain_order="left").with_columns(
        is_steady=pl.col("is_all_day") | pl.col("lon").is_not_null()
    )
    counts = _on_duty(tasks.join(steady.filter(~pl.col("is_steady")), on=["unit_type", "unit_id"], how="semi"), days)
    all_day = steady.filter("is_steady").select("unit_id", "unit_type", "lon", "lat", hours=pl.lit([True] * HOURS))
    shifts = [
        {"unit_id": f"{kind} {number + 1}", "unit_type": kind, "hours": (hours > number).tolist()}
        for kind, hours in counts.items()
        for number in range(int(hours.max(initial=0)))
    ]
    units = pl.concat([all_day, pl.DataFrame(shifts, schema=_UNITS)], how="diagonal")
    on_duty = (
        units.explode("hours").with_columns(hour=pl.int_range(pl.len()).over("unit_id", "unit_type") % HOURS)
        .group_by("unit_type", "hour").agg(on_duty=pl.col("hours").sum().cast(pl.Float64)).sort("unit_type", "hour")
    )  # fmt: skip
    return UnitFleet(units, on_duty)


def busy_hours(tasks: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """Return the mean number of busy units by type and hour of the day, between two instants.

    Args:
        tasks: ``unit_type, dispatched_at, available_at``; tasks without both are left out.
        start: Inclusive, a full hour.
        end: Exclusive, a whole number of days later.

    Returns:
        ``unit_type, hour, busy``, every hour of every type, 0 where no unit was busy.
    """
    kept = tasks.filter(pl.col("dispatched_at") < end, pl.col("available_at") > start)
    days = (end - start) / timedelta(days=1)
    kinds, place = np.unique(kept["unit_type"].to_numpy().astype(str), return_inverse=True)
    busy = np.zeros((len(kinds), HOURS))
    first = _hours_since(kept["dispatched_at"], start).clip(0, None)
    last = _hours_since(kept["available_at"], start).clip(None, days * 24)
    for kind, since, until in zip(place, first, last, strict=True):
        for hour in range(int(since), int(np.ceil(until))):
            busy[kind, (hour + start.hour) % HOURS] += min(hour + 1, until) - max(hour, since)
    return pl.DataFrame(
        {
            "unit_type": np.repeat(kinds, HOURS),
            "hour": np.tile(np.arange(HOURS), len(kinds)),
            "busy": busy.ravel() / days,
        },
        schema={"unit_type": pl.String, "hour": pl.Int64, "busy": pl.Float64},
    )


def _all_day(tasks: pl.DataFrame, days: int) -> pl.DataFrame:
    """Return ``unit_type, unit_id, is_all_day``."""
    quarter = pl.col("dispatched_at").dt.hour() // (HOURS // QUARTERS)
    usual = [tasks.select((quarter == number).mean()).item() for number in range(QUARTERS)]
    sent = tasks.group_by("unit_type", "unit_id", maintain_order=True).agg(
        pl.len().alias("tasks"),
        pl.col("dispatched_at").dt.date().n_unique().alias("days"),
        *((quarter == number).sum().alias(str(number)) for number in range(QUARTERS)),
    )
    is_usual = np.ones(sent.height, dtype=bool)
    for number in range(QUARTERS):
        chance = poisson.cdf(sent[str(number)].to_numpy(), sent["tasks"].to_numpy() * usual[number])
        is_usual &= chance >= SURPRISE
    return sent.select(
        "unit_type", "unit_id", is_all_day=(pl.col("days") >= LEAST_DAYS_SHARE * days) & pl.Series(is_usual)
    )


def _on_duty(tasks: pl.DataFrame, days: int) -> dict[str, Floats]:
    """Return the number of units on duty by hour of the day, rounded up as it is a lower bound, per type."""
    latest = pl.col("available_at").cum_max().shift().over("unit_id")
    spells = (
        tasks.with_columns(spell=((pl.col("dispatched_at") - latest) > GAP).fill_null(value=True).cum_sum())
        .group_by("spell", maintain_order=True)
        .agg(pl.col("unit_type").first(), pl.col("dispatched_at").min(), pl.col("available_at").max())
    )
    if spells.is_empty():
        return {}
    begin: datetime = spells.select(pl.col("dispatched_at").min().dt.truncate("1d")).item()
    counted = busy_hours(spells, begin, begin + timedelta(days=days + 2))
    hours = counted.with_columns(mean=pl.col("busy") * (days + 2) / days).group_by("unit_type", maintain_order=True)
    return {str(kind): np.ceil(rows["mean"].to_numpy().round(6)) for (kind,), rows in hours}


def _hours_since(column: pl.Series, start: datetime) -> Floats:
    return np.asarray((column - start).dt.total_microseconds().to_numpy() / 3.6e9, dtype=float)
