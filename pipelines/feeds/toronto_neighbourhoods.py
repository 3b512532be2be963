"""Toronto's 140 neighbourhoods with resident population: a GeoJSON download, the districts of the profile.

Grain: one row per neighbourhood, `Hood_ID` in three digits. Names are cut to ten letters, as in the shapefile that
the download was made from. The yearly crime counts per neighbourhood that come along are not declared: they stay in
`_extra`, as the project counts for itself.
"""

import polars as pl

from pipelines.feeds.feed import Feed
from pipelines.feeds.generic import geojson

FEED = Feed(
    name="toronto_neighbourhoods",
    agency="police",
    kind="snapshot",
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
