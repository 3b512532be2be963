"""Schema drift: undeclared columns are reported; a batch with new categories is rejected, not mapped to other."""

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.config import paths
from pipelines.feeds.feed import conform
from pipelines.quality import schema_drift, suites
from pipelines.schema import dictionary
from tests.conftest import KEYED

WORDS = ["theft", "arson"]


def rows(*given: dict[str, Any]) -> pl.DataFrame:
    known = {"id": "A1", "category": "theft", "updated": 1}
    return conform(KEYED, pl.DataFrame([known | row for row in given], infer_schema_length=None))


def test_an_undeclared_column_is_reported_with_the_number_of_its_values() -> None:
    frame = rows({"colour": "red", "of": {"nested": 1}}, {"colour": None}, {"colour": "blue\n}", "of": None})
    assert schema_drift.unknown_columns(frame).rows() == [("colour", 2), ("of", 1)]


def test_an_undeclared_column_without_a_value_is_not_reported() -> None:
    assert schema_drift.unknown_columns(rows({"colour": None, "size": 3})).rows() == [("size", 1)]
    assert schema_drift.unknown_columns(rows({"colour": None})).schema == schema_drift.UNKNOWN


def test_declared_columns_are_not_reported() -> None:
    assert schema_drift.unknown_columns(rows({}, {})).rows() == []
    assert schema_drift.unknown_columns(rows({}, {})).schema == schema_drift.UNKNOWN


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    rule = {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": "category", "value_set": WORDS},
        "severity": "warning",
        "meta": {"reason": "an unknown word is counted as other", "reject_above": 0.5},
    }
    (tmp_path / "calls.json").write_text(json.dumps({"name": "calls", "expectations": [rule]}))
    monkeypatch.setattr(paths, "EXPECTATIONS", tmp_path)
    return "calls"


def verdict(suite: str, words: list[str]) -> suites.Verdict:
    frame = pl.DataFrame({"category": words}).with_row_index("_row").with_columns(pl.col("_row").cast(pl.Int64))
    return suites.validate_rows(suite, frame)


def test_a_few_new_words_are_counted_and_kept(suite: str) -> None:
    result = verdict(suite, ["theft"] * 60 + ["drone"] * 40)
    assert result.accepted.height == 100 and result.results["failed"].to_list() == [40]
    assert schema_drift.refusal(suite, result.results) == ""


def test_a_batch_with_new_categories_is_rejected_with_the_rule(suite: str) -> None:
    message = schema_drift.refusal(suite, verdict(suite, ["theft"] * 40 + ["01"] * 60).results)
    assert "60 of 100 rows break the rule on category" in message and "more than 50%" in message


def test_a_share_of_few_rows_is_ignored(suite: str) -> None:
    assert schema_drift.refusal(suite, verdict(suite, ["01"] * 20).results) == ""


@pytest.mark.parametrize("feed", ["police_112", "fire_119", "investigation_cases"])
def test_every_agency_has_a_rule_for_a_new_code_list(feed: str) -> None:
    rules = suites.suite(feed)["expectations"]
    limited = [rule for rule in rules if "reject_above" in rule.get("meta", {})]
    assert limited and all(rule["severity"] == "warning" and rule["meta"]["reason"] for rule in limited)
    assert all(0 < rule["meta"]["reject_above"] < 1 for rule in limited)


def test_undeclared_columns_never_leave_raw() -> None:
    """Undeclared columns may hold anything, even personal data.

    No model reads them, and a release lists its columns.
    """
    models = {path: path.read_text("utf-8") for path in paths.SQL.rglob("*.sql")}
    assert [path.name for path, text in models.items() if re.search(r"\b_extra\b", text)] == []
    beyond = [path.name for path, text in models.items() if path.parent.name != "staging" and " raw." in text]
    assert beyond == [], "only staging reads raw"
    published = {column for table in dictionary.load().tables.values() if table.audiences for column in table.columns}
    assert not {column for column in published if column.startswith("_")}
