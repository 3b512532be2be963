"""Toronto's 140 neighbourhoods with resident population: a GeoJSON download, used as the profile's districts.

Grain: one row per neighbourhood, `Hood_ID` in three digits. Names are truncated to ten letters, as in the shapefile
from which the download was made. The yearly crime counts per neighbourhood are not declared: they stay in `_extra`,
because the project computes its own counts.
"""

import polars as pl

from pipelines.feeds.feed import Feed
from pipelines.feeds.generic import geojson

FEED = Feed(
    name="toronto_neighbourhoods",
    agency="police",
    load_type="snapshot",
    columns={
        "Neighbourh": pl.String,
        "Hood_ID": pl.String,
        "Population": pl.Int64,
        "geometry": pl.String,
    },
    aliases={"Neighbourhood": "Neighbourh", "NEIGHBOURHOOD": "Neighbourh", "HOOD_ID": "Hood_ID"},
    fetch=geojson.fetch,
    parse=geojson.parse,
    is_reference=True,
)
