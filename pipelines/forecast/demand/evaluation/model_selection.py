"""Select the model, or equal-weight mean of the best two or three, for a series in a horizon block.

Candidates are every single model, the mean of the best two and the mean of the best three, compared by scaled pinball
loss at earlier origins. Means of a few forecasts win most comparisons (Monks et al. 2023; Makridakis et al. 2020), so
the mean of three is the default. If the best candidate clearly beats it, it is replaced by the mean of two, and then by
the simplest single model that is not clearly beaten. A sparse series' own scores are mostly noise: it is evaluated with
its cluster (pool, area level, rate). A selection at an origin uses nothing at or after it.
"""

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS, Floats
from pipelines.forecast.demand.series import SEASON, Frequency

CHOSEN: Final = "chosen"
"""The name of the selected forecasts during calibration, whatever models they consist of."""
JOIN: Final = " + "
MOST_MODELS: Final = 3
SPARSE_PER_WEEK: Final = 28.0
"""Calls a week below which a series is evaluated with its cluster."""
CLEARLY: Final = 2.0
"""Standard errors, over origins, by which a candidate must be behind to be skipped. One is usual (Breiman et al. 1984);
here origins overlap and errors of a series are correlated, so that the true error is about twice the estimate."""
LEAST_ANSWERED: Final = 0.5
"""Share of earlier targets for which a model must have a forecast."""
LEAST_ORIGINS: Final = 4
"""Origins below which a series is evaluated with its cluster."""

CHOICE: Final = [
    "models", "weight", "score", "runner_up", "runner_up_score", "standard_error", "origins", "selected_by",
]  # fmt: skip
GROUP: Final = ["group", "selected_by", "block"]
TARGET: Final = ["unique_id", "cutoff", "ds"]
SERIES: Final = ["unique_id", "pool", "level"]


def losses(predictions: pl.DataFrame, order: Sequence[str], naive: str) -> pl.DataFrame:
    """Return pinball losses of every model and every mean of two or three, for known outcomes.

    The quantiles of a mean of forecasts are taken to be the mean of their quantiles. If a candidate has no forecast, it
    gets the loss of its substitute: the first model of ``order``, else ``naive``.

    Args:
        predictions: ``unique_id, pool, level, cutoff, ds, block, y, model, mean`` and quantiles.
        order: Candidate models, the simplest first.
        naive: The model used only if all others fail.

    Returns:
        ``unique_id, pool, level, cutoff, block, candidate, loss`` (sum over targets), ``answered`` (targets for which
        the candidate has a forecast), ``targets, calls, last``.
    """
    # Sorted, so that sums are identical to the last digit whatever the order of rows.
    known = predictions.filter(pl.col("y").is_not_null()).sort(TARGET)
    parts = known.partition_by("cutoff", maintain_order=True) or [known]
    return pl.concat(_losses(part, order, naive) for part in parts)


def _losses(part: pl.DataFrame, order: Sequence[str], naive: str) -> pl.DataFrame:
    targets = part.select(*SERIES, "cutoff", "ds", "block", "y").unique(TARGET, keep="first", maintain_order=True)
    y = targets["y"].to_numpy()[:, None]

    def quantiles_of(model: str) -> Floats:
        of_model = part.filter(pl.col("model") == model, pl.col("mean").is_not_null()).select(*TARGET, *COLUMNS)
        return (
            targets.join(of_model, on=TARGET, how="left", maintain_order="left")
            .select(COLUMNS)
            .to_numpy()
            .astype(float)
        )

    predictions = {name: quantiles_of(name) for name in order}
    last_resort = quantiles_of(naive)
    substitute = np.where(np.isnan(predictions[order[0]]), last_resort, predictions[order[0]])
    losses_by_candidate, answered = {}, {}
    for size in range(1, MOST_MODELS + 1):
        for names in itertools.combinations(order, size):
            answers = np.isfinite([predictions[name] for name in names])
            total = sum(np.nan_to_num(predictions[name]) for name in names)
            share = answers.sum(axis=0)
            answered[JOIN.join(names)] = (share > 0).any(axis=1).astype(float)
            error = y - np.where(share > 0, total / np.maximum(share, 1), substitute)
            losses_by_candidate[JOIN.join(names)] = np.maximum(error * LEVELS, error * (np.array(LEVELS) - 1)).mean(
                axis=1
            )
    index = [*SERIES, "cutoff", "block", "targets", "calls", "last"]
    summed = {
        value: targets.with_columns(pl.Series(name, numbers) for name, numbers in columns.items())
        .group_by(*SERIES, "cutoff", "block", maintain_order=True)
        .agg(
            pl.len().alias("targets"),
            pl.col("y").sum().alias("calls"),
            pl.col("ds").max().alias("last"),
            pl.col(*columns).sum(),
        )
        .unpivot(list(columns), index=index, variable_name="candidate", value_name=value)
        for value, columns in (("loss", losses_by_candidate), ("answered", answered))
    }
    return summed["loss"].with_columns(summed["answered"]["answered"]).filter(pl.col("loss").is_not_nan())


def choose(
    requested: pl.DataFrame,
    lost: pl.DataFrame,
    scales: pl.DataFrame,
    order: Sequence[str],
    freq: Frequency,
) -> pl.DataFrame:
    """Select for every series, cutoff and horizon block by the losses at earlier origins.

    Args:
        requested: ``unique_id, pool, level, cutoff, block`` that need a selection.
        lost: As from ``losses``.
        scales: ``unique_id, scale``: the seasonal-naive MAE before the first origin.
        order: Candidate models, the simplest first.
        freq: ``h`` or ``D``.

    Returns:
        ``unique_id, cutoff, block`` and ``CHOICE``, sorted: ``models`` (joined by " + "), the ``weight`` of each,
        ``score`` (mean scaled pinball at earlier origins), ``runner_up, runner_up_score, standard_error`` (of the
        difference between the two), ``origins`` and ``selected_by`` (series, cluster, or default without an earlier
        origin).
    """
    scaled = lost.join(scales, on="unique_id", how="left", maintain_order="left").with_columns(
        (pl.col("scale").fill_null(0.0) * pl.col("targets")).alias("scale")
    )
    wanted = requested.select(*SERIES, "cutoff", "block").unique(maintain_order=True)
    losses_by_candidate = [
        _choose_at(
            wanted.filter(pl.col("cutoff") == cutoff),
            # Blocks that ended before the cutoff.
            scaled.filter(pl.col("cutoff") < cutoff, pl.col("last") < cutoff),
            order,
            freq,
        )
        for cutoff in wanted["cutoff"].unique().sort()
    ]
    return pl.concat(losses_by_candidate).sort("unique_id", "cutoff", "block")


def _choose_at(wanted: pl.DataFrame, past: pl.DataFrame, order: Sequence[str], freq: Frequency) -> pl.DataFrame:
    """Return the selections of one cutoff; a block without any earlier outcome follows the block before it."""
    placed = _grouped(wanted, past, freq)
    scores = (
        past.join(placed.drop("cutoff", "pool", "level"), on=["unique_id", "block"], maintain_order="left")
        .group_by(*GROUP, "cutoff", "candidate", maintain_order=True)
        .agg(pl.col("loss", "scale", "targets", "answered").sum())
        # A cluster counts as the sum of its series: the rarest would dominate a mean of ratios.
        .with_columns((pl.col("loss") / pl.when(pl.col("scale") > 0).then("scale").otherwise("targets")).alias("score"))
    )
    chosen = _decided(scores, order)
    filled = (
        placed.drop("selected_by")
        .join(chosen, on=["group", "block"], how="left", maintain_order="left")
        .sort("unique_id", "block")
        .with_columns(pl.col(CHOICE[:1] + CHOICE[2:]).forward_fill().over("unique_id"))
        .with_columns(
            pl.col("models").fill_null(JOIN.join(order[:MOST_MODELS])), pl.col("selected_by").fill_null("default")
        )
    )
    count = pl.col("models").str.count_matches(JOIN, literal=True) + 1
    return filled.with_columns((1.0 / count).alias("weight")).select("unique_id", "cutoff", "block", *CHOICE)


def _grouped(wanted: pl.DataFrame, past: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return ``wanted`` with the ``group`` that is evaluated together: the series itself, or its cluster by rate."""
    first_rows = past.unique(["unique_id", "cutoff", "block"], keep="first", maintain_order=True)
    weekly = (SEASON[freq] * pl.col("calls").sum() / pl.col("targets").sum()).alias("weekly")
    rates = first_rows.group_by("unique_id", maintain_order=True).agg(weekly)
    origins = first_rows.group_by("unique_id", "block", maintain_order=True).agg(pl.len().alias("seen"))
    known = wanted.join(rates, on="unique_id", how="left", maintain_order="left").join(
        origins, on=["unique_id", "block"], how="left", maintain_order="left"
    )
    is_own = (pl.col("weekly") >= SPARSE_PER_WEEK) & (pl.col("seen") >= LEAST_ORIGINS)
    band = pl.col("weekly").clip(0.01).log(4).floor().cast(pl.Int8)
    cluster = pl.concat_str("pool", "level", band, separator="|", ignore_nulls=True)
    return known.with_columns(
        pl.when(is_own).then(pl.lit("series")).otherwise(pl.lit("cluster")).alias("selected_by"),
        pl.when(is_own).then(pl.format("series {}", "unique_id")).otherwise(cluster).alias("group"),
    ).drop("weekly", "seen")


def _decided(scores: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """Return the selection of each group and block.

    It is the first candidate, by ``rank``, that the best one does not beat.
    """
    finalists = _finalists(scores, order)
    keys = [*GROUP, "candidate"]
    best = finalists.sort(*GROUP, "score", "rank").group_by(GROUP, maintain_order=True).first().select(keys)
    least = scores.join(best, on=keys, maintain_order="left").select(*GROUP, "cutoff", pl.col("score").alias("least"))
    excess = pl.col("score") - pl.col("least")
    errors = (
        scores.join(least, on=[*GROUP, "cutoff"], maintain_order="left")
        .group_by(keys, maintain_order=True)
        .agg(excess.mean().alias("excess"), (excess.std() / pl.len().sqrt()).alias("standard_error"))
    )
    judged = finalists.join(errors, on=keys, how="left", maintain_order="left").sort(*GROUP, "rank")
    # One origin has no standard error: then the candidates cannot be distinguished.
    is_level = pl.col("standard_error").is_null() | (pl.col("excess") <= CLEARLY * pl.col("standard_error"))
    chosen = judged.filter(is_level).group_by(GROUP, maintain_order=True).first()
    others = judged.join(chosen.select(keys), on=keys, how="anti").sort(*GROUP, "score", "rank")
    rival = others.group_by(GROUP, maintain_order=True).first()
    return chosen.join(rival, on=GROUP, how="left", maintain_order="left", suffix="_other").select(
        *GROUP,
        pl.col("candidate").alias("models"),
        "score",
        pl.col("candidate_other").alias("runner_up"),
        pl.col("score_other").alias("runner_up_score"),
        # The others are compared with the best scored one: its own error is zero.
        pl.when(pl.col("candidate_other").is_not_null())
        .then(pl.max_horizontal("standard_error", "standard_error_other"))
        .alias("standard_error"),
        pl.col("origins").cast(pl.Int64),
    )


def _finalists(scores: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """Return single models and the means of the best three and of the best two.

    Columns ``score, origins`` and ``rank``: rank 0 is the default.
    """
    place = pl.col("candidate").replace_strict(list(order), range(len(order)), default=None, return_dtype=pl.Int64)
    means = (
        scores.group_by(*GROUP, "candidate", maintain_order=True)
        .agg(
            pl.col("score").mean(),
            pl.len().alias("origins"),
            (pl.col("answered").sum() / pl.col("targets").sum()).alias("answered"),
        )
        .with_columns(place.alias("place"))
    )
    # A model that is mostly substituted would displace one that adds information.
    serves = (pl.col("place") == 0) | (pl.col("answered") >= LEAST_ANSWERED)
    singles = means.filter(pl.col("place").is_not_null(), serves).sort(*GROUP, "score", "place")
    ranked = [singles.select(*GROUP, "candidate", (pl.col("place") + MOST_MODELS).alias("rank"))]
    for size in range(2, min(MOST_MODELS, len(order)) + 1):
        best = singles.group_by(GROUP, maintain_order=True).head(size).sort(*GROUP, "place")
        names = best.group_by(GROUP, maintain_order=True).agg(pl.col("candidate").str.join(JOIN))
        ranked.append(names.with_columns(pl.lit(MOST_MODELS - size, pl.Int64).alias("rank")))
    return means.join(pl.concat(ranked), on=[*GROUP, "candidate"], maintain_order="left")


def apply(choices: pl.DataFrame, predictions: pl.DataFrame, order: Sequence[str], naive: str) -> pl.DataFrame:
    """Return the equal-weight mean of the selected models for every target; a selection may be older than the targets.

    A selected model without a mean is skipped; without any, the first model of ``order`` is used, then ``naive``.
    ``failure`` and ``method`` report this.

    Args:
        choices: As from ``choose``; the newest at or before a target's cutoff is used.
        predictions: ``unique_id, cutoff, ds, block, model, mean, centre, failure`` of every model, more columns kept.
        order: Candidate models, the simplest first.
        naive: The model used only if all others fail.

    Returns:
        One row per target: the columns of ``predictions``, ``model`` ``CHOSEN``, the ``models`` of its mean, and
        ``method``. Targets without a mean of any model are left out.
    """
    # Every model has a row for every target; when clocks go back, two targets have the same ``ds``.
    targets = predictions.filter(pl.col("model") == predictions["model"].first()).drop(
        "model", "mean", "centre", "failure"
    )
    newest = targets.sort("cutoff").join_asof(
        choices.select("unique_id", "cutoff", "block", pl.col("models").alias("wanted")).sort("cutoff"),
        on="cutoff",
        by=["unique_id", "block"],
        strategy="backward",
        check_sortedness=False,
    )
    default = JOIN.join(order[:MOST_MODELS])
    wanted = newest.select(*TARGET, pl.col("wanted").fill_null(default))
    stand_ins = pl.DataFrame({"model": [order[0], naive], "turn": [1, 2]})
    requested = pl.concat(
        [
            wanted.with_columns(pl.col("wanted").str.split(JOIN).alias("model"), turn=pl.lit(0, pl.Int64)).explode(
                "model"
            ),
            wanted.join(stand_ins, how="cross"),
        ]
    )
    answers = requested.unique([*TARGET, "model", "turn"], maintain_order=True).join(
        predictions.select(*TARGET, "model", "mean", "centre", "failure").unique([*TARGET, "model"], keep="first"),
        on=[*TARGET, "model"],
        how="left",
        maintain_order="left",
    )
    used = answers.filter(pl.col("mean").is_not_null()).filter(pl.col("turn") == pl.col("turn").min().over(TARGET))
    place = pl.col("model").replace_strict([*order, naive], range(len(order) + 1), return_dtype=pl.Int64)
    combined = (
        used.with_columns(place.alias("place"))
        .sort(*TARGET, "place")
        .group_by(TARGET, maintain_order=True)
        .agg(pl.col("mean", "centre").mean(), pl.col("model").str.join(JOIN).alias("models"))
    )
    silent = answers.filter(pl.col("turn") == 0, pl.col("mean").is_null()).sort(*TARGET, "model")
    reasons = silent.group_by(TARGET, maintain_order=True).agg(
        pl.format("{}: {}", "model", "failure").drop_nulls().str.join("; ").replace("", None).alias("failure"),
        pl.lit("fallback").alias("method"),
    )
    return (
        targets.join(combined, on=TARGET, how="inner", maintain_order="left")
        .join(reasons, on=TARGET, how="left", maintain_order="left")
        .with_columns(pl.lit(CHOSEN).alias("model"))
    )
