"""Statistics that several patterns share."""
