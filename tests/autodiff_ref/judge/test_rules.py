"""Every rule of the ball table on random inputs, against the same thing written out in mpmath."""

import itertools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax import lax
from jax.extend.core import primitives

from autodiff_ref.judge.balls import BALLS, Context, exact, precision
from autodiff_ref.judge.program.walk import plan
from tests.autodiff_ref.judge.test_balls import ENTRYWISE, as_ball

SEEDS = (0, 1)
LU = lax.linalg.lu


def draw(rng, *shape):
    """Multiples of 1/8 from −4 to 4, each once as far as they reach, 0 among them; what is compared does not tie."""
    values = rng.permutation(np.arange(-32, 33))[: math.prod(shape)] / 8
    return rng.permutation(np.append(values[1:], 0.0)).reshape(shape)


def positive_definite(rng, *shape):
    factor = draw(rng, *shape)
    return factor @ np.swapaxes(factor, -1, -2) + 0.5 * np.eye(shape[-1])


def truth(f):
    """f, written for lists of mpf, of arrays whose last axis these are."""
    return lambda *arrays: [np.apply_along_axis(lambda row: f(list(row)), -1, x) for x in arrays]


def each(f):
    """f, written for mpf, entry by entry."""
    return lambda *arrays: [np.frompyfunc(f, len(arrays), 1)(*arrays)]


def matrices(f):
    """f, written for a list of lists of mpf, of each matrix of a stack."""
    return lambda *stacks: [
        np.array(part, dtype=object)
        for part in zip(*[f(*[stack[k] for stack in stacks]) for k in range(len(stacks[0]))], strict=True)
    ]


def running(f):
    return truth(lambda row: list(itertools.accumulate(row, f)))


def contraction(a, b):
    """Σ_k a_ik b_kj, of each pair of a stack"""
    n, m = a.shape[1], b.shape[2]
    return [
        np.array([[[mpmath.fdot(p[i], q[:, j]) for j in range(m)] for i in range(n)] for p, q in zip(a, b, strict=True)])
    ]


def cholesky(a):
    return (np.array(mpmath.cholesky(mpmath.matrix(a.tolist())).tolist()),)


def crout(a):
    """Gauss's elimination with the largest pivot of each column."""
    a, order = a.copy(), list(range(len(a)))
    pivots = []
    for k in range(min(a.shape)):
        best = max(range(k, len(a)), key=lambda i: abs(a[i, k]))
        pivots.append(best)
        a[[k, best]], order[k], order[best] = a[[best, k]], order[best], order[k]
        for i in range(k + 1, len(a)):
            a[i, k] /= a[k, k]
            for j in range(k + 1, a.shape[1]):
                a[i, j] -= a[i, k] * a[k, j]
    return a, pivots, order


def solved(left_side, lower, transpose_a, unit_diagonal):
    """X with op(A) X = B, or X op(A) = B"""

    def one(a, b):
        kept = np.tril(a) if lower else np.triu(a)
        if unit_diagonal:
            kept[np.diag_indices(len(a))] = mpmath.mpf(1)
        system = kept.T if transpose_a == left_side else kept
        sides = b.T if left_side else b
        found = np.array(
            [list(mpmath.lu_solve(mpmath.matrix(system.tolist()), mpmath.matrix(list(side)))) for side in sides]
        )
        return (found.T if left_side else found,)

    return matrices(one)


def triangular_solve(left_side, lower, transpose_a, unit_diagonal):
    options = {"left_side": left_side, "lower": lower, "transpose_a": transpose_a, "unit_diagonal": unit_diagonal}
    return (
        lambda rng: (draw(rng, 2, 3, 3) + 8 * np.eye(3), draw(rng, 2, 3, 2) if left_side else draw(rng, 2, 2, 3)),
        lambda a, b: lax.linalg.triangular_solve(a, b, **options),
        solved(left_side, lower, transpose_a, unit_diagonal),
    )


WINDOW = {"window_dimensions": (3,), "window_strides": (2,), "padding": ((2, 1),)}


def window_entries(n, base=1, apart=1):
    """For each window which entries it holds."""
    (size,), (stride,), ((low, high),) = WINDOW.values()
    spread = [k // base if k % base == 0 else None for k in range((n - 1) * base + 1)]
    padded = [None] * low + spread + [None] * high
    starts = range(0, len(padded) - (size - 1) * apart, stride)
    return [[k for k in padded[start : start + (size - 1) * apart + 1 : apart] if k is not None] for start in starts]


def pooled(f, empty, **dilation):
    return lambda x: [np.array([f([x[k] for k in held]) if held else empty for held in window_entries(len(x), **dilation)])]


def pool(x, initial, f, **dilation):
    return lax.reduce_window(x, initial, f, *WINDOW.values(), **dilation)


def scattered_back(cotangent, x):
    made = np.array([mpmath.mpf(0)] * len(x))
    for held, value in zip(window_entries(len(x)), cotangent, strict=True):
        made[max(held, key=lambda k: x[k])] += value
    return [made]


def gathered(tangent, x):
    return [np.array([tangent[min(held, key=lambda k: x[k])] for held in window_entries(len(x))])]


def convolved(x, w):
    """Strided by 2, padded by 1 and 2, the kernel dilated by 2."""
    n, c, size = x.shape
    o, _, length = w.shape
    out = (size + 3 - 2 * (length - 1) - 1) // 2 + 1

    def entry(i, k, t):
        places = [(j, 2 * t + 2 * j - 1) for j in range(length)]
        return mpmath.fsum(x[i, a, p] * w[k, a, j] for a in range(c) for j, p in places if 0 <= p < size)

    return [np.array([[[entry(i, k, t) for t in range(out)] for k in range(o)] for i in range(n)])]


def put(f):
    """Updates at rows 2, 0, 2 and, beyond the end, 7: that one is dropped."""

    def scattered(x, updates):
        x = x.copy()
        for place, row in zip((2, 0, 2), updates, strict=False):
            x[place] = [f(a, b) for a, b in zip(x[place], row, strict=True)]
        return [x]

    return scattered


AT = jnp.array([2, 0, 2, 7])


def rounded(x):
    return mpmath.nint(x)


def away_from_zero(x):
    return mpmath.sign(x) * mpmath.floor(abs(x) + mpmath.mpf(0.5))


def one(*shape):
    return lambda rng: (draw(rng, *shape),)


def two(*shape):
    return lambda rng: (draw(rng, *shape), draw(rng, *shape))


def nonzero(*shape):
    return lambda rng: (draw(rng, *shape), draw(rng, *shape) + 0.0625)


def off_jumps(*shape):
    return lambda rng: (draw(rng, *shape) + 0.0625,)


def asked(f):
    """A comparison as 0 and 1"""
    return lambda x, y: f(x, y).astype(float)


ARITHMETIC = {
    "add": (two(7), lax.add, each(lambda x, y: x + y)),
    "add_any": (one(5), jax.grad(lambda x: jnp.sum(x * jnp.sin(x))), each(lambda x: mpmath.sin(x) + x * mpmath.cos(x))),
    "sub": (two(7), lax.sub, each(lambda x, y: x - y)),
    "mul": (two(7), lax.mul, each(lambda x, y: x * y)),
    "div": (nonzero(7), lax.div, each(lambda x, y: x / y)),
    "neg": (one(7), lax.neg, each(lambda x: -x)),
    "max": (two(7), lax.max, each(max)),
    "min": (two(7), lax.min, each(min)),
    "atan2": (nonzero(8), lax.atan2, each(mpmath.atan2)),
    "rem": (nonzero(8), lax.rem, each(lambda x, y: x - y * (mpmath.floor(x / y) if x * y > 0 else mpmath.ceil(x / y)))),
    "sign": (off_jumps(8), lax.sign, each(mpmath.sign)),
    "floor": (off_jumps(8), lax.floor, each(mpmath.floor)),
    "ceil": (off_jumps(8), lax.ceil, each(mpmath.ceil)),
    "round": (off_jumps(8), lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), each(rounded)),
    "round, away from zero": (off_jumps(8), lax.round, each(away_from_zero)),
    "clamp": (one(9), lambda x: lax.clamp(-1.5625, x, 2.0625), each(lambda x: min(max(x, -1.5625), 2.0625))),
    "select_n": (nonzero(8), lambda x, y: lax.select_n(y > 0, x, 2 * x), each(lambda x, y: 2 * x if y > 0 else x)),
    "is_finite": (one(5), lambda x: lax.is_finite(x).astype(float) * x, each(lambda x: x)),
    "convert_element_type": (off_jumps(8), lambda x: x.astype(int).astype(float), each(lambda x: mpmath.mpf(int(x)))),
    "iota": (one(3, 2), lambda x: x + lax.broadcasted_iota(float, (3, 2), 0), lambda x: [x + np.arange(3)[:, None]]),
    "one_minus_square": (one(5), lambda x: jax.grad(lambda x: jnp.sum(jnp.tanh(x)))(x), each(lambda x: mpmath.sech(x) ** 2)),
    "eq": (two(9), asked(lax.eq), each(lambda x, y: mpmath.mpf(x == y))),
    "ne": (two(9), asked(lax.ne), each(lambda x, y: mpmath.mpf(x != y))),
    "lt": (two(9), asked(lax.lt), each(lambda x, y: mpmath.mpf(x < y))),
    "le": (two(9), asked(lax.le), each(lambda x, y: mpmath.mpf(x <= y))),
    "gt": (two(9), asked(lax.gt), each(lambda x, y: mpmath.mpf(x > y))),
    "ge": (two(9), asked(lax.ge), each(lambda x, y: mpmath.mpf(x >= y))),
    "eq_to": (two(9), asked(primitives.eq_to_p.bind), each(lambda x, y: mpmath.mpf(x == y))),
    "lt_to": (two(9), asked(primitives.lt_to_p.bind), each(lambda x, y: mpmath.mpf(x < y))),
    "le_to": (two(9), asked(primitives.le_to_p.bind), each(lambda x, y: mpmath.mpf(x <= y))),
}

REDUCTIONS = {
    "reduce_sum": (one(3, 5), lambda x: jnp.sum(x, axis=1), truth(mpmath.fsum)),
    "reduce_prod": (one(3, 5), lambda x: jnp.prod(x, axis=1), truth(mpmath.fprod)),
    "reduce_max": (one(3, 5), lambda x: jnp.max(x, axis=1), truth(max)),
    "reduce_min": (one(3, 5), lambda x: jnp.min(x, axis=1), truth(min)),
    "argmax": (one(3, 5), lambda x: lax.argmax(x, 1, np.int32), truth(lambda row: row.index(max(row)))),
    "argmin": (one(3, 5), lambda x: lax.argmin(x, 1, np.int32), truth(lambda row: row.index(min(row)))),
    "cumsum": (one(2, 5), lambda x: lax.cumsum(x, 1), running(lambda a, b: a + b)),
    "cumprod": (one(2, 5), lambda x: lax.cumprod(x, 1), running(lambda a, b: a * b)),
    "cummax": (one(2, 5), lambda x: lax.cummax(x, 1), running(max)),
    "cummin": (one(2, 5), lambda x: lax.cummin(x, 1), running(min)),
    "cumlogsumexp": (
        one(2, 5),
        lambda x: lax.cumlogsumexp(x, 1),
        running(lambda a, b: mpmath.log(mpmath.exp(a) + mpmath.exp(b))),
    ),
    "cumsum, backwards": (
        one(2, 5),
        lambda x: lax.cumsum(x, 1, reverse=True),
        truth(lambda row: list(itertools.accumulate(row[::-1]))[::-1]),
    ),
    "dot_general": (
        lambda rng: (draw(rng, 2, 3, 4), draw(rng, 2, 4, 2)),
        lambda a, b: lax.dot_general(a, b, (((2,), (1,)), ((0,), (0,)))),
        contraction,
    ),
    "conv_general_dilated": (
        lambda rng: (draw(rng, 2, 2, 7), draw(rng, 3, 2, 3)),
        lambda x, w: lax.conv_general_dilated(x, w, (2,), ((1, 2),), rhs_dilation=(2,)),
        convolved,
    ),
    "sort": (one(3, 5), lambda x: lax.sort(x, dimension=1), truth(sorted)),
    "sort, of pairs": (
        two(6),
        lambda k, x: lax.sort((k, x), num_keys=1),
        lambda k, x: [
            np.array(part) for part in zip(*sorted(zip(k, x, strict=True), key=lambda pair: pair[0]), strict=True)
        ],
    ),
    "top_k": (
        one(3, 6),
        lambda x: lax.top_k(x, 2),
        lambda x: [
            *truth(lambda row: sorted(row)[:-3:-1])(x),
            *truth(lambda row: sorted(range(len(row)), key=lambda k: -row[k])[:2])(x),
        ],
    ),
}

WINDOWS = {
    "reduce_window_sum": (one(6), lambda x: pool(x, 0.0, lax.add), pooled(mpmath.fsum, mpmath.mpf(0))),
    "reduce_window_max": (one(6), lambda x: pool(x, -jnp.inf, lax.max), pooled(max, mpmath.ninf)),
    "reduce_window_min": (one(6), lambda x: pool(x, jnp.inf, lax.min), pooled(min, mpmath.inf)),
    "reduce_window_sum, dilated": (
        one(7),
        lambda x: pool(x, 0.0, lax.add, base_dilation=(2,), window_dilation=(3,)),
        pooled(mpmath.fsum, mpmath.mpf(0), base=2, apart=3),
    ),
    "select_and_scatter_add": (
        lambda rng: (draw(rng, len(window_entries(6))), draw(rng, 6)),
        lambda c, x: jax.vjp(lambda x: pool(x, -jnp.inf, lax.max), x)[1](c)[0],
        scattered_back,
    ),
    "select_and_gather_add": (
        two(6),
        lambda t, x: jax.jvp(lambda x: pool(x, jnp.inf, lax.min), (x,), (t,))[1],
        gathered,
    ),
}

MATRICES = {
    "cholesky": (lambda rng: (positive_definite(rng, 2, 3, 3),), lax.linalg.cholesky, matrices(cholesky)),
    "cholesky, of one number": (lambda rng: (positive_definite(rng, 2, 1, 1),), lax.linalg.cholesky, matrices(cholesky)),
    "cholesky, of the lower triangle": (
        lambda rng: (positive_definite(rng, 2, 4, 4),),
        lambda a: lax.linalg.cholesky(jnp.tril(a) + 100 * jnp.triu(jnp.ones((4, 4)), 1), symmetrize_input=False),
        matrices(cholesky),
    ),
    "expm": (one(2, 3, 3), jax.scipy.linalg.expm, matrices(lambda a: [mpmath.expm(mpmath.matrix(a)).tolist()])),
    "lu": (one(2, 3, 3), LU, matrices(crout)),
    "lu, tall": (one(2, 4, 2), LU, matrices(crout)),
    "lu, wide": (one(2, 2, 4), LU, matrices(crout)),
    **{
        f"triangular_solve, {'left' if options[0] else 'right'} {options[1:]}": triangular_solve(*options)
        for options in itertools.product((True, False), repeat=4)
    },
}


def up_to_signs(columns):
    """Columns, the first entry of each positive that is not negligible beside its largest."""
    return columns * signs_of(columns)


def signs_of(columns):
    return np.array([mpmath.sign(next(x for x in column if abs(x) > max(map(abs, column)) / 2**20)) for column in columns.T])


def eigen(a):
    """Of the mean of a matrix and its transpose."""
    values, vectors = mpmath.eigsy(mpmath.matrix(((a + a.T) / 2).tolist()))
    return up_to_signs(np.array(vectors.tolist())), np.array(values.tolist()).ravel()


def singular(a):
    u, s, v = (np.array(part.tolist()) for part in mpmath.svd_r(mpmath.matrix(a.tolist())))
    signs = signs_of(v.T if len(a) >= a.shape[1] else u)
    return u * signs, s.ravel(), v * signs[:, None]


def factored(a):
    """With the signs that LAPACK gives."""
    kept = min(a.shape)
    q, _ = (np.array(part.tolist()) for part in mpmath.qr(mpmath.matrix(a[:, :kept].tolist())))
    r = np.triu(q.T @ a)
    if min(map(abs, np.diagonal(r))) <= mpmath.sqrt(mpmath.eps):
        raise ZeroDivisionError("of a matrix that is not of full rank the factors are not unique")
    wanted = np.sign(np.diagonal(np.linalg.qr(a.astype(float), mode="r")))
    signs = wanted * np.sign(np.diagonal(r).astype(float))
    return q[:, :kept] * signs, r[:kept] * signs[:, None]


def tridiagonal(low, diagonal, high, b):
    n = len(diagonal)
    full = mpmath.matrix(n, n)
    for k in range(n):
        full[k, k] = diagonal[k]
        if k:
            full[k, k - 1], full[k - 1, k] = low[k], high[k - 1]
    return (np.array([list(mpmath.lu_solve(full, mpmath.matrix(list(column)))) for column in b.T]).T,)


def reflections(a):
    """LAPACK's geqrf: (H, τ) with R on and above the diagonal of H, and what is not 0 or 1 of each v below it."""
    made, factors = np.array(a), []
    for k in range(min(made.shape)):
        column = made[k:, k]
        length = mpmath.sqrt(sum(x * x for x in column))
        beta = column[0] if not any(column[1:]) else -mpmath.sign(column[0] or 1) * length
        tau = (beta - column[0]) / beta if any(column[1:]) else mpmath.mpf(0)
        v = np.array([mpmath.mpf(1), *(column[1:] / (column[0] - beta) if tau else column[1:] * 0)])
        made[k:, k:] = made[k:, k:] - tau * np.outer(v, v @ made[k:, k:])
        made[k + 1 :, k] = v[1:]
        factors.append(tau)
    return made, np.array(factors)


def multiplied(transposed, on_the_left):
    def of(a, factors, c):
        (q,) = reflected(np.concatenate([a, a[:, :1] * 0], axis=1), factors)
        q = q.T if transposed else q
        return ((q @ c) if on_the_left else (c @ q),)

    return of


def reflected(a, factors):
    made = np.array(mpmath.eye(len(a)).tolist())
    for k, tau in enumerate(factors):
        v = np.array([mpmath.mpf(0)] * k + [mpmath.mpf(1), *a[k + 1 :, k]])
        made = made - tau * np.outer(made @ v, v)
    return (made[:, : a.shape[1]],)


SPECTRAL = {
    "eigh": (one(2, 3, 3), lax.linalg.eigh, matrices(eigen)),
    "svd": (one(2, 4, 3), lambda a: lax.linalg.svd(a, full_matrices=False), matrices(singular)),
    "svd, wide": (one(2, 2, 4), lambda a: lax.linalg.svd(a, full_matrices=False), matrices(singular)),
    "svd, values": (one(2, 3, 3), lambda a: lax.linalg.svd(a, compute_uv=False), matrices(lambda a: singular(a)[1:2])),
    "qr": (one(2, 4, 3), lambda a: lax.linalg.qr(a, full_matrices=False), matrices(factored)),
    "qr, square": (one(2, 3, 3), lambda a: lax.linalg.qr(a, full_matrices=True), matrices(factored)),
    "qr, wide": (one(2, 2, 4), lambda a: lax.linalg.qr(a, full_matrices=True), matrices(factored)),
    "householder_product": (
        lambda rng: (draw(rng, 2, 4, 3), draw(rng, 2, 3)),
        lax.linalg.householder_product,
        matrices(reflected),
    ),
    "geqrf": (
        one(2, 4, 3),
        lambda a: jnp.linalg.qr(a, mode="raw"),
        matrices(lambda a: (lambda made, factors: (made.T, factors))(*reflections(a))),
    ),
    **{
        f"ormqr, {'left' if left else 'right'}{', transposed' * turned}": (
            lambda rng: (draw(rng, 2, 4, 3), draw(rng, 2, 3), draw(rng, 2, 4, 4)),
            lambda a, factors, c, left=left, turned=turned: lax.linalg.ormqr(a, factors, c, left=left, transpose=turned),
            matrices(multiplied(turned, left)),
        )
        for left, turned in itertools.product((True, False), repeat=2)
    },
    "tridiagonal_solve": (
        lambda rng: (draw(rng, 2, 4), draw(rng, 2, 4) + 9, draw(rng, 2, 4), draw(rng, 2, 4, 2)),
        lax.linalg.tridiagonal_solve,
        matrices(tridiagonal),
    ),
}

MOVED = {
    "gather": (
        one(4, 3),
        lambda x: x.at[AT].get(mode="fill", fill_value=0.0),
        lambda x: [np.array([*x[[2, 0, 2]], [0] * 3])],
    ),
    "dynamic_slice": (one(5, 4), lambda x: lax.dynamic_slice(x, (4, 1), (2, 3)), lambda x: [x[3:5, 1:4]]),
    "dynamic_update_slice": (
        lambda rng: (draw(rng, 5), draw(rng, 2)),
        lambda x, u: lax.dynamic_update_slice(x, u, (4,)),
        lambda x, u: [np.array([*x[:3], *u])],
    ),
    "scatter": (
        lambda rng: (draw(rng, 4, 3), draw(rng, 2, 3)),
        lambda x, u: x.at[AT[:2]].set(u, unique_indices=True),
        put(lambda _, b: b),
    ),
    "scatter-add": (lambda rng: (draw(rng, 4, 3), draw(rng, 4, 3)), lambda x, u: x.at[AT].add(u), put(lambda a, b: a + b)),
    "scatter-sub": (
        lambda rng: (draw(rng, 4, 3), draw(rng, 4, 3)),
        lambda x, u: x.at[AT].subtract(u),
        put(lambda a, b: a - b),
    ),
    "scatter-mul": (lambda rng: (draw(rng, 4, 3), draw(rng, 4, 3)), lambda x, u: x.at[AT].mul(u), put(lambda a, b: a * b)),
    "scatter-min": (lambda rng: (draw(rng, 4, 3), draw(rng, 4, 3)), lambda x, u: x.at[AT].min(u), put(min)),
    "scatter-max": (lambda rng: (draw(rng, 4, 3), draw(rng, 4, 3)), lambda x, u: x.at[AT].max(u), put(max)),
}

RULES = {**ARITHMETIC, **REDUCTIONS, **WINDOWS, **MATRICES, **SPECTRAL, **MOVED}


UNSEEN = {"iota", "one_minus_square"}
"""no steps of a plan: one is known beforehand, and JAX asks for the other from 0.12 on, and computes the same before"""


def numbers(array):
    """An array of mpf"""
    return np.frompyfunc(lambda value: mpmath.mpf(float(value)), 1, 1)(array)


def check(f, args, expected, primitive):
    """Asserts that f in balls holds what is expected, narrowly, and that the rule of the primitive was asked."""
    with jax.enable_x64(True):
        made = plan(jax.make_jaxpr(f)(*args), BALLS)
    context = Context()
    with precision(256):
        outputs = made.run(context, *[exact(arg) for arg in args])
    assert primitive in {name for *_, name in made.steps} | UNSEEN
    assert not context.unresolved
    for output, wanted in zip(outputs, expected, strict=True):
        assert np.shape(output) == np.shape(wanted)
        for value, true in zip(np.ravel(output), np.ravel(wanted), strict=True):
            if isinstance(value, int | np.integer):
                assert value == true
            elif mpmath.isinf(true):
                assert float(value) == float(true)
            else:
                assert value.overlaps(as_ball(true)), (value, true)
                assert value.contains(0) or value.rel_accuracy_bits() > 150, value
                assert value.rad() < 1e-50


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_rule_does_on_arrays_what_mpmath_does(name, seed):
    inputs, f, true = RULES[name]
    args = inputs(np.random.default_rng(seed))
    with mpmath.workdps(70):
        check(f, args, true(*map(numbers, args)), name.partition(",")[0])


@pytest.mark.parametrize("name", ENTRYWISE)
def test_a_function_is_that_of_mpmath_at_random_points(name):
    f, true, points = ENTRYWISE[name]
    low, high = max(min(points), -8.0), min(max(points), 8.0)
    args = (np.random.default_rng(len(name)).uniform(low, high, 4),)
    primitive = {"pow of a negative base": "pow", "pow by an integer": "pow", "log1p": "log1p"}.get(name, name)
    with mpmath.workdps(70):
        check(f, args, each(true)(*map(numbers, args)), primitive)


def test_a_rule_that_means_something_else_is_noticed(monkeypatch):
    monkeypatch.setitem(BALLS.rules, "cummax", BALLS.rules["cummin"])
    with pytest.raises(AssertionError):
        test_a_rule_does_on_arrays_what_mpmath_does("cummax", 0)
