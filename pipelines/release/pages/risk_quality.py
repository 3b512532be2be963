"""The police's figures of risk quality: hits of the list as the area grows, and calibration of expected counts."""

from typing import Any

from markupsafe import Markup

from pipelines.release.pages import figures, risk_figures
from pipelines.release.pages.page import Page


def section(page: Page) -> list[dict[str, Any]]:
    """Return per category the curve and the calibration of the newest backtest, with the totals; else nothing."""
    if not page.has("risk_curves", "risk_calibration"):
        return []
    curves = page.frame("from risk_curves order by category, model, area_share")
    counted = page.frame("from risk_calibration order by category, model, band")
    labels = {row["category"]: row["label"] for row in page.rows("allow_list")}
    result = []
    for category in sorted(set(curves["category"]) & set(counted["category"])):
        label = labels.get(category, category)
        of_category = counted.filter(category=category)
        whole = of_category.filter(model="stack", band=0).to_dicts()
        result.append(
            {
                "label": label,
                "whole": whole[0] if whole else None,
                "curve": _drawn(
                    page,
                    f"{label}: share of later incidents in the first cells of the list, by share of area",
                    risk_figures.CURVE_HEIGHT,
                    risk_figures.hit_curve(curves.filter(category=category)),
                ),
                "calibration": _drawn(
                    page,
                    f"{label}: observed over expected incidents, from the highest risk to the lowest",
                    risk_figures.RATIO_HEIGHT,
                    risk_figures.calibration(of_category),
                ),
            }
        )
    return result


def _drawn(page: Page, description: str, height: int, parts: list[str]) -> Markup:
    # The notice has a separate line: the axis label is in its usual place.
    return Markup(
        figures.picture(risk_figures.WIDTH, height + (14 if page.notice else 0), description, page.notice, *parts)
    )
