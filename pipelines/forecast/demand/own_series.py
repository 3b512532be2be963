"""The demand models on anybody's series: forecasts and a rolling-origin backtest, without the pipeline."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import polars as pl

from pipelines.forecast.demand import calibration, models, prophet_mean, publishing, rolling, scoring
from pipelines.forecast.demand.models import BASELINE, TABLE
from pipelines.forecast.demand.publishing import Published
from pipelines.forecast.demand.quantiles import COLUMNS
from pipelines.forecast.demand.selection import CHOICE, CHOSEN
from pipelines.forecast.demand.series import STEP, Frequency, SeriesError, check, steps_after

TEACHING_ORIGINS: Final = 6
"""Origins before the first forecast, from which models are chosen and ranges learnt; half a horizon apart in
``predict``."""
LEAST_PER_DAY: Final = 1.0
TOO_SHORT: Final = "the series are too short for one origin: give fewer steps ahead"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a backtest found.

    ``forecasts``: ``unique_id, cutoff, ds, y, model, models, is_baseline, mean, q0.05 … q0.99``; what would have been
    published is ``chosen``, ``models`` says what it is made of, and ``is_baseline`` is false for it alone.
    ``scores``: ``model, is_baseline`` and ``scoring.SCORES``, skill over the weekly table. ``series_scores``: the same
    by ``unique_id``. ``choices``: ``unique_id, cutoff, block`` and ``selection.CHOICE``. ``pits``: counts of the
    randomised PIT by ``model``.
    """

    forecasts: pl.DataFrame
    scores: pl.DataFrame
    series_scores: pl.DataFrame
    choices: pl.DataFrame
    pits: pl.DataFrame


def predict(
    series: pl.DataFrame, freq: Frequency, horizon: int, processes: int = 1, progress: Progress | None = None
) -> pl.DataFrame:
    """Forecast the ``horizon`` hours or days after each series' last row.

    Args:
        series: ``unique_id, ds, y``: local wall-clock times, zeros as rows, unknown hours or days left out.
        freq: ``h`` or ``D``.
        horizon: Steps ahead.
        processes: Processes that fit Prophet side by side (days only).
        progress: Told (fits done, fits in all).

    Returns:
        ``unique_id, ds, mean, model, q0.05 … q0.99``, one row per series and step.

    Raises:
        SeriesError: the series cannot be used as given.
    """
    history, last = _numbered(series, freq)
    teaching = rolling.past_targets(last, freq, horizon, STEP[freq] * max(horizon // 2, 1), TEACHING_ORIGINS)
    ahead = _ahead(last, freq, horizon)
    made = _published(history, pl.concat([teaching, ahead.select(teaching.columns)]), freq, processes, progress)
    wanted = made.forecasts.filter(pl.col("model") == CHOSEN).join(
        last.select("unique_id", "cutoff"), on=["unique_id", "cutoff"], how="semi", maintain_order="left"
    )
    return (
        calibration.with_quantiles(wanted, made.curves)
        .select(pl.col("name").alias("unique_id"), "ds", "mean", pl.col("models").alias("model"), *COLUMNS)
        .sort("unique_id", "ds")
    )


def backtest(
    series: pl.DataFrame,
    freq: Frequency,
    horizon: int,
    origins: int,
    step: int,
    processes: int = 1,
    progress: Progress | None = None,
) -> Backtest:
    """Forecast from ``origins`` past cutoffs, ``step`` steps apart, and score against what came.

    The last origin lies ``horizon`` steps before each series' end. Models and ranges at an origin are learnt before it;
    ``TEACHING_ORIGINS`` more, as far apart, go before the first and are not scored.

    Raises:
        SeriesError: the series cannot be used as given, or are too short.
    """
    if origins < 1 or step < 1 or horizon < 1:
        raise SeriesError("--origins, --step and --horizon must be 1 or more")
    history, last = _numbered(series, freq)
    first_end = last.with_columns(pl.col("cutoff") - STEP[freq] * horizon + STEP[freq] * step)
    targets = rolling.past_targets(first_end, freq, horizon, STEP[freq] * step, origins + TEACHING_ORIGINS)
    made = _published(history, targets, freq, processes, progress)
    is_scored = pl.col("cutoff").rank("dense", descending=True).over("unique_id") <= origins
    known = made.forecasts.filter(is_scored & pl.col("y").is_not_null())
    if known.is_empty():
        raise SeriesError(TOO_SHORT)
    ranged = calibration.with_quantiles(known, made.curves)
    # The scale is what was known before the first scored cutoff, so that it is the same for all models and origins.
    scored = ranged.join(
        _scales(history, ranged, freq), on="unique_id", how="left", maintain_order="left"
    ).with_columns((pl.col("model") != CHOSEN).alias("is_baseline"))
    return _told(scored, made, freq)


def _told(scored: pl.DataFrame, made: Published, freq: Frequency) -> Backtest:
    """The frames of a backtest under the series' own names."""
    by = ["model", "is_baseline"]
    named = scored.rename({"unique_id": "number", "name": "unique_id"})
    keys = ["unique_id", "cutoff"]
    overall, each = scoring.score(named, by, made.curves), scoring.score(named, ["unique_id", *by], made.curves)
    table = TABLE[freq]
    names = scored.select("unique_id", "name").unique()
    cutoffs = scored.select("unique_id", "cutoff").unique()
    choices = made.choices.join(cutoffs, on=["unique_id", "cutoff"], how="semi").join(names, on="unique_id")
    forecasts = named.select("unique_id", "cutoff", "ds", "y", "model", "models", "is_baseline", "mean", *COLUMNS)
    return Backtest(
        forecasts.sort("unique_id", "cutoff", "ds", "model"),
        scoring.with_skill(overall, named, [], table, keys).sort("is_baseline", "model"),
        scoring.with_skill(each, named, ["unique_id"], table, keys).sort("unique_id", "is_baseline", "model"),
        choices.select(pl.col("name").alias("unique_id"), "cutoff", block_name(), *CHOICE).sort(
            "unique_id", "cutoff", "block"
        ),
        scoring.pit_histogram(scored, ["model"], made.curves),
    )


def block_name() -> pl.Expr:
    """The words of a horizon block."""
    return pl.col("block").replace_strict(dict(enumerate(calibration.BLOCKS)), return_dtype=pl.String)


def _scales(history: pl.DataFrame, targets: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """The lag-season error of each series before its first cutoff."""
    begin = targets.group_by("unique_id").agg(pl.col("cutoff").min().alias("begin"))
    return scoring.season_errors(history.join(begin, on="unique_id").filter(pl.col("ds") < pl.col("begin")), freq)


def _numbered(series: pl.DataFrame, freq: Frequency) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The checked series with integer ids, and ``unique_id, name, pool, cutoff`` of each."""
    checked = check(series, freq)
    last = (
        checked.group_by("unique_id")
        .agg((pl.col("ds").max() + STEP[freq]).alias("cutoff"))
        .sort("unique_id")
        .rename({"unique_id": "name"})
        .with_row_index("unique_id")
        .with_columns(pl.lit("all").alias("pool"), pl.lit("all").alias("level"))
    )
    history = checked.rename({"unique_id": "name"}).join(last.select("name", "unique_id"), on="name")
    return history.select("unique_id", "ds", "y"), last


def _ahead(last: pl.DataFrame, freq: Frequency, horizon: int) -> pl.DataFrame:
    return pl.concat(
        group.drop("cutoff").join(steps_after(cutoff, freq, horizon), how="cross")
        for (cutoff,), group in last.group_by("cutoff", maintain_order=True)
    )


def _published(
    history: pl.DataFrame, targets: pl.DataFrame, freq: Frequency, processes: int, progress: Progress | None
) -> Published:
    """All models' rows and the chosen one for all targets."""
    fit = partial(prophet_mean.predict, holiday_days=prophet_mean.NO_HOLIDAYS, processes=processes, progress=progress)
    asked = models.available(freq, fit, LEAST_PER_DAY)
    said = rolling.run(asked, history, targets.with_columns(is_asked=pl.lit(True)))
    if said["mean"].is_null().all():
        raise SeriesError(TOO_SHORT)
    scales = _scales(history, targets, freq)
    return publishing.published(said, scales, models.ORDER, BASELINE, freq)
