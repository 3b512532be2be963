"""Rates of the simulated agencies, read from the small tables next to this module.

Crimes follow Korean National Police Agency statistics (KOGL type 1; README.md of this folder names the tables):
recorded crimes of 2023 by district, of 2019 by three-hour block and weekday. All other volumes are orders of magnitude,
one for Seoul and one for the rest of the nation, distributed to its provinces by recorded crime. Volumes are per year
at full scale; the profile's ``scale`` is applied when events are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

import holidays
import numpy as np
import polars as pl

from pipelines.simulator.seeds import Floats, Integers
from pipelines.simulator.tables import table

DAYS_OF_YEAR = 365.25
HOLIDAY = 7
"""Index of a public holiday among the kinds of day: 0 Monday … 6 Sunday, 7 holiday (same shape as Sunday)."""
SEOUL = "11"

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_BLOCKS = tuple(f"hours_{hour:02d}_{hour + 3:02d}" for hour in range(0, 24, 3))
_HOURS = tuple(f"hour_{hour:02d}" for hour in range(24))
_SOME = 1e-9
"""Minimum weight of a district, so that shares exist for a crime that was not recorded anywhere."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Distribution of each kind of event in time and space.

    ``yearly``: events a year. ``hours``: kind × kind of day × 24, whose weekly mean sums to one day. ``season``:
    amplitude and peak day of the year. ``districts``: kind × district weights.
    """

    yearly: Floats
    hours: Floats
    season: Floats
    districts: Floats

    def daily(self, days: Sequence[int], country: str) -> Floats:
        """Return the expected events of each day and kind (days × kinds)."""
        kind_of_day = day_kinds(days, country)
        volume = self.hours.sum(axis=2).T[kind_of_day]
        day_of_year = np.array([date.fromordinal(day).timetuple().tm_yday for day in days])
        angle = 2 * np.pi * (day_of_year[:, None] - self.season[:, 1]) / DAYS_OF_YEAR
        return np.asarray(self.yearly / DAYS_OF_YEAR * volume * (1 + self.season[:, 0] * np.cos(angle)))


@cache
def _holidays(country: str, year: int) -> frozenset[int]:
    return frozenset(day.toordinal() for day in holidays.country_holidays(country, years=year))


def day_kinds(days: Sequence[int], country: str) -> Integers:
    """Return Monday to Sunday as 0 to 6, public holidays as 7."""
    return np.array(
        [HOLIDAY if day in _holidays(country, date.fromordinal(day).year) else (day - 1) % 7 for day in days],
        dtype=np.int64,
    )


@cache
def police(province: str, districts: tuple[str, ...]) -> Rates:
    """Return the rates of 112 calls by category in one province, in the order of `police_calls.csv`."""
    calls, crimes = table("police_calls"), recorded(districts)
    yearly, where, hours = [], [], []
    for row, assumed in zip(calls.iter_rows(named=True), _assumed(calls, province), strict=True):
        crime = row["crime"]
        weights = crimes[crime or row["district_column"]].to_numpy().astype(float)
        yearly.append(weights.sum() * row["share"] if crime else assumed)
        where.append(weights if crime else weights ** row["district_power"])
        hours.append(_crime_hours(crime) if crime else _shape(row["shape"]))
    return Rates(np.array(yearly), np.array(hours), _season(calls), np.maximum(where, _SOME))


@cache
def fire(province: str, districts: tuple[str, ...]) -> Rates:
    """Return the rates of 119 calls by class in one province, in the order of `fire_calls.csv`."""
    calls = table("fire_calls")
    weights = recorded(districts)["all_crime"].to_numpy().astype(float)
    return Rates(
        yearly=_assumed(calls, province),
        hours=np.array([_shape(shape) for shape in calls["shape"]]),
        season=_season(calls),
        districts=np.array([weights**power for power in calls["district_power"]]),
    )


@cache
def joint(province: str, districts: tuple[str, ...]) -> Rates:
    """Return the rates of events that police and fire both attend.

    Read from `joint_calls.csv`, with the shapes of police calls.
    """
    events = table("joint_calls")
    calls = police(province, districts)
    rows = [table("police_calls")["category"].to_list().index(word) for word in events["police_category"]]
    return Rates(_assumed(events, province), calls.hours[rows], calls.season[rows], calls.districts[rows])


def share_of_seoul(province: str) -> float:
    """Return a province's recorded crime relative to Seoul's, to scale what is known for Seoul only."""
    totals = _provinces()
    return totals[province] / totals[SEOUL]


def _assumed(calls: pl.DataFrame, province: str) -> Floats:
    """Return yearly events of a province: Seoul's own, or its share of those of the rest of the nation."""
    totals = _provinces()
    if province == SEOUL:
        return calls["seoul_per_year"].fill_null(0).to_numpy().astype(float)
    rest = sum(total for code, total in totals.items() if code != SEOUL)
    return np.asarray(calls["elsewhere_per_year"].fill_null(0).to_numpy() * (totals[province] / rest))


@cache
def _provinces() -> dict[str, int]:
    """Return recorded crime by province."""
    by_province = pl.col("district_id").str.head(2).alias("province_id")
    return dict(table("crime_by_district").group_by(by_province).agg(pl.col("all_crime").sum()).iter_rows())


def recorded(districts: Sequence[str]) -> pl.DataFrame:
    """Return recorded crime of the chosen districts, in their order."""
    chosen = pl.DataFrame({"district_id": list(districts)}).join(
        table("crime_by_district"), on="district_id", how="left", maintain_order="left"
    )
    if missing := chosen.filter(pl.col("all_crime").is_null())["district_id"].to_list():
        raise ValueError(
            f"no rates for the districts {missing}: the boundaries changed; rebuild crime_by_district.csv with "
            "pipelines.simulator.statistics"
        )
    return chosen


def _season(calls: pl.DataFrame) -> Floats:
    return np.asarray(calls.select("season_amplitude", "season_peak_day").to_numpy().astype(float))


def _crime_hours(crime: str) -> Floats:
    """Return hours by kind of day from the statistics, uniform within each three-hour block."""
    row = table("crime_by_time").row(by_predicate=pl.col("crime") == crime, named=True)
    hours = np.repeat([float(row[block]) for block in _BLOCKS], 3)
    week = np.array([float(row[weekday]) for weekday in _WEEKDAYS])
    week = np.append(week, week[-1])
    return np.asarray(hours / hours.sum() * (week / week[:7].mean())[:, None])


@cache
def unknown_hours(crime: str) -> float:
    """Return the share of a crime whose hour is unknown in the statistics."""
    row = table("crime_by_time").row(by_predicate=pl.col("crime") == crime, named=True)
    known = sum(row[block] for block in _BLOCKS)
    return float(row["hour_unknown"] / (known + row["hour_unknown"]))


def _shape(name: str) -> Floats:
    """Return hours by kind of day of an assumed shape: nights after Friday and Saturday are longer."""
    row = table("call_shapes").row(by_predicate=pl.col("shape") == name, named=True)
    hours = np.array([row[hour] for hour in _HOURS])
    week = np.tile(hours / hours.sum(), (8, 1))
    early, evening, day = slice(0, 5), slice(19, 24), slice(5, 19)
    week[[5, 6], early] *= 1 + row["nightlife"]
    week[[4, 5], evening] *= 1 + row["nightlife"]
    for kind in (5, 6, HOLIDAY):
        week[kind, day] *= row["weekend"]
    return np.asarray(week / week[:7].sum() * 7)
