"""Shootings and firearm discharges in Toronto: a CKAN datastore used in place of an investigation agency's cases.

Grain: one row per event. Key: `EVENT_UNIQUE_ID`. No update time is published, so versions of an event are ordered by
the only sequence available, the portal's row number (`_id`, named `X_id` in the shared edition). It grows when late
events are inserted before a record, but may shrink when the portal removes earlier rows; an older version then stays
current until the next change. Deaths and injuries are counts, never persons. Pitfalls: `OCC_HOUR` is null for midnight
to one o'clock or an unknown hour, all within `Night`; `geometry` is a Python literal in the shared edition and JSON on
the portal; events without a location are `NSA` at 0,0.
"""

import polars as pl

from pipelines.feeds.feed import Feed
from pipelines.feeds.protocols import ckan

FEED = Feed(
    name="toronto_shootings",
    agency="investigation",
    load_type="keyed",
    key=("EVENT_UNIQUE_ID",),
    updated_at="X_id",
    columns={
        "X_id": pl.Int64,
        "EVENT_UNIQUE_ID": pl.String,
        "OCC_DATE": pl.String,
        "OCC_YEAR": pl.Int64,
        "OCC_MONTH": pl.String,
        "OCC_DOW": pl.String,
        "OCC_DOY": pl.Int64,
        "OCC_DAY": pl.Int64,
        "OCC_HOUR": pl.Int64,
        "OCC_TIME_RANGE": pl.String,
        "DIVISION": pl.String,
        "DEATH": pl.Int64,
        "INJURIES": pl.Int64,
        "HOOD_158": pl.String,
        "NEIGHBOURHOOD_158": pl.String,
        "HOOD_140": pl.String,
        "NEIGHBOURHOOD_140": pl.String,
        "geometry": pl.String,
    },
    aliases={"_id": "X_id"},
    fetch=ckan.fetch,
    parse=ckan.parse,
)
