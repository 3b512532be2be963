"""Schema drift: a source changes its format without notice, and the change is reported.

An undeclared column is kept in ``_extra`` and reported. A changed code list or unit shows in the share of rows
that break a rule which single rows may break: a few new words are counted and mapped to other, but when most words are
new, the code list has changed and the batch is rejected.
"""

import io

import polars as pl

from pipelines.quality import suites

UNKNOWN = {"column": pl.String, "rows": pl.Int64}
FEWEST_ROWS = 50
"""Below this number of rows, a share is not meaningful."""


def unknown_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the undeclared columns of a conformed frame with any value: ``column, rows`` (with a value), by name."""
    kept = frame["_extra"].drop_nulls()
    if kept.is_empty():
        return pl.DataFrame(schema=UNKNOWN)
    lines = io.BytesIO("\n".join(kept.to_list()).encode())
    counts = pl.read_ndjson(lines, infer_schema_length=None).count()
    by_column = counts.transpose(include_header=True, header_name="column", column_names=["rows"])
    counted = by_column.select(pl.col("column"), pl.col("rows").cast(pl.Int64))
    return counted.filter(pl.col("rows") > 0).sort("column")


def refusal(suite: str, results: pl.DataFrame) -> str:
    """Return why a whole batch must be rejected for the share of rows that break a rule; empty if it is accepted.

    A rule sets its limit as ``reject_above`` in its ``meta``. ``results`` has the columns of `quality.RESULTS`, summed
    over the batch. Batches of fewer than `FEWEST_ROWS` rows pass.
    """
    limits = [
        (rule["type"], rule["kwargs"]["column"], rule["meta"]["reason"], rule["meta"]["reject_above"])
        for rule in suites.suite(suite)["expectations"]
        if "reject_above" in rule.get("meta", {})
    ]
    schema = {"expectation": pl.String, "column": pl.String, "reason": pl.String, "limit": pl.Float64}
    broken = (
        results.join(pl.DataFrame(limits, schema=schema, orient="row"), on=["expectation", "column", "reason"])
        .filter((pl.col("checked") >= FEWEST_ROWS) & (pl.col("failed") > pl.col("checked") * pl.col("limit")))
        .sort("column")
    )
    return "; ".join(
        f"{row['failed']} of {row['checked']} rows break the rule on {row['column']} ({row['reason']}), more than "
        f"{row['limit']:.0%}: the source's code list or unit has changed; amend the profile and the suite"
        for row in broken.iter_rows(named=True)
    )
