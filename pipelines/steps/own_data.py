"""Your own data: read files, run the pipeline's models on them, write the results."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path

import polars as pl

from pipelines.config import environment, profile_checks
from pipelines.config.progress import Progress, silent
from pipelines.forecast.demand import covariate_rows, own_series, series_checks
from pipelines.forecast.demand.hierarchy import parents
from pipelines.forecast.demand.hierarchy.parents import Hierarchy
from pipelines.forecast.demand.named_days import Place
from pipelines.forecast.demand.series import Frequency
from pipelines.forecast.demand.series_checks import Checked
from pipelines.forecast.risk import own_points, own_streets, point_columns, street_scores
from pipelines.release.pages import risk_figures
from pipelines.steps import own_files, own_output
from pipelines.steps.own_files import OwnDataError

NAMED = 5
"""Maximum number of series named in a note."""


@dataclass(frozen=True, slots=True)
class Source:
    """A user's file, and how it is read; ``country`` and ``subdivision``: whose public holidays its series have.

    ``hierarchy``: a file of the parents of its series; ``covariates``: one of values known ahead;
    ``season``: steps of another cycle than the week that its series have.
    """

    path: Path
    encoding: str | None = None
    fill_zeros: bool = False
    country: str | None = None
    subdivision: str | None = None
    hierarchy: Path | None = None
    covariates: Path | None = None
    season: int | None = None

    @property
    def inputs(self) -> list[Path]:
        """Return all files that are read."""
        return [path for path in (self.path, self.hierarchy, self.covariates) if path is not None]

    def place(self) -> Place | None:
        """Return the place of the holidays; None without a country.

        Raises:
            OwnDataError: Its holidays are not known.
        """
        if self.country is None:
            if self.subdivision is not None:
                raise OwnDataError("--subdivision needs the --country that it is in")
            return None
        if unknown := profile_checks.unknown_holidays(self.country, self.subdivision):
            option, reason = unknown
            raise OwnDataError(f"--{option}: {reason}")
        return Place(self.country, self.subdivision)


def predict_demand(
    source: Source, freq: Frequency, horizon: int, target: Path, progress: Progress = silent, note: Progress = silent
) -> dict[str, str]:
    """Forecast the series in a file (``unique_id, ds, y``), write the quantiles; return what was left out.

    ``note`` receives what might mislead.
    """
    own_output.check_file(target, *source.inputs, formats=own_output.TABLES)
    place = source.place()
    checked, hierarchy = _series(source, freq, note)
    forecasts = own_series.predict(
        checked.series,
        freq,
        horizon,
        environment.load().processes,
        progress,
        place=place,
        hierarchy=hierarchy,
        covariates=_covariates(source, note),
        note=note,
        season=source.season,
    )
    own_output.write_table(forecasts, target)
    return checked.refused


def backtest_demand(
    source: Source,
    freq: Frequency,
    horizon: int,
    origins: int,
    step: int,
    folder: Path,
    progress: Progress = silent,
    note: Progress = silent,
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Score the models on the series in a file; return the scores, and the series left out with the reason.

    ``note`` receives what might mislead, and the series too short to score.

    Writes ``forecasts``, ``scores``, ``series_scores``, ``weights`` and ``pits`` as Parquet, and ``series.png``.
    """
    from pipelines.forecast.demand import backtest_figure, backtest_summary

    own_output.check_folder(folder)
    place = source.place()
    checked, hierarchy = _series(source, freq, note)
    frame = checked.series
    result = own_series.backtest(
        frame,
        freq,
        horizon,
        origins,
        step,
        environment.load().processes,
        progress,
        place=place,
        hierarchy=hierarchy,
        covariates=_covariates(source, note),
        note=note,
        season=source.season,
    )
    frames = {field.name: getattr(result, field.name) for field in fields(result)}
    scores = _keep(folder, **frames)
    backtest_figure.save(result, folder / "series.png")
    scored = set(result.series_scores["unique_id"].cast(pl.String))
    sums = [] if hierarchy is None else hierarchy.below["parent"].to_list()
    unscored = sorted({*frame["unique_id"].cast(pl.String).unique(), *sums} - scored)
    scored_at = result.forecasts.group_by("unique_id").agg(pl.col("cutoff").n_unique()).sort("cutoff", "unique_id")
    if (few := scored_at.filter(pl.col("cutoff") < origins)).height:
        name, count = few.row(0)
        note(
            f"{few.height} series are scored at fewer than {origins} origins (series {name}: {count}): the others are "
            "too early"
        )
    note(backtest_summary.sentence(scores, freq))
    if unscored:
        named = ", ".join(unscored[:NAMED]) + (", …" if len(unscored) > NAMED else "")
        note(f"{len(unscored)} series are too short for one origin and not scored: {named}; use a shorter horizon")
    return scores, checked.refused


def predict_risk(
    source: Source,
    task: own_points.Task | own_streets.StreetTask,
    start: date,
    days: int,
    target: Path,
    progress: Progress = silent,
    note: Progress = silent,
) -> None:
    """Rank the cells or streets of an area from the points in a file and write them with their geometry."""
    inputs = (task.boundary, task.streets) if isinstance(task, own_streets.StreetTask) else (task.boundary,)
    own_output.check_file(target, source.path, *inputs, formats=own_points.FORMATS)
    points = _points(source, note)
    if isinstance(task, own_streets.StreetTask):
        risk = own_streets.predict_streets(points, task, start, days, progress, note)
    else:
        risk = own_points.predict_points(points, task, start, days, progress, note)
    with own_output.writing(target.parent):
        own_points.save(risk, target)


def backtest_risk(
    source: Source,
    task: own_points.Task | own_streets.StreetTask,
    start: date,
    days: int,
    origins: int,
    step: int,
    folder: Path,
    progress: Progress = silent,
    note: Progress = silent,
) -> pl.DataFrame:
    """Score the models on the points in a file; write and return them: Parquet, and of cells two figures (SVG)."""
    own_output.check_folder(folder)
    frame = _points(source, note)
    if isinstance(task, own_streets.StreetTask):
        listed = street_scores.backtest_streets(frame, task, start, days, origins, step, progress, note)
        return _keep(folder, listed.scores, windows=listed.windows)
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


def _series(source: Source, freq: Frequency, note: Progress) -> tuple[Checked, Hierarchy | None]:
    """Return the series that can be used, and the parents that can be forecast."""
    wanted = (*series_checks.COLUMNS, *series_checks.OPTIONAL)
    checked = series_checks.usable(own_files.read(source.path, wanted, source.encoding, note), freq, source.fill_zeros)
    for text in checked.notes:
        note(text)
    if source.hierarchy is None:
        return checked, None
    rows = own_files.read(source.hierarchy, parents.COLUMNS, source.encoding, note)
    names = checked.series["unique_id"].cast(pl.String).unique()
    listed = parents.read(rows, {*names, *checked.refused}, source.hierarchy.name)
    unusable = parents.unusable(listed, checked.series, checked.refused)
    hierarchy = listed.without(unusable)
    text_ids = checked.series.with_columns(pl.col("unique_id").cast(pl.String))
    if few_known := parents.note(text_ids, parents.counts(text_ids, hierarchy), hierarchy):
        note(few_known)
    left = hierarchy if hierarchy.paths else None
    return replace(checked, refused=checked.refused | unusable), left


def _covariates(source: Source, note: Progress) -> pl.DataFrame | None:
    if source.covariates is None:
        return None
    return covariate_rows.read(own_files.read(source.covariates, (), source.encoding, note))


def _points(source: Source, note: Progress) -> pl.DataFrame:
    return own_files.read(source.path, point_columns.COLUMNS, source.encoding, note)


def _keep(folder: Path, scores: pl.DataFrame, **others: pl.DataFrame) -> pl.DataFrame:
    with own_output.writing(folder):
        for name, frame in {**others, "scores": scores}.items():
            frame.write_parquet(folder / f"{name}.parquet")
    return scores
