"""The nightly demand forecast: every area, service and measure, hours, days and shifts ahead, beside its floors.

Calls: for every series and horizon block the mean of the best models of earlier origins, with ranges learnt from what
that mean missed there. By the hour the weekly table, a regression and boosting compete, by the day exponential
smoothing and Prophet too. Stations and units sent keep to the weekly table. Shifts: sums of hours and days. Choices are
kept for a week, in which the chosen models are fitted anew every night.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import polars as pl

from pipelines.forecast.demand import (
    calibration,
    choices,
    models,
    prophet_mean,
    publishing,
    rolling,
    scoring,
    series,
    shifts,
    tables,
)  # fmt: skip
from pipelines.forecast.demand.models import BASELINE, TABLE
from pipelines.forecast.demand.panel import Known, Panel, local
from pipelines.forecast.demand.publishing import Published
from pipelines.forecast.demand.quantiles import with_quantiles
from pipelines.forecast.demand.rolling import Model
from pipelines.forecast.demand.selection import JOIN
from pipelines.forecast.demand.series import Frequency
from pipelines.profile import Profile

HOURLY_ORIGINS: Final = 5
"""Backtest origins of hours, a week apart."""
WARM_UP: Final = {"h": 2, "D": 3}
"""The first so many origins only teach choices and ranges."""
DAILY_STEP: Final = 28
"""Days between the backtest origins of days, or the horizon where that is shorter."""
SIMPLE: Final = "stations and units sent keep to the weekly table"


@dataclass(frozen=True, slots=True)
class DemandForecast:
    """Frames with the columns of ``forecast.demand``, ``forecast.demand_scores`` and ``forecast.demand_choices``."""

    forecasts: pl.DataFrame
    scores: pl.DataFrame
    choices: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Run:
    """What one night's forecast is made with; ``kept``: choices to keep to, made at ``chosen_at``."""

    as_of: datetime
    profile: Profile
    kept: pl.DataFrame | None = None
    chosen_at: datetime | None = None
    processes: int = 1
    progress: Callable[[int, int], None] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A frequency's models, what they are asked, and the choices that are kept to."""

    freq: Frequency
    models: list[Model]
    targets: pl.DataFrame
    is_scored: pl.Expr
    kept: pl.DataFrame | None


def forecast_demand(
    hourly: pl.DataFrame,
    as_of: datetime,
    profile: Profile,
    known: Known | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
    kept: pl.DataFrame | None = None,
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
        kept: ``forecast.demand_choices`` of an earlier night. Those of the last week are kept to, as long as every
            series has one; else models compete anew.
    """
    panel = Panel.read(hourly, as_of, profile, known or Known({}, {}))
    if panel.history.is_empty():
        raise series.SeriesError(
            "no hour of demand is known before as_of: load a feed first, then build marts.demand_hourly"
        )
    chosen_at = choices.chosen_at(kept, as_of)
    run = Run(as_of, profile, kept if chosen_at else None, chosen_at, processes, progress)
    hours, days = _hourly(panel, run), _daily(panel, run)
    by_shift = _by_shift(panel, pl.concat([hours.forecasts, days.forecasts]), as_of, profile)
    return DemandForecast(
        pl.concat([hours.forecasts, days.forecasts, by_shift]),
        pl.concat([hours.scores, days.scores]),
        pl.concat([hours.choices, days.choices]),
    )


def _hourly(panel: Panel, run: Run) -> DemandForecast:
    profile = run.profile
    ids = _ids(panel)
    past = rolling.past_targets(ids, "h", 168, timedelta(days=7), HOURLY_ORIGINS)
    ahead = ids.join(series.hours_ahead(run.as_of, profile.horizons.hourly_days, profile.zone), how="cross")
    kept = _kept(run, panel, "h")
    least = profile.demand.prophet_min_per_day
    competing = [_restricted(model, kept) for model in models.available("h", prophet_mean.predict, least)]
    is_scored = pl.col("cutoff").rank("dense").over("service") > WARM_UP["h"]
    return _issue(Asked("h", competing, _both(past, ahead), is_scored, kept), panel, run)


def _daily(panel: Panel, run: Run) -> DemandForecast:
    as_of, profile = run.as_of, run.profile
    days, horizon = panel.by_day(), profile.horizons.daily_days
    ids = _ids(days)
    ahead = ids.join(series.days_ahead(as_of, horizon, profile.zone), how="cross")
    holiday_days = prophet_mean.holiday_effects(
        profile.country,
        profile.subdivision,
        as_of.date() - timedelta(days=profile.demand.history_days + 2),
        as_of.date() + timedelta(days=horizon + 2),
    )
    fit = partial(prophet_mean.predict, holiday_days=holiday_days, processes=run.processes, progress=run.progress)
    kept = _kept(run, days, "D")
    least = profile.demand.prophet_min_per_day
    competing = [_restricted(model, kept) for model in models.available("D", fit, least)]
    is_scored = pl.col("cutoff") == pl.col("cutoff").max().over("unique_id") - pl.duration(days=horizon)
    # A fit of Prophet per series and origin is dear, and below the region it was not seen to beat the weekly table.
    is_asked = pl.col("is_upper") & (pl.col("level") == "region")
    targets = _both(daily_origins(ids, horizon), ahead).with_columns(is_asked.alias("is_asked"))
    return _issue(Asked("D", competing, targets, is_scored, kept), days, run)


def _ids(panel: Panel) -> pl.DataFrame:
    """The series and how they are forecast: models beside the weekly table are asked for calls above stations only."""
    is_upper = (pl.col("measure") == "calls") & (pl.col("level") != "station")
    level = pl.col("area_level").alias("level")
    return panel.series.select("unique_id", "pool", level, is_upper.alias("is_upper"), "cutoff")


def _kept(run: Run, panel: Panel, freq: Frequency) -> pl.DataFrame | None:
    return None if run.kept is None else choices.recalled(run.kept, panel, freq, run.profile)


def _restricted(model: Model, kept: pl.DataFrame | None) -> Model:
    """A model that is no floor, asked for calls above stations only, and of kept choices only where it was chosen."""
    if model.name in (BASELINE, *TABLE.values()):
        return model
    rows = pl.col("is_upper")
    if kept is not None:
        mine = kept.filter(pl.col("models").str.split(JOIN).list.contains(model.name))["unique_id"].unique()
        rows = rows & pl.col("unique_id").is_in(mine.to_list())
    return models.only(model, rows)


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
    return tables.issued(with_quantiles(told).with_columns(stamp))


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


def _issue(asked: Asked, panel: Panel, run: Run) -> DemandForecast:
    """Ask the models; choose, give ranges and score, each by themselves where models compete and where none does."""
    told = panel.told()
    said = rolling.run(asked.models, told, asked.targets)
    before = told.before(asked.targets.group_by("unique_id").agg(pl.col("cutoff").min()))
    first, now = (scoring.season_errors(history, asked.freq) for history in (before, panel.history))
    made, floors = [], (TABLE[asked.freq], BASELINE)
    for (is_upper,), part in said.partition_by("is_upper", as_dict=True, maintain_order=True).items():
        done = publishing.published(part, first, models.ORDER, BASELINE, asked.freq, asked.kept, floors)
        note = pl.col("note") if is_upper else pl.lit(SIMPLE)
        made.append(_told(done, note, asked, panel, run, now))
    forecasts, scores, chosen = (pl.concat(frames) for frames in zip(*made, strict=True))
    return DemandForecast(forecasts, scores, chosen)


def _told(
    made: Published, note: pl.Expr, asked: Asked, panel: Panel, run: Run, scale: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """What was made, as it is stored: forecasts of what lies ahead, scores of the past, choices."""
    freq, as_of = asked.freq, run.as_of
    stamped = (
        tables.named(made.forecasts)
        .drop("pool", "level")
        .join(panel.series.drop("cutoff", "pool"), on="unique_id", how="left", maintain_order="left")
        .with_columns(
            asked.is_scored.alias("is_scored"),
            note.alias("note"),
            pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("reference_at"),
            pl.lit(freq).alias("frequency"),
        )
    )
    is_ahead = pl.col("target_start").is_not_null()
    issued = calibration.with_quantiles(stamped.filter(is_ahead), made.curves)
    is_past = ~is_ahead & pl.col("is_scored") & pl.col("y").is_not_null()
    past = calibration.with_quantiles(stamped.filter(is_past).with_columns(y=pl.col("y_now")), made.curves)
    scored = past.join(scale, on="unique_id", how="left", maintain_order="left")
    chosen_at = (asked.kept is not None and run.chosen_at) or as_of
    return (
        tables.issued(issued, made.curves),
        tables.backtest_scores(scored, made.curves, freq),
        choices.told(made.choices, panel, freq, as_of, chosen_at, run.profile),
    )
