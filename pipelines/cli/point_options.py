"""Options of the commands on your own points."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.forecast.risk.own_grid import Task
    from pipelines.forecast.risk.own_streets import StreetTask


class Placement(StrEnum):
    """Where squares of risk are."""

    free = "free"
    grid = "grid"


Points = Annotated[
    Path,
    typer.Option(
        "--input",
        help="Parquet or CSV, one row per incident: occurred_at (or occ_date), x and y in --crs (or lon and lat in "
        "degrees), category (optional; rows without a value get the category `unknown`), known_at (optional: a point "
        "is used from the day after). Text begins with YYYY-MM-DD, or with day and month in an order that the column "
        "shows; the date is used as written, without conversion to another time zone.",
    ),
]
Crs = Annotated[
    str,
    typer.Option(
        "--crs", help="CRS of x and y, e.g. EPSG:2913. The grid uses it if it is projected, else the local UTM zone."
    ),
]
Boundary = Annotated[
    Path,
    typer.Option("--boundary", help="File with the polygons of the area (GeoJSON, Shapefile, GeoPackage, GeoParquet)."),
]
Cell = Annotated[float, typer.Option("--cell", help="Side of a cell, or length of the longest segment, in metres.")]
AreaKm2 = Annotated[float | None, typer.Option("--area-km2", help="Maximum total area of the selected cells, in km².")]
Where = Annotated[
    Placement | None,
    typer.Option(
        "--placement",
        help="grid: rank the cells of a fixed grid. free: select squares of the same side anywhere, none overlapping "
        "another, up to --area-km2 inside the boundary; no others are listed. Default: free if it had more hits in "
        "earlier months, outcomes displaced by 60 m; otherwise grid.",
    ),
]


StreetFile = Annotated[
    Path | None,
    typer.Option(
        "--streets",
        help="File with lines (GeoJSON, Shapefile, GeoPackage, GeoParquet): rank street segments, cut where lines meet "
        "or cross and to --cell, by their incidents for their length. A point counts in the nearest segment within "
        "50 m. Give --length-km in place of --area-km2.",
    ),
]
LengthKm = Annotated[
    float | None, typer.Option("--length-km", help="Maximum total length of the selected segments, in km.")
]


def task_of(
    crs: str,
    boundary: Path,
    cell: float,
    area_km2: float | None,
    placement: Placement | None,
    streets: Path | None,
    length_km: float | None,
) -> Task | StreetTask:
    """Return what to rank: cells up to an area, or street segments up to a length."""
    from pipelines.forecast.risk.own_grid import Task
    from pipelines.forecast.risk.own_streets import StreetTask

    if streets is not None and length_km is not None and area_km2 is None and placement is None:
        return StreetTask(crs, boundary, streets, cell, length_km)
    if area_km2 is not None and streets is None and length_km is None:
        return Task(crs, boundary, cell, area_km2, placement)
    raise typer.BadParameter("give --area-km2 for cells, or --streets and --length-km without --placement")


def _day(text: str) -> date:
    """Return the day that an option states."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD") from None


Start = Annotated[date, typer.Option("--start", parser=_day, metavar="DATE", help="First day of the forecast window.")]
LastStart = Annotated[date, typer.Option("--start", parser=_day, metavar="DATE", help="First day of the last window.")]
Days = Annotated[int, typer.Option("--days", min=1, help="Days of a forecast window.")]
