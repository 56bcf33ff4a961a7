"""Plain floats of more digits than float64, where the machine has them: a second opinion on sizes too large for balls.

A rounding error shrinks where the same operations are done with 11 bits more; a mistake stays. So the difference between
what a program gives in float64 and in these floats measures its rounding error, also where a bound of it is wide or
infinite, as behind a mask of −∞. That is evidence, and no certificate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jax.extend import core
from numpy.typing import ArrayLike

from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.program.control import CONTROL
from autodiff_ref.judge.program.discrete import by_jax
from autodiff_ref.judge.program.places import scattered
from autodiff_ref.judge.program.plans import Array, Equation, Plan, Rule, Step
from autodiff_ref.judge.program.structure import ALGEBRA, DISCRETE, MOVEMENT
from autodiff_ref.judge.program.walk import plan_parts

WIDE = np.longdouble

ZERO = WIDE(0)

HAS_MORE_DIGITS = np.finfo(np.longdouble).nmant >= np.finfo(np.float64).nmant + 8
"""x86 has 64 bits; on other machines `longdouble` may be float64, or software"""


@dataclass
class Context:
    """One run: whether reals that were compared are equal."""

    constants: str = "exact"
    tied: bool = False
    undefined: float = np.nan
    zero: np.longdouble = ZERO
    number: Callable[[float], np.longdouble] = WIDE


class Chosen(np.ndarray):
    """What max, min and their like returned, wherever it is moved: JAX asks whether it equals what it was chosen from."""


def _entrywise(f: Callable[..., Array]) -> Rule:
    return lambda _: lambda _, *operands: f(*operands)


def _comparing(f: Callable[..., Array]) -> Rule:
    def rule(equation: Equation) -> Step:
        exact = equation.label

        def step(context: Context, x: Array, y: Array) -> Array:
            asks_for_choice = isinstance(x, Chosen) or isinstance(y, Chosen)
            context.tied = context.tied or (not exact and not asks_for_choice and x is not y and bool(np.any(x == y)))
            return f(x, y)

        return step

    return rule


def _reducing(ufunc: np.ufunc) -> Rule:
    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])
        return lambda _, x: ufunc.reduce(x, axis=axes)

    return rule


def _accumulating(ufunc: np.ufunc) -> Rule:
    def rule(equation: Equation) -> Step:
        axis, backwards = equation.params["axis"], equation.params["reverse"]

        def step(_: object, x: Array) -> Array:
            return np.flip(ufunc.accumulate(np.flip(x, axis), axis), axis) if backwards else ufunc.accumulate(x, axis)

        return step

    return rule


def _scattering(ufunc: np.ufunc | None) -> Rule:
    def rule(equation: Equation) -> Step:
        target, _, update = equation.operands
        if ufunc is None and equation.params["update_jaxpr"] is not None:
            raise NotImplementedError("x.at[i].apply(f)")
        find = partial(scattered, target=target.shape, update=update.shape)

        def step(_: object, x: Array, indices: Array, updates: Array) -> Array:
            where = find(indices, dimensions=equation.params["dimension_numbers"], mode=equation.params["mode"]).ravel()
            kept, result = where >= 0, np.array(x).ravel()
            if ufunc is None:
                result[where[kept]] = updates.ravel()[kept]
            else:
                ufunc.at(result, where[kept], updates.ravel()[kept])
            return result.reshape(x.shape)

        return step

    return rule


def _choosing(ufunc: np.ufunc) -> Rule:
    def rule(equation: Equation) -> Step:
        exact = equation.label

        def step(context: Context, x: Array, y: Array) -> Array:
            context.tied = context.tied or (not exact and bool(np.any(x == y)))
            return np.asarray(ufunc(x, y)).view(Chosen)

        return step

    return rule


def _extreme(reduce: Callable[..., Array], find: Callable[..., Array]) -> dict[str, Rule]:
    def place(equation: Equation) -> Step:
        (axis,), dtype = equation.params["axes"], equation.results[0].dtype
        return lambda _, x: find(x, axis=int(axis)).astype(dtype)

    def over(equation: Equation) -> Step:
        axes, exact = tuple(map(int, equation.params["axes"])), equation.label

        def step(context: Context, x: Array) -> Array:
            made = reduce(x, axis=axes, keepdims=True)
            context.tied = context.tied or (not exact and bool(np.any((x == made).sum(axes) > 1)))
            return np.asarray(made.reshape([size for k, size in enumerate(x.shape) if k not in axes])).view(Chosen)

        return step

    return {"reduce": over, "place": place}


def _converting(equation: Equation) -> Step:
    """A cast to fewer bits is part of what is computed, and no part of what is meant."""
    dtype = equation.results[0].dtype
    if equation.results[0].is_real:
        return lambda _, x: np.asarray(x, dtype=WIDE)
    return lambda _, x: np.trunc(x).astype(dtype) if dtype.kind in "iu" else x.astype(dtype)


def _power(x: Array, y: Array) -> Array:
    return x ** (y if y.dtype.kind == "f" else y.astype(np.int64))


_MOST, _LEAST = _extreme(np.max, np.argmax), _extreme(np.min, np.argmin)

_FUNCTIONS: dict[str, Callable[..., Array]] = {
    **{name: row.numpy for name, row in FUNCTIONS.items() if row.numpy is not None},
    **{name: getattr(np, name) for name in ("sign", "abs", "floor", "ceil")},
    "add": np.add,
    "add_any": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "rem": np.fmod,
    "neg": np.negative,
    "pow": _power,
    "square": lambda x: x * x,
    "one_minus_square": lambda x: 1 - x * x,
    "is_finite": np.isfinite,
    "clamp": lambda low, x, high: np.minimum(np.maximum(x, low), high),
}


class ExtendedTable:
    """The rules by which the walker computes in the machine's most precise floats."""

    name = "extended floats"
    watches = False
    has_bare = False
    control = CONTROL
    fallback = staticmethod(by_jax)
    movement: dict[str, Rule] = MOVEMENT
    discrete: dict[str, Rule] = DISCRETE
    rules: dict[str, Rule]

    def __init__(self) -> None:
        kept = ("gather", "dynamic_slice", "dynamic_update_slice", "integer_pow", "select_n", "dot_general")
        rules = {
            **{name: ALGEBRA[name] for name in kept},
            **{name: _entrywise(f) for name, f in _FUNCTIONS.items()},
            **{name: _comparing(getattr(np, long)) for name, long in _COMPARISONS.items()},
            "max": _choosing(np.maximum),
            "min": _choosing(np.minimum),
            "reduce_sum": _reducing(np.add),
            "reduce_prod": _reducing(np.multiply),
            "cumsum": _accumulating(np.add),
            "cumprod": _accumulating(np.multiply),
            "cummax": _accumulating(np.maximum),
            "cummin": _accumulating(np.minimum),
            "reduce_max": _MOST["reduce"],
            "reduce_min": _LEAST["reduce"],
            "argmax": _MOST["place"],
            "argmin": _LEAST["place"],
            "scatter-add": _scattering(np.add),
            "scatter-sub": _scattering(np.subtract),
            "scatter-mul": _scattering(np.multiply),
            "scatter": _scattering(None),
            "convert_element_type": _converting,
            "iota": lambda eqn: lambda _: np.asarray(DISCRETE["iota"](eqn)(None), dtype=WIDE),
        }
        self.rules = {name: _in_arrays(rule) for name, rule in rules.items()}

    def constant(self, values: Array, context: Context | None) -> Array:
        """A float constant, as its double."""
        return np.asarray(values, dtype=WIDE)


_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq_to": "equal",
    "lt_to": "less",
    "le_to": "less_equal",
}


def _in_arrays(rule: Rule) -> Rule:
    """Loops stack what their bodies return in arrays of objects, and NumPy unwraps single numbers."""

    def wrapped(equation: Equation) -> Step:
        step, compares = rule(equation), equation.primitive.name in _COMPARISONS

        def made(context: Context, *operands: Array) -> Array:
            out = step(context, *[_as_numbers(x) if compares else np.asarray(_as_numbers(x)) for x in operands])
            return out if isinstance(out, Chosen) else np.asarray(out)

        return made

    return wrapped


def _as_numbers(x: ArrayLike) -> Array:
    array = np.asanyarray(x)
    return array.astype(WIDE) if array.dtype == object else array


EXTENDED = ExtendedTable()


def extended(
    closed: core.ClosedJaxpr, first: int, labels: Sequence[bool]
) -> Callable[[Sequence[Array]], tuple[Array, bool]]:
    """Computes the first outputs of a jaxpr, flat, in more precise floats; and says whether reals compared in it tie.

    Raises:
        NotImplementedError: a primitive has no rule, or the machine no such floats.
    """
    if not HAS_MORE_DIGITS:
        raise NotImplementedError("this machine has no floats of more digits than float64")
    plan: Plan = plan_parts(closed, EXTENDED, [first], labels=labels)[0]

    def run(arrays: Sequence[Array]) -> tuple[Array, bool]:
        context = Context()
        given = [np.asarray(x, aval.dtype) for x, aval in zip(arrays, closed.in_avals, strict=True)]
        with np.errstate(all="ignore"), jax.enable_x64(True):
            outputs = plan.run(context, *[x.astype(WIDE) if x.dtype.kind == "f" else x for x in given])
        return np.concatenate([np.ravel(np.asarray(part, dtype=WIDE)) for part in outputs]), context.tied

    return run
