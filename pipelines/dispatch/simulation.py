"""Simulation of dispatch as a recursion over calls: every call gets a unit, which is busy until the call ends.

Many runs (days, replications) go side by side in numpy. Nothing is drawn here: times on scene and at hospital belong to
the calls, so plans that are compared face the same calls (common random numbers).

Rules, those of ELASPY (Dieleman and Jagtenberg 2024), with priorities, capabilities and hours of service added:

* The idle unit with the shortest way is sent at once; of several, that listed first.
* A unit drives to the call, stays on scene, and ends there, or drives to the hospital nearest to the call, where it
  stays for the drop-off time. Then it is idle and drives home; without siren, so slower. On its way it can be sent from
  the zone where it is (``way_home``).
* With relocation (DMEXCLP) a unit that becomes idle drives to the post where it helps most, in place of its home.
* If no unit is idle, calls wait. A unit that becomes idle takes the most urgent one, of equal ones the first.
"""

from bisect import insort
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.dispatch.posts import PlanError
from pipelines.dispatch.relocation import Relocation
from pipelines.dispatch.way_home import Way

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SIDE_BY_SIDE: Final = 64
"""Runs at once: enough to hide the cost of a step, few enough for the processor's cache."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When units are in service: from ``start`` for ``length`` minutes, again every ``period`` (infinite: once)."""

    start: Floats
    length: Floats
    period: Floats

    def next(self, at: Floats) -> Floats:
        """Return the earliest minute from ``at`` on at which each unit (last axis) is in service; infinite if none."""
        is_daily = np.isfinite(self.period)
        every = np.where(is_daily, self.period, 1.0)
        # From the number of the shift, so that a shift begins at the same instant whenever it is computed.
        shift = np.where(is_daily, np.floor((at - self.start) / every), 0.0)
        begin = self.start + shift * every
        later = np.where(at < begin, begin, np.where(is_daily, begin + every, np.inf))
        return np.asarray(np.where((at >= begin) & (at < begin + self.length), at, later))


@dataclass(frozen=True, slots=True)
class Fleet:
    """Units, one per position.

    ``homes``: zones; ``hours``: when in service, None for always; ``skills``: whether each unit (row) can take calls
    that need a capability (column), None if no call needs any; ``relocation``: of units that become idle, None if they
    go home.
    """

    homes: Ints
    hours: Hours | None = None
    skills: Bools | None = None
    relocation: Relocation | None = None


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of runs (rows) by time (columns); the last columns of a shorter run are not used.

    ``count``: calls per run; ``at``: minute, rising; ``zone``; ``on_scene``: minutes; ``drop_off``: minutes at a
    hospital, NaN if the call ends on scene; ``urgency``: lower is first; ``needs``: capability, -1 for any unit.
    """

    count: Ints
    at: Floats
    zone: Ints
    on_scene: Floats
    drop_off: Floats
    urgency: Floats
    needs: Ints


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of each call (NaN and -1 where no unit ever came).

    ``unit``; ``waiting`` minutes until a unit was sent; ``driving`` minutes of that unit; ``end``: the minute at which
    it was idle again; ``hospital``: zone, -1 for none.
    """

    unit: Ints
    waiting: Floats
    driving: Floats
    end: Floats
    hospital: Ints

    @property
    def response(self) -> Floats:
        """Return minutes from the call to the arrival of the unit."""
        return self.waiting + self.driving


def simulate(way: Way, fleet: Fleet, hospitals: Ints, calls: Calls) -> Outcome:
    """Dispatch the calls of all runs; every run begins with all units idle at home.

    Args:
        way: Minutes between zones, all finite, and where a unit is on its way home.
        fleet: Units.
        hospitals: Zones of hospitals; may be empty if no call ends at one.
        calls: Calls of each run.

    Raises:
        PlanError: Units with relocation have hours of service, or a home that is not one of its posts.
    """
    if fleet.relocation is not None and fleet.hours is not None:
        raise PlanError("units with hours of service cannot be relocated: leave out from and to")
    shape = calls.at.shape
    result = Outcome(
        np.full(shape, -1), np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, -1)
    )
    nearest = hospitals[way.minutes[:, hospitals].argmin(axis=1)] if hospitals.size else np.zeros(0, dtype=np.int64)
    # Longest runs first: those that still have calls are then the first rows of a group.
    order = np.argsort(-calls.count, kind="stable")
    for start in range(0, order.size, SIDE_BY_SIDE):
        _Group(way, fleet, nearest, calls, result, order[start : start + SIDE_BY_SIDE]).run()
    return result


@dataclass(slots=True)
class _Group:
    """The state of runs that go side by side: when each unit (column) is idle, where it becomes so, when it is home.

    ``home``: where a unit goes; with relocation, ``post``: its number, and ``is_open``: not decided yet. ``within``:
    idle units that are, or will be, within reach of each zone.
    ``waiting``: urgency, minute and number of the calls that wait, in the order in which they are served, by run.
    """

    way: Way
    fleet: Fleet
    nearest: Ints
    calls: Calls
    result: Outcome
    runs: Ints
    free: Floats = field(init=False)
    left: Ints = field(init=False)
    home_at: Floats = field(init=False)
    home: Ints = field(init=False)
    post: Ints = field(init=False)
    is_open: Bools = field(init=False)
    within: Ints = field(init=False)
    waiting: dict[int, list[tuple[float, float, int]]] = field(init=False)

    def run(self) -> None:
        shape = self.runs.size, self.fleet.homes.size
        self.free = np.repeat(self.calls.at[self.runs, :1], shape[1], axis=1)
        self.home_at = np.full(shape, -np.inf)
        self.left = np.tile(self.fleet.homes, (shape[0], 1))
        self.home, self.is_open = self.left.copy(), np.zeros(shape, dtype=bool)
        if self.fleet.relocation is not None:
            self.post = np.tile(self.fleet.relocation.posts_of(self.fleet.homes), (shape[0], 1))
            self.within = self.fleet.relocation.covers[self.post].sum(axis=1, dtype=np.int64)
        self.waiting = {}
        from_homes = np.ascontiguousarray(self.way.minutes[self.fleet.homes].T)
        counts = self.calls.count[self.runs]
        for number in range(int(counts.max(initial=0))):
            self._arrive(number, self.runs[: int(np.searchsorted(-counts, -number))], from_homes)
        for row in list(self.waiting):
            self._serve_waiting(row, np.inf)

    def _arrive(self, number: int, runs: Ints, from_homes: Floats) -> None:
        """Take the next call of each run: send a unit, or let it wait."""
        rows = np.arange(runs.size)
        at, zone = self.calls.at[runs, number], self.calls.zone[runs, number]
        for earlier in [number for number in self.waiting if number < runs.size]:
            self._serve_waiting(earlier, float(at[earlier]))
        if self.fleet.relocation is not None:
            self._relocate(self.fleet.relocation, at)
        now = at[:, None]
        idle = self.free[: runs.size] <= now
        if self.fleet.hours is not None:
            idle &= self.fleet.hours.next(np.broadcast_to(now, idle.shape)) == now
        if self.fleet.skills is not None:
            needs = self.calls.needs[runs, number]
            idle &= self.fleet.skills.T[needs] | (needs < 0)[:, None]
        drive = from_homes[zone] if self.fleet.relocation is None else self._from_posts(zone)
        row, unit = np.nonzero(idle & (self.home_at[: runs.size] > now))
        if row.size:
            drive[row, unit] = self.way.minutes[self._places(row, unit, at[row]), zone[row]]
        np.putmask(drive, ~idle, np.inf)
        chosen = drive.argmin(axis=1)
        shortest = drive[rows, chosen]
        is_sent = np.isfinite(shortest)
        if is_sent.all():
            self._send(rows, number, chosen, at, shortest)
            return
        sent = np.flatnonzero(is_sent)
        self._send(sent, number, chosen[sent], at[sent], shortest[sent])
        for row_number in np.flatnonzero(~is_sent).tolist():
            urgency = float(self.calls.urgency[runs[row_number], number])
            insort(self.waiting.setdefault(row_number, []), (urgency, float(at[row_number]), number))

    def _places(self, row: Ints, unit: Ints, at: Floats) -> Ints:
        """Return the zones in which idle units are."""
        left, free = self.left[row, unit], self.free[row, unit]
        return self.way.place(left, self.home[row, unit], at - free, self.home_at[row, unit] - free)

    def _from_posts(self, zone: Ints) -> Floats:
        """Return the minutes from where each unit goes to the zone of each run."""
        return self.way.minutes[self.home[: zone.size], zone[:, None]]

    def _relocate(self, relocation: Relocation, at: Floats) -> None:
        """Decide where units go that became idle since the last call, one after another."""
        rows = np.arange(at.size)
        while True:
            since = np.where(self.is_open[: at.size], self.free[: at.size], np.inf)
            first = since.argmin(axis=1)
            row = np.flatnonzero(since[rows, first] <= at)
            if not row.size:
                return
            unit = first[row]
            post = relocation.best(self.within[row])
            self.within[row] += relocation.covers[post]
            self.post[row, unit], self.home[row, unit] = post, relocation.posts[post]
            self.is_open[row, unit] = False
            way = self.way.home_minutes(self.left[row, unit], relocation.posts[post])
            self.home_at[row, unit] = self.free[row, unit] + way

    def _serve_waiting(self, row: int, until: float) -> None:
        """Send units that become idle until then to the calls that wait in one run."""
        queue, run = self.waiting[row], self.runs[row]
        while queue:
            called = np.array([at for _, at, _ in queue])
            # A unit may have been idle before a call that it cannot take for want of a capability or of hours.
            ready = np.maximum(self.free[row], called[:, None])
            if self.fleet.hours is not None:
                ready = self.fleet.hours.next(ready)
            if self.fleet.skills is not None:
                needs = self.calls.needs[run, [number for _, _, number in queue]]
                ready = np.where(self.fleet.skills.T[needs] | (needs < 0)[:, None], ready, np.inf)
            soonest = ready.min()
            if soonest > until or np.isinf(soonest):
                return
            place = int((ready == soonest).any(axis=1).argmax())
            _, _, number = queue.pop(place)
            units = np.flatnonzero(ready[place] == soonest)
            at = np.full(units.size, soonest)
            rows = np.full(units.size, row, dtype=np.int64)
            zones = self.home[rows, units]
            away = np.flatnonzero(self.home_at[rows, units] > at)
            zones[away] = self._places(rows[away], units[away], at[away])
            drive = self.way.minutes[zones, self.calls.zone[run, number]]
            nearest = drive.argmin(keepdims=True)
            self._send(rows[:1], number, units[nearest], at[:1], drive[nearest])
        del self.waiting[row]

    def _send(self, rows: Ints, number: int, unit: Ints, at: Floats, driving: Floats) -> None:
        """Send units to calls, and keep them busy until these end."""
        runs = self.runs[rows]
        zone, drop_off = self.calls.zone[runs, number], self.calls.drop_off[runs, number]
        left, end = zone.copy(), at + driving + self.calls.on_scene[runs, number]
        carried = np.flatnonzero(~np.isnan(drop_off))
        if carried.size:
            left[carried] = self.nearest[zone[carried]]
            end[carried] += self.way.minutes[zone[carried], left[carried]] + drop_off[carried]
            self.result.hospital[runs[carried], number] = left[carried]
        self.free[rows, unit], self.left[rows, unit] = end, left
        if self.fleet.relocation is None:
            self.home_at[rows, unit] = end + self.way.home_minutes(left, self.home[rows, unit])
        else:
            counted = np.flatnonzero(~self.is_open[rows, unit])
            self.within[rows[counted]] -= self.fleet.relocation.covers[self.post[rows[counted], unit[counted]]]
            self.is_open[rows, unit], self.home_at[rows, unit] = True, np.inf
        self.result.unit[runs, number] = unit
        self.result.waiting[runs, number] = at - self.calls.at[runs, number]
        self.result.driving[runs, number] = driving
        self.result.end[runs, number] = end
