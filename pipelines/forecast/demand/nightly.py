"""The nightly demand forecast: every area, service and measure, hours, days and shifts ahead, with their baselines.

Calls: for every series the mean of the models, weighted by their losses at earlier origins, with ranges from that
mean's errors there. Hours have hour-of-week averages, a regression and boosting; days exponential smoothing and Prophet
too. Stations and units sent use hour-of-week averages. Areas above the leaves of their hierarchy, and the days and
shifts whose hours are forecast, are bottom-up aggregates (``reconciliation``). Weights, and the past forecasts that
they and the ranges follow, are kept for a week, in which the models that have a weight are refitted every night.
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
from pipelines.forecast.demand.evaluation import (
    calibration,
    combine,
    past_forecasts,
    rolling_origin,
    scoring,
    selection_table,
)
from pipelines.forecast.demand.evaluation.rolling_origin import Model
from pipelines.forecast.demand.hierarchy import (
    area_hierarchy,  # fmt: skip
    disclosure_safe,
    reconciliation,
)
from pipelines.forecast.demand.hierarchy.reconciliation import Sums
from pipelines.forecast.demand.models import covariates as known_ahead
from pipelines.forecast.demand.models import prophet, registry
from pipelines.forecast.demand.models.registry import BASELINE, TABLE
from pipelines.forecast.demand.named_days import Place, named_days
from pipelines.forecast.demand.outlook import Kept, Outlook, Request, Result, Reused, Run, issued, outlook, together
from pipelines.forecast.demand.panel import Known, Panel
from pipelines.forecast.demand.series import Frequency, History
from pipelines.forecast.parallel import HERE, Workers
from pipelines.schema.dictionary import empty

SCORED: Final = 8
"""Backtest origins that are scored, those of hours a week apart, those of days two weeks."""
WARM_UP: Final = 2
"""Origins of hours before the scored ones, used only for model selection and ranges."""
FREQUENCIES: Final[tuple[Frequency, ...]] = ("h", "D")
SIMPLE: Final = "simple_table"
"""``method`` of stations and units sent, which use hour-of-week averages."""


@dataclass(frozen=True, slots=True)
class DemandForecast:
    """Frames with the columns of ``forecast.demand``, ``forecast.demand_scores``, ``forecast.demand_selections`` and
    ``forecast.calendar_effects``; and the past forecasts of `Kept`, empty if they are not new.
    """

    forecasts: pl.DataFrame
    scores: pl.DataFrame
    selections: pl.DataFrame
    calendar_effects: pl.DataFrame
    past: pl.DataFrame


def forecast_demand(
    hourly: pl.DataFrame,
    as_of: datetime,
    profile: Profile,
    known: Known | None = None,
    workers: Workers = HERE,
    progress: Progress = silent,
    kept: Kept | None = None,
    areas: pl.DataFrame | None = None,
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
        kept: What an earlier night has issued. Weights of the last week are reused, if every series has some, with
            the forecasts and scores at their past origins; otherwise models compete again. Scores are frozen until
            then; ranges follow what has become known of the outcomes.
        areas: ``reference.areas``: which areas are parts of which; none: all are parts of the region.
        covariates: As from ``covariate_feed.usable``; none: calendar and history only.
    """
    known = known or Known({}, {})
    panel = Panel.read(hourly, as_of, profile, known)
    if panel.history.is_empty():
        return DemandForecast(
            empty("forecast.demand"),
            empty("forecast.demand_scores"),
            empty("forecast.demand_selections"),
            empty("forecast.calendar_effects"),
            past_forecasts.NONE,
        )
    span = (
        as_of.date() - timedelta(days=profile.demand.history_days + 2),
        as_of.date() + timedelta(days=profile.horizons.daily_days + 2),
    )
    calendar = named_days(Place(profile.country, profile.subdivision), *span)
    above = area_hierarchy.parents(panel.series, areas, profile.areas.whole_id)
    events = None if covariates is None else known_ahead.unusual_days(covariates)["day"]
    holidays = calendar.filter("is_holiday")["day"]
    panel = area_hierarchy.with_unplaced(panel, above).judged(
        holidays if events is None else pl.concat([holidays, events])
    )
    members = area_hierarchy.members(panel.series, above, profile.areas.whole_id)
    run = Run(as_of, profile, calendar, _reused(kept, panel, as_of, profile), workers, progress, covariates, events)
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
        pl.concat([hours.past, days.past]),
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
    is_due = is_ahead | pl.col("is_scored") if result.request.reused is None else is_ahead
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
    profile, ids, reused = run.profile, _ids(panel), run.reused.get("h")
    ahead = ids.join(series.hours_ahead(run.as_of, profile.horizons.hourly_days, profile.zone), how="cross")
    past = rolling_origin.past_targets(ids, "h", 168, timedelta(days=7), WARM_UP + SCORED)
    known = covariate_feed.seen(run.covariates, run.as_of, ids["cutoff"], profile.zone)
    models = registry.available("h", covariates=known)
    is_scored = pl.col("cutoff").rank("dense").over("unique_id") > WARM_UP
    return _issue(Request("h", models, _targets(past, ahead, panel, "h", reused), is_scored, reused), panel, run)


def _daily(panel: Panel, run: Run) -> Result:
    as_of, profile, days = run.as_of, run.profile, panel.by_day()
    ids, reused, horizon = _ids(days), run.reused.get("D"), profile.horizons.daily_days
    ahead = ids.join(series.days_ahead(as_of, horizon, profile.zone), how="cross")
    past = rolling_origin.daily_origins(ids, horizon, SCORED)
    known = covariate_feed.seen(run.covariates, as_of, ids["cutoff"], profile.zone)
    fit = partial(prophet.predict, workers=run.workers, progress=run.progress, covariates=known)
    models = registry.available("D", fit, profile.demand.prophet_min_per_day, known)
    # The first days are published as sums of their hours, which no origin of days has: they are scored once issued.
    is_far = pl.col("ds") >= pl.col("cutoff") + pl.duration(days=profile.horizons.hourly_days)
    is_due = pl.col("cutoff") <= pl.col("cutoff").max().over("unique_id") - pl.duration(days=horizon)
    is_warm = pl.col("cutoff").rank("dense").over("unique_id") > rolling_origin.DAILY_WARM_UP
    # A fit of Prophet per series and origin is expensive, and below the region it did not beat the averages.
    is_requested = (pl.col("is_upper") & (pl.col("level") == "region")).alias("is_requested")
    targets = _targets(past, ahead, days, "D", reused).with_columns(is_requested)
    return _issue(Request("D", models, targets, is_far & is_due & is_warm, reused), days, run)


def _ids(panel: Panel) -> pl.DataFrame:
    """Return the series and how they are forecast.

    Models other than hour-of-week averages are for calls above stations only.
    """
    is_upper = (pl.col("measure") == "calls") & ~pl.col("level").is_in(["station", area_hierarchy.UNPLACED])
    names = pl.col("pool", "level").cast(pl.Categorical)
    return panel.series.select("unique_id", names, is_upper.alias("is_upper"), "cutoff")


def _targets(
    past: pl.DataFrame, ahead: pl.DataFrame, panel: Panel, freq: Frequency, reused: Reused | None
) -> pl.DataFrame:
    """Return what is to be forecast: what is ahead, and past origins unless their forecasts are known."""
    if reused is not None:
        return ahead
    return rolling_origin.both(rolling_origin.outside_outages(past, panel.history, freq), ahead)


def _reused(kept: Kept | None, panel: Panel, as_of: datetime, profile: Profile) -> dict[Frequency, Reused]:
    """Return what each frequency reuses of an earlier night; empty if models compete."""
    selected_at = None if kept is None else selection_table.selected_at(kept.selections, as_of)
    if kept is None or selected_at is None or kept.past.is_empty():
        return {}
    all_scores = scoring.complete(kept.scores).select(*tables.SCORE_COLUMNS)
    scores = all_scores.filter(pl.col("reference_at") == kept.selections["reference_at"][0])
    if scores.is_empty() and not all_scores.is_empty():
        return {}
    scores = scores.with_columns(pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("reference_at"))
    reused: dict[Frequency, Reused] = {}
    for freq in FREQUENCIES:
        weights, rows = selection_table.recalled(kept.selections, panel, freq, profile), pl.col("frequency") == freq
        if weights is None:
            return {}
        reused[freq] = Reused(selected_at, weights, scores.filter(rows), kept.past.filter(rows))
    return reused


def _issue(requested: Request, panel: Panel, run: Run) -> Result:
    """Run the models and calibrate, separately where models compete and where none does."""
    groups = requested.targets["is_upper"].unique().sort(descending=True)
    return together([_of_group(requested, panel, run, is_upper) for is_upper in groups])


def _of_group(requested: Request, panel: Panel, run: Run, is_upper: bool) -> Result:
    """Return the result of the series for which models compete, or of the others."""
    freq, reused, floors = requested.freq, requested.reused, (TABLE[requested.freq], BASELINE)
    targets = requested.targets.filter(pl.col("is_upper") == is_upper)
    ids = targets["unique_id"].unique()
    group = panel.only(ids)
    stored = _judged(group, targets["cutoff"], freq, run)
    models = [_restricted(model, reused) for model in requested.models if is_upper or model.name in floors]
    weights = None if reused is None else reused.weights.filter(pl.col("unique_id").is_in(ids.implode()))
    # Without a name, so that predictions are gone when ranges are computed.
    chosen, single, weights = combine.weighted(
        rolling_origin.run(models, stored, targets), registry.PRIOR, BASELINE, freq, weights, floors
    )
    method = pl.col("method") if is_upper else pl.lit(SIMPLE)
    means = [
        chosen.with_columns(method.alias("method"), pl.col("model").cast(pl.Categorical)),
        single.drop("models", "method", "failure").with_columns(pl.col("model").cast(pl.Categorical)),
    ]
    if reused is not None:
        means = [past_forecasts.with_past(rows, reused.past, stored) for rows in means]
    past = pl.concat(past_forecasts.kept(rows, freq) for rows in means)
    # Popped likewise.
    both, curves = calibration.renumbered([combine.ranged(means.pop(0), BASELINE) for _ in range(2)])
    published, baselines = (
        rows.with_columns(requested.is_scored.alias("is_scored")).drop("pool", "level", "is_upper", "is_young")
        for rows in both
    )
    is_read = pl.col("is_scored") | pl.col("target_start").is_not_null()
    scale = scoring.season_errors(group.history, freq)
    return Result(requested, published.drop("model"), baselines.filter(is_read), curves, weights, past, scale)


def _judged(panel: Panel, cutoffs: pl.Series, freq: Frequency, run: Run) -> History:
    """Return the history with what origins at ``cutoffs`` estimate from it: extremes, named days, the day so far."""
    pools = panel.series.select("unique_id", calendar_effects.POOL)
    stored = calendar_effects.judged(panel.known_history(), pools, run.calendar, cutoffs, freq, run.events)
    return day_so_far.updated(stored, pools, cutoffs) if freq == "h" else stored


def _restricted(model: Model, reused: Reused | None) -> Model:
    """Restrict a model other than the baselines, if weights are reused, to series of which it has one."""
    if reused is None or model.name in (BASELINE, *TABLE.values()):
        return model
    weighted = reused.weights.filter(pl.col("model") == model.name)["unique_id"].unique()
    return registry.only(model, pl.col("unique_id").is_in(weighted.implode()))
