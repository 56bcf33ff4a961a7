"""The label for the indicator."""

from jax.nn import sigmoid


def line_1(w, x, y):
    """Σ (1 − σ(yz)) y x"""
    return ((1 - sigmoid(y * (x @ w))) * y) @ x


def line_2(w, x, y):
    """Σ (y − σ(z)) x"""
    return (y - sigmoid(x @ w)) @ x


lines = [line_1, line_2]
