"""Sources that a profile alone declares: one module serves all places."""
