"""Statistics shared by several patterns."""
