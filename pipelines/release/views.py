"""The views that releases are made of: files of ``sql/views``, and tables shown as they are."""

from collections.abc import Collection

import duckdb

from pipelines.schema import check
from pipelines.schema.dictionary import pass_through_views
from pipelines.store import warehouse


def build(con: duckdb.DuckDBPyConnection, names: Collection[str] | None = None) -> dict[str, set[str]]:
    """Build the views, or those named, as tables of schema ``views``; returns what each was made from.

    Raises:
        DictionaryError: a view and the dictionary differ.
    """
    selects = pass_through_views() | warehouse.selects("views")
    edges = warehouse.run_selects(
        con, "views", {name: select for name, select in selects.items() if names is None or name in names}
    )
    check.check(con, "views")
    return edges
