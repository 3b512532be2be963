"""Place-based risk: models and selection of cells."""
