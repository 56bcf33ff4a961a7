"""K classes: log softmax of the right class, and its derivative by the scores, one example a column.

    p_k = e^{z_k} / Σ_j e^{z_j}        log p_y        ∂ log p_y / ∂z_k = I(k = y) − p_k

For two classes with scores (0, z) it is the notes' I(y=1) − σ(z). `manual_grad.extensions.softmax` derives it.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, floats, is_traced, namespace


def softmax(z: Float[Array, "k n"]) -> Float[Array, "k n"]:
    """p_k = e^{z_k} / Σ_j e^{z_j}, a column for each example

    Example:
        >>> softmax([[0.0], [0.0]]).tolist()
        [[0.5], [0.5]]
    """
    xp, z = floats(z)
    e = xp.exp(z - xp.max(z, axis=0))
    return e / xp.sum(e, axis=0)


def log_softmax_and_residual(
    z: Float[Array, "k n"], y: Float[Array, " n"]
) -> tuple[Float[Array, " n"], Float[Array, "k n"]]:
    """log p_y and I(k = y) − p_k, of e_k = e^{z_k − max z}, with o = Σ_{k≠y} e_k

    log p_y = −log(1 + o) where z_y is the largest, else z_y − max z − log Σ e. The residual of the right class is
    o / Σ e, not 1 − p_y: neither loses the digits of a small probability of all other classes together.

    Args:
        z: (k, n), scores, one example a column.
        y: (n,), classes 0, …, k − 1.

    Returns:
        (n,) in nats, and (k, n): log-likelihood per unit of score.

    Example:
        >>> log_p, r = log_softmax_and_residual([[0.0], [0.0]], [1])
        >>> round(float(log_p[0]), 6), r.tolist()
        (-0.693147, [[-0.5], [0.5]])
    """
    xp, z, y = floats(z, y)
    right = xp.arange(z.shape[0], dtype=z.dtype)[:, None] == y
    largest = xp.max(z, axis=0)
    e = xp.exp(z - largest)
    others = xp.sum(xp.where(right, 0, e), axis=0)
    total = xp.sum(e, axis=0)
    of_right = xp.sum(xp.where(right, z - largest, 0), axis=0)
    log_p = xp.where(of_right < 0, of_right - xp.log(total), -xp.log1p(others))
    return log_p, xp.where(right, others, -e) / total


def require_classes(y: Array, k: int) -> None:
    """Raises ValueError unless every label is one of 0, …, k − 1. Traced labels pass."""
    if is_traced(y):
        return
    xp = namespace(y)
    if not bool(xp.all((y >= 0) & (y < k) & (y == xp.round(y)))):
        got = sorted({float(label) for label in xp.unique_values(y)})
        shown = ", ".join(map(str, got[:6])) + (", …" if len(got) > 6 else "")
        raise ValueError(f"labels must be the classes 0 to {k - 1}, one for each output unit, got {{{shown}}}")
