"""Hypothesis strategies for the arguments of a derivation: inputs that can see a mistake, and shrink."""

from collections.abc import Mapping
from functools import cache

import jax
import numpy as np
from hypothesis import strategies as st

from autodiff_ref.judge.inputs import STRATA, dimension_names, draw_arguments, main_sizes
from autodiff_ref.trees import Arguments, Domains, Function
from manual_grad._arrays import leaves
from manual_grad.derivation import with_functions_held
from manual_grad.domains import Domain
from manual_grad.domains.domain import Values, ordinary_bound


def arguments(
    domain: Domains,
    stratum: str = "ordinary",
    *,
    sizes: Mapping[str, int] | None = None,
    where: Function | None = None,
) -> st.SearchStrategy[Arguments]:
    """Arguments drawn from a domain: a tuple of NumPy arrays in its structure, float64 (class numbers, permutations int64).

    The "ordinary" stratum keeps a sum of products over a last axis below 5, so that sigmoids do not saturate; it has both
    labels, arrays that differ, and named dimensions of at least 3. Few shapes are drawn, since each costs a compilation.

    Args:
        domain: a derivation's domain, as `notes.DOMAIN` or `derivation.domain`.
        stratum: one of `STRATA`.
        sizes: the size of some or all named dimensions; two choices for all the others.
        where: a predicate on the arguments.

    Raises:
        TypeError: the domain is no tuple of domains, or `where` no function.
        ValueError: there is no such stratum or dimension, or a size is no whole number from 1 on.

    Example:
        >>> from manual_grad import reals
        >>> from hypothesis import find
        >>> find(arguments((reals("n"),), sizes={"n": 2}), lambda args: args[0].sum() >= 1)[0].shape
        (2,)
    """
    domain = with_functions_held(domain)
    is_tuple = isinstance(domain, tuple) and domain  # a domain of one argument is none
    if not is_tuple or not all(isinstance(leaf, Domain) for leaf in leaves(domain)):
        raise TypeError(f"a domain is a tuple with one of reals(…), signs(…), … for each argument, got {domain!r}")
    if stratum not in STRATA:
        raise ValueError(f"no stratum {stratum!r}: choose one of {', '.join(map(repr, STRATA))}")
    unknown = set(sizes or {}) - set(dimension_names(domain))
    if unknown:
        raise ValueError(f"sizes names {sorted(unknown)}, the domain has {dimension_names(domain)}")
    for name, size in (sizes or {}).items():
        if not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"the size of {name!r} must be a whole number from 1 on, got {size!r}")
    if where is not None and not callable(where):
        raise TypeError(f"`where` must be a predicate on the arguments, got {where!r}")
    choices = [{**main, **(sizes or {})} for main in main_sizes(domain, {})]

    @st.composite
    def drawn(draw: st.DrawFn) -> Arguments:
        args = draw_arguments(domain, draw(st.sampled_from(choices)), stratum, _HypothesisSource(draw))
        if stratum == "ordinary":
            _inform(domain, args)
        return args

    strategy = drawn()
    return strategy if where is None else strategy.filter(lambda args: bool(where(*args)))


def _inform(domain: Domains, args: Arguments) -> None:
    """Makes most real entries not small, and arrays of the first argument different, where they were not.

    Hypothesis is fond of zeros and of repeating itself: without this, one draw in seven has a gradient below 1e-3. Entries
    are moved rather than draws refused, since it would refuse two of three.
    """
    leaves = list(zip(jax.tree.leaves(domain), jax.tree.leaves(args), strict=True))
    for leaf, array in leaves:
        if leaf.free and array.size:
            bound = ordinary_bound(array.shape)
            small = np.abs(array) < SMALL * bound
            if np.count_nonzero(small) >= array.size / 2:
                array[small] += bound / 2
    of_first = len(jax.tree.leaves(args[0]))
    real = [array for leaf, array in leaves[:of_first] if leaf.free and array.ndim]
    for k, array in enumerate(real):
        for factor in (-1.0, -0.5, 0.5):
            if not any(np.array_equal(array, earlier) for earlier in real[:k]):
                break
            array *= factor


SMALL = 0.1
"""In the ordinary stratum, more than half of the entries of an array are at least this share of the largest possible."""


class _HypothesisSource:
    """Arrays drawn by Hypothesis, each in one choice: bytes, which shrink towards 0 one by one.

    One choice for every entry would take ten times as long.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Values:
        """Integers low, …, high in an array; they shrink towards 0, or what is nearest to it."""
        if int(np.prod(shape)) == 1:
            return np.full(shape, self._draw(_integers(low, high)))
        count = high - low + 1
        simplest = min(max(low, 0), high) - low
        code = self._numbers(shape) if count > 256 else self._bytes(shape)
        return low + (simplest + code.astype(np.int64)) % count

    def units(self, shape: tuple[int, ...]) -> Values:
        """A first byte says which multiple of 1/128, simple ones first; a second takes up to 1/128 away from it."""
        number = self._numbers(shape)
        coarse = _BY_SIMPLICITY[number >> 8]
        return coarse - np.where(coarse < 0, -1, 1) * (number & 255) / 2.0**15

    def places(self, most: int, asked: Values) -> Values:
        """For each input where `asked` is true, one of so many places.

        They are drawn for all: if the simplest input took more choices than others, Hypothesis would prefer the others.
        """
        return self.integers(0, most - 1, asked.shape)[asked]

    def _numbers(self, shape: tuple[int, ...]) -> Values:
        """Two bytes an entry."""
        pairs = self._bytes((*shape, 2)).astype(np.int64)
        return 256 * pairs[..., 0] + pairs[..., 1]

    def _bytes(self, shape: tuple[int, ...]) -> Values:
        size = int(np.prod(shape))
        if size > MOST_BYTES:
            return np.random.default_rng(self._draw(_integers(0, 2**32 - 1))).integers(0, 256, shape)
        return np.frombuffer(self._draw(_binary(size)), dtype=np.uint8).reshape(shape)


MOST_BYTES = 2_000
"""A larger array is drawn as the seed of a generator: Hypothesis gives an example some 8,000 bytes in all."""

_BY_SIMPLICITY = np.array(sorted(range(-127, 129), key=lambda k: (128 // np.gcd(k, 128), k < 0, abs(k)))) / 128
"""0, 1, 1/2, −1/2, 1/4, 3/4, …: all k/128 from −127/128 to 1"""

_integers = cache(st.integers)


@cache
def _binary(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)
