"""Scores of issued forecasts, once their hours have passed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipelines.config.profile import Profile, Shift
from pipelines.forecast.demand import tables
from pipelines.forecast.demand.evaluation import calibration, scoring
from pipelines.forecast.demand.hierarchy.disclosure_safe import MEASURE
from pipelines.forecast.demand.panel import MEASURES, level_in_region
from pipelines.forecast.demand.shifts import counts as turned
from pipelines.forecast.demand.shifts import hours_of, of_services


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Observed values, computed once for any number of issues.

    ``counts``: ``frequency, area_id, service, measure, shift, area_level, target_start, y``; ``scales``: the
    seasonal-naive MAE of every series.
    """

    counts: pl.DataFrame
    scales: pl.DataFrame

    @staticmethod
    def of(
        hourly: pl.DataFrame, since: datetime | None = None, shifts: Mapping[str, Shift] | None = None
    ) -> "Outcomes":
        """Build from ``marts.demand_hourly`` as now known.

        Hours without a row are unknown; none before ``since`` is due.
        """
        measured = [_measured(hourly, measure) for measure in MEASURES]
        due = [part if since is None else part.filter(pl.col("hour_start_at") >= since) for part in measured]
        listed = of_services(shifts or {})
        counts = pl.concat([_counts(part, listed) for part in due])
        return Outcomes(counts, pl.concat([_scales(part, listed) for part in measured]))


def score_issued(
    forecasts: pl.DataFrame, outcomes: Outcomes, as_of: datetime, profile: Profile, through: Mapping[str, datetime]
) -> pl.DataFrame:
    """Score issued forecasts with what is known by ``as_of``.

    Disclosure-safe forecasts (``disclosure_basis``) are scored with all calls too.

    Args:
        forecasts: ``forecast.demand`` rows of one issue or of several.
        outcomes: Observed values.
        as_of: The instant of scoring, UTC.
        profile: Region.
        through: Per service, the instant up to which its records are complete; missing: ``as_of``.

    Returns:
        ``forecast.demand_scores`` with ``origin_kind`` ``issued``, one row per ``reference_at`` and its other grain
        columns; only targets fully in the known past count. A later call scores the same issue on more targets.
    """
    keys = ["frequency", "area_id", "service", "counted", "shift"]
    edge = pl.col("service").replace_strict(dict(through), default=as_of, return_dtype=pl.Datetime("us", "UTC"))
    known_until = pl.min_horizontal(edge, pl.lit(as_of, pl.Datetime("us", "UTC")))
    due = forecasts.filter(pl.col("target_end") <= known_until)
    # Few of all the outcomes belong to one issue.
    counts = outcomes.counts.filter(
        pl.col("target_start").is_between(due["target_start"].min(), due["target_start"].max())
    ).rename({"measure": "counted"})
    counted = (
        pl.col("measure")
        .replace({stored_measure: measure for measure, stored_measure in MEASURE.items()})
        .alias("counted")
    )
    known = (
        due.drop("hierarchy", "area_level", strict=False)
        .with_columns(counted)
        .join(counts, on=[*keys, "target_start"], how="inner", nulls_equal=True)
        .with_columns(
            level_in_region(profile.areas.whole_id).alias("area_level"),
            pl.col("mean").alias("centre"),
            pl.col("reference_at").alias("cutoff"),
        )
        .join(outcomes.scales.rename({"measure": "counted"}), on=keys, how="left", nulls_equal=True)
        .sort("reference_at", "frequency", "service", "measure", "area_id", "shift", "target_start", "model")
    )
    return tables.scores(*calibration.curves_in(known), "issued")


def _measured(hourly: pl.DataFrame, measure: str) -> pl.DataFrame:
    known = hourly.filter(pl.col(measure).is_not_null())
    return known.with_columns(pl.lit(measure).alias("measure"), pl.col(measure).cast(pl.Float64).alias("y"))


def _counts(hourly: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Return counts by hour, local day and shift, keyed by the instant at which each begins."""
    keys = ["area_id", "service", "measure", "area_level"]
    start, none = pl.col("hour_start_at").alias("target_start"), pl.lit(None, pl.String).alias("shift")
    first = [start.min(), pl.col("y").sum(), pl.len().alias("known")]
    hours = hourly.select(pl.lit("h").alias("frequency"), none, *keys, start, "y")
    days = hourly.group_by(*keys, "local_date").agg(first).filter(pl.col("known") >= 23)
    length = (pl.col("ends") - pl.col("begins")).first().alias("length")
    turns = (
        hours_of(hourly.with_columns(_local_hour()), shifts)
        .group_by(*keys, "shift", "day")
        .agg(*first, length)
        .filter(pl.col("known") >= pl.col("length") - 1)
    )
    longer = [days.with_columns(pl.lit("D").alias("frequency"), none), turns.with_columns(frequency=pl.lit("S"))]
    return pl.concat([hours, *(part.select(hours.columns) for part in longer)])


def _scales(hourly: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Return the seasonal-naive MAE of every series, by hour, day and shift."""
    keys = ["area_id", "service", "measure"]
    named = hourly.select(keys).unique().sort(keys).with_row_index("unique_id")
    by_hour = hourly.join(named, on=keys).sort("unique_id", "hour_start_at").select("unique_id", _local_hour(), "y")
    day = pl.col("ds").dt.truncate("1d")
    by_day = by_hour.group_by("unique_id", day, maintain_order=True).agg(pl.col("y").sum())
    by_shift = turned(by_hour, named, shifts).rename({"series_id": "unique_id"})
    ids = by_shift.select("unique_id", "shift").unique().sort("unique_id", "shift").with_row_index("turn_id")
    by_turn = by_shift.join(ids, on=["unique_id", "shift"]).sort("turn_id", "ds")
    of_turns = scoring.season_errors(by_turn.select(pl.col("turn_id").alias("unique_id"), "ds", "y"), "D")
    none = pl.lit(None, pl.String).alias("shift")
    hours = scoring.season_errors(by_hour, "h").with_columns(pl.lit("h").alias("frequency"), none)
    days = scoring.season_errors(by_day, "D").with_columns(pl.lit("D").alias("frequency"), none)
    turns = of_turns.rename({"unique_id": "turn_id"}).join(ids, on="turn_id").with_columns(frequency=pl.lit("S"))
    return pl.concat([hours, days, turns.select(hours.columns)]).join(named, on="unique_id").drop("unique_id")


def _local_hour() -> pl.Expr:
    return (pl.col("local_date").cast(pl.Datetime("us")) + pl.duration(hours=pl.col("local_hour"))).alias("ds")
