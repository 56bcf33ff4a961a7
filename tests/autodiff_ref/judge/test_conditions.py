"""Conditions on the arguments, `where` and `holds_when`: what floats round to where they hold is no counterexample."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from autodiff_ref.verify import verify
from manual_grad import Derivation, holds_when, intervals

BY_FLOAT32 = lambda x, y: jnp.maximum(x, 0) >= 1  # noqa: E731
PRODUCT = lambda x, y: x * y >= 1  # noqa: E731
QUOTIENT = lambda x, y: jnp.divide(x, y) >= 1  # noqa: E731
ROOTS = lambda x, y: jnp.sqrt(x) * jnp.sqrt(y) >= 1  # noqa: E731
IN_NUMPY = lambda x, y: np.all(np.multiply(x, y) >= 1)  # noqa: E731


def first(x: Any, y: Any) -> Any:
    return x


@pytest.mark.parametrize("as_where", [True, False])
@pytest.mark.parametrize(
    ("condition", "in_the_line"),
    [(BY_FLOAT32, BY_FLOAT32), (PRODUCT, PRODUCT), (QUOTIENT, QUOTIENT), (ROOTS, ROOTS), (IN_NUMPY, PRODUCT)],
)
def test_a_line_is_judged_where_its_condition_holds_and_not_where_floats_round_to_it(
    condition: Any, in_the_line: Any, as_where: bool
) -> None:
    def right_inside(x: Any, y: Any) -> Any:
        return jnp.where(in_the_line(x, y), 1.0, 0.0)

    def right_outside(x: Any, y: Any) -> Any:
        return jnp.where(in_the_line(x, y), 0.5, 1.0)

    given = {"where": condition} if as_where else {}
    for line, may_be_refuted in ((right_inside, False), (right_outside, True)):
        lines = [line if as_where else holds_when(condition)(line)]
        derivation = Derivation("∂x/∂x", of=first, wrt="x", domain=(intervals(0, 2),) * 2, lines=lines, **given)
        report = verify(derivation, prove=False, suspects=False, floats=False)
        assert (report.lines[0].verdict == "refuted") == may_be_refuted, str(report)
