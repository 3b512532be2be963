"""Releases: audiences, dictionary, exports, briefing page."""
