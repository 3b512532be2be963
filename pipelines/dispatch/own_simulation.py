"""Simulation for anyone's city: calls, units and hospitals as users have them in, what became of each call out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from pipelines.dispatch import own_times
from pipelines.dispatch.planning_rows import check_rows, faults_of_number, faults_of_zone, typed
from pipelines.dispatch.posts import PlanError
from pipelines.dispatch.relocation import Relocation
from pipelines.dispatch.simulation import Calls, Fleet, Floats, Hours, Ints, Outcome
from pipelines.dispatch.travel import Travel
from pipelines.dispatch.way_home import Way

CALLS: Final = (
    "called_at", "minutes", "zone", "on_scene_minutes", "to_hospital", "drop_off_minutes", "priority", "capability",
    "run",
)  # fmt: skip
UNITS: Final = ("unit_id", "zone", "units", "capability", "from", "to")
PLACES: Final = ("zone", "x", "y")
RESULTS: Final = (
    "unit_id", "waiting_minutes", "driving_minutes", "response_minutes", "is_missed", "hospital", "busy_minutes",
)  # fmt: skip
TRUE, FALSE = ("true", "1", "1.0", "yes", "y", "t"), ("false", "0", "0.0", "no", "n", "f", "")
_SEPARATOR: Final = r"[;+]"


@dataclass(frozen=True, slots=True)
class OwnCalls:
    """``rows``: ``row, run, day, at`` and the other columns, by run and time; ``calls``: the same for the simulation.

    ``midnight``: what minute 0 is, if calls have dates.
    """

    rows: pl.DataFrame
    calls: Calls
    capabilities: tuple[str, ...]
    midnight: own_times.Midnight


def calls_of(rows: pl.DataFrame, travel: Travel, has_hospitals: bool, name: str) -> OwnCalls:
    """Return calls for the simulation.

    Args:
        rows: ``called_at`` (local time, or minutes from any start) or ``minutes``, ``zone, on_scene_minutes``;
            optionally ``to_hospital`` and ``drop_off_minutes``, ``priority`` (lower is more urgent), ``capability``
            that the unit must have, and ``run`` (calls of different runs do not meet). In any order.
        travel: Has the zones.
        has_hospitals: Whether hospitals are known.
        name: Of the file, for messages.

    Raises:
        PlanError: A row cannot be used; the message names it.
    """
    time = "called_at" if "called_at" in rows.columns or "minutes" not in rows.columns else "minutes"
    numbers = ("on_scene_minutes", "drop_off_minutes", "priority")
    optional = (*numbers[1:], "to_hospital", "capability", "run")
    read = typed(
        rows, name, texts=("zone", time, "to_hospital", "capability", "run"), numbers=numbers, optional=optional
    )
    at, midnight = own_times.minutes_of(rows, time, name)
    asks = pl.col("to_hospital").fill_null("").str.to_lowercase()
    is_carried = asks.is_in(TRUE) if "to_hospital" in rows.columns else pl.col("drop_off_minutes").is_not_null()
    listed = read.with_columns(at, asks=asks, is_carried=is_carried)
    faults = [
        (
            pl.col("at").is_null(),
            pl.format(f"{time} '{{}}' is not a time or a number of minutes", pl.col(time).fill_null("")),
        ),
        *faults_of_zone("zone", travel.zones),
        *faults_of_number("on_scene_minutes", is_required=True),
        *faults_of_number("drop_off_minutes"),
        *faults_of_number("priority"),
        (
            ~pl.col("asks").is_in([*TRUE, *FALSE]),
            pl.format("to_hospital '{}' is neither true nor false", "to_hospital"),
        ),
        (
            pl.col("is_carried") & pl.col("drop_off_minutes").is_null(),
            pl.lit("drop_off_minutes is empty, but to_hospital is true; give the minutes at the hospital"),
        ),
        (pl.col("is_carried") & pl.lit(not has_hospitals), pl.lit("to_hospital is true, but there are no --hospitals")),
    ]
    check_rows(listed, faults, name)
    named = listed.with_columns(
        pl.col("run").fill_null(""),
        pl.col("capability").replace("", None),
        day=(pl.col("at") // own_times.DAY).cast(pl.Int64),
    )
    ordered = named.sort("run", "at", maintain_order=True)
    capabilities = tuple(ordered["capability"].drop_nulls().unique().sort().to_list())
    return OwnCalls(ordered, _padded(ordered, travel, capabilities), capabilities, midnight)


def _padded(ordered: pl.DataFrame, travel: Travel, capabilities: tuple[str, ...]) -> Calls:
    """Return calls as one row per run."""
    place, need = travel.index(), {capability: number for number, capability in enumerate(capabilities)}
    count = ordered.group_by("run", maintain_order=True).len()["len"].cast(pl.Int64).to_numpy()
    columns = np.arange(count.max())
    used = columns < count[:, None]

    def wide(values: Sequence[float] | pl.Series, empty: float) -> Floats:
        filled = np.full(used.shape, empty)
        filled[used] = np.asarray(values, dtype=float)
        return filled

    drop_off = ordered.select(pl.when("is_carried").then("drop_off_minutes").otherwise(math.nan)).to_series()
    return Calls(
        count,
        wide(ordered["at"], math.inf),
        wide([place[zone] for zone in ordered["zone"]], 0).astype(np.int64),
        wide(ordered["on_scene_minutes"], 0.0),
        wide(drop_off, math.nan),
        wide(ordered["priority"].fill_null(math.inf), 0.0),
        wide([-1 if text is None else need[text] for text in ordered["capability"]], -1).astype(np.int64),
    )


def fleet_of(rows: pl.DataFrame, travel: Travel, calls: OwnCalls, name: str) -> tuple[pl.DataFrame, Fleet]:
    """Return ``unit_id, zone`` of the units, and the units for the simulation.

    Args:
        rows: ``unit_id, zone``, or ``zone, units`` (their number) as ``plan posts`` writes; optionally ``capability``
            (several joined by + or ;), and ``from`` and ``to``, when the unit is in service: hh:mm of every day, or
            times or minutes as in the calls.
        travel: Has the zones.
        calls: State what capabilities are needed, and when minute 0 is.
        name: Of the file, for messages.

    Raises:
        PlanError: A row cannot be used, there are no units, or none has a capability that a call needs.
    """
    is_named = "unit_id" in rows.columns or "units" not in rows.columns
    texts = ("zone", "capability", "from", "to")
    if is_named:
        listed = typed(rows, name, texts=("unit_id", *texts), optional=texts[1:])
        empty = pl.col("unit_id").is_null() | (pl.col("unit_id") == "")
        twice = (
            pl.col("unit_id").is_duplicated(),
            pl.format("unit_id {} occurs twice; give each unit its own", "unit_id"),
        )
        faults = [(empty, pl.lit("unit_id is empty")), twice]
    else:
        listed = typed(rows, name, texts=texts, numbers=("units",), optional=texts[1:])
        faults = faults_of_number("units", is_required=True, is_whole=True)
    check_rows(listed, [*faults, *faults_of_zone("zone", travel.zones)], name)
    if not is_named:
        listed = _each(listed, name)
    start, length, period = own_times.hours_of(listed, calls.midnight, name)
    place = travel.index()
    homes = np.array([place[zone] for zone in listed["zone"]])
    hours = None if np.isinf(length).all() else Hours(start, length, period)
    return listed.select("unit_id", "zone"), Fleet(homes, hours, _skills(listed, calls, name))


def _each(listed: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return one row per unit of rows with a number of ``units``, with ``unit_id``: zone and number, such as 3582-1."""
    each = (
        listed.with_columns(units=pl.int_ranges(0, pl.col("units").cast(pl.Int64))).explode("units").drop_nulls("units")
    )
    if each.is_empty():
        raise PlanError(f"{name}: no units is above 0; give the number of units at each zone")
    number = pl.int_range(1, pl.len() + 1).over("zone")
    return each.with_columns(unit_id=pl.format("{}-{}", "zone", number))


def relocated(fleet: Fleet, travel: Travel, weights: Floats, within: float, busy: float) -> Fleet:
    """Return units that, when they become idle, drive to the home of any unit where they help most (DMEXCLP)."""
    homes = np.unique(fleet.homes)
    return replace(fleet, relocation=Relocation(homes, travel.minutes[homes] <= within, weights, busy))


def _skills(listed: pl.DataFrame, calls: OwnCalls, name: str) -> np.ndarray | None:
    """Return whether each unit has each capability that calls need."""
    if not calls.capabilities:
        return None
    split = listed["capability"].fill_null("").str.replace_all(_SEPARATOR, ";").str.split(";").to_list()
    owned = [{part.strip() for part in parts} for parts in split]
    skills = np.array([[capability in parts for capability in calls.capabilities] for parts in owned])
    if not skills.any(axis=0).all():
        lacking = calls.capabilities[int(np.argmin(skills.any(axis=0)))]
        row = calls.rows.filter(capability=lacking)["row"].to_list()[0]
        raise PlanError(f"{name}: no unit has the capability {lacking} that a call needs (row {row} of the calls)")
    return skills


def hospitals_of(rows: pl.DataFrame | None, travel: Travel, name: str) -> Ints:
    """Return the zones of hospitals; none without rows."""
    if rows is None:
        return np.zeros(0, dtype=np.int64)
    listed = typed(rows, name, texts=("zone",))
    check_rows(listed, faults_of_zone("zone", travel.zones), name)
    place = travel.index()
    return np.array([place[zone] for zone in listed["zone"]])


def way_of(travel: Travel, places: pl.DataFrame | None, speed: float, name: str) -> Way:
    """Return minutes and, if given, coordinates (``zone, x, y``) for the simulation.

    Raises:
        PlanError: A pair of zones has no minutes, or a zone no coordinates.
    """
    if (lacking := np.argwhere(~np.isfinite(travel.minutes))).size:
        start, end = (travel.zones[number] for number in lacking[0])
        raise PlanError(
            f"--travel: {len(lacking)} pairs have no minutes, such as {start} to {end}; a simulation needs them for "
            "all pairs of zones, also from a zone to itself"
        )
    if places is None:
        return Way(travel.minutes, speed=speed)
    listed = typed(places, name, texts=("zone",), numbers=("x", "y"))
    signed = [
        (
            pl.col(axis).is_null() | ~pl.col(axis).is_finite(),
            pl.format(f"{axis} '{{}}' is not a number", f"{axis}_text"),
        )
        for axis in ("x", "y")
    ]
    twice = pl.col("zone").is_duplicated(), pl.format("zone {} occurs twice", "zone")
    check_rows(listed, [*faults_of_zone("zone"), *signed, twice], name)
    point = {zone: (x, y) for zone, x, y in listed.select("zone", "x", "y").iter_rows()}
    if missing := [zone for zone in travel.zones if zone not in point]:
        raise PlanError(f"{name}: zone {missing[0]} of --travel has no row; give x and y of every zone")
    return Way(travel.minutes, np.array([point[zone] for zone in travel.zones]), speed)


def results(called: OwnCalls, outcome: Outcome, units: pl.DataFrame, travel: Travel, within: float) -> pl.DataFrame:
    """Return one row per call, in the order of the file.

    Columns: ``run`` if given, ``called_at`` (minutes, or local time if the file has times), ``zone``, ``unit_id``,
    ``waiting_minutes`` until a unit was sent, ``driving_minutes``, ``response_minutes`` (their sum), ``is_missed``:
    later than ``within``, or no unit ever came; ``hospital``: its zone; ``busy_minutes`` of the unit.
    """
    used = np.arange(called.calls.at.shape[1]) < called.calls.count[:, None]
    at = called.calls.at[used]
    measured: dict[str, Floats] = {
        "waiting_minutes": outcome.waiting[used],
        "driving_minutes": outcome.driving[used],
        "response_minutes": outcome.response[used],
        "busy_minutes": (outcome.end - called.calls.at - outcome.waiting)[used],
    }
    frame = called.rows.select("row", "run", "day", "at", "zone").with_columns(
        _named("unit_id", outcome.unit[used], units["unit_id"]),
        _named("hospital", outcome.hospital[used], pl.Series(travel.zones)),
        *(pl.Series(name, values).fill_nan(None) for name, values in measured.items()),
    )
    kept = [] if called.rows["run"].eq("").all() else ["run"]
    written_at = own_times.written(pl.Series("called_at", at), called.midnight)
    return (
        frame.with_columns(written_at, is_missed=(pl.col("response_minutes") > within).fill_null(True))
        .sort("row")
        .select(*kept, "called_at", "zone", *RESULTS)
    )


def _named(column: str, numbers: Ints, names: pl.Series) -> pl.Series:
    """Return the names at the numbers, null for -1."""
    chosen = pl.Series(column, numbers, pl.Int64)
    return names.gather(chosen.replace(-1, None)).alias(column)


def summary(calls: pl.DataFrame) -> pl.DataFrame:
    """Return ``calls, missed_share, response_p50, response_p90, waited_share, not_served`` of results."""
    return calls.select(
        pl.len().alias("calls"),
        pl.col("is_missed").mean().alias("missed_share"),
        pl.col("response_minutes").quantile(0.5, "linear").alias("response_p50"),
        pl.col("response_minutes").quantile(0.9, "linear").alias("response_p90"),
        (pl.col("waiting_minutes") > 0).fill_null(True).mean().alias("waited_share"),
        pl.col("unit_id").is_null().sum().alias("not_served"),
    )


def by_unit(calls: pl.DataFrame, units: pl.DataFrame, called: OwnCalls) -> pl.DataFrame:
    """Return ``unit_id, zone, calls, busy_minutes, busy_share`` of every unit.

    ``busy_share``: of the time from the first to the last call of each run; what a unit does later does not count.
    """
    spans = called.rows.group_by("run").agg(pl.col("at").max() - pl.col("at").min())
    span = float(spans["at"].sum())
    left = called.rows.sort("row").select(pl.col("at").max().over("run") - pl.col("at")).to_series()
    until_last = pl.min_horizontal("busy_minutes", (pl.lit(left) - pl.col("waiting_minutes")).clip(0))
    taken = calls.with_columns(until_last=until_last).group_by("unit_id")
    sums = taken.agg(pl.len().alias("calls"), pl.col("busy_minutes", "until_last").sum())
    share = pl.col("until_last") / span if span > 0 else pl.lit(None, pl.Float64)
    return (
        units.join(sums, on="unit_id", how="left", maintain_order="left")
        .with_columns(pl.col("calls", "busy_minutes", "until_last").fill_null(0))
        .with_columns(share.alias("busy_share"))
        .drop("until_last")
    )
