"""Near-repeat chains: what is linked, and that chance alone is not called unusual."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.config.seeds import generator
from pipelines.patterns import near_repeat_chains
from pipelines.patterns.near_repeat_chains import CHAINS, MEMBERS

END = date(2026, 3, 3)
START = END - timedelta(days=365)


def points(x: list[float], y: list[float], day: list[int], category: str = "burglary") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "incident_id": [f"police:{number}" for number in range(len(x))],
            "category": category,
            "cell_id": [f"c{int(at // 100)}" for at in x],
            "occurrence_date": [START + timedelta(days=d) for d in day],
            "x_m": x,
            "y_m": y,
        },
        schema_overrides={"occurrence_date": pl.Date, "x_m": pl.Float64, "y_m": pl.Float64, "category": pl.String},
    )


def both(seen: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The chains, and which incidents they are made of."""
    return near_repeat_chains.near_repeat_chains(seen, 100, END), near_repeat_chains.near_repeat_members(seen, END)


def scattered(count: int, *seed: object, side: float = 20_000) -> tuple[list[float], list[float], list[int]]:
    rng = generator(*seed)
    return (
        (rng.random(count) * side).tolist(),
        (rng.random(count) * side).tolist(),
        rng.integers(0, 365, count).tolist(),
    )


def test_links_reach_200_metres_and_14_days_and_a_chain_has_three() -> None:
    x = [0, 200, 400, 5000, 5201, 5400, 9000, 9100, 9200, 20_000, 20_010]
    y = [0] * len(x)
    chain, too_far, too_late, a_pair = [100, 114, 128], [10, 11, 12], [10, 25, 40], [300, 301]
    day = [*chain, *too_far, *too_late, *a_pair]
    chains, members = both(points(x, y, day))
    assert members["incident_id"].to_list() == ["police:0", "police:1", "police:2"]
    (row,) = chains.to_dicts()
    assert (row["incidents"], row["cell_id"], row["extent_m"]) == (3, "c2", 200)
    assert (row["first_incident_date"], row["last_incident_date"]) == (
        START + timedelta(days=100),
        START + timedelta(days=128),
    )
    assert row["chain_id"] == f"burglary-{row['first_incident_date']:%Y%m%d}-c2" and not row["is_open"]


def test_a_series_among_scattered_incidents_is_unusual() -> None:
    x, y, day = scattered(300, "scattered")
    series = [
        ([x0 + 30 * n for n in range(5)], [y0] * 5, [d0 + 4 * n for n in range(5)])
        for x0, y0, d0 in [(3000, 3000, 100), (15_000, 9000, 345)]
    ]
    for single in series:
        x, y, day = x + single[0], y + single[1], day + single[2]
    chains = near_repeat_chains.near_repeat_chains(points(x, y, day), 100, END)
    result = chains.filter(pl.col("incidents") >= 5)
    assert result["is_unusual"].all() and result["is_open"].to_list() == [True, False]
    assert result["permutation_p_value"].max() <= 0.01


def test_a_busy_street_links_its_incidents_into_one_chain_and_it_is_not_unusual() -> None:
    """Two a day within 200 m: they all hang together, in every permutation as well."""
    rng = generator("street")
    x, y, day = scattered(200, "town")
    street = 700
    x, y = x + (rng.random(street) * 150).tolist(), y + (rng.random(street) * 100).tolist()
    chains = near_repeat_chains.near_repeat_chains(points(x, y, day + rng.integers(0, 365, street).tolist()), 100, END)
    assert chains["incidents"].max() >= 700
    assert not chains["is_unusual"].any() and chains.filter(pl.col("incidents") >= 700)["permutation_p_value"][0] > 0.05


@pytest.mark.slow
def test_chance_alone_makes_an_unusual_chain_in_one_year_of_twenty() -> None:
    smallest = []
    for night in range(120):
        chains = near_repeat_chains.near_repeat_chains(
            points(*scattered(300, "chance", night, side=2500)), 100, END, permutations=99
        )
        smallest.append(chains["permutation_p_value"].min())
    for level in (0.05, 0.2, 0.5):
        wide = 3.3 * np.sqrt(level * (1 - level) / 120)
        assert level - wide <= np.mean(np.array(smallest) <= level) <= level + wide


def test_a_score_is_the_likelihood_ratio_against_the_surroundings() -> None:
    chain, day = np.array([4, 4, 4, 7, 7, 9]), np.array([10, 12, 19, 3, 4, 5])
    which, result = near_repeat_chains.scores(chain, day, np.array([5, 6, 7, 2, 2, 1]))
    usual = 6 * 10 / 365
    assert which.tolist() == [4] and result[0] == pytest.approx(3 * np.log(3 / usual) - (3 - usual))
    crowded = near_repeat_chains.scores(chain, day, np.full(6, 200))
    assert crowded[1].tolist() == [0], "no more than the place always has"


def test_chains_of_one_name_are_numbered() -> None:
    x, y = [0, 10, 20, 90, 80, 70], [0, 0, 0, 500, 500, 500]
    chains, members = both(points(x, y, [5, 6, 7, 5, 6, 7]))
    assert sorted(chains["chain_id"]) == ["burglary-20250308-c0", "burglary-20250308-c0-2"]
    assert members["chain_id"].n_unique() == 2 and members["incident_id"].n_unique() == 6


def test_too_dense_places_give_no_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    dense = points([0, 10, 20], [0, 0, 0], [5, 6, 7])
    assert near_repeat_chains.near_repeat_chains(dense, 100, END).height == 1
    monkeypatch.setattr(near_repeat_chains, "MAX_PAIRS", 2)
    assert near_repeat_chains.near_repeat_chains(dense, 100, END).height == 0


def test_no_incidents_and_a_repeated_night() -> None:
    chains, members = both(points([], [], []))
    assert (chains.schema, members.schema) == (CHAINS, MEMBERS) and chains.is_empty() and members.is_empty()
    lonely = near_repeat_chains.near_repeat_chains(points([0], [0], [9]), 100, END)
    assert lonely.is_empty() and lonely.schema == CHAINS
    night = points(*scattered(300, "twice", side=2000))
    first, again = both(night), both(night.reverse())
    assert first[0].equals(again[0]) and first[1].equals(again[1])
