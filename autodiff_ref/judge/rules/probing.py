"""Domains that nobody gave: from jaxtyping's annotations, or by trying which arguments a function takes."""

import inspect
import itertools
import typing
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.domains import RandomSource
from autodiff_ref.judge.inputs import draw_arguments, main_sizes
from autodiff_ref.judge.rules.statics import merged, static_values, with_values
from manual_grad.domains import Domain
from manual_grad.domains.labels import Classes, constants
from manual_grad.domains.numbers import Intervals, Positives, Reals

Args = tuple[Any, ...]

MOST_ARGUMENTS = 4
MOST_TRIES = 90
_STRATA = ("ordinary", "small", "saturated")


def annotated(f: Callable[..., Any]) -> Args | None:
    """The domain that a function's annotations say; None where they do not say it of every argument without a default."""
    try:
        hints = typing.get_type_hints(f, include_extras=True)
    except Exception:  # names that are not there at run time
        return None
    found = list[Domain]()
    for name, has_default in _parameters(f) or ():
        domain = _of_hint(hints.get(name))
        if domain is None:
            if has_default:
                break
            return None
        found.append(domain)
    return tuple(found) or None


def _of_hint(hint: Any) -> Domain | None:
    if hint is float:
        return Reals(())
    dims, dtypes = getattr(hint, "dim_str", None), getattr(hint, "dtypes", ())
    if dims is None or not isinstance(dims, str):
        return None
    parts = tuple(int(part) if part.isdigit() else part for part in dims.split() if part != "...")
    if not all(isinstance(part, int) or part.isidentifier() for part in parts):
        return None
    if any(str(dtype).startswith("float") for dtype in dtypes):
        return Reals(parts)
    return Classes(parts, 4) if any(str(dtype).startswith(("int", "uint")) for dtype in dtypes) else None


def _parameters(f: Callable[..., Any]) -> list[tuple[str, bool]] | None:
    """(name, whether it has a default) of what can be passed by position; None where that cannot be told."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [(p.name, p.default is not p.empty) for p in parameters if p.kind in positional]


def probed(f: Callable[..., Any]) -> Args | None:
    """The widest of some domains on which a function has finite values; None where it has on none."""
    parameters = _parameters(f)
    if parameters is None:
        return None
    count = sum(not has_default for _, has_default in parameters) or min(len(parameters), 1)
    if not 1 <= count <= MOST_ARGUMENTS:
        return None
    along = any(name in ("axis", "axes", "dim") for name, _ in parameters)
    for values in static_values(f, count):
        left = count - len(values)
        of_rest = with_values(f, values, count) if values else f
        for domain in itertools.islice(_candidates(left, along and not values), MOST_TRIES) if left else ():
            if _takes(of_rest, domain):
                return tuple(merged(domain, {k: constants(value) for k, value in values.items()}))
    return None


def _candidates(count: int, along: bool) -> Iterator[Args]:
    """Domains, those of the most functions first."""
    scalars: list[Domain] = [Reals(()), Positives(()), Intervals((), 0.0, 1.0), Classes((), 4)]
    of_scalars = sorted(itertools.product(range(len(scalars)), repeat=count), key=lambda kinds: (max(kinds), sum(kinds)))
    whole = [
        tuple(scalars[k] for k in kinds) for kinds in of_scalars if not all(scalars[k].__class__ is Classes for k in kinds)
    ]
    vectors: list[Args] = [(kind,) * count for kind in (Reals(("n",)), Positives(("n",)), Intervals(("n",), 0.0, 1.0))]
    matrices: list[Args] = [(Reals(("n", "n")),) * count, (Reals(("n", "m")),) * count]
    if count > 1:
        vectors += [(Reals(("n",)), *rest) for rest in itertools.product(scalars, repeat=count - 1)][:12]
        vectors += [(Reals(("n",)), Classes(("n",), 4), *(Reals(()),) * (count - 2))]
        matrices += [(Reals(("n", "n")), Reals(("n",)), *(Reals(()),) * (count - 2))]
        matrices += [(Reals(("n", "m")), Classes(("n",), 3), *(Reals(()),) * (count - 2))]
    yield from (*vectors, *whole, *matrices) if along else (*whole[:40], *vectors, *matrices, *whole[40:])


def _takes(f: Callable[..., Any], domain: Args) -> bool:
    """Whether a function has real values, all of them finite, at some inputs of a domain."""
    sizes = main_sizes(domain, {})[0]
    source = RandomSource(np.random.default_rng(0))
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k, stratum in enumerate(_STRATA):
            args = draw_arguments(domain, sizes, stratum, source)
            try:
                if k == 0:
                    shapes = jax.tree.leaves(jax.eval_shape(f, *args))
                    if not any(jax.numpy.issubdtype(s.dtype, np.floating) and s.size for s in shapes):
                        return False
                values = [np.asarray(x) for x in jax.tree.leaves(f(*map(jax.numpy.asarray, args)))]
            except Exception:  # whatever a function raises at arguments that are not for it
                return False
            if not all(np.all(np.isfinite(x)) for x in values if x.dtype.kind == "f"):
                return False
    return True
