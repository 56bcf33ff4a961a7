"""A right and a wrong derivation on each of the domains, which are right or wrong because of the domain."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln

from autodiff_ref.verify import verify
from manual_grad import (
    Derivation,
    correlations,
    integers,
    intervals,
    lower_triangular,
    nonnegatives,
    orthogonal,
    permutations,
    positive_definite,
    positives,
    reals,
    simplex,
    sorted_reals,
    symmetric,
    unit_vectors,
)
from tests.combinations import exploring


class Case(NamedTuple):
    """A function on a domain, a line that is its gradient there, and one that is not."""

    of: Callable[..., Any]
    wrt: str
    domain: tuple[Any, ...]
    right: Callable[..., Any]
    wrong: Callable[..., Any]


# Matrices


def log_det(s: Any) -> Any:
    return jnp.linalg.slogdet(s)[1]


def inverse_transposed(s: Any, nabla: Any) -> Any:
    """S⁻ᵀ"""
    return jnp.linalg.inv(s).T


def of_the_symmetric_entries(s: Any, nabla: Any) -> Any:
    """2 S⁻¹ − diag S⁻¹, as for entries that move together: JAX's do not"""
    inverse = jnp.linalg.inv(s)
    return 2 * inverse - jnp.diag(jnp.diag(inverse))


def quadratic(x: Any, s: Any) -> Any:
    return x @ s @ x


def twice(x: Any, s: Any, nabla: Any) -> Any:
    """2 S x"""
    return 2 * s @ x


def once(x: Any, s: Any, nabla: Any) -> Any:
    """S x"""
    return s @ x


def weighted_trace(x: Any, r: Any) -> Any:
    return 0.5 * jnp.sum(jnp.diag(r) * x * x)


def themselves(x: Any, r: Any, nabla: Any) -> Any:
    """x, since R_ii = 1"""
    return x + 0 * r[0]


def themselves_lost(x: Any, r: Any, nabla: Any) -> Any:
    """R x: right where nothing is correlated"""
    return r @ x


def log_det_by_factor(chol: Any) -> Any:
    return 2 * jnp.sum(jnp.log(jnp.diag(chol)))


def two_over_diagonal(chol: Any, nabla: Any) -> Any:
    """2 diag 1/L_ii"""
    return jnp.diag(2 / jnp.diag(chol))


def two_times_inverse(chol: Any, nabla: Any) -> Any:
    """2 L⁻ᵀ: right on the diagonal alone"""
    return 2 * jax.scipy.linalg.solve_triangular(chol, jnp.eye(len(chol)), lower=True).T


def trace_of_powers(square: Any) -> Any:
    return jnp.sum((square @ square) * jnp.eye(len(square)))


def twice_transposed(square: Any, nabla: Any) -> Any:
    """2 Lᵀ"""
    return 2 * square.T


def twice_itself(square: Any, nabla: Any) -> Any:
    """2 L"""
    return 2 * square


def half_square_of_turned(x: Any, q: Any) -> Any:
    return 0.5 * jnp.sum((q @ x) ** 2)


def itself(x: Any, q: Any, nabla: Any) -> Any:
    """x, since QᵀQ = 1"""
    return x + 0 * q[0]


def turned(x: Any, q: Any, nabla: Any) -> Any:
    """Q x"""
    return q @ x


# Vectors


def entropy(p: Any) -> Any:
    return -jnp.sum(p * jnp.log(p))


def minus_log_minus_one(p: Any, nabla: Any) -> Any:
    """−log p − Σp, since Σp = 1"""
    return -jnp.log(p) - jnp.sum(p)


def minus_log(p: Any, nabla: Any) -> Any:
    """−log p"""
    return -jnp.log(p)


def rayleigh(u: Any, a: Any) -> Any:
    return (u @ (a * u)) / (u @ u)


def projected(u: Any, a: Any, nabla: Any) -> Any:
    """2 (1 − u uᵀ) A u, since |u| = 1"""
    return 2 * (a * u - u * (u @ (a * u)))


def not_projected(u: Any, a: Any, nabla: Any) -> Any:
    """2 A u"""
    return 2 * a * u


def order_statistics(x: Any, w: Any) -> Any:
    return jnp.sum(jnp.sort(x) * w)


def weights_in_order(x: Any, w: Any, nabla: Any) -> Any:
    """w"""
    return w + 0 * x


def weights_in_reverse(x: Any, w: Any, nabla: Any) -> Any:
    """w from the last to the first"""
    return w[::-1] + 0 * x


# Labels


def poisson(rate: Any, k: Any) -> Any:
    return jnp.sum(k * jnp.log(rate) - rate - gammaln(k + 1))


def count_over_rate(rate: Any, k: Any, nabla: Any) -> Any:
    """k/λ − 1"""
    return k / rate - 1


def count_over_rate_but_at_none(rate: Any, k: Any, nabla: Any) -> Any:
    """k/λ − 1, and 0 where k = 0"""
    return jnp.where(k > 0, k / rate - 1, 0.0)


def permuted(x: Any, a: Any, p: Any) -> Any:
    return jnp.sum(a * x[p])


def at_the_inverse(x: Any, a: Any, p: Any, nabla: Any) -> Any:
    """a at p⁻¹"""
    return a[jnp.argsort(p)]


def at_the_permutation(x: Any, a: Any, p: Any, nabla: Any) -> Any:
    """a at p: right for permutations that are their own inverse, all of two numbers"""
    return a[p]


# Ends


def absolute(x: Any) -> Any:
    return jnp.sum(x * jnp.abs(x))


def twice_x(x: Any, nabla: Any) -> Any:
    """2 x, since x ≥ 0"""
    return 2 * x


def twice_x_but_at_0(x: Any, nabla: Any) -> Any:
    """2 x, and 1 at 0: nothing but the boundary shows it"""
    return jnp.where(x == 0, 1.0, 2 * x)


def cubes(x: Any) -> Any:
    return jnp.sum(x**3)


def three_squares(x: Any, nabla: Any) -> Any:
    """3 x²"""
    return 3 * x**2


def three_squares_but_at_the_end(x: Any, nabla: Any) -> Any:
    """3 x², and 0 from 2 on: nothing but the end of the interval shows it"""
    return jnp.where(x >= 2, 0.0, 3 * x**2)


CASES = {
    "positive_definite": Case(log_det, "s", (positive_definite("d"),), inverse_transposed, of_the_symmetric_entries),
    "correlations": Case(weighted_trace, "x", (reals("d"), correlations("d")), themselves, themselves_lost),
    "symmetric": Case(quadratic, "x", (reals("d"), symmetric("d")), twice, once),
    "lower_triangular": Case(log_det_by_factor, "chol", (lower_triangular("d"),), two_over_diagonal, two_times_inverse),
    "any diagonal": Case(
        trace_of_powers, "square", (lower_triangular("d", positive_diagonal=False),), twice_transposed, twice_itself
    ),
    "orthogonal": Case(half_square_of_turned, "x", (reals("d"), orthogonal("d")), itself, turned),
    "simplex": Case(entropy, "p", (simplex("k"),), minus_log_minus_one, minus_log),
    "unit_vectors": Case(rayleigh, "u", (unit_vectors("d"), reals("d")), projected, not_projected),
    "sorted_reals": Case(order_statistics, "x", (sorted_reals("n"), reals("n")), weights_in_order, weights_in_reverse),
    "integers": Case(poisson, "rate", (positives("n"), integers(0, 20, "n")), count_over_rate, count_over_rate_but_at_none),
    "permutations": Case(permuted, "x", (reals("n"), reals("n"), permutations("n")), at_the_inverse, at_the_permutation),
    "nonnegatives": Case(absolute, "x", (nonnegatives("n"),), twice_x, twice_x_but_at_0),
    "closed intervals": Case(cubes, "x", (intervals(-1, 2, "n", closed=True),), three_squares, three_squares_but_at_the_end),
}


def derivation(name: str, line: Callable[..., Any]) -> Derivation:
    case = CASES[name]
    return Derivation(name, case.of, case.wrt, case.domain, [line])


SWEPT = ("simplex", "integers", "nonnegatives", "closed intervals")
"""in floats too; the other domains in the profile `explore`"""


@pytest.mark.parametrize("name", CASES)
def test_the_right_line_is_right(name: str) -> None:
    report = verify(derivation(name, CASES[name].right), floats=exploring() or name in SWEPT)
    assert report.ok, str(report)


SMALLEST = {
    "positive_definite": 2,
    "lower_triangular": 2,
    "simplex": 1,
    "permutations": 3,
    "sorted_reals": 2,
    "symmetric": 1,
    "integers": 1,
}
"""how small an input there is that shows the mistake, for some"""


@pytest.mark.parametrize("name", CASES)
def test_the_wrong_line_is_refuted_by_a_small_element_of_the_domain(name: str) -> None:
    made = derivation(name, CASES[name].wrong)
    report = verify(made, prove=False, suspects=False, floats=False)
    (line,) = report.lines
    assert line.verdict == "refuted", str(report)
    found = line.counterexample
    assert found is not None
    sizes = {}
    domains, arrays = jax.tree.leaves(made.domain), jax.tree.leaves(found.args)
    for leaf, x in zip(domains, arrays, strict=True):
        sizes |= dict(zip(leaf.dims, np.shape(x), strict=True))
    for leaf, x in zip(domains, arrays, strict=True):
        assert leaf.sized(sizes).contains(x), found
    assert np.shape(arrays[-1])[0] == SMALLEST.get(name, np.shape(arrays[-1])[0])
