"""One audience's released file, and the common parts of its pages: words, numbers, maps, the template environment."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import jinja2
import polars as pl
import shapely
from markupsafe import Markup

from pipelines.release.pages import figures

TEMPLATES = Path(__file__).parent / "templates"

SERVICES: Mapping[str, tuple[str, str]] = {
    "police_code_0_1": ("Police, CODE 0–1: emergency", "112 긴급"),
    "police_code_2": ("Police, CODE 2: prompt", "112 일반"),
    "police_code_3": ("Police, CODE 3: same day", "112 비긴급"),
    "police_code_4": ("Police, CODE 4: advice, no unit", "112 상담"),
    "police": ("Police", "경찰"),
    "fire": ("Fire", "화재"),
    "rescue": ("Rescue", "구조"),
    "ems": ("Ambulance", "구급"),
    "life_safety": ("Life safety", "생활안전"),
    "advice": ("119: advice, no unit", "119 상담"),
    "investigation": ("Investigation", "수사"),
}
"""Names of services on a page, most urgent first."""

NAMES_SHOWN = 40
"""A map of more areas numbers the highest, as in the table next to it, instead of naming all."""


@cache
def environment() -> jinja2.Environment:
    """Return the template environment, which escapes everything and fails on missing values."""
    loaded = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loaded.filters |= {"count": _count, "percent": _percent, "share": _share, "word": _word, "stamp": _stamp}
    return loaded


class Page:
    """The queries of a page on one audience's file."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self.tables = [
            name for (name,) in con.execute("select table_name from duckdb_tables() order by all").fetchall()
        ]
        self.release: dict[str, Any] = self.frame("from release").to_dicts()[0]
        self.zone = ZoneInfo(self.release["time_zone"])
        self.as_of: datetime = self.release["as_of"].astimezone(self.zone)
        self.is_korean = self.zone.key == "Asia/Seoul"
        self.notice: str = self.release["notice"]
        self.areas = self.frame("select * exclude (geometry), geometry from areas") if self.has("areas") else None
        self.region = self._region()
        self.districts = self._districts()
        self.forecast = self.local("demand_forecast")
        self.has_baseline = self.forecast is not None and "baseline_calls" in self.forecast.columns
        if self.forecast is not None and not self.has_baseline:
            self.forecast = self.forecast.with_columns(baseline_calls=pl.lit(None, pl.Float64))

    def has(self, *names: str) -> bool:
        """Return whether this audience has all of these tables."""
        return all(name in self.tables for name in names)

    def frame(self, sql: str) -> pl.DataFrame:
        """Return the result of a query."""
        return self.con.execute(sql).pl()

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a whole small table, or nothing if the audience does not have it."""
        return self.frame(f"from {table} order by all").to_dicts() if self.has(table) else []

    def label(self, service: str) -> dict[str, str]:
        """Return a service's name in English, and in Korean if the page has Korean."""
        english, korean = SERVICES.get(service, (service.replace("_", " ").title(), ""))
        return {"key": service, "name": english, "korean": korean if self.is_korean else ""}

    def _region(self) -> list[str]:
        if self.areas is None:
            return []
        admin = self.areas.filter(pl.col("hierarchy") == "admin")
        provinces = admin.filter(pl.col("area_level") == "province")
        whole = provinces if provinces.height == 1 else admin.filter(pl.col("area_level") == "nation")
        return whole["area_id"].to_list()

    def _districts(self) -> list[str]:
        if self.areas is None:
            return []
        is_district = (pl.col("hierarchy") == "admin") & (pl.col("area_level") == "district")
        return self.areas.filter(is_district)["area_id"].to_list()

    def local(self, table: str) -> pl.DataFrame | None:
        """Return a table with its instants in local time."""
        if not self.has(table):
            return None
        where = " where local_date >= (select as_of::date - 40 from release)" if table == "demand_hourly" else ""
        frame = self.frame(f"from {table}{where}")
        instants = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
        return frame.with_columns(pl.col(instants).dt.convert_time_zone(self.zone.key))

    def region_rows(self, frequency: str) -> pl.DataFrame:
        """Return the forecast of the whole region at one frequency."""
        assert self.forecast is not None
        return self.forecast.filter((pl.col("frequency") == frequency) & pl.col("area_id").is_in(self.region))


def ordered(services: Iterable[str]) -> list[str]:
    """Return services, most urgent first; unknown ones at the end by name."""
    known = list(SERVICES)
    return sorted(set(services), key=lambda name: (known.index(name) if name in known else len(known), name))


def district_map(
    page: Page, title: str, korean: str, values: pl.DataFrame, described: str, unit: str
) -> dict[str, Any]:
    """Return a map of districts by a value, with the highest of them as rows."""
    assert page.areas is not None
    districts = page.areas.filter((pl.col("hierarchy") == "admin") & (pl.col("area_level") == "district"))
    joined = districts.join(values, on="area_id", how="left", maintain_order="left")
    shapes = [
        figures.Shape(row["name"], geometry, row["expected"], f"{row['name']}: {_count(row['expected'])} {unit}")
        for row, geometry in zip(joined.iter_rows(named=True), outlines_of(joined), strict=True)
    ]
    top = joined.filter(pl.col("expected") > 0).sort("expected", "area_id", descending=[True, False]).head(8)
    highest = float(top["expected"][0]) if top.height else 1.0
    rows = [row | {"bar": round(100 * row["expected"] / highest)} for row in top.drop("geometry").to_dicts()]
    ranked = [row["name"] for row in rows] if len(shapes) > NAMES_SHOWN else []
    svg = figures.district_map(shapes, described, page.notice, unit=unit, ranked=ranked)
    return {
        "title": title,
        "korean": korean if page.is_korean else "",
        "svg": Markup(svg),
        "top": rows,
        "is_ranked": bool(ranked),
    }


def outlines_of(frame: pl.DataFrame) -> list[Any]:
    """Return the outlines of a frame's rows."""
    return list(shapely.from_wkb([bytes(value) for value in frame["geometry"]]))


def _count(value: float | None) -> str:
    """Format a count, a dash if unknown."""
    return "–" if value is None else figures.number(value)


def _percent(value: float | None) -> str:
    """Format a difference in per cent, with its sign."""
    return "–" if value is None else f"{round(100 * value) + 0:+d} %".replace("+0 ", "0 ").replace("-", "−")


def _share(value: float | None) -> str:
    """Format a share in per cent."""
    return "–" if value is None else f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %"


def _word(value: object) -> str:
    """Format a name from the data for readers."""
    return str(value).replace("_", " ")


def _stamp(value: datetime | None, zone: ZoneInfo) -> str:
    """Format an instant in local time."""
    return "–" if value is None else value.astimezone(zone).strftime("%a %-d %b %H:%M")
