"""Risk by cell and two-hour slot of the week ahead."""
