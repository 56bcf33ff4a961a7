"""What the prover is told of a domain is true of all its elements, and enough to prove what should be."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autodiff_ref.judge.symbols.expressions import Expressions, symbolic_arguments
from manual_grad import (
    correlations,
    integers,
    intervals,
    lower_triangular,
    nonnegatives,
    permutations,
    positive_definite,
    reals,
    simplex,
    sorted_reals,
    symmetric,
)
from manual_grad.domains import Domain
from tests.autodiff_ref.judge.domains.kinds import KINDS
from tests.proving import compared_in_symbols

SIZES = {"n": 3, "d": 3, "k": 2}


@pytest.mark.parametrize("leaf", KINDS.values(), ids=KINDS)
def test_symbols_have_the_shape_of_the_domain(leaf: Domain) -> None:
    (made,) = symbolic_arguments((leaf,), SIZES, Expressions())
    assert made.shape == leaf.sized(SIZES).shape


def test_permutations_of_many_numbers_are_not_written() -> None:
    with pytest.raises(NotImplementedError, match="a permutation of 5 numbers has too many outcomes"):
        symbolic_arguments((permutations(5),), {}, Expressions())


def less_than_2(x: Any) -> Any:
    return jnp.where(x < 2, x, 0 * x)


PROVED = {
    "Σp = 1": ((simplex("n"),), lambda p: p * jnp.sum(p), lambda p: p),
    "p > 0": ((simplex("n"),), lambda p: jnp.abs(p), lambda p: p),
    "each row of p": ((simplex(2, "n"),), lambda p: jnp.sum(p, axis=1) ** 2, lambda p: jnp.ones(2)),
    "S = Sᵀ": ((symmetric("d"),), lambda s: s.T, lambda s: s),
    "S = Sᵀ of positive definite ones": ((positive_definite("d"),), lambda s: s @ s.T, lambda s: s @ s),
    "S_ii > 0": ((positive_definite("d"),), lambda s: jnp.abs(jnp.diag(s)), lambda s: jnp.diag(s)),
    "R_ii = 1": ((correlations("d"),), lambda r: jnp.diag(r), lambda r: jnp.ones(3)),
    "|R_ij| < 1": ((correlations("d"),), lambda r: jnp.abs(1 - r[0, 1]), lambda r: 1 - r[0, 1]),
    "L_ij = 0 for j > i": ((lower_triangular("d"),), jnp.tril, lambda factor: factor),
    "L_ii > 0": ((lower_triangular("d"),), lambda f: jnp.log(jnp.diag(f) ** 2), lambda f: 2 * jnp.log(jnp.diag(f))),
    "k one of 0, 1, 2": ((integers(0, 2, "n"),), lambda k: k * (k - 1) * (k - 2), lambda k: 0 * k),
    "k > −1/2": ((integers(0, 20, "n"),), lambda k: jnp.abs(k + 1), lambda k: k + 1),
    "x < 2 in an open interval": ((intervals(-1, 2, "n"),), less_than_2, lambda x: x),
    "x > 0 in a closed interval": ((intervals(0.5, 2, "n", closed=True),), lambda x: jnp.abs(x), lambda x: x),
    "x ≥ 0": ((nonnegatives("n"),), lambda x: jnp.abs(x), lambda x: x),
    "x_1 ≤ x_3": ((sorted_reals(3),), lambda x: jnp.maximum(x[0], x[2]), lambda x: x[2]),
    "Σ x_p = Σ x": ((reals(3), permutations(3)), lambda x, p: jnp.sum(x[p]), lambda x, p: jnp.sum(x) + 0 * p[0]),
}

NOT_PROVED = {
    "x < 2 where 3 is the end": ((intervals(-1, 3, "n", closed=True),), less_than_2, lambda x: x),
    "k one of 0, 1, 2 of 0, …, 20": ((integers(0, 20, "n"),), lambda k: k * (k - 1) * (k - 2), lambda k: 0 * k),
    "L_ii > 0": (
        (lower_triangular("d", positive_diagonal=False),),
        lambda f: jnp.abs(jnp.diag(f)),
        lambda f: jnp.diag(f),
    ),
    "R_ij > 0": ((correlations("d"),), lambda r: jnp.abs(r[0, 1]), lambda r: r[0, 1]),
    "x_1 < x_3 in rows": ((sorted_reals(3, 2),), lambda x: jnp.maximum(x[0], x[2]), lambda x: x[2]),
    "Σp = 1 along another axis": ((simplex(3, 3),), lambda p: jnp.sum(p, axis=0), lambda p: jnp.ones(3)),
    "x_p = x": ((reals(3), permutations(3)), lambda x, p: x[p], lambda x, p: x + 0 * p),
}


@pytest.mark.parametrize("name", PROVED)
def test_what_holds_on_the_domain_is_proved(name: str) -> None:
    domain, left, right = PROVED[name]
    assert compared_in_symbols(left, right, domain, SIZES) == ""


@pytest.mark.parametrize("name", NOT_PROVED)
def test_what_does_not_hold_on_all_of_the_domain_is_not_proved(name: str) -> None:
    domain, left, right = NOT_PROVED[name]
    assert compared_in_symbols(left, right, domain, SIZES) != ""


def test_a_number_that_is_written_is_the_number_it_is() -> None:
    (made,) = symbolic_arguments((lower_triangular(2),), {}, Expressions())
    assert float(made[0, 1].known) == 0.0
    assert np.shape(jax.tree.leaves(made)[0]) == (2, 2)
