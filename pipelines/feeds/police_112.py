"""112 calls from the police export of changes: paged JSON, key in the header `X-API-Key`.

Grain: one row per version of an incident. Key: `incident_no`; the export's `updated_at` orders the versions. Pitfalls:
a call is written when a unit is dispatched and again when it is closed; calls are reclassified for weeks; withdrawn
calls have `is_withdrawn`; coordinates may be blank, (0, 0) or from locating the caller's phone (`location_method`
신고자조회). Times have an offset. They are kept as text, so that an invalid time quarantines its row instead of failing
the batch.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from pipelines.feeds.feed import Feed, Request
from pipelines.feeds.protocols import paged_json
from pipelines.feeds.protocols.windows import deliveries
from pipelines.schema.delivery import Delivery

PATH = "/v1/incidents"
RECORDS = "incidents"


def fetch(request: Request) -> Iterator[Delivery]:
    """Read the changes of the request's window; yield one delivery per chunk of the window."""
    return deliveries(request, lambda start, end: paged_json.pages(request, PATH, RECORDS, start, end))


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the records of all pages."""
    return paged_json.rows(parts, RECORDS)


FEED = Feed(
    name="police_112",
    agency="police",
    load_type="keyed",
    columns={
        "incident_no": pl.String,
        "category": pl.String,
        "priority": pl.Int64,
        "status": pl.String,
        "report_channel": pl.String,
        "occurred_at": pl.String,
        "reported_at": pl.String,
        "dispatched_at": pl.String,
        "arrived_at": pl.String,
        "closed_at": pl.String,
        "lon": pl.Float64,
        "lat": pl.Float64,
        "location_method": pl.String,
        "district_code": pl.String,
        "station_name": pl.String,
        "is_withdrawn": pl.Boolean,
        "updated_at": pl.String,
    },
    fetch=fetch,
    parse=parse,
    key=("incident_no",),
    updated_at="updated_at",
    timestamp_columns=("updated_at", "reported_at"),
    coordinate_columns=("lon", "lat"),
)
