"""Joint incidents: one event in the records of several agencies, found by place, time and kind, never by person.

Records of different agencies are taken for one event if they were reported within ``MAX_GAP`` and lie within
``MAX_DISTANCE_M`` of each other, if such calls bring both agencies out (``GOES_WITH``), and if they are near for that
spot: where records are dense both limits shrink, by the same factor, until a record would have a partner by mere chance
no more often than ``MAX_CHANCE``. What hangs together through such pairs is one event. Records of one agency are never
linked directly: two police calls meet only through a fire record that both are near to.

This is a rule, not a truth. Scored against the simulator's truth for Seoul, among records whose scene has coordinates:

========================= ================================ ==============================
volume                    linked pairs that are true       true pairs that are linked
========================= ================================ ==============================
a twentieth, 90 days      0.99 (fixed limits, any: 0.92)   0.94 (fixed limits, any: 0.98)
full, 75 days             0.95 (fixed limits, any: 0.35)   0.92 (fixed limits, any: 0.98)
========================= ================================ ==============================

One true pair in six more has no coordinates on one side and cannot be found at all. Simulated joint records lie within
45 m of each other, most within five minutes; where an agency's places or clocks are coarser, more are missed where
records are dense, and no more are made up.
"""

from datetime import timedelta

import duckdb
import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines.store import warehouse

MAX_DISTANCE_M = 300.0
"""A caller's spot, a snapped corner and the place where crews park differ by a block or two."""

MAX_GAP = timedelta(minutes=30)
"""Agencies alert each other within minutes; calls about one event trail off within half an hour."""

MAX_CHANCE = 0.005
"""Partners that a record may have by mere chance: then a count of joint incidents is little more than what is joint.

In Seoul about one 119 call in thirteen (with a service and a place) is truly joint: one false in two hundred is then
about one link in sixteen.
"""

MAX_VAGUENESS = timedelta(hours=1)
"""A record known only to lie within a longer span (``occurred_at`` to ``occurred_until``) has no time to compare."""

_HURT = frozenset(
    {
        "assault", "child_abuse", "dispute", "domestic_violence", "drunkenness", "homicide", "medical",
        "missing_person", "robbery", "self_harm", "sexual_violence", "shooting", "suicide_risk", "traffic_accident",
        "violence",
    }
)  # fmt: skip

GOES_WITH = {
    "ems": _HURT,
    "rescue": frozenset({"missing_person", "rescue", "self_harm", "suicide_risk", "traffic_accident"}),
    "life_safety": frozenset({"traffic_accident"}),
}
"""Service of the fire agency → categories of another agency's records that may be the same event.

A fire may be behind a call of any category. "Other" and advice go with nothing else: they are most of all calls and
tell nothing. Agencies that are not fire services go with each other whatever the category.
"""

_METRES_PER_DEGREE = 111_195.0  # mean Earth radius; over 300 m the error is below a metre


def link(
    con: duckdb.DuckDBPyConnection, *, max_distance_m: float = MAX_DISTANCE_M, max_gap: timedelta = MAX_GAP
) -> None:
    """Make ``reference.joint_links`` (``incident_id``, ``joint_incident_id``) from ``staging.incidents``.

    Only records inside the region (``reference.places``) whose place is exact or snapped take part, and of the fire
    agency only calls that ask for a service. The joint id is the smallest ``incident_id`` of the event; records
    without a counterpart have no row.
    """
    limits = {
        "distance_m": max_distance_m,
        "gap_s": max_gap.total_seconds(),
        "metres": _METRES_PER_DEGREE,
    }
    _write_placed(con)
    kinds = con.execute("select distinct agency, kind from placed order by all").pl().with_row_index("number")
    con.register("kinds", kinds.to_arrow())
    con.register("together", _together(kinds).to_arrow())
    _write_boxed(con, limits)
    _write_near(con, limits)
    warehouse.write_frame(con, "reference", "joint_links", _events(_pairs(con, limits)))
    con.unregister("together")
    con.unregister("kinds")
    con.execute("drop table placed; drop table boxed; drop table near")


def _together(kinds: pl.DataFrame) -> pl.DataFrame:
    """Which of the ``kinds`` (``number, agency, kind``) may be one event, both ways: ``number, other_number``."""

    def is_one_event(agency: str, kind: str, other_agency: str, other_kind: str) -> bool:
        if "fire" not in (agency, other_agency):
            return True
        service, category = (kind, other_kind) if agency == "fire" else (other_kind, kind)
        return service == "fire" or category in GOES_WITH.get(service, ())

    rows = [
        (number, other_number)
        for number, *kind in kinds.iter_rows()
        for other_number, *other in kinds.iter_rows()
        if kind[0] != other[0] and is_one_event(*kind, *other)
    ]
    columns = dict.fromkeys(("number", "other_number"), kinds.schema["number"])
    return pl.DataFrame(rows, schema=columns, orient="row")


def _write_placed(con: duckdb.DuckDBPyConnection) -> None:
    """The records that take part, as the temporary table ``placed``.

    ``kind`` is the service of a fire call, the category of any other record.
    """
    con.execute(
        """
        create or replace temp table placed as
        select
            incident_id,
            agency,
            if(agency = 'fire', service, coalesce(category_map.category, 'other')) as kind,
            lon,
            lat,
            epoch(coalesce(reported_at, occurred_at)) as second
        from staging.incidents
        left join reference.category_map using (feed, source_category)
        semi join (select lon, lat from reference.places where admin_area_id is not null) as inside using (lon, lat)
        where location_quality in ('exact', 'snapped')
            and kind is not null
            and second is not null
            and (reported_at is not null or coalesce(occurred_until - occurred_at, interval 0 second) <= $vagueness)
        """,
        {"vagueness": MAX_VAGUENESS},
    )


def _write_boxed(con: duckdb.DuckDBPyConnection, limits: dict[str, float]) -> None:
    """``placed`` with its place and time in units of twice the limits, as the temporary table ``boxed``.

    A unit of longitude is that of the northernmost (or southernmost) record, where degrees are shortest; ``stretch`` is
    how much less of a degree a record's own would be. ``days`` on which its agency recorded anything.
    """
    con.execute(
        """
        create or replace temp table boxed as
        with scale as (select min(cos(radians(lat))) as narrowest from placed),
        size as (
            select
                agency,
                row_number() over (order by count(*), agency) as by_size,
                count(*) over () as agencies,
                count(distinct floor(second / 86400)) as days
            from placed group by agency
        )
        select
            placed.rowid as record,
            number,
            by_size,
            by_size < agencies as is_looking,
            days,
            second,
            lon,
            lat,
            narrowest / cos(radians(lat)) as stretch,
            second / (2 * $gap_s) as t,
            lat * $metres / (2 * $distance_m) as y,
            lon * $metres * narrowest / (2 * $distance_m) as x
        from placed join size using (agency) join kinds using (agency, kind) cross join scale
        """,
        limits,
    )


def _write_near(con: duckdb.DuckDBPyConnection, limits: dict[str, float]) -> None:
    """Records of two agencies within both limits, as the temporary table ``near``; ``reach`` 1 is at the limit.

    In boxes twice as wide as the limits, the partners of a record are in its own box or in the one next to its nearer
    wall: two boxes each way, eight in all. Only the smaller agency of two looks around.
    """
    con.execute(
        """
        create or replace temp table near as
        with looking as (
            select
                record, number, by_size, second, lon, lat, unnest([floor(t - 0.5), floor(t + 0.5)])::integer as t, y, x
            from boxed where is_looking
        ),
        looking_north as (select * replace (unnest([floor(y - 0.5), floor(y + 0.5)])::integer as y) from looking),
        around as (select * replace (unnest([floor(x - 0.5), floor(x + 0.5)])::integer as x) from looking_north),
        seen as (
            select
                record, number, by_size, second, lon, lat,
                floor(t)::integer as t, floor(y)::integer as y, floor(x)::integer as x
            from boxed
        ),
        fitting as (
            select
                around.record as left_record,
                seen.record as right_record,
                abs(around.second - seen.second) as gap_s,
                (around.lat - seen.lat) * $metres as north_m,
                (around.lon - seen.lon) * $metres * cos(radians((around.lat + seen.lat) / 2)) as east_m
            from around
            join seen using (t, y, x)
            join together
                on together.number = around.number and together.other_number = seen.number
            where around.by_size < seen.by_size
        )
        select
            left_record,
            right_record,
            greatest(gap_s / $gap_s, sqrt(north_m * north_m + east_m * east_m) / $distance_m) as reach
        from fitting
        where reach <= 1
        """,
        limits,
    )


def _pairs(con: duckdb.DuckDBPyConnection, limits: dict[str, float]) -> pl.DataFrame:
    """Those of ``near`` that are within the limits of both their spots: ``left_id``, ``right_id``.

    How many partners chance brings is learnt from the spot itself: other agencies' records of a fitting kind in its
    square of ``distance_m``, the partner left out, spread evenly over the days on which that agency recorded anything.
    """
    return con.execute(
        """
        with touched as (select left_record as record from near union select right_record from near),
        spot as (
            select record, number, stretch, floor(2 * x) as x, floor(2 * y) as y
            from boxed semi join touched using (record)
        ),
        usual as (
            select number, by_size, days, floor(2 * x) as x, floor(2 * y) as y, count(*) as records
            from boxed group by all
        ),
        others as (
            select record, stretch, by_size, days, greatest(sum(records) - 1, 0) as records
            from spot
            join together using (number)
            join usual on usual.number = other_number and usual.x = spot.x and usual.y = spot.y
            group by all
        ),
        -- Partners by chance within the full limits: a circle as a share of the square, a span as a share of the days.
        chance as (
            select record, max(pi() * stretch * 2 * $gap_s / 86400 * records / days) as partners
            from others group by record
        ),
        -- What space and time hold shrinks by the cube of the factor.
        spot_limit as (select record, cbrt($chance / partners) as reach from chance where partners > $chance)
        select one.incident_id as left_id, other.incident_id as right_id
        from near
        left join spot_limit as of_left on of_left.record = left_record
        left join spot_limit as of_right on of_right.record = right_record
        join placed as one on one.rowid = left_record
        join placed as other on other.rowid = right_record
        where near.reach <= least(coalesce(of_left.reach, 1), coalesce(of_right.reach, 1))
        """,
        {"gap_s": limits["gap_s"], "chance": MAX_CHANCE},
    ).pl()


def _events(pairs: pl.DataFrame) -> pl.DataFrame:
    """What hangs together through pairs, each under its smallest id, by ``incident_id``."""
    ids = pl.concat([pairs["left_id"], pairs["right_id"]]).unique().sort()
    # Numbered in the order of their ids, so the smallest number of an event is its smallest id.
    left, right = (ids.search_sorted(pairs[side]).to_numpy() for side in ("left_id", "right_id"))
    links = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(len(ids), len(ids)))
    _, event = connected_components(links, directed=False)
    return pl.DataFrame(
        {"incident_id": ids, "event": event}, schema={"incident_id": pl.String, "event": pl.Int64}
    ).select("incident_id", pl.col("incident_id").min().over("event").alias("joint_incident_id"))
