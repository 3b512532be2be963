"""Replay of calls with units drawn from a time chain that was fitted to earlier unit records.

Of the replayed calls only time, place and kind are used. Which units a call takes is drawn from earlier calls of the
same kind; of units with a home the closest idle one goes, of roaming ones that which is idle longest; every duration is
drawn. If none is idle, one of the substitute type goes, else the call waits for the next one.

* Travel of a unit with a home is drawn from a law in the distance from there; of roaming units, whose place is not in
  the records, from the time chain by area and hour.
* A unit is at home as soon as it is available.
* A call for a type of which, and of whose substitute, no unit is in service brings one in from outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import t as student

from pipelines.dispatch import time_chain, travel_law
from pipelines.dispatch.posts import PlanError
from pipelines.dispatch.stages import OBSERVED, measured
from pipelines.dispatch.time_chain import Chain
from pipelines.dispatch.travel_law import ALL, Law
from pipelines.dispatch.unit_fleet import HOURS, UnitFleet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST_CALLS: Final = 20
"""With fewer earlier calls of a kind and hour band, sets of units are drawn from a wider group."""
POOLS: Final = (("call_kind", "hour_band"), ("call_kind",), ("priority",), ())
SERVICE: Final = ("turnout", "travel", "on_scene", "transport", "hospital", "without_arrival")


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a replay draws from.

    ``handling``: chain by type of the first unit and kind of call; ``service``: by type of unit, priority and whether
    it takes a patient; ``laws``: of units with a home, by priority; ``sets``: units of earlier calls.
    """

    handling: Chain
    service: Chain
    laws: Mapping[str, Law]
    sets: pl.DataFrame
    fleet: UnitFleet


def fit(records: pl.DataFrame, fleet: UnitFleet, distance: str) -> Fitted:
    """Fit everything that a replay draws.

    Args:
        records: One row per incident and unit: ``incident_id, unit_id, unit_type, call_kind, priority, area, lon, lat``
            and the steps of ``stages.STEPS``, in local time.
        fleet: Inferred from the same records.
        distance: What the straight line from a unit's home is between, in words.
    """
    carries = pl.any_horizontal(pl.col("left_scene_at", "hospital_at").is_not_null())
    rows = (
        records.filter(pl.col("dispatched_at").is_not_null())
        .with_columns(_band("dispatched_at"), carries=carries, arrives=carries | pl.col("arrived_at").is_not_null())
        .with_row_index("row")
    )
    as_of = rows.select(pl.max_horizontal("dispatched_at", "available_at").max()).item()
    # Which units arrive is drawn, so durations are those of units that did.
    handling, service = (
        measured(rows.drop("row").with_columns(kind=kind), as_of).filter(pl.col("state") == OBSERVED)
        for kind in (_call_kind(), _service_kind())
    )
    travel = service.filter(pl.col("stage") == "travel").select("row", "seconds")
    homes = fleet.units.drop_nulls("lon").select("unit_id", home_lon="lon", home_lat="lat")
    trips = rows.join(homes, on="unit_id").join(travel, on="row")
    ends = [trips[column].to_numpy() for column in ("lon", "lat", "home_lon", "home_lat")]
    trips = trips.with_columns(km=pl.Series(travel_law.straight_km(*ends)), setting=pl.col("priority"))
    laws = travel_law.fit_settings(trips, distance) if trips.height >= travel_law.LEAST_TRIPS else {}
    first = pl.col("dispatched_at").min().over("incident_id")
    delay = (pl.col("dispatched_at") - first).dt.total_microseconds() / 1e6
    sets = rows.with_columns(delay_seconds=delay, hour_band=pl.col("hour_band").first().over("incident_id")).select(
        "incident_id", "call_kind", "priority", "hour_band", "unit_type", "arrives", "carries", "delay_seconds"
    )
    ordered = sets.sort("incident_id", "delay_seconds", maintain_order=True)
    of_calls = time_chain.fit(handling.filter(pl.col("stage") == "handling"))
    return Fitted(of_calls, time_chain.fit(service), laws, ordered, fleet)


def replay(
    fitted: Fitted, calls: pl.DataFrame, rng: np.random.Generator, substitutes: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Replay the calls once.

    Args:
        fitted: From earlier records.
        calls: ``incident_id, called_at, call_kind, priority, area, lon, lat``, later than those.
        rng: Seeded for the replication.
        substitutes: Type that goes where no unit of a type is idle. Its durations stay those drawn for the call.

    Returns:
        A row per unit sent: ``incident_id, unit_type`` (that went), ``unit_id`` (null: from outside), ``called_at,
        dispatched_at, arrived_at`` (null if it was cancelled), ``available_at, waiting_seconds``.

    Raises:
        PlanError: A stage is needed that was never observed.
    """
    needed = _needed(fitted, calls, rng)
    midnight: datetime = needed.select(pl.col("called_at").min().dt.truncate("1d")).item()
    at = needed.select((pl.col("needed_at") - midnight).dt.total_microseconds() / 1e6).to_series().to_numpy()
    unit, sent, came, end = _assigned(fitted, needed, at, rng, substitutes or {})
    names = np.array([*fitted.fleet.units["unit_id"], None], dtype=object)
    types = np.array([*fitted.fleet.units["unit_type"], None], dtype=object)
    seconds = {"dispatched_at": sent, "arrived_at": came, "available_at": end}
    return needed.with_columns(
        unit_id=pl.Series(names[unit].tolist(), dtype=pl.String),
        unit_type=pl.Series(types[unit].tolist(), dtype=pl.String).fill_null(needed["unit_type"]),
        waiting_seconds=pl.Series(sent - at),
        **{step: pl.Series(values) for step, values in seconds.items()},
    ).select(
        "incident_id", "unit_type", "unit_id", "called_at", _instant("dispatched_at", midnight),
        pl.when("arrives").then(_instant("arrived_at", midnight)).alias("arrived_at"),
        _instant("available_at", midnight), "waiting_seconds",
    )  # fmt: skip


def _instant(column: str, midnight: datetime) -> pl.Expr:
    """Return seconds after midnight as an instant."""
    return (pl.lit(midnight) + pl.duration(microseconds=(pl.col(column) * 1e6).cast(pl.Int64))).alias(column)


def _needed(fitted: Fitted, calls: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return a row per unit that calls take, by the time it is needed (``needed_at``), with durations in seconds."""
    banded = calls.with_columns(_band("called_at"))
    sets = fitted.sets
    drawn = pl.Series("set_id", _drawn_sets(sets, banded, rng), dtype=sets.schema["incident_id"])
    members = sets.select("unit_type", "arrives", "carries", "delay_seconds", set_id="incident_id")
    units = banded.with_columns(drawn).join(members, on="set_id", maintain_order="left_right")
    first = units.unique("incident_id", keep="first", maintain_order=True).with_columns(kind=_call_kind())
    handling = first.select("incident_id", handling=pl.Series(time_chain.draw(fitted.handling, "handling", first, rng)))
    units = units.join(handling, on="incident_id", maintain_order="left").with_columns(kind=_service_kind())
    seconds = {stage: time_chain.draw(fitted.service, stage, units, rng) for stage in SERVICE}
    units = units.with_columns(**{stage: pl.Series(values) for stage, values in seconds.items()})
    needs = {"handling": pl.lit(value=True), **dict.fromkeys(SERVICE[:3], pl.col("arrives"))}
    needs |= {"transport": pl.col("carries"), "hospital": pl.col("carries"), "without_arrival": ~pl.col("arrives")}
    for stage, is_needed in needs.items():
        if units.select((is_needed & pl.col(stage).is_nan()).any()).item():
            raise PlanError(f"the records have no {stage.replace('_', ' ')} that was observed, so none can be drawn")
    wait = ((pl.col("handling") + pl.col("delay_seconds")) * 1e6).cast(pl.Int64)
    needed_at = pl.col("called_at") + pl.duration(microseconds=wait)
    return units.with_columns(needed_at=needed_at).sort("needed_at", maintain_order=True)


def _drawn_sets(sets: pl.DataFrame, calls: pl.DataFrame, rng: np.random.Generator) -> list[object]:
    """Return an earlier call for each call: of the narrowest group that has enough of them."""
    earlier = sets.unique("incident_id", keep="first", maintain_order=True)
    chosen: list[object] = [None] * calls.height
    is_open = np.ones(calls.height, dtype=bool)
    for keys in POOLS:
        groups = {key: rows["incident_id"].to_list() for key, rows in earlier.group_by(keys)} if keys else {}
        named = calls.select(keys).rows() if keys else [()] * calls.height
        for place in np.flatnonzero(is_open).tolist():
            pool = groups.get(named[place], []) if keys else earlier["incident_id"].to_list()
            if len(pool) >= LEAST_CALLS or (not keys and pool):
                chosen[place] = pool[int(rng.integers(len(pool)))]
                is_open[place] = False
    return chosen


def _assigned(
    fitted: Fitted, needed: pl.DataFrame, at: Floats, rng: np.random.Generator, substitutes: Mapping[str, str]
) -> tuple[Ints, Floats, Floats, Floats]:
    """Return the unit (-1: from outside), and when it is sent, arrives and is available, of each row."""
    units = fitted.fleet.units
    hours = np.array(units["hours"].to_list()).reshape(-1, HOURS)
    members = {kind: np.flatnonzero((units["unit_type"] == kind).to_numpy()) for kind in units["unit_type"].unique()}
    ways, km = _ways(fitted, needed, members, rng)
    free = np.full(units.height, -np.inf)
    columns = needed.select(
        "unit_type", "arrives", "turnout", "travel", "without_arrival",
        rest=pl.col("on_scene") + pl.when("carries").then(pl.col("transport") + pl.col("hospital")).otherwise(0.0),
    )  # fmt: skip
    chosen, sent, came, end = np.full(len(at), -1), at.copy(), np.full(len(at), np.nan), np.full(len(at), np.nan)
    for row, (kind, arrives, turnout, travel, without_arrival, rest) in enumerate(columns.iter_rows()):
        hour = int(at[row] // 3600) % HOURS
        drive = travel
        of_type = members.get(kind, _NONE)
        place = _choose(of_type, hours[of_type, hour], free, at[row], km[row])
        if place < 0 or free[of_type[place]] > at[row]:
            others = members.get(substitutes.get(kind, ""), _NONE)
            other = _choose(others, hours[others, hour], free, at[row], _EMPTY)
            if other >= 0 and (place < 0 or free[others[other]] < free[of_type[place]]):
                chosen[row], place = others[other], -1
        if place >= 0:
            chosen[row] = of_type[place]
            drive = float(ways[row][place]) if np.isfinite(ways[row][place]) else travel
        if chosen[row] >= 0:
            sent[row] = max(at[row], free[chosen[row]])
        came[row] = sent[row] + turnout + drive
        end[row] = came[row] + rest if arrives else sent[row] + without_arrival
        if chosen[row] >= 0:
            free[chosen[row]] = end[row]
    return chosen, sent, came, end


def _choose(units: Ints, on_duty: NDArray[np.bool_], free: Floats, at: float, km: Floats) -> int:
    """Return the position of the unit that goes; -1 if none is on duty.

    The shortest way first; of idle units whose place is unknown, and of busy ones, that which is free first.
    """
    if not on_duty.any():
        return -1
    since = free[units]
    idle = on_duty & (since <= at)
    if not idle.any():
        return int(np.where(on_duty, since, np.inf).argmin())
    near = np.where(idle, km, np.inf) if km.size else np.full(len(units), np.inf)
    return int(near.argmin()) if np.isfinite(near).any() else int(np.where(idle, since, np.inf).argmin())


def _ways(
    fitted: Fitted, needed: pl.DataFrame, members: Mapping[str, Ints], rng: np.random.Generator
) -> tuple[list[Floats], list[Floats]]:
    """Return travel seconds and km of every unit of the type, for each row; infinite km and NaN without a home."""
    units = fitted.fleet.units
    lon, lat = units["lon"].cast(pl.Float64).to_numpy(), units["lat"].cast(pl.Float64).to_numpy()
    levels = np.clip(rng.random(needed.height), travel_law.EXTREME, 1 - travel_law.EXTREME)
    ways: list[Floats] = [_EMPTY] * needed.height
    km: list[Floats] = [_EMPTY] * needed.height
    grouped = needed.with_row_index("place").group_by("unit_type", "priority", maintain_order=True)
    for (kind, priority), rows in grouped:
        of_type = members.get(str(kind), _NONE)
        law = fitted.laws.get(str(priority), fitted.laws.get(ALL))
        ends = rows["lon"].to_numpy()[:, None], rows["lat"].to_numpy()[:, None]
        away = travel_law.straight_km(lon[of_type], lat[of_type], *ends)
        seconds = np.full(away.shape, np.nan)
        places = rows["place"].to_numpy()
        if law is not None:
            deviation = student.ppf(levels[places], law.freedom)[:, None]
            seconds = travel_law.median_seconds(law, away) * np.exp(travel_law.scale(law, away) * deviation)
        for number, place in enumerate(places.tolist()):
            ways[place], km[place] = seconds[number], np.nan_to_num(away[number], nan=np.inf)
    return ways, km


def _band(column: str) -> pl.Expr:
    return (pl.col(column).dt.hour() // 6).cast(pl.String).alias("hour_band")


def _call_kind() -> pl.Expr:
    return pl.concat_str("unit_type", "call_kind", separator="|", ignore_nulls=True)


def _service_kind() -> pl.Expr:
    return pl.concat_str("unit_type", "priority", pl.when("carries").then(pl.lit("patient")), separator="|",
                         ignore_nulls=True)  # fmt: skip


_NONE: Final = np.zeros(0, dtype=np.int64)
_EMPTY: Final = np.zeros(0)
