"""Commands without the pipeline: `predict` and `backtest` on your own files, and `simulate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import OWN, AsOf, Encoding
from pipelines.cli.point_options import (
    AreaKm2,
    Boundary,
    Cell,
    Crs,
    Days,
    LastStart,
    LengthKm,
    Points,
    Start,
    StreetFile,
    Where,
    task_of,
)
from pipelines.cli.series_options import (
    Country,
    Covariates,
    FillZeros,
    Freq,
    HierarchyFile,
    Horizon,
    PastSeries,
    Season,
    Series,
    Subdivision,
)
from pipelines.cli.terminal import bar_of, err, out, progress_of, table_of

predict = typer.Typer(no_args_is_help=True, help="Try the models on your own data, without the pipeline.")
backtest = typer.Typer(
    no_args_is_help=True,
    help="Score the models on your own data by repeatedly forecasting from past dates (rolling origin).",
)


def add_to(app: typer.Typer) -> None:
    """Register the commands of this panel."""
    app.command(rich_help_panel=OWN)(simulate)
    app.add_typer(predict, name="predict", rich_help_panel=OWN)
    app.add_typer(backtest, name="backtest", rich_help_panel=OWN)


SOME_LEFT_OUT = 3
"""Exit code where some series could not be used."""
SHOWN = ["model", "targets", "scaled_pinball", "skill", "skill_low", "skill_high", "worse_share", "coverage_80",
    "expected_coverage_80", "mase", "bias"]  # fmt: skip
"""Scores of a demand backtest that fit on a screen; its folder has all of them."""


@predict.command("demand")
def predict_demand(
    source: Series,
    freq: Freq,
    horizon: Horizon,
    out_file: Annotated[Path, typer.Option("--out", help="CSV or Parquet to write.")],
    fill_zeros: FillZeros = False,
    encoding: Encoding = None,
    country: Country = None,
    subdivision: Subdivision = None,
    hierarchy: HierarchyFile = None,
    covariates: Covariates = None,
    season: Season = None,
) -> None:
    """Forecast counts per series: unique_id, ds, mean, the models used, and quantiles (whole numbers, 0 or more).

    With --hierarchy, parents too: means that add up (model sum_of_parts), and ranges that know which series move
    together.

    A series that cannot be used is named and left out; then the exit code is 3.
    """
    from pipelines.steps import own_data

    with progress_of("predict") as show:
        refused = own_data.predict_demand(
            own_data.Source(source, encoding, fill_zeros, country, subdivision, hierarchy, covariates, season),
            freq.value,
            horizon,
            out_file,
            show,
            _note,
        )
    err.print(f"written: {out_file}", markup=False, soft_wrap=True)
    _exit_if_any(refused)


@predict.command("risk")
def predict_risk(
    source: Points,
    crs: Crs,
    boundary: Boundary,
    cell: Cell,
    start: Start,
    days: Days,
    out_file: Annotated[Path, typer.Option("--out", help="GeoParquet (.parquet) or GeoJSON (.geojson) to write.")],
    area_km2: AreaKm2 = None,
    encoding: Encoding = None,
    placement: Where = None,
    streets: StreetFile = None,
    length_km: LengthKm = None,
) -> None:
    """Rank the cells or street segments of an area by expected incidents.

    `is_selected` marks the highest-ranked, as many as fit into --area-km2 or --length-km.
    """
    from pipelines.steps import own_data

    task = task_of(crs, boundary, cell, area_km2, placement, streets, length_km)
    with progress_of("predict") as show:
        own_data.predict_risk(own_data.Source(source, encoding), task, start, days, out_file, show, _note)
    err.print(f"written: {out_file}", markup=False, soft_wrap=True)


@backtest.command("demand")
def backtest_demand(
    source: PastSeries,
    freq: Freq,
    horizon: Horizon,
    origins: Annotated[
        int,
        typer.Option(
            "--origins",
            min=1,
            help="Number of past dates to forecast from (origins); the last one is --horizon before the end.",
        ),
    ],
    step: Annotated[int, typer.Option("--step", min=1, help="Steps between two origins.")],
    folder: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder for Parquet files (forecasts, scores, weights of the models) and a plot (series.png).",
        ),
    ],
    fill_zeros: FillZeros = False,
    encoding: Encoding = None,
    country: Country = None,
    subdivision: Subdivision = None,
    hierarchy: HierarchyFile = None,
    covariates: Covariates = None,
    season: Season = None,
) -> None:
    """Score the weighted mean of the models and each single model on your own series, at past dates.

    `skill` compares with hour-of-week averages (day-of-week averages for --freq D): above 0 is better. With
    --hierarchy, parents have scores of their own (is_parent): chosen is the sum, direct a forecast of the parent alone.

    A series that cannot be used is named and left out; then the exit code is 3.
    """
    from pipelines.steps import own_data

    with progress_of("backtest") as show:
        scores, refused = own_data.backtest_demand(
            own_data.Source(source, encoding, fill_zeros, country, subdivision, hierarchy, covariates, season),
            freq.value,
            horizon,
            origins,
            step,
            folder,
            show,
            _note,
        )
    out.print(table_of(scores.select(["is_parent", *SHOWN] if hierarchy else SHOWN)))
    _exit_if_any(refused)


@backtest.command("risk")
def backtest_risk(
    source: Points,
    crs: Crs,
    boundary: Boundary,
    cell: Cell,
    start: LastStart,
    days: Days,
    origins: Annotated[
        int,
        typer.Option(
            "--origins",
            min=1,
            help="Number of forecast windows; the last begins on --start, each earlier one --step days before.",
        ),
    ],
    step: Annotated[int, typer.Option("--step", min=1, help="Days between the starts of two windows.")],
    folder: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder for Parquet files (windows, scores; of cells also curves, calibration) and figures (SVG).",
        ),
    ],
    area_km2: AreaKm2 = None,
    encoding: Encoding = None,
    placement: Where = None,
    streets: StreetFile = None,
    length_km: LengthKm = None,
) -> None:
    """Score every model and the stack on your own points, at past dates: hit rate, PAI, PEI*, with intervals.

    With --streets, the list of segments (`listed`) against plain counts of the same total length.

    The scores are explained in docs/patterns-and-risk.md and docs/glossary.md.
    """
    from pipelines.steps import own_data

    task = task_of(crs, boundary, cell, area_km2, placement, streets, length_km)
    with progress_of("backtest") as show:
        scores = own_data.backtest_risk(
            own_data.Source(source, encoding), task, start, days, origins, step, folder, show, _note
        )
    out.print(table_of(scores))


def _note(text: str) -> None:
    err.print(f"note: {text}", markup=False, soft_wrap=True)


def _exit_if_any(refused: Mapping[str, str]) -> None:
    """Name the series that were left out, and exit with a code of their own."""
    if refused:
        for reason in list(refused.values())[:10]:
            err.print(f"left out: {reason}", markup=False, soft_wrap=True)
        if len(refused) > 10:
            err.print(f"left out: {len(refused) - 10} more")
        raise typer.Exit(SOME_LEFT_OUT)


def simulate(
    days: Annotated[int, typer.Option(min=1, help="Number of days, up to --as-of.")] = 30,
    scale: Annotated[
        float | None, typer.Option(min=0, help="Share of the real volume. Default: the profile's.")
    ] = None,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve",
            help="Write no files; serve the agencies' interfaces on a free port of 127.0.0.1 and print the addresses.",
        ),
    ] = False,
    to: Annotated[Path, typer.Option("--out", help="Folder for Parquet files; not used with --serve.")] = Path(
        "simulated"
    ),
    profile: Annotated[str, typer.Option(help="A profile with a simulator.")] = "korea",
    province: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Only this province (repeatable). Default: the whole country."),
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Write simulated incidents as Parquet, with the truth behind them; or serve them as the agencies would.

    The truth is what an analysis should find: true times and places, outbreaks, near repeats, joint incidents.
    """
    from pipelines.steps import simulate as step

    chosen = step.simulated(profile, scale, tuple(province or ()))
    if serve:
        step.serve(chosen, as_of, err.print)
        return
    with bar_of("simulate") as show:
        rows = step.simulate(chosen, as_of, days, to, show)
    err.print(f"{to}: {rows:,} rows ({chosen.notice})")
