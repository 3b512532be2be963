"""Corrections: applied while the known error is present, otherwise not applied and reported."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import feeds
from pipelines.config import paths
from pipelines.quality import corrections
from pipelines.quality.corrections import CorrectionError
from tests.conftest import KEYED

ROWS = pl.DataFrame({"id": ["A1", "A1", "B2"], "category": ["theft", "arson", "theft"], "updated": [1, 2, 1]})


def entry(**given: Any) -> dict[str, Any]:
    known = {"key": {"id": "A1"}, "column": "category", "expect": "theft", "value": "burglary"}
    return known | {"reason": "the door was forced", "source": "the police's letter"} | given


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(paths, "EXPECTATIONS", tmp_path)

    def write(*entries: dict[str, Any]) -> None:
        path = tmp_path / "corrections" / "calls.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"corrections": entries}))

    return write


def test_a_feed_without_corrections_is_unchanged(listed: Any) -> None:
    assert corrections.apply(KEYED, ROWS) is ROWS
    assert corrections.version("calls") == ""


def test_a_correction_is_applied_where_its_guard_matches_and_reported_otherwise(listed: Any) -> None:
    listed(entry())
    assert corrections.apply(KEYED, ROWS)["category"].to_list() == ["burglary", "arson", "theft"]
    assert corrections.report(KEYED, ROWS).rows() == [("id=A1", "category", 1, 1)]


def test_applying_twice_equals_applying_once(listed: Any) -> None:
    listed(entry())
    once = corrections.apply(KEYED, ROWS)
    assert corrections.apply(KEYED, once).equals(once)


def test_a_missing_value_can_be_expected_and_be_set(listed: Any) -> None:
    listed(entry(expect=None, value="arson"), entry(column="updated", expect=1, value=None))
    frame = ROWS.with_columns(category=pl.lit(None, pl.String))
    corrected = corrections.apply(KEYED, frame)
    assert corrected["category"].to_list() == ["arson", "arson", None]
    assert corrected["updated"].to_list() == [None, 2, 1]


def test_a_record_may_be_identified_by_several_columns_with_an_empty_one_matching_nothing(listed: Any) -> None:
    listed(entry(key={"id": "A1", "updated": 2}, expect="arson"))
    assert corrections.apply(KEYED, ROWS)["category"].to_list() == ["theft", "burglary", "theft"]


def test_a_record_missing_from_a_batch_is_not_reported(listed: Any) -> None:
    listed(entry(key={"id": "C3"}))
    assert corrections.report(KEYED, ROWS).is_empty()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry(column="klass")], "no column"),
        ([entry(key={})], "key"),
        ([entry(), entry(expect="arson")], "corrected twice"),
        ([entry(reason="")], "reason"),
        ([entry(column="updated", expect=1, value="two")], "not of its type"),
        ([entry(key={"updated": "one"})], "not of its type"),
        ([{name: value for name, value in entry().items() if name != "expect"}], "expect"),
    ],
    ids=["unknown column", "no key", "twice", "no reason", "wrong type", "wrong type of key", "no guard"],
)
def test_an_invalid_file_is_rejected_with_the_entry(listed: Any, entries: list[Any], message: str) -> None:
    listed(*entries)
    with pytest.raises(CorrectionError, match=message):
        corrections.read(KEYED)


def test_the_version_changes_with_the_file(listed: Any) -> None:
    listed(entry())
    before = corrections.version("calls")
    listed(entry(value="robbery"))
    assert before and corrections.version("calls") not in ("", before)


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["theft", "arson", None])), max_size=12))
def test_nothing_but_the_named_values_changes(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "corrections").mkdir()
    (folder / "corrections" / "calls.json").write_text(json.dumps({"corrections": [entry(key={"id": "A"})]}))
    frame = pl.DataFrame(rows, schema={"id": pl.String, "category": pl.String}, orient="row")
    frame = frame.with_columns(updated=pl.lit(1, pl.Int64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "EXPECTATIONS", folder)
        corrected = corrections.apply(KEYED, frame)
    expected = ["burglary" if row == ("A", "theft") else row[1] for row in rows]
    assert corrected["category"].to_list() == expected
    assert corrected.drop("category").equals(frame.drop("category"))


def test_every_shipped_file_fits_its_feed() -> None:
    known = {feed.name: feed for feed in feeds.FEEDS}
    for path in (Path(__file__).parents[2] / "expectations" / "corrections").glob("*.json"):
        corrections.read(known[path.stem])
