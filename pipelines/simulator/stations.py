"""The fire station of each district: the one with its name, otherwise the nearest of the province."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import polars as pl
import pyproj

from pipelines.simulator.places import District


def stations(province: str, districts: Sequence[District], crs: str) -> list[str]:
    """Return the stations' names: '종로구' has '종로소방서', '고흥군' the nearest station."""
    known = _known().filter(province_id=province)
    if known.is_empty():
        return [f"{district.name.split()[0].rstrip('시군구')}소방서" for district in districts]
    names = known["name"].to_list()
    project = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform
    x, y = project(known["lon"].to_numpy(), known["lat"].to_numpy())
    assigned = []
    for district in districts:
        namesake = f"{district.name[:-1]}소방서"
        middle = district.boundary.representative_point()
        nearest = names[int(np.argmin(np.hypot(x - middle.x, y - middle.y)))]
        assigned.append(namesake if namesake in names else nearest)
    return assigned


@cache
def _known() -> pl.DataFrame:
    source = files("pipelines.config.profiles") / "korea_fire_stations.csv"
    return pl.read_csv(source.read_bytes(), schema_overrides={"province_id": pl.String})
