"""Persistent storage: landing, ledger, records, and the warehouse connection."""
