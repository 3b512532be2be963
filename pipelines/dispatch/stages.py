"""Stages of a unit's task, measured in unit records: what was observed, cut short, impossible or not recorded.

A stage that did not end in the record is not a short one, and a time that is missing is not zero: every stage of every
unit has a state, and all but the observed ones have a reason.
"""

from datetime import datetime
from typing import Final

import polars as pl

STEPS: Final = (
    "called_at", "dispatched_at", "en_route_at", "arrived_at", "left_scene_at", "hospital_at", "available_at",
    "returned_at",
)  # fmt: skip
LONGEST_HOURS: Final = {
    "handling": 2.0, "turnout": 0.5, "travel": 3.0, "on_scene": 12.0, "transport": 4.0, "hospital": 8.0,
    "without_arrival": 6.0, "return": 4.0,
}  # fmt: skip
"""A longer stage is taken as a step that was not entered in time, never as work."""
OBSERVED, CENSORED, IMPOSSIBLE, UNKNOWN = "observed", "censored", "impossible", "unknown"
NOT_RECORDED = "arrival_not_recorded"
LATE_ARRIVAL: Final = 0.95
LEAST_ARRIVALS: Final = 20
"""A unit out for longer than this quantile of its kind's arrivals, or of all if it has fewer, was hardly on its way."""
MISSING, NEGATIVE, ORDER, TOO_LONG, NEVER_CLOSED = "missing", "negative", "order", "too_long", "never_closed"
RUNNING, STOOD_DOWN = "running", "cancelled"


def measured(records: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Return the stages that the records of units state or should state.

    * ``handling``: call to dispatch of the first unit; ``turnout``; ``travel``; ``on_scene``: until the unit left with
      a patient or became available; ``transport``; ``hospital``; ``return``; ``without_arrival``: dispatch until
      available of a unit with no arrival.
    * The turnout or travel of such a unit is censored when it became available (``cancelled``: stood down on the way).
      If it was out longer than 95 % of its kind need to arrive, it more likely did arrive (``arrival_not_recorded``):
      volunteers' arrivals often are missing, and would make travel hours long.
    * A stage that still runs at ``as_of`` is censored there (``running``), unless it would be longer than
      ``LONGEST_HOURS`` (``never_closed``).
    * Impossible: the stage ends before it begins (``negative``), one of its ends contradicts another step of the same
      unit (``order``), or it is longer than ``LONGEST_HOURS`` (``too_long``).

    Args:
        records: One row per incident and unit: ``incident_id, kind, area, hour_band`` and any of ``STEPS``, of which
            ``dispatched_at`` and ``available_at`` must be there. Rows without ``dispatched_at`` are left out.
        as_of: When the records were read, in their time zone.

    Returns:
        ``row`` (position in ``records``), ``incident_id, kind, area, hour_band, stage, seconds, state, reason``;
        ``seconds`` is null unless the state is observed or censored (then it is a lower bound).
    """
    rows = records.with_row_index("row").filter(pl.col("dispatched_at").is_not_null())
    instant = rows.schema["dispatched_at"]
    rows = rows.with_columns(pl.lit(None, instant).alias(step) for step in STEPS if step not in records.columns)
    rows = rows.with_columns(late=_late_arrival())
    keys = ("row", "incident_id", "kind", "area", "hour_band")
    parts = [
        rows.filter(applies).select(*keys, pl.lit(name).alias("stage"), *_measure(name, start, end, as_of))
        for name, applies, start, end in _stages(records.columns)
    ]
    return pl.concat(parts).sort("row", maintain_order=True)


def accounting(stages: pl.DataFrame) -> pl.DataFrame:
    """Return how many stages are in each state, by reason: ``stage, state, reason, n, share`` (of the stage)."""
    return (
        stages.group_by("stage", "state", "reason")
        .len("n")
        .with_columns(share=pl.col("n") / pl.col("n").sum().over("stage"))
        .sort("stage", "n", "state", "reason", descending=[False, True, False, False])
    )


def _late_arrival() -> pl.Expr:
    """Return the time to arrive that few units of the kind exceed, in seconds."""
    seconds = (pl.col("arrived_at") - pl.col("dispatched_at")).dt.total_microseconds() / 1e6
    usual = pl.when(seconds.is_between(0, LONGEST_HOURS["travel"] * 3600)).then(seconds)
    of_kind = usual.quantile(LATE_ARRIVAL).over("kind")
    return pl.when(usual.count().over("kind") >= LEAST_ARRIVALS).then(of_kind).otherwise(usual.quantile(LATE_ARRIVAL))


def _stages(columns: list[str]) -> list[tuple[str, pl.Expr, str, pl.Expr]]:
    """Return name, rows to which it applies, first step and last step of every stage."""
    arrived = pl.any_horizontal(pl.col("arrived_at", "left_scene_at", "hospital_at").is_not_null())
    closed = pl.col("available_at").is_not_null()
    is_first = pl.col("dispatched_at") == pl.col("dispatched_at").min().over("incident_id")
    # Several units are often sent at the same second: a call has one handling time.
    is_first &= pl.col("row") == pl.col("row").filter(is_first).min().over("incident_id")
    carried = pl.col("left_scene_at").is_not_null() | pl.col("hospital_at").is_not_null()
    left = pl.when(carried).then("left_scene_at").otherwise("available_at")
    listed = [
        ("handling", is_first, "called_at", pl.col("dispatched_at")),
        ("turnout", pl.lit(value=True), "dispatched_at", pl.col("en_route_at")),
        ("travel", pl.col("en_route_at").is_not_null() | arrived, "en_route_at", pl.col("arrived_at")),
        ("on_scene", arrived, "arrived_at", left),
        ("transport", carried, "left_scene_at", pl.col("hospital_at")),
        ("hospital", pl.col("hospital_at").is_not_null(), "hospital_at", pl.col("available_at")),
        ("without_arrival", ~arrived & closed, "dispatched_at", pl.col("available_at")),
        ("return", closed, "available_at", pl.col("returned_at")),
    ]
    # A source without a step has no such stage at all; only steps that it has can be missing.
    needed = {"handling": "called_at", "turnout": "en_route_at", "travel": "en_route_at", "return": "returned_at"}
    return [stage for stage in listed if needed.get(stage[0], "dispatched_at") in columns]


def _measure(name: str, start_step: str, end: pl.Expr, as_of: datetime) -> list[pl.Expr]:
    """Return seconds, state and reason of a stage."""
    start = pl.col(start_step)
    place = STEPS.index(start_step)
    last = STEPS.index(_LAST[name])
    later = pl.min_horizontal(pl.col(step) for step in STEPS[place + 1 :])
    # A missing step contradicts nothing.
    conflicts = [pl.col(step) > start for step in STEPS[:place]] + [pl.col(step) < start for step in STEPS[place + 1 :]]
    conflicts += [pl.col(step) > end for step in STEPS[:last]] + [pl.col(step) < end for step in STEPS[last + 1 :]]
    limit = LONGEST_HOURS[name] * 3600
    seconds = (end - start).dt.total_microseconds() / 1e6
    stood_down = (pl.col("available_at") - start).dt.total_microseconds() / 1e6
    out = (pl.col("available_at") - pl.col("dispatched_at")).dt.total_microseconds() / 1e6
    running = (pl.lit(as_of) - start).dt.total_microseconds() / 1e6
    never_came = pl.all_horizontal(pl.col("arrived_at", "left_scene_at", "hospital_at").is_null())
    is_last = later.is_null()
    is_cut = pl.lit(name in {"turnout", "travel"}) & end.is_null() & never_came & pl.col("available_at").is_not_null()
    is_out_of_order = pl.any_horizontal(conflict.fill_null(value=False) for conflict in conflicts)
    reason = (
        pl.when(start.is_null()).then(pl.lit(MISSING))
        .when(seconds < 0).then(pl.lit(NEGATIVE))
        .when(is_cut & (stood_down < 0)).then(pl.lit(NEGATIVE))
        .when(is_out_of_order).then(pl.lit(ORDER))
        .when(seconds > limit).then(pl.lit(TOO_LONG))
        .when(seconds.is_not_null()).then(None)
        .when(is_cut & (out > pl.col("late"))).then(pl.lit(NOT_RECORDED))
        .when(is_cut).then(pl.when(stood_down > limit).then(pl.lit(TOO_LONG)).otherwise(pl.lit(STOOD_DOWN)))
        .when(is_last & (running.is_between(0, limit))).then(pl.lit(RUNNING))
        .when(is_last & (running > limit)).then(pl.lit(NEVER_CLOSED))
        .otherwise(pl.lit(MISSING))
    )  # fmt: skip
    state = (
        pl.when(reason.is_null()).then(pl.lit(OBSERVED))
        .when(reason.is_in([RUNNING, STOOD_DOWN])).then(pl.lit(CENSORED))
        .when(reason.is_in([MISSING, NOT_RECORDED])).then(pl.lit(UNKNOWN))
        .otherwise(pl.lit(IMPOSSIBLE))
    )  # fmt: skip
    value = (
        pl.when(reason.is_null()).then(seconds)
        .when(reason == STOOD_DOWN).then(stood_down)
        .when(reason == RUNNING).then(running)
    )  # fmt: skip
    return [value.alias("seconds"), state.alias("state"), reason.alias("reason")]


_LAST: Final = {
    "handling": "dispatched_at", "turnout": "en_route_at", "travel": "arrived_at", "on_scene": "left_scene_at",
    "transport": "hospital_at", "hospital": "available_at", "without_arrival": "available_at", "return": "returned_at",
}  # fmt: skip
