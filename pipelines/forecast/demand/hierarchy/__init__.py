"""Forecasts that are additive over areas and hours."""
