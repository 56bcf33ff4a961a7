"""Domains that nobody gave, found by trying which arguments a function takes."""

import itertools
import warnings
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.domains import RandomSource
from autodiff_ref.judge.errors import reason_of
from autodiff_ref.judge.inputs import draw_arguments, main_sizes
from autodiff_ref.judge.program.equations import primitives_in, reads_beyond
from autodiff_ref.judge.rules.hints import (
    LABELS,
    as_named,
    is_computed_with,
    of_leaves,
    parameters_of,
    said_to_be_numbers,
    structures_of,
)
from autodiff_ref.judge.rules.statics import hinted_values, in_single_precision, merged, static_values, with_values
from manual_grad.domains import Domain
from manual_grad.domains.labels import Bits, Classes, Constants
from manual_grad.domains.matrices import PositiveDefinite, Symmetric
from manual_grad.domains.numbers import Intervals, Nonnegatives, Positives, Reals

Args = tuple[Any, ...]

MOST_ARGUMENTS = 4
MOST_TRIES = 110
MOST_BATCHES = 2
_STRATA = ("ordinary", "small", "saturated")


def probed(f: Callable[..., Any]) -> Args | None:
    """The widest of some domains on which a function has finite values; None where it has on none.

    Of these the first is taken at whose shapes JAX's derivative raises nothing, if there is such a one. Matrices that the
    function multiplies go before all others: a product of numbers, which it takes as well, shows no transpose.
    """
    parameters = parameters_of(f)
    if parameters is None:
        return None
    if structures := structures_of(f):
        flat, together = of_leaves(f, structures)
        leaves = probed(flat)
        return None if leaves is None else together(leaves)
    count = sum(not has_default for _, has_default in parameters) or min(len(parameters), 1)
    if not 1 <= count <= MOST_ARGUMENTS:
        return None
    along = any(name in ("axis", "axes", "dim") for name, _ in parameters)
    said = said_to_be_numbers(f)
    numbers = [k for k, (name, _) in enumerate(parameters) if name in said]
    first: Args | None = None
    for values in [*static_values(f, count), *hinted_values(f, count)]:
        left = [k for k in range(count) if k not in values]
        names = [parameters[k][0] for k in left]
        of_rest = with_values(f, values, count) if values else f

        def fits(domain: Args, numbers: Container[int] = numbers, left: Sequence[int] = left) -> bool:
            return not any(kind.dims and k in numbers for k, kind in zip(left, domain, strict=True))

        multiplied = [domain for domain in _multiplied(of_rest, len(left)) if fits(domain)]
        fitting = multiplied or (list(filter(fits, _candidates(len(left), along and not values))) if left else [])
        labels = [k for k, name in enumerate(names) if name in LABELS]
        named = [d for d in fitting if labels and all(isinstance(d[k], Classes) for k in labels)]
        for domain in [*named, *as_named(fitting, names)][:MOST_TRIES]:
            if not _takes(of_rest, domain) or _has_slope_by_labels(of_rest, domain):
                continue
            has_derivative = not _error_of_derivative(of_rest, domain)
            is_spare = domain in named and _computes_with(of_rest, domain, labels)
            if first is None or (has_derivative and not is_spare):
                found = _symmetric(of_rest, _widened(of_rest, domain))
                found = _along_an_axis(of_rest, found, [place for place, k in enumerate(left) if k in numbers])
                first = tuple(merged(found, {k: Constants((), value) for k, value in values.items()}))
            if has_derivative and not is_spare:
                return first
    return first


def _has_slope_by_labels(f: Callable[..., Any], domain: Args) -> bool:
    """Whether JAX has another derivative than 0 by zeros and ones that a name called a mask: it is to be judged then."""
    places, args = tuple(k for k, kind in enumerate(domain) if isinstance(kind, Bits)), _ordinary(domain)

    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            slopes = jax.grad(_total(f), places)(*map(jax.numpy.asarray, args)) if places else ()
        except Exception:  # what JAX raises is said where the derivative is judged
            return False
    return any(np.any(slope) for slope in slopes)


def _computes_with(f: Callable[..., Any], domain: Args, places: Sequence[int]) -> bool:
    """Whether some integers are numbers to a function, so that it has a derivative by them as well."""
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(f)(*_ordinary(domain)).jaxpr
    return is_computed_with(jaxpr, {jaxpr.invars[k] for k in places})


def _multiplied(f: Callable[..., Any], count: int) -> list[Args]:
    """Matrices that a function multiplies, the second as it is or transposed, and what stands beside; then square ones.

    It does if it takes the second matrix one way round alone: so does x[0] − y[0], which multiplies none. The matrices are
    the first two arguments, or the first and the last, if JAX's derivative raises nothing there.
    """
    found = list[Args]()
    beside = (Reals(("k",)), Reals(()), Reals(("k", "l")))  # what is added, what scales, and the values of an attention
    pairs = [(0, 1), (0, count - 1), (count - 1, 0)][: 1 if count == 2 else 3] if count > 1 else []
    for (one, other), rest in itertools.product(pairs, itertools.product(beside, repeat=max(count - 2, 0))):
        taken = list[Args]()
        for dims in (("m", "k"), ("k", "m")):
            matrices, others = {one: Reals(("n", "m")), other: Reals(dims)}, iter(rest)
            domain = tuple(matrices[k] if k in matrices else next(others) for k in range(count))
            taken += [domain] if _takes(f, domain) and "dot_general" in _primitives(f, domain) else []
        is_meant = len(taken) == 1 and (other == 1 or not _error_of_derivative(f, taken[0]))
        found += taken if is_meant else []
    return [*found, *(tuple(replace(kind, dims=("n",) * len(kind.dims)) for kind in domain) for domain in found)]


def _symmetric(f: Callable[..., Any], domain: Args) -> Args:
    """Symmetric matrices for those of which a function decomposes nothing but the symmetric part, as eigh does."""
    squares = [
        k for k, kind in enumerate(domain) if isinstance(kind, Reals) and len(kind.dims) == 2 and len({*kind.dims}) == 1
    ]
    if not squares or "eigh" not in _primitives(f, domain):
        return domain
    args = _ordinary(domain)
    for k in squares:
        turned = (*args[:k], np.swapaxes(args[k], -1, -2), *args[k + 1 :])
        if all(np.allclose(x, y) for x, y in zip(_values(f, turned), _values(f, args), strict=True)):
            domain = (*domain[:k], Symmetric(domain[k].dims), *domain[k + 1 :])
    return domain


def _values(f: Callable[..., Any], args: Args) -> list[np.ndarray]:
    with jax.enable_x64(True):
        return [np.asarray(x) for x in jax.tree.leaves(f(*map(jax.numpy.asarray, args)))]


def _along_an_axis(f: Callable[..., Any], domain: Args, numbers: Container[int]) -> Args:
    """Vectors for numbers, of which a function makes something else than the same of each: a mean of one number is a sum."""
    places = [k for k, kind in enumerate(domain) if not isinstance(kind, Classes) and k not in numbers]
    if any(kind.dims for kind in domain) or not places:
        return domain
    for of in (places, places[:1]):
        wide = tuple(replace(kind, dims=("n",)) if k in of else kind for k, kind in enumerate(domain))
        pair = _ordinary(tuple(replace(kind, dims=(2,)) if k in of else kind for k, kind in enumerate(domain)))
        if _takes(f, wide) and not _maps(f, pair, of) and not _error_of_derivative(f, wide):
            return wide
    return domain


def error_at_numbers(f: Callable[..., Any]) -> str:
    """The error that a function raises where each of its arguments is a number; empty where it raises none."""
    given = [jax.numpy.ones(()) for _, has_default in parameters_of(f) or () if not has_default]
    try:
        f(*given)
    except Exception as error:
        return reason_of(error)
    return ""


def batches(f: Callable[..., Any], domain: Args) -> tuple[list[Args], list[str]]:
    """Inputs with two in the place of one argument, or of all, where a function does the same with each of the two.

    The arguments that are not doubled are shared by both, and a rule has to add up over them.

    Returns:
        The inputs at which JAX can be asked for the derivative; and what is to be said of the others.
    """
    is_flat = all(isinstance(kind, Domain) for kind in domain)
    places = [k for k, kind in enumerate(domain) if not isinstance(kind, Constants)] if is_flat else []
    chosen = [{k} for k in places] + ([set(places)] if len(places) > 1 else [])
    wide = [tuple(_doubled(kind) if k in of else kind for k, kind in enumerate(domain)) for of in chosen]
    found, raising = list[Args](), list[str]()
    for of, each in zip(chosen, wide, strict=True):
        args = _ordinary(each)
        if _maps(f, args, of):
            error = _error_of_derivative(f, each)
            shapes = ", ".join(str(np.shape(x)) for x in args)
            raising += (
                [f"at arguments of the shapes {shapes} it has values, and its derivative raises {error}"] if error else []
            )
            found += [] if error else [args]
    return found[:MOST_BATCHES], raising[:MOST_BATCHES]


def _doubled(kind: Any) -> Domain:
    return replace(kind, dims=(2, *kind.dims))


def _maps(f: Callable[..., Any], args: Args, of: Container[int]) -> bool:
    """Whether a function does to the first and the second of some of its arguments what it does to each alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            both = _values(f, args)
            alone = [_values(f, tuple(x[row] if k in of else x for k, x in enumerate(args))) for row in (0, 1)]
            return all(
                np.shape(x) == (2, *np.shape(first)) and np.allclose(x, (first, second))
                for x, first, second in zip(both, *alone, strict=True)
            )
        except Exception:  # whatever a function raises at arguments that are not for it
            return False


def _candidates(count: int, along: bool) -> Iterator[Args]:
    """Domains, those of the most functions first."""
    scalars: list[Domain] = [Reals(()), Positives(()), Intervals((), 0.0, 1.0), Classes((), 4)]
    of_scalars = sorted(itertools.product(range(len(scalars)), repeat=count), key=lambda kinds: (max(kinds), sum(kinds)))
    whole = [
        tuple(scalars[k] for k in kinds) for kinds in of_scalars if not all(scalars[k].__class__ is Classes for k in kinds)
    ]
    vectors: list[Args] = [(kind,) * count for kind in (Reals(("n",)), Positives(("n",)), Intervals(("n",), 0.0, 1.0))]
    small = [tuple(Reals((size,)) for size in sizes) for sizes in _small_sizes(count)]
    matrices: list[Args] = [(Reals(("n", "n")),) * count, (Reals(("n", "m")),) * count, *small]
    if count > 1:
        beside = [*scalars[:-1], Classes((), "n")]  # a place in the vector, if it is one
        vectors += [(Reals(("n",)), *rest) for rest in itertools.product(beside, repeat=count - 1)][:12]
        vectors += [(Reals(("n",)), kind, *(Reals(()),) * (count - 2)) for kind in (Reals(("n",)), Classes(("n",), "n"))]
        matrices += [*_beside_vectors(count), (Reals(("n", "n")), Reals(("n",)), *(Reals(()),) * (count - 2))]
        matrices += [(Reals(("n", "m")), Classes(("n",), "n"), *(Reals(()),) * (count - 2))]  # rows or columns: n < m
    matrices += [
        (PositiveDefinite(("n", "n")), *rest) for rest in ((Reals(("n",)),) * (count - 1), (Reals(()),) * (count - 1))
    ]
    matrices += [(Reals((size, size)),) * count for size in (2, 4)]
    yield from (*vectors, *whole, *matrices) if along else (*whole[:40], *vectors, *matrices, *whole[40:])


def _beside_vectors(count: int) -> Iterator[Args]:
    """A matrix and vectors: of a layer's weights, its bias and its input; or rows of inputs, and their scales."""
    for dims in itertools.product("mn", repeat=count - 1):
        vectors = tuple(Reals((dim,)) for dim in dims)
        yield from ((*vectors[:k], Reals(("n", "m")), *vectors[k:]) for k in range(count))


def _small_sizes(count: int) -> Iterator[tuple[int, ...]]:
    """Sizes of vectors other than 3 throughout: points of the plane, quaternions, and quaternions beside points of space."""
    yield from ((4,) * count, (2,) * count)
    if count > 1:
        yield from ((4,) + (3,) * (count - 1), (3,) * (count - 1) + (4,))


def _widened(f: Callable[..., Any], domain: Args) -> Args:
    """The domain with ends, and with what is below 0, where the function has finite values there too."""
    for k in range(len(domain)):
        for wider in _wider(domain[k]):
            tried = (*domain[:k], wider, *domain[k + 1 :])
            if _takes(f, tried):
                domain = tried
    return domain


def _wider(kind: Domain) -> Iterator[Domain]:
    if isinstance(kind, Positives):
        yield Nonnegatives(kind.dims)
    elif isinstance(kind, Intervals):
        for low in (kind.low, -1.0):
            yield Intervals(kind.dims, low, kind.high, closed=True)
    if isinstance(kind, Positives | Intervals):
        yield Reals(kind.dims)


def _at_ends(domain: Args, args: Args) -> Iterator[Args]:
    """The arguments with one of them at an end of its domain, where the domain holds that."""
    for k, kind in enumerate(domain):
        ends = (0.0,) if isinstance(kind, Nonnegatives) else ()
        ends = (kind.low, kind.high) if isinstance(kind, Intervals) and kind.closed else ends
        for end in ends:
            yield (*args[:k], np.full(np.shape(args[k]), end), *args[k + 1 :])


def _ordinary(domain: Args) -> Args:
    """Arguments of a domain, of ordinary size."""
    return draw_arguments(domain, main_sizes(domain, {})[0], _STRATA[0], RandomSource(np.random.default_rng(0)))


def _error_of_derivative(f: Callable[..., Any], domain: Args) -> str:
    """What JAX raises where its derivative is traced at the shapes of a domain; empty where it raises nothing.

    It raises nothing either if it does so in single precision.
    """
    args = _ordinary(domain)
    by = tuple(k for k, x in enumerate(args) if np.asarray(x).dtype.kind == "f" and not domain[k].known)
    error = _raised(f, args, by)
    return error if error and _raised(in_single_precision(f), args, by) else ""


def _raised(f: Callable[..., Any], args: Args, by: tuple[int, ...]) -> str:
    """What JAX raises where its derivative by some arguments is traced; empty where it raises nothing."""
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            traced = core.jaxpr_as_fun(jax.make_jaxpr(f)(*args))  # as it is judged: what a rule closes over is seen
            jax.eval_shape(jax.grad(_total(traced), by), *args)
        except Exception as error:
            return reason_of(error)
    return ""


def _total(f: Callable[..., Any]) -> Callable[..., Any]:
    """The sum of all reals that a function returns."""

    def total(*xs: Any) -> Any:
        outs = [out for out in jax.tree.leaves(f(*xs)) if jax.numpy.issubdtype(out.dtype, np.floating)]
        return sum(jax.numpy.sum(out) for out in outs)

    return total


def _primitives(f: Callable[..., Any], domain: Args) -> set[str]:
    with jax.enable_x64(True):
        return primitives_in(jax.make_jaxpr(f)(*_ordinary(domain)).jaxpr)


def _takes(f: Callable[..., Any], domain: Args) -> bool:
    """Whether a function has real values, all of them finite, at some inputs of a domain."""
    sizes = main_sizes(domain, {})[0]
    source = RandomSource(np.random.default_rng(0))
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = [draw_arguments(domain, sizes, stratum, source) for stratum in _STRATA]
        for k, args in enumerate([*drawn, *_at_ends(domain, drawn[0])]):
            try:
                if k == 0:
                    closed = jax.make_jaxpr(f)(*args)
                    if reads_beyond(closed.jaxpr):
                        return False
                    if not any(jax.numpy.issubdtype(s.dtype, np.floating) and s.size for s in closed.out_avals):
                        return False
                values = [np.asarray(x) for x in jax.tree.leaves(f(*map(jax.numpy.asarray, args)))]
            except Exception:  # whatever a function raises at arguments that are not for it
                return False
            if not all(np.all(np.isfinite(x)) for x in values if x.dtype.kind == "f"):
                return False
    return True
