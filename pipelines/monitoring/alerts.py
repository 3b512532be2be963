"""Findings: what the records themselves tell the engineer on duty, beside how the steps ended.

Made when the models are built and kept in records, one per run, so that `bongsu status` need not wait for the
warehouse. An alarm makes the run red; the rest are notes: something new that somebody should declare, map or take out.
Findings stay in the house, since a word of a source may name a sensitive matter, and they outlive the destruction of
what they tell of: they name feeds, columns and words of a category list, and count; never a record or its key.
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
    """All findings of a warehouse whose models are built: ``feed, is_alarm, message``.

    ``judged`` is what `health.judge_feeds` found.
    """
    return pl.concat([alarms(judged), _selected(con, _LISTS, is_alarm=True), *(_selected(con, sql) for sql in _NOTES)])


def alarms(judged: pl.DataFrame) -> pl.DataFrame:
    """The feeds that are not what they usually are, with the limit that says so."""
    message = pl.format(
        "{} is {}: {} records in {} h, usual are {}; {} h without any. Ask the agency. Limit: {}",
        "feed",
        "state",
        "records",
        pl.lit(feed_volume.JUDGED_HOURS),
        pl.col("expected_records").round(0).cast(pl.Int64),
        "silent_hours",
        "rule",
    )
    return judged.filter("is_alarm").select("feed", "is_alarm", message=message)


def keep(settings: Settings, found: pl.DataFrame) -> None:
    """Keep the findings of the run at ``as_of``; the same again changes nothing."""
    records.write(settings, KIND, issues.stamp(settings.as_of), found)


def latest(settings: Settings, until: datetime) -> pl.DataFrame:
    """The findings of the last run up to an instant; none before the first."""
    kept = records.entries(settings, KIND, until=issues.stamp(until))
    if not kept:
        return pl.DataFrame(schema=SCHEMA)
    return records.frame_of(settings, max(kept, key=lambda entry: (entry["name"], entry["seq"])))


def _selected(con: duckdb.DuckDBPyConnection, sql: str, is_alarm: bool = False) -> pl.DataFrame:
    found = con.execute(sql).pl()
    return found.select("feed", is_alarm=pl.lit(is_alarm), message="message").cast(SCHEMA)  # type: ignore[arg-type]


_LISTS = """
with newest as (
    select * from staging.lists qualify row_number() over (partition by feed order by snapshot desc) = 1
)
select feed, format(
    '{}: the newest list of its keys, of {}, lacks {:,} of {:,} records that we know; it is not believed and withdraws '
    'none. Ask the agency; if so many are gone indeed, raise max_missing_share of {}_keys in the profile',
    feed, strftime(listed_at, '%Y-%m-%d %H:%M UTC'), missing_keys, known_keys, feed
) as message
from newest where not is_believed order by feed
"""

_NOTES = (
    """
    select feed, format(
        '{}: delivers the column {}, which nobody declared, since {}: {:,} values are kept aside; declare it, or name '
        'it among the aliases, in the feed''s module',
        feed, "column", strftime(min(window_end), '%Y-%m-%d'), sum("rows")::bigint
    ) as message
    from ops.drift join ops.batches using (feed, batch_id) group by feed, "column" order by feed, "column"
    """,
    """
    select feed, format(
        '{}: nobody has mapped the word "{}": {:,} incidents count as other and are listed for nobody; add it under '
        '[feeds.{}.categories] in the profile',
        feed, coalesce(source_category, '(none)'), incidents, feed
    ) as message
    from marts.unmapped_categories order by feed, source_category
    """,
    """
    select feed, format(
        '{}: corrections of {} find another value than they should in {:,} rows, of {:,} records: the source may have '
        'mended them; ops.corrections tells which: take them out of expectations/corrections/{}.json',
        feed, "column", sum(kept)::bigint, count(distinct "key"), feed
    ) as message
    from ops.corrections where kept > 0 group by feed, "column" order by feed, "column"
    """,
    """
    select 'patrols' as feed, format(
        'patrols: {:,} of {:,} slots name no cell of the risk grid and tell of no patrol there: ask the police which '
        'grid they write, or look whether the patrol lay outside the region',
        count(*) - count(core.patrols.cell_id), count(*)
    ) as message
    from staging.patrols left join core.patrols using (cell_id, slot_start_at)
    having count(*) > count(core.patrols.cell_id)
    """,
)
