"""Plot a backtest: a good, a typical and a bad series, with ranges and observed values."""

from pathlib import Path
from typing import Final

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.forecast.demand.evaluation.model_weights import CHOSEN
from pipelines.forecast.demand.own_series import Backtest

BUSY: Final = 0.5
"""Minimum calls a step of a plotted series: the best and the worst of all are series with hardly a call."""


def save(selected: Backtest, path: Path) -> None:
    """Plot three series after their last origin as PNG: observed values, mean, and the ranges of 50 % and 90 %.

    Good, typical and bad are the best, the middle and the worst by skill; by scaled pinball loss
    alone, which breaks ties, the rarest series would always be the bad one.
    """
    drawn = examples(selected)
    figure = Figure(figsize=(10, 2.8 * len(drawn)), layout="constrained")
    axes = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
    for axis, (word, row) in zip(axes, drawn, strict=True):
        member = selected.forecasts.filter(pl.col("unique_id") == row["unique_id"], pl.col("model") == CHOSEN)
        _draw(axis, member.filter(pl.col("cutoff") == pl.col("cutoff").max()).sort("ds"))
        skill = "" if row["skill"] is None else f", skill {row['skill']:+.1%}"
        kept = f"80 % range covered {row['coverage_80']:.0%}, expected {row['expected_coverage_80']:.0%}"
        axis.set_title(f"{word}: {row['unique_id']}{skill}; {kept}", loc="left", fontsize=9)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", fontsize=8, ncols=4, frameon=False)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def examples(selected: Backtest) -> list[tuple[str, dict[str, object]]]:
    """Return the good, the typical and the bad series, or as many as there are, with their scores and ``rate``.

    Series without a skill or with fewer calls a step than ``BUSY`` are used only if there is no other.
    """
    is_chosen, has_skill = pl.col("model") == CHOSEN, pl.col("skill").is_not_null()
    rates = selected.forecasts.filter(is_chosen).group_by("unique_id").agg(pl.col("y").mean().alias("rate"))
    every = selected.series_scores.filter(is_chosen).join(rates, on="unique_id", how="left")
    worth = (every.filter(rule) for rule in (has_skill & (pl.col("rate") >= BUSY), has_skill))
    ranked = next((some for some in worth if some.height), every).sort(
        "skill", "scaled_pinball", "unique_id", descending=[True, False, False], nulls_last=True
    )
    places = {"good": 0, "typical": ranked.height // 2, "bad": ranked.height - 1}
    if ranked.height < 3:
        places = dict(list(places.items())[: ranked.height])
    return [(word, ranked.row(place, named=True)) for word, place in places.items()]


def _draw(axis: Axes, member: pl.DataFrame) -> None:
    ds = member["ds"].to_list()
    for low, high, shade, label in (("q0.05", "q0.95", 0.2, "90 % range"), ("q0.25", "q0.75", 0.35, "50 % range")):
        axis.fill_between(ds, member[low].to_list(), member[high].to_list(), alpha=shade, color="C0", lw=0, label=label)
    axis.plot(ds, member["mean"].to_list(), color="C0", lw=1.2, label="mean")
    axis.plot(ds, member["y"].to_list(), color="black", marker=".", ms=3, lw=0.5, label="observed")
    axis.set_ylim(bottom=0)
    axis.set_ylabel("calls")
    axis.margins(x=0)
    axis.tick_params(labelsize=8)
