"""Backward functions in NumPy as courses and teaching code write them, each with one planted mistake."""
