"""Series of counts: seasonal slots and the hours and days to forecast.

A series is a long frame ``unique_id, ds, y``: ``ds`` is the start of the hour or day in local time without a zone,
``y`` a count. Zeros are rows; a missing row is unknown (such as an outage) and is never read as zero.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from pipelines.config.errors import BongsuError
from pipelines.config.seeds import seed

Frequency = Literal["h", "D"]

SEASON: Final[Mapping[Frequency, int]] = {"h": 168, "D": 7}
"""Steps in the season of both baselines: a week."""

STEP: Final[Mapping[Frequency, timedelta]] = {"h": timedelta(hours=1), "D": timedelta(days=1)}


class SeriesError(BongsuError, ValueError):
    """Report that a series cannot be forecast as given; the message states what to change."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle of ``length`` steps of ``step``, and the ``effects`` of its positions: ``unique_id, cutoff, position,
    effect``, as an origin at ``cutoff`` estimates them (`cycle_effects.judged`).
    """

    step: timedelta
    length: int
    effects: pl.DataFrame

    def of(self, rows: pl.DataFrame) -> pl.Series:
        """Return the effect of each row (``unique_id, cutoff, ds``); 1 where none is known."""
        placed = rows.select("unique_id", "cutoff", position(self.step, self.length))
        keys = ["unique_id", "cutoff", "position"]
        return placed.join(self.effects, on=keys, how="left", maintain_order="left")["effect"].fill_null(1.0)


@dataclass(frozen=True, slots=True)
class History:
    """Counts as now known, and the changes that each past origin did not know yet.

    ``counts``: ``unique_id, ds, y``. ``late``: ``unique_id, ds, seen_from, y, row``: a change of the count in a row of
    ``counts``, and the cutoff (local time) of the first origin that knew it; NaN: the count was not known at all.
    ``extremes``: ``unique_id, cutoff, ds, usual, limit``: single counts that an origin at ``cutoff`` finds extreme
    (`extremes.judged`), in whose place it reads the usual one; none: there are none.
    ``named_days``: ``unique_id, cutoff, day, quarter, effect``: how many times the usual a named day has, as an origin
    at ``cutoff`` estimates it (`calendar_effects.judged`): it reads the counts divided by it; none: no calendar.
    ``cycle``: the effects of another cycle than the week, likewise.
    """

    counts: pl.DataFrame
    late: pl.DataFrame
    extremes: pl.DataFrame | None = None
    named_days: pl.DataFrame | None = None
    cycle: Cycle | None = None

    @staticmethod
    def of(counts: pl.DataFrame, late: pl.DataFrame) -> "History":
        """Build from counts and ``unique_id, ds, seen_from, y``.

        Changes of hours or days without a count are left out.
        """
        keys = ["unique_id", "ds"]
        touched = counts.lazy().with_row_index("row").join(late.lazy().select(keys), on=keys, how="semi")
        # Of a repeated hour the last row.
        rows = touched.group_by(keys).agg(pl.col("row").max()).collect(engine="streaming")
        return History(counts, late.select(*keys, "seen_from", "y").join(rows, on=keys))

    def at(self, cutoff: datetime) -> pl.DataFrame:
        """Return ``counts`` as an origin at ``cutoff`` knew them, as if no count were extreme or day named."""
        known = self.as_known(cutoff)
        if self.extremes is not None:
            replaced = self.extremes.filter(pl.col("cutoff") == cutoff).select("unique_id", "ds", "usual")
            known = with_usual(known, replaced, ["unique_id", "ds"]) if replaced.height else known
        if self.cycle is not None:
            stamped = known.select("unique_id", pl.lit(cutoff, pl.Datetime("us")).alias("cutoff"), "ds")
            known = known.with_columns(pl.col("y") / self.cycle.of(stamped))
        if self.named_days is None:
            return known
        effects = self.named_days.filter(pl.col("cutoff") == cutoff).drop("cutoff")
        named = with_effects(known.select("unique_id", "ds").with_row_index("row"), effects, ["unique_id"])
        y, rows = known["y"].to_numpy().copy(), named["row"].to_numpy()
        y[rows] /= named["effect"].to_numpy()
        return known.with_columns(pl.Series("y", y))

    def as_known(self, cutoff: datetime) -> pl.DataFrame:
        """Return ``counts`` as an origin at ``cutoff`` knew them, extreme ones included."""
        return self._without(self.late.filter(pl.col("seen_from") > cutoff))

    def before(self, cutoffs: pl.DataFrame) -> pl.DataFrame:
        """Return the history before each series' own cutoff, as known there.

        ``unique_id, cutoff`` in; ``unique_id, ds, y`` out.
        """
        unseen = self.late.join(cutoffs, on="unique_id").filter(pl.col("seen_from") > pl.col("cutoff"))
        known = (
            self._without(unseen).lazy().join(cutoffs.lazy(), on="unique_id").filter(pl.col("ds") < pl.col("cutoff"))
        )
        rows = known.collect(engine="streaming")
        if self.extremes is not None:
            replaced = self.extremes.select("unique_id", "ds", "cutoff", "usual")
            rows = with_usual(rows, replaced, ["unique_id", "ds", "cutoff"])
        return rows.drop("cutoff")

    def _without(self, late: pl.DataFrame) -> pl.DataFrame:
        sums = late.group_by("row").agg(pl.col("y").sum())
        y = self.counts["y"].to_numpy().copy()
        # A repeated hour is one ``ds`` with the late calls of both, maybe more than its last one had.
        y[sums["row"].to_numpy()] = np.maximum(y[sums["row"].to_numpy()] - sums["y"].to_numpy(), 0.0)
        return self.counts.with_columns(pl.Series("y", y)).filter(pl.col("y").is_not_nan())


def with_effects(rows: pl.DataFrame, effects: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Return the rows on named days, with the ``effect`` of each.

    Args:
        rows: ``ds`` and ``keys``, more columns kept.
        effects: ``day, quarter, effect`` and ``keys``; with quarters 0 to 3 of hours, with 0 alone of days.
        keys: What effects are of, besides the day.
    """
    hours = 6 if effects["quarter"].max() else 24
    day = pl.col("ds").dt.date()
    quarter = (pl.col("ds").dt.hour() // hours).alias("quarter")
    named = rows.filter(day.is_in(effects["day"].unique().implode())).with_columns(day.alias("day"), quarter)
    return named.join(effects, on=[*keys, "day", "quarter"], maintain_order="left").drop("day", "quarter")


def with_usual(rows: pl.DataFrame, replaced: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """Return the rows with ``usual`` in place of the ``y`` of those in ``replaced``: ``on, usual``."""
    usual = rows.join(replaced, on=on, how="left", maintain_order="left")
    return usual.with_columns(pl.coalesce("usual", "y").alias("y")).drop("usual")


def lasting_ids(names: pl.Series) -> pl.Series:
    """Return a ``unique_id`` for every name, determined by the name alone (63 bits of its seed).

    Draws are seeded by it, so a series' numbers do not depend on other series.
    """
    return pl.Series("unique_id", [seed(name) >> 1 for name in names], dtype=pl.Int64)


def slot(freq: Frequency) -> pl.Expr:
    """Return the position of ``ds`` in its week: hour of week 0 to 167 (Monday midnight is 0), or weekday 0 to 6."""
    weekday = pl.col("ds").dt.weekday().cast(pl.Int16) - 1
    return (weekday * 24 + pl.col("ds").dt.hour()).alias("slot") if freq == "h" else weekday.alias("slot")


def position(step: timedelta, length: int) -> pl.Expr:
    """Return the position of ``ds`` in a cycle of ``length`` steps, counted from 1970."""
    since = pl.col("ds") - pl.datetime(1970, 1, 1, time_unit="us")
    return (since.dt.total_seconds() // int(step.total_seconds()) % length).alias("position")


def by_cutoff(targets: pl.DataFrame) -> Iterator[tuple[datetime, pl.DataFrame]]:
    """Yield each distinct ``cutoff`` of the targets, ascending, with its ``unique_id``."""
    pairs = targets.select("cutoff", "unique_id").unique()
    for cutoff in pairs["cutoff"].unique().sort():
        yield cutoff, pairs.filter(pl.col("cutoff") == cutoff).select("unique_id")


def of(history: History | pl.DataFrame, group: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """Return the history of the series in ``group``, as an origin at ``cutoff`` knew it."""
    known = history.at(cutoff) if isinstance(history, History) else history
    if group.height == known["unique_id"].n_unique():
        return known
    return known.join(group, on="unique_id", how="semi")


def daily(hourly: pl.DataFrame, least_hours: int = 23) -> pl.DataFrame:
    """Sum hours into whole local days; a day with fewer than ``least_hours`` known hours is unknown (23 serves DST)."""
    return (
        hourly.lazy()
        .group_by("unique_id", pl.col("ds").dt.truncate("1d"))
        .agg(pl.col("y").sum(), pl.len().alias("_hours"))
        .filter(pl.col("_hours") >= least_hours)
        .select("unique_id", "ds", "y")
        .sort("unique_id", "ds")
        .collect(engine="streaming")
    )


def steps_after(cutoff: datetime, freq: Frequency, horizon: int) -> pl.DataFrame:
    """Return the ``horizon`` steps from ``cutoff`` on, as ``cutoff, ds``. ``cutoff`` is the end of the known data."""
    stamp = pl.Datetime("us")
    return pl.DataFrame(
        {"cutoff": [cutoff] * horizon, "ds": [cutoff + STEP[freq] * i for i in range(horizon)]},
        schema={"cutoff": stamp, "ds": stamp},
    )


def hours_ahead(as_of: datetime, days: int, zone: ZoneInfo) -> pl.DataFrame:
    """Return the whole hours of the next ``days`` days that begin at or after ``as_of``.

    Returns:
        ``target_start, target_end`` (UTC) and ``ds`` (local time; one value twice if clocks go back).
    """
    floor = as_of.replace(minute=0, second=0, microsecond=0)
    first = floor if floor == as_of else floor + timedelta(hours=1)
    return _targets([first + timedelta(hours=i) for i in range(24 * days + 1)], zone)


def days_ahead(as_of: datetime, days: int, zone: ZoneInfo) -> pl.DataFrame:
    """Return the next ``days`` whole local days after the day of ``as_of``; columns as ``hours_ahead``."""
    today = as_of.astimezone(zone).date()
    return _targets([midnight(today + timedelta(days=i + 1), zone) for i in range(days + 1)], zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant (UTC) at which a local day begins."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _targets(edges: list[datetime], zone: ZoneInfo) -> pl.DataFrame:
    utc = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        {"target_start": edges[:-1], "target_end": edges[1:]}, schema={"target_start": utc, "target_end": utc}
    ).with_columns(pl.col("target_start").dt.convert_time_zone(zone.key).dt.replace_time_zone(None).alias("ds"))
