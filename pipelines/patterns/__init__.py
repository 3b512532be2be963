"""Crime patterns: hot spots, near repeats, clusters, emerging hot spots, concentration."""
