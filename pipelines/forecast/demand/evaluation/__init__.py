"""Evaluate demand forecasts: rolling origins, scores, model selection, calibration."""
