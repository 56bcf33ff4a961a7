"""Arguments that a rule says are no arrays (`nondiff_argnums`): an axis, a power, a flag.

They are handed over as Python values, and are bound before the function is judged.
"""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.rules.naming import shown_name
from autodiff_ref.judge.rules.reproducing import source_of
from manual_grad.derivation import argument_names
from manual_grad.domains.labels import Constants

RULED = (jax.custom_jvp, jax.custom_vjp)

_TRIED = (3, 2, 0, 1, 0.5, -1)
"""powers, axes, flags and slopes"""

_MOST_TRIED = 12

_FEW = 3
"""where an annotation alone says so"""

_WHOLE, _TEXT, _REAL = (int, "int"), (str, "str"), (float, "float")


def static_places(f: Any) -> tuple[int, ...]:
    """The positions of a function's arguments that its rule says are no arrays."""
    return tuple(f.nondiff_argnums) if isinstance(f, RULED) else ()


def static_values(f: Callable[..., Any], count: int) -> Iterator[dict[int, Any]]:
    """Values to try for these positions, among the first `count`: of a text those that its function compares with."""
    return _values(f, [place for place in static_places(f) if place < count])


def hinted_values(f: Callable[..., Any], count: int) -> Iterator[dict[int, Any]]:
    """The same for those positions too that the annotations say hold a number or a text; none where there are none."""
    places, hinted = static_places(f), hinted_places(f)
    tried = _values(f, [k for k in range(count) if k in places or k in hinted])
    return itertools.islice(tried, _FEW if {*hinted} - {*places} else 0)


def hinted_places(f: Callable[..., Any]) -> list[int]:
    """The positions of a function's arguments that its annotations say hold a number or a text."""
    hints = getattr(f, "__annotations__", {})
    return [place for place, name in enumerate(argument_names(f) or []) if hints.get(name) in (*_WHOLE, *_TEXT, *_REAL)]


def _values(f: Callable[..., Any], places: Sequence[int]) -> Iterator[dict[int, Any]]:
    hints, names = getattr(f, "__annotations__", {}), argument_names(f) or []
    said = [hints.get(names[place]) if place < len(names) else None for place in places]
    tried = [
        texts_of(f) if hint in _TEXT else [value for value in _TRIED if hint not in _WHOLE or isinstance(value, int)]
        for hint in said
    ]
    for values in itertools.islice(itertools.product(*tried), _MOST_TRIED):
        yield dict(zip(places, values, strict=True))


def texts_of(f: Callable[..., Any]) -> list[str]:
    """The words that stand in a function's code, other than in its docstring."""
    code = getattr(inspect.unwrap(f), "__code__", None)
    words = [] if code is None else [each for each in code.co_consts if isinstance(each, str) and each.isidentifier()]
    return [word for word in words if word != (inspect.unwrap(f).__doc__ or "")]


def merged(rest: Sequence[Any], values: Mapping[int, Any]) -> list[Any]:
    """All arguments, of those at some positions and the rest."""
    made = list(rest)
    for place in sorted(values):
        made.insert(place, values[place])
    return made


def with_values(f: Callable[..., Any], values: Mapping[int, Any], count: int) -> Callable[..., Any]:
    """The function of its other arguments; `count` of all."""

    @functools.wraps(f, updated=())
    def called(*rest: Any) -> Any:
        return f(*merged(rest, values))

    known = argument_names(f) or []
    names = [known[k] if k < len(known) else f"x{k}" for k in range(count)]
    rest = [name for k, name in enumerate(names) if k not in values]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in rest]
    called.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
    opens, name = source_of(f)
    given = ", ".join(repr(values[k]) if k in values else names[k] for k in range(count))
    called.written = opens, f"lambda {', '.join(rest)}: {name}({given})"  # pyright: ignore[reportAttributeAccessIssue]
    return called


def in_single_precision(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the reals among its arguments cast to float32, for a rule that takes no others."""

    def cast(x: Any) -> Any:
        is_real = jax.numpy.issubdtype(getattr(x, "dtype", None) or np.asarray(x).dtype, np.floating)
        return jax.numpy.asarray(x).astype(np.float32) if is_real else x

    @functools.wraps(f, updated=())
    def called(*args: Any) -> Any:
        return f(*jax.tree.map(cast, args))

    called.__name__ = shown_name(f)
    opens, name = source_of(f)
    called.written = [*opens, "single = lambda x: jnp.asarray(x).astype('float32')"], f"lambda *xs: {name}(*map(single, xs))"  # pyright: ignore[reportAttributeAccessIssue]
    return called


def bound(
    f: Callable[..., Any], domain: tuple[Any, ...] | None, at: Sequence[Any]
) -> tuple[Callable[..., Any], tuple[Any, ...] | None, Sequence[Any]]:
    """A function, its domain and its inputs without what its rule says is no array.

    Raises:
        ValueError: such an argument is not one value.
    """
    hinted, said = hinted_places(f), domain or ()
    places = {*static_places(f), *(k for k in hinted if k < len(said) and isinstance(said[k], Constants))}
    first = domain if domain is not None else at[0] if at and isinstance(at[0], tuple) else ()
    places = sorted(place for place in places if place < len(first))
    if not places:
        return f, domain, at
    values = {place: _value(f, place, first[place]) for place in places}
    inputs = list[Any]()
    for each in at:
        if not isinstance(each, tuple) or len(each) != len(first) or any(each[k] != values[k] for k in places):
            raise ValueError(f"{shown_name(f)}: every input in at is to hold {_said(values)}, got {each!r}")
        inputs.append(_without(each, places))
    return with_values(f, values, len(first)), None if domain is None else _without(domain, places), inputs


def _said(values: Mapping[int, Any]) -> str:
    return " and ".join(f"{value!r} as argument {place}" for place, value in values.items())


def _without(args: tuple[Any, ...], places: Sequence[int]) -> tuple[Any, ...]:
    return tuple(x for k, x in enumerate(args) if k not in places)


def _value(f: Callable[..., Any], place: int, given: Any) -> Any:
    """The Python value of a static argument."""
    if not isinstance(given, Constants | int | float | str):
        name = dict(enumerate(argument_names(f) or [])).get(place, f"argument {place}")
        raise ValueError(
            f"{shown_name(f)}: {name} is no array, by its rule (nondiff_argnums): write constants(2) in its "
            f"place, or judge a function that holds it, lambda x: {shown_name(f)}(…, x)"
        )
    value = given.value if isinstance(given, Constants) else given
    return np.asarray(value).item() if np.ndim(value) == 0 else value
