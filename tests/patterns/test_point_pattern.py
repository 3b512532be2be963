"""The spatial point pattern test against scipy, against arithmetic and on planted moves."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import fisher_exact

from pipelines.patterns import point_pattern

END = date(2026, 3, 3)
START = END - timedelta(days=3 * 365)
KNOWN = pl.DataFrame({"place_kind": "map_cell", "place_id": [f"c{i:02d}" for i in range(20)]})


def points(before: list[int], later: list[int], category: str = "theft") -> pl.DataFrame:
    """Incidents per place, c00 first, of the year before and of the last year."""
    days = {END - timedelta(days=366): before, END - timedelta(days=1): later}
    rows = [
        (category, "map_cell", f"c{place:02d}", day)
        for day, counts in days.items()
        for place, count in enumerate(counts)
        for _ in range(count)
    ]
    schema = {"category": pl.String, "place_kind": pl.String, "place_id": pl.String, "occurrence_date": pl.Date}
    return pl.DataFrame(rows, schema=schema, orient="row")


def similarity(frame: pl.DataFrame) -> dict[str, object]:
    (row,) = point_pattern.similarity(point_pattern.places(frame, KNOWN, START, END), KNOWN).to_dicts()
    return row


def test_each_p_equals_scipys_fisher_test() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.negative_binomial(0.4, 0.1, 200), rng.negative_binomial(0.4, 0.07, 200)
    totals = np.array([first.sum(), second.sum()])
    expected = [fisher_exact([pair, totals - pair]).pvalue for pair in np.stack([first, second], axis=-1)]
    assert point_pattern.fisher(first, second) == pytest.approx(np.array(expected), abs=1e-9)
    assert point_pattern.fisher([7], [0]).tolist() == [1.0], "one place holds all crime of both spans"
    assert point_pattern.fisher([], []).shape == (0,)


def test_half_as_much_crime_in_the_same_places_is_the_same_pattern() -> None:
    row = similarity(points([40, 20, 10, 2], [20, 10, 5, 1]))
    assert (row["similarity"], row["similarity_robust"], row["similarity_fdr"]) == (1, 1, 1)
    assert (row["incidents"], row["incidents_before"], row["window_days"]) == (36, 72, 365)


def test_a_hot_spot_that_moved_differs_at_both_ends_and_empty_places_flatter_the_plain_s() -> None:
    frame = points([60, 0, 20, 20], [0, 60, 20, 20])
    tested = point_pattern.places(frame, KNOWN, START, END)
    assert tested.filter("is_different_fdr")["place_id"].to_list() == ["c00", "c01"]
    assert (
        tested.row(0, named=True)["category_share_before"] == 0.6 and tested.row(0, named=True)["category_share"] == 0
    )
    row = similarity(frame)
    assert (row["similarity"], row["similarity_robust"]) == (pytest.approx(18 / 20), 0.5)


def test_random_changes_are_mostly_similar() -> None:
    rng = np.random.default_rng(8)
    rates = rng.gamma(1.0, 20.0, 20)
    different = [
        1
        - float(str(similarity(points(rng.poisson(rates).tolist(), rng.poisson(rates).tolist()))["similarity_robust"]))
        for _ in range(60)
    ]
    assert np.mean(different) < 0.06


def test_places_that_are_not_known_do_not_count() -> None:
    frame = pl.concat([points([3, 3], [3, 3]), points([0] * 20 + [9], [0] * 20 + [9])])
    assert similarity(frame)["incidents"] == 6


@pytest.mark.parametrize(
    ("days", "expected"), [(10_000, 365), (730, 365), (729, 364), (400, 196), (56, 28), (55, 0), (0, 0)]
)
def test_spans_shorten_to_half_of_the_records_in_whole_weeks(days: int, expected: int) -> None:
    assert point_pattern.span_days(END - timedelta(days=days), END) == expected


def test_an_empty_span_gives_no_similarity() -> None:
    assert similarity(points([0], [5]))["similarity_robust"] is None


def test_without_records_there_are_no_rows_but_every_column() -> None:
    for start in (None, START):
        tested = point_pattern.places(points([], []), KNOWN, start, END)
        assert tested.schema == pl.Schema(point_pattern.PLACE_TYPES) and tested.is_empty()
        assert point_pattern.similarity(tested, KNOWN).schema == pl.Schema(point_pattern.TYPES)
