"""Crime patterns: hot spots and, later, near repeats, clusters, emerging hot spots, concentration."""
