"""Series as people have them: read right, or refused with the row, and never at the cost of the others."""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest

from pipelines.forecast.demand import versions
from pipelines.forecast.demand.series import SeriesError
from pipelines.forecast.demand.series_checks import check, usable

DAYS = [date(2023, 1, 1) + timedelta(days=day) for day in range(60)]


def hours(**overrides: object) -> pl.DataFrame:
    good = {"unique_id": ["a", "a"], "ds": [datetime(2026, 1, 1), datetime(2026, 1, 1, 1)], "y": [1, 2]}
    return pl.DataFrame(good | overrides)


def text(ds: list[str], y: list[str] | None = None, unique_id: str = "a") -> pl.DataFrame:
    """Rows as a CSV gives them: all text."""
    return pl.DataFrame({"unique_id": unique_id, "ds": ds, "y": y or ["1"] * len(ds)})


def daily(form: str = "%Y-%m-%d", days: list[date] = DAYS) -> pl.DataFrame:
    return text([f"{day:{form}}" for day in days], ["7"] * len(days))


def test_rows_are_sorted_and_whole_numbers_are_counts() -> None:
    checked = check(hours(ds=["2026-01-01T01:00:00", "2026-01-01T00:00:00"]), "h")
    assert checked["ds"].to_list() == [datetime(2026, 1, 1), datetime(2026, 1, 1, 1)]
    assert checked["y"].to_list() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("frame", "freq", "message"),
    [
        (hours().drop("y"), "h", r"lacks y; give the columns unique_id, ds and y \(found: unique_id, ds\)"),
        (hours(), "W", "give 'h'"),
        (hours().clear(), "h", "no rows"),
        (hours(ds=[1, 2]), "h", "give dates or times"),
        (hours(ds=[datetime(2026, 1, 1, tzinfo=UTC)] * 2), "h", "time zone"),
        (hours(y=[None, None]), "h", "no row with a count"),
        (hours(ds=["soon", "later"]), "h", "series a, row 1: ds 'soon' is not a date or time"),
        (hours(y=[1, -1]), "h", "series a, row 2: y -1 is negative"),
        (hours(y=[1.0, float("inf")]), "h", "series a, row 2: y 'inf' is not a finite number"),
        (hours(y=["1", "x"]), "h", "series a, row 2: y 'x' is not a number"),
        (hours(), "D", "row 2: ds '2026-01-01 01:00:00.000000' is not the start of a day .* use --freq h"),
        (hours(ds=[datetime(2026, 1, 1)] * 2), "h", "row 1: ds .* occurs twice"),
        (text(["2023-01-01 24:00"]), "h", "row 1: ds '2023-01-01 24:00' is not a time: hours run from 00:00 to 23:00"),
        (text(["2023-02-29"]), "D", "row 1: ds '2023-02-29' is not a date"),
        (text(["0203-01-01"]), "D", "row 1: ds '0203-01-01' is outside 1900 to 2100"),
        (text(["2023-01-01T00:00:00+09:00"]), "D", r"row 1: ds '2023-01-01T00:00:00\+09:00' has an offset"),
        (text(["01/02/2023", "03/04/2023"]), "D", "the other rows do not show which; write dates as YYYY-MM-DD"),
        (
            text(["13/02/2023", "03/14/2023"]),
            "D",
            "row 1: ds '13/02/2023' has the day first, but '03/14/2023' in row 2",
        ),
        (text(["2023-01-01"], unique_id=""), "D", "row 1: unique_id is empty"),
        (text(["01/13/2023 13:00 PM"]), "h", "row 1: ds '01/13/2023 13:00 PM' is not a date or time"),
        (
            text(["2023-01-01"]).with_columns(known_at=pl.lit("soon")),
            "D",
            "row 1: known_at 'soon' is not a date or time",
        ),
        (text(["2023-01-01"]).with_columns(capacity=pl.lit("many")), "D", "row 1: capacity 'many' is not a number"),
        (text(["2023-01-01"] * 2).with_columns(known_at=pl.lit("2023-01-02")), "D", "row 1: ds .* occurs twice"),
        (text(["2023-01-01"]).with_columns(capacity=pl.lit("-5")), "D", "row 1: capacity -5 is negative"),
        (hours(y=[1, 10**9]), "h", "row 2: y 1000000000 is above 100,000,000; the models are for counts"),
        (text(["2023-01-01"], ["0,250"]), "D", "row 1: y '0,250' has a comma, and commas in this column are decimal"),
        (hours(ds=[time(1), time(2)]), "h", "ds is Time; give dates or times"),
        (text(["2023-01-01 00:30"]), "h", r"is not the start of an hour \(--freq h\); add up shorter steps"),
        (
            text([f"{year}-{month:02d}-01" for year in (2022, 2023) for month in range(1, 13)]),
            "D",
            r"series a: its rows are mostly 31 days apart, so they do not count single days \(--freq D\); give a "
            "row for each day, with an empty y where the count is unknown, or use --fill-zeros if it is zero where",
        ),
        (daily(), "h", "its rows are mostly 1 day apart, .*; use --freq D for days, or give a row for each hour"),
    ],
)
def test_an_unusable_series_is_refused_with_its_row_and_what_to_change(
    frame: pl.DataFrame, freq: str, message: str
) -> None:
    with pytest.raises(SeriesError, match=message):
        check(frame, freq)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%m/%d/%Y", "%d.%m.%Y", "%Y-%m-%d 00:00"]
)
def test_a_date_is_read_in_the_order_that_its_column_shows(form: str) -> None:
    assert check(daily(form), "D")["ds"].dt.date().to_list() == DAYS


def test_hours_of_twelve_are_read_with_am_and_pm() -> None:
    frame = text(["01/13/2023 12:00:00 AM", "01/13/2023 01:00:00 PM"])
    assert check(frame, "h")["ds"].to_list() == [datetime(2023, 1, 13), datetime(2023, 1, 13, 13)]


@pytest.mark.parametrize(
    "midnight",
    [
        "2024년 3월 5일",
        "2024. 3. 5.",
        "2024.3.5",
        "2024. 3. 5. (화)",
        "2024-03-05 오전 12:00:00",
        "2024. 3. 5. 오전 12:00",
    ],
)
def test_korean_dates_and_hours_are_read(midnight: str) -> None:
    assert check(text([midnight]), "D")["ds"].to_list() == [datetime(2024, 3, 5)]
    afternoon = check(text(["2024년 3월 5일 오후 1:00", "2024-03-05 오후 12:00"]), "h")["ds"].to_list()
    assert afternoon == [datetime(2024, 3, 5, 12), datetime(2024, 3, 5, 13)]


@pytest.mark.parametrize(
    "noon", ["2024-03-05 １２:00", "2024-03-05\u00a012:00", "2024\u1102\u1167\u11ab 3월 5일 12:00"]
)
def test_times_are_read_in_any_form_of_their_characters(noon: str) -> None:
    assert check(text([noon]), "h")["ds"].to_list() == [datetime(2024, 3, 5, 12)]


def test_digits_that_cannot_be_read_are_never_midnight() -> None:
    with pytest.raises(SeriesError, match="row 1: ds '2024-03-05 ١٢:00' is not a date or time"):
        check(text(["2024-03-05 ١٢:00"]), "D")


@pytest.mark.parametrize("offset", ["Z", " UTC", "+09", " +0900", "+09:00"])
def test_an_offset_is_named_however_it_is_written(offset: str) -> None:
    with pytest.raises(SeriesError, match="has an offset; give local times without one"):
        check(text([f"2023-01-01 00:00:00{offset}"]), "D")


def test_numbers_may_have_separators_of_thousands_and_columns_any_case() -> None:
    frame = text(["2023-01-01", "2023-01-02"], ["1,040", " 7.0 "]).rename({"unique_id": "Unique_ID", "y": "Y"})
    assert check(frame, "D")["y"].to_list() == [1040.0, 7.0]


def test_a_comma_means_the_same_in_the_whole_column() -> None:
    rows = pl.concat([daily(), text(["2023-01-01"], ["1,250"], "b"), text(["2023-01-01"], ["12,5"], "c")])
    refused = usable(rows, "D").refused
    assert set(refused) == {"b", "c"}
    assert refused["b"].endswith(
        "y '1,250' has a comma, and commas in this column are decimal; write decimals with a point"
    )


def test_a_comma_means_the_same_in_the_whole_column_of_capacities() -> None:
    rows = pl.concat([daily(), text(["2023-01-01"], unique_id="b"), text(["2023-01-01"], unique_id="c")])
    capacity = pl.when(unique_id=pl.lit("b")).then(pl.lit("1,250")).when(unique_id=pl.lit("c")).then(pl.lit("12,5"))
    assert set(usable(rows.with_columns(capacity=capacity), "D").refused) == {"b", "c"}


def test_commas_in_all_rows_are_noted_as_they_are_read() -> None:
    result = usable(text([f"2023-01-{day:02d}" for day in range(1, 21)], ["1,250"] * 20), "D")
    assert result.series["y"].sum() == 20 * 1250
    assert any(
        "every y has a comma (first '1,250'), which is read as a separator of thousands" in n for n in result.notes
    )


def test_a_series_whose_name_is_a_number_is_left_out_by_the_same_name() -> None:
    rows = pl.DataFrame({"unique_id": [1e16, 31.0], "ds": [date(2023, 1, 1)] * 2, "y": [-1, 2]})
    result = usable(rows, "D")
    assert len(result.refused) == 1 and result.series["unique_id"].to_list() == [31.0]


def test_a_series_of_few_rows_is_noted() -> None:
    (note,) = usable(pl.concat([daily(), text(["2023-03-01"], ["420"], "Total")]), "D").notes
    assert note == "series Total: only 1 row; its forecast is little more than a mean"


def test_ids_keep_their_leading_zeros() -> None:
    assert check(text(["2023-01-01"], unique_id="0031"), "D")["unique_id"].to_list() == ["0031"]


def test_of_several_versions_of_a_count_the_newest_known_one_counts_and_may_be_unknown() -> None:
    frame = text(["2023-01-01", "2023-01-01", "2023-01-02", "2023-01-02"], ["5", "3", "8", ""]).with_columns(
        known_at=pl.Series(["2023-01-09", "2023-01-02 12:00", "", "2023-01-09"])
    )
    result = usable(frame, "D")
    assert result.series.select("y", "known_at").rows() == [
        (5.0, datetime(2023, 1, 10)),  # A date alone: known when the day has ended.
        (3.0, datetime(2023, 1, 2, 12)),
    ]
    assert versions.newest(result.series)["y"].to_list() == [5.0]


@pytest.mark.parametrize("empty", ["", "NA", "n/a", "NaN", "-", None])
def test_an_empty_value_is_unknown_and_noted_with_its_row(empty: str | None) -> None:
    result = usable(text(["2023-01-01", "2023-01-02"], ["3", empty]), "D")  # type: ignore[list-item]
    assert result.series["y"].to_list() == [3.0]
    assert result.notes[0] == "rows with an empty y: 1 (first: row 2); these counts are unknown"


def test_one_bad_series_never_costs_the_others() -> None:
    result = usable(pl.concat([daily(), text(["2023-01-01"], ["-1"], "bad")]), "D")
    assert result.series["unique_id"].unique().to_list() == ["a"] and result.series.height == 60
    assert result.refused == {"bad": "series bad, row 61: y -1 is negative; the models are for counts"}


def test_a_list_without_zeros_is_noted_and_filled_only_on_request() -> None:
    listed = daily(days=DAYS[::3])
    (note,) = [note for note in usable(listed, "D").notes if "no row" in note]
    assert "38 of 58 days have no row and none is zero" in note and "--fill-zeros" in note
    filled = usable(listed, "D", fill_zeros=True)
    assert filled.series.height == 58 and filled.series["y"].sum() == 20 * 7
    assert not [note for note in filled.notes if "no row" in note]


def test_a_series_that_ended_long_before_the_others_is_noted() -> None:
    closed = daily(days=DAYS[:20]).with_columns(unique_id=pl.lit("closed"))
    (note,) = usable(pl.concat([daily(), closed]), "D").notes
    assert note == "series closed: ends on 2023-01-20, long before the newest series (2023-03-01)"


def test_a_count_far_above_all_others_and_a_gap_of_years_are_noted_with_their_dates() -> None:
    slips = text(["2023-01-09", "2032-01-10"], ["999999", "7"])
    notes = usable(pl.concat([daily(days=DAYS[:5]), slips]), "D").notes
    assert any("series a: y 999999 at 2023-01-09 00:00 is more than 1000 times any other" in note for note in notes)
    assert any("series a: no row between 2023-01-09 and 2032-01-10; check these dates" in note for note in notes)


def test_an_extreme_count_is_noted_with_its_day_and_the_usual_count() -> None:
    counts = ["7"] * 60
    counts[50] = "700"
    (note,) = usable(text([f"{day:%Y-%m-%d}" for day in DAYS], counts), "D").notes
    assert note == (
        "series a: y 700 at 2023-02-20 00:00 is far above the usual 7; it is left out of the mean and limited in the "
        "ranges, unless a holiday or a covariate explains it"
    )


def test_a_shift_of_level_is_noted_with_its_day() -> None:
    days = pl.date_range(date(2023, 1, 1), date(2023, 6, 30), eager=True)
    counts = ["100" if day < date(2023, 6, 19) else "150" for day in days]
    (note,) = usable(text([f"{day:%Y-%m-%d}" for day in days], counts), "D").notes
    assert note == "series a: the level rose about 2023-06-19; forecasts follow within weeks"


def test_a_stated_unknown_is_never_filled_with_zero() -> None:
    rows = text(["2023-01-01", "2023-01-02", "2023-01-04"], ["3", "", "5"])
    assert usable(rows, "D", fill_zeros=True).series.select(pl.col("ds").dt.day(), "y").rows() == [
        (1, 3),
        (3, 0),
        (4, 5),
    ]


def test_weekly_rows_are_used_where_the_days_between_are_zero_or_stated_as_unknown() -> None:
    weekly = daily(days=DAYS[::7])
    assert usable(weekly, "D", fill_zeros=True).series.height == 57
    stated = daily().with_columns(y=pl.when(pl.int_range(pl.len()) % 7 == 0).then(pl.lit("7")))
    assert usable(stated, "D").series.height == 9
    result = usable(pl.concat([daily(), weekly.with_columns(unique_id=pl.lit("weekly"))]), "D")
    assert result.series["unique_id"].unique().to_list() == ["a"] and list(result.refused) == ["weekly"]


def test_names_that_differ_only_in_how_they_are_written_are_noted() -> None:
    rows = pl.concat([daily(), daily().with_columns(unique_id=pl.lit("A"))])
    assert any(note.startswith("series 'A' and 'a' differ only in case") for note in usable(rows, "D").notes)


def test_fractions_are_noted_with_the_first_as_it_is_written() -> None:
    rows = text(["2023-01-01", "2023-01-02"], ["7", "1.250"])
    assert "(first: '1.250' in row 2), since a point is decimal" in usable(rows, "D").notes[0]


def test_counts_known_only_after_the_end_of_their_series_are_noted() -> None:
    late = daily().with_columns(known_at=pl.lit("2024-06-01"))
    (note,) = usable(late, "D").notes
    assert note.startswith("series a: 60 of 60 counts became known (known_at) only after its last row")
    prompt = daily().with_columns(known_at=pl.col("ds"))
    assert not usable(prompt, "D").notes


def test_rows_of_some_days_are_noted() -> None:
    every_third_day = daily().filter(pl.int_range(pl.len()) % 3 == 0)
    assert any("rows are mostly 3 days apart" in note for note in usable(every_third_day, "D").notes)
