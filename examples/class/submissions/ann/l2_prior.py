"""Right."""


def line_1(w, x, y, c):
    """Xᵀ (Xw − y) + c w"""
    return x.T @ (x @ w - y) + c * w


def line_2(w, x, y, c):
    """XᵀX w + c w − Xᵀy"""
    return x.T @ x @ w + c * w - x.T @ y


lines = [line_1, line_2]
