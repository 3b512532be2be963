"""Tables to mutate: rows made up in the formats of four cities' open data, or cut from the real files."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

SAMPLE: Final = (30, 160)
"""Fewest and most rows of a sample."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; ``time`` and ``numbers`` name columns that the readers need, next to ``unique_id`` of a series.

    A series has a ``freq``; points have a ``crs`` and ``bounds`` (west, south, east, north in it).
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    time: str
    numbers: tuple[str, ...]
    freq: str = ""
    crs: str = ""
    bounds: tuple[float, float, float, float] = (0, 0, 0, 0)

    @property
    def is_series(self) -> bool:
        """Whether this is for the demand models, not for risk."""
        return bool(self.freq)

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns without which the table cannot be used."""
        return (*(["unique_id"] if self.is_series else []), self.time, *self.numbers)

    def sample(self, rng: random.Random) -> "Table":
        """Some rows in a row."""
        size = min(rng.randint(*SAMPLE), len(self.rows))
        first = rng.randrange(len(self.rows) - size + 1)
        return replace(self, rows=self.rows[first : first + size])


def made_up() -> list[Table]:
    """Tables that we wrote, in the formats of Portland, Montgomery County, Chicago and San Francisco."""
    rng = random.Random(16)
    days = [datetime(2016, 1, 1) + timedelta(days=day) for day in range(120)]
    portland = [
        (f"{day:%Y-%m-%d}", str(rng.randint(7636000, 7661000)), str(rng.randint(667000, 704000))) for day in days
    ]
    montgomery = [
        (f"{40 + rng.random() / 3:.7f}", f"{-75.2 - rng.random() / 3:.7f}", f"MAIN ST & OAK AVE;  Station {n}; @ 1:00;",
         f"{day:%Y-%m-%d} {n % 24:02}:40:00", rng.choice(("EMS: BACK PAINS/INJURY", "Fire: GAS-ODOR/LEAK")))
        for n, day in enumerate(days)
    ]  # fmt: skip
    chicago = [
        (f"{day:%Y-%m-%d} {rng.randrange(24):02}:05", "residence, porch", f"{-87.6 - rng.random() / 9:.4f}",
         f"{41.7 + rng.random() / 6:.4f}", str(rng.randint(1, 25))) for day in days
    ]  # fmt: skip
    hours = [(f"{days[0] + timedelta(hours=n):%Y-%m-%d %H:%M:%S}", "EMS", str(rng.randint(0, 12))) for n in range(300)]
    francisco = [
        (f"{day:%Y-%m-%d}", category, "Bayview", str(rng.randint(0, 9)))
        for day in days for category in ("Assault", "Courtesy Report")
    ]  # fmt: skip
    return list(_tables(portland, montgomery, chicago, hours, francisco))


def real(folder: Path) -> list[Table]:
    """The same from the real files, which are in ``folder`` and never part of this repository."""
    rows = pl.read_csv(folder / "portland_nij" / "burglary.csv", infer_schema=False).rows()
    calls = pl.read_parquet(folder / "montgomery" / "calls_911.parquet")
    assaults = pl.read_parquet(folder / "chicago" / "aggravated_assaults.parquet")
    daily = pl.read_parquet(folder / "san_francisco" / "police_daily_counts.parquet")
    hour = pl.col("timeStamp").str.to_datetime().dt.truncate("1h").dt.strftime("%Y-%m-%d %H:%M:%S")
    hourly = calls.group_by(hour, pl.col("title").str.split(":").list.first()).len().sort("title", "timeStamp")
    counts = daily.group_by("date", "category").agg(pl.lit("all"), pl.col("count").sum()).sort("category", "date")
    return list(
        _tables(
            rows,
            _text(calls.select("lat", "lng", "desc", "timeStamp", "title")),
            _text(assaults.select("date", "loc_cat", "longitude", "latitude", "district")),
            _text(hourly.select("timeStamp", "title", "len")),
            _text(counts),
        )
    )


def _text(frame: pl.DataFrame) -> list[tuple[str, ...]]:
    return frame.cast(pl.String).fill_null("").rows()


def _tables(
    portland: list[tuple[str, ...]],
    montgomery: list[tuple[str, ...]],
    chicago: list[tuple[str, ...]],
    hours: list[tuple[str, ...]],
    francisco: list[tuple[str, ...]],
) -> Iterator[Table]:
    yield Table(
        "portland", ("occ_date", "x", "y"), tuple(portland), "occ_date", ("x", "y"),
        crs="EPSG:2913", bounds=(7600000, 620000, 7720000, 740000),
    )  # fmt: skip
    yield Table(
        "montgomery", ("lat", "lon", "desc", "occurred_at", "category"), tuple(montgomery), "occurred_at",
        ("lon", "lat"), crs="EPSG:4326", bounds=(-76.0, 39.8, -74.8, 40.6),
    )  # fmt: skip
    yield Table(
        "chicago", ("occurred_at", "loc_cat", "lon", "lat", "district"), tuple(chicago), "occurred_at", ("lon", "lat"),
        crs="EPSG:4326", bounds=(-88.0, 41.5, -87.4, 42.1),
    )  # fmt: skip
    yield Table("montgomery hours", ("ds", "unique_id", "y"), tuple(hours), "ds", ("y",), freq="h")
    yield Table("san francisco", ("ds", "unique_id", "district", "y"), tuple(francisco), "ds", ("y",), freq="D")
