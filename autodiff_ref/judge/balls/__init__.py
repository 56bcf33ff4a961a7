"""Ball arithmetic: a table for the walker in which every real is an Arb ball, an interval sure to hold the true value."""

from autodiff_ref.judge.balls.context import Context, exact, precision
from autodiff_ref.judge.balls.table import BALLS, BallTable

__all__ = ["BALLS", "BallTable", "Context", "exact", "precision"]
