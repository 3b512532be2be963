"""Results of queries: every format is read by another program's own reader."""

import io
import json
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import polars as pl
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipelines.release import formats

POINT = shapely.Point(126.9780, 37.5665)


@pytest.fixture
def frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "name": ["종로구", "=1+1"],
            "geometry": [shapely.to_wkb(POINT), None],
            "agencies": [["police", "fire"], None],
            "at": [datetime(2026, 3, 2, 20, 15, tzinfo=UTC), None],
            "ratio": [0.5, float("nan")],
            "amount": [Decimal("1.50"), Decimal(2)],
            "raw": [b"\x00\x01", b""],
        }
    )


def test_csv_has_geometry_as_wkt_and_nested_values_as_json_text(frame: pl.DataFrame) -> None:
    read = pl.read_csv(formats.csv(frame))
    assert read["geometry"].to_list() == ["POINT (126.978 37.5665)", None]
    assert json.loads(read["agencies"][0]) == ["police", "fire"]
    assert read["raw"].to_list() == ["0001", ""]


def test_csv_for_excel_begins_with_the_bom_and_is_otherwise_the_same(frame: pl.DataFrame) -> None:
    assert formats.csv_for_excel(frame) == b"\xef\xbb\xbf" + formats.csv(frame)


def test_json_has_geojson_numbers_and_lists_and_null_for_nan(frame: pl.DataFrame) -> None:
    first, second = json.loads(formats.json(frame))
    assert first["geometry"] == {"type": "Point", "coordinates": [126.978, 37.5665]}
    assert (first["agencies"], first["amount"], first["name"]) == (["police", "fire"], 1.5, "종로구")
    assert second["ratio"] is None and second["amount"] == 2


def test_parquet_keeps_every_value(frame: pl.DataFrame) -> None:
    assert pl.read_parquet(io.BytesIO(formats.parquet(frame))).equals(frame)


def test_a_workbook_has_the_text_of_sources_as_text_and_never_as_a_formula(frame: pl.DataFrame) -> None:
    with zipfile.ZipFile(io.BytesIO(formats.xlsx(frame))) as book:
        texts, sheet = book.read("xl/sharedStrings.xml").decode(), book.read("xl/worksheets/sheet1.xml").decode()
    assert "=1+1" in texts and "종로구" in texts and "2026-03-02T20:15:00" in texts
    assert "<f>" not in sheet


def test_more_rows_than_a_sheet_holds_are_refused_with_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "SHEET_ROWS", 1)
    with pytest.raises(formats.FormatError, match="2 rows: a sheet of Excel holds 1; add LIMIT, or write CSV"):
        formats.xlsx(pl.DataFrame({"x": [1, 2]}))


def test_a_workbook_has_as_text_what_excel_would_change() -> None:
    frame = pl.DataFrame({"id": [9007199254740993, 1], "day": [date(1850, 1, 1), None], "small": [3, 4]})
    big = frame.with_columns(total=pl.Series([Decimal("123456789012345678"), None], dtype=pl.Decimal(38, 0)))
    with zipfile.ZipFile(io.BytesIO(formats.xlsx(big))) as book:
        texts, sheet = book.read("xl/sharedStrings.xml").decode(), book.read("xl/worksheets/sheet1.xml").decode()
    assert all(text in texts for text in ("9007199254740993", "1850-01-01", "123456789012345678"))
    assert "<v>3</v>" in sheet, "numbers that Excel keeps are numbers"
    with pytest.raises(formats.FormatError, match="column t: a cell of Excel holds 32,767 characters; write CSV"):
        formats.xlsx(pl.DataFrame({"t": ["x" * 40_000]}))


def test_a_name_that_excel_does_not_take_is_refused_with_what_to_do() -> None:
    frame = pl.DataFrame({"x" * 256: [1]})
    with pytest.raises(formats.FormatError, match="its name has 256 characters, and Excel takes 255; use AS"):
        formats.xlsx(frame)
    assert formats.csv(frame)


@pytest.mark.parametrize(
    "dtype", [pl.Int8, pl.Int32, pl.UInt64, pl.Float32, pl.Decimal(9, 3), pl.Boolean, pl.Categorical, pl.Null]
)
def test_a_workbook_may_have_a_single_column_of_any_type(dtype: pl.DataType) -> None:
    values = pl.Series("x", ["a"] if dtype == pl.Categorical else [None] if dtype == pl.Null else [1]).cast(dtype)
    for frame in (values.to_frame(), values.to_frame().clear()):
        assert zipfile.is_zipfile(io.BytesIO(formats.xlsx(frame)))


def test_json_has_large_numbers_and_keys_of_maps_as_text() -> None:
    frame = pl.DataFrame({"sum": pl.Series([Decimal(10**30)], dtype=pl.Decimal(38, 0))})
    keys = duckdb.sql("select map{1: 'a'} as m, map{date '2026-03-02': 2} as n").pl()
    assert json.loads(formats.json(frame)) == [{"sum": str(10**30)}]
    assert json.loads(formats.json(keys)) == [{"m": {"1": "a"}, "n": {"2026-03-02": 2}}]
    assert formats.csv(keys).decode().splitlines()[1] == '"{""1"":""a""}","{""2026-03-02"":2}"'
    with pytest.raises(formats.FormatError, match="cast its column to varchar"):
        formats.json(duckdb.sql("select map{1.5: 'a'} as m").pl())


@given(st.lists(st.one_of(st.none(), st.binary(max_size=30)), max_size=5))
def test_any_bytes_can_be_written_as_text(values: list[bytes | None]) -> None:
    frame = pl.DataFrame({"geometry": pl.Series(values, dtype=pl.Binary)})
    assert formats.csv(frame) and formats.json(frame)
