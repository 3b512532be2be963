"""Rows of covariates: spellings that are read, and rows that are refused by number."""

from datetime import date, datetime

import polars as pl
import pytest

from pipelines.forecast.demand import covariate_rows
from pipelines.forecast.demand.series import SeriesError


def test_text_becomes_times_and_numbers_and_an_empty_number_is_unknown() -> None:
    rows = pl.DataFrame({"DS": ["2025-01-06", "2025-01-07"], "Rain ": ["1.5", ""], "match": [True, False]})
    read = covariate_rows.read(rows)
    assert read.columns == ["ds", "covariate rain", "covariate match"]
    assert read.rows() == [(datetime(2025, 1, 6), 1.5, 1.0), (datetime(2025, 1, 7), None, 0.0)]


def test_values_of_one_series_and_archived_forecasts_keep_their_columns() -> None:
    rows = pl.DataFrame({"unique_id": [31], "ds": [date(2025, 1, 6)], "known_at": ["2025-01-05 18:00"], "rain": [2]})
    assert covariate_rows.read(rows).rows() == [("31", datetime(2025, 1, 5, 18), datetime(2025, 1, 6), 2.0)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"rain": ["1"]}, r"the covariates lack ds; give the columns ds and numbers \(found: rain\)"),
        ({"ds": ["2025-01-06"]}, "the covariates have only times; add a column of numbers"),
        ({"ds": ["2025-01-06"], "y": ["3"]}, "the covariates have a column y, which is the count itself; leave it out"),
        ({"ds": ["2025-01-06"], "": ["0"], "rain": ["3"]}, "a column of the covariates has no name"),
        ({"ds": [], "rain": []}, "the covariates have no rows"),
        ({"ds": ["2025-01-06", "soon"], "rain": ["1", "2"]}, "covariates, row 2: ds 'soon' is not a date or time"),
        ({"ds": ["2025-01-06T00:00Z"], "rain": ["1"]}, "covariates, row 1: ds '2025-01-06T00:00Z' has an offset"),
        ({"ds": ["2025-01-06 07:30"], "rain": ["1"]}, "row 1: ds '2025-01-06 07:30' is not the start of an hour"),
        (
            {"ds": ["2025-01-06"], "rain": ["wet"]},
            "row 1: rain 'wet' is not a number; write 1 and 0 for yes and no, and leave",
        ),
        ({"ds": ["2025-01-06"], "rain": ["1,5"]}, "row 1: rain '1,5' has a comma; write decimals with a point"),
        ({"ds": ["2025-01-06"], "rain": ["inf"]}, "row 1: rain 'inf' is not a finite number"),
        ({"ds": ["2025-01-06"] * 2, "rain": ["1", "1"]}, "row 1: ds '2025-01-06' occurs twice; remove one row"),
        (
            {"ds": ["2025-01-06"] * 2, "unique_id": ["a", "a"], "rain": ["1", "2"]},
            "row 1: ds '2025-01-06' of series a occurs twice",
        ),
        ({"ds": ["2025-01-06"], "unique_id": [" "], "rain": ["1"]}, "row 1: unique_id '' is empty or unreadable"),
        ({"ds": ["2025-01-06"], "known_at": ["?"], "rain": ["1"]}, r"row 1: known_at '\?' is empty or unreadable"),
    ],
)
def test_what_cannot_be_a_covariate_is_named(columns: dict[str, list[str]], message: str) -> None:
    with pytest.raises(SeriesError, match=message):
        covariate_rows.read(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)))
