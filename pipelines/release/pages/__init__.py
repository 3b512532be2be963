"""Pages of a release: the briefing, its sections and figures, and the quality report."""
