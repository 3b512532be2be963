"""Workload: how long a call keeps a unit busy, and how many units are busy at once (Erlangs)."""

from collections.abc import Mapping
from typing import Final

import polars as pl

LEAST_CALLS: Final = 200
"""With fewer measured calls, the profile's assumption for a service is more reliable."""
LONGEST_TASK_HOURS: Final = 24.0


def service_minutes(dispatches: pl.DataFrame, assumed: Mapping[str, float]) -> pl.DataFrame:
    """Return the units per call and the busy time of each, per service: measured if there are enough calls.

    The mean is used, never the median: work is calls × mean time.

    Args:
        dispatches: One row per call and unit: ``incident_id, service, dispatched_at, available_at``. A call with a time
            that is missing, out of order, or longer than a day is not measured. May be empty.
        assumed: Minutes of one unit per service, for services without enough calls; its keys are the services of the
            result, and a service that needs no unit has 0.

    Returns:
        ``service``, ``service_minutes`` (of one unit), ``units_per_call``, ``is_measured``.
    """
    minutes = (pl.col("available_at") - pl.col("dispatched_at")).dt.total_seconds() / 60.0
    is_task = minutes.is_between(0, LONGEST_TASK_HOURS * 60, closed="right").fill_null(False)
    measured = (
        dispatches.sort("service", "incident_id", "dispatched_at")
        .group_by("service", "incident_id", maintain_order=True)
        .agg(minutes.sum().alias("minutes"), pl.len().alias("units"), is_task.all().alias("is_whole"))
        .filter(pl.col("is_whole"))
        .group_by("service", maintain_order=True)
        .agg(pl.len().alias("calls"), pl.col("minutes", "units").sum())
    )
    known = pl.DataFrame(
        {"service": list(assumed), "assumed": [float(value) for value in assumed.values()]},
        schema={"service": pl.String, "assumed": pl.Float64},
    )
    is_measured = (pl.col("calls").fill_null(0) >= LEAST_CALLS) & (pl.col("assumed") > 0)
    measure = pl.when("is_measured")
    return (
        known.join(measured, on="service", how="left", maintain_order="left")
        .with_columns(is_measured.alias("is_measured"))
        .select(
            "service",
            pl.when("is_measured")
            .then(pl.col("minutes") / pl.col("units"))
            .otherwise("assumed")
            .alias("service_minutes"),
            measure.then(pl.col("units") / pl.col("calls")).otherwise(1.0).alias("units_per_call"),
            "is_measured",
        )
    )


def erlangs(calls_per_hour: pl.Expr, minutes: pl.Expr) -> pl.Expr:
    """Return the average number of busy units: calls an hour × hours per call."""
    return calls_per_hour * minutes / 60.0
