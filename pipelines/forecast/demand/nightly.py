"""The nightly demand forecast: every area, service and measure, hours, days and shifts ahead, beside its floors.

Calls: for every series and horizon block the mean of the best models of earlier origins, with ranges learnt from what
that mean missed there. By the hour the weekly table, a regression and boosting compete, by the day exponential
smoothing and Prophet too. Stations and units sent keep to the weekly table. Areas above the leaves of their tree, and
the days and shifts whose hours are forecast, are sums (``sums``). Choices are kept for a week, in which the chosen
models are fitted anew every night.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import polars as pl

from pipelines.config.profile import Profile
from pipelines.forecast.demand import series, shifts, tables
from pipelines.forecast.demand.evaluation import calibration, combine, rolling_origin, scoring, selection_table
from pipelines.forecast.demand.evaluation.model_selection import CHOSEN, JOIN
from pipelines.forecast.demand.evaluation.negative_binomial import Floats
from pipelines.forecast.demand.evaluation.rolling_origin import Model
from pipelines.forecast.demand.hierarchy import (
    area_tree,  # fmt: skip
    disclosure_safe,
    reconciliation,
)
from pipelines.forecast.demand.hierarchy.reconciliation import Sums
from pipelines.forecast.demand.models import prophet, registry
from pipelines.forecast.demand.models.registry import BASELINE, TABLE
from pipelines.forecast.demand.panel import Known, Panel
from pipelines.forecast.demand.series import Frequency
from pipelines.schema.dictionary import empty

HOURLY_ORIGINS: Final = 5
"""Backtest origins of hours, a week apart."""
WARM_UP: Final = 2
"""The first so many origins of hours only teach choices and ranges."""
SIMPLE: Final = "simple_table"
"""``method`` of stations and units sent, which keep to the weekly table."""


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


@dataclass(frozen=True, slots=True)
class Made:
    """A frequency's forecasts of the past and ahead, the published ones under the name ``CHOSEN``.

    ``forecasts``: as ``publishing.Published``, with ``is_scored`` and ``method``; ``scale``: lag-season errors as now
    known, of which scores are told.
    """

    asked: Asked
    forecasts: pl.DataFrame
    curves: Floats
    choices: pl.DataFrame
    scale: pl.DataFrame


def forecast_demand(
    hourly: pl.DataFrame,
    as_of: datetime,
    profile: Profile,
    known: Known | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
    kept: pl.DataFrame | None = None,
    areas: pl.DataFrame | None = None,
) -> DemandForecast:
    """Forecast calls and units sent by hour, day and shift for every area and service; score the backtest.

    Args:
        hourly: ``marts.demand_hourly``: zeros present, one row per area, service and known hour. A service may end
            before the others: then it is forecast from its own end. One without a row has no forecast. The others may
            move a little, since calibration and boosting learn across services. No row at all: no forecast.
        as_of: The instant (UTC) of issue, stored as ``reference_at``; nothing after it is read.
        profile: Time zone, region, horizons, services' rule for Prophet, country of the holidays.
        known: How far each service's records go and what degrades them; none: complete up to ``as_of``.
        processes: Processes that fit Prophet side by side.
        progress: Told (fits done, fits in all).
        kept: ``forecast.demand_choices`` of an earlier night. Those of the last week are kept to, as long as every
            series has one; else models compete anew.
        areas: ``reference.areas``: which areas are parts of which; none: all are parts of the region.
    """
    known = known or Known({}, {})
    panel = Panel.read(hourly, as_of, profile, known)
    if panel.history.is_empty():
        return DemandForecast(
            empty("forecast.demand"), empty("forecast.demand_scores"), empty("forecast.demand_choices")
        )
    above = area_tree.parents(panel.series, areas, profile.areas.whole_id)
    panel = area_tree.with_unplaced(panel, above)
    members = area_tree.members(panel.series, above, profile.areas.whole_id)
    chosen_at = selection_table.chosen_at(kept, as_of)
    run = Run(as_of, profile, kept if chosen_at else None, chosen_at, processes, progress)
    listed = shifts.of_services(profile.demand.shifts).join(panel.series, on="service", how="semi")
    hours, days = _hourly(panel, run), _daily(panel, run)
    of_hours = _added_up(hours, panel, members, run, listed)
    hours = replace(hours, forecasts=_published(hours.forecasts, reconciliation.added, of_hours))
    days = replace(
        days, forecasts=_published(days.forecasts, reconciliation.added, _added_up(days, panel, members, run))
    )
    days = replace(
        days, forecasts=_published(days.forecasts, partial(reconciliation.by_period, frequency="D"), of_hours)
    )
    shares = disclosure_safe.shares(hourly, _ahead(hours), _ahead(days), of_hours, members, as_of, profile, known)
    told = [_told(hours, panel, run, shares.hours), _told(days, panel, run, shares.days)]
    forecasts, scores, chosen = ([*frames] for frames in zip(*told, strict=True))
    if listed.height:
        forecasts.append(
            shifts.forecast(
                panel, _ahead(hours), _ahead(days), of_hours, shares, members, listed, as_of, profile, processes
            )
        )
    return DemandForecast(pl.concat(forecasts), pl.concat(scores), pl.concat(chosen))


def _published(
    forecasts: pl.DataFrame, change: Callable[[pl.DataFrame, Sums], pl.DataFrame], found: Sums
) -> pl.DataFrame:
    """The forecasts, those that are published as sums change them."""
    is_published = pl.col("model") == CHOSEN
    changed = change(forecasts.filter(is_published), found)
    return pl.concat([changed, forecasts.filter(~is_published)])


def _ahead(made: Made) -> pl.DataFrame:
    """What is published of what lies ahead."""
    return made.forecasts.filter(pl.col("model") == CHOSEN, pl.col("target_start").is_not_null()).select(
        "unique_id", "cutoff", "ds", "mean"
    )


def _added_up(
    made: Made,
    panel: Panel,
    members: Mapping[tuple[str, str, str], pl.DataFrame],
    run: Run,
    listed: pl.DataFrame | None = None,
) -> Sums:
    """Add up every service and measure, at the origins that are scored and ahead; by shift and day too if asked."""
    is_due = pl.col("is_scored") | pl.col("target_start").is_not_null()
    published = made.forecasts.filter(pl.col("model") == CHOSEN).with_columns(pl.col("centre").alias("mean"))
    families = []
    for (service, measure), own in panel.series.group_by(area_tree.FAMILY, maintain_order=True):
        said = published.join(own, on="unique_id", how="semi", maintain_order="left")
        own_trees = [rows for (s, m, _), rows in members.items() if (s, m) == (service, measure)]
        ahead = said.filter(pl.col("target_start").is_not_null(), pl.col("unique_id") == pl.col("unique_id").first())
        periods = None if listed is None else shifts.periods(ahead["ds"], str(service), listed)
        cutoffs = said.filter(is_due)["cutoff"].unique().sort().to_list()
        families.append(
            (
                reconciliation.Family(said.select(reconciliation.SAID), own_trees, made.asked.freq, periods),
                cutoffs,
                made.curves,
            )
        )
    return reconciliation.together(families, run.processes)


def _hourly(panel: Panel, run: Run) -> Made:
    profile = run.profile
    ids = _ids(panel)
    past = rolling_origin.past_targets(ids, "h", 168, timedelta(days=7), HOURLY_ORIGINS)
    ahead = ids.join(series.hours_ahead(run.as_of, profile.horizons.hourly_days, profile.zone), how="cross")
    kept = _kept(run, panel, "h")
    least = profile.demand.prophet_min_per_day
    competing = [_restricted(model, kept) for model in registry.available("h", prophet.predict, least)]
    is_scored = pl.col("cutoff").rank("dense").over("unique_id") > WARM_UP
    return _issue(Asked("h", competing, rolling_origin.both(past, ahead), is_scored, kept), panel, run)


def _daily(panel: Panel, run: Run) -> Made:
    as_of, profile = run.as_of, run.profile
    days, horizon = panel.by_day(), profile.horizons.daily_days
    ids = _ids(days)
    ahead = ids.join(series.days_ahead(as_of, horizon, profile.zone), how="cross")
    holiday_days = prophet.holiday_effects(
        profile.country,
        profile.subdivision,
        as_of.date() - timedelta(days=profile.demand.history_days + 2),
        as_of.date() + timedelta(days=horizon + 2),
    )
    fit = partial(prophet.predict, holiday_days=holiday_days, processes=run.processes, progress=run.progress)
    kept = _kept(run, days, "D")
    least = profile.demand.prophet_min_per_day
    competing = [_restricted(model, kept) for model in registry.available("D", fit, least)]
    # The first days are published as sums of their hours, which no origin of days has: they are scored once issued.
    is_far = pl.col("ds") >= pl.col("cutoff") + pl.duration(days=profile.horizons.hourly_days)
    is_scored = is_far & (pl.col("cutoff") == pl.col("cutoff").max().over("unique_id") - pl.duration(days=horizon))
    # A fit of Prophet per series and origin is dear, and below the region it was not seen to beat the weekly table.
    is_asked = pl.col("is_upper") & (pl.col("level") == "region")
    targets = rolling_origin.both(rolling_origin.daily_origins(ids, horizon), ahead).with_columns(
        is_asked.alias("is_asked")
    )
    return _issue(Asked("D", competing, targets, is_scored, kept), days, run)


def _ids(panel: Panel) -> pl.DataFrame:
    """The series and how they are forecast: models beside the weekly table are asked for calls above stations only."""
    is_upper = (pl.col("measure") == "calls") & ~pl.col("level").is_in(["station", area_tree.UNPLACED])
    level = pl.col("area_level").alias("level")
    return panel.series.select("unique_id", "pool", level, is_upper.alias("is_upper"), "cutoff")


def _kept(run: Run, panel: Panel, freq: Frequency) -> pl.DataFrame | None:
    return None if run.kept is None else selection_table.recalled(run.kept, panel, freq, run.profile)


def _restricted(model: Model, kept: pl.DataFrame | None) -> Model:
    """A model that is no floor, asked for calls above stations only, and of kept choices only where it was chosen."""
    if model.name in (BASELINE, *TABLE.values()):
        return model
    rows = pl.col("is_upper")
    if kept is not None:
        mine = kept.filter(pl.col("models").str.split(JOIN).list.contains(model.name))["unique_id"].unique()
        rows = rows & pl.col("unique_id").is_in(mine.to_list())
    return registry.only(model, rows)


def _issue(asked: Asked, panel: Panel, run: Run) -> Made:
    """Ask the models; choose and give ranges, each by themselves where models compete and where none does."""
    told = panel.told()
    said = rolling_origin.run(asked.models, told, asked.targets)
    before = told.before(asked.targets.group_by("unique_id").agg(pl.col("cutoff").min()))
    first, now = (scoring.season_errors(history, asked.freq) for history in (before, panel.history))
    made, chosen, floors = [], [], (TABLE[asked.freq], BASELINE)
    for (is_upper,), part in said.partition_by("is_upper", as_dict=True, maintain_order=True).items():
        done = combine.published(part, first, registry.ORDER, BASELINE, asked.freq, asked.kept, floors)
        method = pl.col("method") if is_upper else pl.lit(SIMPLE)
        made.append(
            (done.forecasts.with_columns(method.alias("method"), asked.is_scored.alias("is_scored")), done.curves)
        )
        chosen.append(done.choices)
    forecasts, curves = calibration.stacked(made)
    return Made(asked, forecasts, curves, pl.concat(chosen), now)


def _told(made: Made, panel: Panel, run: Run, shared: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """What was made, as it is stored: forecasts of what lies ahead, scores of the past, choices.

    ``shared``: means of ``apportioned``, stored beside those of all calls.
    """
    freq, as_of = made.asked.freq, run.as_of
    stamped = (
        tables.named(made.forecasts)
        .drop("pool", "level")
        .join(panel.series.drop("cutoff", "pool"), on="unique_id", how="left", maintain_order="left")
        .filter(pl.col("area_level") != area_tree.UNPLACED)
        .with_columns(
            pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("reference_at"),
            pl.lit(freq).alias("frequency"),
        )
    )
    is_ahead = pl.col("target_start").is_not_null()
    ahead = stamped.filter(is_ahead)
    apart = disclosure_safe.told(ahead.filter(~pl.col("is_baseline")), shared, ["unique_id", "ds"])
    issued = calibration.with_quantiles(pl.concat([ahead, apart]), made.curves)
    is_past = ~is_ahead & pl.col("is_scored") & pl.col("y").is_not_null()
    past = calibration.with_quantiles(stamped.filter(is_past).with_columns(y=pl.col("y_now")), made.curves)
    scored = past.join(made.scale, on="unique_id", how="left", maintain_order="left")
    chosen_at = (made.asked.kept is not None and run.chosen_at) or as_of
    return (
        tables.issued(issued, made.curves),
        tables.backtest_scores(scored, made.curves, freq),
        selection_table.told(made.choices, panel, freq, as_of, chosen_at, run.profile),
    )
