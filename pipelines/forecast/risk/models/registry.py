"""The models of place-based risk. Each returns incidents a day per cell from what was known at an origin."""

from collections.abc import Callable, Mapping
from typing import Final

from pipelines.forecast.risk.history import Floats, History
from pipelines.forecast.risk.models.boosting import BOOSTING
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.models.kernels import density, prospective
from pipelines.forecast.risk.models.self_exciting import self_exciting

SIMPLE: Final[Mapping[str, Callable[[History, str, int], Floats]]] = {
    **COUNTS,
    "prospective": prospective,
    "density": density,
    "self_exciting": self_exciting,
}
MODELS: Final = (*SIMPLE, BOOSTING)


def rates(history: History, category: str, until: int) -> dict[str, Floats]:
    """Return incidents a day per cell by every model of `SIMPLE`, from ``history`` as seen at the first unknown day."""
    return {name: model(history, category, until) for name, model in SIMPLE.items()}
