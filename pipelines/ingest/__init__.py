"""Ingest: fetch, load, merge and account for what feeds deliver."""
