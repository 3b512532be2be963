"""What is kept of one night's forecast: the past as scores, and what is ahead with its ranges.

The past is scored as soon as a frequency is forecast, one service at a time: all results of hours, days and shifts
together would need several times the memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipelines.config.profile import Profile
from pipelines.config.progress import Progress, silent
from pipelines.forecast.demand import tables
from pipelines.forecast.demand.evaluation import calibration, selection_table
from pipelines.forecast.demand.evaluation.negative_binomial import Floats
from pipelines.forecast.demand.evaluation.rolling_origin import Model
from pipelines.forecast.demand.hierarchy import area_hierarchy, disclosure_safe
from pipelines.forecast.demand.panel import Panel
from pipelines.forecast.demand.series import Frequency
from pipelines.forecast.parallel import HERE, Workers


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier night has issued and this one may reuse, if that night's selection is young enough.

    ``selections`` and ``scores``: ``forecast.demand_selections`` and ``forecast.demand_scores`` of the last night;
    ``past``: the past forecasts of the night at which its models competed, as from ``past_forecasts.kept``, with
    ``frequency``.
    """

    selections: pl.DataFrame
    scores: pl.DataFrame
    past: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Reused:
    """What a frequency reuses: ``weights`` as from ``model_weights``, made at ``selected_at``; the ``scores`` and
    ``past`` forecasts issued with them.
    """

    selected_at: datetime
    weights: pl.DataFrame
    scores: pl.DataFrame
    past: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Run:
    """The settings of one night's forecast; ``calendar``: the named days of history and horizon; ``reused``: what the
    frequencies reuse, if models do not compete; ``covariates``: as from ``covariate_feed.usable``, if there are any;
    ``events``: the dates that they explain.
    """

    as_of: datetime
    profile: Profile
    calendar: pl.DataFrame
    reused: Mapping[Frequency, Reused]
    workers: Workers = HERE
    progress: Progress = silent
    covariates: pl.DataFrame | None = None
    events: pl.Series | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A frequency's models, their targets, and what is reused, if models do not compete."""

    freq: Frequency
    models: list[Model]
    targets: pl.DataFrame
    is_scored: pl.Expr
    reused: Reused | None


@dataclass(frozen=True, slots=True)
class Result:
    """A frequency's forecasts of the past and ahead.

    ``published``: as from ``combine.ranged``, with ``is_scored`` and ``method``; ``baselines``: likewise, only what is
    scored or ahead; ``past``: what later nights may reuse; ``scale``: the seasonal-naive MAE as now known, for scores.
    """

    request: Request
    published: pl.DataFrame
    baselines: pl.DataFrame
    curves: Floats
    weights: pl.DataFrame
    past: pl.DataFrame
    scale: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is left of a ``Result`` once its past is scored.

    ``ahead``: what is published and the baselines, as from ``tables.named``; ``scores``: ``forecast.demand_scores``;
    ``selections``: ``forecast.demand_selections``; ``past``: as in ``Result``, empty if it is known already.
    """

    freq: Frequency
    ahead: pl.DataFrame
    curves: Floats
    scores: pl.DataFrame
    selections: pl.DataFrame
    past: pl.DataFrame

    @property
    def means(self) -> pl.DataFrame:
        """Return ``unique_id, cutoff, ds, mean`` of what is published."""
        return self.ahead.filter(~pl.col("is_baseline")).select("unique_id", "cutoff", "ds", "mean")


def together(results: Sequence[Result]) -> Result:
    """Return the results of several groups of series, of the same request, as one."""
    frames = {name: [getattr(result, name) for result in results] for name in ("weights", "past", "scale")}
    published, curves = calibration.renumbered([(result.published, result.curves) for result in results])
    baselines, _ = calibration.renumbered([(result.baselines, result.curves) for result in results])
    return Result(
        results[0].request,
        pl.concat(published),
        pl.concat(baselines),
        curves,
        **{name: pl.concat(parts) for name, parts in frames.items()},
    )


def outlook(result: Result, panel: Panel, run: Run) -> Outlook:
    """Score the past, and keep what is ahead."""
    requested, freq = result.request, result.request.freq
    is_ahead = pl.col("target_start").is_not_null()
    reused = requested.reused
    selected_at = run.as_of if reused is None else reused.selected_at
    return Outlook(
        freq,
        tables.named(result.published.filter(is_ahead), result.baselines.filter(is_ahead)),
        result.curves,
        _scores(result, panel, run) if reused is None else reused.scores,
        selection_table.to_table(result.weights, panel, freq, run.as_of, selected_at, run.profile),
        result.past if reused is None else result.past.clear(),
    )


def _scores(result: Result, panel: Panel, run: Run) -> pl.DataFrame:
    """Return ``forecast.demand_scores`` of the past, at the origins that are scored."""
    freq = result.request.freq
    is_past = pl.col("target_start").is_null() & pl.col("is_scored") & pl.col("y").is_not_null()
    since: datetime | None = result.published.filter(is_past).select(pl.col("ds").min()).item()
    parts = []
    for of_grain in _partitions(panel, "service", "measure", "level"):
        is_of_grain = pl.col("unique_id").is_in(of_grain["unique_id"].implode())
        past = [frame.filter(is_past, is_of_grain) for frame in (result.published, result.baselines)]
        known = _described(tables.named(*past), of_grain, run, freq).with_columns(y="y_now", area_level="level")
        scaled = known.join(result.scale, on="unique_id", how="left", maintain_order="left")
        ranged = calibration.with_quantiles(scaled, result.curves)
        parts.append(tables.backtest_scores(ranged, result.curves, freq, since))
    return pl.concat(parts)


def issued(outlook: Outlook, panel: Panel, run: Run, shared: pl.DataFrame) -> pl.DataFrame:
    """Return ``forecast.demand`` of what is ahead.

    ``shared``: means of ``disclosure_safe``, stored next to those of all calls.
    """
    parts = []
    for of_service in _partitions(panel, "service"):
        rows = _described(outlook.ahead, of_service, run, outlook.freq)
        shared_rows = disclosure_safe.replacements(rows.filter(~pl.col("is_baseline")), shared, ["unique_id", "ds"])
        ranged = calibration.with_quantiles(pl.concat([rows, shared_rows]), outlook.curves)
        parts.append(tables.issued(ranged, outlook.curves))
    return pl.concat(parts)


def _partitions(panel: Panel, *by: str) -> list[pl.DataFrame]:
    """Return what the series are of, in parts: with names and quantiles, all rows would be several times as large."""
    placed = panel.series.filter(pl.col("level") != area_hierarchy.UNPLACED).drop("cutoff", "pool")
    return placed.sort(by, maintain_order=True).partition_by(by, maintain_order=True)


def _described(forecasts: pl.DataFrame, of_series: pl.DataFrame, run: Run, freq: Frequency) -> pl.DataFrame:
    """Return the forecasts of some series with what they are of."""
    return forecasts.join(of_series, on="unique_id", maintain_order="left").with_columns(
        pl.lit(run.as_of).cast(pl.Datetime("us", "UTC")).alias("reference_at"),
        pl.lit(freq).alias("frequency"),
    )
