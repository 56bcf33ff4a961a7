"""Mistakes to be found and rewrites to be let pass: the judge put on trial."""
