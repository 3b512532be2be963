"""Demand by shift: sums over the hours of a shift if hours are forecast, beyond that its part of the day.

A shift begins at a local time on every day and may end on the next. If its hours are forecast it is the sum of their
sample paths. Beyond, means come from the published forecasts of days, and ranges are estimated as for days, from the
errors of the weekday table of the shift's own counts at past origins; areas are additive as everywhere
(``reconciliation``).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.config.profile import Profile, Shift
from pipelines.forecast.demand import tables
from pipelines.forecast.demand.evaluation import calibration, rolling_origin
from pipelines.forecast.demand.evaluation.calibration import IDENTITY
from pipelines.forecast.demand.evaluation.negative_binomial import Floats, with_quantiles
from pipelines.forecast.demand.evaluation.rolling_origin import Model
from pipelines.forecast.demand.hierarchy import disclosure_safe, reconciliation
from pipelines.forecast.demand.hierarchy.area_hierarchy import FAMILY, UNPLACED
from pipelines.forecast.demand.hierarchy.disclosure_safe import Shares
from pipelines.forecast.demand.hierarchy.reconciliation import Family, Sums
from pipelines.forecast.demand.models import hour_of_week, seasonal_naive
from pipelines.forecast.demand.models.registry import BASELINE, TABLE
from pipelines.forecast.demand.panel import Panel
from pipelines.forecast.demand.series import lasting_ids
from pipelines.forecast.parallel import HERE, Workers

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

MODEL: Final = "part_of_days"
"""Name of the published forecasts of shifts whose hours are not forecast."""
METHOD: Final = "day_share"
"""``method`` of shifts after the first week: the part of its days that a shift has."""


def floors() -> list[Model]:
    """Return the models used at past origins on a shift's own counts: the weekday table, and last week's same shift."""
    return [
        Model(TABLE["D"], partial(hour_of_week.predict, freq="D")),
        Model(BASELINE, partial(seasonal_naive.predict, freq="D")),
    ]


def of_services(shifts: Mapping[str, Shift]) -> pl.DataFrame:
    """Return one row per shift and service: ``shift, service, begins, ends``.

    ``begins`` and ``ends`` are hours after the midnight of the day on which the shift begins.
    """
    rows = [
        (name, service, shift.begins.hour, shift.begins.hour + shift.hours)
        for name, shift in shifts.items()
        for service in shift.services
    ]
    schema = {"shift": pl.String, "service": pl.String, "begins": pl.Int64, "ends": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def hours_of(ds: Frame, shifts: Frame) -> Frame:
    """Return every row with ``ds`` (hours) and ``service`` once per shift that contains it, with ``shift`` and ``day``.

    ``day`` is the midnight of the date on which the shift began.
    """
    hour, date = pl.col("ds").dt.hour().cast(pl.Int64), pl.col("ds").dt.truncate("1d")
    has_begun = hour >= pl.col("begins")
    is_within = (has_begun & (hour < pl.col("ends"))) | (hour < pl.col("ends") - 24)
    day = pl.when(has_begun).then(date).otherwise(date - pl.duration(days=1)).alias("day")
    return ds.join(shifts, on="service").filter(is_within).with_columns(day)


def counts(history: pl.DataFrame, series: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Return counts of whole shifts; one with fewer known hours than it has, less one for a clock change, is unknown.

    Args:
        history: ``unique_id, ds, y`` by hour.
        series: ``unique_id, service``.
        shifts: As from ``of_services``.

    Returns:
        ``series_id, shift, ds`` (midnight of the date on which it began), ``y``.
    """
    named = series.select(pl.col("unique_id").alias("series_id"), "service")
    # One shift at a time: all of them together are several times the size of the history.
    within_shift = [_counted(history, named, shift) for shift in shifts.partition_by("shift", maintain_order=True)]
    columns = [pl.lit("").alias("shift"), pl.lit(None, pl.Datetime("us")).alias("ds"), pl.lit(0.0).alias("y")]
    none = named.select("series_id", *columns).clear()
    return pl.concat([none, *within_shift]).sort("series_id", "shift", "ds")


def _counted(history: pl.DataFrame, named: pl.DataFrame, shift: pl.DataFrame) -> pl.DataFrame:
    ids = named.join(shift, on="service", how="semi")
    lying = hours_of(history.lazy().rename({"unique_id": "series_id"}).join(ids.lazy(), on="series_id"), shift.lazy())
    name, begins, ends = shift.select("shift", "begins", "ends").row(0)
    return (
        lying.group_by("series_id", "day")
        .agg(pl.col("y").sum(), pl.len().alias("_hours"))
        .filter(pl.col("_hours") >= ends - begins - 1)
        .select("series_id", pl.lit(name).alias("shift"), pl.col("day").alias("ds"), "y")
        .collect(engine="streaming")
    )


def ahead(shifts: pl.DataFrame, as_of: datetime, days: int, zone: ZoneInfo) -> pl.DataFrame:
    """Return the next ``days`` whole shifts of each name that begin at or after ``as_of``.

    Returns:
        ``shift, ds`` (midnight of the date), ``target_start, target_end`` (UTC).
    """
    first = as_of.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)

    def instant(midnight: datetime, hours: int) -> datetime:
        return (midnight + timedelta(hours=hours)).replace(tzinfo=zone).astimezone(UTC)

    rows = []
    for name, begins, ends in shifts.select("shift", "begins", "ends").unique(maintain_order=True).iter_rows():
        begun = 0 if instant(first, begins) >= as_of else 1
        midnights = [first + timedelta(days=begun + i) for i in range(days)]
        rows += [(name, at, instant(at, begins), instant(at, ends)) for at in midnights]
    named = pl.DataFrame(rows, schema=["shift", "ds", "target_start", "target_end"], orient="row")
    utc = pl.Datetime("us", "UTC")
    return named.cast({"shift": pl.String, "ds": pl.Datetime("us"), "target_start": utc, "target_end": utc})


def means(hours: pl.DataFrame, days: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Return expected counts of shifts from published forecasts.

    Args:
        hours: ``series_id, service, ds, mean`` of the coming hours, which determine how days divide.
        days: ``series_id, service, ds, mean`` of the coming days.
        shifts: As from ``of_services``.

    Returns:
        ``series_id, shift, ds, mean``: the sum over the shift's hours if all are forecast, else over its parts of days;
        a shift covered by neither has no row.
    """
    keys, weekday = ["series_id", "shift", "ds"], pl.col("ds").dt.weekday().alias("weekday")
    at = pl.col("ds") + pl.duration(hours=pl.col("hour"))
    divided = (
        days.with_columns(weekday)
        .join(_parts(hours), on=["series_id", "weekday"])
        .select("series_id", "service", at, pl.col("mean") * pl.col("share"))
    )
    return pl.concat([_sums(hours, shifts), _sums(divided, shifts)]).unique(keys, keep="first", maintain_order=True)


def _parts(hours: pl.DataFrame) -> pl.DataFrame:
    """Return ``series_id, weekday, hour, share``: how each series' days divide, all 24 hours of all weekdays.

    An hour of a weekday that is not forecast (skipped by clocks, or with fewer than seven days) is as on the others.
    """
    at, hour = ["series_id", "weekday", "hour"], pl.col("ds").dt.hour().alias("hour")
    known = hours.group_by("series_id", pl.col("ds").dt.weekday().alias("weekday"), hour).agg(pl.col("mean").mean())
    week = pl.DataFrame({"weekday": range(1, 8)}, schema={"weekday": pl.Int8})
    every = known.select("series_id").unique().join(week, how="cross").join(known.select("hour").unique(), how="cross")
    mean = pl.col("mean").fill_null(pl.col("mean").mean().over("series_id", "hour"))
    filled = every.join(known, on=at, how="left").sort(at).with_columns(mean)
    return filled.select(*at, (pl.col("mean") / pl.col("mean").sum().over("series_id", "weekday")).alias("share"))


def _sums(hours: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Sum means of hours to those of whole shifts."""
    spanned = hours.with_columns(
        pl.col("ds").min().over("series_id").alias("first"), pl.col("ds").max().over("series_id").alias("last")
    )
    return (
        hours_of(spanned, shifts)
        .filter(_is_within(pl.col("first"), pl.col("last")))
        .sort("series_id", "shift", "ds")
        .group_by("series_id", "shift", pl.col("day").alias("_day"), maintain_order=True)
        .agg(pl.col("mean").sum())
        .select("series_id", "shift", pl.col("_day").alias("ds"), "mean")
    )


def _is_within(first: pl.Expr, last: pl.Expr) -> pl.Expr:
    """Return whether a shift is from ``first`` to ``last``; counting its hours would miss one skipped by clocks."""
    begins, ends = (pl.col("day") + pl.duration(hours=pl.col(name)) for name in ("begins", "ends"))
    return (begins >= first) & (ends <= last + pl.duration(hours=1))


def periods(ds: pl.Series, service: str, shifts: pl.DataFrame) -> pl.DataFrame:
    """Return the whole local days and shifts of a service that hours ahead cover.

    Args:
        ds: Local hours of one series, none missing between the first and the last except those skipped by clocks; a
            repeated one occurs twice.
        service: The service.
        shifts: As from ``of_services``.

    Returns:
        ``ds, times, frequency, shift`` (null for days), ``period`` (midnight of the day, or of the date the shift began
        on).
    """
    hours = ds.to_frame("ds").group_by("ds").len("times").sort("ds").with_columns(pl.lit(service).alias("service"))
    first, last = pl.lit(ds.min(), pl.Datetime("us")), pl.lit(ds.max(), pl.Datetime("us"))
    day = pl.DataFrame({"shift": "", "service": service, "begins": 0, "ends": 24})
    lasting = hours_of(hours, pl.concat([day, shifts])).filter(_is_within(first, last)).sort("shift", "ds")
    is_day = pl.col("shift") == ""
    return lasting.select(
        "ds",
        "times",
        pl.when(is_day).then(pl.lit("D")).otherwise(pl.lit("S")).alias("frequency"),
        pl.when(~is_day).then("shift").alias("shift"),
        pl.col("day").alias("period"),
    )


def named_series(series: pl.DataFrame, shifts: pl.DataFrame) -> pl.DataFrame:
    """Return one series per series and shift.

    Args:
        series: As ``Panel.series``.
        shifts: As from ``of_services``.

    Returns:
        The columns of ``series`` with ``series_id`` (its ``unique_id``), ``shift``, a separate ``unique_id`` and
        ``pool``, and as ``cutoff`` the midnight from which on no shift has ended yet.
    """
    last = (pl.col("cutoff") - pl.duration(hours=pl.col("ends"))).dt.truncate("1d") + pl.duration(days=1)
    named = (
        series.rename({"unique_id": "series_id"})
        .join(shifts, on="service")
        .with_columns(last.alias("cutoff"), pl.concat_str("pool", "shift", separator=" ").alias("pool"))
        .drop("begins", "ends")
        .sort("series_id", "shift")
    )
    return named.with_columns(lasting_ids(named.select(pl.concat_str("series_id", "shift", separator="|")).to_series()))


def forecast(
    panel: Panel,
    hours: pl.DataFrame,
    days: pl.DataFrame,
    of_hours: Sums,
    shares: Shares,
    members: Mapping[tuple[str, str, str], pl.DataFrame],
    listed: pl.DataFrame,
    as_of: datetime,
    profile: Profile,
    workers: Workers = HERE,
) -> pl.DataFrame:
    """Return ``forecast.demand`` of the coming shifts. They are not scored here: issued ones are, once due.

    Args:
        panel: The series.
        hours: ``unique_id, ds, mean``, published and ahead; a repeated hour has two rows.
        days: Likewise of days.
        of_hours: The sums of the hours ahead.
        shares: The hours and days for audiences that also read records.
        members: As from ``area_hierarchy.members``.
        listed: As from ``of_services``, of services in the panel.
        as_of: The instant of issue, UTC.
        profile: Horizon, time zone.
        workers: Where sample paths are drawn.
    """
    horizon = profile.horizons.daily_days
    named = named_series(panel.series, listed)
    history = counts(panel.history, panel.series, listed).join(
        named.select("unique_id", "series_id", "shift", "cutoff"), on=["series_id", "shift"]
    )
    history = history.filter(pl.col("ds") < pl.col("cutoff")).select("unique_id", "ds", "y").sort("unique_id", "ds")
    ids = named.select("unique_id", "series_id", "shift", "pool", "cutoff")
    targets = rolling_origin.both(
        rolling_origin.daily_origins(ids, horizon), ids.join(ahead(listed, as_of, horizon, profile.zone), on="shift")
    )
    backtest = calibration.dispersed(rolling_origin.run(floors(), history, targets), BASELINE)
    expected = means(_named(hours, panel), _named(days, panel), listed)
    twice = hours.select("unique_id", "ds").join(shares.hours, on=["unique_id", "ds"], maintain_order="left")
    shared = means(_named(twice, panel), _named(shares.days, panel), listed)
    published = _with_means(backtest.filter(pl.col("model") == TABLE["D"]), expected)
    within_shift = reconciliation.together(_families(published, members, named), workers)
    is_ahead = pl.col("target_start").is_not_null()
    added = reconciliation.added(published.filter(is_ahead), within_shift).rename(
        {"unique_id": "number", "series_id": "unique_id"}
    )
    by_shift = reconciliation.by_period(added, of_hours, "S").rename({"unique_id": "series_id", "number": "unique_id"})
    floor = backtest.filter(pl.col("model") == BASELINE, is_ahead, pl.col("mean").is_not_null())
    both = pl.concat([by_shift, floor], how="diagonal")
    full = (
        both.drop("pool", "shift", "cutoff", "series_id")
        .join(named.drop("pool", "cutoff"), on="unique_id", how="left", maintain_order="left")
        .filter(pl.col("level") != UNPLACED)
        .with_columns(
            pl.coalesce("models", "model").alias("model"),
            (pl.col("model") == BASELINE).alias("is_baseline"),
            pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("reference_at"),
            pl.lit("S").alias("frequency"),
        )
    )
    shared_rows = disclosure_safe.replacements(
        full.filter(~pl.col("is_baseline")), shared, ["series_id", "shift", "ds"]
    )
    return tables.issued(with_quantiles(pl.concat([full, shared_rows])))


def _named(means_of: pl.DataFrame, panel: Panel) -> pl.DataFrame:
    """Return means as ``series_id, service, ds, mean``."""
    services = panel.series.select("unique_id", "service")
    return means_of.join(services, on="unique_id", maintain_order="left").select(
        pl.col("unique_id").alias("series_id"), "service", "ds", "mean"
    )


def _with_means(backtest: pl.DataFrame, expected: pl.DataFrame) -> pl.DataFrame:
    """Return the weekday table's rows, those ahead with the means of hours and days; no row without any."""
    joined = backtest.join(expected, on=["series_id", "shift", "ds"], how="left", maintain_order="left", suffix="_sum")
    is_ahead = pl.col("target_start").is_not_null()
    mean = pl.when(is_ahead).then("mean_sum").otherwise("mean")
    return (
        joined.with_columns(
            mean.alias("mean"),
            mean.alias("centre"),
            pl.lit(0, pl.UInt32).alias("curve"),
            pl.lit(MODEL).alias("models"),
            pl.lit(METHOD).alias("method"),
            pl.lit(False).alias("is_reconciled"),
        )
        .filter(pl.col("mean").is_not_null())
        .drop("mean_sum")
    )


def _families(
    published: pl.DataFrame,
    members: Mapping[tuple[str, str, str], pl.DataFrame],
    named: pl.DataFrame,
) -> list[tuple[Family, list[datetime], Floats]]:
    """Return every service, measure and shift, in hierarchies of the shifts' own numbers."""
    within_shift = []
    for (service, measure, _), family in named.group_by(*FAMILY, "shift", maintain_order=True):
        number = dict(family.select("series_id", "unique_id").iter_rows())
        hierarchies = [
            tree.select(pl.all().replace_strict(number, return_dtype=named.schema["unique_id"]))
            for (s, m, _), tree in members.items()
            if (s, m) == (service, measure)
        ]
        backtest = published.join(family, on="unique_id", how="semi", maintain_order="left")
        cutoffs = backtest.filter(pl.col("target_start").is_not_null())["cutoff"].unique().to_list()
        within_shift.append(
            (
                Family(backtest.select(reconciliation.FORECAST_COLUMNS), hierarchies, "D", is_informed=False),
                cutoffs,
                IDENTITY,
            )
        )
    return within_shift
