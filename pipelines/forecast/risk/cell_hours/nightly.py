"""The coming week by cell and two-hour slot: the selected cell-slots of every category, and scores of past lists.

A week has 84 slots for every cell, so only cell-slots selected by us or by the baseline are issued: all others are
expected to have less. Incidents whose time is not known to about two hours train no slot; they are assumed to have the
same hours.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import numpy as np
import polars as pl

from pipelines.config.profile import Profile
from pipelines.forecast.demand.series import midnight
from pipelines.forecast.risk.cell_hours import backtest, hours
from pipelines.forecast.risk.cell_hours.backtest import MODEL
from pipelines.forecast.risk.cell_hours.hours import PER_DAY, SLOT_HOURS, SLOTS, Times
from pipelines.forecast.risk.evaluation import scoring
from pipelines.forecast.risk.history import Floats, History, Ints
from pipelines.forecast.risk.models import stack
from pipelines.forecast.risk.models.boosting import WINDOW_DAYS
from pipelines.forecast.risk.models.shrunk_count import level
from pipelines.forecast.risk.models.stack import BEST_COUNT
from pipelines.forecast.risk.ranking import Lots
from pipelines.schema.dictionary import frame_schema

DAYS: Final = 7

_INSTANT: Final = pl.Datetime("us", "UTC")
FORECAST: Final = frame_schema("forecast.risk_slots")
"""``forecast.risk_slots``: ``rank`` is null if only the baseline selects, ``baseline_rank`` if only we do."""
SCORES: Final = frame_schema("forecast.risk_slots_scores")
"""``forecast.risk_slots_scores``."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the risk models know at a night's run: incidents, their slots, boosting's rates by category and origin.

    A rate is None if boosting was not trained. ``until`` is the first unknown day, ``lead`` the days from there to the
    forecast window. ``chosen`` by category is a selection to reuse; none: past months are tried, and selected from as
    known at ``due``.
    """

    history: History
    times: Mapping[str, Times]
    boosted: Mapping[str, Mapping[int, Floats | None]]
    cell_ids: pl.Series
    until: int
    lead: int
    due: int
    chosen: Mapping[str, backtest.Choice] | None = None


@dataclass(frozen=True, slots=True)
class SlotForecast:
    """Frames of `FORECAST` and `SCORES` (none with a reused selection), and the selection by category."""

    forecasts: pl.DataFrame
    scores: pl.DataFrame
    chosen: Mapping[str, backtest.Choice]


NONE: Final = SlotForecast(pl.DataFrame(schema=FORECAST), pl.DataFrame(schema=SCORES), {})


def forecast_slots(
    known: Known, as_of: datetime, data_as_of: datetime, profile: Profile, degraded: pl.Expr, threads: int
) -> SlotForecast:
    """Select cell-slots of the local week after the day of ``as_of``, and score the past months by rolling origin.

    Args:
        known: Incidents and boosting's rates at every origin and at the end. A category whose every time is unknown
            gets no slot.
        as_of: The instant (UTC) of issue.
        data_as_of: Up to when (UTC) records were read.
        profile: Time zone, side of a cell, selected share.
        degraded: The reason of each row by its ``category``, or null.
        threads: Categories that are processed in parallel.
    """
    if not backtest.selected(known.history.grid.size, profile.risk_area_share):
        return NONE
    categories = [name for name in known.history.events if name in known.boosted and _has_times(known, name)]
    with ThreadPoolExecutor(threads) as pool:
        by_category = list(
            pool.map(lambda category: _of_category(known, category, profile.risk_area_share), categories)
        )
    if not by_category:
        return NONE
    issued = (
        pl.concat([selected for selected, _, _ in by_category])
        .join(_week(as_of.astimezone(profile.zone).date() + timedelta(days=1), profile), on="slot")
        .with_columns(
            pl.lit(as_of).alias("reference_at"),
            pl.lit(profile.grid.cell_metres).alias("cell_metres"),
            pl.lit(data_as_of).alias("data_as_of"),
            degraded.alias("degraded_reason"),
        )
        .sort("category", "rank", "baseline_rank", nulls_last=True)
    )
    chosen = {category: choice for category, (_, _, choice) in zip(categories, by_category, strict=True)}
    if known.chosen is not None:
        return SlotForecast(_typed(issued, FORECAST), NONE.scores, chosen)
    scores = _scores(pl.concat([tried for _, tried, _ in by_category]), ["category", "model"]).with_columns(
        pl.lit(as_of).alias("reference_at"), pl.lit("backtest").alias("origin_kind")
    )
    return SlotForecast(_typed(issued, FORECAST), _typed(scores, SCORES), chosen)


def score_issued(
    issued: pl.DataFrame,
    crime_points: pl.DataFrame,
    known_through: datetime,
    profile: Profile,
    gaps: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Score issued slots whose week has fully passed, without a day on which the category was unknown.

    Args:
        issued: ``forecast.risk_slots`` of any number of ``reference_at``.
        crime_points: ``marts.crime_points`` as now known: ``cell_id, category, occurrence_date, occurred_at,
            occurred_until``.
        known_through: Up to when (UTC) records are complete.
        profile: Time zone.
        gaps: ``marts.crime_gaps``; none: all days are known.

    Returns:
        `SCORES` with ``origin_kind`` ``issued``: our list and the baseline's, of one week each and without intervals.
    """
    keys = ["reference_at", "category"]
    local = pl.col("reference_at").dt.convert_time_zone(profile.time_zone).dt.date()
    weeks = issued.select(*keys, "area_share", (local + timedelta(days=1)).alias("start")).unique(maintain_order=True)
    end = known_through.astimezone(profile.zone).date()
    passed = weeks.with_columns((pl.col("start") + timedelta(days=DAYS)).alias("end")).filter(pl.col("end") <= end)
    weeks = scoring.known_only(passed, "start", "end", gaps).drop("end")
    if weeks.is_empty():
        return pl.DataFrame(schema=SCORES)
    day = pl.col("day") - pl.col("start").cast(pl.Int32)
    fell = weeks.join(with_slots(crime_points, profile), on="category", how="left").filter(day >= 0, day < DAYS)
    by_slot = fell.filter(pl.col("slot") >= 0).group_by(*keys, "cell_id", "slot").agg(pl.len().alias("fell"))
    slot = (pl.col("weekday").cast(pl.Int64) - 1) * PER_DAY + pl.col("hour").cast(pl.Int64) // SLOT_HOURS
    listed = issued.with_columns(slot.alias("slot")).join(by_slot, on=[*keys, "cell_id", "slot"], how="left")
    counted = weeks.join(
        fell.group_by(keys).agg(
            (pl.col("slot") >= 0).sum().alias("incidents"), (pl.col("slot") < 0).sum().alias("untimed_incidents")
        ),
        on=keys,
        how="left",
    )
    windows = pl.concat(_caught(listed, counted, model, rank) for model, rank in _RANKS.items())
    scores = _scores(windows, [*keys, "model"]).with_columns(
        pl.lit("issued").alias("origin_kind"), pl.lit(None, pl.Float64).alias("log_score"),
        *(pl.lit(None, pl.Float64).alias(name) for name in ("gain", "gain_low", "gain_high")),
    )  # fmt: skip
    return _typed(scores, SCORES)


def with_slots(crime_points: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Add ``day`` (days since 1970, local) and ``slot`` to states of incidents, by the middle of their span."""
    local = hours.middle("occurred_at", "occurred_until").dt.convert_time_zone(profile.time_zone)
    return crime_points.with_columns(
        pl.coalesce(local.dt.date(), pl.col("occurrence_date").cast(pl.Date))
        .cast(pl.Int32)
        .cast(pl.Int64)
        .alias("day"),
        hours.slot_of(local).alias("slot"),
    )


_RANKS: Final = {MODEL: "rank", BEST_COUNT: "baseline_rank"}


def _has_times(known: Known, category: str) -> bool:
    """Return whether any incident has a slot: without one, hours could only be guessed."""
    has_times = category in known.times and bool((known.times[category].slot >= 0).any())
    return has_times and (known.chosen is None or category in known.chosen)


def _of_category(known: Known, category: str, share: float) -> tuple[pl.DataFrame, pl.DataFrame, backtest.Choice]:
    """Return one category's selected cell-slots of the coming week, its past windows, and the selection from them."""
    times, boosted, until = known.times[category], known.boosted[category], known.until
    windows = [(origin, WINDOW_DAYS) for origin in boosted if origin < until] if known.chosen is None else []
    trials, scored = backtest.backtest(known.history, times, category, windows, boosted, share, known.lead)
    selection = backtest.choose(times, known.due, trials) if known.chosen is None else known.chosen[category]
    rates = backtest.slot_rates(known.history, times, category, until, boosted[until])
    reason = stack.reason(known.history.seen(until).known_days(category, until), boosted[until] is not None)
    chosen = backtest.allowed(selection, reason)
    expected, plain = rates.expected(chosen.rate).ravel(), rates.baseline(chosen.count).ravel()
    first = backtest.selected(known.history.grid.size, share)
    lots = Lots.of(known.history.grid.size, SLOTS, first, category, until)
    cell_rate = rates.rates[chosen.rate].astype(np.float32)
    count = rates.counts[chosen.count].astype(np.float32)
    lists = [lots.leading(cell_rate, rates.cell_hours), lots.leading(count, rates.plain)]
    places = np.union1d(*lists)
    seen = times.seen(until, known.history.seen(until).first_day)
    rate = rates.rates[chosen.rate].sum()
    scale = level(known.history.seen(until), category, until) / rate if rate else 1.0
    timed = int((seen.slot >= 0).sum())
    issued = pl.DataFrame(
        {
            "cell_id": known.cell_ids.gather(places // SLOTS),
            "category": pl.repeat(category, places.size, eager=True),
            "slot": places % SLOTS,
            "expected": expected[places].astype(float) * scale * DAYS,
            "baseline_expected": plain[places].astype(float) * DAYS,
            **{name: _ranked(best, places) for name, best in zip(_RANKS.values(), lists, strict=True)},
            "area_share": np.full(places.size, first / expected.size),
            "ranking_method": pl.repeat(method(chosen, timed, seen.slot.size - timed), places.size, eager=True),
        }
    )
    return issued, scored, selection


def method(chosen: backtest.Choice, timed: int, left_out: int) -> str:
    """How the list was made, in words."""
    of_hours = f"hours learnt from {timed} incidents, {left_out} without a time to two hours left out"
    because = f"; {chosen.reason}" if chosen.reason else ""
    if not chosen.origins:
        return f"{chosen.rate}{because}; no earlier month to choose on; {of_hours}"
    if chosen.reason:
        return f"{chosen.rate}{because}; {of_hours}"
    return f"{chosen.rate} against {chosen.count}, chosen on {chosen.origins} earlier months; {of_hours}"


def _ranked(best: Ints, places: Ints) -> pl.Series:
    """Return the rank, from 1, of each place in a list, null if it is not in it."""
    rank = np.zeros(places.size, np.int64)
    rank[np.searchsorted(places, best)] = np.arange(1, best.size + 1)
    return pl.Series(rank).replace(0, None)


def _week(first: date, profile: Profile) -> pl.DataFrame:
    """Return the 84 slots of the seven local days from ``first``, as instants; a clock change may lengthen one."""

    def edge(day: date, hour: int) -> datetime:
        if hour == 24:
            return midnight(day + timedelta(days=1), profile.zone)
        return datetime.combine(day, time(hour), profile.zone).astimezone(UTC)

    days = [first + timedelta(days=ahead) for ahead in range(DAYS)]
    starts = [(day, hour) for day in days for hour in range(0, 24, SLOT_HOURS)]
    return pl.DataFrame(
        {
            "slot": [day.weekday() * PER_DAY + hour // SLOT_HOURS for day, hour in starts],
            "weekday": [day.isoweekday() for day, _ in starts],
            "hour": [hour for _, hour in starts],
            "slot_start": [edge(day, hour) for day, hour in starts],
            "slot_end": [edge(day, hour + SLOT_HOURS) for day, hour in starts],
        }
    )


def _scores(windows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Return pooled windows with the slot columns that `scoring.score` lacks."""
    untimed = windows.group_by(by).agg(pl.col("untimed_incidents").sum())
    return (
        scoring.score(windows, by, (BEST_COUNT, BEST_COUNT))
        .join(untimed, on=by, how="left", maintain_order="left")
        .with_columns(
            (pl.col("model") == BEST_COUNT).alias("is_baseline"),
            # A cell-slot is two hours of a week; a cell is the whole week.
            pl.col("hits_per_patrol_hour") * SLOTS,
        )
    )


def _caught(listed: pl.DataFrame, weeks: pl.DataFrame, model: str, rank: str) -> pl.DataFrame:
    """Return one row per issue and category for `scoring.score`."""
    keys = ["reference_at", "category"]
    fell = pl.col("fell").fill_null(0).cast(pl.Int64)
    caught = (
        listed.filter(pl.col(rank).is_not_null())
        .group_by(keys, maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("cells"), fell.sum().alias("hits"), (fell > 0).sum().alias("hit_cells"))
    )
    incidents = pl.col("incidents").fill_null(0).cast(pl.Int64)
    return weeks.join(caught, on=keys, how="inner").select(
        *keys,
        pl.lit(model).alias("model"),
        (pl.col("start").cast(pl.Int32).cast(pl.Int64)).alias("origin_day"),
        "cells",
        pl.lit(DAYS, pl.Int64).alias("days"),
        incidents,
        pl.col("untimed_incidents").fill_null(0).cast(pl.Int64),
        "hits",
        # There are more cell-slots in a list than incidents in a week: the best list contains all of them.
        pl.min_horizontal(incidents, "cells").alias("most_hits"),
        pl.col("hit_cells").cast(pl.Int64),
        pl.lit(0, pl.Int64).alias("prior_incidents"),
        pl.lit(0, pl.Int64).alias("prior_hits"),
        pl.lit(None, pl.Float64).alias("log_score"),
        "area_share",
    )


def _typed(frame: pl.DataFrame, schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())
