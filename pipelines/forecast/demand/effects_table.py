"""What the holidays and election days of the coming year change, as in ``forecast.calendar_effects``."""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from pipelines.config.profile import Profile
from pipelines.forecast.demand import calendar_effects, extremes
from pipelines.forecast.demand.hierarchy import area_hierarchy
from pipelines.forecast.demand.named_days import Place, named_days
from pipelines.forecast.demand.panel import Panel
from pipelines.schema.dictionary import frame_schema

AHEAD: Final = timedelta(days=365)
"""How far ahead the calendar is searched for the next day of a name."""
COLUMNS: Final = frame_schema("forecast.calendar_effects")


def table(days: Panel, calendar: pl.DataFrame, as_of: datetime, profile: Profile) -> pl.DataFrame:
    """Return the newest effects on calls by day, for every area and service, of the days that come within a year.

    Args:
        days: The panel by day, with the data as now known.
        calendar: The named days of its history, as from ``named_days``.
        as_of: The instant of issue, UTC.
        profile: Time zone, country and subdivision.
    """
    today = as_of.astimezone(profile.zone).date()
    year = named_days(Place(profile.country, profile.subdivision), today + timedelta(days=1), today + AHEAD)
    coming = year.filter("is_holiday").group_by("name").agg(pl.col("day", "local_name").sort_by("day").first())
    is_listed = (pl.col("measure") == "calls") & (pl.col("level") != area_hierarchy.UNPLACED)
    listed = days.series.filter(is_listed)
    parts = [pl.DataFrame(schema=calendar_effects.SCHEMA)]
    for (cutoff,), of_cutoff in listed.group_by("cutoff", maintain_order=True):
        counts = days.history.join(of_cutoff, on="unique_id", how="semi", maintain_order="left")
        single = extremes.extremes(counts, "D", calendar.filter("is_holiday")["day"]).select("unique_id", "ds", "usual")
        usual = counts.join(single, on=["unique_id", "ds"], how="left", maintain_order="left")
        known = usual.select("unique_id", "ds", pl.coalesce("usual", "y").alias("y"))
        pools = of_cutoff.select("unique_id", calendar_effects.POOL)
        parts.append(calendar_effects.effects(known, pools, calendar, cutoff, "D"))
    return (
        pl.concat(parts)
        .join(coming, on="name")
        .join(listed, on="unique_id")
        .with_columns(pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("reference_at"))
        .rename({"name": "holiday", "local_name": "local_holiday", "day": "next_date"})
        .select(*COLUMNS)
        .sort("service", "area_id", "next_date")
    )
