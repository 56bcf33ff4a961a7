"""Floats with running rounding-error bounds: a table for the walker."""
