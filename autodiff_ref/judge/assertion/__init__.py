"""Assertions for anyone's tests."""
