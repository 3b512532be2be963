"""Trends for analysts: crime of the last days, unusual weeks, hours of the week, concentration.

For the police only: the section appears where the audience has the tables.
"""

from typing import Any

import polars as pl
from markupsafe import Markup

from pipelines.release.pages import trend_figures
from pipelines.release.pages.page import Page

DISTRICTS_SHOWN = 8
SPANS = ("7 days", "28 days", "year to date")
ALL = "all"


def trends(page: Page) -> dict[str, Any] | None:
    """Return the section's content, or None if the audience lacks its tables or nothing was reported."""
    if not page.has("weekly", "control_chart", "aoristic", "concentration", "district_harm"):
        return None
    weekly = page.frame("from weekly order by area_id, category, span")
    if weekly.is_empty():
        return None
    labels = {row["category"]: row["label"] for row in page.rows("allow_list")} | {ALL: "All of these"}
    region = _region(weekly, labels)
    return {
        "last": weekly.select(pl.col("window_end_date").max().dt.offset_by("-1d")).item(),
        "start": weekly.filter(pl.col("span") == SPANS[0])["window_start_date"].max(),
        "region": region,
        "has_years": any(row["spans"]["28 days"]["years_before"] > 1 for row in region),
        "districts": _districts(weekly, labels),
        "judged": weekly.filter(pl.col("area_level") == "district", pl.col("expected_high").is_not_null()).height,
        "charts": _charts(page, weekly, labels),
        "hours": _hours(page, labels),
        "concentration": _concentration(page, labels),
        "harm": page.rows("district_harm") and _harm(page),
    }


def _region(weekly: pl.DataFrame, labels: dict[str, str]) -> list[dict[str, Any]]:
    """Return one row per category, the most frequent first and their sum last, with its three spans."""
    rows = weekly.filter(pl.col("area_level") == "region").to_dicts()
    result: dict[str, dict[str, Any]] = {}
    for row in rows:
        result.setdefault(row["category"], {})[row["span"]] = row
    listed = [
        {"category": name, "label": labels.get(name, name), "spans": spans}
        for name, spans in result.items()
        if len(spans) == len(SPANS)
    ]
    return sorted(
        listed, key=lambda row: (row["category"] == ALL, -(row["spans"][SPANS[2]]["incidents"] or 0), row["label"])
    )


def _districts(weekly: pl.DataFrame, labels: dict[str, str]) -> list[dict[str, Any]]:
    """Return districts and categories with more than expected: unusual weeks, then rises in 28 days."""
    local = weekly.filter(pl.col("area_level") == "district", pl.col("category") != ALL)
    week, month = (local.filter(pl.col("span") == span) for span in SPANS[:2])
    both = week.select("area_id", "area_name", "category", "incidents", "expected_low", "expected_high", "signal").join(
        month.select(
            "area_id",
            "category",
            "change_share",
            "e_test_p",
            month_incidents="incidents",
            month_before="incidents_year_before",
            rise="difference",
        ),
        on=["area_id", "category"],
    )
    is_high = pl.col("signal") == "high"
    # Only rises are listed: an equally unusual fall needs no action today.
    is_rising = ((pl.col("rise") > 0) & (pl.col("e_test_p") < 0.05)).fill_null(False)
    result = (
        both.filter(is_high.fill_null(False) | is_rising)
        .with_columns(over=pl.when(is_high).then(pl.col("incidents") - pl.col("expected_high")))
        .sort("over", "e_test_p", "area_id", "category", descending=[True, False, False, False], nulls_last=True)
        .head(DISTRICTS_SHOWN)
    )
    return [row | {"label": labels.get(row["category"], row["category"])} for row in result.to_dicts()]


def _charts(page: Page, weekly: pl.DataFrame, labels: dict[str, str]) -> list[dict[str, Any]]:
    regions = weekly.filter(pl.col("area_level") == "region")["area_id"].unique()
    drawn = page.frame("from control_chart order by category, week_start_date")
    drawn = drawn.filter(pl.col("area_id").is_in(regions.implode()))
    result = []
    for row in _region(weekly, labels):
        of_category = drawn.filter(pl.col("category") == row["category"])
        if of_category.is_empty():
            continue
        weeks = [
            trend_figures.Week(*week)
            for week in of_category.select(
                "week_start_date", "incidents", "centre", "expected_low", "expected_high", "signal"
            ).iter_rows()
        ]
        outside = sum(week.signal is not None for week in weeks)
        last = "unknown" if weeks[-1].incidents is None else weeks[-1].incidents
        described = f"{row['label']}: {len(weeks)} weeks, {outside} unusual, {last} in the last"
        svg = trend_figures.control_chart(weeks, described, page.notice)
        result.append({"label": row["label"], "outside": outside, "svg": Markup(svg)})
    return result


def _hours(page: Page, labels: dict[str, str]) -> list[dict[str, Any]]:
    """Draw heat maps of the week; with each, whether its midnight and noon exceed the adjacent hours."""
    chart = page.frame(
        "from aoristic where category_share is not null order by category = 'all', category, weekday, hour"
    )
    result = []
    for (category,), of_category in chart.partition_by("category", as_dict=True, maintain_order=True).items():
        shares = {
            (day, hour): share
            for day, hour, share in of_category.select("weekday", "hour", "category_share").iter_rows()
        }
        by_hour = [sum(share for (_, at), share in shares.items() if at == hour) for hour in range(24)]
        label = labels.get(str(category), str(category))
        busiest = max(shares, key=lambda at: (shares[at], at))
        cells = {at: (share, f"{100 * share:.2f} % of the week") for at, share in shares.items()}
        legend = f"darkest: {100 * shares[busiest]:.1f} % an hour; even: {100 / 168:.1f} %"
        described = f"{label} by day and hour; most on {trend_figures.WEEKDAYS[busiest[0] - 1]} at {busiest[1]}:00"
        row = of_category.row(0, named=True)
        result.append(
            {
                "label": label,
                "svg": Markup(trend_figures.week_heat_map(cells, legend, described, page.notice)),
                "left_out": row["too_long_incidents"] + row["untimed_incidents"],
                "incidents": row["incidents"],
                "peaks": [hour for hour in (0, 12) if is_peak(by_hour, hour, row["incidents"])],
            }
        )
    return result


def is_peak(by_hour: list[float], hour: int, incidents: int) -> bool:
    """Return whether an hour exceeds the busier adjacent hour by half and by more than chance."""
    adjacent = max(by_hour[hour - 1], by_hour[(hour + 1) % 24])
    excess = (by_hour[hour] - adjacent) * incidents
    # The standard deviation of the difference of two counts is the root of their sum.
    return by_hour[hour] > 1.5 * adjacent and bool(excess > 3 * ((by_hour[hour] + adjacent) * incidents) ** 0.5)


def _concentration(page: Page, labels: dict[str, str]) -> list[dict[str, Any]]:
    """Return how concentrated crime is over cells, and how similar its pattern is to the span before."""
    if not page.has("point_pattern_test"):
        return []
    rows = page.frame(
        """
        select concentration.*, test.similarity_robust, test.similarity_fdr, test.window_days
        from concentration
        left join point_pattern_test as test
            on test.category = concentration.category and test.place_kind = 'district'
        where concentration.place_kind = 'cell'
        order by concentration.category = 'all', places_50_share, concentration.category
        """
    ).to_dicts()
    return [row | {"label": labels.get(row["category"], row["category"])} for row in rows]


def _harm(page: Page) -> list[dict[str, Any]]:
    """Return districts with most harm, and the part of it in hot spots."""
    return page.frame(
        "select * exclude (geometry), hot_harm / nullif(harm, 0) as hot_share from district_harm "
        f"where harm > 0 order by harm desc, area_id limit {DISTRICTS_SHOWN}"
    ).to_dicts()
