"""Monitoring: the run log, feed volume and alerts."""
