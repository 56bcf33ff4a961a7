"""The command `manual-grad`: what it is told, what it prints, and how it ends."""
