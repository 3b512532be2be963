"""Dispatch plans: workload and staffing."""
