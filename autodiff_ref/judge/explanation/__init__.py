"""By which rule a line follows from the line above."""
