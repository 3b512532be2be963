"""What may mislead in points that can be used: each is noted, and nothing is changed."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from pipelines.forecast import names

PILE, PILE_SHARE = 30, 0.1
"""Points at one place, and their share, from which a default of the geocoder is probable."""
REPEATED: Final = 0.5
"""Share of the points that may repeat another one without a note."""
UTC: Final = r":\d{2}(?:\.\d+)? *(?:Z|UTC)$"
"""How text ends that states a time in UTC."""


def notes(points: pl.DataFrame, inside: pl.DataFrame) -> Iterator[str]:
    """Yield a sentence for each thing that may mislead.

    Args:
        points: All points as they were read.
        inside: ``day, category, x, y`` of those inside the boundary.
    """
    pile = inside.group_by("x", "y").len().sort("len", "x", "y", descending=[True, False, False]).row(0, named=True)
    if pile["len"] >= max(PILE, PILE_SHARE * inside.height):
        place_of = f"({pile['x']:.0f}, {pile['y']:.0f})"
        yield (
            f"{pile['len']} of {inside.height} points are at one place {place_of}: check whether the geocoder "
            "puts there what it cannot find"
        )
    repeated = points.height - points.n_unique()
    if repeated >= REPEATED * points.height:
        yield (
            f"{repeated} of {points.height} points repeat another one in every column, and each counts: remove them if "
            "they are the same incident"
        )
    dates = inside["day"].unique().cast(pl.Int32).cast(pl.Date)
    if dates.len() > 1 and (dates.dt.day() == 1).all():
        yield (
            "all points are on the first of a month: if only their month is known, their days and any outage noted are "
            "not real"
        )
    if in_utc := _in_utc(points):
        yield (
            f"{in_utc} points have times in UTC and count on the date in UTC: write local times, if their date differs"
        )
    if alike := names.note(inside["category"], "categories"):
        yield alike


def _in_utc(points: pl.DataFrame) -> int:
    """Return how many points state their time in UTC."""
    values = points["occurred_at"] if "occurred_at" in points.columns else points["occ_date"]
    if isinstance(values.dtype, pl.Datetime):
        return values.count() if values.dtype.time_zone in ("UTC", "Etc/UTC") else 0
    return int(values.str.contains(UTC).sum()) if values.dtype == pl.String else 0
