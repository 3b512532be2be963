"""Concentration: how few places have how much of a year's reported crime (Lorenz curve, Gini coefficient).

With fewer crimes than places most places are empty anyway, and the plain Gini coefficient is high for that reason
alone; the generalised one (Bernasco and Steenbeek 2017) is relative to the most even distribution possible for so few
crimes. Crime is on the horizontal axis, as in criminology: the curve is above the diagonal, and "80/20" is read from
the left. Two kinds of place are measured: all risk cells, and distinct coordinates. There is no list of the coordinates
at which crime could be recorded, so their number is that of the coordinates with any crime in all records. That suits
points snapped to street corners (Toronto) and means little for exact coordinates, where every point is distinct.
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.schema.dictionary import frame_schema

WINDOW_DAYS: Final = 365
SHARES: Final = (0.25, 0.5, 0.8)
CURVE_POINTS: Final = 100

TYPES: Final = frame_schema("patterns.concentration")
CURVE_TYPES: Final = frame_schema("patterns.lorenz")


def concentration(points: pl.DataFrame, cells: pl.DataFrame, cell_metres: int, window_end: date) -> pl.DataFrame:
    """Measure how concentrated reported crime was in the year before ``window_end``.

    Args:
        points: One row per incident: ``category, cell_id`` (risk grid), ``occurrence_date, x_m, y_m`` (metres).
            Incidents in a cell that is not in the list (its centre is outside the region) are not counted for cells.
        cells: ``reference.cells``: ``cell_id, cell_metres``.
        cell_metres: Side of the risk cells.
        window_end: The first local date excluded.

    Returns:
        ``patterns.concentration``: one row per category and kind of place (``cell``, ``corner``) with any incident.
        ``places_80_share`` is the share of all places in the smallest set with at least 80 % of the incidents.
    """
    start = window_end - timedelta(days=WINDOW_DAYS)
    rows = [
        {"category": category, "place_kind": kind, "window_start_date": start, "window_end_date": window_end}
        | {"places": counts.size, "incidents": int(counts.sum())}
        | {f"places_{share:.0%}_share".replace("%", ""): share_of_places(counts, share) for share in SHARES}
        | {"gini": gini(counts), "gini_generalised": generalised_gini(counts)}
        for category, kind, counts in _counts(points, cells, cell_metres, window_end)
    ]
    return pl.DataFrame(rows, schema=TYPES)


def lorenz(points: pl.DataFrame, cells: pl.DataFrame, cell_metres: int, window_end: date) -> pl.DataFrame:
    """Return the Lorenz curves of the same counts, in steps of 1 % of the crime. Arguments as in ``concentration``.

    Steps are of crime, not of places, because the curve bends within the first few places.

    Returns:
        ``patterns.lorenz``: ``category, place_kind, share_of_crime, share_of_places`` from (0, 0) to 100 % of crime.
    """
    crime = np.arange(CURVE_POINTS + 1) / CURVE_POINTS
    frames = [
        pl.DataFrame({"share_of_crime": crime, "share_of_places": _curve(counts, crime)}).select(
            pl.lit(category).alias("category"), pl.lit(kind).alias("place_kind"), "share_of_crime", "share_of_places"
        )
        for category, kind, counts in _counts(points, cells, cell_metres, window_end)
    ]
    return pl.concat(frames) if frames else pl.DataFrame(schema=CURVE_TYPES)


def share_of_places(counts: NDArray[np.int64], share: float) -> float:
    """Return the share of places in the smallest set with at least ``share`` of the crime."""
    cumulated = np.cumsum(np.sort(counts)[::-1])
    # A count is a whole number: half of seven is four, and 0.8 × 5 must not miss 4 by rounding.
    needed = np.ceil(share * cumulated[-1] - 1e-9)
    return float((np.searchsorted(cumulated, needed) + 1) / counts.size)


def gini(counts: NDArray[np.int64]) -> float:
    """Return the Gini coefficient of counts per place, zeros included: 0 is uniform, near 1 all in one place.

    Not corrected for few places: its maximum is 1 − 1/places.
    """
    n, total = counts.size, int(counts.sum())
    return (2 * _ranked(counts) - (n + 1) * total) / (n * total)


def generalised_gini(counts: NDArray[np.int64]) -> float:
    """Return the Gini coefficient relative to the most even distribution of the crimes over the places.

    Equal to ``gini`` if there are at least as many crimes as places, otherwise places/crimes × (gini − 1) + 1 (Bernasco
    and Steenbeek 2017): 0 if no two crimes share a place.
    """
    n, total = counts.size, int(counts.sum())
    # Integers up to the last step: the difference of two numbers near 1 would leave noise instead of 0.
    return gini(counts) if total >= n else (2 * _ranked(counts) - (2 * n + 1) * total + total**2) / total**2


def _ranked(counts: NDArray[np.int64]) -> int:
    """Return the sum of counts, each times its rank from the smallest."""
    return int((np.arange(1, counts.size + 1) * np.sort(counts)).sum())


def _curve(counts: NDArray[np.int64], crime: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of places that hold a share of the crime, on straight lines between places as the Lorenz curve is drawn."""
    cumulated = np.cumsum(np.sort(counts[counts > 0])[::-1])
    return np.interp(crime, np.append(0, cumulated / cumulated[-1]), np.arange(cumulated.size + 1) / counts.size)


def _counts(
    points: pl.DataFrame, cells: pl.DataFrame, cell_metres: int, window_end: date
) -> list[tuple[str, str, NDArray[np.int64]]]:
    """Count incidents of the window per place, zeros included: for every category and kind of place with any."""
    risk_cells = cells.filter(pl.col("cell_metres") == cell_metres).select("cell_id").unique()
    # To the metre: coordinates that differ only in the last digits of a projection are one corner.
    corners = points.with_columns(corner=pl.struct(pl.col("x_m").round(0), pl.col("y_m").round(0)))
    kinds = {
        "cell": (corners.join(risk_cells, on="cell_id", how="semi"), "cell_id", risk_cells.height),
        "corner": (corners, "corner", corners["corner"].n_unique()),
    }
    start = window_end - timedelta(days=WINDOW_DAYS)
    series = []
    for kind, (inside, place, places) in kinds.items():
        counted = (
            inside.filter(pl.col("occurrence_date").is_between(start, window_end, closed="left"))
            .group_by("category", place)
            .agg(pl.len().cast(pl.Int64).alias("incidents"))
        )
        for (category,), group in counted.partition_by("category", as_dict=True).items():
            ranked = np.sort(group["incidents"].to_numpy())
            series.append((str(category), kind, np.append(np.zeros(places - ranked.size, dtype=np.int64), ranked)))
    return sorted(series, key=lambda row: row[:2])
