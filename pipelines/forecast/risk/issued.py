"""Scores of issued risk: the selected cells, compared with as many cells by the best count, once a window has ended.

If patrols are known (`core.patrols`), the selected cells are also split by whether they were patrolled in the window.
Neither half measures the effect of patrols: they go where risk is forecast to be high, and prevented crime is not
recorded. Few hits in patrolled cells may be due to the patrols or to the forecast.
"""

from datetime import date, datetime
from typing import Final

import polars as pl

from pipelines.config.profile import Profile
from pipelines.forecast.risk.evaluation import scoring
from pipelines.forecast.risk.models.stack import BEST_COUNT, STACK
from pipelines.forecast.risk.nightly import SCORE_COLUMNS

KEYS: Final = ("reference_at", "category", "window")
_SPAN: Final = ("window", "target_start", "target_end")
ALL: Final = "all"
SPLITS: Final = {
    ALL: pl.lit(True),
    "true": pl.col("patrol_minutes") > 0,
    "false": pl.col("patrol_minutes") == 0,
}
"""``patrolled``; a window without recorded patrols has only ``all``."""


def score_issued(
    forecasts: pl.DataFrame,
    crime_daily: pl.DataFrame,
    known_through: datetime,
    profile: Profile,
    patrols: pl.DataFrame | None = None,
    gaps: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Score issued risk whose window has fully passed, without a day on which the category was unknown.

    Args:
        forecasts: ``forecast.risk`` rows, all cells, of any number of ``reference_at``.
        crime_daily: ``marts.crime_daily`` as now known.
        known_through: Up to when (UTC) records are complete.
        profile: Time zone.
        patrols: ``core.patrols`` as now known (``cell_id, slot_start_at, patrol_minutes``), or None.
        gaps: ``marts.crime_gaps``; none: all days are known.

    Returns:
        ``forecast.risk_scores`` with ``origin_kind`` ``issued``.
    """
    passed = forecasts.filter(pl.col("target_end") <= known_through).with_columns(_days(profile))
    due = scoring.known_only(passed, "first", "last", gaps).drop("first", "last").sort(*KEYS, "rank")
    if due.is_empty():
        return pl.DataFrame(schema=SCORE_COLUMNS)
    known = _with_minutes(_with_outcomes(due, crime_daily, profile), patrols)
    windows = pl.concat(
        _counted(known, model, pl.col(chosen) & kept, rate).with_columns(pl.lit(patrolled).alias("patrolled"))
        for model, chosen, rate in (
            (STACK, "is_selected", "expected"),
            (BEST_COUNT, "is_plain", "baseline_expected"),
        )
        for patrolled, kept in SPLITS.items()
    ).filter((pl.col("cells") > 0) | (pl.col("patrolled") == ALL))
    by = [*KEYS, "model", "patrolled"]
    scores = (
        scoring.score(windows, by)
        .join(windows.select(*by, "patrol_minutes"), on=by)
        .with_columns(
            pl.lit("issued").alias("origin_kind"),
            (pl.col("model") == BEST_COUNT).alias("is_baseline"),
            *(pl.lit(None, pl.Float64).alias(name) for name in scoring.GAINS),
        )
    )
    return scores.select(*SCORE_COLUMNS).sort(by)


def _days(profile: Profile) -> list[pl.Expr]:
    """Return the local days of a window, ``first`` and ``last``, which is excluded."""
    names = {"first": "target_start", "last": "target_end"}
    return [pl.col(column).dt.convert_time_zone(profile.zone.key).dt.date().alias(day) for day, column in names.items()]


def _with_outcomes(due: pl.DataFrame, crime_daily: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Return every cell's incidents in its window and in as many days before, and whether the best count selects it."""
    spans = due.select(*KEYS, *_days(profile)).unique()
    earlier = spans.with_columns(pl.col("first") - (pl.col("last") - pl.col("first")), pl.col("first").alias("last"))
    fell, before = _fell(spans, crime_daily), _fell(earlier, crime_daily)
    return (
        due.join(spans, on=KEYS)
        .join(fell, on=[*KEYS, "cell_id"], how="left", maintain_order="left")
        .join(before.rename({"incidents": "prior"}), on=[*KEYS, "cell_id"], how="left", maintain_order="left")
        .with_columns(pl.col("incidents", "prior").fill_null(0), pl.col("is_selected").sum().over(KEYS).alias("cells"))
        # Issued ranks, which are unique, also order cells with equal baselines.
        .sort(*KEYS, "baseline_expected", "rank", descending=[False, False, False, True, False])
        .with_columns((pl.int_range(pl.len()).over(KEYS) < pl.col("cells")).alias("is_plain"))
    )


def _with_minutes(known: pl.DataFrame, patrols: pl.DataFrame | None) -> pl.DataFrame:
    """Return every cell's patrol minutes in slots that begin in its window; null without recorded patrols."""
    if patrols is None:
        return known.with_columns(pl.lit(None, pl.Float64).alias("patrol_minutes"))
    spans = known.select(_SPAN).unique()
    minutes = (
        spans.join(patrols.sort("cell_id", "slot_start_at"), how="cross")
        .filter(pl.col("slot_start_at") >= pl.col("target_start"), pl.col("slot_start_at") < pl.col("target_end"))
        .group_by(*_SPAN, "cell_id", maintain_order=True)
        .agg(pl.col("patrol_minutes").sum())
    )
    recorded = minutes.select(*_SPAN, pl.lit(True).alias("is_recorded")).unique()
    return (
        known.join(minutes, on=[*_SPAN, "cell_id"], how="left", maintain_order="left")
        .join(recorded, on=_SPAN, how="left", maintain_order="left")
        .with_columns(pl.when("is_recorded").then(pl.col("patrol_minutes").fill_null(0.0)))
    )


def _fell(spans: pl.DataFrame, crime_daily: pl.DataFrame) -> pl.DataFrame:
    """Count incidents per span and cell on days from ``first`` and before ``last``."""
    return (
        spans.join(crime_daily, on="category")
        .filter(pl.col("occurrence_date") >= pl.col("first"), pl.col("occurrence_date") < pl.col("last"))
        .group_by(*KEYS, "cell_id")
        .agg(pl.col("incidents").sum())
    )


def _counted(known: pl.DataFrame, model: str, chosen: pl.Expr, rate: str) -> pl.DataFrame:
    """Return one row per window for `scoring.score`; ``chosen`` marks the selected cells."""
    fell, prior, k = pl.col("incidents"), pl.col("prior"), pl.col("chosen").sum()
    likelihood = pl.Series("log_score", scoring.log_likelihood(known["incidents"].to_numpy(), known[rate].to_numpy()))
    return (
        known.with_columns(likelihood, chosen.fill_null(False).alias("chosen"))
        .group_by(KEYS, maintain_order=True)
        .agg(
            pl.lit(model).first().alias("model"),
            (pl.col("first").first() - date(1970, 1, 1)).dt.total_days().alias("origin_day"),
            (pl.col("last").first() - pl.col("first").first()).dt.total_days().alias("days"),
            k.cast(pl.Int64).alias("cells"),
            (k / pl.len()).alias("area_share"),
            fell.filter("chosen").sum().alias("hits"),
            fell.sort(descending=True).head(k).sum().alias("most_hits"),
            (fell.filter("chosen") > 0).sum().cast(pl.Int64).alias("hit_cells"),
            fell.sum(),
            prior.filter("chosen").sum().alias("prior_hits"),
            prior.sum().alias("prior_incidents"),
            pl.col("log_score").mean(),
            pl.when(pl.col("patrol_minutes").count() > 0)
            .then(pl.col("patrol_minutes").filter("chosen").sum())
            .alias("patrol_minutes"),
        )
    )
