"""Scores of forecasts as issued, once their hours have come to pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipelines.forecast.demand import nightly, scoring
from pipelines.forecast.demand.quantiles import dispersion_in
from pipelines.profile import Profile


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came to pass, made once for any number of issues.

    ``calls``: ``frequency, area_id, service, target_start, y``; ``scales``: the lag-season error of every series.
    """

    calls: pl.DataFrame
    scales: pl.DataFrame

    @staticmethod
    def of(hourly: pl.DataFrame) -> "Outcomes":
        """From ``marts.demand_hourly`` as now known; hours without a row are unknown."""
        return Outcomes(_calls(hourly), _scales(hourly))


def score_issued(
    forecasts: pl.DataFrame, outcomes: Outcomes, as_of: datetime, profile: Profile, through: Mapping[str, datetime]
) -> pl.DataFrame:
    """Score issued forecasts against what is known by ``as_of``.

    Args:
        forecasts: ``forecast.demand`` rows of one issue or of several.
        outcomes: What came to pass.
        as_of: The instant of scoring, UTC.
        profile: Region.
        through: Per service, the instant up to which its records are complete; not named: ``as_of``.

    Returns:
        ``forecast.demand_scores`` with ``origin_kind`` ``issued``, one row per ``reference_at`` and the rest of its
        grain; only targets that lie wholly in the known past count. A later call scores the same issue on more targets.
    """
    edge = pl.col("service").replace_strict(dict(through), default=as_of, return_dtype=pl.Datetime("us", "UTC"))
    due = forecasts.filter(pl.col("target_end") <= pl.min_horizontal(edge, pl.lit(as_of, pl.Datetime("us", "UTC"))))
    level = pl.when(pl.col("area_id") == profile.areas.whole_id).then(pl.lit("region")).otherwise(pl.lit("district"))
    # Few of all the outcomes belong to one issue.
    calls = outcomes.calls.filter(
        pl.col("target_start").is_between(due["target_start"].min(), due["target_start"].max())
    )
    known = (
        due.join(calls, on=["frequency", "area_id", "service", "target_start"], how="inner")
        .with_columns(
            level.alias("area_level"),
            dispersion_in(pl.col("method")),
            pl.col("mean").alias("centre"),
        )
        .join(outcomes.scales, on=["frequency", "area_id", "service"], how="left")
        .sort("reference_at", "frequency", "service", "area_id", "target_start", "model")
    )
    return nightly.comparable_scores(known, "issued")


def _calls(hourly: pl.DataFrame) -> pl.DataFrame:
    """Calls by hour and by local day, keyed by the instant at which the hour or day begins."""
    keys = ["area_id", "service"]
    hours = hourly.select(pl.lit("h").alias("frequency"), *keys, pl.col("hour_start_at").alias("target_start"), "calls")
    days = (
        hourly.group_by(*keys, "local_date")
        .agg(pl.col("hour_start_at").min().alias("target_start"), pl.col("calls").sum(), pl.len().alias("hours"))
        .filter(pl.col("hours") >= 23)
        .select(pl.lit("D").alias("frequency"), *keys, "target_start", "calls")
    )
    return pl.concat([hours, days]).with_columns(pl.col("calls").cast(pl.Float64).alias("y")).drop("calls")


def _scales(hourly: pl.DataFrame) -> pl.DataFrame:
    """The lag-season error of every series, by hour and by day."""
    keys = ["area_id", "service"]
    ds = pl.col("local_date").cast(pl.Datetime("us")) + pl.duration(hours=pl.col("local_hour"))
    by_hour = hourly.select(
        pl.struct(keys).alias("unique_id"), ds.alias("ds"), pl.col("calls").cast(pl.Float64).alias("y")
    )
    by_day = by_hour.group_by("unique_id", pl.col("ds").dt.truncate("1d")).agg(pl.col("y").sum())
    hours = scoring.season_errors(by_hour, "h").with_columns(pl.lit("h").alias("frequency"))
    days = scoring.season_errors(by_day, "D").with_columns(pl.lit("D").alias("frequency"))
    return pl.concat([hours, days]).unnest("unique_id")
