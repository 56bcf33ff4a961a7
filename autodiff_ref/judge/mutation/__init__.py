"""Mistakes to be found: the judge put on trial."""
