"""Lists of compact places that a crew can patrol, by police station area and shift."""
