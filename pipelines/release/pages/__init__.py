"""Pages of a release: the briefing, its sections and pictures, and the quality report."""
