"""The hourly mart as series: what is forecast, how far each is known, and which share information."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.config.profile import Profile
from pipelines.forecast.demand import extremes, level_shifts, reporting_delay, series
from pipelines.forecast.demand.series import History

RECENT: Final = timedelta(days=56)
"""How long a forecast names an extreme count that its mean leaves out, and a shift of the level."""
LONGEST_STOP: Final = timedelta(days=1)
"""An area that has no row of the service's last hours for longer than this has stopped."""
MEASURES: Final = ("calls", "dispatches")
"""Calls answered and units sent: two series of every area and service, never mixed."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about the services' records at ``as_of``.

    ``through`` is the instant (UTC) up to which a service's records are complete: nothing after it is read, so that a
    late or missing feed is unknown and never zero. A missing service is complete up to ``as_of``. ``degraded`` gives a
    reason (such as a stale feed) that is written into the forecasts of a service. ``delays`` is
    ``marts.demand_delays``: hours that still fill up are unknown too; none: records arrive at once. ``changes`` is
    ``marts.demand_changes``: changes that became known late, which past origins did not know; none: there were none.
    """

    through: Mapping[str, datetime]
    degraded: Mapping[str, str]
    delays: pl.DataFrame | None = None
    changes: pl.DataFrame | None = None

    def degraded_by(self, reason: str | None, services: Iterable[str]) -> "Known":
        """Return the same with one more reason for every service, if there is one."""
        if reason is None:
            return self
        more = {name: "; ".join(filter(None, (self.degraded.get(name), reason))) for name in services}
        return replace(self, degraded={**self.degraded, **more})


@dataclass(frozen=True, slots=True)
class Panel:
    """The hourly mart as series.

    ``series``: ``unique_id`` (stable), ``hierarchy, area_level, area_id, service, measure, level, pool``,
    ``known_at`` (UTC), ``cutoff`` (local), ``degraded``; ``level`` is ``region`` for the area that the profile covers,
    else ``area_level``. ``history``: ``unique_id, ds`` (local time), ``y``, as now known, nothing from ``cutoff`` on;
    ``late``: ``unique_id, ds, seen_from`` (the first cutoff, local, that knew it), ``y``, the changes of counts that
    became known after past origins.
    """

    series: pl.DataFrame
    history: pl.DataFrame
    late: pl.DataFrame

    @staticmethod
    def read(hourly: pl.DataFrame, as_of: datetime, profile: Profile, known: Known) -> "Panel":
        """Read ``marts.demand_hourly``; units sent become series only if the agency reports them.

        An area of a service whose rows end long before the others' has stopped: it has no forecast, because neither its
        silence nor its calls before tell what will come.
        """
        edges = _edges(hourly, as_of, known)
        named = (
            hourly.lazy()
            .group_by("hierarchy", "area_level", "area_id", "service")
            .agg(
                pl.col("dispatches").is_not_null().any().alias("has_units"),
                pl.col("hour_start_at").max().alias("last_at"),
            )
            .collect(engine="streaming")
            .pipe(_as_text)
            .filter(pl.col("last_at") >= pl.col("last_at").max().over("service") - LONGEST_STOP)
            .drop("last_at")
            .join(pl.DataFrame({"measure": MEASURES}), how="cross")
            .filter((pl.col("measure") == "calls") | pl.col("has_units"))
            .drop("has_units")
            .sort("service", "measure", "area_id")
            .pipe(numbered)
            .with_columns(level_in_region(profile.areas.whole_id))
            .with_columns(_pool())
            .join(edges, on="service", how="left", maintain_order="left")
            .with_columns(local("known_at", profile.zone).alias("cutoff"))
        )
        return Panel(
            named,
            pl.concat([_history(hourly, named, measure, profile.zone) for measure in MEASURES]),
            _late(known.changes, named, as_of, profile.zone),
        )

    def judged(self, named_days: pl.Series) -> "Panel":
        """Return the same with the newest extreme count and shift of level of each series, if any, in ``degraded``.

        ``named_days``: dates of holidays, on which no count is extreme.
        """
        days = series.daily(self.history)
        of_hours, of_days = extremes.extremes(self.history, "h", named_days), extremes.extremes(days, "D", named_days)
        shifts = level_shifts.level_shifts(days, of_days, named_days)
        texts = [
            extremes.texts(self._recent(pl.concat([of_hours, of_days]), "ds")),
            level_shifts.texts(self._recent(shifts, "known_on")),
        ]
        named = self.series
        for text in texts:
            named = named.join(text, on="unique_id", how="left", maintain_order="left")
        degraded = pl.concat_str("degraded", "extreme", "shift", separator="; ", ignore_nulls=True).replace("", None)
        return replace(self, series=named.with_columns(degraded.alias("degraded")).drop("extreme", "shift"))

    def _recent(self, listed: pl.DataFrame, column: str) -> pl.DataFrame:
        """Return the rows whose date is less than ``RECENT`` before their series' cutoff."""
        ends = self.series.select("unique_id", "cutoff")
        return listed.join(ends, on="unique_id").filter(pl.col(column) >= pl.col("cutoff") - RECENT)

    def only(self, ids: pl.Series) -> "Panel":
        """Return the series ``ids`` alone."""
        rows = pl.col("unique_id").is_in(ids.implode())
        return Panel(*(frame.filter(rows) for frame in (self.series, self.history, self.late)))

    def by_day(self) -> "Panel":
        """Return the same in whole local days, each series up to the midnight before its cutoff."""
        midnight = pl.col("cutoff").dt.truncate("1d")
        ends = self.series.select("unique_id", midnight, (pl.col("cutoff") - midnight).alias("since_midnight"))
        days = series.daily(self.history).join(ends, on="unique_id").filter(pl.col("ds") < pl.col("cutoff"))
        late = self.late.join(ends, on="unique_id").select(
            "unique_id", pl.col("ds").dt.truncate("1d"), pl.col("seen_from") - pl.col("since_midnight"), "y"
        )
        return replace(
            self, series=self.series.with_columns(midnight), history=days.select("unique_id", "ds", "y"), late=late
        )

    def known_history(self) -> History:
        """Return the history with the changes that past origins did not know yet."""
        return History.of(self.history, self.late)


def numbered(named: pl.DataFrame) -> pl.DataFrame:
    """Add ``unique_id``, a number that is the same in every run for the same ``area_id, service, measure``."""
    names = named.select(pl.concat_str("area_id", "service", "measure", separator="|")).to_series()
    return named.with_columns(series.lasting_ids(names)).select("unique_id", *named.columns)


def level_in_region(whole_id: str) -> pl.Expr:
    """Return ``region`` for the area that the profile covers, else the level in its hierarchy."""
    return pl.when(pl.col("area_id") == whole_id).then(pl.lit("region")).otherwise("area_level").alias("level")


def _pool() -> pl.Expr:
    """Return the pool of a series: those of a service, measure and level, or of a region's measure.

    A region has one series per service: there the services share a pool. The few large areas share one too.
    """
    upper = pl.col("level").is_in(["province", "headquarters"])
    size = pl.when(upper).then(pl.lit("upper")).otherwise("level")
    return (
        pl.when(pl.col("level") == "region")
        .then(pl.concat_str(pl.lit("region"), "measure", separator=" "))
        .otherwise(pl.concat_str("service", "measure", size, separator=" "))
        .alias("pool")
    )


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with categories as text."""
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))


def _history(hourly: pl.DataFrame, named: pl.DataFrame, measure: str, zone: ZoneInfo) -> pl.DataFrame:
    keys = ["area_id", "service"]
    names = [pl.col(name).cast(hourly.schema[name]) for name in keys]
    ids = named.filter(pl.col("measure") == measure).select(*names, "unique_id", "known_at")
    return (
        hourly.lazy()
        .filter(pl.col(measure).is_not_null())
        .join(ids.lazy(), on=keys)
        .filter(pl.col("hour_start_at") < pl.col("known_at"))
        .select("unique_id", "hour_start_at", pl.col(measure).cast(pl.Float64).alias("y"))
        # Integers here are much cheaper than text in the warehouse.
        .sort("unique_id", "hour_start_at")
        .select("unique_id", local("hour_start_at", zone).alias("ds"), "y")
        .collect(engine="streaming")
    )


def _late(changes: pl.DataFrame | None, named: pl.DataFrame, as_of: datetime, zone: ZoneInfo) -> pl.DataFrame:
    """Return changes unknown at some past origin: one has the same local distance to its instant as tonight's
    cutoff.
    """
    if changes is None:
        empty = named.select("unique_id", pl.col("cutoff").alias("ds"), pl.col("cutoff").alias("seen_from"))
        return empty.clear().with_columns(y=pl.lit(0.0))
    ids = named.select("area_id", "service", "measure", "unique_id", pl.col("known_at").alias("edge_at"))
    seen_from = pl.col("known_at") - (pl.lit(as_of) - pl.col("edge_at"))
    return (
        changes.unpivot(MEASURES, index=["area_id", "service", "hour_start_at", "known_at"], variable_name="measure")
        .join(ids, on=["area_id", "service", "measure"])
        .with_columns(seen_from.alias("seen_from"))
        # No origin reads an hour before its end.
        .filter(pl.col("value") != 0, pl.col("seen_from") > pl.col("hour_start_at") + pl.duration(hours=1))
        .select(
            "unique_id",
            local("hour_start_at", zone).alias("ds"),
            local("seen_from", zone).alias("seen_from"),
            pl.col("value").cast(pl.Float64).alias("y"),
        )
    )


def local(column: str, zone: ZoneInfo) -> pl.Expr:
    """Return local time, without a zone, of a column of UTC instants."""
    return pl.col(column).dt.convert_time_zone(zone.key).dt.replace_time_zone(None).cast(pl.Datetime("us"))


def _edges(hourly: pl.DataFrame, as_of: datetime, known: Known) -> pl.DataFrame:
    """Return where each service's records end.

    Hours after ``known.through`` are cut off, as are earlier ones that still fill up, and nothing is known after a
    service's last row in any area.

    Returns:
        ``service, known_at, degraded``.
    """
    filling = reporting_delay.unfilled_hours(known.delays, as_of) if known.delays is not None else {}
    ends = (
        hourly.lazy()
        .group_by("service")
        .agg(pl.col("hour_start_at").max() + pl.duration(hours=1))
        .collect(engine="streaming")
        .pipe(_as_text)
        .sort("service")
    )

    def edge(service: str, end: datetime) -> datetime:
        through = min(known.through.get(service, as_of), as_of).replace(minute=0, second=0, microsecond=0)
        return min(through - timedelta(hours=filling.get(service, 0)), end)

    return pl.DataFrame(
        [(service, edge(service, end), known.degraded.get(service)) for service, end in ends.iter_rows()],
        schema={"service": pl.String, "known_at": pl.Datetime("us", "UTC"), "degraded": pl.String},
        orient="row",
    )
