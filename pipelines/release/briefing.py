"""The briefing: one page per audience that a planner can read in the morning, print, and open without a network.

It reads the audience's own released DuckDB file and nothing else, so it cannot say more than that audience may know.
Sections appear where the audience has their tables. Ranges come from the forecasts themselves: a total has its own
forecast, since percentiles of parts do not add up.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import jinja2
import polars as pl
import shapely
from markupsafe import Markup

from pipelines.release import figures

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
    "investigation": ("Investigation", "수사"),
}
"""How services are called on a page, most urgent first."""

FAMILIES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "police": (
        "Police calls",
        "112 신고",
        ("police", "police_code_0_1", "police_code_2", "police_code_3", "police_code_4"),
    ),
    "fire": ("Fire, rescue and ambulance calls", "119 신고", ("fire", "rescue", "ems", "life_safety")),
}

AUDIENCES: Mapping[str, tuple[str, str]] = {
    "public": ("Public report", "공개 보고서"),
    "dispatch": ("Dispatch briefing", "출동 수요 브리핑"),
    "police": ("Police briefing", "경찰 브리핑"),
    "fire": ("Fire and ambulance briefing", "소방 브리핑"),
    "investigation": ("Investigation briefing", "수사 브리핑"),
}

HOURLY_FROM = 4.0
"""Calls per hour from which a chart by the hour shows more than noise; rarer services are drawn by the day."""

NAMES_SHOWN = 40
"""A map of more areas than this numbers the highest, as in the table beside it, instead of naming all."""

ROWS_SHOWN = 25
"""Longer tables fold the rest away."""


def render(database: Path, audience: str) -> str:
    """The page of one audience, made from its released DuckDB file."""
    with duckdb.connect(database, read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        page = _Page(con)
        content = {
            "audience": audience,
            "heading": AUDIENCES.get(audience, (audience.title(), "")),
            "release": page.release,
            "as_of": page.as_of,
            "is_korean": page.is_korean,
            "feeds": page.rows("feed_status") or [row for row in page.rows("feeds") if not row["is_reference"]],
            "has_feed_status": page.has("feed_status"),
            "degraded": page.degraded(),
            "services": page.outlook(),
            "maps": page.demand_maps(),
            "charts": page.charts(),
            "days": page.days_ahead(),
            "units": page.units(),
            "hot": page.hot_spots(),
            "scores": page.scores(),
            "risk_scores": page.risk_scores(),
            "joint": page.joint(),
            "quarter": page.quarter(),
            "cases": page.cases(),
            "withheld": page.rows("withheld_records"),
            "exclusions": page.rows("risk_exclusions"),
            "allow_list": page.rows("allow_list") if audience == "public" else [],
            "cards": page.rows("model_cards") if audience == "public" else [],
            "grounds": page.rows("feeds") if audience == "public" else [],
            "tables": page.tables,
        }
    return environment().get_template("briefing.html.j2").render(content)


@cache
def environment() -> jinja2.Environment:
    """Templates with everything escaped and nothing silently missing."""
    loaded = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loaded.filters |= {"count": _count, "percent": _percent, "share": _share, "word": _word, "stamp": _stamp}
    return loaded


class _Page:
    """The questions that the page asks of one audience's file."""

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
        self.forecast = self._local("demand_forecast")

    def has(self, *names: str) -> bool:
        """Whether this audience has all of these tables."""
        return all(name in self.tables for name in names)

    def frame(self, sql: str) -> pl.DataFrame:
        """The answer to a query."""
        return self.con.execute(sql).pl()

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A whole small table, or nothing where the audience has none."""
        return self.frame(f"from {table} order by all").to_dicts() if self.has(table) else []

    def label(self, service: str) -> dict[str, str]:
        """A service's name in English, and in Korean where the page speaks Korean."""
        english, korean = SERVICES.get(service, (service.replace("_", " ").title(), ""))
        return {"key": service, "name": english, "korean": korean if self.is_korean else ""}

    def degraded(self) -> list[dict[str, Any]]:
        """Why some forecasts are worse than usual, with how many rows it touches."""
        if self.forecast is None:
            return []
        return (
            self.forecast.filter(pl.col("degraded_reason").is_not_null())
            .group_by("degraded_reason")
            .agg(rows=pl.len(), services=pl.col("service").unique().sort())
            .sort("rows", descending=True)
            .to_dicts()
        )

    def outlook(self) -> dict[str, Any] | None:
        """Per service: the next whole day with its range, against the baseline, and the busiest hour and its units."""
        if self.forecast is None:
            return None
        daily = self._region_rows("D")
        hourly = self._region_rows("h").filter(pl.col("target_start") < self.as_of + timedelta(hours=24))
        units = self._peak_units()
        found = []
        for service in _ordered(hourly["service"].unique().to_list() + daily["service"].unique().to_list()):
            days = daily.filter(pl.col("service") == service).sort("target_start")
            hours = hourly.filter(pl.col("service") == service).sort("expected_calls", descending=True)
            # Means add up over hours; their percentiles do not, so the day has a range of its own.
            found.append(
                self.label(service)
                | {
                    "day": days.row(0, named=True) if days.height else None,
                    "next": hours["expected_calls"].sum() if hours.height else None,
                    "busiest": hours.row(0, named=True) if hours.height else None,
                    "units": units.get(service),
                }
            )
        first = daily["target_start"].min()
        return {"rows": found, "day": first if isinstance(first, datetime) else None}

    def demand_maps(self) -> list[dict[str, Any]]:
        """Expected calls per district on the next whole day, police and fire apart (means add up, percentiles not)."""
        if self.forecast is None or self.areas is None:
            return []
        daily = self.forecast.filter(pl.col("frequency") == "D")
        first = daily["target_start"].min()
        if first is None:
            return []
        found = []
        for title, korean, services in FAMILIES.values():
            wanted = daily.filter((pl.col("target_start") == first) & pl.col("service").is_in(services))
            if wanted.height:
                expected = wanted.group_by("area_id").agg(
                    expected=pl.col("expected_calls").sum(), baseline=pl.col("baseline_calls").sum()
                )
                unit = "calls expected"
                described = f"Map of districts by {title.lower()} expected on {_day(first)}"
                found.append(self._map(title, korean, expected, described, unit) | {"day": first})
        return found

    def charts(self) -> list[dict[str, Any]]:
        """Per service of the whole region: what came, what is expected, in what range, beside the baseline."""
        actuals = self._local("demand_hourly")
        if self.forecast is None or actuals is None:
            return []
        actuals = actuals.filter(pl.col("area_id").is_in(self.region))
        found = []
        for service in _ordered(self.forecast["service"].unique().to_list()):
            hours = self._region_rows("h").filter(pl.col("service") == service).sort("target_start")
            past = actuals.filter(pl.col("service") == service).sort("hour_start_at")
            is_hourly = hours.height > 0 and _mean(hours["expected_calls"]) >= HOURLY_FROM
            step = timedelta(hours=1) if is_hourly else timedelta(days=1)
            ahead = hours if is_hourly else self._region_rows("D").filter(pl.col("service") == service).head(14)
            if ahead.height:
                # Hours that the feed could not know yet are no zeros: they are left out.
                known = min(self.as_of, *ahead["data_as_of"].drop_nulls())
                points = _past(past, known, is_hourly) + _ahead(ahead.sort("target_start"))
                label = self.label(service)
                described = (
                    f"{label['name']}: calls of the last days, then expected calls with the range that eight in ten "
                    f"{'hours' if is_hourly else 'days'} should keep within, and the baseline"
                )
                # By the day the forecast begins at a midnight, so the line stands there.
                now = self.as_of if is_hourly else next(point.start for point in points if point.expected is not None)
                chart = figures.forecast_chart(points, now, step, described, self.notice)
                found.append(label | {"svg": Markup(chart), "is_hourly": is_hourly})
        return found

    def days_ahead(self) -> dict[str, Any] | None:
        """The next seven whole days per service for the whole region."""
        if self.forecast is None:
            return None
        daily = self._region_rows("D").sort("target_start")
        days = daily["target_start"].unique().sort().to_list()[:7]
        rows = [
            self.label(service)
            | {"cells": daily.filter((pl.col("service") == service) & pl.col("target_start").is_in(days)).to_dicts()}
            for service in _ordered(daily["service"].unique().to_list())
        ]
        return {"days": days, "rows": rows} if days else None

    def units(self) -> dict[str, Any] | None:
        """Units required per district and service: the most in any hour of the next three spans of eight hours."""
        staffing = self._local("staffing")
        if staffing is None or not staffing.height:
            return None
        first = staffing["target_start"].min()
        if not isinstance(first, datetime):
            return None
        spans = [(first + timedelta(hours=8 * n), first + timedelta(hours=8 * (n + 1))) for n in range(3)]
        wanted = staffing.filter(pl.col("target_start") < spans[-1][1], pl.col("units_required").is_not_null())
        span = ((pl.col("target_start") - pl.lit(first)).dt.total_hours() // 8).cast(pl.Int64)
        peaks = (
            wanted.with_columns(span=span)
            .group_by("area_id", "area_name", "service", "span")
            .agg(pl.col("units_required").max())
        )
        services = _ordered(peaks.filter(pl.col("units_required") > 0)["service"].unique().to_list())
        highest = dict(peaks.group_by("service").agg(pl.col("units_required").max()).iter_rows())
        table = {
            (row["area_id"], row["service"], row["span"]): row["units_required"] for row in peaks.iter_rows(named=True)
        }
        names = dict(peaks.select("area_id", "area_name").unique().iter_rows())
        sizes = dict(peaks.group_by("area_id").agg(pl.col("units_required").sum()).iter_rows())
        districts = sorted((area for area in names if area not in self.region), key=lambda area: (-sizes[area], area))

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
            for area_id in self.region
            if area_id in names
        ]
        return {
            "services": [self.label(service) for service in services],
            "spans": spans,
            "rows": [row(area_id) for area_id in districts[:ROWS_SHOWN]],
            "more": [row(area_id) for area_id in districts[ROWS_SHOWN:]],
            "pooled": pooled[0] if pooled else None,
            "waits": True,
        }

    def hot_spots(self) -> list[dict[str, Any]]:
        """Per category: a small map of hot cells, with the selected risk cells as dots."""
        if not self.has("hot_spots") or self.areas is None:
            return []
        hot = self.frame("from hot_spots where is_hot order by gi_star_z desc, cell_id")
        marks = self._selected_cells()
        labels = {row["category"]: row["label"] for row in self.rows("allow_list")}
        names = dict(self.areas.select("area_id", "name").iter_rows())
        outlines = self._shapes(self.areas.filter((pl.col("tree") == "admin") & (pl.col("level") == "district")))
        found = []
        for category in sorted(set(hot["category"]) | set(marks)):
            cells = hot.filter(pl.col("category") == category)
            drawn = [
                figures.Shape(
                    row["cell_id"], geometry, row["gi_star_z"], f"{row['cell_id']}: {row['incidents']} in a year"
                )
                for row, geometry in zip(cells.iter_rows(named=True), self._shapes(cells), strict=True)
            ]
            label = labels.get(category, category)
            described = f"{label}: {cells.height} hot cells on the districts"
            svg = figures.cell_map(outlines, drawn, marks.get(category, []), described, self.notice)
            # A cell may be hot for its neighbours alone; the list is of those with incidents of their own.
            own = cells.filter(pl.col("incidents") > 0).sort("incidents", "cell_id", descending=[True, False])
            top = [row | {"district": names.get(row["admin_area_id"], "")} for row in own.head(3).to_dicts()]
            found.append({"label": label, "hot": cells.height, "svg": Markup(svg), "top": top})
        return found

    def scores(self) -> list[dict[str, Any]]:
        """How past demand forecasts did against the baseline: issued ones where there are any, else the backtest."""
        if not self.has("forecast_scores"):
            return []
        scores = self.frame(
            """
            with counted as (
                select *, bool_or(origin_kind = 'issued') over (partition by frequency, service) as has_issued
                from forecast_scores
            ),
            added as (
                select frequency, service, area_level, is_baseline, if(is_baseline, model, null) as baseline,
                    string_agg(distinct model, ', ' order by model) as model,
                    max(origin_kind) as origin_kind, count(distinct reference_at) as origins,
                    sum(wis * targets) / sum(targets) as wis,
                    sum(coverage_80 * targets) / sum(targets) as coverage,
                    sum(expected_coverage_80 * targets) / sum(targets) as expected_coverage
                from counted
                where not has_issued or origin_kind = 'issued'
                group by frequency, service, area_level, is_baseline, baseline
            ),
            best as (
                select frequency, service, area_level, min(wis) as wis
                from added
                where is_baseline
                group by all
            )
            select added.*, 1 - added.wis / nullif(best.wis, 0) as gain
            from added
            left join best using (frequency, service, area_level)
            where not added.is_baseline
            """
        )
        found = []
        for frequency in ("D", "h"):
            for service in _ordered(scores["service"].to_list()):
                own = scores.filter((pl.col("frequency") == frequency) & (pl.col("service") == service)).to_dicts()
                if own:
                    models = sorted({model for row in own for model in row["model"].split(", ")})
                    shared = {name: own[0][name] for name in ("origin_kind", "origins", "frequency")}
                    levels = {row["area_level"]: row for row in own}
                    found.append(self.label(service) | shared | {"model": ", ".join(models), "levels": levels})
        return found

    def risk_scores(self) -> list[dict[str, Any]]:
        """How past risk forecasts did, beside the plain count."""
        labels = {row["category"]: row["label"] for row in self.rows("allow_list")}
        if self.has("risk_scores"):
            found = self.frame(
                """
                select category, model, is_baseline, count(*) as origins, avg(area_share) as area_share,
                    sum(hits) / nullif(sum(incidents), 0) as hit_rate,
                    sum(hits) / nullif(sum(incidents), 0) / nullif(avg(area_share), 0) as pai
                from risk_scores group by category, model, is_baseline order by category, is_baseline, model
                """
            ).to_dicts()
        else:
            found = self.rows("risk_audit")
        return [row | {"label": labels.get(row["category"], row["category"])} for row in found]

    def joint(self) -> dict[str, Any] | None:
        """Joint responses of the last whole month: the districts with most of them, and the months before."""
        if not self.has("joint_responses"):
            return None
        months = self.frame(
            """
            select month_start_date, sum(joint_incidents)::bigint as joint_incidents
            from joint_responses group by all order by month_start_date desc limit 13
            """
        )
        whole = [month for month in months["month_start_date"] if _next_month(month) <= self.as_of.date()]
        if not whole:
            return None
        found = self.frame(
            f"""
            select areas.name, sum(joint_incidents)::bigint as joint_incidents
            from joint_responses left join areas using (area_id)
            where month_start_date = date '{whole[0]}'
            group by all order by joint_incidents desc, name limit 8
            """
        ).to_dicts()
        past = months.filter(pl.col("month_start_date").is_in(whole)).sort("month_start_date")
        drawn = figures.bars(
            past["joint_incidents"].to_list(), "Joint responses per month", self.notice, width=460, height=110
        )
        total = past["joint_incidents"].to_list()[-1]
        return {"month": whole[0], "rows": found, "total": total, "svg": Markup(drawn), "months": past.height}

    def quarter(self) -> dict[str, Any] | None:
        """The last whole quarter for the public: calls and reported crime per district."""
        if not self.has("crime_quarterly", "demand_quarterly"):
            return None
        last = (
            self.frame("select max(quarter_start_date) as last from demand_quarterly")["last"][0]
            or (self.frame("select max(quarter_start_date) as last from crime_quarterly")["last"][0])
        )
        if last is None:
            return None
        labels = {row["category"]: row["label"] for row in self.rows("allow_list")}
        calls = self.frame(f"from demand_quarterly where quarter_start_date = date '{last}'")
        crime = self.frame(f"from crime_quarterly where quarter_start_date = date '{last}'")
        districts = self.frame(
            "select area_id, name from areas where tree = 'admin' and level = 'district' order by name"
        ).to_dicts()
        services = _ordered(calls["service"].unique().to_list())
        categories = (
            crime.group_by("category").agg(pl.col("incidents").sum()).sort("incidents", "category", descending=True)
        )
        called = {(row["area_id"], row["service"]): row["calls"] for row in calls.iter_rows(named=True)}
        reported = {(row["area_id"], row["category"]): row["incidents"] for row in crime.iter_rows(named=True)}
        expected = calls.group_by("area_id").agg(expected=pl.col("calls").sum())
        described = f"Map of districts by fire and ambulance calls in the quarter from {last}"
        return {
            "start": last,
            "services": [self.label(service) for service in services],
            "categories": [labels.get(name, name) for name in categories["category"]],
            "rows": [
                {
                    "name": row["name"],
                    "calls": [called.get((row["area_id"], service), 0) for service in services],
                    "crime": [reported.get((row["area_id"], name), 0) for name in categories["category"]],
                }
                for row in districts
            ],
            "map": self._map("Fire and ambulance calls", "119 신고", expected, described, "calls")
            if calls.height
            else None,
        }

    def cases(self) -> dict[str, Any] | None:
        """Investigation: cases per category in the last whole month, the year before, and the shape of the months."""
        if not self.has("cases"):
            return None
        labels = {row["category"]: row["label"] for row in self.rows("allow_list")}
        cases = self.frame(
            """
            select month_start_date, category, sum(cases)::bigint as cases, sum(cases_year_before)::bigint as before
            from cases group by all order by month_start_date, category
            """
        )
        whole = sorted(month for month in set(cases["month_start_date"]) if _next_month(month) <= self.as_of.date())[
            -13:
        ]
        if not whole:
            return None
        found = []
        for category in sorted(set(cases["category"])):
            own = {row["month_start_date"]: row for row in cases.filter(pl.col("category") == category).to_dicts()}
            series = [own.get(month, {}).get("cases", 0) for month in whole]
            drawn = figures.bars(series, f"{labels.get(category, category)}: cases per month", self.notice)
            last = own.get(whole[-1], {})
            found.append(
                {
                    "label": labels.get(category, category),
                    "cases": series[-1],
                    "before": last.get("before"),
                    "svg": Markup(drawn),
                }
            )
        found.sort(key=lambda row: (-row["cases"], row["label"]))
        return {"month": whole[-1], "first": whole[0], "rows": found}

    def _region(self) -> list[str]:
        if self.areas is None:
            return []
        wanted = (pl.col("tree") == "admin") & (pl.col("level") == "province")
        return self.areas.filter(wanted)["area_id"].to_list()

    def _local(self, table: str) -> pl.DataFrame | None:
        """A table with its instants in local time."""
        if not self.has(table):
            return None
        where = " where local_date >= (select as_of::date - 40 from release)" if table == "demand_hourly" else ""
        frame = self.frame(f"from {table}{where}")
        instants = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
        return frame.with_columns(pl.col(instants).dt.convert_time_zone(self.zone.key))

    def _region_rows(self, frequency: str) -> pl.DataFrame:
        assert self.forecast is not None
        return self.forecast.filter((pl.col("frequency") == frequency) & pl.col("area_id").is_in(self.region))

    def _peak_units(self) -> dict[str, dict[str, Any]]:
        """Per service: the hour of the next day in which the districts together need most units."""
        staffing = self._local("staffing")
        if staffing is None:
            return {}
        together = (
            staffing.filter(
                ~pl.col("area_id").is_in(self.region), pl.col("target_start") < self.as_of + timedelta(hours=24)
            )
            .group_by("service", "target_start")
            .agg(units=pl.col("units_required").sum())
            .filter(pl.col("units") > 0)
            .sort("service", "units", "target_start", descending=[False, True, False])
            .unique("service", keep="first", maintain_order=True)
        )
        return {row["service"]: row for row in together.iter_rows(named=True)}

    def _map(self, title: str, korean: str, values: pl.DataFrame, described: str, unit: str) -> dict[str, Any]:
        assert self.areas is not None
        districts = self.areas.filter((pl.col("tree") == "admin") & (pl.col("level") == "district"))
        joined = districts.join(values, on="area_id", how="left", maintain_order="left")
        shapes = [
            figures.Shape(row["name"], geometry, row["expected"], f"{row['name']}: {_count(row['expected'])} {unit}")
            for row, geometry in zip(joined.iter_rows(named=True), self._shapes(joined), strict=True)
        ]
        top = joined.filter(pl.col("expected") > 0).sort("expected", "area_id", descending=[True, False]).head(8)
        highest = _mean(top["expected"].head(1)) or 1.0
        rows = [row | {"bar": round(100 * row["expected"] / highest)} for row in top.drop("geometry").to_dicts()]
        ranked = [row["name"] for row in rows] if len(shapes) > NAMES_SHOWN else []
        svg = figures.district_map(shapes, described, self.notice, unit=unit, ranked=ranked)
        return {
            "title": title,
            "korean": korean if self.is_korean else "",
            "svg": Markup(svg),
            "top": rows,
            "is_ranked": bool(ranked),
        }

    def _shapes(self, frame: pl.DataFrame) -> list[Any]:
        return list(shapely.from_wkb([bytes(value) for value in frame["geometry"]]))

    def _selected_cells(self) -> dict[str, list[tuple[float, float]]]:
        if not self.has("risk_selected", "cells"):
            return {}
        found: dict[str, list[tuple[float, float]]] = {}
        for category, lon, lat in self.con.execute(
            "select category, lon, lat from risk_selected join cells using (cell_id, cell_metres) "
            "order by category, rank"
        ).fetchall():
            found.setdefault(category, []).append((lon, lat))
        return found


def _past(past: pl.DataFrame, known: datetime, is_hourly: bool) -> list[figures.Point]:
    """What came: seven days by the hour, or the last 28 whole days."""
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


def _ordered(services: Iterable[str]) -> list[str]:
    """Services, most urgent first; unknown ones at the end by name."""
    known = list(SERVICES)
    return sorted(set(services), key=lambda name: (known.index(name) if name in known else len(known), name))


def _mean(values: pl.Series) -> float:
    mean = values.mean()
    return float(mean) if isinstance(mean, int | float) else 0.0


def _next_month(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def _day(instant: object) -> str:
    return instant.strftime("%A %-d %B") if isinstance(instant, date) else ""


def _count(value: float | None) -> str:
    """A number of things, a dash when unknown."""
    return "–" if value is None else figures.number(value)


def _percent(value: float | None) -> str:
    """A difference in per cent, with its sign."""
    return "–" if value is None else f"{round(100 * value) + 0:+d} %".replace("+0 ", "0 ").replace("-", "−")


def _share(value: float | None) -> str:
    """A share in per cent."""
    return "–" if value is None else f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %"


def _word(value: object) -> str:
    """A name from the data for people to read."""
    return str(value).replace("_", " ")


def _stamp(value: datetime | None, zone: ZoneInfo) -> str:
    """An instant in local time."""
    return "–" if value is None else value.astimezone(zone).strftime("%a %-d %b %H:%M")
