"""Something is left to ∇."""

from jax.nn import sigmoid


def line_1(w, x, y, nabla):
    """Σ (1 − σ(yz)) y ∇z"""
    return ((1 - sigmoid(y * (x @ w))) * y) @ nabla(lambda w, x: x @ w)(w, x)


lines = [line_1]
