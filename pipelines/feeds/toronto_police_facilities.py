"""Facilities of the Toronto Police Service: a GeoJSON download, whose divisions serve as stations.

Grain: one row per facility (104; divisions, parking, marine, courts and offices). Names and addresses are padded
with spaces.
"""

import polars as pl

from pipelines.feeds.feed import Feed
from pipelines.feeds.generic import geojson

FEED = Feed(
    name="toronto_police_facilities",
    agency="police",
    load_type="snapshot",
    columns={
        "FACILITY": pl.String,
        "ORGANIZATION": pl.String,
        "ADDRESS": pl.String,
        "POSTAL_CODE": pl.String,
        "geometry": pl.String,
    },
    fetch=geojson.fetch,
    parse=geojson.parse,
    is_reference=True,
)
