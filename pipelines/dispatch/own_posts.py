"""Posts for anyone's city: demand and candidate posts as users have them in, units per zone out."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from scipy.stats import binom

from pipelines.config.progress import Progress, silent
from pipelines.dispatch import posts, standby
from pipelines.dispatch.planning_rows import check_rows, faults_of_number, faults_of_zone, typed
from pipelines.dispatch.posts import Bools, Counts, Floats, PlanError
from pipelines.dispatch.travel import Travel

DEMAND: Final = ("zone", "weight")
SITES: Final = ("zone", "capacity", "units")
SECOND_UNIT: Final = 0.05
"""Weight of a second idle unit within reach, next to that of the first."""
NAMED: Final = 5
"""Maximum number of zones that a note names."""

MatrixRows = Literal["zones", "posts"]


@dataclass(frozen=True, slots=True)
class Sites:
    """Candidate posts, one per zone, in the order of their rows.

    ``zones``: names; ``sites``: how many posts are in the zone; ``capacity``: most units, a large number if not
    limited; ``units``: where units are today, if stated.
    """

    zones: tuple[str, ...]
    sites: Counts
    capacity: Counts
    units: Counts | None


@dataclass(frozen=True, slots=True)
class Plan:
    """``placed``: ``zone, units`` with at least one unit. Shares of the demand, 0 to 1.

    ``objective``: expected to be reached by an idle unit in time; ``bound``: the most that any placement can have;
    ``coverage``: that any unit reaches in time;
    ``today_objective`` and ``today_coverage``: the same for today's units, if stated, ``today_units``: their number;
    ``turned_objective``: that of the same units if rows and columns of the matrix change their meaning; ``missed``:
    ``zone, units, lost, lost_after_move, move_from``, what is lost without the units of a post, most first
    (``standby.Regret``).
    """

    placed: pl.DataFrame
    objective: float
    coverage: float
    missed: pl.DataFrame
    bound: float
    today_objective: float | None = None
    today_coverage: float | None = None
    turned_objective: float | None = None
    today_units: int | None = None


def demand_of(rows: pl.DataFrame, travel: Travel, name: str, note: Progress = silent) -> tuple[Travel, Floats]:
    """Return the demand of each zone of travel, 0 where none is listed.

    Pairs list only ways: a zone with demand and without a pair is added to travel, counts as never reached, and is
    noted.

    Raises:
        PlanError: A row cannot be used, no zone has demand, or none of those with demand has travel times.
    """
    demand = typed(rows, name, texts=("zone",), numbers=("weight",))
    is_known = travel.zones if travel.is_matrix else None
    twice = pl.col("zone").is_duplicated(), pl.format("zone {} occurs twice; add up its weights", "zone")
    check_rows(demand, [*faults_of_zone("zone", is_known), *faults_of_number("weight", is_required=True), twice], name)
    listed = demand.filter(pl.col("weight") > 0)
    if listed.is_empty():
        raise PlanError(f"{name}: no weight is above 0; give the demand of each zone")
    lost = listed.filter(~pl.col("zone").is_in(travel.zones))
    if lost.height == listed.height:
        raise PlanError(
            f"{name}: none of its zones is in --travel (row {lost['row'][0]}: {lost['zone'][0]}); use the same names"
        )
    if lost.height:
        share = float(lost["weight"].sum()) / float(listed["weight"].sum())
        note(
            f"{name}: zones without a pair in --travel count as never reached: {_some(lost['zone'].to_list())} "
            f"({share:.2%} of the demand)"
        )
    full = travel.with_zones(lost["zone"].to_list())
    weights, place = np.zeros(len(full.zones)), full.index()
    weights[[place[zone] for zone in listed["zone"]]] = listed["weight"].to_numpy()
    return full, weights


def sites_of(rows: pl.DataFrame, travel: Travel, name: str) -> Sites:
    """Return candidate posts.

    Args:
        rows: ``zone``, optionally ``capacity`` (most units; empty: no limit) and ``units`` (there today). Several rows
            of one zone are several posts there.
        travel: Has their zones.
        name: Of the file, for messages.

    Raises:
        PlanError: A row cannot be used.
    """
    numbers = ("capacity", "units")
    listed = typed(rows, name, texts=("zone",), numbers=numbers, optional=numbers)
    faults = [fault for column in numbers for fault in faults_of_number(column, is_whole=True)]
    check_rows(listed, [*faults_of_zone("zone", travel.zones), *faults], name)
    unlimited = np.iinfo(np.int32).max
    merged = listed.group_by("zone", maintain_order=True).agg(
        pl.len().alias("sites"), pl.col("capacity").fill_null(unlimited).sum(), pl.col("units").fill_null(0).sum()
    )
    capacity, units = (merged[column].cast(pl.Int64).to_numpy() for column in numbers)
    return Sites(
        tuple(merged["zone"].to_list()),
        merged["sites"].cast(pl.Int64).to_numpy(),
        np.minimum(capacity, unlimited),
        units if listed["units"].is_not_null().any() else None,
    )


def covers(travel: Travel, sites: Sites, within: float, matrix_rows: MatrixRows = "zones") -> Bools:
    """Return whether a unit at the post (row) reaches the zone (column) within the minutes.

    Pairs state their direction: from the post to the zone. A matrix does not; see ``docs/decisions/0054``.
    """
    place = travel.index()
    at = [place[zone] for zone in sites.zones]
    is_to_zone = matrix_rows == "posts" or not travel.is_matrix
    minutes = travel.minutes[at] if is_to_zone else travel.minutes[:, at].T
    return np.asarray(minutes <= within)


def plan(
    travel: Travel,
    weights: Floats,
    sites: Sites,
    within: float,
    units: int,
    busy: float | None = None,
    matrix_rows: MatrixRows = "zones",
) -> Plan:
    """Return the best placement of units (MEXCLP), or without ``busy`` the best sites (MCLP).

    Args:
        travel: Minutes.
        weights: Demand per zone of travel.
        sites: Candidate posts.
        within: Minutes within which a unit must arrive.
        units: Units to place, or without ``busy`` sites to choose.
        busy: Probability that a unit is busy.
        matrix_rows: What the rows of a matrix are.

    Raises:
        PlanError: There is no room for the units, or fewer sites than ``units``.
    """
    reach = covers(travel, sites, within, matrix_rows)
    if not (reach & (weights > 0)).any():
        raise PlanError(
            f"no post reaches any demand within {within:g} minutes; give more, or check that travel is in minutes"
        )
    if busy is None:
        best, bound = posts.best_choice(reach, weights, units, np.minimum(sites.sites, sites.capacity))
    else:
        best, bound = posts.best_placement(reach, weights, units, busy, sites.capacity)
    placed = pl.DataFrame({"zone": list(sites.zones), "units": best}, {"zone": pl.String, "units": pl.Int64})
    turned = None
    if travel.is_matrix:
        other = covers(travel, sites, within, "posts" if matrix_rows == "zones" else "zones")
        turned = None if np.array_equal(other, reach) else posts.coverage(other, weights, best, busy or 0.0)
    today = sites.units
    return Plan(
        placed.filter(pl.col("units") > 0),
        posts.coverage(reach, weights, best, busy or 0.0),
        posts.coverage(reach, weights, best),
        _missed(reach, weights, best, busy or 0.0, sites),
        bound,
        None if today is None else posts.coverage(reach, weights, today, busy or 0.0),
        None if today is None else posts.coverage(reach, weights, today),
        turned,
        None if today is None else int(today.sum()),
    )


def compliance_table(
    travel: Travel,
    weights: Floats,
    sites: Sites,
    within: float,
    units: int,
    busy: float,
    matrix_rows: MatrixRows = "zones",
) -> pl.DataFrame:
    """Return where the units that are idle should be, for 1 to ``units`` of them: as ``standby.gaps``.

    Numbers of idle units count by their chance if units are busy independently of each other. Coverage is that of the
    next call, by any idle unit; a second unit within reach counts a little, so that no unit is placed where it adds
    nothing. Arguments as in ``plan``.
    """
    reach = covers(travel, sites, within, matrix_rows)
    chances = binom.pmf(np.arange(1, units + 1), units, 1 - busy)
    order = standby.compliance(reach, weights, chances, SECOND_UNIT, sites.capacity)
    return standby.gaps(reach, weights, order, 0.0, sites.capacity, list(sites.zones))


def _missed(reach: Bools, weights: Floats, units: Counts, busy: float, sites: Sites) -> pl.DataFrame:
    """Return what is lost without the units of each post that has some, most first."""
    regret = standby.regrets(reach, weights, units, busy)
    names = [*sites.zones, None]
    frame = pl.DataFrame(
        {
            "zone": list(sites.zones),
            "units": units,
            "lost": regret.lost,
            "lost_after_move": regret.lost_after_move,
            "move_from": [names[place] for place in regret.move_from],
        },
        schema_overrides={"move_from": pl.String},
    )
    return frame.filter(pl.col("units") > 0).sort("lost", descending=True, maintain_order=True)


def _some(zones: Collection[str]) -> str:
    shown = ", ".join(list(zones)[:NAMED])
    return shown if len(zones) <= NAMED else f"{shown} and {len(zones) - NAMED} more"
