"""Anybody's own files: which are read, what is written, and what the messages say."""

from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from pipelines.forecast.demand import own_series
from pipelines.steps import own_data
from pipelines.steps.own_data import OwnDataError


def test_a_file_that_is_missing_or_of_another_kind_is_named_with_what_is_possible(tmp_path: Path) -> None:
    with pytest.raises(OwnDataError, match=r"none\.csv"):
        own_data.read(tmp_path / "none.csv")
    (tmp_path / "calls.xlsx").touch()
    with pytest.raises(OwnDataError, match=r"cannot read calls\.xlsx: give a \.parquet or \.csv file"):
        own_data.read(tmp_path / "calls.xlsx")


def test_times_of_a_csv_are_read_as_times_only_where_that_is_safe(tmp_path: Path) -> None:
    frame = pl.DataFrame({"ds": ["2026-03-01T05:00:00"], "y": [3]})
    frame.write_csv(tmp_path / "calls.csv")
    assert own_data.read(tmp_path / "calls.csv")["ds"].to_list() == [datetime(2026, 3, 1, 5)]
    assert own_data.read(tmp_path / "calls.csv", is_dated=False).equals(frame)
    frame.write_parquet(tmp_path / "calls.parquet")
    assert own_data.read(tmp_path / "calls.parquet").equals(frame)


def series(tmp_path: Path, *names: str, days: int = 70) -> Path:
    """A file with daily counts of a week that repeats."""
    rows = [(name, datetime(2026, 1, 5) + timedelta(days=day), day % 7) for name in names for day in range(days)]
    pl.DataFrame(rows, schema=["unique_id", "ds", "y"], orient="row").write_csv(tmp_path / "series.csv")
    return tmp_path / "series.csv"


def test_a_forecast_is_written_into_a_folder_that_is_made_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = pl.DataFrame({"unique_id": ["a"], "mean": [1.5]})
    given = []
    monkeypatch.setattr(own_series, "predict", lambda *arguments: given.append(arguments) or answer)
    target = tmp_path / "new" / "forecast.parquet"
    own_data.predict_demand(series(tmp_path, "a"), "D", 7, target)
    assert pl.read_parquet(target).equals(answer)
    assert given[0][0].height == 70 and given[0][1:3] == ("D", 7)


@pytest.mark.parametrize(
    ("short", "named"),
    [(["b"], "1 series are too short for one origin and not scored: b;"), (list("bcdefg"), "b, c, d, e, f, …;")],
)
def test_series_too_short_to_be_scored_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: list[str], named: str
) -> None:
    frame = pl.DataFrame({"unique_id": ["a"], "mase": [0.5]})
    names = ("forecasts", "scores", "series_scores", "choices", "pits")
    fields = {name: frame for name in names}
    monkeypatch.setattr(own_series, "backtest", lambda *_: SimpleNamespace(**fields))
    monkeypatch.setattr(own_data, "fields", lambda _: [SimpleNamespace(name=name) for name in names])
    monkeypatch.setattr("pipelines.forecast.demand.backtest_figure.save", lambda _found, path: path.touch())
    notes: list[str] = []
    scores = own_data.backtest_demand(series(tmp_path, "a", *short), "D", 7, 2, 7, tmp_path / "out", note=notes.append)
    assert scores.equals(frame)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [*(f"{name}.parquet" for name in names), "series.png"]
    )
    assert len(notes) == 1 and named in notes[0] and "horizon" in notes[0]
