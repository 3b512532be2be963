"""The views from which releases are built: files of ``sql/views``, and tables shown unchanged."""

from collections.abc import Collection

import duckdb

from pipelines.schema import check
from pipelines.schema.dictionary import pass_through_views
from pipelines.store import warehouse


def build(con: duckdb.DuckDBPyConnection, names: Collection[str] | None = None) -> dict[str, set[str]]:
    """Build the views, or the given ones, as tables of schema ``views``; return the tables that each reads.

    Raises:
        DictionaryError: A view and the dictionary differ.
    """
    selects = pass_through_views() | warehouse.selects("views")
    edges = warehouse.run_selects(
        con, "views", {name: select for name, select in selects.items() if names is None or name in names}
    )
    check.check(con, "views")
    return edges
