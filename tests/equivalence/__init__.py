"""Equivalence: the commit before a refactoring and the working tree build the same tables from the same landing."""
