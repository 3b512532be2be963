"""Scores of the demand benchmark by level and model: one rule for ours and for peers, which have quantiles only."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from pipelines.forecast.demand import backtest_figure
from pipelines.forecast.demand.evaluation import scoring
from pipelines.forecast.demand.evaluation.model_weights import CHOSEN
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS, LEVELS
from pipelines.forecast.demand.own_series import Backtest

GROUP: Final = ["level", "model"]
KEYS: Final = ["unique_id", "cutoff"]
_EDGES: Final = np.array([0.0, *(np.array(LEVELS[1:]) + np.array(LEVELS[:-1])) / 2, 1.0])
WIDTHS: Final = np.diff(_EDGES).tolist()
"""Share of all levels represented by each published one."""


def crps() -> pl.Expr:
    """CRPS from the published quantiles: twice the pinball loss over all levels, each representing its neighbours."""
    parts = [2 * w * scoring.pinball(c, level) for c, level, w in zip(COLUMNS, LEVELS, WIDTHS, strict=True)]
    return pl.sum_horizontal(*parts)


def by_level(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per level and model; a model that left out some of a level's targets is left out there.

    Args:
        rows: ``level, model, unique_id, cutoff, ds, y, mean, scale, scale_squared, expected, exact`` and quantiles.
    """
    error = pl.col("y") - pl.col("mean")
    measured = rows.with_columns(
        error.alias("error"),
        scoring.mean_pinball().alias("pinball"),
        crps().alias("crps"),
        pl.col("y").is_between(pl.col("q0.1"), pl.col("q0.9")).alias("covered"),
    )
    group = measured.group_by(*GROUP, "unique_id", "scale").agg(pl.col("error").abs().mean().alias("mae"))
    each = (
        group.filter(pl.col("scale") > 0)
        .group_by(GROUP)
        .agg((pl.col("mae") / pl.col("scale")).mean().alias("mean_mase"))
    )
    known = pl.col("scale").is_not_null()
    return (
        measured.group_by(GROUP, maintain_order=True)
        .agg(
            pl.len().alias("targets"),
            pl.col("unique_id").n_unique().alias("series"),
            (pl.col("error").abs().filter(known).sum() / pl.col("scale").sum()).alias("mase"),
            ((pl.col("error") ** 2).filter(known).sum() / pl.col("scale_squared").sum()).sqrt().alias("rmsse"),
            pl.col("crps").mean(),
            pl.col("exact").mean(),
            (pl.col("pinball").filter(known).sum() / pl.col("scale").sum()).alias("scaled_pinball"),
            pl.col("covered").mean().alias("coverage_80"),
            pl.col("expected").mean().alias("expected_coverage_80"),
            (pl.col("q0.05") < 0).mean().alias("negative"),
        )
        .filter(pl.col("targets") == pl.col("targets").max().over("level"))
        .join(each, on=GROUP, how="left", maintain_order="left")
    )


def over(rows: pl.DataFrame, scores: pl.DataFrame, reference: str, block_days: int) -> pl.DataFrame:
    """``level, model``, the skill over one reference, its interval, and the share of series that lose to it.

    The interval is a paired bootstrap of blocks of ``block_days`` days. Levels without the reference are left out.
    """
    start = rows["ds"].min()
    # The bootstrap takes blocks of seven days: stretched, a shorter block is one.
    stretched = pl.lit(start) + (pl.col("ds") - pl.lit(start)) * (7 // block_days)
    answered = scores.filter((pl.col("model") == reference).any().over("level"))
    empty = answered.select(*GROUP, *[pl.lit(None, pl.Float64).alias(name) for name in scoring.SKILLS])
    known = rows.join(answered, on=GROUP, how="semi", maintain_order="left").with_columns(stretched.alias("ds"))
    return scoring.with_skill(empty, known, ["level"], reference, KEYS)


def show(
    rows: pl.DataFrame, references: Iterable[str], peers: Iterable[str], console: Console, block_days: int
) -> pl.DataFrame:
    """Print scores by level, our skill over each reference, and ours against the best peer; give the scores back."""
    scores = by_level(rows)
    console.print(_scores(scores))
    table = Table("level", "model", "over", "skill", "95 % interval", "series worse", title="paired skill")
    for reference in references:
        result = over(rows, scores, reference, block_days)
        for row in result.filter(pl.col("model").str.starts_with(CHOSEN)).iter_rows(named=True):
            between = f"{_number(row['skill_low'], '+.4f')} to {_number(row['skill_high'], '+.4f')}"
            words = (row["level"], row["model"], reference)
            table.add_row(*words, _number(row["skill"], "+.4f"), between, _number(row["worse_share"], ".1%"))
    console.print(table)
    console.print(_verdict(scores, list(peers)))
    return scores


def _scores(scores: pl.DataFrame) -> Table:
    numbers = ("mase", "mean_mase", "rmsse", "crps", "exact", "scaled_pinball")
    shares = ("coverage_80", "expected_coverage_80", "negative")
    table = Table("level", "model", "series", "targets", "MASE", "mean of series", "RMSSE", "CRPS", "exact",
                  "scaled pinball", "cov 80", "expected", "q0.05 < 0", title="scores")  # fmt: skip
    for part in scores.partition_by("level", maintain_order=True):
        for row in part.sort("scaled_pinball").iter_rows(named=True):
            cells = [_number(row[n], ".4f") for n in numbers] + [_number(row[n], ".3f") for n in shares]
            table.add_row(row["level"], row["model"], f"{row['series']}", f"{row['targets']:,}", *cells)
        table.add_section()
    return table


def _verdict(scores: pl.DataFrame, peers: list[str]) -> Table:
    table = Table("level", "ours", "measure", "ours / best peer - 1", "best peer", title="against the best peer")
    for (level,), part in scores.group_by("level", maintain_order=True):
        for measure in ("scaled_pinball", "crps"):
            best = part.filter(pl.col("model").is_in(peers)).sort(measure).head(1)
            for name, value in part.filter(pl.col("model").str.starts_with(CHOSEN)).select("model", measure).rows():
                excess = f"{value / best[measure][0] - 1:+.2%}"
                table.add_row(str(level), name, measure, excess, f"{best['model'][0]} {best[measure][0]:.4f}")
    return table


def by_series(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Scores of what would be published, series by series, as the picture of a backtest reads them."""
    lost = rows.filter(pl.col("model").is_in([CHOSEN, table])).with_columns(scoring.mean_pinball().alias("loss"))
    usual = lost.filter(pl.col("model") == table).group_by("unique_id").agg(pl.col("loss").mean().alias("usual"))
    return (
        lost.filter(pl.col("model") == CHOSEN)
        .group_by("unique_id", "name", "level", "scale")
        .agg(
            pl.col("loss").mean(),
            pl.col("y").mean().alias("rate"),
            (pl.col("mean").mean() / pl.col("y").mean() - 1).alias("bias"),
            pl.col("y").is_between(pl.col("q0.1"), pl.col("q0.9")).mean().alias("coverage_80"),
            pl.col("expected").mean().alias("expected_coverage_80"),
            pl.col("models").mode().first(),
        )
        .join(usual, on="unique_id")
        .with_columns(
            pl.when(pl.col("usual") > 0).then(1 - pl.col("loss") / pl.col("usual")).alias("skill"),
            pl.when(pl.col("scale") > 0).then(pl.col("loss") / pl.col("scale")).alias("scaled_pinball"),
            pl.lit(CHOSEN).alias("model"),
        )
        .sort("skill", "unique_id", nulls_last=True)
    )


def draw(rows: pl.DataFrame, series: pl.DataFrame, path: Path) -> None:
    """A good, a typical and a bad series after the last origin."""
    names = series.drop("unique_id", "rate").rename({"name": "unique_id"})
    shown = rows.filter(pl.col("model") == CHOSEN).drop("unique_id").rename({"name": "unique_id"})
    backtest_figure.save(Backtest(shown, series, names, series, series), path)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
