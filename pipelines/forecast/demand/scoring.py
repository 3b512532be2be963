"""Scores of demand forecasts: pinball loss, weighted interval score, coverage, absolute and scaled errors.

Coverage of counts: even the true model covers more than 80 % with its closed 80 % interval, because counts are whole.
So the coverage that the forecast's own distribution expects stands beside what was seen.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from pipelines.forecast.demand.quantiles import COLUMNS, LEVELS, cumulative
from pipelines.forecast.demand.series import Frequency, slot

_SYMMETRIC: Final = tuple(zip(COLUMNS[:-1], LEVELS[:-1], strict=True))
"""All levels but 0.99, which has no partner: the median and six central intervals."""

SCORES: Final = ("targets", "mae", "pinball", "wis", "coverage_80", "expected_coverage_80", "mase")


def pinball(column: str, level: float) -> pl.Expr:
    """Pinball loss of one quantile against ``y`` (no factor two)."""
    error = pl.col("y") - pl.col(column)
    return pl.max_horizontal(level * error, (level - 1) * error)


def mean_pinball() -> pl.Expr:
    """Mean pinball loss over all published levels."""
    return pl.mean_horizontal(*[pinball(column, level) for column, level in zip(COLUMNS, LEVELS, strict=True)])


def weighted_interval_score() -> pl.Expr:
    """WIS (Bracher et al. 2021): twice the mean pinball loss over median and central intervals."""
    return 2 * pl.mean_horizontal(*[pinball(column, level) for column, level in _SYMMETRIC])


def expected_coverage(scored: pl.DataFrame) -> pl.Series:
    """P(q0.1 <= y <= q0.9) under each forecast's own ``centre`` and ``dispersion``."""
    mean, spread = scored["centre"].to_numpy(), scored["dispersion"].to_numpy()
    upper = cumulative(scored["q0.9"].to_numpy(), mean, spread)
    lower = cumulative(scored["q0.1"].to_numpy() - 1, mean, spread)
    return pl.Series("expected_coverage_80", upper - lower)


def season_errors(history: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """The scale of MASE: mean absolute change from one week to the next, slot by slot, of each series.

    Args:
        history: ``unique_id, ds, y``, what was known before the forecasts.
        freq: ``h`` or ``D``.

    Returns:
        ``unique_id, scale``; the scale is null where less than two weeks are known.
    """
    change = pl.col("y").diff().over(["unique_id", "slot"], order_by="ds").abs()
    return (
        history.lazy()
        .with_columns(slot(freq))
        .select("unique_id", change.alias("scale"))
        .group_by("unique_id", maintain_order=True)
        .agg(pl.col("scale").mean())
        .collect()
    )


def score(forecasts: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Score forecasts whose outcome is known.

    MASE here is the pooled ratio (sum of errors / sum of scales): a mean of ratios would be ruled by the rarest series.

    Args:
        forecasts: ``y, mean, centre, dispersion, scale, q0.05 … q0.99`` and the ``by`` columns.
        by: Columns of the answer's grain.

    Returns:
        ``by`` and ``SCORES``, sorted by ``by``.
    """
    error = (pl.col("y") - pl.col("mean")).abs()
    known = pl.col("scale").is_not_null()
    measured = forecasts.with_columns(
        error.alias("_error"),
        mean_pinball().alias("_pinball"),
        weighted_interval_score().alias("_wis"),
        pl.col("y").is_between(pl.col("q0.1"), pl.col("q0.9")).alias("_covered"),
        expected_coverage(forecasts).alias("_expected"),
    )
    return (
        measured.group_by(by, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("targets"),
            pl.col("_error").mean().alias("mae"),
            pl.col("_pinball").mean().alias("pinball"),
            pl.col("_wis").mean().alias("wis"),
            pl.col("_covered").mean().alias("coverage_80"),
            pl.col("_expected").mean().alias("expected_coverage_80"),
            (pl.col("_error").filter(known).sum() / pl.col("scale").sum()).alias("mase"),
        )
        .with_columns(pl.when(pl.col("mase").is_finite()).then(pl.col("mase")).alias("mase"))
        # Threads add their parts in any order, so the last digits differ from run to run.
        .with_columns(pl.col("mae", "pinball", "wis", "coverage_80", "expected_coverage_80", "mase").round(9))
        .select(*by, *SCORES)
        .sort(by)
    )
