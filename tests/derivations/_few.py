"""A few of the judge's own inputs, of one shape: for each, every line is traced again, and that is most of the cost."""

from collections import Counter

import jax
import numpy as np

from autodiff_ref.judge.inputs import Input, draw_inputs
from manual_grad import Derivation
from tests.combinations import exploring


def few_inputs(derivation: Derivation, each: int = 1) -> list[Input] | None:
    """Of each stratum so many inputs of the first shape; None in the profile `explore`: the judge's own, of all shapes."""
    if exploring():
        return None
    drawn = draw_inputs(derivation, seed=0)
    alike = Counter[str]()
    chosen: list[Input] = []
    for given in drawn:
        if _shapes(given) == _shapes(drawn[0]) and alike[given.stratum] < each:
            alike[given.stratum] += 1
            chosen.append(given)
    return chosen


def _shapes(given: Input) -> tuple[tuple[int, ...], ...]:
    return tuple(np.shape(leaf) for leaf in jax.tree.leaves(given.args))
