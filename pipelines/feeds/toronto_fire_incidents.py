"""Fire incidents of Toronto Fire Services: a CKAN datastore with the times of alarm and first arrival.

Grain: one row per fire, as reported to the Fire Marshal. A snapshot: the only published identifier is the portal's row
number `_id`, which changes with every load and is dropped. Pitfalls: times are marked as UTC, or not marked, but are
local time; the slowest arrival is five hours; points are at the nearest intersection, some outside the city.
"""

from collections.abc import Sequence

import polars as pl

from pipelines.feeds.feed import Feed
from pipelines.feeds.protocols import ckan


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the fires of all pages, without the portal's row number."""
    return ckan.parse(parts).drop("_id", strict=False)


FEED = Feed(
    name="toronto_fire_incidents",
    agency="fire",
    load_type="snapshot",
    columns={
        "area_of_origin": pl.String,
        "estimated_dollar_loss": pl.Float64,
        "latitude": pl.Float64,
        "longitude": pl.Float64,
        "method_of_fire_control": pl.String,
        "number_of_responding_personnel": pl.Float64,
        "possible_cause": pl.String,
        "property_use": pl.String,
        "smoke_alarm_at_fire_origin": pl.String,
        "smoke_alarm_at_fire_origin_alarm_failure": pl.String,
        "smoke_alarm_at_fire_origin_alarm_type": pl.String,
        "tfs_alarm_time": pl.String,
        "tfs_arrival_time": pl.String,
    },
    aliases={
        "Area_of_Origin": "area_of_origin",
        "Estimated_Dollar_Loss": "estimated_dollar_loss",
        "Latitude": "latitude",
        "Longitude": "longitude",
        "Method_Of_Fire_Control": "method_of_fire_control",
        "Number_of_responding_personnel": "number_of_responding_personnel",
        "Possible_Cause": "possible_cause",
        "Property_Use": "property_use",
        "Smoke_Alarm_at_Fire_Origin": "smoke_alarm_at_fire_origin",
        "Smoke_Alarm_at_Fire_Origin_Alarm_Failure": "smoke_alarm_at_fire_origin_alarm_failure",
        "Smoke_Alarm_at_Fire_Origin_Alarm_Type": "smoke_alarm_at_fire_origin_alarm_type",
        "TFS_Alarm_Time": "tfs_alarm_time",
        "TFS_Arrival_Time": "tfs_arrival_time",
    },
    timestamp_columns=("tfs_alarm_time",),
    fetch=ckan.fetch,
    parse=parse,
)
