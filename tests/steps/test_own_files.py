"""Anybody's own files: which are read, what is written, and what the messages say."""

from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from pipelines.forecast.demand import own_series
from pipelines.forecast.risk import own_points
from pipelines.steps import own_data, own_files, own_output
from pipelines.steps.own_files import OwnDataError


def test_a_file_that_is_missing_or_of_another_format_is_named_with_what_is_possible(tmp_path: Path) -> None:
    with pytest.raises(OwnDataError, match=r"none\.csv does not exist"):
        own_files.read(tmp_path / "none.csv")
    (tmp_path / "calls.xlsx").touch()
    with pytest.raises(OwnDataError, match=r"cannot read calls\.xlsx: give a \.parquet or \.csv file"):
        own_files.read(tmp_path / "calls.xlsx")
    (tmp_path / "calls.parquet").write_bytes(b"no parquet")
    with pytest.raises(OwnDataError, match=r"^cannot read calls\.parquet: "):
        own_files.read(tmp_path / "calls.parquet")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04\x14\x00", "is not text, but a ZIP archive or workbook: unpack it, or save it as .csv"),
        (b"\x1f\x8b\x08\x00", r"is not text, but compressed \(gzip\): unpack it"),
        (b"PAR1\x15\x04", "is not text, but Parquet"),
        ("unique_id,ds,y\n".encode("utf-16-le"), r"line 1: it has a NUL character.*--encoding, such as utf-16-le"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_named_as_what_it_is(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "calls.csv").write_bytes(content)
    with pytest.raises(OwnDataError, match=rf"^calls\.csv,? {message}"):
        own_files.read(tmp_path / "calls.csv")


def test_a_guess_of_the_encoding_is_noted(tmp_path: Path) -> None:
    path, notes = tmp_path / "calls.csv", list[str]()
    path.write_bytes("unique_id\n강남구\n".encode("cp949"))
    own_files.read(path, encoding="cp949", note=notes.append)
    assert not notes
    own_files.read(path, note=notes.append)
    assert notes == ["calls.csv is not UTF-8 and is read as CP949; if names look wrong, state --encoding"]


def test_a_folder_is_not_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(OwnDataError, match="is not a file"):
        own_files.read(tmp_path)


@pytest.mark.parametrize("first", ["a,2026-03-01,1", "관서,일시,건수", "Report of 2026"])
def test_a_file_without_a_wanted_column_is_refused_with_its_first_line(tmp_path: Path, first: str) -> None:
    (tmp_path / "calls.csv").write_text(f"{first}\na,2026-03-01,1\n", encoding="utf-8")
    with pytest.raises(OwnDataError, match=rf"its header \({first.replace(',', ', ')}\) names none of the col"):
        own_files.read(tmp_path / "calls.csv", ("unique_id", "ds", "y"))


def test_lines_that_are_quoted_as_a_whole_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text('"unique_id,ds,y"\n"a,2026-03-01,1"\n')
    with pytest.raises(
        OwnDataError, match=r"put the names in the first line, separated by commas, and not in quotes as a"
    ):
        own_files.read(tmp_path / "calls.csv", ("unique_id", "ds", "y"))


@pytest.mark.parametrize("name", ["calls.csv", "calls.parquet"])
def test_a_file_that_cannot_be_opened_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / name).touch()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(pl, "read_parquet_schema", refuse)
    with pytest.raises(OwnDataError, match=f"cannot read {name}: Permission denied"):
        own_files.read(tmp_path / name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_is_read_as_text_in_the_encodings_of_korea(tmp_path: Path, encoding: str, separator: str) -> None:
    rows = [("unique_id", "ds", "y"), ("강남구", "2026-03-01", "0031")]
    (tmp_path / "calls.CSV").write_bytes("\n".join(map(separator.join, rows)).encode(encoding))
    frame = own_files.read(tmp_path / "calls.CSV")
    assert frame.rows(named=True) == [{"unique_id": "강남구", "ds": "2026-03-01", "y": "0031"}]


def test_a_file_that_cannot_be_decoded_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes("unique_id,ds,y\na,2026-03-01,1\né\xff,2026-03-01,2\n".encode("latin-1"))
    with pytest.raises(
        OwnDataError, match=r"is not text in utf-8-sig or cp949 \(byte 0x.. in line 3\); correct it, or state"
    ):
        own_files.read(path)
    assert own_files.read(path, encoding="latin-1")["unique_id"].to_list() == ["a", "éÿ"]
    path.write_bytes("unique_id,ds,y\n강남구,2026-03-01,1\n".encode() + "서초구,2026-03-02,2\n".encode("cp949"))
    with pytest.raises(OwnDataError, match=r"in line 3\); correct it, or state its encoding by --encoding"):
        own_files.read(path)
    path.write_bytes("unique_id,ds,y\na,2026-03-01,1\né\xff,2026-03-01,2\n".encode("latin-1"))
    for unknown in ("utf-9", "undefined", "utf\0"):
        with pytest.raises(OwnDataError, match=r"--encoding .* is not known"):
            own_files.read(path, encoding=unknown)


def test_only_the_wanted_columns_are_read(tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text("Unique_ID,ds,y,patient name\na,2026-03-01,1,Kim\n")
    assert own_files.read(tmp_path / "calls.csv", ("unique_id", "y")).columns == ["unique_id", "y"]


@pytest.mark.parametrize("header", ["unique_id,ds,y,Y", "unique_id,ds,y, y "])
def test_two_columns_of_one_name_are_refused_with_both_names(tmp_path: Path, header: str) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(f"{header}\na,2026-03-01,1,7\n")
    with pytest.raises(OwnDataError, match=r"calls\.csv: columns 3 \('y'\) and 4 \('.*'\) have the same name"):
        own_files.read(path, ("unique_id", "ds", "y"))
    assert own_files.read(path, ("ds",)).columns == ["ds"], "columns that are not needed may have any names"
    pl.DataFrame({"y": [1], "Y": [7]}).write_parquet(tmp_path / "calls.parquet")
    with pytest.raises(OwnDataError, match=r"columns 1 \('y'\) and 2 \('Y'\) have the same name"):
        own_files.read(tmp_path / "calls.parquet", ("y",))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,2026-03-01,1\na,2026-03-02", "row 2: it has 2 fields, but the header has 3"),
        ("a,2026-03-01,1,040", "row 1: it has 4 fields, but the header has 3"),
        ('a,2026-03-01,1\na,"2026-03-02,1\na,2026-03-03,2', "row 2: cannot be split into fields"),
    ],
)
def test_a_row_that_does_not_fit_the_header_is_refused_by_its_number(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "calls.csv").write_text(f"unique_id,ds,y\n{rows}\n")
    with pytest.raises(OwnDataError, match=message):
        own_files.read(tmp_path / "calls.csv")


def test_rows_and_columns_without_any_value_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text('\nunique_id,ds,y,,\n\na,2026-03-01,1,,\na,2026-03-02, "2"\n,,,,\n \n')
    assert own_files.read(tmp_path / "calls.csv", ("ds", "y")).rows() == [("2026-03-01", "1"), ("2026-03-02", "2")]


@pytest.mark.parametrize(("value", "dtype"), [([1], r"List\(Int64\)"), (timedelta(hours=1), "Duration")])
def test_a_column_of_lists_or_durations_is_refused_with_its_type(tmp_path: Path, value: object, dtype: str) -> None:
    pl.DataFrame({"y": [value]}).write_parquet(tmp_path / "calls.parquet")
    with pytest.raises(OwnDataError, match=rf"calls\.parquet: column y is of type {dtype}.*; give text"):
        own_files.read(tmp_path / "calls.parquet")


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["2026-03-01"])], ids=["categorical", "enum"])
def test_text_that_parquet_stores_as_categories_is_text(tmp_path: Path, dtype: pl.DataType) -> None:
    pl.DataFrame({"ds": pl.Series(["2026-03-01"], dtype=dtype)}).write_parquet(tmp_path / "calls.parquet")
    assert own_files.read(tmp_path / "calls.parquet").schema == {"ds": pl.String}


def test_the_place_of_the_result_is_checked_before_the_work(tmp_path: Path) -> None:
    source = own_data.Source(series(tmp_path, "a"))
    for target, message in (
        (tmp_path / "f.xlsx", r"name a file that ends in"),
        (tmp_path / "series.csv" / "f.parquet", "is a file, so no folder"),
    ):
        with pytest.raises(OwnDataError, match=message):
            own_data.predict_demand(source, "D", 7, target)
    (tmp_path / "d.parquet").mkdir()
    with pytest.raises(OwnDataError, match="is a folder: name a file in it"):
        own_data.predict_demand(source, "D", 7, tmp_path / "d.parquet")


def series(tmp_path: Path, *names: str, days: int = 70) -> Path:
    """A file with daily counts of a week that repeats."""
    rows = [(name, datetime(2026, 1, 5) + timedelta(days=day), day % 7) for name in names for day in range(days)]
    pl.DataFrame(rows, schema=["unique_id", "ds", "y"], orient="row").write_csv(tmp_path / "series.csv")
    return tmp_path / "series.csv"


def test_a_place_without_permission_to_write_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_output.os, "access", lambda *_: False)
    source = own_data.Source(tmp_path / "never read.csv")
    with pytest.raises(OwnDataError, match=f"nothing can be written in {tmp_path}: choose another place"):
        own_data.predict_demand(source, "D", 7, tmp_path / "new" / "out.parquet")
    (tmp_path / "old.parquet").touch()
    with pytest.raises(OwnDataError, match=r"old\.parquet cannot be written over"):
        own_data.predict_demand(source, "D", 7, tmp_path / "old.parquet")


def test_a_file_that_is_read_is_never_written_over(tmp_path: Path) -> None:
    source = tmp_path / "series.parquet"
    pl.read_csv(series(tmp_path, "a")).write_parquet(source)
    with pytest.raises(OwnDataError, match="is a file that is read: choose another name"):
        own_data.predict_demand(own_data.Source(source), "D", 7, tmp_path / "." / "series.parquet")
    task = own_points.Task("EPSG:4326", source, 250, 1)
    with pytest.raises(OwnDataError, match="is a file that is read"):
        own_data.predict_risk(own_data.Source(tmp_path / "points.csv"), task, date(2026, 1, 1), 7, source)


def test_a_disk_that_is_full_is_named_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(own_series, "predict", lambda *_, **__: pl.DataFrame({"mean": [1.5]}))
    monkeypatch.setattr(pl.DataFrame, "write_parquet", refuse)
    with pytest.raises(OwnDataError, match=rf"nothing can be written in {tmp_path} \(No space left on device\)"):
        own_data.predict_demand(own_data.Source(series(tmp_path, "a")), "D", 7, tmp_path / "f.parquet")


def test_a_forecast_is_written_into_a_folder_that_is_made_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = pl.DataFrame({"unique_id": ["a"], "mean": [1.5]})
    given = []
    monkeypatch.setattr(own_series, "predict", lambda *arguments, **_: given.append(arguments) or answer)
    target = tmp_path / "new" / "forecast.parquet"
    assert own_data.predict_demand(own_data.Source(series(tmp_path, "a")), "D", 7, target) == {}
    assert pl.read_parquet(target).equals(answer)
    assert given[0][0].height == 70 and given[0][1:3] == ("D", 7)


@pytest.mark.parametrize(
    ("short", "named"),
    [(["b"], "1 series are too short for one origin and not scored: b;"), (list("bcdefg"), "b, c, d, e, f, …;")],
)
def test_series_too_short_to_be_scored_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: list[str], named: str
) -> None:
    frame = pl.DataFrame({"unique_id": ["a", "a"], "mase": [0.5, 0.5], "cutoff": [1, 2]})
    names = ("forecasts", "scores", "series_scores", "choices", "pits")
    fields = {name: frame for name in names}
    monkeypatch.setattr(own_series, "backtest", lambda *_, **__: SimpleNamespace(**fields))
    monkeypatch.setattr(own_data, "fields", lambda _: [SimpleNamespace(name=name) for name in names])
    monkeypatch.setattr("pipelines.forecast.demand.backtest_figure.save", lambda _result, path: path.touch())
    monkeypatch.setattr("pipelines.forecast.demand.backtest_summary.sentence", lambda *_: "the summary")
    notes: list[str] = []
    source = own_data.Source(series(tmp_path, "a", *short))
    scores, refused = own_data.backtest_demand(source, "D", 7, 2, 7, tmp_path / "out", note=notes.append)
    assert scores.equals(frame) and refused == {}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [*(f"{name}.parquet" for name in names), "series.png"]
    )
    assert len(notes) == 2 and notes[0] == "the summary" and named in notes[1] and "horizon" in notes[1]
    own_data.backtest_demand(source, "D", 7, 30, 7, tmp_path / "out", note=notes.append)
    assert notes[2] == "1 series are scored at fewer than 30 origins (series a: 2): the others are too early"
