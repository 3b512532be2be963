"""Tables that several steps read from the warehouse, as frames."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Final

import duckdb
import polars as pl

from pipelines.config.settings import Settings

LONGEST_LAG: Final = timedelta(days=7)
OUTSIDE_GAPS: Final = """
anti join (
    select area_id
    from marts.crime_gaps
    where until_date > (getvariable('as_of')::timestamptz - interval 1 year)::date
        and area_id not in (select area_id from marts.region)
) as lacking on lacking.area_id = admin_area_id
"""
"""Leaves out rows of districts in which reported crime of a day of the last year is unknown."""


def demand_hourly(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """``marts.demand_hourly``: every known hour of every area and demand service."""
    return con.execute(
        "select hierarchy, area_level, area_id, service, hour_start_at, local_date, local_hour, calls, dispatches, "
        "releasable_calls, releasable_dispatches from marts.demand_hourly"
    ).pl()


def demand_counts(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """``marts.demand_hourly`` without its calendar, its text as categories: a third of the memory."""
    counts = "columns(['calls', 'dispatches', 'releasable_calls', 'releasable_dispatches'])::integer"
    reader = con.execute(
        f"select hierarchy, area_level, area_id, service, hour_start_at, {counts} from marts.demand_hourly"
    ).to_arrow_reader()
    batches = itertools.chain([reader.schema.empty_table()], reader)
    return pl.concat(pl.DataFrame(batch).with_columns(pl.col(pl.String).cast(pl.Categorical)) for batch in batches)


def crime_daily(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """``marts.crime_daily``: incidents by category, risk cell and local date."""
    return con.execute("from marts.crime_daily order by category, cell_id, occurrence_date").pl()


def crime_versions(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Return every version of reported crimes, so that a backtest can use only what was known at its origin."""
    return con.execute(
        "select category, cell_id, occurrence_date, occurred_at, occurred_until, known_at, superseded_at "
        "from marts.crime_points order by all"
    ).pl()


def crime_gaps(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """``marts.crime_gaps``: local days on which reported crime of a category is unknown everywhere."""
    return con.execute("select * exclude area_id from marts.crime_gaps where area_id is null order by all").pl()


def area_gaps(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """``marts.crime_gaps`` of single areas: local days on which reported crime is unknown there."""
    return con.execute("select * exclude feed from marts.crime_gaps where area_id is not null order by all").pl()


def areas(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """``reference.areas``."""
    return con.execute("from reference.areas order by area_id").pl()


def cells(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """``reference.cells``, of both grids, without those of districts in which a day of the last year is unknown.

    There a lack of crime says nothing, and neither do risk and patterns.
    """
    return con.execute(f"from reference.cells {OUTSIDE_GAPS} order by cell_metres, cell_id").pl()


def services_complete_until(con: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """Per demand service, up to when its records are complete: what is later is unknown, never zero."""
    return _complete_until(con, "demand_services.demand_service")


def police_complete_until(con: duckdb.DuckDBPyConnection, settings: Settings) -> datetime:
    """Up to when police records are complete, at most ``as_of``; ``as_of`` where no police feed is declared.

    A feed that is more than `LONGEST_LAG` behind the others does not hold them back: of its categories, the days since
    are unknown (`crime_gaps`).
    """
    through = _complete_until(con, "if(feeds.agency = 'police', feeds.feed, null)").values()
    newest = max(through, default=settings.as_of)
    return min([settings.as_of, *(end for end in through if end >= newest - LONGEST_LAG)])


def _complete_until(con: duckdb.DuckDBPyConnection, by: str) -> dict[str, datetime]:
    """The earliest instant that a group's feeds were read through, less each feed's declared delay."""
    rows = con.execute(
        f"""
        select {by}, min(epoch(
            least(coalesce(cursors.fetched_through_at, 'epoch'::timestamptz), getvariable('as_of')::timestamptz)
            - to_seconds(feeds.delay_seconds)
        ))
        from reference.feeds
        join reference.feed_services on feed_services.feed = feeds.feed
        left join reference.demand_services on demand_services.service = feed_services.service
        left join ops.cursors on cursors.feed = feeds.feed
        where {by} is not null
        group by 1 order by 1
        """
    ).fetchall()
    return {group: datetime.fromtimestamp(epoch, UTC) for group, epoch in rows}
