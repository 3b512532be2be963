"""The time chain of units: how long each stage takes, by kind, area and hour band, and draws from it for a simulation.

The logarithm of a duration is the level of its kind plus an effect of the area and one of the hour band. It is started
at half of the stage's median (Tukey 1977), so that times of a few seconds do not move the others. The three are shrunk
towards what is common, as far as groups differ no more than chance (empirical Bayes: Morris 1983, with the variance
between groups of DerSimonian and Laird 1986), so that a group with few tasks follows the others. The shape around it is
that of the kind's own tasks, or of the whole stage where the kind has few.

Stages that were cut short enter with their expected value beyond that time (Buckley and James 1979; shape by Kaplan and
Meier 1958). That takes units that are stood down as like the others; where far ones are stood down more often, the
estimate is too long, so the summary has the observed tasks next to it. A simulation that draws which units are stood
down fits observed tasks only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.dispatch.stages import CENSORED, OBSERVED

Floats = NDArray[np.float64]
LEAST_SHAPE: Final = 50
"""With fewer observed tasks, the shape around a kind's level is that of all kinds."""
ROUNDS: Final = 8
START: Final = 0.5
LEVELS: Final = tuple(np.round(np.arange(0.0025, 1, 0.005), 4).tolist())
"""Probabilities at which a shape is kept."""
QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
GROUPS: Final = ("kind", "area", "hour_band")

_EFFECTS: Final[dict[str, type[pl.DataType]]] = {
    "stage": pl.String, "group": pl.String, "kind": pl.String, "name": pl.String, "effect": pl.Float64, "n": pl.Int64,
    "n_censored": pl.Int64, "weight": pl.Float64,
}  # fmt: skip
_SHAPES: Final[dict[str, type[pl.DataType] | pl.DataType]] = {
    "stage": pl.String, "kind": pl.String, "deviations": pl.List(pl.Float64), "start": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chain:
    """Fitted durations.

    ``effects``: ``stage, group`` (kind, area or hour_band), ``kind`` (of the effect), ``name, effect, n, n_censored,
    weight`` (how much of the group's own deviation was kept); ``shapes``: ``stage, kind`` (null: of the whole stage),
    ``deviations`` (list, at ``LEVELS``), ``start``. Effects and deviations are of log(seconds + start).
    """

    effects: pl.DataFrame
    shapes: pl.DataFrame


def fit(stages: pl.DataFrame) -> Chain:
    """Fit every stage that has an observed task.

    Args:
        stages: As ``stages.measured`` returns: ``stage, kind, area, hour_band, seconds, state``. Only observed and
            censored ones are used. A missing area or hour band counts as a group of its own.
    """
    used = stages.filter(pl.col("state").is_in([OBSERVED, CENSORED])).with_columns(pl.col(*GROUPS).fill_null(""))
    effects, shapes = [], []
    for (stage,), rows in used.group_by("stage", maintain_order=True):
        if (rows["state"] == OBSERVED).any():
            stage_effects, stage_shapes = _fit_stage(rows)
            name = pl.lit(stage, pl.String).alias("stage")
            effects.append(stage_effects.select(name, pl.all()))
            shapes.append(stage_shapes.select(name, pl.all()))
    return Chain(
        pl.concat(effects) if effects else pl.DataFrame(schema=_EFFECTS),
        pl.concat(shapes) if shapes else pl.DataFrame(schema=_SHAPES),
    )


def draw(chain: Chain, stage: str, tasks: pl.DataFrame, rng: np.random.Generator) -> Floats:
    """Draw a duration in seconds for every task; NaN if the stage was never observed, which is not zero.

    Args:
        chain: Fitted.
        stage: Name.
        tasks: ``kind, area, hour_band``; groups that were not seen have the level of what is common.
        rng: Seeded for its purpose.
    """
    level, shape = _expected(chain, stage, tasks)
    place = rng.random(tasks.height)
    if not shape.size:
        return np.full(tasks.height, np.nan)
    # Between two kept levels a deviation is interpolated; beyond the outermost ones it stays there.
    at = np.clip(place * len(LEVELS) - 0.5, 0, len(LEVELS) - 1)
    low = np.minimum(at.astype(np.int64), len(LEVELS) - 2)
    rows = np.arange(tasks.height)
    deviation = shape[rows, low] + (at - low) * (shape[rows, low + 1] - shape[rows, low])
    return np.asarray(np.maximum(np.exp(level + deviation) - _start(chain, stage), 0.0))


def summary(chain: Chain, stages: pl.DataFrame, by: Sequence[str] = GROUPS) -> pl.DataFrame:
    """Return durations by stage and groups.

    Args:
        chain: Fitted to the stages.
        stages: As for ``fit``; which groups are listed, and how many tasks each has.
        by: Any of kind, area and hour_band. Over those left out, the tasks' own mix is taken.

    Returns:
        ``stage``, the groups, ``n`` observed, ``n_censored``, ``mean_seconds``, ``q0.1 …`` (seconds), and
        ``observed_mean_seconds, observed_q0.5, observed_q0.9`` of the observed tasks alone, as they are.
    """
    counted = stages.filter(pl.col("state").is_in([OBSERVED, CENSORED])).with_columns(pl.col(*GROUPS).fill_null(""))
    cells = counted.group_by("stage", *GROUPS, maintain_order=True).agg(
        n=(pl.col("state") == OBSERVED).sum(), n_censored=(pl.col("state") == CENSORED).sum()
    )
    parts = []
    for (stage,), rows in cells.group_by("stage", maintain_order=True):
        level, shape = _expected(chain, str(stage), rows)
        if shape.size:
            seconds = np.maximum(np.exp(level[:, None] + shape) - _start(chain, str(stage)), 0.0)
            parts.append(rows.with_columns(pl.Series("seconds", seconds, dtype=pl.List(pl.Float64))))
    if not parts:
        return pl.DataFrame(schema={"stage": pl.String})
    weight = (pl.col("n") + pl.col("n_censored")).alias("weight")
    return (
        pl.concat(parts)
        .with_columns(weight)
        .group_by("stage", *by, maintain_order=True)
        .agg(pl.col("n", "n_censored").sum(), pl.col("seconds"), pl.col("weight"))
        .with_columns(pl.struct("seconds", "weight").map_elements(_mixed, pl.List(pl.Float64)).alias("values"))
        .select(
            "stage", *by, "n", "n_censored", pl.col("values").list.get(0).alias("mean_seconds"),
            *(pl.col("values").list.get(place + 1).alias(f"q{level:g}") for place, level in enumerate(QUANTILES)),
        )
        .join(counted.filter(pl.col("state") == OBSERVED).group_by("stage", *by).agg(
            pl.col("seconds").mean().alias("observed_mean_seconds"),
            *(pl.col("seconds").quantile(level).alias(f"observed_q{level:g}") for level in (0.5, 0.9)),
        ), on=["stage", *by], how="left")
        .sort("stage", *by)
    )  # fmt: skip


def _mixed(cells: dict[str, list[list[float]] | list[float]]) -> list[float]:
    """Return the mean and the quantiles of cells mixed by their weights."""
    values = np.asarray(cells["seconds"])
    weight = np.repeat(np.asarray(cells["weight"], dtype=float), values.shape[1])
    flat = values.ravel()
    order = flat.argsort()
    below = (weight[order].cumsum() - weight[order] / 2) / weight.sum()
    return [float(np.average(flat, weights=weight)), *np.interp(QUANTILES, below, flat[order]).tolist()]


def _start(chain: Chain, stage: str) -> float:
    return float(chain.shapes.filter(pl.col("stage") == stage)["start"][0])


def _expected(chain: Chain, stage: str, tasks: pl.DataFrame) -> tuple[Floats, Floats]:
    """Return the level of every task, and the deviations around it (a row per task); without rows if unknown."""
    effects = chain.effects.filter(pl.col("stage") == stage)
    shapes = chain.shapes.filter(pl.col("stage") == stage)
    if shapes.is_empty():
        return np.full(tasks.height, np.nan), np.zeros((0, len(LEVELS)))
    groups = tasks.select(pl.col(*GROUPS).fill_null(""))
    base = float(effects.filter(pl.col("group") == "stage")["effect"][0])
    total = np.full(tasks.height, base)
    for group in GROUPS:
        keyed = effects.filter(pl.col("group") == group).select("kind", "name", "effect")
        if group == "kind":
            joined = groups.join(keyed.drop("name"), on="kind", how="left", maintain_order="left")
        else:
            joined = groups.join(
                keyed, left_on=["kind", group], right_on=["kind", "name"], how="left", maintain_order="left"
            )
        total += joined["effect"].fill_null(0.0).to_numpy()
    common = np.asarray(shapes.filter(pl.col("kind").is_null())["deviations"][0])
    kinds = {
        kind: np.asarray(values) for kind, values in shapes.select("kind", "deviations").iter_rows() if kind is not None
    }
    return total, np.array([kinds.get(kind, common) for kind in groups["kind"]]).reshape(-1, len(LEVELS))


def _fit_stage(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the effects and shapes of one stage."""
    is_cut = (rows["state"] == CENSORED).to_numpy()
    seconds = rows["seconds"].to_numpy()
    start = max(1.0, START * float(np.median(seconds[~is_cut])))
    lower = np.log(seconds + start)
    kind_names, kind = np.unique(rows["kind"].to_numpy().astype(str), return_inverse=True)
    values = lower.copy()
    pairs = [kind] + [
        np.unique(kind_names[kind] + "\0" + rows[name].to_numpy().astype(str), return_inverse=True)[1]
        for name in GROUPS[1:]
    ]
    base = float(values.mean())
    fitted = [np.zeros(len(values)) for _ in GROUPS]
    weights = [np.zeros(len(values)) for _ in GROUPS]
    shapes: dict[str | None, Floats] = {}
    for _ in range(ROUNDS):
        base = float((values - np.sum(fitted, axis=0)).mean())
        for place, group in enumerate(pairs):
            rest = values - base - sum(part for other, part in enumerate(fitted) if other != place)
            # Areas and hours are compared within their kind, whose level is fitted already.
            effect, weight = _shrunk(rest, group)
            fitted[place], weights[place] = effect[group], weight[group]
        level = base + np.sum(fitted, axis=0)
        shapes = _shapes(lower - level, is_cut, kind, kind_names)
        if not is_cut.any():
            continue
        for number, name in enumerate(kind_names):
            mask = is_cut & (kind == number)
            shape = shapes.get(str(name), shapes[None])
            values[mask] = np.maximum(level[mask] + _beyond(shape, (lower - level)[mask]), lower[mask])
    effects_frame = _effects(rows, base, fitted, weights)
    return effects_frame, pl.DataFrame(
        {"kind": list(shapes), "deviations": [shape.tolist() for shape in shapes.values()], "start": start},
        schema={name: kind for name, kind in _SHAPES.items() if name != "stage"},
    )


def _effects(rows: pl.DataFrame, base: float, fitted: list[Floats], weights: list[Floats]) -> pl.DataFrame:
    counts = [
        (pl.col("state") == OBSERVED).sum().cast(pl.Int64).alias("n"),
        (pl.col("state") == CENSORED).sum().cast(pl.Int64).alias("n_censored"),
    ]
    columns = ("group", "kind", "name", "effect", "n", "n_censored", "weight")
    whole = rows.select(
        *counts, group=pl.lit("stage"), kind=pl.lit(""), name=pl.lit(""), effect=pl.lit(base), weight=pl.lit(1.0)
    )
    parts = [whole.select(columns)]
    for group, effect, weight in zip(GROUPS, fitted, weights, strict=True):
        keys = {"kind": pl.col("kind"), "name": pl.col(group)}
        named = rows.select("state", **keys).with_columns(effect=pl.Series(effect), weight=pl.Series(weight))
        parts.append(
            named.group_by("kind", "name")
            .agg(pl.col("effect", "weight").first(), *counts)
            .with_columns(group=pl.lit(group))
            .select(columns)
            .sort("kind", "name")
        )
    return pl.concat(parts)


def _shrunk(values: Floats, group: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the mean of each group shrunk towards 0, and the weight of its own mean."""
    n = np.bincount(group).astype(float)
    mean = np.bincount(group, values) / n
    freedom = len(values) - len(n)
    if freedom <= 0 or len(n) < 2:
        return np.zeros(len(n)), np.zeros(len(n))
    within = float(((values - mean[group]) ** 2).sum() / freedom)
    if within == 0:
        return mean, np.ones(len(n))
    centre = float((n * mean).sum() / n.sum())
    spread = float((n * (mean - centre) ** 2).sum()) - (len(n) - 1) * within
    between = max(0.0, spread / (n.sum() - float((n**2).sum()) / n.sum()))
    weight = between / (between + within / n)
    return weight * mean, weight


def _shapes(
    deviations: Floats, is_cut: NDArray[np.bool_], kind: NDArray[np.int64], names: NDArray[np.str_]
) -> dict[str | None, Floats]:
    """Return the deviations at ``LEVELS`` of the whole stage (None) and of kinds with enough tasks."""
    shapes: dict[str | None, Floats] = {None: _kaplan_meier(deviations, is_cut)}
    for number, name in enumerate(names):
        mask = kind == number
        if int((mask & ~is_cut).sum()) >= LEAST_SHAPE:
            shapes[str(name)] = _kaplan_meier(deviations[mask], is_cut[mask])
    return shapes


def _kaplan_meier(values: Floats, is_cut: NDArray[np.bool_]) -> Floats:
    """Return the quantiles of values of which some are only known to be larger; the largest counts as observed."""
    # An observed value precedes a censored one that is equal to it.
    order = np.lexsort((is_cut, values))
    ends = ~is_cut[order]
    ends[-1] = True
    at_risk = np.arange(len(values), 0, -1)
    alive = np.cumprod(np.where(ends, 1 - 1 / at_risk, 1.0))
    before = np.concatenate([[1.0], alive[:-1]])
    middle = 1 - (before + alive)[ends] / 2
    return np.asarray(np.interp(LEVELS, middle, values[order][ends]))


def _beyond(shape: Floats, at: Floats) -> Floats:
    """Return the mean of a shape beyond each value; the value itself if the shape ends before it."""
    total = np.concatenate([shape[::-1].cumsum()[::-1], [0.0]])
    first = np.searchsorted(shape, at, side="right")
    left = len(shape) - first
    return np.asarray(np.where(left > 0, total[first] / np.maximum(left, 1), at))
