"""The nightly demand forecast: every area, service and measure, hours, days and shifts ahead, with their baselines.

Calls: for every series the mean of the models, weighted by their losses at earlier origins, with ranges from that
mean's errors there. Hours have hour-of-week averages, a regression and boosting; days exponential smoothing and Prophet
too. Stations and units sent use hour-of-week averages. Areas above the leaves of their hierarchy, and the days and
shifts whose hours are forecast, are bottom-up aggregates (``reconciliation``). Weights are kept for a week, in which
the models that have one are refitted every night.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import polars as pl

from pipelines.config.profile import Profile
from pipelines.config.progress import Progress, silent
from pipelines.forecast.demand import (
    calendar_effects,
    covariate_feed,
    day_so_far,
    effects_table,
    series,
    shifts,
    tables,
)
from pipelines.forecast.demand.evaluation import calibration, combine, rolling_origin, scoring, selection_table
from pipelines.forecast.demand.evaluation.model_weights import CHOSEN
from pipelines.forecast.demand.evaluation.rolling_origin import Model
from pipelines.forecast.demand.hierarchy import (
    area_hierarchy,  # fmt: skip
    disclosure_safe,
    reconciliation,
)
from pipelines.forecast.demand.hierarchy.reconciliation import Sums
from pipelines.forecast.demand.models import prophet, registry
from pipelines.forecast.demand.models.registry import BASELINE, TABLE
from pipelines.forecast.demand.named_days import Place, named_days
from pipelines.forecast.demand.outlook import Outlook, Request, Result, Run, issued, outlook
from pipelines.forecast.demand.panel import Known, Panel
from pipelines.forecast.demand.series import Frequency
from pipelines.forecast.parallel import HERE, Workers
from pipelines.schema.dictionary import empty

HOURLY_ORIGINS: Final = 5
"""Backtest origins of hours, a week apart."""
SCORED_DAYS: Final = 8
"""Backtest origins of days that are scored, two weeks apart."""
WARM_UP: Final = 2
"""The first origins of hours, used only for model selection and ranges."""
SIMPLE: Final = "simple_table"
"""``method`` of stations and units sent, which use hour-of-week averages."""


@dataclass(frozen=True, slots=True)
class DemandForecast:
    """Frames with the columns of ``forecast.demand``, ``forecast.demand_scores``, ``forecast.demand_selections`` and
    ``forecast.calendar_effects``.
    """

    forecasts: pl.DataFrame
    scores: pl.DataFrame
    selections: pl.DataFrame
    calendar_effects: pl.DataFrame


def forecast_demand(
    hourly: pl.DataFrame,
    as_of: datetime,
    profile: Profile,
    known: Known | None = None,
    workers: Workers = HERE,
    progress: Progress = silent,
    kept: pl.DataFrame | None = None,
    areas: pl.DataFrame | None = None,
    scored: pl.DataFrame | None = None,
    covariates: pl.DataFrame | None = None,
) -> DemandForecast:
    """Forecast calls and units sent by hour, day and shift for every area and service; score the backtest.

    Args:
        hourly: ``marts.demand_hourly``: with zeros, one row per area, service and known hour. A service may end before
            the others: then it is forecast from its own end. One without a row has no forecast. The others may change a
            little, because calibration and boosting use several services. Without any row there is no forecast.
        as_of: The instant (UTC) of issue, stored as ``reference_at``; nothing after it is read.
        profile: Time zone, region, horizons, services' rule for Prophet, country of the holidays.
        known: How far each service's records reach and why they are degraded; none: complete up to ``as_of``.
        workers: Where fits of Prophet and sums of sample paths run.
        progress: Called after each batch of fits of Prophet.
        kept: ``forecast.demand_selections`` of an earlier night. Weights of the last week are reused, if every series
            has some; otherwise models compete again.
        areas: ``reference.areas``: which areas are parts of which; none: all are parts of the region.
        scored: The backtest in ``forecast.demand_scores`` issued with ``kept``, or none. While a selection is reused,
            so is its backtest: nothing is drawn at past cutoffs, which would move a day a night. Its scores are frozen:
            counts that arrive later change them only once models compete again. Forecasts ahead do not depend on it.
        covariates: As from ``covariate_feed.usable``; none: calendar and history only.
    """
    known = known or Known({}, {})
    panel = Panel.read(hourly, as_of, profile, known)
    if panel.history.is_empty():
        tables = ("demand", "demand_scores", "demand_selections", "calendar_effects")
        return DemandForecast(*(empty(f"forecast.{table}") for table in tables))
    span = (
        as_of.date() - timedelta(days=profile.demand.history_days + 2),
        as_of.date() + timedelta(days=profile.horizons.daily_days + 2),
    )
    calendar = named_days(Place(profile.country, profile.subdivision), *span)
    above = area_hierarchy.parents(panel.series, areas, profile.areas.whole_id)
    panel = area_hierarchy.with_unplaced(panel, above).judged(calendar.filter("is_holiday")["day"])
    members = area_hierarchy.members(panel.series, above, profile.areas.whole_id)
    selected_at = selection_table.selected_at(kept, as_of)
    run = Run(
        as_of, profile, calendar, kept if selected_at else None, scored, selected_at, workers, progress, covariates
    )
    listed = shifts.of_services(profile.demand.shifts).join(panel.series, on="service", how="semi")
    hours, of_hours = _hours(panel, members, listed, run)
    days = _days(panel, members, of_hours, run)
    shares = disclosure_safe.shares(hourly, hours.means, days.means, of_hours, members, as_of, profile, known)
    forecasts = [issued(hours, panel, run, shares.hours), issued(days, panel, run, shares.days)]
    # One shift at a time: the backtests of all of them are larger than that of hours.
    for shift in listed.partition_by("shift", maintain_order=True):
        forecasts.append(
            shifts.forecast(panel, hours.means, days.means, of_hours, shares, members, shift, as_of, profile, workers)
        )
    return DemandForecast(
        pl.concat(forecasts),
        pl.concat([hours.scores, days.scores]),
        pl.concat([hours.selections, days.selections]),
        effects_table.table(panel.by_day(), calendar, as_of, profile),
    )


def _hours(
    panel: Panel, members: Mapping[tuple[str, str, str], pl.DataFrame], listed: pl.DataFrame, run: Run
) -> tuple[Outlook, Sums]:
    """Forecast hours, areas above the leaves as sums; return also the sums, of shifts and days too."""
    result = _hourly(panel, run)
    sums = _added_up(result, panel, members, run, listed)
    return outlook(replace(result, published=reconciliation.added(result.published, sums)), panel, run), sums


def _days(panel: Panel, members: Mapping[tuple[str, str, str], pl.DataFrame], of_hours: Sums, run: Run) -> Outlook:
    """Forecast days, areas above the leaves as sums, and the first days as sums of their hours."""
    result = _daily(panel, run)
    summed = reconciliation.added(result.published, _added_up(result, panel, members, run))
    return outlook(replace(result, published=reconciliation.by_period(summed, of_hours, "D")), panel, run)


def _added_up(
    result: Result,
    panel: Panel,
    members: Mapping[tuple[str, str, str], pl.DataFrame],
    run: Run,
    listed: pl.DataFrame | None = None,
) -> Sums:
    """Sum every service and measure, at the scored origins and ahead; by shift and day too if requested."""
    is_ahead = pl.col("target_start").is_not_null()
    is_due = is_ahead | pl.col("is_scored") if result.request.scores is None else is_ahead
    published = result.published.with_columns(pl.col("centre").alias("mean"))
    families = []
    for (service, measure), family in panel.series.group_by(area_hierarchy.FAMILY, maintain_order=True):
        rows = published.join(family, on="unique_id", how="semi", maintain_order="left")
        own_hierarchies = [rows for (s, m, _), rows in members.items() if (s, m) == (service, measure)]
        ahead = rows.filter(pl.col("target_start").is_not_null(), pl.col("unique_id") == pl.col("unique_id").first())
        periods = None if listed is None else shifts.periods(ahead["ds"], str(service), listed)
        cutoffs = rows.filter(is_due)["cutoff"].unique().sort().to_list()
        families.append(
            (
                reconciliation.Family(
                    rows.select(reconciliation.FORECAST_COLUMNS), own_hierarchies, result.request.freq, periods
                ),
                cutoffs,
                result.curves,
            )
        )
    return reconciliation.together(families, run.workers)


def _hourly(panel: Panel, run: Run) -> Result:
    profile = run.profile
    ids = _ids(panel)
    past = rolling_origin.past_targets(ids, "h", 168, timedelta(days=7), HOURLY_ORIGINS)
    ahead = ids.join(series.hours_ahead(run.as_of, profile.horizons.hourly_days, profile.zone), how="cross")
    kept = _kept(run, panel, "h")
    least = profile.demand.prophet_min_per_day
    known = covariate_feed.seen(run.covariates, run.as_of, ids["cutoff"], profile.zone)
    competing = [_restricted(model, kept) for model in registry.available("h", prophet.predict, least, known)]
    is_scored = pl.col("cutoff").rank("dense").over("unique_id") > WARM_UP
    targets = rolling_origin.both(rolling_origin.outside_outages(past, panel.history, "h"), ahead)
    return _issue(Request("h", competing, targets, is_scored, kept, _kept_scores(run, kept, "h")), panel, run)


def _daily(panel: Panel, run: Run) -> Result:
    as_of, profile = run.as_of, run.profile
    days, horizon = panel.by_day(), profile.horizons.daily_days
    ids = _ids(days)
    ahead = ids.join(series.days_ahead(as_of, horizon, profile.zone), how="cross")
    known = covariate_feed.seen(run.covariates, as_of, ids["cutoff"], profile.zone)
    fit = partial(prophet.predict, workers=run.workers, progress=run.progress, covariates=known)
    kept = _kept(run, days, "D")
    least = profile.demand.prophet_min_per_day
    competing = [_restricted(model, kept) for model in registry.available("D", fit, least, known)]
    # The first days are published as sums of their hours, which no origin of days has: they are scored once issued.
    is_far = pl.col("ds") >= pl.col("cutoff") + pl.duration(days=profile.horizons.hourly_days)
    is_due = pl.col("cutoff") <= pl.col("cutoff").max().over("unique_id") - pl.duration(days=horizon)
    is_warm = pl.col("cutoff").rank("dense").over("unique_id") > rolling_origin.DAILY_WARM_UP
    is_scored = is_far & is_due & is_warm
    # A fit of Prophet per series and origin is expensive, and below the region it did not beat the averages.
    is_requested = pl.col("is_upper") & (pl.col("level") == "region")
    past = rolling_origin.outside_outages(rolling_origin.daily_origins(ids, horizon, SCORED_DAYS), days.history, "D")
    targets = rolling_origin.both(past, ahead).with_columns(is_requested.alias("is_requested"))
    return _issue(Request("D", competing, targets, is_scored, kept, _kept_scores(run, kept, "D")), days, run)


def _ids(panel: Panel) -> pl.DataFrame:
    """Return the series and how they are forecast.

    Models other than hour-of-week averages are for calls above stations only.
    """
    is_upper = (pl.col("measure") == "calls") & ~pl.col("level").is_in(["station", area_hierarchy.UNPLACED])
    return panel.series.select("unique_id", "pool", "level", is_upper.alias("is_upper"), "cutoff")


def _kept(run: Run, panel: Panel, freq: Frequency) -> pl.DataFrame | None:
    return None if run.kept is None else selection_table.recalled(run.kept, panel, freq, run.profile)


def _kept_scores(run: Run, kept: pl.DataFrame | None, freq: Frequency) -> pl.DataFrame | None:
    """Return the scores issued with a selection that is reused; None if models compete again or there are none."""
    if kept is None or run.kept is None or run.scored is None:
        return None
    with_it = pl.col("reference_at") == run.kept["reference_at"][0], pl.col("frequency") == freq
    scores = scoring.complete(run.scored).filter(with_it).select(*tables.SCORE_COLUMNS)
    as_of = pl.lit(run.as_of).cast(pl.Datetime("us", "UTC")).alias("reference_at")
    return None if scores.is_empty() else scores.with_columns(as_of)


def _restricted(model: Model, kept: pl.DataFrame | None) -> Model:
    """Restrict a model other than the baselines to calls above stations.

    Of a reused selection, it is also restricted to its own series.
    """
    if model.name in (BASELINE, *TABLE.values()):
        return model
    rows = pl.col("is_upper")
    if kept is not None:
        own_series = kept.filter(pl.col("model") == model.name)["unique_id"].unique()
        rows = rows & pl.col("unique_id").is_in(own_series.to_list())
    return registry.only(model, rows)


def _issue(requested: Request, panel: Panel, run: Run) -> Result:
    """Run the models; select and calibrate separately where models compete and where none does."""
    scale, parts = _predictions(requested, panel, run)
    result, weights, floors = [], [], (TABLE[requested.freq], BASELINE)
    is_read = (pl.col("model") == CHOSEN) | pl.col("is_scored") | pl.col("target_start").is_not_null()
    # Popped, so that one group's predictions are gone when the next group's ranges are computed.
    while parts:
        part = parts.pop(0)
        is_upper = part["is_upper"].first()
        done = combine.published(part, registry.PRIOR, BASELINE, requested.freq, requested.kept, floors)
        method = pl.col("method") if is_upper else pl.lit(SIMPLE)
        forecasts = done.forecasts.with_columns(method.alias("method"), requested.is_scored.alias("is_scored"))
        result.append((forecasts.filter(is_read).drop("pool", "level", "is_upper"), done.curves))
        weights.append(done.weights)
    forecasts, curves = calibration.stacked(result)
    is_published = pl.col("model") == CHOSEN
    return Result(
        requested, forecasts.filter(is_published), forecasts.filter(~is_published), curves, pl.concat(weights), scale
    )


def _predictions(requested: Request, panel: Panel, run: Run) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Return the seasonal-naive MAE as now known, and every model's forecasts: those of series for which models compete
    apart from the rest.
    """
    pools, cutoffs = panel.series.select("unique_id", calendar_effects.POOL), requested.targets["cutoff"]
    stored = calendar_effects.judged(panel.known_history(), pools, run.calendar, cutoffs, requested.freq)
    if requested.freq == "h":
        stored = day_so_far.updated(stored, pools, cutoffs)
    predictions = rolling_origin.run(requested.models, stored, requested.targets)
    scale = scoring.season_errors(panel.history, requested.freq)
    return scale, predictions.partition_by("is_upper", maintain_order=True)
