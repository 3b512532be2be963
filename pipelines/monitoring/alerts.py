"""Alerts and notices: what the loaded records show the engineer on duty, in addition to the run log.

Built with the models and stored as records, one per run, so that `bongsu status` need not wait for the warehouse. An
alarm fails the run; the rest are notices: something new to declare, map or remove. They are never published, because a
source category may name a sensitive matter, and they outlive the destruction of the batches they refer to: they contain
feeds, columns, words of a category list and counts; never a record or its key.
"""

from datetime import datetime
from typing import Final

import duckdb
import polars as pl

from pipelines.config.settings import Settings
from pipelines.monitoring import feed_volume
from pipelines.store import issues, records

KIND: Final = "findings"
SCHEMA: Final = {"feed": pl.String, "is_alarm": pl.Boolean, "message": pl.String}


def gather(con: duckdb.DuckDBPyConnection, judged: pl.DataFrame) -> pl.DataFrame:
    """Return all alerts and notices of a warehouse with built models: ``feed, is_alarm, message``.

    ``judged`` is the result of `feed_volume.judge_feeds`.
    """
    return pl.concat([alarms(judged), _selected(con, _LISTS, is_alarm=True), *(_selected(con, sql) for sql in _NOTES)])


def alarms(judged: pl.DataFrame) -> pl.DataFrame:
    """Return an alert for each feed with an unusual volume, with its limit."""
    message = pl.format(
        "{}: {}: {} records in {} h, expected {}; {} h without any. Ask the agency. Limit: {}",
        "feed",
        pl.col("state").str.replace("_", " "),
        "records",
        pl.lit(feed_volume.JUDGED_HOURS),
        pl.col("expected_records").round(0).cast(pl.Int64),
        "no_data_hours",
        "rule",
    )
    return judged.filter("is_alarm").select("feed", "is_alarm", message=message)


def keep(settings: Settings, alerts: pl.DataFrame) -> None:
    """Store the alerts and notices of the run at ``as_of``; storing the same again changes nothing."""
    records.write(settings, KIND, issues.stamp(settings.as_of), alerts)


def latest(settings: Settings, until: datetime) -> pl.DataFrame:
    """Return the alerts and notices of the last run up to an instant; none before the first."""
    kept = records.entries(settings, KIND, until=issues.stamp(until))
    if not kept:
        return pl.DataFrame(schema=SCHEMA)
    return records.frame_of(settings, max(kept, key=lambda entry: (entry["name"], entry["seq"])))


def _selected(con: duckdb.DuckDBPyConnection, sql: str, is_alarm: bool = False) -> pl.DataFrame:
    rows = con.execute(sql).pl()
    return rows.select("feed", is_alarm=pl.lit(is_alarm), message="message").cast(SCHEMA)  # type: ignore[arg-type]


_LISTS = """
with newest as (
    select * from staging.lists qualify row_number() over (partition by feed order by snapshot desc) = 1
)
select feed, format(
    '{}: the newest list of its keys, of {}, lacks {:,} of {:,} known records; it is ignored and withdraws none. '
    'Ask the agency; if so many records are really gone, raise max_missing_share of {}_keys in the profile',
    feed, strftime(listed_at, '%Y-%m-%d %H:%M UTC'), missing_keys, known_keys, feed
) as message
from newest where not is_accepted order by feed
"""

_NOTES = (
    """
    select feed, format(
        '{}: delivers the undeclared column {} since {}: {:,} values are kept in _extra; declare it, or add '
        'it to the aliases, in the feed''s module',
        feed, "column", strftime(min(window_end), '%Y-%m-%d'), sum("rows")::bigint
    ) as message
    from ops.drift join ops.batches using (feed, batch_id) group by feed, "column" order by feed, "column"
    """,
    """
    select feed, format(
        '{}: unmapped category "{}": {:,} incidents count as other and are not releasable; add it under '
        '[feeds.{}.categories] in the profile',
        feed, coalesce(source_category, '(none)'), incidents, feed
    ) as message
    from marts.unmapped_categories order by feed, source_category
    """,
    """
    select feed, format(
        '{}: no record{} from {} to {}: taken as an outage, so that this time is unknown and not zero; {} of '
        '[feeds.{}] in the profile',
        feed, coalesce(' of ' || service, ' of ' || category, '') || coalesce(' in ' || area_id, ''),
        strftime(timezone(getvariable('time_zone'), from_at), '%Y-%m-%d %H:%M'),
        strftime(timezone(getvariable('time_zone'), until_at), '%Y-%m-%d %H:%M'),
        if(
            coalesce(service, category, area_id) is null,
            'confirm it under outages, or, if there really was none, add it to quiet_spans',
            'if there really was none, such as of a station that closed, add a day of it to quiet_spans'
        ),
        feed
    ) as message
    from marts.observation_windows
    where observation_state = 'outage' and evidence <> 'profile'
    order by feed, service nulls first, category nulls first, area_id nulls first, from_at
    """,
    """
    select feed, format(
        '{}: areas that no boundary has: {}{}; {:,} incidents count in a district only where they have a place: check '
        'the boundaries'' id_column and name_column, or ask the source',
        feed,
        array_to_string(list(format('"{}" ({:,})', area_word, incidents) order by incidents desc, area_word)[:5], ', '),
        if(count(*) > 5, format(' and {} more', count(*) - 5), ''),
        sum(incidents)::bigint
    ) as message
    from marts.unmapped_areas group by feed order by feed
    """,
    """
    select feed, format('{}: {}', feed, message) as message
    from (
        select feed, message from ops.batches
        where verdict = 'accepted' and batch_type in ('delivery', 'acceptance')
        qualify row_number() over (partition by feed order by window_end desc, _received_at desc, batch_id) = 1
    )
    where message <> '' order by feed
    """,
    """
    with untimed as (
        select feed, string_agg(demand_service, ', ' order by demand_service) as services
        from reference.untimed_services group by feed
    )
    select feed, format(
        '{}: {:,} of {:,} records {} and are in no hour{}{}',
        feed, date_only_incidents, incidents,
        if(is_monthly, 'are dated by month', 'state no time of day'),
        coalesce(': there is no hourly demand of ' || services, ', so that forecasts of demand leave them out'),
        if(is_monthly, '', '; if the source has the time in another column, map it')
    ) as message
    from (select *, month_only_incidents = date_only_incidents as is_monthly from marts.untimed_records)
    left join untimed using (feed)
    where date_only_incidents > 0 order by feed
    """,
    """
    select feed, format(
        '{}: {:,} of {:,} records have coordinates outside the country and so no place; they count in the district '
        'that they name: check whether the source writes placeholders, or swaps the axes',
        feed, outside_country_incidents, incidents
    ) as message
    from marts.place_checks where outside_country_incidents > 0 order by feed
    """,
    """
    select feed, format(
        '{}: {:,} records ({:.0f} % of those with a point) lie on the one point {:.5f}, {:.5f}: probably a default '
        'of the source''s geocoder; crime there is left out of patterns and risk: ask the agency, and if the place is '
        'right, add [{:.5f}, {:.5f}] to confirmed_points of [feeds.{}] in the profile',
        feed, incidents, 100 * placed_share, lon, lat, lon, lat, feed
    ) as message
    from core.place_piles order by feed, incidents desc, lon, lat
    """,
    """
    select feed, format(
        '{}: {:,} of {:,} records have the times from {} out of order; they give no duration: ask the agency',
        feed, disordered_incidents, incidents, time_order
    ) as message
    from marts.time_checks where disordered_incidents > 0 order by feed, time_order
    """,
    """
    select feed, format(
        '{}: corrections of {} find another value than expected in {:,} rows of {:,} records: the source may have '
        'corrected them; see ops.corrections and remove them from expectations/corrections/{}.json',
        feed, "column", sum(kept)::bigint, count(distinct "key"), feed
    ) as message
    from ops.corrections where kept > 0 group by feed, "column" order by feed, "column"
    """,
    """
    select 'patrols' as feed, format(
        'patrols: {:,} of {:,} slots have no cell of the risk grid and are not used: ask the police which '
        'grid they use, or check whether the patrol was outside the region',
        count(*) - count(core.patrols.cell_id), count(*)
    ) as message
    from staging.patrols left join core.patrols using (cell_id, slot_start_at)
    having count(*) > count(core.patrols.cell_id)
    """,
)
