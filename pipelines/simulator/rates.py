"""Rates of the simulated agencies, read from the small tables beside this module.

Crimes follow Korean National Police Agency statistics (KOGL type 1; README.md of this folder names the tables):
recorded crimes of 2023 by district, of 2019 by three-hour block and weekday. All other volumes are orders of
magnitude for Seoul, so that demand looks like a metropolis and not like any real year. Volumes are yearly and full
scale; the profile's ``scale`` is applied where events are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

import holidays
import numpy as np
import polars as pl

from pipelines.simulator.seeds import Floats, Integers

DAYS_OF_YEAR = 365.25
HOLIDAY = 7
"""Index of a public holiday among the kinds of day: 0 Monday … 6 Sunday, 7 holiday (a Sunday's shape)."""

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_BLOCKS = tuple(f"hours_{hour:02d}_{hour + 3:02d}" for hour in range(0, 24, 3))
_HOURS = tuple(f"hour_{hour:02d}" for hour in range(24))


@cache
def table(name: str) -> pl.DataFrame:
    """One of the tables beside this module."""
    return pl.read_csv((files("pipelines.simulator") / f"{name}.csv").read_bytes())


@dataclass(frozen=True, slots=True)
class Rates:
    """When and where each kind of event happens.

    ``yearly``: events a year. ``hours``: kind × kind of day × 24, means over a week add up to one day. ``season``:
    amplitude and peak day of the year. ``districts``: kind × district weights.
    """

    yearly: Floats
    hours: Floats
    season: Floats
    districts: Floats

    def daily(self, days: Sequence[int], country: str) -> Floats:
        """Expected events of each day and kind (days × kinds)."""
        kind_of_day = day_kinds(days, country)
        volume = self.hours.sum(axis=2).T[kind_of_day]
        day_of_year = np.array([date.fromordinal(day).timetuple().tm_yday for day in days])
        angle = 2 * np.pi * (day_of_year[:, None] - self.season[:, 1]) / DAYS_OF_YEAR
        return np.asarray(self.yearly / DAYS_OF_YEAR * volume * (1 + self.season[:, 0] * np.cos(angle)))


@cache
def _holidays(country: str, year: int) -> frozenset[int]:
    return frozenset(day.toordinal() for day in holidays.country_holidays(country, years=year))


def day_kinds(days: Sequence[int], country: str) -> Integers:
    """Monday to Sunday as 0 to 6, public holidays as 7."""
    return np.array(
        [HOLIDAY if day in _holidays(country, date.fromordinal(day).year) else (day - 1) % 7 for day in days],
        dtype=np.int64,
    )


@cache
def police(districts: tuple[str, ...]) -> Rates:
    """Rates of 112 calls by category, in the order of `police_calls.csv`."""
    calls = table("police_calls")
    by_district = _by_district(districts)
    recorded = {name: by_district[name].sum() for name in calls["crime"].drop_nulls().unique(maintain_order=True)}
    yearly, where, hours = [], [], []
    for row in calls.iter_rows(named=True):
        if row["crime"]:
            yearly.append(recorded[row["crime"]] * row["share"])
            where.append(by_district[row["crime"]].to_numpy().astype(float))
            hours.append(_crime_hours(row["crime"]))
        else:
            yearly.append(row["calls_per_year"] * _share_of_table(by_district))
            where.append(by_district[row["district_column"]].to_numpy() ** row["district_power"])
            hours.append(_shape(row["shape"]))
    return Rates(np.array(yearly), np.array(hours), _season(calls), np.array(where))


@cache
def fire(districts: tuple[str, ...]) -> Rates:
    """Rates of 119 calls by class, in the order of `fire_calls.csv`."""
    calls = table("fire_calls")
    by_district = _by_district(districts)
    weights = by_district["all_crime"].to_numpy().astype(float)
    return Rates(
        yearly=calls["calls_per_year"].to_numpy() * _share_of_table(by_district),
        hours=np.array([_shape(shape) for shape in calls["shape"]]),
        season=_season(calls),
        districts=np.array([weights**power for power in calls["district_power"]]),
    )


@cache
def joint(districts: tuple[str, ...]) -> Rates:
    """Rates of events that police and fire both attend, by `joint_calls.csv`: shaped as the police calls are."""
    events = table("joint_calls")
    calls = police(districts)
    rows = [table("police_calls")["category"].to_list().index(word) for word in events["police_category"]]
    yearly = events["events_per_year"].to_numpy() * _share_of_table(_by_district(districts))
    return Rates(yearly, calls.hours[rows], calls.season[rows], calls.districts[rows])


def _share_of_table(by_district: pl.DataFrame) -> float:
    """How much of the table's city the chosen districts are, by recorded crime."""
    return int(by_district["all_crime"].sum()) / int(table("crime_by_district")["all_crime"].sum())


def _by_district(districts: Sequence[str]) -> pl.DataFrame:
    """Recorded crime of the chosen districts, in their order."""
    statistics = table("crime_by_district").with_columns(pl.col("district_id").cast(pl.String))
    chosen = pl.DataFrame({"district_id": list(districts)}).join(
        statistics, on="district_id", how="left", maintain_order="left"
    )
    if missing := chosen.filter(pl.col("all_crime").is_null())["district_id"].to_list():
        raise ValueError(
            f"no rates for the districts {missing}: the simulator knows Seoul only; "
            "add them to pipelines/simulator/crime_by_district.csv"
        )
    return chosen


def _season(calls: pl.DataFrame) -> Floats:
    return np.asarray(calls.select("season_amplitude", "season_peak_day").to_numpy().astype(float))


def _crime_hours(crime: str) -> Floats:
    """Hours by kind of day from the statistics. Inside a three-hour block nothing is known, so it is flat."""
    row = table("crime_by_time").row(by_predicate=pl.col("crime") == crime, named=True)
    hours = np.repeat([float(row[block]) for block in _BLOCKS], 3)
    week = np.array([float(row[weekday]) for weekday in _WEEKDAYS])
    week = np.append(week, week[-1])
    return np.asarray(hours / hours.sum() * (week / week[:7].mean())[:, None])


@cache
def unknown_hours(crime: str) -> float:
    """Share of a crime whose hour the statistics do not know."""
    row = table("crime_by_time").row(by_predicate=pl.col("crime") == crime, named=True)
    known = sum(row[block] for block in _BLOCKS)
    return float(row["hour_unknown"] / (known + row["hour_unknown"]))


def _shape(name: str) -> Floats:
    """Hours by kind of day of an assumed shape: the nights that follow Friday and Saturday are longer."""
    row = table("call_shapes").row(by_predicate=pl.col("shape") == name, named=True)
    hours = np.array([row[hour] for hour in _HOURS])
    week = np.tile(hours / hours.sum(), (8, 1))
    early, evening, day = slice(0, 5), slice(19, 24), slice(5, 19)
    week[[5, 6], early] *= 1 + row["nightlife"]
    week[[4, 5], evening] *= 1 + row["nightlife"]
    for kind in (5, 6, HOLIDAY):
        week[kind, day] *= row["weekend"]
    return np.asarray(week / week[:7].sum() * 7)
