"""Joint incidents: one event in the records of several agencies, found by place and time only, never by person.

Records of different agencies that were reported within ``MAX_GAP`` and lie within ``MAX_DISTANCE_M`` of each other
are taken for one event, and so is whatever hangs together through such pairs. Records of one agency are never linked
directly: two police calls meet only through a fire record that both are near to.

This is a rule, not a truth. Where one agency's records fall at random with a density of `d` per km² and hour,
another's record has a partner by mere chance with probability ``1 - exp(-d * 0.28 km² * 1 h)``: about one in a hundred
where Seoul's calls are simulated at a twentieth, one in five at full volume in the city as a whole. Tighten both
limits before counting joint incidents at such density.
"""

from datetime import timedelta

import duckdb
import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines import warehouse

MAX_DISTANCE_M = 300.0
"""A caller's spot, a snapped corner and the place where crews park differ by a block or two."""

MAX_GAP = timedelta(minutes=30)
"""Agencies alert each other within minutes; calls about one event trail off within half an hour."""

MAX_VAGUENESS = timedelta(hours=1)
"""A record known only to lie within a longer span (``occurred_at`` to ``occurred_until``) has no time to compare."""

_METRES_PER_DEGREE = 111_195.0  # mean Earth radius; over 300 m the error is below a metre


def link(
    con: duckdb.DuckDBPyConnection, *, max_distance_m: float = MAX_DISTANCE_M, max_gap: timedelta = MAX_GAP
) -> None:
    """Make ``reference.joint_links`` (``incident_id``, ``joint_incident_id``) from ``staging.incidents``.

    Only records inside the region (``reference.places``) whose place is exact or snapped take part. The joint id is
    the smallest ``incident_id`` of the event; records without a counterpart have no row.
    """
    warehouse.write_frame(con, "reference", "joint_links", _events(_pairs(con, max_distance_m, max_gap)))


def _pairs(con: duckdb.DuckDBPyConnection, max_distance_m: float, max_gap: timedelta) -> pl.DataFrame:
    """Records of two agencies near each other in place and time: ``left_id``, ``right_id``.

    Records are sorted into boxes twice as wide as the limits, so that the partners of a record lie in its own box or
    in the one beside its nearer wall: two boxes each way, eight in all. Only the smaller agency of two looks around.
    The boxes' width in longitude is that of the northernmost (or southernmost) record, where degrees are shortest.
    """
    return con.execute(
        """
        with placed as materialized (
            select
                incident_id,
                agency,
                lon,
                lat,
                epoch(coalesce(reported_at, occurred_at)) as second
            from staging.incidents
            semi join (select lon, lat from reference.places where admin_area_id is not null) as inside using (lon, lat)
            where location_quality in ('exact', 'snapped')
                and coalesce(reported_at, occurred_at) is not null
                and (reported_at is not null or coalesce(occurred_until - occurred_at, interval 0 second) <= $vagueness)
        ),
        scale as (select min(cos(radians(lat))) as narrowest from placed),
        size as (
            select agency, row_number() over (order by count(*), agency) as by_size, count(*) over () as agencies
            from placed group by agency
        ),
        boxed as materialized (
            select
                placed.*,
                by_size,
                by_size < agencies as is_looking,
                second / (2 * $gap_s) as t,
                lat * $metres / (2 * $distance_m) as y,
                lon * $metres * narrowest / (2 * $distance_m) as x
            from placed join size using (agency) cross join scale
        ),
        looking as (
            select
                incident_id, by_size, second, lon, lat,
                unnest([floor(t - 0.5), floor(t + 0.5)])::bigint as t, y, x
            from boxed where is_looking
        ),
        looking_north as (select * replace (unnest([floor(y - 0.5), floor(y + 0.5)])::bigint as y) from looking),
        around as (select * replace (unnest([floor(x - 0.5), floor(x + 0.5)])::bigint as x) from looking_north),
        seen as (select * replace (floor(t)::bigint as t, floor(y)::bigint as y, floor(x)::bigint as x) from boxed)
        select around.incident_id as left_id, seen.incident_id as right_id
        from around join seen using (t, y, x)
        where around.by_size < seen.by_size
            and abs(around.second - seen.second) <= $gap_s
            and sqrt(
                pow((around.lat - seen.lat) * $metres, 2)
                + pow((around.lon - seen.lon) * $metres * cos(radians((around.lat + seen.lat) / 2)), 2)
            ) <= $distance_m
        """,
        {
            "vagueness": MAX_VAGUENESS,
            "gap_s": max_gap.total_seconds(),
            "distance_m": max_distance_m,
            "metres": _METRES_PER_DEGREE,
        },
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
