"""Protocols for reading sources: HTTP, paging, file drops."""
