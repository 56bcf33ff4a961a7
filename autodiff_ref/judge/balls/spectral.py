"""Eigenvalues, singular values and QR factors, over balls.

What eigenvectors and singular vectors are is left open up to their signs: here the first entry of each that is a millionth
of the largest one or more is positive. A line that depends on signs is judged by these, and so agrees with another that
depends on them in the same way. Where eigenvalues coincide, or a ball leaves open which entry that is, the vectors are not
numbers.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from flint import acb, acb_mat, arb, arb_mat

from autodiff_ref.judge.balls.context import Context
from autodiff_ref.judge.functions.enclosing import NAN, ONE, ZERO
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step, as_objects


def _array(balls: Sequence[arb]) -> Array:
    """Balls in an array of one axis."""
    made = np.empty(len(balls), dtype=object)
    made[:] = balls
    return made


def _refuse_parts(equation: Equation) -> None:
    if equation.params.get("subset_by_index") is not None:
        raise NotImplementedError(
            f"`{equation.primitive.name}` of a part of the spectrum is not judged: take it all, and index"
        )


def _stacked(f: Callable[..., tuple[Array, ...]]) -> Callable[[Equation], Step]:
    """f(context, matrices …) of each matrix of a stack, with several results."""

    def made(equation: Equation) -> Step:
        def step(context: Context, *stacks: Array) -> list[Array]:
            lead = equation.operands[0].shape[:-2]
            results = [np.empty(result.shape, dtype=object) for result in equation.results]
            for index in np.ndindex(lead):
                for result, part in zip(results, f(context, *[stack[index] for stack in stacks]), strict=True):
                    result[index] = part
            return results

        return step

    return made


def _sorted(balls: list[arb]) -> list[arb]:
    """The smallest, the second smallest and so on of some reals: each grows with all of them."""
    lowest, highest = _in_order([ball.lower() for ball in balls]), _in_order([ball.upper() for ball in balls])
    return [low.union(high) for low, high in zip(lowest, highest, strict=True)]


def _in_order(numbers: list[arb]) -> list[arb]:
    order: list[arb] = []
    for number in numbers:
        place = len(order)
        while place and number < order[place - 1]:
            place -= 1
        order.insert(place, number)
    return order


def eigen(a: Array) -> tuple[Array, Array]:
    """λ₁ ≤ λ₂ ≤ … and unit eigenvectors, as columns, of a symmetric matrix."""
    n = len(a)
    vectors = np.full((n, n), NAN, dtype=object)
    if not all(entry.is_finite() for entry in a.ravel()):
        return np.full(n, NAN, dtype=object), vectors
    matrix = acb_mat(n, n, [acb(entry) for entry in a.ravel()])
    try:
        values, right = matrix.eig(right=True)
    except ValueError:  # not told apart
        try:
            return _array(_sorted([value.real for value in matrix.eig(multiple=True)])), vectors
        except ValueError:
            return np.full(n, NAN, dtype=object), vectors
    reals = [value.real for value in values]
    order = sorted(range(n), key=lambda k: sum(bool(other < reals[k]) for other in reals))
    for column, k in enumerate(order):
        pivot = _pivot([abs(right[i, k]) for i in range(n)])
        if pivot is not None:
            # real, since the matrix is, once the factor that was left open is divided out
            entries = [(right[i, k] / right[pivot, k]).real for i in range(n)]
            length = sum((entry * entry for entry in entries), start=ZERO).sqrt()
            vectors[:, column] = [entry / length for entry in entries]
    return _array([reals[k] for k in order]), vectors


def _pivot(sizes: list[arb]) -> int | None:
    """The first that is not negligible beside the largest; None where balls leave that open."""
    least = functools.reduce(arb.max, sizes) * arb(2) ** -20
    for k, size in enumerate(sizes):
        if size > least:
            return k
        if not size < least:
            return None
    return None


def _eigh(equation: Equation) -> Step:
    _refuse_parts(equation)
    lower = equation.params["lower"]

    def one(_: Context, a: Array) -> tuple[Array, Array]:
        kept = np.tril(np.ones(a.shape, dtype=bool)) if lower else np.triu(np.ones(a.shape, dtype=bool))
        values, vectors = eigen(np.where(kept, a, a.T))
        return vectors, values

    return _stacked(one)(equation)


def _root(square: arb) -> arb:
    """√ of a real that is not negative, though its ball may be."""
    return square.sqrt() if square > 0 else ZERO.union(square.upper().sqrt())


def _svd(equation: Equation) -> Step:
    """From the smaller of AᵀA and AAᵀ: their eigenvalues are squares of the singular values."""
    _refuse_parts(equation)
    rows, columns = equation.operands[0].shape[-2:]
    if equation.params["compute_uv"] and equation.params["full_matrices"] and rows != columns:
        raise NotImplementedError(
            "`svd` with full_matrices=True is not judged: what it adds is not determined by the matrix"
        )

    def one(_: Context, a: Array) -> tuple[Array, ...]:
        tall = a if rows >= columns else a.T
        squares, vectors = eigen(tall.T @ tall)
        singular = as_objects(np.frompyfunc(_root, 1, 1)(squares[::-1]))
        if not equation.params["compute_uv"]:
            return (singular,)
        right = vectors[:, ::-1]
        left = tall @ right / singular
        return (singular, left, right.T) if rows >= columns else (singular, right, left.T)

    return _stacked(one)(equation)


def _reflections(context: Context, a: Array, *, label: bool) -> tuple[Array, Array]:
    """LAPACK's geqrf: R on and above the diagonal, below it v_k with H_k = I − τ_k v_k v_kᵀ, and the τ_k.

    β = −sign(α) ‖(α, x)‖, τ = (β − α)/β, v = (1, x/(α − β)) for a column (α, x), and τ = 0 where x is 0.
    """
    made, (rows, columns) = np.array(a, dtype=object), a.shape
    factors = np.full(min(rows, columns), ZERO, dtype=object)
    for k in range(len(factors)):
        alpha, below = made[k, k], made[k + 1 :, k]
        if all(entry == 0 for entry in below):
            continue
        length = sum((entry * entry for entry in (alpha, *below)), start=ZERO).sqrt()
        if not any(entry != 0 for entry in below):  # 0 or not: the sign of R's entry hangs on it
            context.unresolved = True
            length = NAN
        beta = length if context.compare(alpha, ZERO, label=label) < 0 else -length
        factors[k], v = (beta - alpha) / beta, below / (alpha - beta)
        row = made[k, k + 1 :] + (v @ made[k + 1 :, k + 1 :] if columns > k + 1 else ZERO)
        made[k, k + 1 :] = made[k, k + 1 :] - factors[k] * row
        made[k + 1 :, k + 1 :] = made[k + 1 :, k + 1 :] - factors[k] * np.multiply.outer(v, row)
        made[k, k], made[k + 1 :, k] = beta, v
    return made, factors


def _orthogonal(reflections: Array, factors: Array, columns: int) -> Array:
    """The first columns of H₁ H₂ …"""
    rows = len(reflections)
    made = _array([ONE if i == j else ZERO for i in range(rows) for j in range(columns)]).reshape(rows, columns)
    for k in reversed(range(len(factors))):
        v = np.array([*[ZERO] * k, ONE, *reflections[k + 1 :, k]], dtype=object)
        made = made - np.multiply.outer(factors[k] * v, v @ made)
    return made


def _qr(equation: Equation) -> Step:
    if equation.params["pivoting"]:
        raise NotImplementedError("`qr` with pivoting is not judged: the order of the columns jumps")
    rows, columns = equation.operands[0].shape[-2:]
    kept = rows if equation.params["full_matrices"] else min(rows, columns)
    upper = np.triu(np.ones((kept, columns), dtype=bool))

    def one(context: Context, a: Array) -> tuple[Array, Array]:
        made, factors = _reflections(context, a, label=equation.label)
        return _orthogonal(made, factors, kept), np.where(upper, made[:kept], _array([ZERO]))

    return _stacked(one)(equation)


def _geqrf(equation: Equation) -> Step:
    return _stacked(lambda context, a: _reflections(context, a, label=equation.label))(equation)


def _ormqr(equation: Equation) -> Step:
    """Q C, Qᵀ C, C Q or C Qᵀ with the Q of `geqrf`, all of its columns."""
    left, transposed = equation.params["left"], equation.params["transpose"]

    def step(_: Context, a: Array, factors: Array, c: Array) -> Array:
        made = np.empty(equation.results[0].shape, dtype=object)
        for index in np.ndindex(a.shape[:-2]):
            q = _orthogonal(a[index], factors[index], len(a[index]))
            q = q.T if transposed else q
            made[index] = q @ c[index] if left else c[index] @ q
        return made

    return step


def _householder_product(equation: Equation) -> Step:
    columns = equation.operands[0].shape[-1]

    def step(_: Context, a: Array, factors: Array) -> Array:
        made = np.empty(equation.results[0].shape, dtype=object)
        for index in np.ndindex(a.shape[:-2]):
            made[index] = _orthogonal(a[index], factors[index], columns)
        return made

    return step


def _tridiagonal_solve(equation: Equation) -> Step:
    """X with T X = B; the first entry of the lower diagonal and the last one of the upper diagonal are not used."""
    n = equation.operands[1].shape[-1]

    def one(low: Array, diagonal: Array, high: Array, b: Array) -> Array:
        matrix = arb_mat(n, n)
        for k in range(n):
            matrix[k, k] = diagonal[k]
            if k:
                matrix[k, k - 1], matrix[k - 1, k] = low[k], high[k - 1]
        try:
            found = matrix.solve(arb_mat(n, b.shape[1], list(b.ravel())))
        except ZeroDivisionError:
            return np.full(b.shape, NAN, dtype=object)
        return _array(found.entries()).reshape(b.shape)

    def step(_: Context, low: Array, diagonal: Array, high: Array, b: Array) -> Array:
        made = np.empty(equation.results[0].shape, dtype=object)
        for index in np.ndindex(b.shape[:-2]):
            made[index] = one(low[index], diagonal[index], high[index], b[index])
        return made

    return step


SPECTRAL: dict[str, Rule] = {
    "eigh": _eigh,
    "svd": _svd,
    "qr": _qr,
    "ormqr": _ormqr,
    "geqrf": _geqrf,
    "householder_product": _householder_product,
    "tridiagonal_solve": _tridiagonal_solve,
}
"""rules for decompositions"""
