"""First wrong step: derivations with one wrong step each, and a scorer."""
