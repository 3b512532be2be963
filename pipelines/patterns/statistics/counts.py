"""Reported crime counted on the map grid: every map cell, zeros included, by time step."""

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray


def map_cells(cells: pl.DataFrame, map_metres: int) -> pl.DataFrame:
    """Return the map cells of ``reference.cells`` in the order of all counts here: by ``cell_id``."""
    return cells.filter(pl.col("cell_metres") == map_metres).sort("cell_id")


def on_map(
    crime_daily: pl.DataFrame, cells: pl.DataFrame, map_metres: int, start: date, end: date, step_days: int
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield incidents per category, time step (row) and map cell (column, in the order of ``map_cells``).

    Args:
        crime_daily: ``marts.crime_daily``: ``cell_id, category, occurrence_date, incidents``, on the risk grid.
        cells: ``reference.cells``, both grids. Incidents in a risk cell whose map cell is not listed (its centre is
            outside the region) are not counted.
        map_metres: Side of the map cells.
        start: First local date.
        end: The first local date excluded: a whole number of steps after ``start``.
        step_days: Length of a time step.

    Yields:
        Categories in alphabetical order, without those that have no incident on the map.
    """
    tested = map_cells(cells, map_metres).select("cell_id").with_row_index("place")
    # If the two grids are the same, a cell is in the list once, as its own map cell.
    parents = cells.select("cell_id", "map_cell_id").unique()
    steps = (end - start).days // step_days
    counted = (
        crime_daily.filter(pl.col("occurrence_date").is_between(start, end, closed="left"))
        .join(parents, on="cell_id")
        .join(tested, left_on="map_cell_id", right_on="cell_id")
        .with_columns(step=(pl.col("occurrence_date") - start).dt.total_days() // step_days)
        .group_by("category", "step", "place")
        .agg(pl.col("incidents").sum().cast(pl.Int64))
    )
    for category in counted["category"].unique().sort():
        of_category = counted.filter(pl.col("category") == category)
        counts = np.zeros((steps, tested.height))
        counts[of_category["step"].to_numpy(), of_category["place"].to_numpy()] = of_category["incidents"].to_numpy()
        yield category, counts
