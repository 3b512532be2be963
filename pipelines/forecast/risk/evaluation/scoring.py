"""Scores of place-based risk at a fixed area, with intervals, and paired with the best simple count.

With n of N incidents in a share a/A of the area: hit rate n/N; prediction accuracy index PAI = (n/N)/(a/A) (Chainey,
Tompson and Uhlig 2008); PEI* = n/n*, n* the maximum for this many cells (Hunt 2016; the NIJ challenge); recapture rate
index RRI = (n/n₁)/(N/N₁) against the same cells and as many days before the origin (Levine 2008). PAI's maximum grows
as the area shrinks and PEI* falls as cells do: compare at one area and one grid only. One window does not rank methods:
its PAI varies by a quarter from month to month. Pool windows, as done here. Bootstrap intervals of few windows are too
narrow: a nominal 95 % covers about 89 % with 24 windows, 85 % with 12 and 71 % with 6.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import gammaln

from pipelines.config.seeds import generator

Floats = NDArray[np.float64]

BLOCK: Final = 3
"""Consecutive windows drawn together: neighbouring months are correlated."""
DRAWS: Final = 2_000
FEWEST_WINDOWS: Final = 6
"""With fewer windows there are hardly two blocks to draw: no interval is given."""
INTERVAL: Final = (0.025, 0.975)
SMALLEST_RATE: Final = 1e-6

SCORES: Final = (
    "area_share", "origins", "incidents", "hits", "hit_rate", "pai", "pai_low", "pai_high", "pei_star", "rri",
    "false_alarms_per_hit", "hits_per_patrol_hour", "log_score",
)  # fmt: skip
GAINS: Final = ("gain", "gain_low", "gain_high", "prospective_gain", "prospective_gain_low", "prospective_gain_high")
"""PAI minus that of the best count (selected on earlier origins), and minus that of prospective hot spots."""


def known_only(windows: pl.DataFrame, start: str, end: str, gaps: pl.DataFrame | None) -> pl.DataFrame:
    """Return the windows without an unknown day: what happened on one is not known, so a window with it has no score.

    Args:
        windows: ``category``, and the columns ``start`` and ``end`` with the first local date and the first excluded.
        start: Name of the first column.
        end: Name of the second.
        gaps: ``marts.crime_gaps``: ``category, from_date`` (null: ever before) and ``until_date``; none: all is known.
    """
    if gaps is None:
        return windows
    keys = ["category", start, end]
    spans = gaps.select("category", pl.col("from_date").fill_null(date.min), "until_date")
    overlapping = windows.select(keys).unique().join(spans, on="category").filter(
        pl.col("from_date") < pl.col(end), pl.col("until_date") > pl.col(start)
    )  # fmt: skip
    return windows.join(overlapping, on=keys, how="anti")


def log_likelihood(outcome: NDArray[np.generic], expected: Floats) -> Floats:
    """Return the Poisson log likelihood of each cell's count; an expectation of zero counts as one in a million."""
    counted, rate = outcome.astype(float), np.maximum(expected, SMALLEST_RATE)
    return np.asarray(counted * np.log(rate) - rate - gammaln(counted + 1))


def score(windows: pl.DataFrame, by: Sequence[str], baselines: Sequence[str] = ()) -> pl.DataFrame:
    """Pool the windows of each group.

    Args:
        windows: Columns of `rolling.WINDOWS` and ``area_share``, one row per origin and group.
        by: The grain of the result; ``model`` is one of them. No group may have an origin twice.
        baselines: Names of the best count and of prospective hot spots among the models; empty for no gains.

    Returns:
        ``by``, `SCORES` and, with baselines, `GAINS`. Ratios with a zero denominator are null.
    """
    pooled = _pooled(windows, by)
    others = [name for name in by if name != "model"]
    ordered = windows.sort([*by, "origin_day"])
    keys = [dict(zip(by, key, strict=True)) for key in ordered.select(by).unique(maintain_order=True).rows()]
    groups = ordered.partition_by(by, maintain_order=True)
    spread = pl.DataFrame(
        [key | _intervals(group, ordered, others, key, baselines) for key, group in zip(keys, groups, strict=True)],
        infer_schema_length=None,
        schema_overrides=dict.fromkeys(("pai_low", "pai_high", *(GAINS if baselines else ())), pl.Float64),
    )
    columns = [*by, *SCORES, *(GAINS if baselines else ())]
    if pooled.is_empty():
        return pooled.with_columns(
            pl.lit(None, pl.Float64).alias(name) for name in columns if name not in pooled.columns
        )
    return pooled.join(spread, on=by, how="left", nulls_equal=True).select(columns).sort(by)


def ratio_interval(top: pl.Series, bottom: pl.Series, *seed: str) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the ratio of two sums over windows, given in window order; drawn as in `score`."""
    drawn = _draws(len(top), *seed)[1:]
    above, below = (series.to_numpy().astype(float)[drawn].sum(axis=1) for series in (top, bottom))
    with np.errstate(invalid="ignore", divide="ignore"):
        return _ends(above / below, len(top))


def _pooled(windows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    hits, total, cells = pl.col("hits"), pl.col("incidents"), pl.col("cells")
    counted = ("incidents", "hits", "most_hits", "hit_cells", "prior_incidents", "prior_hits")
    hit_rate = _ratio(hits, total)
    return (
        windows.with_columns((cells * pl.col("days") * 24).alias("cell_hours"))
        .group_by(by, maintain_order=True)
        .agg(
            pl.col("area_share").mean(),
            pl.len().cast(pl.Int64).alias("origins"),
            pl.col(*counted, "cell_hours").sum(),
            cells.sum().cast(pl.Int64).alias("chosen_cells"),
            pl.col("log_score").mean(),
        )
        .with_columns(
            hit_rate.alias("hit_rate"),
            _ratio(hit_rate, pl.col("area_share")).alias("pai"),
            _ratio(hits, pl.col("most_hits")).alias("pei_star"),
            _ratio(hits / pl.col("prior_hits"), total / pl.col("prior_incidents"))
            .replace([np.inf, -np.inf, np.nan], None)
            .alias("rri"),
            _ratio(pl.col("chosen_cells") - pl.col("hit_cells"), pl.col("hit_cells")).alias("false_alarms_per_hit"),
            _ratio(hits, pl.col("cell_hours")).alias("hits_per_patrol_hour"),
        )
    )


def _ratio(top: pl.Expr, bottom: pl.Expr) -> pl.Expr:
    return pl.when(bottom > 0).then(top / bottom)


def _intervals(
    group: pl.DataFrame, windows: pl.DataFrame, others: Sequence[str], key: dict[str, object], baselines: Sequence[str]
) -> dict[str, float | None]:
    """Return circular-block bootstrap intervals (Politis and Romano 1992) of PAI and its gains, on the same draws."""
    drawn = _draws(group.height, "|".join(str(key[name]) for name in others))
    pai = _pai(group, drawn)
    interval: dict[str, float | None] = dict(zip(("pai_low", "pai_high"), _ends(pai[1:], group.height), strict=True))
    for name, baseline in zip(("gain", "prospective_gain"), baselines, strict=False):
        wanted = [pl.col(other).eq_missing(pl.lit(key[other])) for other in others]
        rival = windows.filter(*wanted, pl.col("model") == baseline)
        if not rival["origin_day"].equals(group["origin_day"]):
            interval |= dict.fromkeys((name, f"{name}_low", f"{name}_high"))
            continue
        gain = pai - _pai(rival, drawn)
        interval |= {name: _finite(gain[0])} | dict(
            zip((f"{name}_low", f"{name}_high"), _ends(gain[1:], group.height), strict=True)
        )
    return interval


def _draws(windows: int, *seed: str) -> NDArray[np.int64]:
    """Return rows of windows to pool: the first is all of them once, the others are drawn by blocks."""
    starts = generator(*seed).integers(0, windows, (DRAWS, -(-windows // BLOCK)))
    drawn = (starts[:, :, None] + np.arange(BLOCK)).reshape(DRAWS, -1)[:, :windows] % windows
    return np.vstack([np.arange(windows), drawn])


def _pai(group: pl.DataFrame, drawn: NDArray[np.int64]) -> Floats:
    hits, total, share = (group[name].to_numpy().astype(float) for name in ("hits", "incidents", "area_share"))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(hits[drawn].sum(axis=1) / total[drawn].sum(axis=1) / share.mean())


def _ends(values: Floats, windows: int) -> tuple[float | None, float | None]:
    if windows < FEWEST_WINDOWS:
        return None, None
    kept = values[np.isfinite(values)]
    low, high = np.quantile(kept, INTERVAL) if kept.size else (np.nan, np.nan)
    return _finite(low), _finite(high)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
