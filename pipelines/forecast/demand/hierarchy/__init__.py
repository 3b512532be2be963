"""Forecasts that add up over areas and hours."""
