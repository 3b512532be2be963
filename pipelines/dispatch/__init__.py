"""Dispatch plans: workload, staffing and, later, coverage and standby posts."""
