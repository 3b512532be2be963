"""The police's pictures of risk: what the list catches as the area grows, and whether expected counts come true."""

from typing import Any

from markupsafe import Markup

from pipelines.release.pages import figures, risk_figures
from pipelines.release.pages.page import Page


def section(page: Page) -> list[dict[str, Any]]:
    """Per category: the curve and the calibration of the newest backtest, with the totals; nothing for others."""
    if not page.has("risk_curves", "risk_calibration"):
        return []
    curves = page.frame("from risk_curves order by category, model, area_share")
    counted = page.frame("from risk_calibration order by category, model, band")
    labels = {row["category"]: row["label"] for row in page.rows("allow_list")}
    found = []
    for category in sorted(set(curves["category"]) & set(counted["category"])):
        label = labels.get(category, category)
        own = counted.filter(category=category)
        whole = own.filter(model="stack", band=0).to_dicts()
        found.append(
            {
                "label": label,
                "whole": whole[0] if whole else None,
                "curve": _drawn(
                    page,
                    f"{label}: share of later incidents that fell into the first cells of the list, by share of area",
                    risk_figures.CURVE_HEIGHT,
                    risk_figures.hit_curve(curves.filter(category=category)),
                ),
                "calibration": _drawn(
                    page,
                    f"{label}: observed over expected incidents, from the riskiest cells to the safest",
                    risk_figures.RATIO_HEIGHT,
                    risk_figures.calibration(own),
                ),
            }
        )
    return found


def _drawn(page: Page, description: str, height: int, parts: list[str]) -> Markup:
    # The notice has a line of its own: the axis is named where it would stand.
    return Markup(
        figures.picture(risk_figures.WIDTH, height + (14 if page.notice else 0), description, page.notice, *parts)
    )
