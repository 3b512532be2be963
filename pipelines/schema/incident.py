"""The common incident record: columns, types and vocabulary. Leaf: imports nothing of this project.

Every feed's ``sql/staging/<feed>.sql`` yields ``STAGED_COLUMNS``; core adds places, categories and joint incidents.
Instants are UTC; ``lon``/``lat`` are WGS84 degrees.
"""

from typing import Final

AGENCIES: Final = ("police", "fire", "investigation")

SERVICES: Final = ("police", "fire", "rescue", "ems", "life_safety", "investigation")
"""What a record asks for. ``investigation`` is case work: counted, never dispatched, never in risk."""

LOCATION_QUALITIES: Final = ("exact", "snapped", "centroid", "withheld", "none")
LOCATION_SOURCES: Final = ("scene", "address", "caller_lookup", "unknown")

STAGED_COLUMNS: Final[dict[str, str]] = {
    "incident_id": "VARCHAR",
    "agency": "VARCHAR",
    "feed": "VARCHAR",
    "source_id": "VARCHAR",
    "service": "VARCHAR",
    "source_category": "VARCHAR",
    "priority": "INTEGER",
    "occurred_at": "TIMESTAMP WITH TIME ZONE",
    "occurred_until": "TIMESTAMP WITH TIME ZONE",
    "reported_at": "TIMESTAMP WITH TIME ZONE",
    "first_dispatched_at": "TIMESTAMP WITH TIME ZONE",
    "first_arrived_at": "TIMESTAMP WITH TIME ZONE",
    "closed_at": "TIMESTAMP WITH TIME ZONE",
    "lon": "DOUBLE",
    "lat": "DOUBLE",
    "location_quality": "VARCHAR",
    "location_source": "VARCHAR",
    "named_area_id": "VARCHAR",
    "is_discovered": "BOOLEAN",
    "known_at": "TIMESTAMP WITH TIME ZONE",
}
"""What a staging file yields, in this order. ``named_area_id`` is the area that the source itself names, or null."""

DISPATCH_COLUMNS: Final[dict[str, str]] = {
    "incident_id": "VARCHAR",
    "unit_id": "VARCHAR",
    "unit_type": "VARCHAR",
    "home_station_id": "VARCHAR",
    "dispatched_at": "TIMESTAMP WITH TIME ZONE",
    "en_route_at": "TIMESTAMP WITH TIME ZONE",
    "arrived_at": "TIMESTAMP WITH TIME ZONE",
    "patient_contact_at": "TIMESTAMP WITH TIME ZONE",
    "left_scene_at": "TIMESTAMP WITH TIME ZONE",
    "hospital_at": "TIMESTAMP WITH TIME ZONE",
    "available_at": "TIMESTAMP WITH TIME ZONE",
}
"""What ``sql/staging/<feed>_dispatches.sql`` yields: one row per incident and responding unit."""

VERSION_COLUMNS: Final[dict[str, str]] = {
    "incident_id": "VARCHAR",
    "agency": "VARCHAR",
    "feed": "VARCHAR",
    "service": "VARCHAR",
    "source_category": "VARCHAR",
    "priority": "INTEGER",
    "occurred_at": "TIMESTAMP WITH TIME ZONE",
    "reported_at": "TIMESTAMP WITH TIME ZONE",
    "lon": "DOUBLE",
    "lat": "DOUBLE",
    "location_quality": "VARCHAR",
    "location_source": "VARCHAR",
    "named_area_id": "VARCHAR",
    "is_discovered": "BOOLEAN",
    "units": "BIGINT",
    "is_withdrawn": "BOOLEAN",
    "known_at": "TIMESTAMP WITH TIME ZONE",
}
"""What ``sql/staging/<feed>_versions.sql`` yields: one row per version of the incidents whose versions differ."""

FIRST_COLUMNS: Final[dict[str, str]] = {
    "incident_id": "VARCHAR",
    "first_known_at": "TIMESTAMP WITH TIME ZONE",
}
"""What ``sql/staging/<feed>_firsts.sql`` yields: when incidents that were told more than once were first known."""

LIST_COLUMNS: Final[dict[str, str]] = {
    "feed": "VARCHAR",
    "snapshot": "VARCHAR",
    "listed_at": "TIMESTAMP WITH TIME ZONE",
    "first_key": "VARCHAR",
    "last_key": "VARCHAR",
    "listed_keys": "BIGINT",
    "known_keys": "BIGINT",
    "missing_keys": "BIGINT",
    "is_believed": "BOOLEAN",
}
"""What ``sql/staging/<feed>_lists.sql`` yields: one row per recent list of the source's keys."""

MISSING_COLUMNS: Final[dict[str, str]] = {
    "incident_id": "VARCHAR",
    "agency": "VARCHAR",
    "feed": "VARCHAR",
    "service": "VARCHAR",
    "source_category": "VARCHAR",
    "priority": "INTEGER",
    "occurred_at": "TIMESTAMP WITH TIME ZONE",
    "reported_at": "TIMESTAMP WITH TIME ZONE",
    "lon": "DOUBLE",
    "lat": "DOUBLE",
    "location_quality": "VARCHAR",
    "location_source": "VARCHAR",
    "named_area_id": "VARCHAR",
    "is_discovered": "BOOLEAN",
    "known_at": "TIMESTAMP WITH TIME ZONE",
    "missing_at": "TIMESTAMP WITH TIME ZONE",
}
"""What ``sql/staging/<feed>_missing.sql`` yields: incidents that vanished at the source without notice, in
their newest version."""

EXCLUDED_COLUMNS: Final[dict[str, str]] = {"feed": "VARCHAR", "source_category": "VARCHAR", "incidents": "BIGINT"}
"""What ``sql/staging/<feed>_excluded.sql`` yields: source categories that are no incidents, counted."""

WORD_COLUMNS: Final[dict[str, str]] = {"incident_id": "VARCHAR", "feed": "VARCHAR", "source_category": "VARCHAR"}
"""What ``sql/staging/<feed>_words.sql`` yields: the source categories of incidents with several rows or versions."""

STAGED: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "incidents": ("", STAGED_COLUMNS),
    "dispatches": ("_dispatches", DISPATCH_COLUMNS),
    "versions": ("_versions", VERSION_COLUMNS),
    "firsts": ("_firsts", FIRST_COLUMNS),
    "words": ("_words", WORD_COLUMNS),
    "lists": ("_lists", LIST_COLUMNS),
    "missing": ("_missing", MISSING_COLUMNS),
    "excluded": ("_excluded", EXCLUDED_COLUMNS),
}
"""Tables of staging that unite those of the feeds: by what a feed's file is called after its name, and the columns."""

OF_LISTS: Final = frozenset({"lists", "missing"})

PATROL_COLUMNS: Final[dict[str, str]] = {
    "cell_id": "VARCHAR",
    "slot_start_at": "TIMESTAMP WITH TIME ZONE",
    "slot_end_at": "TIMESTAMP WITH TIME ZONE",
    "patrol_minutes": "DOUBLE",
    "known_at": "TIMESTAMP WITH TIME ZONE",
}
"""What ``sql/staging/patrols.sql`` yields: one row per cell and slot."""

OPTIONAL: Final[dict[str, dict[str, str]]] = {"patrols": PATROL_COLUMNS}
"""Feeds of no incidents that core reads, by name: the columns of an empty table where a profile has them not."""

INCIDENT_COLUMNS: Final = (
    "incident_id",
    "agency",
    "feed",
    "source_id",
    "service",
    "category",
    "source_category",
    "priority",
    "occurred_at",
    "occurred_until",
    "reported_at",
    "first_dispatched_at",
    "first_arrived_at",
    "closed_at",
    "lon",
    "lat",
    "location_quality",
    "location_source",
    "admin_area_id",
    "police_area_id",
    "fire_area_id",
    "cell_id",
    "is_discovered",
    "joint_incident_id",
    "known_at",
)
"""``core.incidents``, one row per incident as now known."""
