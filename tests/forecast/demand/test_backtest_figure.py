"""Which series of a backtest are plotted."""

import polars as pl
import pytest

from pipelines.forecast.demand import backtest_figure
from pipelines.forecast.demand.own_series import Backtest


def drawn(*series: tuple[str, float, float | None]) -> list[tuple[str, object]]:
    """The words and names that are drawn of series given as name, calls a step and skill."""
    rows = pl.DataFrame(series, schema={"unique_id": pl.String, "y": pl.Float64, "skill": pl.Float64}, orient="row")
    named = rows.with_columns(model=pl.lit("chosen"), scaled_pinball=pl.lit(0.3))
    table = named.with_columns(model=pl.lit("hour_of_week"), y=pl.lit(9.0), skill=pl.lit(0.0))
    both = pl.concat([named, table])
    result = backtest_figure.examples(Backtest(both.drop("skill"), both, both.drop("y"), both, both))
    return [(word, row["unique_id"]) for word, row in result]


def test_good_typical_and_bad_are_the_best_the_middle_and_the_worst_by_skill() -> None:
    result = drawn(("a", 3, 0.1), ("b", 3, 0.5), ("c", 3, 0.3), ("d", 3, -1.0), ("e", 3, 0.2))
    assert result == [("good", "b"), ("typical", "e"), ("bad", "d")]


@pytest.mark.parametrize(("count", "words"), [(1, ["good"]), (2, ["good", "typical"]), (3, ["good", "typical", "bad"])])
def test_few_series_are_drawn_once_each(count: int, words: list[str]) -> None:
    result = drawn(*[("abc"[i], 3, 0.1 * i) for i in range(count)])
    assert [word for word, _ in result] == words
    assert len({name for _, name in result}) == len(words)


def test_a_series_with_hardly_a_call_or_without_a_skill_is_drawn_only_where_there_is_no_other() -> None:
    rare, silent = [("rare", 0.49, 0.9), ("rarer", 0.01, -0.9)], ("silent", 8.0, None)
    busy = [("a", 0.5, 0.2), ("b", 3.0, 0.1), ("c", 9.0, -0.1)]
    assert [name for _, name in drawn(*rare, silent, *busy)] == ["a", "b", "c"]
    assert [name for _, name in drawn(*rare, silent)] == ["rare", "rarer"]
    assert drawn(silent) == [("good", "silent")]
