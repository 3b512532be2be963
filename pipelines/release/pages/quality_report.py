"""The quality report: every expectation with its number of failures, and the row accounting.

Built from the audience's own released file. It shows expectations and counts (for the public: shares), never the
offending values.
"""

from pathlib import Path

import duckdb

from pipelines.release.pages.page import environment


def render(database: Path, audience: str) -> str:
    """Render the report of one audience from its released DuckDB file."""
    with duckdb.connect(database, read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        tables = {name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()}
        checks = "quality_checks" if "quality_checks" in tables else "quality_shares"
        accounts = "accounting" if "accounting" in tables else "accounting_shares"
        rows = con.execute(
            f"from {checks} order by agency nulls last, suite, severity, expectation, checked_column"
        ).pl()
        content = {
            "audience": audience,
            "release": con.execute("from release").pl().to_dicts()[0],
            "has_counts": "quality_checks" in tables,
            "suites": {str(suite): part.to_dicts() for (suite,), part in rows.group_by("suite", maintain_order=True)},
            "accounts": con.execute(f"from {accounts} order by feed").pl().to_dicts(),
            "windows": con.execute(
                "from observation_windows where observation_state <> 'observed' order by feed, from_at nulls first"
            )
            .pl()
            .to_dicts()
            if "observation_windows" in tables
            else [],
            "health": con.execute("from feed_health order by feed").pl().to_dicts(),
        }
    return environment().get_template("quality_report.html.j2").render(content)
