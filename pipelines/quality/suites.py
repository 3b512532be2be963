"""Check frames against the suites in ``expectations/``. The only module that imports great_expectations.

Row suites (one per raw feed) divert failing rows; gates (one per gated table) allow or block a release. Suites run on
pandas frames in bounded chunks, in a separate ephemeral context: Great Expectations has no Polars source, and its
DuckDB source raises an exception for every expectation. An exception inside a result is a failed run, never a failed
row. Text stays in Arrow columns, and the row-by-row code of Great Expectations is replaced (`_great_expectations`): it
took three quarters of the time of a check.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from pipelines.config import paths
from pipelines.config.errors import BongsuError

if TYPE_CHECKING:
    import pandas as pd

CHUNK_ROWS = 500_000
LARGE_ROWS = 100_000


class QualityError(BongsuError):
    """Report that a suite could not be run, or that a gate failed: which expectation, on what, and why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row suite's result for a batch.

    ``accepted`` is the frame without the failing rows; ``failures`` has ``_row, expectation, reason``, one row per
    failing row and critical expectation; ``results`` has ``expectation, column, severity, reason, checked, failed``.
    """

    accepted: pl.DataFrame
    failures: pl.DataFrame
    results: pl.DataFrame


FAILURES = {"_row": pl.Int64, "expectation": pl.String, "reason": pl.String}
RESULTS = {
    "expectation": pl.String,
    "column": pl.String,
    "severity": pl.String,
    "reason": pl.String,
    "checked": pl.Int64,
    "failed": pl.Int64,
}


def suite(name: str) -> dict[str, Any]:
    """Read ``expectations/<name>.json``.

    Raises:
        QualityError: It does not exist.
    """
    path = paths.EXPECTATIONS / f"{name}.json"
    if not path.is_file():
        raise QualityError(f"{path} is missing: every raw feed and gated table needs a suite")
    content: dict[str, Any] = orjson.loads(path.read_bytes())
    return content


def suite_version(name: str) -> str:
    """Return a short hash that changes when the rules of a suite change, so that quarantined rows are tried again."""
    return hashlib.sha256((paths.EXPECTATIONS / f"{name}.json").read_bytes()).hexdigest()[:12]


def validate_rows(name: str, frame: pl.DataFrame) -> Verdict:
    """Check a frame with a running ``_row`` against a raw feed's suite.

    A row that fails an expectation of severity critical is diverted; other severities are counted only.

    Raises:
        QualityError: An expectation raised an exception (a missing column, a rule that cannot run).
    """
    rules = suite(name)
    failures, results = [pl.DataFrame(schema=FAILURES)], []
    for chunk in _chunks(frame):
        for result in _run(rules, chunk, index="_row"):
            described = _describe(result)
            results.append(described)
            rows = [item["_row"] for item in result["result"].get("unexpected_index_list") or []]
            if described["severity"] == "critical" and rows:
                failures.append(
                    pl.DataFrame({"_row": rows}, schema={"_row": pl.Int64}).with_columns(
                        expectation=pl.lit(described["expectation"]), reason=pl.lit(described["reason"])
                    )
                )
    failed = pl.concat(failures)
    accepted = frame.join(failed.select("_row").unique(), on="_row", how="anti")
    return Verdict(accepted, failed, summed(pl.DataFrame(results, schema=RESULTS)))


def validate_table(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Check a finished table against its suite; return the columns of ``Verdict.results`` and ``success``."""
    results = [_describe(result) | {"success": result["success"]} for result in _run(suite(name), frame, index=None)]
    return pl.DataFrame(results, schema=RESULTS | {"success": pl.Boolean})


def summed(results: pl.DataFrame) -> pl.DataFrame:
    """Combine the results of several chunks into one result."""
    expectation = ("expectation", "column", "severity", "reason")
    return results.group_by(*expectation, maintain_order=True).agg(pl.col("checked", "failed").sum())


def columns_of(name: str) -> list[str]:
    """Return the columns that a suite reads."""
    return sorted({column for rule in suite(name)["expectations"] for column in _read_by(rule)})


def _read_by(rule: dict[str, Any]) -> tuple[str, ...]:
    """Return the columns that a rule reads; a rule on the whole table reads none."""
    kwargs = rule["kwargs"]
    named = {kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs}
    named |= set(kwargs.get("column_list", []))
    condition = kwargs.get("row_condition", {}).get("column")
    return tuple(sorted(named | ({condition["name"]} if condition else set())))


def _chunks(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for start in range(0, frame.height, CHUNK_ROWS):
        yield frame.slice(start, CHUNK_ROWS)


def _run(rules: dict[str, Any], frame: pl.DataFrame, index: str | None) -> Iterator[dict[str, Any]]:
    """Yield the results of all rules."""
    gx = _great_expectations()
    from great_expectations.data_context.types import base as context_types

    missing = [column for column in columns_of(rules["name"]) if column not in frame.columns]
    if missing:
        raise QualityError(f"suite {rules['name']} reads columns that the frame lacks: {missing}")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = context_types.ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("frames")
    wanted_format: dict[str, Any] = {"result_format": "COMPLETE" if index else "SUMMARY"}
    if index:
        wanted_format["unexpected_index_column_names"] = [index]
    batch = source.add_dataframe_asset("frame").add_batch_definition_whole_dataframe("whole")
    for columns, chosen in _grouped(rules, frame.height):
        part = frame.select([*columns, *([index] if index else [])] or frame.columns[:1])
        answer = batch.get_batch({"dataframe": _pandas(part)}).validate(
            gx.ExpectationSuite(name=rules["name"], expectations=chosen), result_format=wanted_format
        )
        for result in answer.to_json_dict()["results"]:
            if problem := _exception(result["exception_info"]):
                raise QualityError(
                    f"suite {rules['name']}: {result['expectation_config']['type']} could not run: {problem}"
                )
            yield result


def _grouped(rules: dict[str, Any], rows: int) -> list[tuple[Sequence[str], list[dict[str, Any]]]]:
    """Group the rules to run together, with the columns that they read.

    Great Expectations copies all columns of a frame for every rule that skips nulls, so a large frame is reduced to the
    columns of each rule. For a small one that is not worth the fifth of a second that more validations take.
    """
    if rows < LARGE_ROWS:
        return [(columns_of(rules["name"]), rules["expectations"])]
    ordered = sorted(rules["expectations"], key=_read_by)
    return [(columns, list(chosen)) for columns, chosen in groupby(ordered, key=_read_by)]


def _pandas(frame: pl.DataFrame) -> "pd.DataFrame":
    """Convert a frame for Great Expectations.

    Text becomes Arrow columns, and numbers NumPy columns, which it compares in bulk.
    """
    texts = frame.select(pl.col(pl.String)).to_pandas(use_pyarrow_extension_array=True)
    others = frame.select(pl.exclude(pl.String)).to_pandas()
    joined = others.join(texts) if others.shape[1] else texts
    return joined[frame.columns]


@cache
def _great_expectations() -> Any:
    """Set up Great Expectations without analytics, log output, frame fingerprints or row-by-row regular expressions."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types import base as context_types
    from great_expectations.execution_engine import PandasExecutionEngine, pandas_execution_engine
    from great_expectations.expectations import registry
    from great_expectations.expectations.metrics.map_metric_provider import (
        ColumnMapMetricProvider,
        column_condition_partial,
    )

    # These modules set their own level to INFO, so the package's level does not apply to them.
    context_types.logger.setLevel(logging.WARNING)
    registry.logger.setLevel(logging.ERROR)
    pandas_execution_engine.HASH_THRESHOLD = 0

    class _Matches(ColumnMapMetricProvider):  # type: ignore[misc]  # registers itself
        condition_metric_name = "column_values.match_regex"
        condition_value_keys = ("regex",)

        @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
        def _pandas(cls, column: "pd.Series[str]", regex: str, **_: Any) -> "pd.Series[bool]":
            return column.str.contains(regex)

    return gx


def _exception(info: dict[str, Any]) -> str | None:
    """Return the message of an exception in a result: flat, or nested by metric."""
    nested = [info] if "raised_exception" in info else list(info.values())
    raised = [str(item["exception_message"]) for item in nested if item.get("raised_exception")]
    return raised[0] if raised else None


def _describe(result: dict[str, Any]) -> dict[str, Any]:
    rule, outcome = result["expectation_config"], result["result"]
    kwargs = rule["kwargs"]
    pair = [str(kwargs[key]) for key in ("column", "column_A", "column_B") if key in kwargs]
    failed = outcome.get("unexpected_count", 0 if result["success"] else 1)
    return {
        "expectation": rule["type"],
        "column": ", ".join(pair or kwargs.get("column_list", [])),
        "severity": rule.get("severity") or "critical",
        "reason": rule.get("meta", {}).get("reason", rule["type"]),
        "checked": outcome.get("element_count", 1),
        "failed": failed,
    }
