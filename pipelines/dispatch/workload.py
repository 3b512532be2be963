"""Workload: how long a call keeps a unit busy, and how many units are busy at once (Erlangs)."""

from collections.abc import Mapping
from typing import Final

import polars as pl

LEAST_TASKS: Final = 200
"""Fewer measured tasks than this say less about a service than the profile's assumption."""
LONGEST_TASK_HOURS: Final = 24.0


def service_minutes(dispatches: pl.DataFrame, assumed: Mapping[str, float]) -> pl.DataFrame:
    """Mean minutes a call keeps units busy, per service: measured where there are enough tasks, else assumed.

    A call that takes two units for half an hour each is an hour of work, so the minutes of a call's units add up. What
    counts is the mean, never the median: work is calls × mean time.

    Args:
        dispatches: One row per call and unit: ``incident_id, service, dispatched_at, available_at``. Times out of
            order, missing, or longer than a day are not measured. May be empty.
        assumed: Minutes per service for those without enough tasks; its keys are the services of the answer.

    Returns:
        ``service, service_minutes, is_measured``; services that need no unit (0 minutes assumed) stay at 0.
    """
    minutes = (pl.col("available_at") - pl.col("dispatched_at")).dt.total_seconds() / 60.0
    is_task = minutes.is_between(0, LONGEST_TASK_HOURS * 60, closed="right")
    measured = (
        dispatches.sort("service", "incident_id", "dispatched_at")
        .group_by("service", "incident_id", maintain_order=True)
        .agg(minutes.filter(is_task).sum().alias("minutes"), is_task.all().alias("is_whole"))
        .filter(pl.col("is_whole"))
        .group_by("service", maintain_order=True)
        .agg(pl.len().alias("tasks"), pl.col("minutes").mean())
    )
    known = pl.DataFrame(
        {"service": list(assumed), "assumed": [float(value) for value in assumed.values()]},
        schema={"service": pl.String, "assumed": pl.Float64},
    )
    is_measured = (pl.col("tasks").fill_null(0) >= LEAST_TASKS) & (pl.col("assumed") > 0)
    return (
        known.join(measured, on="service", how="left", maintain_order="left")
        .with_columns(is_measured.alias("is_measured"))
        .select(
            "service",
            pl.when("is_measured").then("minutes").otherwise("assumed").alias("service_minutes"),
            "is_measured",
        )
    )


def erlangs(calls_per_hour: pl.Expr, minutes: pl.Expr) -> pl.Expr:
    """Units busy at once, on average: calls an hour × hours per call."""
    return calls_per_hour * minutes / 60.0
