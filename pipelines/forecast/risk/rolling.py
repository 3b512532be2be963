"""Rolling origins of risk models: fit before the origin, select a fixed number of cells, count what fell into them."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from pipelines.forecast.risk.models import BASELINE, MODELS, Events, Grid
from pipelines.forecast.risk.selection import ranks


def windows(
    events: Events, grid: Grid, origins: Sequence[int], days: int, selected: int, category: str
) -> pl.DataFrame:
    """Score every model in every window.

    Args:
        events: All incidents of the category, before and after the origins.
        grid: The cells.
        origins: First days of the windows; a model sees what happened before its origin.
        days: Length of a window.
        selected: How many cells each model may select.
        category: Part of the seed that breaks ties, and a column.

    Returns:
        ``origin_day, category, model, is_baseline, incidents, hits``.
    """
    rows = []
    for origin in origins:
        fell = (events.day >= origin) & (events.day < origin + days)
        outcome = np.bincount(events.cell[fell], events.incidents[fell], grid.size)
        for name, model in MODELS.items():
            chosen = ranks(model(events, grid, origin), category, origin) <= selected
            rows.append((origin, category, name, name == BASELINE, int(outcome.sum()), int(outcome[chosen].sum())))
    types = {"origin_day": pl.Int64, "category": pl.String, "model": pl.String, "is_baseline": pl.Boolean}
    return pl.DataFrame(rows, schema=types | {"incidents": pl.Int64, "hits": pl.Int64}, orient="row")
