"""Lines as expressions, put to the prover."""
