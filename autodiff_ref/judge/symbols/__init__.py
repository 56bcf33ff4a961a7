"""Symbols prove: a table for the walker, and a prover in a process of its own."""
