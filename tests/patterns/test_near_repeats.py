"""The Knox table against pointpats, against published data and against counting by hand."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config.seeds import generator
from pipelines.patterns import near_repeats
from pipelines.patterns.near_repeats import DAYS, DISTANCES_M

END = date(2026, 3, 3)
START = END - timedelta(days=near_repeats.WINDOW_DAYS)


def points(x: list[float], y: list[float], day: list[int], category: str = "burglary") -> pl.DataFrame:
    """Incidents at places in metres, on days since the year's first."""
    return pl.DataFrame(
        {"category": category, "occurrence_date": [START + timedelta(days=d) for d in day], "x_m": x, "y_m": y},
        schema={"category": pl.String, "occurrence_date": pl.Date, "x_m": pl.Float64, "y_m": pl.Float64},
    )


def town(count: int, *seed: object, side: float = 2000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = generator(*seed)
    return rng.random(count) * side, rng.random(count) * side, rng.integers(0, 365, count)


def by_hand(x: list[float], y: list[float], day: list[int]) -> np.ndarray:
    """Every pair one by one."""
    table = np.zeros((len(DISTANCES_M), len(DAYS)), dtype=int)
    for i in range(len(x)):
        for j in range(i):
            away, apart = np.hypot(x[i] - x[j], y[i] - y[j]), abs(day[i] - day[j])
            if away <= DISTANCES_M[-1] and apart <= DAYS[-1]:
                row = next(k for k, end in enumerate(DISTANCES_M) if away <= end)
                table[row, next(k for k, end in enumerate(DAYS) if apart <= end)] += 1
    return table


places = st.integers(0, 30).map(lambda step: step * 47.0)


@given(st.lists(st.tuples(places, places, st.integers(0, 364)), max_size=25))
def test_pairs_equal_those_counted_one_by_one(incidents: list[tuple[float, float, int]]) -> None:
    x, y, day = (list(part) for part in zip(*incidents, strict=True)) if incidents else ([], [], [])
    result = near_repeats.near_repeats(points(x, y, day), END, permutations=1)
    assert result["observed_pairs"].to_list() == (by_hand(x, y, day).ravel().tolist() if x else [])
    assert result.schema == near_repeats.COLUMNS


def test_expected_is_the_mean_over_all_permutations() -> None:
    x, y, day = town(60, "expected", side=900)
    rng = generator("permute")
    _, expected, _, _ = near_repeats.knox(x, y, day, 1, rng)
    permuted = [near_repeats.knox(x, y, rng.permutation(day), 0, rng)[0] for _ in range(2000)]
    spread = np.std(permuted, axis=0) / np.sqrt(2000)
    assert np.abs(np.mean(permuted, axis=0) - expected).max() < 5 * spread.max()
    assert expected.sum() == pytest.approx(np.mean(permuted, axis=0).sum(), rel=0.01)


def one_band(monkeypatch: pytest.MonkeyPatch, metres: float, days: int) -> None:
    """Count pairs within so many metres and days only."""
    monkeypatch.setattr(near_repeats, "DISTANCES_M", (metres,))
    monkeypatch.setattr(near_repeats, "DAYS", (days,))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("metres", "days", "repeats"), [(100, 7, 30), (200, 14, 4), (600, 28, 4), (1000, 56, 0)])
def test_counts_and_p_values_are_those_of_pointpats(
    monkeypatch: pytest.MonkeyPatch, metres: float, days: int, repeats: int
) -> None:
    from pointpats import Knox

    one_band(monkeypatch, metres, days)
    x, y, day = town(150, "pointpats", metres, side=3000)
    rng = generator("repeats", metres)
    x, y = (
        np.append(x, x[:repeats] + rng.normal(0, 40, repeats)),
        np.append(y, y[:repeats] + rng.normal(0, 40, repeats)),
    )
    day = np.append(day, np.minimum(day[:repeats] + rng.integers(0, 7, repeats), 364))
    observed, expected, p, permutations = near_repeats.knox(x, y, day, 999, rng)
    np.random.seed(1)
    theirs = Knox(np.column_stack([x, y]), day[:, None], delta=metres, tau=days, permutations=999)
    assert observed.item() == theirs.statistic_ > 0 and permutations == 999
    assert expected.item() == pytest.approx(theirs.expected[0, 0])
    assert p.item() == pytest.approx(theirs.p_sim, abs=0.07)
    assert (p.item() == theirs.p_sim == 0.001) == (repeats == 30)


@pytest.mark.filterwarnings("ignore")
def test_burkitts_lymphoma_in_uganda_gives_the_published_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Williams et al. 1978, the standard example of R and PySAL: 13 pairs where 10.14 are expected, p about 0.2."""
    import geopandas
    from libpysal import examples

    one_band(monkeypatch, 20, 5)
    cases = geopandas.read_file(examples.get_path("burkitt.shp"))
    x, y, day = (cases[name].to_numpy() for name in ("X", "Y", "T"))
    observed, expected, p, _ = near_repeats.knox(x, y, day - day.min(), 999, generator("burkitt"))
    assert observed.item() == 13 and expected.item() == pytest.approx(10.1438161)
    assert 0.14 < p.item() < 0.28


def test_p_is_the_share_of_permutations_with_as_many_pairs() -> None:
    """Three incidents, two of them near: of their days’ permutations one in three brings these close."""
    result = near_repeats.near_repeats(points([0, 50, 900], [0, 0, 0], [0, 3, 200]), END)
    near = result.row(by_predicate=(pl.col("distance_to_m") == 100) & (pl.col("days_to") == 7), named=True)
    assert (near["observed_pairs"], near["expected_pairs"]) == (1, pytest.approx(1 / 3))
    assert near["permutation_p_value"] == pytest.approx(1 / 3, abs=0.06) and near["pair_ratio"] == pytest.approx(3)


def test_planted_repeats_raise_their_band_and_no_other() -> None:
    x, y, day = town(400, "planted", side=6000)
    rng = generator("repeats")
    angle, away = rng.random(80) * 2 * np.pi, 30 + 60 * rng.random(80)
    x, y = np.append(x, x[:80] + away * np.cos(angle)), np.append(y, y[:80] + away * np.sin(angle))
    day = np.append(day, np.minimum(day[:80] + rng.integers(0, 8, 80), 364))
    result = near_repeats.near_repeats(points(x.tolist(), y.tolist(), day.tolist()), END)
    near = (pl.col("distance_to_m") == 100) & (pl.col("days_to") == 7)
    assert result.filter(near)["observed_pairs"][0] >= 80 and result.filter(near)["permutation_p_value"][0] == 0.001
    assert result.filter(near)["pair_ratio"][0] > 10
    assert (result.filter(~near)["permutation_p_value"] <= 0.01).sum() <= 4


def test_a_seasonal_peak_gives_no_repeats() -> None:
    """Purely seasonal crowding raises what is expected as much as what is observed."""
    x, y, _ = town(600, "spring", side=4000)
    day = generator("spring days").normal(100, 15, 600).clip(0, 364).astype(int)
    result = near_repeats.near_repeats(points(x.tolist(), y.tolist(), day.tolist()), END)
    assert 0 <= (result["permutation_p_value"] <= 0.05).mean() < 0.2
    assert result["pair_ratio"].drop_nulls().median() == pytest.approx(1, abs=0.1)


def test_bands_include_their_upper_ends() -> None:
    result = near_repeats.near_repeats(points([0, 1, 101, 1101], [0, 0, 0, 0], [10, 10, 17, 25]), END)
    seen = result.filter(pl.col("observed_pairs") > 0)
    assert seen.select("distance_from_m", "distance_to_m", "days_from", "days_to").rows() == [
        (0, 0, 0, 7),
        (0, 100, 0, 7),
        (100, 200, 0, 7),
        (900, 1000, 8, 14),
    ]


def test_shared_places_indicate_snapped_data() -> None:
    x, y, day = [0.0, 0.2, 500, 900], [0.0, 0.0, 0, 0], [1, 90, 200, 300]
    assert near_repeats.near_repeats(points(x, y, day), END)["shared_place_share"].unique().to_list() == [0.5]


def test_too_many_pairs_are_thinned_and_the_ratio_keeps_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, day = (part.tolist() for part in town(1500, "thinned", side=3000))
    whole = near_repeats.near_repeats(points(x, y, day), END, permutations=1)
    monkeypatch.setattr(near_repeats, "MAX_PAIRS", int(whole["expected_pairs"].sum()))
    thin = near_repeats.near_repeats(points(x, y, day), END, permutations=1)
    assert whole["sampled_share"][0] == 1 and 0.3 < thin["sampled_share"][0] < 0.8
    ratios = [frame["observed_pairs"].sum() / frame["expected_pairs"].sum() for frame in (whole, thin)]
    assert ratios[1] == pytest.approx(ratios[0], abs=0.05)
    assert thin["incidents"][0] == 1500


def test_categories_are_separate_and_a_repeated_night_is_identical() -> None:
    x, y, day = (part.tolist() for part in town(80, "twice", side=900))
    both = pl.concat([points(x, y, day), points(x[:9], y[:9], day[:9], "theft")])
    result = near_repeats.near_repeats(both, END)
    assert result.equals(near_repeats.near_repeats(both.reverse(), END))
    alone = near_repeats.near_repeats(points(x, y, day), END)
    assert result.filter(category="burglary").equals(alone)
    assert result.group_by("category").len().sort("category").rows() == [("burglary", 88), ("theft", 88)]


def test_no_and_single_incidents_give_empty_and_zero_tables() -> None:
    assert near_repeats.near_repeats(points([], [], []), END).schema == near_repeats.COLUMNS
    single = near_repeats.near_repeats(points([5], [5], [364]), END)
    assert single.height == 88 and single["observed_pairs"].sum() == 0 and single["pair_ratio"].null_count() == 88
    outside = near_repeats.near_repeats(points([5, 5], [5, 5], [-1, 365]), END)
    assert outside.is_empty()
