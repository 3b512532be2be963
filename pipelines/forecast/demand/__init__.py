"""Emergency demand: series, models, quantiles, scoring."""
