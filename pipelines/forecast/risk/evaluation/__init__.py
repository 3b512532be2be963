"""Evaluate risk forecasts: rolling origins, hit rates, curves, calibration."""
