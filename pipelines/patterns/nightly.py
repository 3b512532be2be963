"""The nightly pattern tables and what each is built from. Pure: frames in, frames out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Final

import polars as pl

from pipelines.config.profile import Profile
from pipelines.patterns import (
    aoristic,
    area_hot_spots,
    concentration,
    control_chart,
    density,
    emerging,
    harm,
    hot_spots,
    near_repeat_chains,
    near_repeats,
    nnh_clusters,
    point_pattern,
    scan,
    unknown_days,
    weekly,
)
from pipelines.patterns.statistics import circles, rollups
from pipelines.schema.dictionary import frame_schema

WINDOW: Final = ("window_start_date", "window_end_date", "cluster_start_date")
"""Columns of the tables that are built from closed-up days (`unknown_days`)."""
YEAR: Final = timedelta(days=365)


@dataclass(frozen=True)
class Crime:
    """Reported crime that may be used in patterns, as known at ``as_of``, with cells and areas.

    ``points``: one row per incident, by category and day: ``incident_id, category, cell_id`` (risk grid),
    ``admin_area_id, police_area_id, occurrence_date, report_date, occurred_from, occurred_until`` (local time without
    zone, may be null), ``x_m, y_m`` (the profile's metric CRS).
    ``daily``: ``marts.crime_daily``: ``cell_id, category, occurrence_date, incidents``.
    ``cells``: ``reference.cells``, both grids. ``areas``: ``reference.areas``.
    ``complete_until``: the first local date excluded: that of ``as_of``, or an earlier one if records are not complete
    up to it, because missing days of a feed without data must not count as days without crime.
    ``gaps``: ``marts.crime_gaps``, the unknown days before and in between; ``area_gaps``: those of single areas.
    """

    points: pl.DataFrame
    daily: pl.DataFrame
    cells: pl.DataFrame
    areas: pl.DataFrame
    complete_until: date
    gaps: pl.DataFrame
    area_gaps: pl.DataFrame
    profile: Profile

    @cached_property
    def unknown(self) -> pl.DataFrame:
        """Return the unknown days of every category and of their sum."""
        return unknown_days.unknown_days(self.gaps, self.points, self.complete_until)

    @cached_property
    def unknown_weeks(self) -> pl.DataFrame:
        """Return the same by listed area, with every day of categories that are not dated to a week: none has a weekly
        count.
        """
        unknown = unknown_days.with_undated(self.unknown, self.points, self.complete_until)
        return unknown_days.by_area(unknown, self.area_gaps, self.listed_areas, self.complete_until)

    @property
    def known_areas(self) -> "Crime":
        """Return the same without areas of which a day of the last year is unknown: no crime there says nothing."""
        recent = pl.col("until_date") > self.complete_until - YEAR
        lacking = self.area_gaps.filter(recent, pl.col("area_id") != self.profile.areas.whole_id)["area_id"].unique()
        if lacking.is_empty():
            return self
        of_lacking = pl.col("admin_area_id", "police_area_id").is_in(lacking.implode()).fill_null(False)
        return replace(
            self,
            points=self.points.filter(~pl.any_horizontal(of_lacking)),
            areas=self.areas.filter(~pl.col("area_id").is_in(lacking.implode())),
        )

    @property
    def by_week(self) -> "Crime":
        """Return the same without the categories that are not dated to a week."""
        is_kept = ~pl.col("category").is_in(unknown_days.undated(self.points))
        return replace(self, points=self.points.filter(is_kept), daily=self.daily.filter(is_kept))

    @property
    def closed(self) -> "Crime":
        """Return the same, closed up over the days on which crime as a whole is unknown."""
        return replace(
            self,
            points=unknown_days.closed(self.points, ("occurrence_date", "report_date"), self.unknown),
            daily=unknown_days.closed(self.daily, ("occurrence_date",), self.unknown),
            gaps=unknown_days.closed_gaps(self.unknown, self.points, self.complete_until),
        )

    @property
    def history_start(self) -> date | None:
        """First local date to which the records reach back; None without any."""
        return unknown_days.first_known(self.unknown, self.complete_until)

    @property
    def dated(self) -> pl.DataFrame:
        """The points whose day is known to a week, a time band of near repeats."""
        return self.points.filter(unknown_days.is_dated())

    @property
    def listed_areas(self) -> pl.DataFrame:
        """The region, then its districts: ``area_id, area_level``."""
        districts = (pl.col("hierarchy") == "admin") & (pl.col("area_level") == "district")
        region = pl.DataFrame({"area_id": [self.profile.areas.whole_id], "area_level": ["region"]})
        inner = self.areas.filter(districts).select("area_id", pl.lit("district").alias("area_level"))
        return pl.concat([region, inner.sort("area_id")])

    @property
    def weights(self) -> pl.DataFrame:
        """Return the harm of one incident of each category: ``category, harm``."""
        pairs = [(name, category.harm) for name, category in self.profile.categories.items()]
        return pl.DataFrame(pairs, schema={"category": pl.String, "harm": pl.Float64}, orient="row")


def _hot_spots(crime: Crime) -> pl.DataFrame:
    return hot_spots.hot_spots(crime.daily, crime.cells, crime.profile.grid.map_metres, crime.complete_until)


def _area_hot_spots(crime: Crime) -> pl.DataFrame:
    return area_hot_spots.area_hot_spots(crime.points, crime.areas, crime.complete_until)


def _emerging_hot_spots(crime: Crime) -> pl.DataFrame:
    daily = crime.by_week.daily
    return emerging.emerging_hot_spots(daily, crime.cells, crime.profile.grid.map_metres, crime.complete_until)


def _density(crime: Crime) -> pl.DataFrame:
    return density.density(crime.points, crime.cells, crime.profile.grid.cell_metres, crime.complete_until)


def _nnh_clusters(crime: Crime) -> pl.DataFrame:
    area_km2 = nnh_clusters.region_km2(crime.areas, crime.profile.crs)
    return nnh_clusters.nnh_clusters(crime.points, area_km2, crime.profile.crs, crime.complete_until)


def _concentration(crime: Crime) -> pl.DataFrame:
    points = rollups.with_all_categories(crime.points)
    return concentration.concentration(points, crime.cells, crime.profile.grid.cell_metres, crime.complete_until)


def _lorenz(crime: Crime) -> pl.DataFrame:
    points = rollups.with_all_categories(crime.points)
    return concentration.lorenz(points, crime.cells, crime.profile.grid.cell_metres, crime.complete_until)


def _known_places(crime: Crime) -> pl.DataFrame:
    cells = crime.cells.filter(pl.col("cell_metres") == crime.profile.grid.map_metres)
    districts = crime.listed_areas.filter(pl.col("area_level") == "district")
    return pl.concat(
        [
            cells.select(pl.lit("map_cell").alias("place_kind"), pl.col("cell_id").alias("place_id")),
            districts.select(pl.lit("district").alias("place_kind"), pl.col("area_id").alias("place_id")),
        ]
    )


def _point_pattern_places(crime: Crime) -> pl.DataFrame:
    parents = crime.cells.select("cell_id", "map_cell_id").unique("cell_id")
    points = rollups.with_all_categories(crime.points).join(parents, on="cell_id", how="left")
    placed = pl.concat(
        [
            points.select(
                "category", "occurrence_date", pl.lit(kind).alias("place_kind"), pl.col(name).alias("place_id")
            )
            for kind, name in (("map_cell", "map_cell_id"), ("district", "admin_area_id"))
        ]
    )
    return point_pattern.places(placed, _known_places(crime), crime.history_start, crime.complete_until)


def _point_pattern_test(crime: Crime) -> pl.DataFrame:
    return point_pattern.similarity(_point_pattern_places(crime), _known_places(crime))


def _aoristic(crime: Crime) -> pl.DataFrame:
    return aoristic.aoristic(rollups.with_all_categories(crime.points), crime.complete_until)


def _counted(crime: Crime) -> pl.DataFrame:
    """Return the incidents as the series count them: by category and ``all``, by district and the region."""
    points = rollups.with_all_categories(crime.points)
    return rollups.by_area(points, crime.listed_areas, crime.profile.areas.whole_id)


def _control_chart(crime: Crime) -> pl.DataFrame:
    return control_chart.control_chart(_counted(crime), crime.unknown_weeks, crime.complete_until)


def _weekly(crime: Crime) -> pl.DataFrame:
    chart, unknown = _control_chart(crime), crime.unknown_weeks
    return weekly.weekly(_counted(crime), crime.listed_areas, crime.weights, chart, unknown, crime.complete_until)


def _district_harm(crime: Crime) -> pl.DataFrame:
    districts = crime.listed_areas.filter(pl.col("area_level") == "district")
    return harm.district_harm(
        crime.points, crime.cells, _hot_spots(crime), districts, crime.weights, crime.complete_until
    )


def _near_repeats(crime: Crime) -> pl.DataFrame:
    return near_repeats.near_repeats(crime.dated, crime.complete_until)


def _near_repeat_chains(crime: Crime) -> pl.DataFrame:
    return near_repeat_chains.near_repeat_chains(crime.dated, crime.profile.grid.cell_metres, crime.complete_until)


def _near_repeat_members(crime: Crime) -> pl.DataFrame:
    return near_repeat_chains.near_repeat_members(crime.dated, crime.complete_until)


def _space_time_clusters(crime: Crime) -> pl.DataFrame:
    side = crime.profile.grid.cell_metres
    clusters = scan.space_time_clusters(crime.by_week.points, crime.cells, side, crime.complete_until)
    x, y, radius = (clusters[name].to_numpy() for name in ("centre_x_m", "centre_y_m", "radius_m"))
    # From the centre of the first cell to the far side of the last.
    drawn = circles.circles(x, y, radius + side / 2, crime.profile.crs)
    return clusters.with_columns(drawn).select(*frame_schema("patterns.space_time_clusters"))


TABLES: Final[Mapping[str, Callable[[Crime], pl.DataFrame]]] = {
    "hot_spots": _hot_spots,
    "area_hot_spots": _area_hot_spots,
    "emerging_hot_spots": _emerging_hot_spots,
    "density": _density,
    "nnh_clusters": _nnh_clusters,
    "concentration": _concentration,
    "lorenz": _lorenz,
    "point_pattern_test": _point_pattern_test,
    "point_pattern_places": _point_pattern_places,
    "aoristic": _aoristic,
    "control_chart": _control_chart,
    "weekly": _weekly,
    "district_harm": _district_harm,
    "near_repeats": _near_repeats,
    "near_repeat_chains": _near_repeat_chains,
    "near_repeat_members": _near_repeat_members,
    "space_time_clusters": _space_time_clusters,
}
"""Table of schema ``patterns`` → function that builds it."""
OF_CALENDAR: Final = frozenset(
    {"control_chart", "weekly", "near_repeats", "near_repeat_chains", "near_repeat_members"}
)  # fmt: skip
"""Tables that compare dates, or the time between incidents; the others are of the last so many known days."""


def tables(crime: Crime) -> dict[str, pl.DataFrame]:
    """Return every table of schema ``patterns``."""
    closed = crime.known_areas.closed
    return {
        name: compute(crime)
        if name in OF_CALENDAR
        else unknown_days.opened(compute(closed), WINDOW, crime.unknown, crime.complete_until)
        for name, compute in TABLES.items()
    }
