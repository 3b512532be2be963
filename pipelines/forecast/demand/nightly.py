"""The nightly demand forecast: every area and service, hours and days ahead, beside its baselines and their scores.

Hours: the hour-of-week table against last week's same hour. Days: Prophet's mean against last week's same day and the
weekday table; a series too sparse, too short or failing keeps to the table, and its rows say so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.forecast.demand import calibration, models, prophet_mean, rolling, scoring, series
from pipelines.forecast.demand.models import BASELINE, TABLE
from pipelines.forecast.demand.quantiles import COLUMNS, described, with_quantiles
from pipelines.forecast.demand.series import Frequency
from pipelines.profile import Profile

ORIGINS: Final = {"h": 5, "D": 4}
"""Backtest origins, a week (hours) or a horizon (days) apart."""
WARM_UP: Final = {"h": 2, "D": 3}
"""The first so many origins only teach ranges; the others are scored."""
FORECAST_COLUMNS: Final = (
    "reference_at", "frequency", "area_id", "service", "target_start", "target_end", "horizon_hours", "model",
    "is_baseline", "mean", *COLUMNS, "data_as_of", "method", "degraded_reason",
)  # fmt: skip
SCORE_COLUMNS: Final = (
    "reference_at", "origin_kind", "frequency", "service", "area_level", "model", "is_baseline", *scoring.SCORES,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about the services' records at ``as_of``.

    ``through`` says up to which instant (UTC) a service's records are complete: nothing after it is read, so that a
    late or missing feed is an unknown and never a zero. A service that is not named is complete up to ``as_of``.
    ``degraded`` gives a reason (a stale feed, say) that is written into the forecasts of a service.
    """

    through: Mapping[str, datetime]
    degraded: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DemandForecast:
    """Frames with the columns of ``forecast.demand`` and ``forecast.demand_scores``."""

    forecasts: pl.DataFrame
    scores: pl.DataFrame


def forecast_demand(
    hourly: pl.DataFrame,
    as_of: datetime,
    profile: Profile,
    known: Known | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DemandForecast:
    """Forecast calls by hour and by day for every area and service, and score the backtest that taught the ranges.

    Args:
        hourly: ``marts.demand_hourly``: zeros present, one row per area, service and known hour. A service may end
            before the others, or have no row at all: then it has no forecast, and the others are as they would be.
        as_of: The instant (UTC) of issue, stored as ``reference_at``; nothing after it is read.
        profile: Time zone, region, horizons, services' rule for Prophet, country of the holidays.
        known: How far each service's records go and what degrades them; none: complete up to ``as_of``.
        processes: Processes that fit Prophet side by side.
        progress: Told (fits done, fits in all).
    """
    panel = _Panel.read(hourly, as_of, profile, known or Known({}, {}))
    if panel.history.is_empty():
        raise series.SeriesError(
            "no hour of demand is known before as_of: load a feed first, then build marts.demand_hourly"
        )
    hours = _hourly(panel, as_of, profile)
    days = _daily(panel, as_of, profile, processes, progress)
    return DemandForecast(pl.concat([hours[0], days[0]]), pl.concat([hours[1], days[1]]))


@dataclass(frozen=True, slots=True)
class _Panel:
    """The hourly mart as series.

    ``series``: ``unique_id`` (integer), ``area_id, service, area_level, pool, known_at`` (UTC), ``cutoff`` (local),
    ``degraded``; ``history``: ``unique_id, ds`` (local wall clock)``, y``, nothing from ``cutoff`` on.
    """

    series: pl.DataFrame
    history: pl.DataFrame

    @staticmethod
    def read(hourly: pl.DataFrame, as_of: datetime, profile: Profile, known: Known) -> "_Panel":
        region = pl.col("area_id") == profile.areas.whole_id
        edges = _edges(hourly, region, as_of, known)
        level = pl.when(region).then(pl.lit("region")).otherwise(pl.lit("district"))
        named = (
            hourly.select("area_id", "service")
            .unique()
            .sort("service", "area_id")
            .with_row_index("unique_id")
            .with_columns(level.alias("area_level"))
            # The region has one series per service: there the services lean on each other.
            .with_columns(pl.when(region).then(pl.lit("region")).otherwise("service").alias("pool"))
            .join(edges, on="service", how="left", maintain_order="left")
            .with_columns(_local("known_at", profile.zone).alias("cutoff"))
        )
        history = (
            hourly.join(named.select("area_id", "service", "unique_id", "known_at"), on=["area_id", "service"])
            .filter(pl.col("hour_start_at") < pl.col("known_at"))
            .select(
                "unique_id",
                _local("hour_start_at", profile.zone).alias("ds"),
                pl.col("calls").cast(pl.Float64).alias("y"),
            )
        )
        return _Panel(named, history)


def _local(column: str, zone: ZoneInfo) -> pl.Expr:
    """Local wall-clock time, without a zone, of a column of UTC instants."""
    return pl.col(column).dt.convert_time_zone(zone.key).dt.replace_time_zone(None).cast(pl.Datetime("us"))


def _edges(hourly: pl.DataFrame, is_region: pl.Expr, as_of: datetime, known: Known) -> pl.DataFrame:
    """Where each service's knowledge ends.

    Hours after ``known.through`` are cut off, and nothing is known after a service's last row. So is a silence at the
    end that the service's own rate makes all but impossible (20 calls or more expected in the region, none seen): that
    is an outage, and its zeros are not demand.

    Returns:
        ``service, known_at, degraded``.
    """
    hour = pl.duration(hours=1)
    ends = hourly.group_by("service").agg(pl.col("hour_start_at").max() + hour).sort("service")
    said = pl.DataFrame(
        [
            (
                service,
                min(known.through.get(service, as_of), as_of, end).replace(minute=0, second=0, microsecond=0),
                known.degraded.get(service),
            )
            for service, end in ends.iter_rows()
        ],
        schema={"service": pl.String, "said_at": pl.Datetime("us", "UTC"), "degraded": pl.String},
        orient="row",
    )
    hours = hourly.filter(is_region).join(said, on="service").filter(pl.col("hour_start_at") < pl.col("said_at"))
    last = pl.col("hour_start_at").filter(pl.col("calls") > 0).max() + hour
    seen = hours.group_by("service").agg(
        last.alias("last_at"), pl.col("calls").filter(pl.col("hour_start_at") < last).mean().alias("rate")
    )
    silent = (pl.col("said_at") - pl.col("last_at")).dt.total_hours()
    is_outage = (silent * pl.col("rate") >= 20).fill_null(False)
    reason = pl.format("no record for the last {} hours, taken as an outage and not as no calls", silent)
    return (
        said.join(seen, on="service", how="left")
        .with_columns(
            pl.when(is_outage).then("last_at").otherwise("said_at").alias("known_at"),
            pl.concat_str("degraded", pl.when(is_outage).then(reason), separator="; ", ignore_nulls=True)
            .replace("", None)
            .alias("degraded"),
        )
        .select("service", "known_at", "degraded")
    )


def _hourly(panel: _Panel, as_of: datetime, profile: Profile) -> tuple[pl.DataFrame, pl.DataFrame]:
    week = timedelta(days=7)
    ids = panel.series.select("unique_id", "pool", "cutoff")
    past = rolling.past_targets(ids, "h", 168, week, ORIGINS["h"])
    ahead = ids.join(series.hours_ahead(as_of, profile.horizons.hourly_days, profile.zone), how="cross")
    return _finish(rolling.run(models.hourly(), panel.history, _both(past, ahead)), panel, "h", as_of)


def _daily(
    panel: _Panel, as_of: datetime, profile: Profile, processes: int, progress: Callable[[int, int], None] | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    history = series.daily(panel.history)
    midnight = pl.col("cutoff").dt.truncate("1d")
    ids = panel.series.select("unique_id", "pool", "area_level", midnight)
    history = (
        history.join(ids.select("unique_id", "cutoff"), on="unique_id")
        .filter(pl.col("ds") < pl.col("cutoff"))
        .drop("cutoff")
    )
    horizon = profile.horizons.daily_days
    past = rolling.past_targets(ids, "D", horizon, timedelta(days=horizon), ORIGINS["D"])
    ahead = ids.join(series.days_ahead(as_of, horizon, profile.zone), how="cross")
    holiday_days = prophet_mean.holiday_effects(
        profile.country,
        profile.subdivision,
        as_of.date() - timedelta(days=profile.demand.history_days + 2),
        as_of.date() + timedelta(days=horizon + 2),
    )
    fit = partial(prophet_mean.predict, holiday_days=holiday_days, processes=processes, progress=progress)
    # In districts, many and pooled, Prophet is asked at the last origin only; a region's one series needs them all.
    newest = pl.col("cutoff").rank("dense", descending=True).over("unique_id") <= 2
    targets = _both(past, ahead).with_columns((newest | (pl.col("area_level") == "region")).alias("is_asked"))
    asked = models.daily(fit, profile.demand.prophet_min_per_day)
    return _finish(rolling.run(asked, history, targets), _Panel(panel.series, history), "D", as_of)


def _both(past: pl.DataFrame, ahead: pl.DataFrame) -> pl.DataFrame:
    """Backtest targets and targets to issue in one frame; ``target_start`` is null in the former."""
    return pl.concat([past, ahead], how="diagonal")


def _finish(said: pl.DataFrame, panel: _Panel, freq: Frequency, as_of: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give means their ranges, choose what is published, score the backtest."""
    chosen = models.choose(calibration.dispersed(said, BASELINE), freq)
    named = chosen.drop("area_level", strict=False).join(
        panel.series.drop("cutoff", "pool"), on="unique_id", how="left", maintain_order="left"
    )
    issued = with_quantiles(named.filter(pl.col("target_start").is_not_null()))
    taught = pl.col("cutoff").rank("dense").over("service") > WARM_UP[freq]
    past = with_quantiles(named.filter(pl.col("target_start").is_null()).filter(taught & pl.col("y").is_not_null()))
    scale = scoring.season_errors(panel.history, freq)
    stamp = [
        pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("reference_at"),
        pl.lit(freq).alias("frequency"),
    ]
    scores = comparable_scores(
        past.join(scale, on="unique_id", how="left", maintain_order="left").with_columns(stamp), "backtest"
    )
    return _as_stored(issued.with_columns(stamp)), scores


def _as_stored(issued: pl.DataFrame) -> pl.DataFrame:
    """The columns of ``forecast.demand``, sorted."""
    lead = ((pl.col("target_end") - pl.col("reference_at")).dt.total_minutes() / 60).ceil().cast(pl.Int32)
    note = pl.col("note") if "note" in issued.columns else pl.lit(None, pl.String)
    words = pl.concat_str(note, described(), separator="; ", ignore_nulls=True)
    return (
        issued.filter(pl.col("mean").is_not_null())
        .with_columns(
            lead.alias("horizon_hours"),
            pl.col("known_at").alias("data_as_of"),
            words.alias("method"),
            pl.concat_str("degraded", "failure", separator="; ", ignore_nulls=True)
            .replace("", None)
            .alias("degraded_reason"),
        )
        .select(FORECAST_COLUMNS)
        .sort("frequency", "service", "area_id", "target_start", "model")
    )


def comparable_scores(known: pl.DataFrame, origin_kind: str) -> pl.DataFrame:
    """Score what was published and each floor on the very same targets.

    Args:
        known: Forecast rows with ``y``, ``scale`` and the columns ``scoring.score`` needs.
        origin_kind: ``backtest`` or ``issued``.

    Returns:
        ``forecast.demand_scores``: what was published has ``is_baseline`` false and names every model in use.
    """
    by = ["reference_at", "frequency", "service", "area_level"]
    names = pl.col("model").unique().sort().str.join(", ").over(by)
    published = known.filter(~pl.col("is_baseline")).with_columns(names.alias("model"))
    floors = known.filter((pl.col("model") == BASELINE) | (pl.col("model") == TABLE["D"])).with_columns(
        pl.lit(True).alias("is_baseline")
    )
    return (
        scoring.score(pl.concat([published, floors]), [*by, "model", "is_baseline"])
        .with_columns(pl.lit(origin_kind).alias("origin_kind"))
        .select(SCORE_COLUMNS)
    )
