"""The views from which releases are built: files of ``sql/views``, stored once for all audiences, and tables shown as
they are, which are not copied.
"""

from collections.abc import Collection

import duckdb

from pipelines.schema import check
from pipelines.schema.dictionary import pass_through_views
from pipelines.store import warehouse


def build(con: duckdb.DuckDBPyConnection, names: Collection[str] | None = None) -> dict[str, set[str]]:
    """Build the views, or only the given ones, in schema ``views``; return the tables that each reads.

    Raises:
        DictionaryError: A view and the dictionary differ.
    """
    shown = pass_through_views()
    selects = shown | warehouse.selects("views")
    # Nothing outlasts a publication here, and a table cannot be replaced by a view.
    con.execute("drop schema views cascade")
    con.execute("create schema views")
    chosen = {name: select for name, select in selects.items() if names is None or name in names}
    edges = warehouse.run_selects(con, "views", chosen, uncopied=shown)
    check.check(con, "views")
    return edges
