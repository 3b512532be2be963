"""Forecasts of emergency demand and of place-based risk."""
