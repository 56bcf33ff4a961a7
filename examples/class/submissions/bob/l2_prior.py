"""The ½ of the penalty is forgotten."""


def line_1(w, x, y, c):
    """Xᵀ (Xw − y) + 2 c w"""
    return x.T @ (x @ w - y) + 2 * c * w


lines = [line_1]
