"""Lines as programs: traced, kept, and taken apart."""
