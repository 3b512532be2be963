"""Disclosure-safe forecasts for audiences that also read records: the region's, shared by releasable calls.

Records exclude sensitive matters. Next to them, a forecast of all calls of an area would disclose by differencing how
many were excluded there: fit hour-of-week averages to the records, and the remainder is the rate of the rest. So if
releasable counts differ from all counts, police and fire get this forecast instead: the total expected over all leaves
of a hierarchy, divided among them in proportion to the hour-of-week averages of their releasable counts. Means are
additive like those of all calls, over areas and over the hours of the first week; each keeps the spread of the forecast
it replaces. An area's mean follows its records and, for the excluded calls, the region's average.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import polars as pl

from pipelines.config.profile import Profile
from pipelines.forecast.demand.hierarchy import reconciliation
from pipelines.forecast.demand.hierarchy.area_hierarchy import WHOLE
from pipelines.forecast.demand.hierarchy.reconciliation import Sums
from pipelines.forecast.demand.models import hour_of_week
from pipelines.forecast.demand.panel import MEASURES, Known, Panel
from pipelines.forecast.demand.series import Frequency

MODEL: Final = "share_of_region"
METHOD: Final = "region_share"
MEASURE: Final = {measure: f"disclosure_safe_{measure}" for measure in MEASURES}
"""Forecasts of calls and of units sent → the ``measure`` under which their disclosure-safe versions are stored."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Means ahead, ``unique_id, ds, mean``, of hours and of days."""

    hours: pl.DataFrame
    days: pl.DataFrame


def separate_hierarchies(hourly: pl.DataFrame) -> pl.DataFrame:
    """Return ``service, hierarchy`` in which some area's releasable counts differ from all counts.

    Args:
        hourly: ``marts.demand_hourly``.
    """
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"releasable_{name}")) for name in MEASURES)
    flags = hourly.lazy().group_by("service", "hierarchy").agg(differs.any().alias("is_apart")).collect()
    return flags.filter("is_apart").select(pl.col("service", "hierarchy").cast(pl.String)).sort("service", "hierarchy")


def shares(
    hourly: pl.DataFrame,
    hours: pl.DataFrame,
    days: pl.DataFrame,
    of_hours: Sums,
    members: Mapping[tuple[str, str, str], pl.DataFrame],
    as_of: datetime,
    profile: Profile,
    known: Known,
) -> Shares:
    """Apportion the region's forecasts of hours and days where a hierarchy's releasable counts differ from all counts.

    Args:
        hourly: ``marts.demand_hourly``.
        hours: ``unique_id, cutoff, ds, mean``, published and ahead; a repeated hour has two rows.
        days: Likewise of days.
        of_hours: The sums of the hours: the whole days that they cover.
        members: As from ``area_hierarchy.members``.
        as_of: The instant of issue, UTC.
        profile: Time zone, region.
        known: How far each service's records reach.
    """
    separate = separate_hierarchies(hourly.filter(pl.col("hour_start_at") < as_of))
    if separate.is_empty():
        none = hours.select("unique_id", "ds", "mean").clear()
        return Shares(none, none)
    panel = _releasable(hourly, separate, as_of, profile, known)
    by_hour = _shared(panel, panel.history, hours, members, separate, "h")
    by_day = _shared(panel, panel.by_day().history, days, members, separate, "D")
    whole = of_hours.periods.filter(pl.col("frequency") == "D").select("unique_id", pl.col("period").alias("ds"))
    summed = (
        hours.select("unique_id", "ds")
        .join(by_hour, on=["unique_id", "ds"])
        .sort("unique_id", "ds")
        .group_by("unique_id", pl.col("ds").dt.truncate("1d"), maintain_order=True)
        .agg(pl.col("mean").sum())
        .join(whole, on=["unique_id", "ds"], how="semi", maintain_order="left")
    )
    further = by_day.join(summed, on=["unique_id", "ds"], how="anti", maintain_order="left")
    return Shares(by_hour, pl.concat([summed, further]))


def _releasable(hourly: pl.DataFrame, separate: pl.DataFrame, as_of: datetime, profile: Profile, known: Known) -> Panel:
    """Return the panel of releasable counts, known as far as all counts are: the region keeps all of its own."""
    is_whole = pl.col("area_id") == profile.areas.whole_id
    pairs = separate.select(pl.col(name).cast(hourly.schema[name]) for name in separate.columns)
    regions = hourly.filter(is_whole).join(pairs, on="service", how="semi")
    areas = hourly.filter(~is_whole).join(pairs, on=["service", "hierarchy"], how="semi")
    read = areas.with_columns(pl.col(f"releasable_{name}").alias(name) for name in MEASURES)
    return Panel.read(pl.concat([regions, read]), as_of, profile, replace(known, changes=None))


def _shared(
    panel: Panel,
    history: pl.DataFrame,
    published: pl.DataFrame,
    members: Mapping[tuple[str, str, str], pl.DataFrame],
    separate: pl.DataFrame,
    freq: Frequency,
) -> pl.DataFrame:
    """Return ``unique_id, ds, mean`` of the region, of the leaves that share it, and of the areas between."""
    once = published.unique(["unique_id", "ds"], keep="first", maintain_order=True)
    pairs = set(separate.iter_rows())
    # The region's own mean is of all calls.
    regions = panel.series.filter(pl.col("level") == WHOLE).join(separate, on=["service", "hierarchy"], how="semi")
    flags = [once.join(regions, on="unique_id", how="semi", maintain_order="left").select("unique_id", "ds", "mean")]
    for (service, _, hierarchy), leaves_of in members.items():
        # Calls in no part of an area have no releasable series; the areas above the leaves share them.
        leaves = leaves_of.join(panel.series, on="unique_id", how="semi", maintain_order="left")
        if (service, hierarchy) not in pairs or leaves.is_empty():
            continue
        leaf_means = once.join(leaves, on="unique_id", how="semi", maintain_order="left")
        placed = leaf_means.group_by("ds", maintain_order=True).agg(pl.col("mean").sum().alias("placed"))
        region = once.filter(pl.col("unique_id") == leaves_of[WHOLE].first()).select("ds", pl.col("mean").alias("all"))
        table = hour_of_week.predict(history, leaf_means.drop("mean"), freq).join(
            placed, on="ds", maintain_order="left"
        )
        part = pl.col("mean") / pl.col("mean").sum().over("ds")
        shared = table.select("unique_id", "ds", part * pl.col("placed"))
        levels = leaves.columns[2:]
        above = (
            shared.join(reconciliation.membership(leaves, levels), on="unique_id", maintain_order="left")
            .group_by("group", "ds", maintain_order=True)
            .agg(pl.col("mean").sum())
            .join(placed.join(region, on="ds", maintain_order="left"), on="ds", maintain_order="left")
            .select(pl.col("group").alias("unique_id"), "ds", pl.col("mean") * pl.col("all") / pl.col("placed"))
        )
        flags += [shared, above]
    return pl.concat(flags)


def replacements(stamped: pl.DataFrame, means: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Return the rows that replace published ones ahead, with their own measure, model and method.

    Args:
        stamped: Published rows ahead, with ``keys, mean, centre, measure, model, method`` and all stored columns.
        means: ``keys, mean``.
        keys: ``unique_id, ds``, and ``shift`` of shifts.
    """
    return (
        stamped.join(means, on=keys, how="inner", maintain_order="left", suffix="_shared")
        .with_columns(
            pl.col("mean_shared").alias("mean"),
            pl.col("mean_shared").alias("centre"),
            pl.col("measure").replace_strict(MEASURE, return_dtype=pl.String),
            pl.lit(MODEL).alias("model"),
            pl.lit(METHOD).alias("method"),
        )
        .drop("mean_shared")
    )
