"""Quality: Great Expectations suites, gates, corrections, schema drift, future dates, coordinates."""
