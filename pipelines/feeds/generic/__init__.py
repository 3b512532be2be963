"""Sources that need only a profile entry: one module serves all places."""
