"""The page's forecast: expected calls, their location and range, and the units required."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.release.pages import figures
from pipelines.release.pages.page import Page, district_map, ordered

FAMILIES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "police": (
        "Police calls",
        "112 신고",
        ("police", "police_code_0_1", "police_code_2", "police_code_3", "police_code_4"),
    ),
    "fire": ("Fire, rescue and ambulance calls", "119 신고", ("fire", "rescue", "ems", "life_safety")),
}

HOURLY_FROM = 4.0
"""Minimum calls per hour of an hourly chart; rarer services are drawn by day, because hours would show only noise."""

PLANNED_FROM = 1.0
"""Minimum calls per hour of a district's units: with fewer calls, hours do not say how many units to keep."""

HOLIDAYS_WITHIN = timedelta(days=120)
HOLIDAYS_SHOWN = 6
"""Holidays whose effects are shown; the table has those of a year."""

ROWS_SHOWN = 25
"""Longer tables are collapsed."""


def degraded(page: Page) -> list[dict[str, Any]]:
    """Return why some forecasts are degraded, of which services and areas; the reasons of most rows first."""
    if page.forecast is None:
        return []
    reasons = (
        page.forecast.filter(pl.col("degraded_reason").is_not_null())
        .group_by("degraded_reason")
        .agg(
            rows=pl.len(),
            services=pl.col("service").unique().sort(),
            areas=pl.col("area_name").unique().sort(),
            is_everywhere=pl.col("area_id").is_in(page.region).any(),
        )
        .sort("rows", "degraded_reason", descending=[True, False])
    )
    return [
        row | {"services": [page.label(service)["name"] for service in row["services"]]}
        for row in reasons.iter_rows(named=True)
    ]


def outlook(page: Page) -> dict[str, Any] | None:
    """Return the next whole day per service.

    With its range, the baseline for comparison, the busiest hour and the units required in it.
    """
    if page.forecast is None:
        return None
    daily = page.region_rows("D")
    hourly = page.region_rows("h").filter(pl.col("target_start") < page.as_of + timedelta(hours=24))
    units = _peak_units(page)
    result = []
    for service in ordered(hourly["service"].unique().to_list() + daily["service"].unique().to_list()):
        days = daily.filter(pl.col("service") == service).sort("target_start")
        hours = hourly.filter(pl.col("service") == service).sort("expected_calls", descending=True)
        # Means are additive over hours; percentiles are not, so the day has its own range.
        result.append(
            page.label(service)
            | {
                "day": days.row(0, named=True) if days.height else None,
                "next": hours["expected_calls"].sum() if hours.height else None,
                "busiest": hours.row(0, named=True) if hours.height else None,
                "units": units.get(service),
            }
        )
    first = daily["target_start"].min()
    return {"rows": result, "day": first if isinstance(first, datetime) else None}


def demand_maps(page: Page) -> list[dict[str, Any]]:
    """Map expected calls per district on the next whole day, police and fire separately (means are additive)."""
    if page.forecast is None or page.areas is None:
        return []
    daily = page.forecast.filter(pl.col("frequency") == "D")
    first = daily["target_start"].min()
    if first is None:
        return []
    result = []
    for title, korean, services in FAMILIES.values():
        wanted = daily.filter((pl.col("target_start") == first) & pl.col("service").is_in(services))
        if wanted.height:
            expected = wanted.group_by("area_id").agg(
                expected=pl.col("expected_calls").sum(), baseline=pl.col("baseline_calls").sum()
            )
            unit = "calls expected"
            described = f"Map of districts by {title.lower()} expected on {_day(first)}"
            result.append(district_map(page, title, korean, expected, described, unit) | {"day": first})
    return result


def charts(page: Page) -> list[dict[str, Any]]:
    """Chart each service of the whole region: observed and expected calls with their range, and the baseline."""
    actuals = page.local("demand_hourly")
    if page.forecast is None or actuals is None:
        return []
    # An agency that reads records gets the calls of those records only; forecasts are of all calls.
    calls = "calls" if "calls" in actuals.columns else "releasable_calls"
    actuals = actuals.filter(pl.col("area_id").is_in(page.region)).with_columns(calls=pl.col(calls))
    result = []
    for service in ordered(page.forecast["service"].unique().to_list()):
        hours = page.region_rows("h").filter(pl.col("service") == service).sort("target_start")
        past = actuals.filter(pl.col("service") == service).sort("hour_start_at")
        is_hourly = hours.height > 0 and _mean(hours["expected_calls"]) >= HOURLY_FROM
        step = timedelta(hours=1) if is_hourly else timedelta(days=1)
        ahead = hours if is_hourly else page.region_rows("D").filter(pl.col("service") == service).head(14)
        if ahead.height:
            # Hours that the feed cannot know yet are not zeros: they are left out.
            known = min(page.as_of, *ahead["data_as_of"].drop_nulls())
            points = _past(past, known, is_hourly) + _ahead(ahead.sort("target_start"))
            label = page.label(service)
            described = (
                f"{label['name']}: calls of the last days, then expected calls with the range that eight in ten "
                f"{'hours' if is_hourly else 'days'} should keep within"
            ) + (", and the baseline" if page.has_baseline else "")
            # By day the forecast begins at midnight, so the line is there.
            now = page.as_of if is_hourly else next(point.start for point in points if point.expected is not None)
            chart = figures.forecast_chart(points, now, step, described, page.notice)
            result.append(label | {"svg": Markup(chart), "is_hourly": is_hourly})
    return result


def days_ahead(page: Page) -> dict[str, Any] | None:
    """Return the next seven whole days per service for the whole region."""
    if page.forecast is None:
        return None
    daily = page.region_rows("D").sort("target_start")
    days = daily["target_start"].unique().sort().to_list()[:7]
    rows = [
        page.label(service)
        | {"cells": daily.filter((pl.col("service") == service) & pl.col("target_start").is_in(days)).to_dicts()}
        for service in ordered(daily["service"].unique().to_list())
    ]
    return {"days": days, "rows": rows} if days else None


def holidays_ahead(page: Page) -> dict[str, Any] | None:
    """Return the effect of the next holidays on each service of the whole region, with its range."""
    effects = page.local("calendar_effects")
    if effects is None:
        return None
    region = effects.filter(pl.col("area_id").is_in(page.region))
    first = page.as_of.date()
    near = region.filter(pl.col("next_date").is_between(first, first + HOLIDAYS_WITHIN)).sort("next_date")
    days = near.unique("next_date", keep="first", maintain_order=True).head(HOLIDAYS_SHOWN)
    rows = [
        page.label(service)
        | {"cells": days.select("next_date").join(near.filter(service=service), on="next_date", how="left").to_dicts()}
        for service in ordered(near["service"].unique().to_list())
    ]
    return {"days": days.select("next_date", "holiday", "local_holiday").to_dicts(), "rows": rows} if rows else None


def units(page: Page) -> dict[str, Any] | None:
    """Return units required in the region, and in districts with enough calls, per service.

    Each is the maximum of any hour of the next three spans of eight hours; of a district, of any hour in which at least
    `PLANNED_FROM` calls are expected.
    """
    staffing = page.local("staffing")
    if staffing is None or not staffing.height:
        return None
    first = staffing["target_start"].min()
    if not isinstance(first, datetime):
        return None
    spans = [(first + timedelta(hours=8 * n), first + timedelta(hours=8 * (n + 1))) for n in range(3)]
    wanted = staffing.filter(
        pl.col("target_start") < spans[-1][1],
        pl.col("units_required").is_not_null(),
        pl.col("area_id").is_in(page.region) | (pl.col("expected_calls") >= PLANNED_FROM),
    )
    span = ((pl.col("target_start") - pl.lit(first)).dt.total_hours() // 8).cast(pl.Int64)
    peaks = (
        wanted.with_columns(span=span)
        .group_by("area_id", "area_name", "service", "span")
        .agg(pl.col("units_required").max())
    )
    services = ordered(peaks.filter(pl.col("units_required") > 0)["service"].unique().to_list())
    highest = dict(peaks.group_by("service").agg(pl.col("units_required").max()).iter_rows())
    table = {
        (row["area_id"], row["service"], row["span"]): row["units_required"] for row in peaks.iter_rows(named=True)
    }
    names = dict(peaks.select("area_id", "area_name").unique().iter_rows())
    sizes = dict(peaks.group_by("area_id").agg(pl.col("units_required").sum()).iter_rows())
    districts = sorted((area for area in names if area in page.districts), key=lambda area: (-sizes[area], area))

    def row(area_id: str) -> dict[str, Any]:
        cells = [
            {
                "value": (value := table.get((area_id, service, number))),
                "shade": round(4 * (value or 0) / max(highest[service], 1)),
            }
            for service in services
            for number in range(len(spans))
        ]
        return {"name": names[area_id] or area_id, "cells": cells}

    pooled = [
        [table.get((area_id, service, number)) for service in services for number in range(len(spans))]
        for area_id in page.region
        if area_id in names
    ]
    return {
        "services": [page.label(service) for service in services],
        "spans": spans,
        "rows": [row(area_id) for area_id in districts[:ROWS_SHOWN]],
        "more": [row(area_id) for area_id in districts[ROWS_SHOWN:]],
        "pooled": pooled[0] if pooled else None,
        "waits": True,
    }


def _peak_units(page: Page) -> dict[str, dict[str, Any]]:
    """Return per service the hour of the next day in which the region needs most units."""
    staffing = page.local("staffing")
    if staffing is None:
        return {}
    highest = (
        staffing.filter(pl.col("area_id").is_in(page.region), pl.col("target_start") < page.as_of + timedelta(hours=24))
        .select("service", "target_start", units="units_required")
        .filter(pl.col("units") > 0)
        .sort("service", "units", "target_start", descending=[False, True, False])
        .unique("service", keep="first", maintain_order=True)
    )
    return {row["service"]: row for row in highest.iter_rows(named=True)}


def _past(past: pl.DataFrame, known: datetime, is_hourly: bool) -> list[figures.Point]:
    """Return observed calls: seven days by hour, or the last 28 whole days."""
    if is_hourly:
        wanted = past.filter(pl.col("hour_start_at").is_between(known - timedelta(days=7), known, closed="left"))
        pairs = wanted.select("hour_start_at", "calls").iter_rows()
        return [figures.Point(start, actual=float(calls)) for start, calls in pairs]
    days = (
        past.filter(
            pl.col("local_date").is_between(known.date() - timedelta(days=28), known.date() - timedelta(days=1))
        )
        .group_by("local_date")
        .agg(pl.col("calls").sum())
        .sort("local_date")
    )
    return [
        figures.Point(datetime(day.year, day.month, day.day, tzinfo=known.tzinfo), actual=float(calls))
        for day, calls in days.iter_rows()
    ]


def _ahead(forecast: pl.DataFrame) -> list[figures.Point]:
    columns = ("target_start", "expected_calls", "p10", "p90", "baseline_calls")
    return [
        figures.Point(start, expected=expected, low=low, high=high, baseline=baseline)
        for start, expected, low, high, baseline in forecast.select(columns).iter_rows()
    ]


def _mean(values: pl.Series) -> float:
    mean = values.mean()
    return float(mean) if isinstance(mean, int | float) else 0.0


def _day(instant: object) -> str:
    return instant.strftime("%A %-d %B") if isinstance(instant, date) else ""
