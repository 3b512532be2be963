"""The demand models on anybody's series: forecasts and a rolling-origin backtest, without the pipeline."""

from collections.abc import Callable
from functools import partial
from typing import Final

import polars as pl

from pipelines.forecast.demand import calibration, models, prophet_mean, rolling, scoring
from pipelines.forecast.demand.models import BASELINE
from pipelines.forecast.demand.quantiles import COLUMNS, with_quantiles
from pipelines.forecast.demand.series import STEP, Frequency, SeriesError, check, steps_after

TEACHING_ORIGINS: Final = 4
"""Origins before a forecast, half a horizon apart, that only teach its ranges."""
LEAST_PER_DAY: Final = 1.0

Progress = Callable[[int, int], None]


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
    said = _ask(history, pl.concat([teaching, ahead.select(teaching.columns)]), freq, processes, progress)
    wanted = said.join(
        last.select("unique_id", "cutoff"), on=["unique_id", "cutoff"], how="semi", maintain_order="left"
    )
    return (
        with_quantiles(wanted.filter(~pl.col("is_baseline")))
        .select(pl.col("name").alias("unique_id"), "ds", "mean", "model", *COLUMNS)
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
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Forecast from ``origins`` past cutoffs, ``step`` steps apart, and score against what came.

    The last origin lies ``horizon`` steps before each series' end. Ranges at an origin are learnt before it; two more
    origins, as far apart, go before the first and are not scored.

    Returns:
        The forecasts (``unique_id, cutoff, ds, y, model, is_baseline, mean, q0.05 … q0.99``) and the scores (``model,
        is_baseline``, ``scoring.SCORES``). What would have been published has ``is_baseline`` false.
    """
    if origins < 1 or step < 1 or horizon < 1:
        raise SeriesError("--origins, --step and --horizon must be 1 or more")
    history, last = _numbered(series, freq)
    first_end = last.with_columns(pl.col("cutoff") - STEP[freq] * horizon + STEP[freq] * step)
    targets = rolling.past_targets(first_end, freq, horizon, STEP[freq] * step, origins + 2)
    said = _ask(history, targets, freq, processes, progress)
    is_scored = pl.col("cutoff").rank("dense", descending=True).over("unique_id") <= origins
    scored = with_quantiles(said.filter(pl.col("y").is_not_null(), is_scored))
    if scored.is_empty():
        raise SeriesError("the series are too short for one origin: give fewer steps ahead")
    # The scale is what was known before the first scored cutoff, so that it is the same for all models and origins.
    begin = scored.group_by("unique_id").agg(pl.col("cutoff").min().alias("begin"))
    known = history.join(begin, on="unique_id").filter(pl.col("ds") < pl.col("begin"))
    scored = scored.join(scoring.season_errors(known, freq), on="unique_id", how="left", maintain_order="left")
    published = scored.filter(~pl.col("is_baseline")).with_columns(
        pl.col("model").unique().sort().str.join(", ").alias("model")
    )
    floors = scored.filter((pl.col("model") == BASELINE) | pl.col("is_baseline")).with_columns(is_baseline=pl.lit(True))
    scores = scoring.score(pl.concat([published, floors]), ["model", "is_baseline"])
    forecasts = scored.select(
        pl.col("name").alias("unique_id"), "cutoff", "ds", "y", "model", "is_baseline", "mean", *COLUMNS
    )
    return forecasts.sort("unique_id", "cutoff", "ds", "model"), scores


def _numbered(series: pl.DataFrame, freq: Frequency) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The checked series with integer ids, and ``unique_id, name, pool, cutoff`` of each."""
    checked = check(series, freq)
    last = (
        checked.group_by("unique_id")
        .agg((pl.col("ds").max() + STEP[freq]).alias("cutoff"))
        .sort("unique_id")
        .rename({"unique_id": "name"})
        .with_row_index("unique_id")
        .with_columns(pl.lit("all").alias("pool"))
    )
    history = checked.rename({"unique_id": "name"}).join(last.select("name", "unique_id"), on="name")
    return history.select("unique_id", "ds", "y"), last


def _ahead(last: pl.DataFrame, freq: Frequency, horizon: int) -> pl.DataFrame:
    return pl.concat(
        group.drop("cutoff").join(steps_after(cutoff, freq, horizon), how="cross")
        for (cutoff,), group in last.group_by("cutoff", maintain_order=True)
    )


def _ask(
    history: pl.DataFrame, targets: pl.DataFrame, freq: Frequency, processes: int, progress: Progress | None
) -> pl.DataFrame:
    """All models' calibrated rows for all targets, with the published one marked."""
    fit = partial(prophet_mean.predict, holiday_days=prophet_mean.NO_HOLIDAYS, processes=processes, progress=progress)
    asked = models.hourly() if freq == "h" else models.daily(fit, LEAST_PER_DAY)
    said = rolling.run(asked, history, targets.with_columns(is_asked=pl.lit(True)))
    return models.choose(calibration.dispersed(said, BASELINE), freq)
