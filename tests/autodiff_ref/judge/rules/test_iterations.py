"""Rules of iterations: of their results, and not of what they hand on beside these."""

import jax
import jax.numpy as jnp
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from autodiff_ref import judge_rule
from tests.combinations import few_or_many


def solved(factor):
    """y with y³ + y = a, and how many digits the last step has changed, of which the rule says nothing."""

    @jax.custom_jvp
    def solve(start, a):
        def turn(state):
            y, _ = state
            step = (y**3 + y - a) / (3 * y * y + 1)
            return y - step, step

        y, step = lax.while_loop(lambda state: jnp.abs(state[1]) > 1e-8, turn, (start, jnp.ones_like(start)))
        return y, jnp.log(jnp.abs(step) + 1e-40)

    @solve.defjvp
    def its_rule(primals, tangents):
        y, step = solve(*primals)
        return (y, step), (factor * tangents[1] / (3 * y * y + 1), jnp.zeros_like(step))

    return lambda a: solve(jnp.full_like(a, 2.0), a)[0]


@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.integers(1, 15).map(lambda k: k / 8))
def test_by_products_of_an_iteration_are_not_held_against_its_rule(a):
    assert judge_rule(solved(1.0), at=[a]).ok
    assert judge_rule(solved(1.5), at=[a]).verdict == "WRONG"
