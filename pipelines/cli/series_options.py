"""Options of the commands on your own series."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Frequency(StrEnum):
    """Step of a demand series."""

    h = "h"
    D = "D"


SERIES = (
    "Parquet or CSV, one row per series and step: unique_id (name of the series), ds (start of the hour or day, local "
    "time without a zone), y (count). Zeros are rows; unknown hours or days have none. Optional: known_at (local time "
    "from which the count was known; several rows for a step are its versions), by which past origins are judged."
)
Series = Annotated[Path, typer.Option("--input", help=SERIES)]
PastSeries = Annotated[
    Path,
    typer.Option(
        "--input",
        help=f"{SERIES} Optional: capacity (calls that can be met in the step), to score the probability of more.",
    ),
]
FillZeros = Annotated[
    bool, typer.Option("--fill-zeros", help="Steps without a row, inside a series, are zeros; default: unknown.")
]
Country = Annotated[
    str | None,
    typer.Option("--country", help="Country whose public holidays the series have, such as KR; default: none."),
]
Subdivision = Annotated[
    str | None, typer.Option("--subdivision", help="Its state or province, such as CA, for regional holidays.")
]
HierarchyFile = Annotated[
    Path | None,
    typer.Option(
        "--hierarchy",
        help="Parquet or CSV with the columns child and parent. Parents, such as districts and the city, are sums and "
        "forecast too. A child is a series or another parent, and may have several parents.",
    ),
]
Covariates = Annotated[
    Path | None,
    typer.Option(
        "--covariates",
        help="Parquet or CSV of values known ahead, such as events or a weather forecast: ds, a column of numbers for "
        "each (1 and 0 for yes and no), past and for every step of the horizon; unique_id if values differ by series, "
        "with rows for every series; known_at (local time) for archived forecasts, of which an origin reads the newest "
        "known at it.",
    ),
]
Season = Annotated[
    int | None,
    typer.Option(
        "--season",
        min=2,
        help="Steps of another cycle that the series repeat with, next to the week and the year, such as 8 for a rota "
        "of eight days (--freq D); up to eight weeks. Where no such cycle is clear, nothing changes.",
    ),
]
Freq = Annotated[Frequency, typer.Option("--freq", help="Step of the series: h (hour) or D (day).")]
Horizon = Annotated[int, typer.Option("--horizon", min=1, help="How many steps ahead to forecast.")]
