"""The models of place-based risk. Each returns incidents a day per cell from what was known at an origin."""

from collections.abc import Callable, Mapping
from typing import Final

from pipelines.forecast.risk.history import Floats, History
from pipelines.forecast.risk.models.boosting import BOOSTING, PLAIN, Table, boosting
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.models.kernels import density, prospective
from pipelines.forecast.risk.models.self_exciting import self_exciting

DENSITY: Final = "density"
SIMPLE: Final[Mapping[str, Callable[[History, str, int], Floats]]] = {
    **COUNTS,
    "prospective": prospective,
    DENSITY: density,
    "self_exciting": self_exciting,
}
MODELS: Final = (*SIMPLE, PLAIN, BOOSTING)


def rates(
    history: History, category: str, until: int, memo: dict[tuple[str, int], Table] | None = None
) -> dict[str, Floats]:
    """Return incidents a day per cell after an origin, by every model of `MODELS`; without boosting if not trained.

    Args:
        history: The whole history; no model sees more than ``history.seen(until)`` or an earlier origin's.
        category: What is forecast.
        until: The origin: the first unknown day.
        memo: As for `boosting`.
    """
    seen = history.seen(until)
    by_model = {name: model(seen, category, until) for name, model in SIMPLE.items()}
    return by_model | boosting(history, category, until, memo)
