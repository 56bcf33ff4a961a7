"""Products of matrices, equations, factorizations."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from autodiff_ref.judge.torch_code.tracing import Operation, Rule
from autodiff_ref.judge.torch_code.values import NotFollowedError


def _plus_product(c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    return beta * c + alpha * (a @ b)


def turned(x: Any) -> Any:
    """The transposed of each matrix."""
    return jnp.swapaxes(x, -1, -2)


def _is_vector(a: Any, b: Any) -> bool:
    """Whether `b` holds vectors, one for each matrix."""
    return b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])


def _factored(a: Any) -> tuple[Any, Any]:
    """(L and U in one, pivots counted from 1), as LAPACK returns them."""
    lu, pivots, _ = lax.linalg.lu(a)
    return lu, pivots + 1


def _solve(operation: Operation) -> Any:
    """The solution, the factors of the matrix, and that it went well."""
    a, b, *_ = operation.arrays
    left = operation.keywords.get("left", operation.args[2] if len(operation.args) > 2 else True)
    vector = _is_vector(a, b)
    right = b[..., None] if vector else b
    x = jnp.linalg.solve(a, right) if left else turned(jnp.linalg.solve(turned(a), turned(right)))
    return (x[..., 0] if vector else x), *_factored(a), None


def _as_factored(operation: Operation, a: Any) -> Any:
    """What PyTorch factors: the transposed of a matrix that lies row by row."""
    return turned(a) if operation.args[0].is_contiguous() else a


def _lu_solve(lu: Any, pivots: Any, b: Any, left: bool = True, adjoint: bool = False) -> Any:
    n = lu.shape[-1]
    order = lax.linalg.lu_pivots_to_permutation(pivots - 1, n)
    lower, upper = jnp.tril(lu, -1) + jnp.eye(n, dtype=lu.dtype), jnp.triu(lu)
    back = jnp.argsort(order, axis=-1)
    a = jnp.take_along_axis(lower @ upper, back[..., :, None], axis=-2)
    a = turned(a) if adjoint else a
    return jnp.linalg.solve(a, b) if left else turned(jnp.linalg.solve(turned(a), turned(b)))


def _determinant(operation: Operation) -> Any:
    a = operation.arrays[0]
    return jnp.linalg.det(a), *_factored(_as_factored(operation, a))


def _log_determinant(operation: Operation) -> Any:
    a = operation.arrays[0]
    sign, log = jnp.linalg.slogdet(a)
    return sign, log, *_factored(_as_factored(operation, a))


def _as_returned(vectors: Any, returned: Any, axis: int) -> Any:
    """Vectors, of which each or its negative is right, with the signs that PyTorch gave them."""
    alike = jnp.sum(vectors * jnp.asarray(returned), axis=axis, keepdims=True)
    return vectors * jnp.where(alike < 0, -1.0, 1.0).astype(vectors.dtype)


def _eigenvectors(operation: Operation) -> Any:
    a = operation.arrays[0]
    lower = operation.args[1] if len(operation.args) > 1 else operation.keywords.get("UPLO", "L")
    triangle = jnp.tril(a) if lower == "L" else jnp.triu(a)
    whole = triangle + turned(triangle) - triangle * jnp.eye(a.shape[-1], dtype=a.dtype)
    values, vectors = jnp.linalg.eigh(whole, symmetrize_input=False)
    returned = operation.out[1]
    return values, (_as_returned(vectors, returned.numpy(), -2) if returned.numel() else None)


def _singular_vectors(operation: Operation) -> Any:
    a, (u, _, vh) = operation.arrays[0], operation.out
    if u.numel() and max(u.shape[-1], vh.shape[-2]) > min(a.shape[-2:]):
        raise NotFollowedError(
            "_linalg_svd", "full_matrices=True for a matrix that is not square: vectors of its null space"
        )
    left, values, right = jnp.linalg.svd(a, full_matrices=False)
    if not u.numel():
        return None, values, None
    alike = jnp.sum(left * jnp.asarray(u.numpy()), axis=-2, keepdims=True)
    signs = jnp.where(alike < 0, -1.0, 1.0).astype(a.dtype)
    return left * signs, values, right * turned(signs)[..., : right.shape[-2], :]


def _orthogonal(operation: Operation) -> Any:
    a, (q, _) = operation.arrays[0], operation.out
    mode = operation.args[1] if len(operation.args) > 1 else operation.keywords.get("mode", "reduced")
    ours, r = jnp.linalg.qr(a, mode="complete" if mode == "complete" else "reduced")
    alike = jnp.sum(ours * jnp.asarray(q.numpy()), axis=-2, keepdims=True)
    signs = jnp.where(alike < 0, -1.0, 1.0).astype(a.dtype)
    return ours * signs, r * turned(signs)[..., : r.shape[-2], :]


def _cholesky(a: Any, upper: bool = False, check_errors: bool = False) -> Any:
    del check_errors
    lower = lax.linalg.cholesky(turned(a) if upper else a, symmetrize_input=False)
    return (turned(lower) if upper else lower), None


def _triangular(a: Any, b: Any, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
    batch = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = jnp.broadcast_to(a, batch + a.shape[-2:]), jnp.broadcast_to(b, batch + b.shape[-2:])
    return lax.linalg.triangular_solve(a, b, left_side=left, lower=not upper, unit_diagonal=unitriangular)


def _cholesky_solve(b: Any, factor: Any, upper: bool = False) -> Any:
    lower = turned(factor) if upper else factor
    half = lax.linalg.triangular_solve(lower, b, left_side=True, lower=True)
    return lax.linalg.triangular_solve(lower, half, left_side=True, lower=True, transpose_a=True)


def _triangular_solve(b: Any, a: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False) -> Any:
    """The one of old, which takes the matrix last and gives it back."""
    return _triangular(turned(a) if transpose else a, b, upper != transpose, unitriangular=unitriangular), a


def _least_squares(a: Any, b: Any, *_: Any, **__: Any) -> Any:
    """The solution, where the matrix has full rank: of least squares for a tall one, the shortest for a wide one."""
    t = turned(a)
    found = jnp.linalg.solve(t @ a, t @ b) if a.shape[-2] >= a.shape[-1] else t @ jnp.linalg.solve(a @ t, b)
    return found, None, None, None


def _pseudo_inverse(a: Any, *_: Any, **__: Any) -> Any:
    return _least_squares(a, jnp.eye(a.shape[-2], dtype=a.dtype))[0]


def _trilinear(a: Any, b: Any, c: Any, *expanded: Any) -> Any:
    *new, summed = expanded[:4]
    a, b, c = (jnp.expand_dims(x, tuple(axes)) for x, axes in zip((a, b, c), new, strict=True))
    return jnp.sum(a * b * c, axis=tuple(summed))


def _distances(a: Any, b: Any, p: float, mode: Any = None) -> Any:
    del mode
    gaps = jnp.abs(a[..., :, None, :] - b[..., None, :, :])
    if p == 2:
        return jnp.sqrt(jnp.sum(gaps * gaps, axis=-1))
    if p == 1:
        return jnp.sum(gaps, axis=-1)
    return jnp.max(gaps, axis=-1) if p == float("inf") else jnp.sum(gaps**p, axis=-1) ** (1 / p)


def _distances_backward(g: Any, a: Any, b: Any, p: float, distances: Any) -> Any:
    gaps = a[..., :, None, :] - b[..., None, :, :]
    if p == 1:
        slopes = jnp.sign(gaps)
    elif p == 2:
        slopes = jnp.where(distances[..., None] == 0, 0.0, gaps / jnp.where(distances == 0, 1, distances)[..., None])
    else:
        _, pull = jax.vjp(lambda a: _distances(a, b, p), a)
        return pull(g)[0]
    return jnp.sum(g[..., None] * slopes, axis=-2)


ALGEBRA: dict[str, Rule] = {
    **dict.fromkeys(("mm", "bmm", "mv"), jnp.matmul),
    "dot": jnp.dot,
    "vdot": jnp.vdot,
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _plus_product),
    "linalg_cross": lambda a, b, dim=-1: jnp.cross(a, b, axis=dim),
    "linalg_inv_ex": lambda a, **_: (jnp.linalg.inv(a), None),
    "linalg_cholesky_ex": _cholesky,
    "cholesky": lambda a, upper=False: _cholesky(a, upper)[0],
    "cholesky_solve": _cholesky_solve,
    "linalg_solve_triangular": _triangular,
    "triangular_solve": _triangular_solve,
    "linalg_lstsq": _least_squares,
    "linalg_pinv": _pseudo_inverse,
    "_trilinear": _trilinear,
    "linalg_lu_solve": _lu_solve,
    "_cdist_forward": _distances,
    "_cdist_backward": _distances_backward,
}

ALGEBRA_WHOLE: dict[str, Rule] = {
    "_linalg_solve_ex": _solve,
    "_linalg_det": _determinant,
    "_linalg_slogdet": _log_determinant,
    "_linalg_eigh": _eigenvectors,
    "_linalg_svd": _singular_vectors,
    "linalg_qr": _orthogonal,
}
