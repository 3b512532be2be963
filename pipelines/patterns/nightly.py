"""The nightly pattern tables: which there are and what each is made from. Pure: frames in, frames out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from pipelines.patterns import area_hot_spots, density, emerging, hot_spots, nnh_clusters
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


def _area_hot_spots(crime: Crime) -> pl.DataFrame:
    return area_hot_spots.area_hot_spots(crime.points, crime.areas, crime.today)


def _emerging_hot_spots(crime: Crime) -> pl.DataFrame:
    return emerging.emerging_hot_spots(crime.daily, crime.cells, crime.profile.grid.map_metres, crime.today)


def _density(crime: Crime) -> pl.DataFrame:
    return density.density(crime.points, crime.cells, crime.profile.grid.cell_metres, crime.today)


def _nnh_clusters(crime: Crime) -> pl.DataFrame:
    area_km2 = nnh_clusters.region_km2(crime.areas, crime.profile.crs)
    return nnh_clusters.nnh_clusters(crime.points, area_km2, crime.profile.crs, crime.today)


TABLES: Final[Mapping[str, Callable[[Crime], pl.DataFrame]]] = {
    "hot_spots": _hot_spots,
    "area_hot_spots": _area_hot_spots,
    "emerging_hot_spots": _emerging_hot_spots,
    "density": _density,
    "nnh_clusters": _nnh_clusters,
}
"""Table of schema ``patterns`` → how it is made."""
