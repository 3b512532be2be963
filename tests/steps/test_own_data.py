"""Your own data: files that go with a series, and the output folder of a backtest of risk."""

from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from pipelines.forecast.demand.series import SeriesError
from pipelines.forecast.risk.own_points import Task
from pipelines.steps import own_data
from tests.forecast.demand.test_own_series import START, four, series
from tests.forecast.risk.test_own_points import boundary, some


def test_a_backtest_of_risk_writes_its_tables_and_figures(tmp_path: Path) -> None:
    some(category=pl.lit("<a & b>")).write_parquet(tmp_path / "points.parquet")
    task = Task("EPSG:26917", boundary(tmp_path), 250, 0.3)
    folder = tmp_path / "out"
    scores = own_data.backtest_risk(
        own_data.Source(tmp_path / "points.parquet"), task, date(2025, 12, 20), 7, 2, 7, folder
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "calibration.parquet", "calibration.svg", "curves.parquet", "curves.svg", "scores.parquet", "windows.parquet",
    ]  # fmt: skip
    assert pl.read_parquet(folder / "scores.parquet").equals(scores)
    curve = pl.read_parquet(folder / "curves.parquet")
    assert set(curve["model"]) == {"stack", "best_count", "prospective"} and set(curve["category"]) == {"<a & b>"}
    for name in ("curves", "calibration"):
        drawn = ElementTree.parse(folder / f"{name}.svg").getroot()
        words = {element.text for element in drawn.iter() if element.tag.endswith("text")}
        assert "<a & b>" in words, "a category's name is written and cannot break out"


def hierarchy_of(folder: Path, frame: pl.DataFrame, *rows: str) -> own_data.Source:
    """A series and its parents as files; ``rows`` are written as in a CSV."""
    frame.write_parquet(folder / "series.parquet")
    (folder / "parents.csv").write_text("\n".join(["child,parent", *rows]), "utf-8")
    return own_data.Source(folder / "series.parquet", hierarchy=folder / "parents.csv")


def test_parents_are_written_with_the_series_and_those_that_cannot_be_are_named(tmp_path: Path) -> None:
    short = series(24 * 19, timedelta(hours=1), name="e")
    source = hierarchy_of(tmp_path, pl.concat([four(24 * 20), short]), "a,x", "b,x", "e,y", "x,top", "y,top")
    refused = own_data.predict_demand(source, "h", 6, tmp_path / "out.parquet")
    assert refused.keys() == {"top"} and "end at different times" in refused["top"]
    written = pl.read_parquet(tmp_path / "out.parquet")
    assert written["unique_id"].unique(maintain_order=True).to_list() == ["a", "b", "c", "d", "e", "x", "y"]


def test_a_forecast_is_written_as_csv_with_plain_times(tmp_path: Path) -> None:
    four(24 * 20).write_csv(tmp_path / "series.csv")
    source = own_data.Source(tmp_path / "series.csv")
    for name in ("out.csv", "out.parquet"):
        own_data.predict_demand(source, "h", 6, tmp_path / name)
    written, same = pl.read_csv(tmp_path / "out.csv"), pl.read_parquet(tmp_path / "out.parquet")
    assert written["ds"].to_list() == [f"{ds:%Y-%m-%d %H:%M}" for ds in same["ds"]]
    assert written.drop("ds").equals(same.drop("ds"))


def test_series_are_forecast_where_no_parent_can_be(tmp_path: Path) -> None:
    wrong = pl.DataFrame({"unique_id": "e", "ds": four(24)["ds"][0], "y": -1})
    source = hierarchy_of(tmp_path, pl.concat([four(24 * 20), wrong], how="vertical_relaxed"), "a,x", "e,x")
    refused = own_data.predict_demand(source, "h", 6, tmp_path / "out.parquet")
    assert list(refused) == ["e", "x"] and "its series e was left out" in refused["x"]
    assert pl.read_parquet(tmp_path / "out.parquet")["unique_id"].n_unique() == 4


def test_a_parent_whose_count_is_mostly_unknown_is_noted(tmp_path: Path) -> None:
    gaps = four(24 * 20).filter((pl.col("unique_id") != "a") | (pl.col("ds").dt.hour() % 3 == 2))
    stored: list[str] = []
    own_data.predict_demand(
        hierarchy_of(tmp_path, gaps, "a,x", "b,x"), "h", 6, tmp_path / "o.parquet", note=stored.append
    )
    assert [text for text in stored if text.startswith("parent x: its count is known at 160 of 480 steps")]


def test_the_parents_own_file_is_not_written_over(tmp_path: Path) -> None:
    source = own_data.Source(tmp_path / "s.csv", hierarchy=tmp_path / "h.parquet")
    (tmp_path / "h.parquet").touch()
    with pytest.raises(own_data.OwnDataError, match="is a file that is read"):
        own_data.predict_demand(source, "h", 6, tmp_path / "h.parquet")


def test_an_unknown_child_stops_the_work_before_the_models(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"^parents\.csv, row 2: child z is neither"):
        own_data.predict_demand(hierarchy_of(tmp_path, four(24), "a,x", "z,x"), "h", 6, tmp_path / "o.parquet")


def test_observed_covariates_are_noted_in_a_backtest_once(tmp_path: Path) -> None:
    four(24 * 20).write_parquet(tmp_path / "series.parquet")
    days = pl.DataFrame(
        {"ds": [START + timedelta(days=day) for day in range(21)], "rain": [day % 3 for day in range(21)]}
    )
    days.write_csv(tmp_path / "rain.csv")
    source, stored = own_data.Source(tmp_path / "series.parquet", covariates=tmp_path / "rain.csv"), list[str]()
    own_data.predict_demand(source, "h", 12, tmp_path / "out.parquet", note=stored.append)
    assert not [text for text in stored if "known_at" in text]
    own_data.backtest_demand(source, "h", 12, 2, 12, tmp_path / "out", note=stored.append)
    assert len([text for text in stored if "the scores are an upper bound" in text]) == 1
