"""Quality suites: failing rows by number, exceptions as failed runs, failed gates."""

import json
from typing import Any

import polars as pl
import pytest

from pipelines.config import paths
from pipelines.config.settings import Settings
from pipelines.quality import gates, suites
from pipelines.store import warehouse


def write_suite(name: str, *rules: dict[str, Any]) -> None:
    (paths.EXPECTATIONS / f"{name}.json").write_text(json.dumps({"name": name, "expectations": rules}))


def rule(kind: str, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {"reason": f"broke {kind}"}}


ROWS = pl.DataFrame({"_row": [0, 1, 2, 3], "a": [1, None, 300, 4], "b": [5, 5, 5, 1]})


@pytest.mark.usefixtures("settings")
class TestRowSuites:
    def test_column_and_pair_rules_give_the_numbers_of_the_failing_rows(self) -> None:
        write_suite(
            "calls",
            rule("expect_column_values_to_not_be_null", column="a"),
            rule("expect_column_values_to_be_between", column="a", max_value=100),
            rule(
                "expect_column_pair_values_a_to_be_greater_than_b",
                column_A="b",
                column_B="a",
                ignore_row_if="either_value_is_missing",
            ),
        )
        verdict = suites.validate_rows("calls", ROWS)
        assert verdict.failures.sort("_row", "expectation")["_row"].to_list() == [1, 2, 2, 3]
        assert verdict.accepted["_row"].to_list() == [0]

    def test_a_warning_is_counted_and_diverts_nothing(self) -> None:
        write_suite("calls", rule("expect_column_values_to_be_between", "warning", column="a", max_value=100))
        verdict = suites.validate_rows("calls", ROWS)
        assert verdict.accepted.height == 4
        assert verdict.results["failed"].to_list() == [1]

    def test_repeated_and_missing_keys_are_handled(self) -> None:
        write_suite("calls", rule("expect_column_values_to_be_in_set", column="a", value_set=[7]))
        rows = pl.DataFrame({"_row": [0, 1, 2, 3], "a": [7, 7, 8, 8]})
        assert suites.validate_rows("calls", rows).accepted["_row"].to_list() == [0, 1]

    def test_a_rule_on_a_missing_column_fails_the_run_and_no_row(self) -> None:
        write_suite("calls", rule("expect_column_values_to_not_be_null", column="absent"))
        with pytest.raises(suites.QualityError, match="absent"):
            suites.validate_rows("calls", ROWS)

    def test_a_rule_that_cannot_run_fails_the_run(self) -> None:
        write_suite("calls", rule("expect_column_values_to_be_between", column="a", max_value=100))
        text = ROWS.with_columns(a=pl.Series(["x", "y", "z", "1"]))
        with pytest.raises(suites.QualityError, match="could not run"):
            suites.validate_rows("calls", text)

    def test_chunks_give_the_same_result_as_one_piece(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write_suite("calls", rule("expect_column_values_to_not_be_null", column="a"))
        whole = suites.validate_rows("calls", ROWS)
        monkeypatch.setattr(suites, "CHUNK_ROWS", 2)
        parts = suites.validate_rows("calls", ROWS)
        assert parts.results.equals(whole.results)
        assert parts.accepted.equals(whole.accepted)

    def test_a_large_frame_is_checked_column_by_column_with_the_same_verdict(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = {"type": "comparison", "column": {"name": "b"}, "operator": "!=", "parameter": 0}
        write_suite(
            "calls",
            rule("expect_column_values_to_not_be_null", column="a"),
            rule("expect_column_values_to_be_between", column="a", max_value=100),
            rule("expect_column_values_to_be_between", column="a", min_value=2, row_condition=seen),
            rule("expect_column_values_to_not_be_null", column="b"),
        )
        whole = suites.validate_rows("calls", ROWS)
        monkeypatch.setattr(suites, "LARGE_ROWS", 1)
        parts = suites.validate_rows("calls", ROWS)
        assert parts.accepted.equals(whole.accepted)
        assert parts.failures.sort("_row", "reason").equals(whole.failures.sort("_row", "reason"))
        assert parts.results.sort("column", "checked", "failed", "expectation").equals(
            whole.results.sort("column", "checked", "failed", "expectation")
        )

    def test_an_empty_batch_passes(self) -> None:
        assert suites.validate_rows("calls", ROWS.clear()).accepted.is_empty()


@pytest.mark.usefixtures("settings")
class TestGates:
    def test_a_failed_table_is_emptied_and_held_back_until_it_passes(self, settings: Settings) -> None:
        write_suite("marts.place_checks", rule("expect_column_values_to_be_unique", column="b"))
        with warehouse.connect(settings) as con:
            for again in range(2):
                warehouse.write_frame(con, "marts", "place_checks", ROWS.select("a", "b").head(4 if not again else 1))
                gates.check(con, "marts")
                left = con.execute("select count(*) from marts.place_checks").fetchall()
                expected = {} if again else {"marts.place_checks": "broke expect_column_values_to_be_unique"}
                assert (gates.held_back(con), left) == (expected, [(again,)])

    def test_without_the_table_that_everything_is_made_from_nothing_is_published(self, settings: Settings) -> None:
        write_suite("core.incidents", rule("expect_column_values_to_be_unique", column="b"))
        with warehouse.connect(settings) as con:
            warehouse.write_frame(con, "core", "incidents", ROWS.select("a", "b"))
            with pytest.raises(suites.QualityError, match=r"core\.incidents: broke expect_column_values_to_be_unique"):
                gates.check(con, "core")

    def test_a_warning_passes_the_gate_and_is_counted(self) -> None:
        write_suite("core.incidents", rule("expect_table_row_count_to_be_between", "warning", min_value=100))
        results = suites.validate_table("core.incidents", ROWS)
        assert results["failed"].to_list() == [1] and gates.failure(results) is None


def test_a_missing_suite_is_an_error_that_names_the_file(settings: Settings) -> None:
    with pytest.raises(suites.QualityError, match=r"none\.json is missing"):
        suites.suite("none")
