"""What a backtest of demand says in one sentence: whether the forecast is better than simple averages."""

from typing import Final

import polars as pl

from pipelines.forecast.demand.evaluation.model_weights import CHOSEN
from pipelines.forecast.demand.models.registry import TABLE
from pipelines.forecast.demand.series import Frequency

NAMES: Final = {"h": "hour-of-week averages", "D": "day-of-week averages"}


def sentence(scores: pl.DataFrame, freq: Frequency) -> str:
    """Return whether the published forecast was better than the averages, by how much, and what follows.

    Args:
        scores: ``Backtest.scores``; of parents' scores nothing is read.
        freq: ``h`` or ``D``.
    """
    of_chosen = (pl.col("model") == CHOSEN) & ~pl.col("is_parent")
    skill, low, high = scores.filter(of_chosen).select("skill", "skill_low", "skill_high").row(0)
    averages = NAMES[freq]
    if skill is None or low is None:
        return f"too few weeks to tell whether the forecast is better than {averages}: score more --origins"
    size = f"{100 * abs(skill):.1f} % {'lower' if skill >= 0 else 'higher'}"
    loss = f"its loss was {size} (95 % interval of the gain: {100 * low:.1f} to {100 * high:.1f} %)"
    if low > 0:
        return f"the forecast was better than {averages}: {loss}"
    if high < 0:
        return (
            f"the forecast was worse than {averages} at these origins: {loss}; score more --origins, over a whole year "
            f"if you can, and use model {TABLE[freq]} of forecasts.parquet where that stays so"
        )
    return f"the forecast was about as good as {averages}: {loss}"
