"""Continuity: replicate, verify, restore, drill."""
