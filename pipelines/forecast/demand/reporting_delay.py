"""Reporting delay: which of the newest hours are complete enough to be read.

The last hours and days of a feed still fill up, because calls are entered late, or only when they are closed. Read as
counts, they would show a drop in demand. The speed of filling is measured in earlier weeks; hours that are not full
enough are left out, so that they are unknown, like those after an outage. (Correcting them instead would give the
models noisy and fractional counts for a gain of hours in weeks.) Claims reserving calls this the reporting pattern.
"""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

LEAST_SHARE: Final = 0.98
"""An hour is read if this share of its final calls is expected to be known."""
LONGEST_HOURS: Final = 14 * 24
"""Later records are ignored: hours this old are read in any case."""
TRAINING_DAYS: Final = 84
LEAST_CALLS: Final = 50
"""With fewer calls in the training weeks an agency has no pattern; a service is shrunk towards its agency by this
many.
"""


def unfilled_hours(delays: pl.DataFrame, as_of: datetime) -> dict[str, int]:
    """Return, per service, how many whole hours before the newest known one are not full enough to be read.

    Only hours whose every delay up to ``LONGEST_HOURS`` had passed by ``as_of`` are used: nothing that became known
    later has an effect.

    Args:
        delays: ``marts.demand_delays``: ``agency, service, hour_start_at`` (UTC), ``delay_hours, calls``.
        as_of: The instant of issue, UTC.
    """
    last = as_of - timedelta(hours=LONGEST_HOURS + 1)
    filled = delays.filter(
        pl.col("hour_start_at").is_between(last - timedelta(days=TRAINING_DAYS), last),
        pl.col("delay_hours") <= LONGEST_HOURS,
    )
    grid = (
        filled.select("agency", "service")
        .unique()
        .join(pl.DataFrame({"delay_hours": range(LONGEST_HOURS + 1)}, schema={"delay_hours": pl.Int64}), how="cross")
    )
    pattern = filled.group_by("agency", "service", "delay_hours").agg(pl.col("calls").sum())
    service_keys, calls = ["agency", "service"], pl.col("calls")
    counted = (
        grid.join(pattern, on=[*service_keys, "delay_hours"], how="left")
        .with_columns(calls.fill_null(0).cast(pl.Int64))
        .sort(*service_keys, "delay_hours")
        .with_columns(
            calls.cum_sum().over(service_keys).alias("known"), calls.sum().over("agency", "delay_hours").alias("all")
        )
        .with_columns(pl.col("all").cum_sum().over(service_keys).alias("all_known"))
    )
    pool = calls.sum().over("agency")
    share = (pl.col("known") + LEAST_CALLS * pl.col("all_known") / pool) / (
        calls.sum().over(service_keys) + LEAST_CALLS
    )
    full = counted.filter((pool >= LEAST_CALLS) & (share >= LEAST_SHARE))
    hours = (
        full.group_by(service_keys)
        .agg(pl.col("delay_hours").min())
        .group_by("service")
        .agg(pl.col("delay_hours").max())
    )
    return dict(hours.sort("service").iter_rows())
