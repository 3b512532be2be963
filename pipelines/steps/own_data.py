"""Your own data: read files, run the pipeline's models on them, write the results."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from pipelines.config import environment
from pipelines.config.errors import BongsuError
from pipelines.config.progress import Progress, silent
from pipelines.forecast.demand import own_series
from pipelines.forecast.risk import own_points
from pipelines.release.pages import risk_figures

NAMED = 5
"""Maximum number of series named in a note."""


class OwnDataError(BongsuError, ValueError):
    """Report that a file cannot be read or written as requested: which, and what is possible."""


def predict_demand(
    source: Path, freq: Literal["h", "D"], horizon: int, target: Path, progress: Progress = silent
) -> None:
    """Forecast the series in a file (``unique_id, ds, y``) and write the quantiles as Parquet."""
    forecasts = own_series.predict(read(source), freq, horizon, environment.load().processes, progress)
    target.parent.mkdir(parents=True, exist_ok=True)
    forecasts.write_parquet(target)


def backtest_demand(
    source: Path,
    freq: Literal["h", "D"],
    horizon: int,
    origins: int,
    step: int,
    folder: Path,
    progress: Progress = silent,
    note: Progress = silent,
) -> pl.DataFrame:
    """Score the models on the series in a file and return the scores; ``note`` receives those too short to score.

    Writes ``forecasts``, ``scores``, ``series_scores``, ``choices`` and ``pits`` as Parquet, and ``series.png``.
    """
    from pipelines.forecast.demand import backtest_figure

    frame = read(source)
    result = own_series.backtest(frame, freq, horizon, origins, step, environment.load().processes, progress)
    frames = {field.name: getattr(result, field.name) for field in fields(result)}
    scores = _keep(folder, **frames)
    backtest_figure.save(result, folder / "series.png")
    scored = set(result.series_scores["unique_id"].cast(pl.String))
    unscored = sorted(set(frame["unique_id"].cast(pl.String).unique()) - scored)
    if unscored:
        named = ", ".join(unscored[:NAMED]) + (", …" if len(unscored) > NAMED else "")
        note(f"{len(unscored)} series are too short for one origin and not scored: {named}; use a shorter horizon")
    return scores


def predict_risk(
    source: Path,
    task: own_points.Task,
    start: date,
    days: int,
    target: Path,
    progress: Progress = silent,
    note: Progress = silent,
) -> None:
    """Rank the cells of an area from the points in a file and write them with their geometry."""
    target.parent.mkdir(parents=True, exist_ok=True)
    own_points.save(own_points.predict_points(read(source, is_dated=False), task, start, days, progress, note), target)


def backtest_risk(
    source: Path,
    task: own_points.Task,
    start: date,
    days: int,
    origins: int,
    step: int,
    folder: Path,
    progress: Progress = silent,
    note: Progress = silent,
) -> pl.DataFrame:
    """Score the models on the points in a file; write all as Parquet, two figures as SVG, and return the scores."""
    frame = read(source, is_dated=False)
    result = own_points.backtest_points(frame, task, start, days, origins, step, progress, note)
    _keep(folder, result.scores, windows=result.windows, curves=result.curves, calibration=result.calibration)
    categories = result.curves["category"].unique().sort().to_list()
    for name, frame, draw, height, models in (
        ("curves", result.curves, risk_figures.hit_curve, risk_figures.CURVE_HEIGHT, 3),
        ("calibration", result.calibration, risk_figures.calibration, risk_figures.RATIO_HEIGHT, 2),
    ):
        panels = [(category, draw(frame.filter(category=category))) for category in categories]
        (folder / f"{name}.svg").write_text(risk_figures.sheet(panels, height, f"{name} of risk", models), "utf-8")
    return result.scores


def read(path: Path, is_dated: bool = True) -> pl.DataFrame:
    """Read a Parquet or CSV file.

    Args:
        path: Ends in .parquet or .csv.
        is_dated: Whether text in a CSV that looks like times becomes times; Polars reads 03/04 as the 3rd of April, and
            converts zoned times to UTC.

    Raises:
        OwnDataError: It is neither, or does not exist.
    """
    if not path.is_file():
        raise OwnDataError(f"{path} does not exist")
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    if path.suffix == ".csv":
        return pl.read_csv(path, try_parse_dates=is_dated)
    raise OwnDataError(f"cannot read {path.name}: give a .parquet or .csv file")


def _keep(folder: Path, scores: pl.DataFrame, **others: pl.DataFrame) -> pl.DataFrame:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in {**others, "scores": scores}.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return scores
