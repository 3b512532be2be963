"""The nightly demand forecast: every area, service and measure, hours, days and shifts ahead, beside its baselines.

Hours: the hour-of-week table against last week's same hour. Days: Prophet's mean against last week's same day and the
weekday table; a series too sparse, too short or failing keeps to the table, and its rows say so. Shifts: sums of both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import polars as pl

from pipelines.forecast.demand import calibration, models, prophet_mean, rolling, scoring, series, shifts
from pipelines.forecast.demand.models import BASELINE, TABLE
from pipelines.forecast.demand.panel import Known, Panel, local
from pipelines.forecast.demand.quantiles import COLUMNS, described, with_quantiles
from pipelines.forecast.demand.series import Frequency
from pipelines.profile import Profile

HOURLY_ORIGINS: Final = 5
"""Backtest origins of hours, a week apart."""
WARM_UP: Final = {"h": 2, "D": 3}
"""The first so many origins only teach ranges."""
DAILY_STEP: Final = 28
"""Days between the backtest origins of days, or the horizon where that is shorter."""
SIMPLE: Final = "Prophet is asked for calls above stations only"
FORECAST_COLUMNS: Final = (
    "reference_at", "frequency", "tree", "level", "area_id", "service", "measure", "shift", "target_start",
    "target_end", "horizon_hours", "model", "is_baseline", "mean", *COLUMNS, "data_as_of", "method", "degraded_reason",
)  # fmt: skip
SCORE_COLUMNS: Final = (
    "reference_at", "origin_kind", "frequency", "service", "measure", "area_level", "model", "is_baseline",
    *scoring.SCORES,
)  # fmt: skip


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
    """Forecast calls and units sent by hour, day and shift for every area and service; score the backtest.

    Args:
        hourly: ``marts.demand_hourly``: zeros present, one row per area, service and known hour. A service may end
            before the others, or have no row at all: then it has no forecast, and the others are as they would be.
        as_of: The instant (UTC) of issue, stored as ``reference_at``; nothing after it is read.
        profile: Time zone, region, horizons, services' rule for Prophet, country of the holidays.
        known: How far each service's records go and what degrades them; none: complete up to ``as_of``.
        processes: Processes that fit Prophet side by side.
        progress: Told (fits done, fits in all).
    """
    panel = Panel.read(hourly, as_of, profile, known or Known({}, {}))
    if panel.history.is_empty():
        raise series.SeriesError(
            "no hour of demand is known before as_of: load a feed first, then build marts.demand_hourly"
        )
    hours = _hourly(panel, as_of, profile)
    days = _daily(panel, as_of, profile, processes, progress)
    by_shift = _by_shift(panel, pl.concat([hours[0], days[0]]), as_of, profile)
    return DemandForecast(pl.concat([hours[0], days[0], by_shift]), pl.concat([hours[1], days[1]]))


def _hourly(panel: Panel, as_of: datetime, profile: Profile) -> tuple[pl.DataFrame, pl.DataFrame]:
    week = timedelta(days=7)
    ids = panel.series.select("unique_id", "pool", "cutoff")
    past = rolling.past_targets(ids, "h", 168, week, HOURLY_ORIGINS)
    ahead = ids.join(series.hours_ahead(as_of, profile.horizons.hourly_days, profile.zone), how="cross")
    said = rolling.run(models.hourly(), panel.history, _both(past, ahead))
    return _finish(said, panel, "h", as_of, pl.col("cutoff").rank("dense").over("service") > WARM_UP["h"])


def _daily(
    panel: Panel, as_of: datetime, profile: Profile, processes: int, progress: Callable[[int, int], None] | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    days = Panel(panel.series.with_columns(pl.col("cutoff").dt.truncate("1d")), series.daily(panel.history))
    horizon = profile.horizons.daily_days
    is_whole = pl.col("area_level") == "region"
    is_upper = (pl.col("measure") == "calls") & (pl.col("level") != "station")
    ids = days.series.select(
        "unique_id", "pool", is_upper.alias("is_upper"), (is_upper & is_whole).alias("is_whole"), "cutoff"
    )
    history = (
        days.history.join(ids.select("unique_id", "cutoff"), on="unique_id")
        .filter(pl.col("ds") < pl.col("cutoff"))
        .drop("cutoff")
    )
    ahead = ids.join(series.days_ahead(as_of, horizon, profile.zone), how="cross")
    holiday_days = prophet_mean.holiday_effects(
        profile.country,
        profile.subdivision,
        as_of.date() - timedelta(days=profile.demand.history_days + 2),
        as_of.date() + timedelta(days=horizon + 2),
    )
    fit = partial(prophet_mean.predict, holiday_days=holiday_days, processes=processes, progress=progress)
    # The newest origin whose whole horizon has passed is scored. In districts, many and pooled, Prophet is asked there
    # and now only; a region's one series needs every origin, and smaller or rarer ones keep to the table.
    ends = pl.col("cutoff").max().over("unique_id")
    is_scored = pl.col("cutoff") == ends - pl.duration(days=horizon)
    is_asked = pl.col("is_whole") | (pl.col("is_upper") & (is_scored | pl.col("target_start").is_not_null()))
    targets = _both(daily_origins(ids, horizon), ahead).with_columns(is_asked.alias("is_asked"))
    said = rolling.run(models.daily(fit, profile.demand.prophet_min_per_day), history, targets)
    return _finish(said, Panel(days.series, history), "D", as_of, is_scored)


def daily_origins(last: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Past targets of days: origins ``DAILY_STEP`` apart, three before the newest whose whole horizon has passed.

    The origins after that one teach the ranges of the near days only.
    """
    step = min(DAILY_STEP, horizon)
    aligned = last.with_columns(pl.col("cutoff") - pl.duration(days=horizon % step))
    return rolling.past_targets(aligned, "D", horizon, timedelta(days=step), WARM_UP["D"] + horizon // step)


def _by_shift(panel: Panel, issued: pl.DataFrame, as_of: datetime, profile: Profile) -> pl.DataFrame:
    """Forecasts by shift: means from the published hours and days, ranges from what the weekday table missed.

    They are not scored here, since what is published is not what the backtest tried; issued ones are, once due.
    """
    listed, horizon = shifts.of_services(profile.demand.shifts), profile.horizons.daily_days
    named = shifts.named_series(panel.series, listed)
    if named.is_empty():
        return issued.clear()
    history = shifts.counts(panel.history, panel.series, listed).join(
        named.select("unique_id", "series_id", "shift", "cutoff"), on=["series_id", "shift"]
    )
    history = history.filter(pl.col("ds") < pl.col("cutoff")).select("unique_id", "ds", "y").sort("unique_id", "ds")
    ids = named.select("unique_id", "series_id", "shift", "pool", "cutoff")
    ahead = ids.join(shifts.ahead(listed, as_of, horizon, profile.zone), on="shift")
    said = rolling.run(shifts.floors(), history, _both(daily_origins(ids, horizon), ahead))
    calibrated = calibration.dispersed(said, BASELINE).filter(pl.col("target_start").is_not_null())
    expected = shifts.means(_published(issued, panel, "h", profile), _published(issued, panel, "D", profile), listed)
    is_floor = pl.col("model") == BASELINE
    joined = calibrated.join(
        expected, on=["series_id", "shift", "ds"], how="left", maintain_order="left", suffix="_sum"
    )
    published = joined.with_columns(
        pl.when(is_floor).then("mean").otherwise("mean_sum").alias("mean"),
        pl.when(is_floor).then("centre").otherwise("mean_sum").alias("centre"),
        pl.when(is_floor).then("model").otherwise(pl.lit(shifts.MODEL)).alias("model"),
        is_floor.alias("is_baseline"),
        pl.lit(None, pl.String).alias("note"),
    ).filter(pl.col("mean").is_not_null())
    told = published.drop("pool", "shift", "cutoff").join(
        named.drop("pool", "cutoff", "series_id"), on="unique_id", how="left", maintain_order="left"
    )
    stamp = [pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("reference_at"), pl.lit("S").alias("frequency")]
    return _as_stored(with_quantiles(told).with_columns(stamp))


def _published(issued: pl.DataFrame, panel: Panel, freq: Frequency, profile: Profile) -> pl.DataFrame:
    """The published means of one frequency, as ``series_id, service, ds`` (local)``, mean``."""
    keys = ["area_id", "service", "measure"]
    chosen = issued.filter(pl.col("frequency") == freq, ~pl.col("is_baseline"))
    ids = panel.series.select(*keys, pl.col("unique_id").alias("series_id"))
    return chosen.join(ids, on=keys, maintain_order="left").select(
        "series_id", "service", local("target_start", profile.zone).alias("ds"), "mean"
    )


def _both(past: pl.DataFrame, ahead: pl.DataFrame) -> pl.DataFrame:
    """Backtest targets and targets to issue in one frame; ``target_start`` is null in the former."""
    return pl.concat([past, ahead], how="diagonal")


def _finish(
    said: pl.DataFrame, panel: Panel, freq: Frequency, as_of: datetime, is_scored: pl.Expr
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give means their ranges, choose what is published, score the backtest at the origins that ``is_scored`` names."""
    chosen = models.choose(calibration.dispersed(said, BASELINE), freq)
    named = chosen.join(panel.series.drop("cutoff", "pool"), on="unique_id", how="left", maintain_order="left")
    scored = named.with_columns(is_scored.alias("is_scored"))
    issued = with_quantiles(named.filter(pl.col("target_start").is_not_null()))
    past = with_quantiles(
        scored.filter(pl.col("target_start").is_null() & pl.col("is_scored") & pl.col("y").is_not_null())
    )
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
    is_simple = ~pl.col("is_upper") if "is_upper" in issued.columns else pl.lit(False)
    note = pl.when(pl.col("note").is_not_null() & is_simple).then(pl.lit(SIMPLE)).otherwise("note")
    words = pl.concat_str(note, described(), separator="; ", ignore_nulls=True)
    shift = pl.col("shift") if "shift" in issued.columns else pl.lit(None, pl.String).alias("shift")
    return (
        issued.filter(pl.col("mean").is_not_null())
        .with_columns(
            shift,
            lead.alias("horizon_hours"),
            pl.col("known_at").alias("data_as_of"),
            words.alias("method"),
            pl.concat_str("degraded", "failure", separator="; ", ignore_nulls=True)
            .replace("", None)
            .alias("degraded_reason"),
        )
        .select(FORECAST_COLUMNS)
        .sort("frequency", "service", "measure", "area_id", "shift", "target_start", "model")
    )


def comparable_scores(known: pl.DataFrame, origin_kind: str) -> pl.DataFrame:
    """Score what was published and each floor on the very same targets.

    Args:
        known: Forecast rows with ``y``, ``scale`` and the columns ``scoring.score`` needs.
        origin_kind: ``backtest`` or ``issued``.

    Returns:
        ``forecast.demand_scores``: what was published has ``is_baseline`` false and names every model in use.
    """
    by = ["reference_at", "frequency", "service", "measure", "area_level"]
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
