"""Unknown time, as the records show it: where a feed, service, category or area begins, and its outages."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import duckdb
import polars as pl

from pipelines.config.profile import Profile
from pipelines.quality import outages
from pipelines.quality.outages import Observed
from pipelines.schema.dictionary import frame_schema
from pipelines.store import warehouse

SCHEMA: Final = frame_schema("core.unobserved")
SCOPE: Final = ("feed", "service", "category", "area_id")
HOURS: Final = ("from", "until", "known")
OUTAGE: Final = "outage"
BEFORE_FIRST_RECORD: Final = "before_first_record"
LEAST_EXPECTED: Final = outages.LEAST_EXPECTED / 4
"""A scope is looked at if its longest silence would usually have this many records at its mean rate."""

_ENDS: Final = """
select
    feeds.feed,
    least(cursors.fetched_through_at, getvariable('as_of')::timestamptz) - to_seconds(feeds.delay_seconds) as end_at
from reference.feeds
join ops.cursors on cursors.feed = feeds.feed
where cursors.fetched_through_at is not null and not feeds.is_reference
"""

_CANDIDATES: Final = f"""
with ends as ({_ENDS}),
firsts as (
    select feed, min(hour_start_at) as first_at from core.record_hours group by feed
),
gaps as (
    select *, lag(hour_start_at) over (
        partition by feed, service, category, area_id order by hour_start_at
    ) as previous_at
    from core.record_hours
)
select
    gaps.feed, service, category, area_id,
    epoch(any_value(first_at))::bigint // 3600 as first_hour, ceil(epoch(any_value(end_at)) / 3600)::bigint as end_hour
from gaps
join firsts on firsts.feed = gaps.feed
join ends on ends.feed = gaps.feed
group by gaps.feed, service, category, area_id
having (service is null and category is null)
    or greatest(
        max(epoch(hour_start_at) - epoch(coalesce(previous_at, first_at))),
        max(epoch(end_at)) - max(epoch(hour_start_at))
    ) * sum(records) >= {LEAST_EXPECTED} * (max(epoch(end_at)) - min(epoch(hour_start_at)))
order by area_id nulls first, category nulls first, service nulls first, feed
"""
"""Feeds, and those of their services, categories and areas with a silence to look at; wider scopes first."""

_HOURS: Final = """
select hours.feed, hours.service, hours.category, hours.area_id, epoch(hour_start_at)::bigint // 3600 as hour, records
from core.record_hours as hours
semi join _candidates as wanted
    on wanted.feed = hours.feed
    and wanted.service is not distinct from hours.service
    and wanted.category is not distinct from hours.category
    and wanted.area_id is not distinct from hours.area_id
order by hour
"""


def write(con: duckdb.DuckDBPyConnection, profile: Profile) -> None:
    """Write ``core.unobserved``: spans in which records are unknown, by the records themselves and the profile."""
    candidates = con.execute(_CANDIDATES).pl()
    con.register("_candidates", candidates.to_arrow())
    hours = con.execute(_HOURS).pl()
    con.unregister("_candidates")
    spans = [overruled(unobserved(candidates, hours), profile), stated(profile)]
    warehouse.write_frame(con, "core", "unobserved", pl.concat(spans))


def unobserved(candidates: pl.DataFrame, hours: pl.DataFrame) -> pl.DataFrame:
    """Find where records begin, and outages.

    Args:
        candidates: ``feed, service, category, area_id, first_hour, end_hour``: the scopes to look at, each feed before
            its own services, categories and areas; the feed's first hour and its first incomplete one (since 1970,
            UTC).
        hours: ``feed, service, category, area_id, hour, records``, ascending.

    Returns:
        ``core.unobserved``. A narrower scope begins with its feed, whose outages are listed once.
    """
    series = hours.partition_by(*SCOPE, as_dict=True, include_key=False)
    wholes: dict[str, Observed] = {}
    frames = [pl.DataFrame(schema=SCHEMA)]
    for *scope, first, end in candidates.iter_rows():
        records, whole = series[tuple(scope)], wholes.get(scope[0])
        seen = outages.observed(records["hour"].to_numpy(), records["records"].to_numpy(), first, end, whole)
        frames.append(_rows(scope, seen, whole))
        wholes.setdefault(scope[0], seen)
    return pl.concat(frames)


def overruled(spans: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Return the spans without the outages that the profile says were none: those which overlap a quiet span."""
    quiet = _spans(profile, "quiet_spans")
    overlapping = spans.filter(pl.col("observation_state") == OUTAGE).join_where(
        quiet.rename(lambda name: f"quiet_{name}"),
        pl.col("feed") == pl.col("quiet_feed"),
        pl.col("from_at") < pl.col("quiet_until_at"),
        pl.col("until_at") > pl.col("quiet_from_at"),
    )
    return spans.join(overlapping, on=[*SCOPE, "from_at"], how="anti", nulls_equal=True)


def stated(profile: Profile) -> pl.DataFrame:
    """Return the outages that the profile states: ``core.unobserved``."""
    return _framed(
        _spans(profile, "outages").with_columns(
            observation_state=pl.lit(OUTAGE), evidence=pl.lit("profile"), known_at=pl.col("from_at")
        )
    )


def _rows(scope: list[str | None], seen: Observed, whole: Observed | None) -> pl.DataFrame:
    """Return the rows of a scope; ``whole`` is what was found of the feed, none for that itself."""
    rows: list[tuple[int | None, int, int, str]] = [(*outage, OUTAGE) for outage in seen.outages]
    if whole is None or seen.start > whole.start:
        rows.append((whole.start if whole else None, seen.start, seen.start, BEFORE_FIRST_RECORD))
    instant = (pl.from_epoch(pl.col(name) * 3600).dt.replace_time_zone("UTC").alias(f"{name}_at") for name in HOURS)
    return _framed(
        pl.DataFrame(
            rows, schema=[*((name, pl.Int64) for name in HOURS), ("observation_state", pl.String)], orient="row"
        )
        .with_columns(*instant, *(pl.lit(value).alias(name) for name, value in zip(SCOPE, scope, strict=True)))
        .with_columns(evidence=pl.lit("records"))
    )


def _spans(profile: Profile, key: str) -> pl.DataFrame:
    """Return spans of days that the profile's feeds state, as ``feed, from_at, until_at``."""
    rows = [
        (name, midnight(span.first_day, profile), midnight(span.last_day + timedelta(days=1), profile))
        for name, feed in profile.feeds.items()
        for span in getattr(feed, key)
    ]
    return pl.DataFrame(rows, schema={name: SCHEMA[name] for name in ("feed", "from_at", "until_at")}, orient="row")


def _framed(rows: pl.DataFrame) -> pl.DataFrame:
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in SCHEMA.items() if name not in rows.columns]
    return rows.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


def midnight(day: date, profile: Profile) -> datetime:
    """Return the instant (UTC) at which a local day begins."""
    return datetime.combine(day, time(), profile.zone).astimezone(UTC)
