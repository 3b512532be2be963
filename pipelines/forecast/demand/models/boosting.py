"""One boosted model of all series: what multiplies the weekly table, learnt from pairs of past origins and steps.

LightGBM (Ke et al. 2017) with a Poisson objective starts from the weekly table's mean and learns the factor on it: so a
sparse series keeps its table, a level that moved is known, and nothing needs to be extrapolated (the M5 winners'
recipe, Makridakis et al. 2022, without recursion). Origins a whole number of weeks before the cutoff teach it; a row's
features see only what lies before the row's origin. Counts vary by more than Poisson where means are large, so a row
counts by ``1 / (1 + dispersion · mean)``. One model for the newest day of cutoffs and one for each week of them before,
on one thread, seeded by the day.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from pipelines.forecast.demand.models import covariates as known_ahead
from pipelines.forecast.demand.models import features
from pipelines.forecast.demand.models.features import Counts, Doubles, Floats, Rows
from pipelines.forecast.demand.series import SEASON, STEP, Frequency, History, by_cutoff, of

TAUGHT_EVERY_DAYS: Final = 7
"""Cutoffs before the newest day share the model taught at the first of a week, a few days old for the others."""
LEAST_WEEKS: Final = 10
"""A shorter history is left to the weekly table."""
WARM_UP_WEEKS: Final = 6
YEARS_WEEKS: Final = 104
"""Two years of origins, before which features that all series share, and the time of year, are left out."""
MOST_ORIGINS: Final = 40
MOST_ROWS: Final = 150_000
ROUNDS: Final = 120
USUAL_DISPERSION: Final = 0.05
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "poisson", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 200, "lambda_l2": 10.0,
    "max_bin": 63, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1,
}  # fmt: skip

Factor = Callable[[Floats], Doubles]
"""Features to the logarithm of what multiplies the table."""


def predict(
    history: History | pl.DataFrame, targets: pl.DataFrame, freq: Frequency, covariates: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Forecast means from what was known before each target's own cutoff, one model of all series per week of cutoffs.

    Args:
        history: ``unique_id, ds, y``.
        targets: ``unique_id, cutoff, ds``, more columns kept. The latest ``ds`` of a cutoff is its horizon.
        freq: ``h`` or ``D``.
        covariates: As ``covariates`` describes; none: calendar and history alone.

    Returns:
        ``targets`` with ``mean`` and ``failure``: why there is no mean, or which covariates it had to do without.
    """
    parts = []
    leads = targets.select((pl.col("ds") - pl.col("cutoff")).max()).item() // STEP[freq] + 1
    for _, group in targets.group_by(_taught_at(), maintain_order=True):
        begin: datetime = group.select(pl.col("cutoff").min().dt.truncate("1d")).item()
        lesson = _lesson(of(history, group.select("unique_id").unique(), begin), begin, leads, freq, covariates)
        for cutoff, ids in by_cutoff(group):
            parts.append(_at_cutoff(of(history, ids, cutoff), group.filter(cutoff=cutoff), cutoff, lesson, covariates))
    keys = ["unique_id", "cutoff", "ds"]
    return targets.join(
        pl.concat(parts).unique(keys, keep="first"), on=keys, how="left", maintain_order="left"
    ).with_columns(
        pl.when(pl.col("mean").is_null() & pl.col("failure").is_null())
        .then(pl.lit(f"fewer than {LEAST_WEEKS} weeks of history, or no call in them"))
        .otherwise("failure")
        .alias("failure")
    )


def _taught_at() -> list[pl.Expr]:
    """Which cutoffs are taught together: those of a day that is a series' newest; before that, those of a week."""
    day = pl.col("cutoff").dt.truncate("1d")
    is_newest = day == day.max().over("unique_id")
    weeks = ((day.max() - day).dt.total_days() + TAUGHT_EVERY_DAYS - 1) // TAUGHT_EVERY_DAYS
    return [pl.when(is_newest).then(day).alias("newest"), pl.when(~is_newest).then(weeks).alias("weeks")]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What can be taught at a moment: rows of past origins with the outcomes and weights of each.

    ``columns``: how many features are used. ``taught``: the models so far, by their covariates.
    """

    freq: Frequency
    leads: int
    rows: Rows
    frame: pl.DataFrame
    truth: Doubles
    weights: Doubles
    columns: int
    seed: int
    taught: dict[tuple[str, ...], Factor] = field(default_factory=dict)

    def factor(self, names: list[str]) -> Factor:
        """The model with these covariates."""
        key = tuple(names)
        if key not in self.taught:
            matrix = _matrix(self.frame, self.rows, self.columns, names)
            self.taught[key] = _fitted(matrix, self.rows.table, self.truth, self.weights, self.seed)
        return self.taught[key]


def _counts(history: pl.DataFrame, cutoff: datetime, freq: Frequency) -> Counts | None:
    """The series that are long enough at the cutoff; None where none is."""
    past = history.filter(pl.col("ds") < cutoff)
    long = past.group_by("unique_id").agg(pl.col("ds").min().alias("first"))
    long = long.filter(pl.col("first") <= cutoff - STEP[freq] * SEASON[freq] * LEAST_WEEKS)
    if long.is_empty():
        return None
    start: datetime = long.select(pl.col("first").min()).item()
    return Counts.of(past.join(long, on="unique_id", how="semi"), start, cutoff, freq)


def _lesson(
    history: pl.DataFrame, begin: datetime, leads: int, freq: Frequency, covariates: pl.DataFrame | None
) -> Lesson | None:
    """What the series that are long enough at ``begin`` teach; None where none is, or none has any call."""
    counts = _counts(history, begin, freq)
    if counts is None:
        return None
    rows, truth, weights = _teaching(counts, leads, _seed(begin))
    if not truth.any():
        return None
    has_years = counts.values.shape[1] >= SEASON[freq] * (YEARS_WEEKS + WARM_UP_WEEKS)
    columns = len(features.NAMES if has_years else features.OWN)
    return Lesson(freq, leads, rows, _frame(counts, rows, covariates), truth, weights, columns, _seed(begin))


def _at_cutoff(
    history: pl.DataFrame,
    wanted: pl.DataFrame,
    cutoff: datetime,
    lesson: Lesson | None,
    covariates: pl.DataFrame | None,
) -> pl.DataFrame:
    counts = _counts(history, cutoff, lesson.freq) if lesson else None
    if lesson is None or counts is None:
        return wanted.select(
            "unique_id", "cutoff", "ds", mean=pl.lit(None, pl.Float64), failure=pl.lit(None, pl.String)
        )
    ahead = features.at(counts, counts.values.shape[1], lesson.leads)
    asked = _frame(counts, ahead, covariates)
    names, note = known_ahead.usable(asked.join(wanted, on=["unique_id", "ds"], how="semi"), covariates)
    factor = lesson.factor(names)(_matrix(asked, ahead, lesson.columns, names))
    return asked.select(
        "unique_id",
        pl.lit(cutoff, pl.Datetime("us")).alias("cutoff"),
        "ds",
        pl.Series("mean", ahead.table * np.exp(factor)),
        pl.lit(note, pl.String).alias("failure"),
    )


def _seed(cutoff: datetime) -> int:
    return cutoff.toordinal() * 24 + cutoff.hour


def _teaching(counts: Counts, leads: int, seed: int) -> tuple[Rows, Doubles, Doubles]:
    """Rows of past origins, their outcomes and weights; the more a row can tell, the likelier it is drawn."""
    season, end = SEASON[counts.freq], counts.values.shape[1]
    weeks = end // season - WARM_UP_WEEKS
    apart = max(math.ceil(weeks / MOST_ORIGINS), 1)
    origins = [end - season * week for week in range(1, weeks + 1, apart)]
    drawn = np.random.default_rng(seed)
    total = len(counts.values) * sum(min(leads, end - origin) for origin in origins)
    parts = []
    for origin in origins:
        rows = features.at(counts, origin, min(leads, end - origin))
        information = np.sqrt(rows.table / (1 + USUAL_DISPERSION * rows.table))
        # Not a number: the series had not begun, and has nothing to tell yet.
        chance = np.minimum(information / np.nanmean(information) * MOST_ROWS / total, 1.0)
        held = (counts.known[rows.series, rows.steps] > 0) & (drawn.random(len(chance)) < chance)
        parts.append((rows.series[held], rows.steps[held], rows.table[held], rows.values[held], 1 / chance[held]))
    series, steps, table, values, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    truth = counts.values[series, steps].astype(float)
    alpha = max(float((((truth - table) ** 2 - table) * weights).sum() / ((table**2) * weights).sum()), 0.0)
    return Rows(series, steps, table, values), truth, weights / (1 + alpha * table)


def _frame(counts: Counts, rows: Rows, covariates: pl.DataFrame | None) -> pl.DataFrame:
    """``unique_id, ds`` of rows, with the covariates."""
    ds = np.datetime64(counts.start, "us") + rows.steps * np.timedelta64(STEP[counts.freq])
    frame = pl.DataFrame({"unique_id": counts.ids["unique_id"].gather(rows.series), "ds": ds})
    return known_ahead.joined(frame, covariates)


def _matrix(frame: pl.DataFrame, rows: Rows, columns: int, names: list[str]) -> Floats:
    """The first ``columns`` features and the named covariates."""
    known = frame.select(pl.col(names).cast(pl.Float32)).to_numpy() if names else rows.values[:, :0]
    return np.hstack([rows.values[:, :columns], known])


def _fitted(matrix: Floats, table: Doubles, truth: Doubles, weights: Doubles, seed: int) -> Factor:
    """The fitted logarithm of what multiplies the table."""
    import lightgbm

    data = lightgbm.Dataset(
        matrix,
        truth,
        weight=weights * len(weights) / weights.sum(),
        init_score=np.log(table),
        params={"num_threads": 1, "verbosity": -1},
        free_raw_data=True,
    )
    model = lightgbm.train({**PARAMETERS, "seed": seed % 2**31}, data, ROUNDS)

    def factor(rows: Floats) -> Doubles:
        return np.asarray(model.predict(rows, raw_score=True, num_threads=1), float)

    return factor
