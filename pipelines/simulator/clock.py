"""Times as the simulated agencies write them. Inside the simulator an instant is UTC seconds since 1970; -1 is none."""

from datetime import date, datetime, time

import numpy as np
import polars as pl
from scipy.special import ndtri

from pipelines.simulator.seeds import Floats, Integers

NONE = -1


def lognormal(median: Floats | float, spread: Floats | float, u: Floats) -> Floats:
    """Lognormal delays from uniform numbers."""
    return np.asarray(median * np.exp(spread * ndtri(np.clip(u, 1e-9, 1 - 1e-9))))


def written(name: str, seconds: Integers, zone: str, form: str) -> pl.Series:
    """Instants as local text; none becomes null."""
    instants = pl.Series(name, seconds * 1000).cast(pl.Datetime("ms", "UTC"))
    frame = pl.DataFrame({name: instants, "none": seconds == NONE})
    return frame.select(
        pl.when(~pl.col("none")).then(pl.col(name).dt.convert_time_zone(zone).dt.strftime(form)).alias(name)
    )[name]


def midnight(day: date, zone: str) -> int:
    """Seconds since 1970 of a day's local midnight."""
    from zoneinfo import ZoneInfo

    return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp())


def months(first: date, last: date) -> list[date]:
    """First days of the months from that of ``first`` to that of ``last``."""
    count = (last.year - first.year) * 12 + last.month - first.month
    return [date(first.year + (first.month - 1 + i) // 12, (first.month - 1 + i) % 12 + 1, 1) for i in range(count + 1)]
