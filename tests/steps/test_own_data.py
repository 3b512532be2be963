"""Your own data: the output folder of a backtest of risk."""

from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import polars as pl

from pipelines.forecast.risk.own_points import Task
from pipelines.steps import own_data
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
