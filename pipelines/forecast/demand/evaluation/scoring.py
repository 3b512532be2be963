"""Scores of demand forecasts: proper scores of the whole range, errors of the mean, coverage, and skill.

Pinball loss over the mean absolute change from one week to the next is the main score (scaled quantile loss; a week is
the season). Skill compares with hour-of-week averages; its intervals are from a paired bootstrap of whole weeks.
Coverage of counts: even the true model covers more than 80 % with its closed 80 % interval, because counts are
integers. So the coverage expected under the forecast's own distribution is reported next to the observed one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from pipelines.config.seeds import generator
from pipelines.forecast.demand.evaluation import calibration
from pipelines.forecast.demand.evaluation.calibration import IDENTITY
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS, MANY, Floats, first_masses
from pipelines.forecast.demand.series import Frequency, slot

_SYMMETRIC: Final = tuple(zip(COLUMNS[:-1], LEVELS[:-1], strict=True))
"""All levels except 0.99, which has no counterpart: the median and six central intervals."""

MEASURES: Final = (
    "mae", "pinball", "wis", "coverage_80", "expected_coverage_80", "mase", "scaled_pinball", "crps", "rmsse", "bias",
    "brier_capacity",
)  # fmt: skip
SKILLS: Final = ("skill", "skill_low", "skill_high", "worse_share")
SCORES: Final = ("targets", *MEASURES, *SKILLS)

DRAWS: Final = 1000
FEWEST_WEEKS: Final = 6
"""Weeks below which a skill has no interval."""
BINS: Final = 10


def pinball(column: str, level: float) -> pl.Expr:
    """Return the pinball loss of one quantile against ``y`` (no factor two)."""
    error = pl.col("y") - pl.col(column)
    return pl.max_horizontal(level * error, (level - 1) * error)


def mean_pinball() -> pl.Expr:
    """Return the mean pinball loss over all published levels."""
    return pl.mean_horizontal(*[pinball(column, level) for column, level in zip(COLUMNS, LEVELS, strict=True)])


def weighted_interval_score() -> pl.Expr:
    """Return the WIS (Bracher et al. 2021): twice the mean pinball loss over median and central intervals."""
    return 2 * pl.mean_horizontal(*[pinball(column, level) for column, level in _SYMMETRIC])


def expected_coverage(scored: pl.DataFrame, curves: Floats = IDENTITY) -> pl.Series:
    """Return P(q0.1 <= y <= q0.9) under each forecast's own calibrated distribution."""
    upper = calibration.probability(scored["q0.9"].to_numpy(), scored, curves)
    lower = calibration.probability(scored["q0.1"].to_numpy() - 1, scored, curves)
    return pl.Series("expected_coverage_80", upper - lower)


def crps(scored: pl.DataFrame, curves: Floats = IDENTITY) -> pl.Series:
    """Return the continuous ranked probability score of each forecast's calibrated distribution.

    Small means: the sum over counts of squared errors of the cumulative probability. Large ones: twice the pinball loss
    over 100 even levels, which is equal to three digits.
    """
    frame = scored.select("y", "centre", "dispersion", *[c for c in scored.columns if c == "curve"])
    y, result = frame["y"].to_numpy(), np.zeros(frame.height)
    rows, count = np.flatnonzero(frame["centre"].to_numpy() < MANY), 0
    mass, ratio, alpha = first_masses(frame["centre"].to_numpy()[rows], frame["dispersion"].to_numpy()[rows])
    total = mass.copy()
    while rows.size:
        reached = calibration.moved(total, frame[rows], curves)
        result[rows] += (reached - (y[rows] <= count)) ** 2
        goes_on = (reached < 1 - 1e-9) | (y[rows] > count)
        rows = rows[goes_on]
        mass, ratio, alpha, total = (values[goes_on] for values in (mass, ratio, alpha, total))
        count += 1
        mass = mass * ratio * (1 + alpha * (count - 1)) / count
        total = np.minimum(total + mass, 1.0)
    large = np.flatnonzero(frame["centre"].to_numpy() >= MANY)
    levels = (np.arange(100) + 0.5) / 100
    error = y[large, None] - calibration.counts(np.tile(levels, (large.size, 1)), frame[large], curves)
    result[large] = 2 * np.maximum(levels * error, (levels - 1) * error).mean(axis=1)
    return pl.Series("crps", result)


def brier(scored: pl.DataFrame, curves: Floats = IDENTITY) -> pl.Series:
    """Return the Brier score of P(demand > ``capacity``); null without a capacity."""
    if "capacity" not in scored.columns:
        return pl.Series("brier", [None] * scored.height, dtype=pl.Float64)
    capacity = scored["capacity"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    over = 1 - calibration.probability(np.nan_to_num(capacity), scored, curves)
    error = np.where(np.isnan(capacity), np.nan, over - (scored["y"].to_numpy() > capacity))
    return pl.Series("brier", error**2, nan_to_null=True)


def season_errors(history: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return the scales of errors: the seasonal-naive MAE per series.

    It is the mean change from one week to the next, slot by slot.

    Args:
        history: ``unique_id, ds, y``, known before the forecasts.
        freq: ``h`` or ``D``.

    Returns:
        ``unique_id, scale`` (mean absolute change), ``scale_squared`` (mean squared change); null if less than two
        weeks are known.
    """
    change = pl.col("y").diff().over(["unique_id", "slot"], order_by="ds")
    return (
        history.lazy()
        .with_columns(slot(freq))
        .select("unique_id", change.alias("change"))
        .group_by("unique_id", maintain_order=True)
        .agg(pl.col("change").abs().mean().alias("scale"), (pl.col("change") ** 2).mean().alias("scale_squared"))
        .collect()
    )


def score(forecasts: pl.DataFrame, by: Sequence[str], curves: Floats = IDENTITY) -> pl.DataFrame:
    """Score forecasts whose outcome is known.

    Scaled scores here are pooled ratios (sum of errors / sum of scales): a mean of ratios would be dominated by the
    rarest series.

    Args:
        forecasts: ``y, mean, centre, dispersion, scale, q0.05 … q0.99`` and the ``by`` columns; where known
            ``scale_squared``, ``capacity`` and ``curve``.
        by: Columns of the result's grain.
        curves: As from ``calibration.recalibrated``.

    Returns:
        ``by`` and ``SCORES``, sorted by ``by``; ``SKILLS`` are null until ``with_skill`` fills them.
    """
    missing = [pl.lit(None, pl.Float64).alias("scale_squared")] if "scale_squared" not in forecasts.columns else []
    measured = forecasts.with_columns(
        *missing,
        (pl.col("y") - pl.col("mean")).alias("_error"),
        mean_pinball().alias("_pinball"),
        weighted_interval_score().alias("_wis"),
        pl.col("y").is_between(pl.col("q0.1"), pl.col("q0.9")).alias("_covered"),
        expected_coverage(forecasts, curves).alias("_expected"),
        crps(forecasts, curves).alias("_crps"),
        brier(forecasts, curves).alias("_brier"),
    )
    known, squared = pl.col("scale").is_not_null(), pl.col("scale_squared").is_not_null()
    error = pl.col("_error").abs()
    return (
        measured.group_by(by, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("targets"),
            error.mean().alias("mae"),
            pl.col("_pinball").mean().alias("pinball"),
            pl.col("_wis").mean().alias("wis"),
            pl.col("_covered").mean().alias("coverage_80"),
            pl.col("_expected").mean().alias("expected_coverage_80"),
            (error.filter(known).sum() / pl.col("scale").sum()).alias("mase"),
            (pl.col("_pinball").filter(known).sum() / pl.col("scale").sum()).alias("scaled_pinball"),
            pl.col("_crps").mean().alias("crps"),
            ((pl.col("_error") ** 2).filter(squared).sum() / pl.col("scale_squared").sum()).sqrt().alias("rmsse"),
            (pl.col("mean").sum() / pl.col("y").sum() - 1).alias("bias"),
            pl.col("_brier").mean().alias("brier_capacity"),
            *[pl.lit(None, pl.Float64).alias(name) for name in SKILLS],
        )
        # Threads add their parts in any order, so the last digits differ from run to run.
        .with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)).round(9).alias(name) for name in MEASURES)
        .select(*by, *SCORES)
        .sort(by)
    )


def with_skill(
    scores: pl.DataFrame,
    forecasts: pl.DataFrame,
    by: Sequence[str],
    reference: str,
    keys: Sequence[str],
    since: datetime | None = None,
) -> pl.DataFrame:
    """Add the skill over a reference model: 1 - pinball / its pinball on the same targets.

    The interval (95 %) is a paired bootstrap of whole weeks of ``ds``, all series and origins of a week together; it is
    seeded by the row's own words and null below ``FEWEST_WEEKS``. ``worse_share`` is the share of series with a larger
    loss than the reference.

    Args:
        scores: As from ``score``, by ``by`` and ``model`` (and more).
        forecasts: The rows that were scored: ``by, model, ds, keys`` and quantiles.
        by: Columns within which models compare.
        reference: Name of the model to compare with; it has one row per ``keys`` and ``ds``.
        keys: Columns that identify a target together with ``ds``; the first one identifies the series.
        since: When the first whole week begins; none: at the first ``ds``. Give it where the rows are only some of
            those whose weeks are drawn together.
    """
    on = list(dict.fromkeys([*by, *keys, "ds"]))
    lost = forecasts.with_columns(mean_pinball().alias("loss")).select(*on, "model", "loss")
    usual = (
        lost.filter(pl.col("model") == reference).unique(on, keep="first").select(*on, pl.col("loss").alias("usual"))
    )
    begin = pl.col("ds").min() if since is None else pl.lit(since, pl.Datetime("us"))
    week = ((pl.col("ds") - begin).dt.total_days() // 7).alias("week")
    paired = (
        lost.unique([*on, "model"], keep="first", maintain_order=True)
        .join(usual, on=on, maintain_order="left")
        .with_columns(week)
    )
    group = [*by, "model"]
    worse = (
        paired.group_by(list(dict.fromkeys([*group, keys[0]])), maintain_order=True)
        .agg(pl.col("loss", "usual").sum())
        .group_by(group, maintain_order=True)
        .agg((pl.col("loss") > pl.col("usual") * (1 + 1e-9)).mean().alias("worse_share"))
    )
    weekly = (
        paired.group_by(*group, "week", maintain_order=True).agg(pl.col("loss", "usual").sum()).sort(*group, "week")
    )
    rows = [part.select(group).row(0) + _skill(part, group) for part in weekly.partition_by(group, maintain_order=True)]
    schema = {name: scores.schema[name] for name in group} | dict.fromkeys(SKILLS[:3], pl.Float64)
    result = pl.DataFrame(rows, schema=schema, orient="row").join(worse, on=group, how="left", maintain_order="left")
    return (
        scores.drop(SKILLS)
        .join(result, on=group, how="left", maintain_order="left")
        .with_columns(pl.col(SKILLS).round(9))
        .select(scores.columns)
    )


def _skill(weekly: pl.DataFrame, group: Sequence[str]) -> tuple[float | None, float | None, float | None]:
    """Return skill and its 95 % interval from sums of losses by week."""
    loss, usual = weekly["loss"].to_numpy(), weekly["usual"].to_numpy()
    if usual.sum() <= 0:
        return None, None, None
    skill = float(1 - loss.sum() / usual.sum())
    if weekly.height < FEWEST_WEEKS:
        return skill, None, None
    drawn = generator(*weekly.select(group).row(0)).integers(0, loss.size, (DRAWS, loss.size))
    skills = 1 - loss[drawn].sum(axis=1) / np.maximum(usual[drawn].sum(axis=1), 1e-12)
    low, high = np.quantile(skills, (0.025, 0.975))
    return skill, float(low), float(high)


def pit_histogram(forecasts: pl.DataFrame, by: Sequence[str], curves: Floats = IDENTITY) -> pl.DataFrame:
    """Count the randomised PIT in ten even bins: equal if the ranges are calibrated (Czado et al. 2009).

    Args:
        forecasts: ``unique_id`` (integer), ``cutoff, ds, y, centre, dispersion`` and the ``by`` columns.
        by: Columns of the result's grain.
        curves: As from ``calibration.recalibrated``.

    Returns:
        ``by, pit_low, pit_high, targets, expected_targets``, empty bins included.
    """
    low = (pl.Series("bin", calibration.pit(forecasts, curves), pl.Float64) * BINS).floor().clip(0, BINS - 1)
    binned = forecasts.select(by).with_columns(low.cast(pl.Int64))
    grid = binned.select(by).unique().join(pl.DataFrame({"bin": range(BINS)}), how="cross")
    counted = grid.join(binned.group_by(*by, "bin").len("targets"), on=[*by, "bin"], how="left").with_columns(
        pl.col("targets").fill_null(0).cast(pl.Int64)
    )
    return (
        counted.with_columns(
            (pl.col("bin") / BINS).alias("pit_low"),
            ((pl.col("bin") + 1) / BINS).alias("pit_high"),
            (pl.col("targets").sum().over(by) / BINS).alias("expected_targets"),
        )
        .select(*by, "pit_low", "pit_high", "targets", "expected_targets")
        .sort(*by, "pit_low")
    )


def complete(scores: pl.DataFrame) -> pl.DataFrame:
    """Return scores of an older record with the columns added since, null."""
    added = {name: pl.lit(None, pl.Float64) for name in SCORES} | {"origins": pl.lit(None, pl.Int64)}
    return scores.with_columns(value.alias(name) for name, value in added.items() if name not in scores.columns)
