"""Hypothesis strategies for the arguments of a derivation: inputs that can see a mistake, and shrink."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from hypothesis import strategies as st

from autodiff_ref.verify.inputs import STRATA, Values, dimension_names, draw_arguments, main_sizes


def arguments(
    domain: tuple[Any, ...],
    stratum: str = "ordinary",
    *,
    sizes: Mapping[str, int] | None = None,
    where: Callable[..., Any] | None = None,
) -> st.SearchStrategy[tuple[Any, ...]]:
    """Arguments drawn from a domain: a tuple of float64 NumPy arrays in its structure (class numbers int64).

    The "ordinary" stratum keeps a sum of products over a last axis below 5, so that sigmoids do not saturate; it has both
    labels, arrays that differ, and named dimensions of at least 3. Few shapes are drawn, since each costs a compilation.

    Args:
        domain: a derivation's domain, as `notes.DOMAIN` or `derivation.domain`.
        stratum: one of `STRATA`.
        sizes: the size of some or all named dimensions; two choices for all the others.
        where: a predicate on the arguments.

    Raises:
        ValueError: there is no such stratum, or no such dimension.

    Example:
        >>> from manual_grad import reals
        >>> from hypothesis import find
        >>> find(arguments((reals("n"),), sizes={"n": 2}), lambda args: args[0].sum() >= 1)[0].shape
        (2,)
    """
    if stratum not in STRATA:
        raise ValueError(f"no stratum {stratum!r}: choose one of {', '.join(map(repr, STRATA))}")
    unknown = set(sizes or {}) - set(dimension_names(domain))
    if unknown:
        raise ValueError(f"sizes names {sorted(unknown)}, the domain has {dimension_names(domain)}")
    choices = [{**main, **(sizes or {})} for main in main_sizes(domain, {})]

    @st.composite
    def drawn(draw: st.DrawFn) -> tuple[Any, ...]:
        return draw_arguments(domain, draw(st.sampled_from(choices)), stratum, _HypothesisSource(draw))

    strategy = drawn().filter(_arrays_of_the_first_argument_differ) if stratum == "ordinary" else drawn()
    return strategy if where is None else strategy.filter(lambda args: bool(where(*args)))


def _arrays_of_the_first_argument_differ(args: tuple[Any, ...]) -> bool:
    arrays = [array for array in jax.tree.leaves(args[0]) if array.ndim]
    return not any(np.array_equal(a, b) for a, b in itertools.combinations(arrays, 2))


class _HypothesisSource:
    """Integers drawn by Hypothesis: they shrink towards 0."""

    resolution = 2**10

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Values:
        size = int(np.prod(shape))
        values = self._draw(st.lists(st.integers(low, high), min_size=size, max_size=size))
        return np.reshape(np.array(values, dtype=np.int64), shape)
