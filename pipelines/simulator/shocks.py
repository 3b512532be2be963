"""Days on which a shock affects the calls of several provinces: weather-like shocks and the lunar holidays.

A shock begins in one province, lasts some days and includes the provinces around it (`neighbours.csv`), up to its
reach. `shocks.csv` has frequency, season and duration; `shock_effects.csv` has the calls affected and by how much. Both
are assumptions; no shock represents weather on a real day. Shocks of a year are drawn for the whole nation, so that a
province has the same shocks whatever other provinces are requested.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

import holidays
import numpy as np
import polars as pl

from pipelines.simulator.seeds import Floats, generator
from pipelines.simulator.tables import table

STRENGTH = (0.6, 1.4)
"""A shock's strength: the exponent applied to the table's factors."""

LUNAR = "lunar_holidays"
_LUNAR_WORDS = ("설날", "추석")


@dataclass(frozen=True, slots=True)
class Shock:
    """One shock: its provinces, and its days as ordinals, first and last included."""

    kind: str
    number: int
    provinces: frozenset[str]
    first: int
    last: int
    strength: float


def factors(seed: int, province: str, agency: str, words: Sequence[str], days: Sequence[int]) -> Floats:
    """Return the factor of a province's calls of each word on each day (days × words)."""
    ordinals = np.asarray(days)
    product = np.ones((len(ordinals), len(words)))
    for shock in active(seed, min(days), max(days)):
        if province in shock.provinces:
            affected = (ordinals >= shock.first) & (ordinals <= shock.last)
            product[affected] *= _effects(shock.kind, agency, tuple(words)) ** shock.strength
    return product


def truth(seed: int, provinces: Sequence[str], start: date, end: date) -> pl.DataFrame:
    """Return the shocks active in [start, end), one row per province and kind of call affected.

    Columns: ``shock_id, kind, province_id, start_date, end_date`` (exclusive), ``agency, category`` (the agency's own
    word), ``factor`` (multiplies the expected calls).
    """
    effects = table("shock_effects")
    matches = pl.DataFrame(
        [
            (f"{shock.kind}-{shock.number}", shock.kind, province, shock.first, shock.last + 1, shock.strength)
            for shock in active(seed, start.toordinal(), end.toordinal() - 1)
            for province in sorted(shock.provinces.intersection(provinces))
        ],
        schema={
            "shock_id": pl.String,
            "kind": pl.String,
            "province_id": pl.String,
            "first": pl.Int64,
            "last": pl.Int64,
            "strength": pl.Float64,
        },
        orient="row",
    )
    epoch = date(1970, 1, 1).toordinal()
    return matches.join(effects, on="kind", maintain_order="left_right").select(
        "shock_id",
        "kind",
        "province_id",
        (pl.col("first") - epoch).cast(pl.Int32).cast(pl.Date).alias("start_date"),
        (pl.col("last") - epoch).cast(pl.Int32).cast(pl.Date).alias("end_date"),
        "agency",
        "category",
        pl.col("factor").pow(pl.col("strength")).alias("factor"),
    )


def active(seed: int, first: int, last: int) -> list[Shock]:
    """Return the nation's shocks active on any day from ``first`` to ``last`` (ordinals), oldest first."""
    years = range(date.fromordinal(first).year - 1, date.fromordinal(last).year + 1)
    matches = [shock for year in years for shock in (*_drawn(seed, year), *_lunar(year))]
    return sorted(
        (s for s in matches if s.first <= last and s.last >= first), key=lambda s: (s.first, s.kind, s.number)
    )


@cache
def _drawn(seed: int, year: int) -> tuple[Shock, ...]:
    """Return the shocks of one year; those of a winter belong to the year in which it begins."""
    matches = []
    provinces = table("neighbours")["province_id"].to_list()
    for row in table("shocks").iter_rows(named=True):
        rng = generator(seed, "shock", row["kind"], year)
        for number in range(int(rng.poisson(row["per_year"]))):
            first = date(year, 1, 1).toordinal() + int(rng.integers(row["first_day"], row["last_day"] + 1)) - 1
            last = first + int(rng.integers(row["shortest_days"], row["longest_days"] + 1)) - 1
            centre = provinces[int(rng.integers(len(provinces)))]
            strength = float(rng.uniform(*STRENGTH))
            matches.append(
                Shock(row["kind"], year * 100 + number, _around(centre, row["reach"]), first, last, strength)
            )
    return tuple(matches)


@cache
def _lunar(year: int) -> tuple[Shock, ...]:
    """Return Lunar New Year and Chuseok with the days around them, in every province."""
    everywhere = frozenset(table("neighbours")["province_id"])
    # Without a language, the names follow the machine's locale.
    named = sorted(holidays.country_holidays("KR", years=year, language="ko").items())
    days = [day.toordinal() for day, name in named if any(word in name for word in _LUNAR_WORDS)]
    starts = [day for day in days if day - 1 not in days]
    ends = [day for day in days if day + 1 not in days]
    return tuple(
        Shock(LUNAR, year * 100 + n, everywhere, first, last, 1.0)
        for n, (first, last) in enumerate(zip(starts, ends, strict=True))
    )


@cache
def _around(centre: str, reach: int) -> frozenset[str]:
    neighbours = dict(table("neighbours").iter_rows())
    reached = {centre}
    for _ in range(reach):
        reached |= {word for province in reached for word in neighbours[province].split()}
    return frozenset(reached)


@cache
def _effects(kind: str, agency: str, words: tuple[str, ...]) -> Floats:
    rows = table("shock_effects").filter(kind=kind, agency=agency)
    known = dict(rows.select("category", "factor").iter_rows())
    return np.array([known.get(word, 1.0) for word in words])
