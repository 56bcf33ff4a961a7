"""The judge on trial: planted mistakes and right rewrites."""
