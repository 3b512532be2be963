"""Feeds: one module per source, the protocols they share, and the registry."""
