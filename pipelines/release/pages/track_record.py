"""The track record: hot spots, scores of past forecasts, joint responses, the public's quarter, cases."""

from datetime import date, timedelta
from itertools import product
from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.release.pages import figures, trend_figures
from pipelines.release.pages.page import Page, district_map, ordered, outlines_of


def hot_spots(page: Page) -> list[dict[str, Any]]:
    """Return per category a small map of hot cells, with the selected risk cells as dots."""
    if not page.has("hot_spots") or page.areas is None:
        return []
    hot = page.frame("from hot_spots where is_hot order by gi_star_z desc, cell_id")
    marks = _selected_cells(page)
    labels = {row["category"]: row["label"] for row in page.rows("allow_list")}
    names = dict(page.areas.select("area_id", "name").iter_rows())
    outlines = outlines_of(page.areas.filter((pl.col("hierarchy") == "admin") & (pl.col("area_level") == "district")))
    result = []
    for category in sorted(set(hot["category"]) | set(marks)):
        cells = hot.filter(pl.col("category") == category)
        drawn = [
            figures.Shape(row["cell_id"], geometry, row["gi_star_z"], f"{row['cell_id']}: {row['incidents']} in a year")
            for row, geometry in zip(cells.iter_rows(named=True), outlines_of(cells), strict=True)
        ]
        label = labels.get(category, category)
        described = f"{label}: {cells.height} hot cells on the districts"
        svg = figures.cell_map(outlines, drawn, marks.get(category, []), described, page.notice)
        # A cell may be hot because of its neighbours only; the list has those with incidents of their own.
        of_category = cells.filter(pl.col("incidents") > 0).sort("incidents", "cell_id", descending=[True, False])
        top = [row | {"district": names.get(row["admin_area_id"], "")} for row in of_category.head(3).to_dicts()]
        result.append({"label": label, "hot": cells.height, "svg": Markup(svg), "top": top})
    return result


def scores(page: Page) -> list[dict[str, Any]]:
    """Score past demand forecasts against the baseline: issued ones if there are any, else the backtest."""
    if not page.has("forecast_scores"):
        return []
    scores = page.frame(
        """
        with counted as (
            select *, bool_or(origin_kind = 'issued') over (partition by frequency, service) as has_issued
            from forecast_scores
            where measure = 'calls'
        ),
        added as (
            select frequency, service, area_level, is_baseline, if(is_baseline, model, null) as baseline,
                string_agg(distinct model, ', ' order by model) as model,
                max(origin_kind) as origin_kind,
                if(max(origin_kind) = 'backtest', max(origins), count(distinct reference_at)) as origins,
                sum(scaled_pinball * targets) / sum(targets) as loss,
                sum(coverage_80 * targets) / sum(targets) as coverage,
                sum(expected_coverage_80 * targets) / sum(targets) as expected_coverage
            from counted
            where not has_issued or origin_kind = 'issued'
            group by frequency, service, area_level, is_baseline, baseline
        ),
        best as (
            select frequency, service, area_level, min(loss) as loss
            from added
            where is_baseline
            group by all
        )
        select added.*, 1 - added.loss / nullif(best.loss, 0) as gain
        from added
        left join best using (frequency, service, area_level)
        where not added.is_baseline
        """
    )
    result = []
    for frequency in ("D", "h"):
        for service in ordered(scores["service"].to_list()):
            of_category = scores.filter((pl.col("frequency") == frequency) & (pl.col("service") == service)).to_dicts()
            if of_category:
                models = sorted({name for row in of_category for name in row["model"].split(", ")})
                shared = {name: of_category[0][name] for name in ("origin_kind", "origins", "frequency")}
                levels = {row["area_level"]: row for row in of_category}
                result.append(page.label(service) | shared | {"model": ", ".join(models), "levels": levels})
    return result


def risk_scores(page: Page) -> list[dict[str, Any]]:
    """Score past risk forecasts of the stack against the best simple count, for whole windows only."""
    labels = {row["category"]: row["label"] for row in page.rows("allow_list")}
    if page.has("risk_scores"):
        result = page.frame(
            """
            with added as (
                select category, "window", origin_kind, model, is_baseline, round(area_share, 3) as share,
                    sum(origins)::bigint as origins, sum(hits) / nullif(sum(incidents), 0) as hit_rate,
                    any_value(gain_low) as gain_low, any_value(gain_high) as gain_high
                from risk_scores where model in ('stack', 'best_count') and patrolled = 'all'
                group by all
            )
            select *, share as area_share, hit_rate / nullif(share, 0) as pai
            from added order by category, share, "window", origin_kind, is_baseline
            """
        ).to_dicts()
    else:
        audited = [row for row in page.rows("risk_audit") if row["model"] in ("stack", "best_count")]
        result = sorted(
            audited,
            key=lambda row: (row["category"], row["area_share"], row["window"], row["origin_kind"], row["is_baseline"]),
        )
    return [row | {"label": labels.get(row["category"], row["category"])} for row in result]


def risk_slots(page: Page) -> list[dict[str, Any]]:
    """Return per category the expectation in the selected cells by weekday and two hours, and scores of past lists."""
    if not page.has("risk_slots", "risk_slots_scores"):
        return []
    labels = {row["category"]: row["label"] for row in page.rows("allow_list")}
    week = page.frame(
        """
        select category, weekday, hour, sum(expected order by rank) as expected, count(*) as cells
        from risk_slots group by all order by category, weekday, hour
        """
    )
    tried = {
        (row["category"], row["is_baseline"]): row
        for row in page.rows("risk_slots_scores")
        if row["origin_kind"] == "backtest"
    }
    result = []
    for (category,), of_category in week.partition_by("category", as_dict=True, maintain_order=True).items():
        label = labels.get(str(category), str(category))
        slots = dict.fromkeys(product(range(1, 8), range(0, 24, 2)), (0.0, "none expected"))
        for day, hour, expected, selected in of_category.drop("category").iter_rows():
            slots[day, hour] = expected, f"{expected:.2f} expected in {selected} cells"
        legend = f"darkest: {max(slots.values())[0]:.2f} expected in two hours"
        described = f"{label}: expected incidents of the coming week in the selected cells, by weekday and two hours"
        svg = trend_figures.week_heat_map(slots, legend, described, page.notice, hours=2)
        issued, plain = (tried.get((str(category), is_baseline)) for is_baseline in (False, True))
        result.append(
            {"label": label, "svg": Markup(svg), "issued": issued, "plain": plain, "cells": of_category["cells"].sum()}
        )
    return result


def joint(page: Page) -> dict[str, Any] | None:
    """Return joint responses of the last whole month: the districts with most of them, and the months before."""
    if not page.has("joint_responses"):
        return None
    months = page.frame(
        """
        select month_start_date, sum(joint_incidents)::bigint as joint_incidents
        from joint_responses group by all order by month_start_date desc limit 13
        """
    )
    whole = [month for month in months["month_start_date"] if _next_month(month) <= page.as_of.date()]
    if not whole:
        return None
    result = page.frame(
        f"""
        select areas.name, sum(joint_incidents)::bigint as joint_incidents
        from joint_responses left join areas using (area_id)
        where month_start_date = date '{whole[0]}'
        group by all order by joint_incidents desc, name limit 8
        """
    ).to_dicts()
    past = months.filter(pl.col("month_start_date").is_in(whole)).sort("month_start_date")
    drawn = figures.bars(
        past["joint_incidents"].to_list(), "Joint responses per month", page.notice, width=460, height=110
    )
    total = past["joint_incidents"].to_list()[-1]
    return {"month": whole[0], "rows": result, "total": total, "svg": Markup(drawn), "months": past.height}


def quarter(page: Page) -> dict[str, Any] | None:
    """Return the last whole quarter for the public: calls and reported crime per district."""
    if not page.has("crime_quarterly", "demand_quarterly"):
        return None
    last = (
        page.frame("select max(quarter_start_date) as last from demand_quarterly")["last"][0]
        or (page.frame("select max(quarter_start_date) as last from crime_quarterly")["last"][0])
    )
    if last is None:
        return None
    labels = {row["category"]: row["label"] for row in page.rows("allow_list")}
    calls = page.frame(f"from demand_quarterly where quarter_start_date = date '{last}'")
    crime = page.frame(f"from crime_quarterly where quarter_start_date = date '{last}'")
    districts = page.frame(
        "select area_id, name from areas where hierarchy = 'admin' and area_level = 'district' order by name"
    ).to_dicts()
    services = ordered(calls["service"].unique().to_list())
    categories = (
        crime.group_by("category").agg(pl.col("incidents").sum()).sort("incidents", "category", descending=True)
    )
    called = {(row["area_id"], row["service"]): row["calls"] for row in calls.iter_rows(named=True)}
    reported = {(row["area_id"], row["category"]): row["incidents"] for row in crime.iter_rows(named=True)}
    expected = calls.group_by("area_id").agg(expected=pl.col("calls").sum())
    described = f"Map of districts by fire and ambulance calls in the quarter from {last}"
    return {
        "start": last,
        "services": [page.label(service) for service in services],
        "categories": [labels.get(name, name) for name in categories["category"]],
        "rows": [
            {
                "name": row["name"],
                "calls": [called.get((row["area_id"], service), 0) for service in services],
                "crime": [reported.get((row["area_id"], name), 0) for name in categories["category"]],
            }
            for row in districts
        ],
        "map": district_map(page, "Fire and ambulance calls", "119 신고", expected, described, "calls")
        if calls.height
        else None,
    }


def cases(page: Page) -> dict[str, Any] | None:
    """Return investigation cases per category in the last whole month, the year before, and the monthly series."""
    if not page.has("cases"):
        return None
    labels = {row["category"]: row["label"] for row in page.rows("allow_list")}
    cases = page.frame(
        """
        select month_start_date, category, sum(cases)::bigint as cases, sum(cases_year_before)::bigint as before
        from cases group by all order by month_start_date, category
        """
    )
    whole = sorted(month for month in set(cases["month_start_date"]) if _next_month(month) <= page.as_of.date())[-13:]
    if not whole:
        return None
    result = []
    for category in sorted(set(cases["category"])):
        of_category = {row["month_start_date"]: row for row in cases.filter(pl.col("category") == category).to_dicts()}
        series = [of_category.get(month, {}).get("cases", 0) for month in whole]
        drawn = figures.bars(series, f"{labels.get(category, category)}: cases per month", page.notice)
        last = of_category.get(whole[-1], {})
        result.append(
            {
                "label": labels.get(category, category),
                "cases": series[-1],
                "before": last.get("before"),
                "svg": Markup(drawn),
            }
        )
    result.sort(key=lambda row: (-row["cases"], row["label"]))
    return {"month": whole[-1], "first": whole[0], "rows": result}


def _selected_cells(page: Page) -> dict[str, list[tuple[float, float]]]:
    if not page.has("risk_selected", "cells"):
        return {}
    result: dict[str, list[tuple[float, float]]] = {}
    for category, lon, lat in page.con.execute(
        "select category, lon, lat from risk_selected join cells using (cell_id, cell_metres) "
        "where \"window\" = 'week' order by category, rank"
    ).fetchall():
        result.setdefault(category, []).append((lon, lat))
    return result


def _next_month(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)
