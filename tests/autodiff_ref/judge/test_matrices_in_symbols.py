"""Linear systems, inverses, Cholesky factors and triangular systems are proved, and what is false about them is not."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import pytest
from jaxtyping import Array

from autodiff_ref.verify import verify
from manual_grad import Derivation, positive_definite, positives, reals
from tests.proving import unproved

inv, solve = jnp.linalg.inv, jnp.linalg.solve


def log_det(a: Array) -> Array:
    return jnp.sum(jnp.log(jnp.diag(jnp.linalg.cholesky(a))))


def half_inverse(a: Array) -> Array:
    return inv(a) / 2


def half_inverse_by_cholesky(a: Array) -> Array:
    return jsl.cho_solve((jnp.linalg.cholesky(a), True), jnp.eye(len(a))) / 2


def inverse_of_half(a: Array) -> Array:
    return inv(a / 2)


def size_of_log_det(a: Array) -> Array:
    return jnp.linalg.slogdet(a)[1]


def inverse_transposed(a: Array) -> Array:
    return inv(a).T


def inverse(a: Array) -> Array:
    return inv(a)


def through_solve(b: Array, a: Array) -> Array:
    return jnp.sum(solve(a, b) ** 2) / 2


def solved_twice(b: Array, a: Array) -> Array:
    return solve(a.T, solve(a, b))


def solved_by_products(b: Array, a: Array) -> Array:
    return inv(a @ a.T) @ b


def forgot_to_transpose(b: Array, a: Array) -> Array:
    return solve(a, solve(a, b))


def by_rows(b: Array, a: Array) -> Array:
    return jnp.sum(jax.vmap(lambda row: solve(a, row))(b))


def by_rows_1(b: Array, a: Array) -> Array:
    return jnp.broadcast_to(jnp.sum(inv(a), axis=0), b.shape)


def by_rows_transposed(b: Array, a: Array) -> Array:
    return jnp.broadcast_to(jnp.sum(inv(a), axis=1), b.shape)


def triangular(b: Array, a: Array) -> Array:
    return jnp.sum(jsl.solve_triangular(a, b, lower=True) ** 2) / 2


def back_again(b: Array, a: Array) -> Array:
    return jsl.solve_triangular(a, jsl.solve_triangular(a, b, lower=True), lower=True, trans=1)


def forth_again(b: Array, a: Array) -> Array:
    return jsl.solve_triangular(a, jsl.solve_triangular(a, b, lower=True), lower=True)


def unit_diagonal(b: Array, a: Array) -> Array:
    return jsl.solve_triangular(
        a, jsl.solve_triangular(a, b, lower=True, unit_diagonal=True), lower=True, trans=1, unit_diagonal=True
    )


OF_MATRIX, OF_BOTH = (reals("n", "n"),), (reals("n"), reals("n", "n"))
CASES: dict[str, tuple[Derivation, list[Any]]] = {
    "Cholesky": (
        Derivation("", of=log_det, domain=(positive_definite("n"),), lines=[half_inverse, half_inverse_by_cholesky]),
        [inverse_of_half],
    ),
    "log |det|": (Derivation("", of=size_of_log_det, domain=OF_MATRIX, lines=[inverse_transposed]), [inverse]),
    "a system": (
        Derivation("", of=through_solve, wrt="b", domain=OF_BOTH, lines=[solved_twice, solved_by_products]),
        [forgot_to_transpose],
    ),
    "a system for each row": (
        Derivation("", of=by_rows, wrt="b", domain=(reals("m", "n"), reals("n", "n")), lines=[by_rows_1]),
        [by_rows_transposed],
    ),
    "a triangular system": (
        Derivation("", of=triangular, wrt="b", domain=OF_BOTH, lines=[back_again]),
        [forth_again, unit_diagonal],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_right_is_proved_and_what_is_wrong_is_not(name: str) -> None:
    derivation, wrong = CASES[name]
    assert unproved(derivation) == {}
    for line in wrong:
        assert unproved(derivation.with_lines(line))


def test_of_a_system_that_is_singular_nothing_is_proved() -> None:
    def of(b: Array) -> Array:
        return jnp.sum(solve(jnp.ones((2, 2)), b))

    def nothing(b: Array) -> Array:
        return 0 * b

    assert unproved(Derivation("", of=of, domain=(reals(2),), lines=[nothing]))


def solved_wrongly(b: Array, a: Array) -> Array:
    """Not what it says: A x = b, solved as if A were 2."""
    return jax.lax.custom_linear_solve(lambda x: a * x, b, solve=lambda _, b: b / 2, symmetric=True)


def test_how_others_solve_is_not_taken_for_what_they_solve() -> None:
    def of(b: Array, a: Array) -> Array:
        return jnp.sum(b * b / a) / 2

    derivation = Derivation("", of=of, wrt="b", domain=(reals("n"), positives()), lines=[solved_wrongly])
    line = verify(derivation).lines[0]
    assert line.verdict == "refuted"
    assert unproved(derivation)
