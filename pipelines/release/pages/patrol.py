"""Lists of places to patrol: per shift a map, what is within reach, how past lists did, and each station's list."""

from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.release.pages import patrol_figures
from pipelines.release.pages.figures import Shape
from pipelines.release.pages.page import Page, outlines_of

LISTS = {
    "patrol_areas": ("these places", "이 순찰 구역"),
    "station_grid": ("single cells by station", "경찰서별 개별 격자"),
    "region_grid": ("single cells", "개별 격자"),
}
"""Names of the lists that are compared, in English and Korean."""


def section(page: Page) -> dict[str, Any] | None:
    """Return the lists of every shift, in the order of their begin; None if there are none."""
    if not page.has("patrol_areas", "patrol_area_scores") or page.areas is None:
        return None
    places = page.frame("from patrol_areas order by shift_begins, shift, police_area_id, rank")
    if places.is_empty():
        return None
    shifts = places.partition_by("shift", maintain_order=True)
    first, end = (places[name].dt.convert_time_zone(page.zone.key)[0] for name in ("target_start", "target_end"))
    most = places.group_by("shift", "police_area_id").len()["len"].max()
    return {
        "shifts": [_shift(page, of_shift) for of_shift in shifts],
        "first": first,
        "end": end,
        "most": most,
        "degraded": places["degraded_reason"][0],
    }


def _shift(page: Page, places: pl.DataFrame) -> dict[str, Any]:
    assert page.areas is not None
    # Districts take the place of station areas that are not known.
    listed = page.areas.filter(pl.col("area_id").is_in(places["police_area_id"].implode()))
    stations = page.areas.join(listed, on=["hierarchy", "area_level"], how="semi")
    districts = dict(page.areas.select("area_id", "name").iter_rows())
    labelled = places.with_columns(pl.col("admin_area_id").replace_strict(districts, default="").alias("district"))
    name, begins = places["shift"][0], places["shift_begins"][0]
    described = f"Places to patrol in shift {name} from {begins} on the police station areas"
    outlines = outlines_of(stations)
    per_station = labelled.unique("police_area_id", keep="first", maintain_order=True)
    expected, whole = float(places["expected"].sum()), float(per_station["station_expected"].sum())
    return {
        "name": name,
        "begins": begins,
        "hours": places["shift_hours"][0],
        "visits": places["visits"][0],
        "minutes": places["planned_minutes"][0],
        "round_km": per_station["round_km"].median(),
        "places": places.height,
        "area_km2": places["area_km2"].sum(),
        "expected": expected,
        "share": expected / whole if whole else None,
        "svg": Markup(patrol_figures.region_map(outlines, _shapes(places), described, page.notice)),
        "scores": _scores(page, name),
        "stations": [
            _station(of_station, dict(zip(stations["area_id"], outlines, strict=True)), page.notice)
            for of_station in labelled.partition_by("police_area_id", maintain_order=True)
        ],
    }


def _station(places: pl.DataFrame, outlines: dict[str, Any], notice: str) -> dict[str, Any]:
    """Return the list of one station area, with its totals and its map."""
    area_id = places["police_area_id"][0]
    name = places["area_name"][0] or area_id
    svg = None
    if area_id in outlines:
        described = f"{name}: places to patrol, numbered by rank"
        svg = Markup(patrol_figures.station_map(outlines[area_id], _shapes(places), described, notice))
    return {
        "name": name,
        "rows": places.drop("geometry").rename({"q0.1": "low", "q0.9": "high"}).to_dicts(),
        "area_km2": places["area_km2"].sum(),
        "minutes": places["planned_minutes"].sum(),
        "round_km": places["round_km"][0],
        "share": places["expected"].sum() / places["station_expected"][0] if places["station_expected"][0] else None,
        "svg": svg,
    }


def _shapes(places: pl.DataFrame) -> list[Shape]:
    rows = zip(places.iter_rows(named=True), outlines_of(places), strict=True)
    return [
        Shape(
            row["police_area_id"], outline, row["expected"], f"{row['area_name']} {row['rank']}: {row['expected']:.2f}"
        )
        for row, outline in rows
    ]


def _scores(page: Page, shift: str) -> list[dict[str, Any]]:
    """Return how past lists of a shift did, the places first; those of the backtest."""
    rows = {
        row["model"]: row | dict(zip(("label", "korean"), LISTS[row["model"]], strict=True))
        for row in page.rows("patrol_area_scores")
        if row["shift"] == shift and row["origin_kind"] == "backtest"
    }
    return [rows[model] for model in LISTS if model in rows]
