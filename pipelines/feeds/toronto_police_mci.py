"""Major crime indicators of the Toronto Police Service: an ArcGIS layer of offences, points and hours.

Grain: one row per offence. A snapshot: the layer has no stable identifier, and exact duplicates are separate offences.
Pitfalls: `occurrencedate` is local midnight written as UTC, with a bare `+00` (a layer in its native format sends
milliseconds since 1970, which are converted to the same text here); `occurrencehour` is a separate local hour, with
peaks at 0 and 12, the values of unknown times; points are moved to the nearest intersection; `occurrencedayofweek` is
padded with spaces; parts of the date are null or 0 before 2000.
"""

from collections.abc import Sequence

import polars as pl

from pipelines.feeds.feed import Feed
from pipelines.feeds.protocols import arcgis

_DATE_NAMES = ("occurrencedate", "OCC_DATE")


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the offences of all pages, with dates as text in one format."""
    frame = arcgis.parse(parts)
    instants = [name for name in _DATE_NAMES if name in frame.columns and frame.schema[name].is_integer()]
    return frame.with_columns(
        pl.from_epoch(name, time_unit="ms").dt.strftime("%Y/%m/%d %H:%M:%S+00") for name in instants
    )


FEED = Feed(
    name="toronto_police_mci",
    agency="police",
    load_type="snapshot",
    columns={
        "occurrencedate": pl.String,
        "occurrencehour": pl.Int64,
        "premises_type": pl.String,
        "occurrencemonth": pl.String,
        "occurrencedayofweek": pl.String,
        "MCI": pl.String,
        "Neighbourhood": pl.String,
        "occurrenceday": pl.Int64,
        "occurrencedayofyear": pl.Int64,
        "Lat": pl.Float64,
        "Long": pl.Float64,
    },
    aliases={
        "OCC_DATE": "occurrencedate",
        "OCC_HOUR": "occurrencehour",
        "PREMISES_TYPE": "premises_type",
        "OCC_MONTH": "occurrencemonth",
        "OCC_DOW": "occurrencedayofweek",
        "MCI_CATEGORY": "MCI",
        "NEIGHBOURHOOD_140": "Neighbourhood",
        "OCC_DAY": "occurrenceday",
        "OCC_DOY": "occurrencedayofyear",
        "LAT_WGS84": "Lat",
        "LONG_WGS84": "Long",
    },
    fetch=arcgis.fetch,
    parse=parse,
)
