"""What is kept of one night's forecast: the past as scores, and what is ahead with its ranges.

The past is scored as soon as a frequency is forecast, one service at a time: all results of hours, days and shifts
together would need several times the memory.
"""

from collections.abc import Iterator
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
class Run:
    """The settings of one night's forecast; ``calendar``: the named days of history and horizon;
    ``kept``: a selection to reuse, made at ``selected_at``; ``scored``: its backtest; ``covariates``: as from
    ``covariate_feed.usable``, if there are any.
    """

    as_of: datetime
    profile: Profile
    calendar: pl.DataFrame
    kept: pl.DataFrame | None = None
    scored: pl.DataFrame | None = None
    selected_at: datetime | None = None
    workers: Workers = HERE
    progress: Progress = silent
    covariates: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A frequency's models, their targets, and the selection to reuse, with its scores if they are known."""

    freq: Frequency
    models: list[Model]
    targets: pl.DataFrame
    is_scored: pl.Expr
    kept: pl.DataFrame | None
    scores: pl.DataFrame | None


@dataclass(frozen=True, slots=True)
class Result:
    """A frequency's forecasts of the past and ahead.

    ``published``: as in ``combine.Published``, with ``is_scored`` and ``method``; ``baselines``: likewise, only what is
    scored or ahead; ``scale``: the seasonal-naive MAE as now known, for scores.
    """

    request: Request
    published: pl.DataFrame
    baselines: pl.DataFrame
    curves: Floats
    weights: pl.DataFrame
    scale: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is left of a ``Result`` once its past is scored.

    ``ahead``: what is published and the baselines, as from ``tables.named``; ``scores``: ``forecast.demand_scores``;
    ``selections``: ``forecast.demand_selections``.
    """

    freq: Frequency
    ahead: pl.DataFrame
    curves: Floats
    scores: pl.DataFrame
    selections: pl.DataFrame

    @property
    def means(self) -> pl.DataFrame:
        """Return ``unique_id, cutoff, ds, mean`` of what is published."""
        return self.ahead.filter(~pl.col("is_baseline")).select("unique_id", "cutoff", "ds", "mean")


def outlook(result: Result, panel: Panel, run: Run) -> Outlook:
    """Score the past, and keep what is ahead."""
    requested, freq = result.request, result.request.freq
    is_ahead = pl.col("target_start").is_not_null()
    selected_at = (requested.kept is not None and run.selected_at) or run.as_of
    return Outlook(
        freq,
        tables.named(result.published.filter(is_ahead), result.baselines.filter(is_ahead)),
        result.curves,
        _scores(result, panel, run) if requested.scores is None else requested.scores,
        selection_table.to_table(result.weights, panel, freq, run.as_of, selected_at, run.profile),
    )


def _scores(result: Result, panel: Panel, run: Run) -> pl.DataFrame:
    """Return ``forecast.demand_scores`` of the past, at the origins that are scored."""
    freq = result.request.freq
    is_past = pl.col("target_start").is_null() & pl.col("is_scored") & pl.col("y").is_not_null()
    past = tables.named(result.published.filter(is_past), result.baselines.filter(is_past))
    since = past.select(pl.col("ds").min()).item()
    parts = []
    for rows in _by_service(past, panel, run, freq):
        known = rows.with_columns(y="y_now", area_level="level").join(
            result.scale, on="unique_id", how="left", maintain_order="left"
        )
        ranged = calibration.with_quantiles(known, result.curves)
        parts.append(tables.backtest_scores(ranged, result.curves, freq, since))
    return pl.concat(parts)


def issued(outlook: Outlook, panel: Panel, run: Run, shared: pl.DataFrame) -> pl.DataFrame:
    """Return ``forecast.demand`` of what is ahead.

    ``shared``: means of ``disclosure_safe``, stored next to those of all calls.
    """
    parts = []
    for rows in _by_service(outlook.ahead, panel, run, outlook.freq):
        shared_rows = disclosure_safe.replacements(rows.filter(~pl.col("is_baseline")), shared, ["unique_id", "ds"])
        ranged = calibration.with_quantiles(pl.concat([rows, shared_rows]), outlook.curves)
        parts.append(tables.issued(ranged, outlook.curves))
    return pl.concat(parts)


def _by_service(forecasts: pl.DataFrame, panel: Panel, run: Run, freq: Frequency) -> Iterator[pl.DataFrame]:
    """Yield the forecasts with what they are of, one service at a time: with names and quantiles, the rows of all
    services would be several times as large.
    """
    placed = panel.series.filter(pl.col("level") != area_hierarchy.UNPLACED).drop("cutoff", "pool").sort("service")
    for of_service in placed.partition_by("service", maintain_order=True):
        yield forecasts.join(of_service, on="unique_id", maintain_order="left").with_columns(
            pl.lit(run.as_of).cast(pl.Datetime("us", "UTC")).alias("reference_at"),
            pl.lit(freq).alias("frequency"),
        )
