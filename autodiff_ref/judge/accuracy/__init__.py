"""What the computed value of a line is worth, in ulps."""
