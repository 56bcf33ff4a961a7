"""Iterations to a tolerance that solve x + exp(x) = a, and a rule for what they go to."""

import jax
import jax.numpy as jnp
from jax import lax


def by_newton(a, tolerance):
    def turn(state):
        x, _ = state
        step = (x + jnp.exp(x) - a) / (1 + jnp.exp(x))
        return x - step, step

    return lax.while_loop(lambda state: jnp.abs(state[1]) > tolerance, turn, (jnp.zeros_like(a), jnp.ones_like(a)))[0]


def by_secants(a, tolerance):
    def turn(state):
        old, x = state
        at_old, at_x = old + jnp.exp(old) - a, x + jnp.exp(x) - a
        return x, x - at_x * (x - old) / (at_x - at_old)

    return lax.while_loop(lambda s: jnp.abs(s[1] - s[0]) > tolerance, turn, (jnp.zeros_like(a), jnp.ones_like(a)))[1]


def by_bisection(a, tolerance):
    def turn(state):
        low, high = state
        middle = (low + high) / 2
        is_above = middle + jnp.exp(middle) > a
        return jnp.where(is_above, low, middle), jnp.where(is_above, middle, high)

    return sum(lax.while_loop(lambda s: s[1] - s[0] > tolerance, turn, (0 * a - 10.0, 0 * a + 10.0))) / 2


def by_substitution(a, tolerance):
    """It counts its turns by a float, and gives up after 200."""

    def turn(state):
        x, _, turns = state
        new = x - 0.3 * (x + jnp.exp(x) - a)
        return new, new - x, turns + 1

    start = jnp.zeros_like(a), jnp.ones_like(a), 0 * a
    return lax.while_loop(lambda s: (jnp.abs(s[1]) > tolerance) & (s[2] < 200), turn, start)[0]


def of_the_equation(iteration, tolerance, factor):
    """x with x + exp(x) = a, and a multiple of its derivative."""
    solve = jax.custom_jvp(lambda a: iteration(a, tolerance))

    @solve.defjvp
    def its_rule(primals, tangents):
        x = solve(*primals)
        return x, factor * tangents[0] / (1 + jnp.exp(x))

    return solve
