"""Scores of forecasts as issued, once their hours have come to pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipelines.forecast.demand import nightly, scoring
from pipelines.forecast.demand.panel import MEASURES, area_level
from pipelines.forecast.demand.quantiles import dispersion_in
from pipelines.profile import Profile


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came to pass, made once for any number of issues.

    ``counts``: ``frequency, area_id, service, measure, target_start, y``; ``scales``: the lag-season error of every
    series.
    """

    counts: pl.DataFrame
    scales: pl.DataFrame

    @staticmethod
    def of(hourly: pl.DataFrame, since: datetime | None = None) -> "Outcomes":
        """From ``marts.demand_hourly`` as now known: hours without a row are unknown, none before ``since`` is due."""
        measured = [_measured(hourly, measure) for measure in MEASURES]
        due = [one if since is None else one.filter(pl.col("hour_start_at") >= since) for one in measured]
        return Outcomes(pl.concat([_counts(one) for one in due]), pl.concat([_scales(one) for one in measured]))


def as_now(issue: pl.DataFrame) -> pl.DataFrame:
    """An issue or score of before units sent were forecast, which was of calls, with the columns of today."""
    return issue if "measure" in issue.columns else issue.with_columns(pl.lit("calls").alias("measure"))


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
    keys = ["frequency", "area_id", "service", "measure"]
    edge = pl.col("service").replace_strict(dict(through), default=as_of, return_dtype=pl.Datetime("us", "UTC"))
    known_until = pl.min_horizontal(edge, pl.lit(as_of, pl.Datetime("us", "UTC")))
    due = as_now(forecasts).filter(pl.col("target_end") <= known_until)
    # Few of all the outcomes belong to one issue.
    counts = outcomes.counts.filter(
        pl.col("target_start").is_between(due["target_start"].min(), due["target_start"].max())
    )
    known = (
        due.drop("tree", "level", strict=False)
        .join(counts, on=[*keys, "target_start"], how="inner")
        .with_columns(
            area_level(profile.areas.whole_id),
            dispersion_in(pl.col("method")),
            pl.col("mean").alias("centre"),
        )
        .join(outcomes.scales, on=keys, how="left")
        .sort("reference_at", "frequency", "service", "measure", "area_id", "target_start", "model")
    )
    return nightly.comparable_scores(known, "issued")


def _measured(hourly: pl.DataFrame, measure: str) -> pl.DataFrame:
    known = hourly.filter(pl.col(measure).is_not_null())
    return known.with_columns(pl.lit(measure).alias("measure"), pl.col(measure).cast(pl.Float64).alias("y"))


def _counts(hourly: pl.DataFrame) -> pl.DataFrame:
    """Counts by hour and by local day, keyed by the instant at which the hour or day begins."""
    keys = ["area_id", "service", "measure", "level"]
    hours = hourly.select(pl.lit("h").alias("frequency"), *keys, pl.col("hour_start_at").alias("target_start"), "y")
    days = (
        hourly.group_by(*keys, "local_date")
        .agg(pl.col("hour_start_at").min().alias("target_start"), pl.col("y").sum(), pl.len().alias("hours"))
        .filter(pl.col("hours") >= 23)
        .select(pl.lit("D").alias("frequency"), *keys, "target_start", "y")
    )
    return pl.concat([hours, days])


def _scales(hourly: pl.DataFrame) -> pl.DataFrame:
    """The lag-season error of every series, by hour and by day."""
    keys = ["area_id", "service", "measure"]
    named = hourly.select(keys).unique(maintain_order=True).with_row_index("unique_id")
    ds = pl.col("local_date").cast(pl.Datetime("us")) + pl.duration(hours=pl.col("local_hour"))
    by_hour = hourly.join(named, on=keys).select("unique_id", ds.alias("ds"), "y")
    by_day = by_hour.group_by("unique_id", pl.col("ds").dt.truncate("1d")).agg(pl.col("y").sum())
    hours = scoring.season_errors(by_hour, "h").with_columns(pl.lit("h").alias("frequency"))
    days = scoring.season_errors(by_day, "D").with_columns(pl.lit("D").alias("frequency"))
    return pl.concat([hours, days]).join(named, on="unique_id").drop("unique_id")
