"""Injected clusters: in each province and block of 28 days, one short outbreak of one crime at one place.

A pattern search should find them; `truth` lists them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from pipelines.config.profile import Profile
from pipelines.simulator import rates as known
from pipelines.simulator.agencies import provinces, settings
from pipelines.simulator.events import WIDTH, Events, Origin, U, joined, seconds_of_day
from pipelines.simulator.places import Places, places, to_degrees
from pipelines.simulator.seeds import draw, generator
from pipelines.simulator.tables import table

CATEGORIES = ("절도", "침입절도", "차량절도", "폭력")
BLOCK_DAYS = 28
"""One cluster begins in each block of days (blocks are counted from the calendar's first day)."""
DAYS = (7, 20)
RADIUS_M = (120.0, 300.0)
DAILY = (0.5, 1.1)
"""Minimum mean events a day; more where a province's volume, at the profile's scale, exceeds a tenth of Seoul's."""
SCHEMA = {
    "cluster_no": pl.Int64,
    "province_id": pl.String,
    "category": pl.String,
    "district_id": pl.String,
    "lon": pl.Float64,
    "lat": pl.Float64,
    "radius_m": pl.Float64,
    "start_date": pl.Date,
    "end_date": pl.Date,
    "daily_mean": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """One outbreak; ``first`` and ``last`` are its days as ordinals, both included."""

    number: int
    category: str
    district: int
    x: float
    y: float
    radius: float
    first: int
    last: int
    mean: float


def truth(profile: Profile, start: date, end: date) -> pl.DataFrame:
    """Return the injected clusters of the profile's provinces that are active in [start, end).

    Columns: ``cluster_no, province_id, category`` (the police word), ``district_id, lon, lat`` (centre), ``radius_m,
    start_date, end_date`` (exclusive), ``daily_mean`` (expected events a day, in addition to the background).
    """
    rows = []
    for province in provinces(profile):
        where = places(profile, province)
        for c in active(profile, province, start.toordinal(), end.toordinal() - 1):
            lon, lat = to_degrees(profile.crs, np.array([c.x]), np.array([c.y]))
            first, after = date.fromordinal(c.first), date.fromordinal(c.last + 1)
            district = where.ids[c.district]
            rows.append(
                (c.number, province, c.category, district, lon.item(), lat.item(), c.radius, first, after, c.mean)
            )
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def active(profile: Profile, province: str, first: int, last: int) -> list[Cluster]:
    """Return a province's clusters active on any day from ``first`` to ``last`` (ordinals)."""
    seed, scale = settings(profile)
    size = max(1.0, scale * 10 * known.share_of_seoul(province))
    where = places(profile, province)
    blocks = range((first - DAYS[1]) // BLOCK_DAYS, last // BLOCK_DAYS + 1)
    clusters = [_cluster(block, seed, size, where) for block in blocks]
    return [cluster for cluster in clusters if cluster.first <= last and cluster.last >= first]


def events(profile: Profile, province: str, days: Sequence[int]) -> Events:
    """Return the events of all clusters of a province on the given days."""
    seed, _ = settings(profile)
    words = table("police_calls")["category"].to_list()
    rates = known.police(province, places(profile, province).ids)
    parts = [_nothing()]
    for cluster in active(profile, province, min(days), max(days)):
        lasting = range(max(cluster.first, min(days)), min(cluster.last, max(days)) + 1)
        drawn = draw(seed, f"cluster/{cluster.number}", lasting, np.full((len(lasting), 1), cluster.mean), WIDTH)
        count = len(drawn.day)
        kind = np.full(count, words.index(cluster.category))
        radius = cluster.radius * np.sqrt(drawn.u[:, U.JITTER_X])
        angle = 2 * np.pi * drawn.u[:, U.JITTER_Y]
        parts.append(
            Events(
                day=drawn.day,
                kind=kind,
                district=np.full(count, cluster.district),
                x=cluster.x + radius * np.cos(angle),
                y=cluster.y + radius * np.sin(angle),
                second=seconds_of_day(rates, drawn.day, kind, drawn.u, profile.country),
                origin=np.full(count, Origin.CLUSTER, np.int64),
                event=np.full(count, -1, np.int64),
                cause=np.full(count, cluster.number, np.int64),
                u=drawn.u,
            )
        )
    return joined(parts)


def _cluster(block: int, seed: int, size: float, where: Places) -> Cluster:
    rng = generator(seed, "cluster", where.province, block)
    category = CATEGORIES[int(rng.integers(len(CATEGORIES)))]
    district = int(rng.integers(len(where.districts)))
    x, y = where.choose("theft", np.array([district]), rng.random(1), rng.random(1), rng.random(1))
    begins = block * BLOCK_DAYS + int(rng.integers(BLOCK_DAYS))
    lasts = int(rng.integers(DAYS[0], DAYS[1] + 1))
    radius = float(rng.uniform(*RADIUS_M))
    mean = float(rng.uniform(*DAILY) * size)
    number = int(where.province) * 1_000_000 + block
    return Cluster(number, category, district, float(x[0]), float(y[0]), radius, begins, begins + lasts - 1, mean)


def _nothing() -> Events:
    none = np.empty(0, np.int64)
    return Events(none, none, none, np.empty(0), np.empty(0), none, none, none, none, np.empty((0, WIDTH)))
