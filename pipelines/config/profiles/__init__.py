"""Profiles: one TOML file per place."""
