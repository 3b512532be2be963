"""Additive paths on Welsh ambulance days: `python -m tests.benchmarks.wales_paths`.

691 series (board × category × nature), horizons of 43 to 84 days, origins in the earlier half of the data alone; means
from the weekday table. Compared at total, control area, board and bottom, by day and by week: independent series
summed, common shocks, common shocks with adjusted means, and each level's own forecast, which is not additive.
"""

import os
import time
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from pipelines.forecast.demand.evaluation import negative_binomial, rolling_origin, scoring
from pipelines.forecast.demand.hierarchy import common_shocks, path_sums, sample_paths, top_down
from pipelines.forecast.demand.hierarchy.common_shocks import SERIES, Shocks
from pipelines.forecast.demand.hierarchy.sample_paths import Paths
from pipelines.forecast.demand.models import hour_of_week
from tests.path_summary import summary

SHARED = Path(os.environ.get("BONGSU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
CONTROLS = {
    "BC": "north",
    "HD": "central",
    "POW": "central",
    "SB": "central",
    "AB": "south",
    "CTM": "south",
    "CV": "south",
}
HALF = datetime(2017, 5, 16)
FIRST, STEP, ORIGINS, SCORED = datetime(2016, 2, 1), timedelta(days=28), 14, 6
AHEAD = (42, 83)
LEVELS = ("total", "control", "board", "bottom")


def series() -> tuple[pl.DataFrame, pl.DataFrame]:
    """``unique_id, ds, y`` of the bottom, and its members: total, control, board."""
    rows = (
        pl.read_parquet(SHARED / "wales" / "ems_daily_demand.parquet")
        .select(
            pl.concat_str("lhb_code", "category", "nature_of_incident", separator="|").alias(SERIES),
            pl.lit("total").alias("total"),
            pl.col("lhb_code").replace_strict(CONTROLS).alias("control"),
            pl.col("lhb_code").alias("board"),
            pl.col("date").cast(pl.Datetime("us")).alias("ds"),
            pl.col("incidents").alias("y"),
        )
        .filter(pl.col("ds") < HALF)
        .sort(SERIES, "ds")
    )
    members = rows.select(SERIES, "total", "control", "board").unique().sort(SERIES)
    return rows.select(SERIES, "ds", "y"), members


def trees(members: pl.DataFrame) -> pl.DataFrame:
    """``unique_id, group``: all levels above the bottom."""
    return pl.concat(members.select(SERIES, pl.col(level).alias("group")) for level in LEVELS[:-1])


def forecasts(history: pl.DataFrame, level: str) -> pl.DataFrame:
    """The weekday table's means at all origins, with dispersions learnt before each."""
    ids = history.select(SERIES).unique().sort(SERIES).with_columns(pl.lit(level).alias("pool"))
    cutoffs = [FIRST + STEP * i for i in range(ORIGINS)]
    steps = pl.DataFrame(
        [(c, c + timedelta(days=d)) for c in cutoffs for d in range(AHEAD[0], AHEAD[1] + 1)],
        schema={"cutoff": pl.Datetime("us"), "ds": pl.Datetime("us")},
        orient="row",
    )
    table = rolling_origin.Model("day_of_week", partial(hour_of_week.predict, freq="D"))
    every = rolling_origin.run([table], history, ids.join(steps, how="cross")).with_columns(block=pl.lit(1, pl.Int8))
    return pl.concat(dispersed(every, cutoff) for cutoff in cutoffs)


def dispersed(every: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """The rows of one origin with dispersions of what was known before it, 0 where nothing was."""
    now = every.filter(pl.col("cutoff") == cutoff)
    before = every.filter(pl.col("ds") < cutoff, pl.col("cutoff") < cutoff).drop_nulls(["y", "mean"])
    learnt = negative_binomial.dispersions(
        negative_binomial.moments(before, [SERIES, "pool"]), [SERIES, "pool"], ["pool"]
    ).select(SERIES, "dispersion")
    return now.join(learnt, on=SERIES, how="left", maintain_order="left").with_columns(
        pl.col("dispersion").fill_null(0.0)
    )


def crps(values: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """CRPS of samples (..., paths): mean |x - y| less half the mean |x - x'|."""
    ordered = np.sort(values, axis=-1).astype(float)
    width = ordered.shape[-1]
    weight = (2 * np.arange(1, width + 1) - width - 1) / width**2
    return np.abs(ordered - outcomes[..., None]).mean(axis=-1) - ordered @ weight


def scores(drawn: Paths, outcomes: pl.DataFrame, scale: pl.DataFrame) -> pl.DataFrame:
    """One row per series and step: level, pinball, scale, CRPS, coverage seen and expected."""
    rows = summary(drawn).join(outcomes, on=[SERIES, "ds"], how="left", maintain_order="left")
    y = rows["y"].to_numpy().reshape(drawn.values.shape[:2])
    return rows.join(scale, on=SERIES, how="left", maintain_order="left").select(
        SERIES, "ds", "y", "level", "scale",
        scoring.mean_pinball().alias("pinball"),
        pl.Series("crps", crps(drawn.values, y).ravel()),
        pl.col("y").is_between(pl.col("q0.1"), pl.col("q0.9")).alias("covered"),
        pl.col("expected_coverage_80").alias("expected"),
    )  # fmt: skip


def alone(level_forecasts: pl.DataFrame, cutoff: datetime, width: int) -> Paths:
    """Each level's own negative binomials, as if they were paths: no sum over time or areas means anything."""
    rows = level_forecasts.filter(pl.col("cutoff") == cutoff).sort(SERIES, "ds")
    ids, starts = rows[SERIES].unique(maintain_order=True), rows["ds"].unique().sort()
    levels = ((np.arange(width) + 0.5) / width).tolist()
    result = negative_binomial.quantiles(rows["centre"].to_numpy(), rows["dispersion"].to_numpy(), levels)
    return Paths(ids, starts, result.reshape(len(ids), len(starts), width).astype(np.int32))


def uppers(levels: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """``level, group, cutoff, ds, mean`` of the levels above the bottom."""
    return pl.concat(
        rows.select(pl.lit(level).alias("level"), pl.col(SERIES).alias("group"), "cutoff", "ds", "mean")
        for level, rows in levels.items()
        if level != "bottom"
    )


def ways(
    levels: dict[str, pl.DataFrame], members: pl.DataFrame, cutoff: datetime
) -> dict[str, tuple[pl.DataFrame, Shocks]]:
    """Marginals and shocks of each method to join the bottom series, fitted before ``cutoff``."""
    bottom, upper, now = levels["bottom"], uppers(levels), pl.col("cutoff") == cutoff
    weights = top_down.learn_weights(bottom, upper, members, cutoff)
    moved = top_down.informed(bottom, upper, members, weights)
    learnt = common_shocks.learn(bottom, members, cutoff)
    print(f"{cutoff:%Y-%m-%d}", "weights", weights.rows(), "substitution", learnt.substitution)
    return {
        "independent": (bottom.filter(now), common_shocks.INDEPENDENT),
        "shocks": (bottom.filter(now), learnt),
        "shocks, informed": (moved.filter(now), common_shocks.learn(moved, members, cutoff)),
    }


def panels(history: pl.DataFrame, members: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """``unique_id, ds, y`` of every level."""
    sums = history.join(trees(members), on=SERIES).group_by("group", "ds").agg(pl.col("y").sum())
    return {
        level: sums.join(members.select(pl.col(level).unique().alias("group")), on="group", how="semi")
        .rename({"group": SERIES})
        .sort(SERIES, "ds")
        for level in LEVELS[:-1]
    } | {"bottom": history}


def by_week(upper: Paths, outcomes: pl.DataFrame, scale: pl.DataFrame) -> pl.DataFrame:
    """Scores of whole weeks above the bottom, whose scale is still that of days."""
    weeks = path_sums.over_time(upper, upper.starts.dt.truncate("1w"))
    seen = outcomes.group_by(SERIES, pl.col("ds").dt.truncate("1w"), "level").agg(pl.col("y").sum())
    is_whole = pl.col("ds").is_between(upper.starts.min(), upper.starts.max() - timedelta(days=6))
    named = pl.format("{}, weeks", "level").alias("level")
    return scores(weeks, seen, scale).filter(is_whole).with_columns(named)


def at(
    cutoff: datetime,
    levels: dict[str, pl.DataFrame],
    members: pl.DataFrame,
    outcomes: pl.DataFrame,
    scale: pl.DataFrame,
) -> pl.DataFrame:
    """Scores of every way at one origin."""
    result = []
    for way, (marginals, learnt) in ways(levels, members, cutoff).items():
        start = time.process_time()
        bottom = sample_paths.draw(marginals, members, learnt)
        upper = path_sums.over_areas(bottom, trees(members))
        print(f"{way}: {time.process_time() - start:.1f} s of CPU")
        parts = [scores(bottom, outcomes, scale), scores(upper, outcomes, scale), by_week(upper, outcomes, scale)]
        result.append(pl.concat(parts).with_columns(pl.lit(way).alias("way")))
    group = [scores(alone(rows, cutoff, sample_paths.PATHS), outcomes, scale) for rows in levels.values()]
    result.append(pl.concat(group).with_columns(pl.lit("each level alone").alias("way")))
    return pl.concat(result)


def main() -> None:
    """Run all origins and print the comparison."""
    history, members = series()
    histories = panels(history, members)
    levels = {level: forecasts(rows, level) for level, rows in histories.items()}
    cutoffs = [FIRST + STEP * i for i in range(ORIGINS)][-SCORED:]
    outcomes = pl.concat(rows.with_columns(pl.lit(level).alias("level")) for level, rows in histories.items())
    known = [rows.filter(pl.col("ds") < cutoffs[0]) for rows in histories.values()]
    scale = pl.concat(scoring.season_errors(rows, "D") for rows in known)
    show(pl.concat(at(cutoff, levels, members, outcomes, scale) for cutoff in cutoffs))


def show(every: pl.DataFrame) -> None:
    """Scores per level and way."""
    table = Table("level", "way", "targets", "scaled pinball", "CRPS", "coverage", "expected")
    rows = (
        every.group_by("level", "way", maintain_order=True)
        .agg(
            pl.len(),
            (pl.col("pinball").sum() / pl.col("scale").sum()).alias("scaled"),
            pl.col("crps").mean(),
            pl.col("covered").mean(),
            pl.col("expected").mean(),
        )
        .sort("level", maintain_order=True)
    )
    for level, way, count, *numbers in rows.iter_rows():
        table.add_row(level, way, f"{count}", *[f"{number:.4f}" for number in numbers])
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
