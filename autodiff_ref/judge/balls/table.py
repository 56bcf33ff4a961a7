"""Ball arithmetic: a table for the walker in which every real is an Arb ball, an interval sure to hold the true value.

What two lines' balls say is certified: disjoint ones differ; whatever overlaps at 30 digits is equal as far as 30 digits go.
"""

import numpy as np

from autodiff_ref.judge.balls.context import constants, exact
from autodiff_ref.judge.balls.entrywise import rule_of
from autodiff_ref.judge.balls.factorizations import MATRICES
from autodiff_ref.judge.balls.jumps import JUMPS
from autodiff_ref.judge.balls.meanings import MEANINGS
from autodiff_ref.judge.balls.order import ORDER
from autodiff_ref.judge.balls.spectral import SPECTRAL
from autodiff_ref.judge.balls.windows import WINDOWS
from autodiff_ref.judge.functions import FUNCTIONS, Function
from autodiff_ref.judge.functions.enclosing import ONE, ZERO
from autodiff_ref.judge.program.control import CONTROL
from autodiff_ref.judge.program.discrete import by_jax
from autodiff_ref.judge.program.plans import Equation, Rule, Step
from autodiff_ref.judge.program.structure import ALGEBRA, DISCRETE, MOVEMENT, reduction_by


def _refused(sentence: str) -> Rule:
    def rule(_: Equation) -> Step:
        raise NotImplementedError(sentence)

    return rule


_CALLBACK = "`{}` calls Python, which the judge cannot see into: write what it computes in JAX"

REFUSED: dict[str, Rule] = {
    **{name: _refused(_CALLBACK.format(name)) for name in ("pure_callback", "io_callback")},
    "bitcast_convert_type": _refused(
        "`bitcast_convert_type` reads the bits of a float, of which no real number knows: jnp.frexp and jnp.ldexp are judged"
    ),
}
"""primitives that no rule could serve, and what to do about them"""


class BallTable:
    """The rules by which the walker computes in balls."""

    name = "balls"
    watches = True
    has_bare = True
    movement = MOVEMENT
    discrete = DISCRETE
    control = CONTROL
    fallback = staticmethod(by_jax)
    constant = staticmethod(constants)
    rules: dict[str, Rule]

    def __init__(self) -> None:
        self.rules = {
            **ALGEBRA,
            **{name: rule_of(row.ball) for name, row in FUNCTIONS.items()},
            **JUMPS,
            **ORDER,
            **WINDOWS,
            **MATRICES,
            **SPECTRAL,
            **MEANINGS,
            **REFUSED,
            "nextafter": lambda _: lambda _, x, y: x,  # no part of what is meant, as a cast is none
            "reduce_sum": reduction_by(np.add, ZERO),
            "reduce_prod": reduction_by(np.multiply, ONE),
            "iota": lambda eqn: lambda _: exact(DISCRETE["iota"](eqn)(None)),
        }

    def learn(self, row: Function) -> None:
        """Serves a function from now on."""
        self.rules[row.name] = rule_of(row.ball)


BALLS = BallTable()
