"""How sources are read: HTTP, paging, file drops."""
