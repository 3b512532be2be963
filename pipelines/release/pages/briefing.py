"""The briefing: one page per audience for planners to read in the morning, print, and open without a network.

It reads only the audience's own released DuckDB file, so it cannot disclose more than that audience may see. A section
appears if the audience has its tables. Ranges come from the forecasts themselves: a total has its own forecast, because
percentiles of parts are not additive.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from pipelines.release.pages import emerging, forecast, near_repeats, patrol, risk_quality, track_record, trends
from pipelines.release.pages.page import Page, environment

AUDIENCES: Mapping[str, tuple[str, str]] = {
    "public": ("Public report", "공개 보고서"),
    "dispatch": ("Dispatch briefing", "출동 수요 브리핑"),
    "police": ("Police briefing", "경찰 브리핑"),
    "fire": ("Fire and ambulance briefing", "소방 브리핑"),
    "investigation": ("Investigation briefing", "수사 브리핑"),
}


def render(database: Path, audience: str) -> str:
    """Render the page of one audience from its released DuckDB file."""
    with duckdb.connect(database, read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        page = Page(con)
        content = {
            "audience": audience,
            "heading": AUDIENCES.get(audience, (audience.title(), "")),
            "release": page.release,
            "as_of": page.as_of,
            "is_korean": page.is_korean,
            "feeds": page.rows("feed_status") or [row for row in page.rows("feeds") if not row["is_reference"]],
            "has_feed_status": page.has("feed_status"),
            "outages": _outages(page),
            "degraded": forecast.degraded(page),
            "trends": trends.trends(page),
            "services": forecast.outlook(page),
            "maps": forecast.demand_maps(page),
            "charts": forecast.charts(page),
            "has_baseline": page.has_baseline,
            "days": forecast.days_ahead(page),
            "holidays": forecast.holidays_ahead(page),
            "units": forecast.units(page),
            "hot": track_record.hot_spots(page),
            "emerging": emerging.section(page),
            "clusters": near_repeats.clusters(page),
            "knox": near_repeats.knox_tables(page),
            "chains": near_repeats.open_chains(page),
            "scores": track_record.scores(page),
            "risk_scores": track_record.risk_scores(page),
            "risk_quality": risk_quality.section(page),
            "risk_slots": track_record.risk_slots(page),
            "patrol": patrol.section(page),
            "joint": track_record.joint(page),
            "quarter": track_record.quarter(page),
            "cases": track_record.cases(page),
            "withheld": page.rows("withheld_records"),
            "exclusions": page.rows("risk_exclusions"),
            "allow_list": page.rows("allow_list") if audience == "public" else [],
            "cards": page.rows("model_cards") if audience == "public" else [],
            "grounds": page.rows("feeds") if audience == "public" else [],
            "tables": page.tables,
        }
    return environment().get_template("briefing.html.j2").render(content)


def _outages(page: Page) -> list[dict[str, Any]]:
    """Return the outages of the last year, the newest first; none if the audience does not get the windows.

    Those of a day that are in single areas are one row, with the areas' names.
    """
    if not page.has("observation_windows"):
        return []
    name = "coalesce(areas.name, windows.area_id)" if page.has("areas") else "windows.area_id"
    named = "left join areas on areas.area_id = windows.area_id" if page.has("areas") else ""
    return page.frame(
        f"select feed, service, min(from_at) as from_at, max(until_at) as until_at, "
        f"list(distinct {name} order by {name}) filter (windows.area_id is not null) as area_names "
        f"from observation_windows as windows cross join release {named} "
        "where observation_state = 'outage' and until_at > as_of - interval 365 days "
        "group by feed, service, windows.area_id is null, "
        "if(windows.area_id is null, from_at, date_trunc('day', from_at)), "
        "if(windows.area_id is null, until_at, date_trunc('day', until_at)) "
        "order by from_at desc, feed, service"
    ).to_dicts()
