"""Patterns: every table of crime patterns."""

from datetime import date

import duckdb
import polars as pl
from pyproj import Transformer

from pipelines.config.profile import Profile
from pipelines.config.settings import Settings
from pipelines.monitoring import run_log
from pipelines.patterns import nightly
from pipelines.steps import inputs
from pipelines.store import warehouse


def patterns(settings: Settings) -> None:
    """Compute the pattern tables of reported crime, as known at ``as_of`` and up to where records are complete."""
    with run_log.recorded(settings, "patterns"):
        with warehouse.connect(settings) as con:
            crime = read(con, settings)
        tables = nightly.tables(crime)
        with warehouse.connect(settings) as con:
            for table, frame in tables.items():
                warehouse.write_frame(con, "patterns", table, frame)


def read(con: duckdb.DuckDBPyConnection, settings: Settings) -> nightly.Crime:
    """Reported crime and the places it is compared with."""
    profile = settings.profile
    end: date = inputs.police_complete_until(con, settings).astimezone(profile.zone).date()
    return nightly.Crime(
        points=_points(con, profile),
        daily=inputs.crime_daily(con),
        cells=inputs.cells(con),
        areas=inputs.areas(con),
        complete_until=end,
        gaps=inputs.crime_gaps(con),
        area_gaps=inputs.area_gaps(con),
        profile=profile,
    )


def _points(con: duckdb.DuckDBPyConnection, profile: Profile) -> pl.DataFrame:
    """Reported crime as known now, with coordinates in the profile's metric CRS and local times."""
    points = con.execute(
        "select incident_id, category, lon, lat, cell_id, admin_area_id, police_area_id, occurrence_date, "
        "coalesce(timezone(getvariable('time_zone'), reported_at)::date, occurrence_date) as report_date, "
        "timezone(getvariable('time_zone'), occurred_at) as occurred_from, "
        "timezone(getvariable('time_zone'), occurred_until) as occurred_until "
        "from marts.crime_points where superseded_at is null order by category, occurrence_date, incident_id"
    ).pl()
    to_metres = Transformer.from_crs("EPSG:4326", profile.crs, always_xy=True)
    x, y = to_metres.transform(points["lon"].to_numpy(), points["lat"].to_numpy())
    return points.drop("lon", "lat").with_columns(pl.Series("x_m", x, pl.Float64), pl.Series("y_m", y, pl.Float64))
