"""The nightly pattern tables: which there are and what each is made from. Pure: frames in, frames out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from pipelines.patterns import hot_spots, near_repeat_chains, near_repeats, outlines, scan
from pipelines.profile import Profile


@dataclass(frozen=True, slots=True)
class Crime:
    """Reported crime that may enter patterns, as known at ``as_of``, and the places to hold it against.

    ``points``: one row per incident, by category and day: ``incident_id, category, cell_id`` (risk grid),
    ``admin_area_id, police_area_id, local_date, occurred_from, occurred_until`` (local time without zone, may be
    null), ``x_m, y_m`` (the profile's metric CRS).
    ``daily``: ``marts.crime_daily``: ``cell_id, category, local_date, incidents``.
    ``cells``: ``reference.cells``, both grids. ``areas``: ``reference.areas``.
    ``today``: the local date of ``as_of``: the first that no longer counts.
    """

    points: pl.DataFrame
    daily: pl.DataFrame
    cells: pl.DataFrame
    areas: pl.DataFrame
    today: date
    profile: Profile


def _hot_spots(crime: Crime) -> pl.DataFrame:
    return hot_spots.hot_spots(crime.daily, crime.cells, crime.profile.grid.map_metres, crime.today)


def _near_repeats(crime: Crime) -> pl.DataFrame:
    return near_repeats.near_repeats(crime.points, crime.today)


def _near_repeat_chains(crime: Crime) -> pl.DataFrame:
    return near_repeat_chains.near_repeat_chains(crime.points, crime.profile.grid.cell_metres, crime.today)


def _near_repeat_members(crime: Crime) -> pl.DataFrame:
    return near_repeat_chains.near_repeat_members(crime.points, crime.today)


def _space_time_clusters(crime: Crime) -> pl.DataFrame:
    side = crime.profile.grid.cell_metres
    found = scan.space_time_clusters(crime.points, crime.cells, side, crime.today)
    x, y, radius = (found[name].to_numpy() for name in ("centre_x_m", "centre_y_m", "radius_m"))
    # From the middle of the first cell to the far side of the last.
    drawn = outlines.circles(x, y, radius + side / 2, crime.profile.crs)
    return found.drop("centre_x_m", "centre_y_m").with_columns(drawn)


TABLES: Final[Mapping[str, Callable[[Crime], pl.DataFrame]]] = {
    "hot_spots": _hot_spots,
    "near_repeats": _near_repeats,
    "near_repeat_chains": _near_repeat_chains,
    "near_repeat_members": _near_repeat_members,
    "space_time_clusters": _space_time_clusters,
}
"""Table of schema ``patterns`` → how it is made."""
