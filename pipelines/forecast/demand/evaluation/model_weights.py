"""Weights of the models whose mean is published, for each series, from their losses at earlier origins.

A weight is the model's prior times the exponential of its lower log loss at earlier origins, half of the series itself
and half of its cluster (pool, area level, rate), so that few origins change little and a simple model takes over only
where others were worse again and again (weights of experts by past loss: Vovk 1990, Yang 2004). Weights are
shared over horizons: those of single horizon blocks were no better. The prior depends on the length of the history
(``is_young``: less than a year). Weights at an origin use nothing at or after it.
"""

from typing import Final

import polars as pl

from pipelines.forecast.demand.evaluation.scoring import mean_pinball
from pipelines.forecast.demand.series import SEASON, Frequency

CHOSEN: Final = "chosen"
"""The name of the weighted mean during calibration, whatever models it consists of."""
JOIN: Final = " + "
RATE: Final = 2.0
"""How fast weights follow losses: a model with 10 % more loss at one origin has a weight about 20 % lower."""
LEAST_WEIGHT: Final = 0.1
"""Models below it are left out: their weight hardly moves the mean, and they need no fit while weights are kept."""
LEAST_ANSWERED: Final = 0.5
"""Share of the newest known origin's targets for which a model must have a forecast."""
ADDED_LOSS: Final = 1.0
"""Calls added to every loss of an origin, so that one with hardly any call is hardly any evidence."""

WEIGHTS: Final = ["model", "weight", "loss_ratio", "origins", "selected_by"]
TARGET: Final = ["unique_id", "cutoff", "ds"]
ORIGIN: Final = ["unique_id", "cutoff"]
SERIES: Final = ["unique_id", "pool", "level"]


def losses(predictions: pl.DataFrame, simplest: str, naive: str) -> pl.DataFrame:
    """Return the pinball losses of every model except ``naive``, for known outcomes.

    Args:
        predictions: ``unique_id, pool, level, cutoff, ds, block, y, model, mean`` and quantiles (null where there is no
            mean); a row for every model and target.
        simplest: A model without a mean gets its loss, which is neither for nor against it.
        naive: Its loss is used where that one has no mean; the model used only if all others fail.

    Returns:
        ``unique_id, pool, level, cutoff, block, model, loss`` (sum over targets), ``answered`` (targets for which the
        model has a forecast), ``targets, calls, last``.
    """
    # Sorted, so that sums are identical to the last digit whatever the order of rows.
    known = (
        predictions.filter(pl.col("y").is_not_null())
        .unique([*TARGET, "model"], keep="first", maintain_order=True)
        .sort(*TARGET, "model")
        .with_columns(mean_pinball().alias("loss"))
    )
    spare = [
        known.filter(pl.col("model") == name).select(*TARGET, pl.col("loss").alias(f"loss_{turn}"))
        for turn, name in enumerate((simplest, naive))
    ]
    return (
        known.filter(pl.col("model") != naive)
        .join(spare[0], on=TARGET, how="left", maintain_order="left")
        .join(spare[1], on=TARGET, how="left", maintain_order="left")
        .group_by(*SERIES, "cutoff", "block", "model", maintain_order=True)
        .agg(
            pl.coalesce("loss", "loss_0", "loss_1").sum().alias("loss"),
            pl.col("mean").is_not_null().sum().alias("answered"),
            pl.len().alias("targets"),
            pl.col("y").sum().alias("calls"),
            pl.col("ds").max().alias("last"),
        )
    )


def weights(requested: pl.DataFrame, lost: pl.DataFrame, prior: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Weigh the models of every series and cutoff by the losses at earlier origins.

    Args:
        requested: ``unique_id, pool, level, cutoff, is_young`` that need weights.
        lost: As from ``losses``.
        prior: ``model, is_young, weight``: of each candidate before any origin, the simplest first.
        freq: ``h`` or ``D``.

    Returns:
        ``unique_id, cutoff`` and ``WEIGHTS``, a row per model with a weight, in the order of ``prior``; weights of a
        series sum to 1. ``loss_ratio``: the model's loss over that of the simplest one at earlier ``origins``
        (geometric mean); ``selected_by``: series (with its cluster), cluster (no own origin), or default (no origin).
    """
    wanted = requested.select(*SERIES, "cutoff", "is_young").unique(maintain_order=True)
    parts = [
        # Blocks that ended before the cutoff.
        _weights_at(of_cutoff, lost.filter(pl.col("cutoff") < cutoff, pl.col("last") < cutoff), prior, freq)
        for (cutoff,), of_cutoff in wanted.sort("cutoff").group_by("cutoff", maintain_order=True)
    ]
    return pl.concat(parts).sort(*ORIGIN, _order(prior)).select(*ORIGIN, *WEIGHTS)


def _weights_at(wanted: pl.DataFrame, past: pl.DataFrame, prior: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return the weights of one cutoff."""
    clusters = _clusters(past, freq)
    placed = past.join(clusters, on="unique_id", how="left", maintain_order="left")
    single, shared = (_evidence(placed, by) for by in ("unique_id", "cluster"))
    known = (
        wanted.join(clusters, on="unique_id", how="left", maintain_order="left")
        .join(prior, on="is_young", maintain_order="left")
        .join(single, on=["unique_id", "model"], how="left", maintain_order="left")
        .join(shared, on=["cluster", "model"], how="left", maintain_order="left", suffix="_cluster")
    )
    evidence = pl.mean_horizontal("log_loss", "log_loss_cluster").fill_null(0.0)
    simplest = pl.col("log_loss").filter(pl.col("model") == prior["model"][0]).first()
    return (
        known.with_columns(
            pl.when(pl.col("log_loss").is_not_null())
            .then(pl.lit("series"))
            .when(pl.col("log_loss_cluster").is_not_null())
            .then(pl.lit("cluster"))
            .otherwise(pl.lit("default"))
            .alias("selected_by"),
            pl.coalesce("origins", "origins_cluster").fill_null(0).alias("origins"),
            ((pl.col("log_loss") - simplest) / pl.col("origins")).exp().over("unique_id").alias("loss_ratio"),
            (evidence - evidence.min().over("unique_id")).alias("evidence"),
            pl.coalesce("answered", "answered_cluster").fill_null(1.0).alias("answered"),
        )
        .filter(pl.col("answered") >= LEAST_ANSWERED)
        .with_columns(_share(pl.col("weight") * (-RATE * pl.col("evidence")).exp()))
        .filter(pl.col("weight") >= LEAST_WEIGHT)
        .with_columns(_share(pl.col("weight")))
    )


def _share(weight: pl.Expr) -> pl.Expr:
    return (weight / weight.sum().over("unique_id")).alias("weight")


def _clusters(past: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return ``unique_id, cluster``: series of one pool and area level whose rates are within a factor of four."""
    first_rows = past.unique(["unique_id", "cutoff", "block"], keep="first", maintain_order=True)
    weekly = (SEASON[freq] * pl.col("calls").sum() / pl.col("targets").sum()).alias("weekly")
    rates = first_rows.group_by(SERIES, maintain_order=True).agg(weekly)
    band = pl.col("weekly").clip(0.01).log(4).floor().cast(pl.Int8)
    return rates.select("unique_id", pl.concat_str("pool", "level", band, separator="|").alias("cluster"))


def _evidence(placed: pl.DataFrame, by: str) -> pl.DataFrame:
    """Return ``log_loss``, summed over ``origins``, and the share ``answered`` at the newest, by model."""
    of_origins = placed.group_by(by, "cutoff", "model", maintain_order=True).agg(
        pl.col("loss", "answered", "targets").sum()
    )
    return of_origins.group_by(by, "model", maintain_order=True).agg(
        (pl.col("loss") + ADDED_LOSS).log().sum().alias("log_loss"),
        pl.len().cast(pl.Int64).alias("origins"),
        (pl.col("answered") / pl.col("targets")).sort_by("cutoff").last().alias("answered"),
    )


def combined(weights: pl.DataFrame, predictions: pl.DataFrame, prior: pl.DataFrame, naive: str) -> pl.DataFrame:
    """Return the weighted mean of the models for every target; the weights may be older than the targets.

    A model without a mean is skipped, and the weights of the others grow. Without any, the simplest model is used, then
    ``naive``. ``failure`` and ``method`` report this.

    Args:
        weights: As from ``weights``; the newest at or before a target's cutoff are used.
        predictions: ``unique_id, cutoff, ds, is_young, model, mean, centre, failure`` of every model, more columns
            kept.
        prior: As for ``weights``; used for a series without weights.
        naive: The model used only if all others fail.

    Returns:
        One row per target: the columns of ``predictions``, ``model`` ``CHOSEN``, the ``models`` of its mean, and
        ``method``. Targets without a mean of any model are left out.
    """
    # Every model has a row for every target; when clocks go back, two targets have the same ``ds``.
    targets = predictions.filter(pl.col("model") == predictions["model"].first()).drop(
        "model", "mean", "centre", "failure"
    )
    answers = _turns(predictions, _newest(weights, targets, prior), prior["model"][0], naive)
    share = pl.col("weight") / pl.col("weight").sum()
    means = (
        answers.filter(pl.col("mean").is_not_null())
        .filter(pl.col("turn") == pl.col("turn").min().over(TARGET))
        .sort(*TARGET, _order(prior))
        .group_by(TARGET, maintain_order=True)
        .agg(
            (pl.col("mean", "centre") * share).sum(),
            pl.col("model").str.join(JOIN).alias("models"),
            (pl.col("turn").first() > 0).alias("is_spare"),
        )
    )
    reasons = (
        answers.filter(pl.col("turn") == 0, pl.col("mean").is_null())
        .sort(*TARGET, "model")
        .group_by(TARGET, maintain_order=True)
        .agg(pl.format("{}: {}", "model", "failure").drop_nulls().str.join("; ").replace("", None).alias("failure"))
    )
    is_fallback = pl.col("is_spare") | pl.col("failure").is_not_null()
    return (
        targets.join(means, on=TARGET, how="inner", maintain_order="left")
        .join(reasons, on=TARGET, how="left", maintain_order="left")
        .with_columns(pl.lit(CHOSEN).alias("model"), pl.when(is_fallback).then(pl.lit("fallback")).alias("method"))
        .drop("is_spare")
    )


def _newest(weights: pl.DataFrame, targets: pl.DataFrame, prior: pl.DataFrame) -> pl.DataFrame:
    """Return ``unique_id, cutoff, model, weight`` of every series and cutoff of the targets."""
    dated = weights.select(*ORIGIN).unique().with_columns(pl.col("cutoff").alias("weighted_at")).sort("cutoff")
    newest = (
        targets.select(*ORIGIN, "is_young")
        .unique()
        .sort("cutoff", "unique_id")
        .join_asof(dated, on="cutoff", by="unique_id", strategy="backward", check_sortedness=False)
    )
    known = weights.select("unique_id", pl.col("cutoff").alias("weighted_at"), "model", "weight")
    default = newest.filter(pl.col("weighted_at").is_null()).join(prior, on="is_young", maintain_order="left")
    listed = newest.join(known, on=["unique_id", "weighted_at"], maintain_order="left")
    return pl.concat([part.select(*ORIGIN, "model", "weight") for part in (listed, default)])


def _order(prior: pl.DataFrame) -> pl.Expr:
    """Return the place of a model in the prior; others come last."""
    names = prior["model"].unique(maintain_order=True)
    return pl.col("model").replace_strict(names, range(len(names)), default=len(names), return_dtype=pl.Int64)


def _turns(predictions: pl.DataFrame, weighted: pl.DataFrame, simplest: str, naive: str) -> pl.DataFrame:
    """Return the answers that can be used, by ``turn``: those with a weight (0), the simplest (1) and naive (2)."""
    model = pl.col("model")
    turn = pl.when(pl.col("weight").is_not_null()).then(0).when(model == simplest).then(1).when(model == naive).then(2)
    return (
        predictions.select(*TARGET, "model", "mean", "centre", "failure")
        .unique([*TARGET, "model"], keep="first", maintain_order=True)
        .join(weighted, on=[*ORIGIN, "model"], how="left", maintain_order="left")
        .with_columns(turn.alias("turn"), pl.col("weight").fill_null(1.0))
        .filter(pl.col("turn").is_not_null())
    )
