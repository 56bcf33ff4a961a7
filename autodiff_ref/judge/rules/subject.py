"""One function whose derivative by JAX is judged: its value and its derivatives, traced at one shape and planned."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np
from flint import arb
from jax.extend import core

from autodiff_ref.judge.balls import BALLS, Context, precision
from autodiff_ref.judge.balls.context import Reading
from autodiff_ref.judge.comparing import ULP, Evaluator, evaluator
from autodiff_ref.judge.errors import reason_of
from autodiff_ref.judge.evaluation import FirstEvaluator, NextEvaluator, as_balls, at_limits, numbers_of
from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.program.control import CONTROL
from autodiff_ref.judge.program.equations import bits_in
from autodiff_ref.judge.program.plans import Plan
from autodiff_ref.judge.program.walk import plan, plan_together
from autodiff_ref.judge.rules.calls import (
    Constant,
    has_stops,
    has_symbolic_zeros,
    named_calls,
    stops_of,
)
from autodiff_ref.judge.rules.iterating import has_turns, is_added_up, iterates
from autodiff_ref.judge.rules.reproducing import FORWARD, SCALED
from autodiff_ref.judge.rules.values import both_values, by_some
from autodiff_ref.judge.truth import Truth, place_of, truth_of

Function = Callable[..., Any]
"""of the leaves of its arguments; returns a list of arrays"""

_BITS = 2400

REVERSE = "reverse mode"
"""how a derivative is asked for: that of −2 f, divided by −2, is the same for a rule that is linear in the cotangent"""

ALONE = "one output by one argument at a time"
"""and for rules that are told which tangents and cotangents are no more than zeros (`symbolic_zeros`)"""


STOPS_INSIDE = "`stop_gradient` stands in a loop or a branch, and is not held still there"

MODERATE = 100.0
"""NaN in float64 counts where arguments are no larger; beyond, it is overflow"""

RESOLVED = 1000.0
"""where arguments are no larger, balls have a value of what people compute of them: 1 − σ(1000) needs 1,443 bits"""

COUNTED = 2.0**53
"""beyond, 1 more is the same float, and what counts does not come any further"""

FINEST = 1e-100
"""and where they are 0 or no smaller than this: below, their squares and cubes underflow"""


def is_moderate(leaves: Sequence[np.ndarray], largest: float = MODERATE) -> bool:
    """Whether arguments are so ordinary that nothing overflows or underflows in what people compute of them."""
    sizes = [np.abs(leaf) for leaf in leaves if leaf.size]
    return all(bool(np.all((size <= largest) & ((size >= FINEST) | (size == 0)))) for size in sizes)


class RaisesError(Exception):
    """JAX raises this in the place of a derivative."""


@dataclass(frozen=True)
class Subject:
    """A function of array leaves and JAX's derivatives of it, at one shape."""

    value: Plan | Any
    derivatives: dict[str, Plan]
    """JAX's, by how they are asked for"""
    programs: dict[str, Any]
    """the same in floats: jaxprs"""
    by: tuple[int, ...]
    """the leaves that it is differentiated by"""
    shapes: tuple[tuple[int, ...], ...]
    out_shapes: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    """of the leaves"""
    constants: tuple[Constant, ...] = ()
    """its other arguments"""
    stopped: Plan | None = None
    """computes what `stop_gradient` holds still"""
    order: int = 1
    """2 where its outputs are the derivatives of a function"""
    closed: Any = None
    """its own program"""
    iterates: bool = False
    """whether it ends a loop by a comparison, so that its own derivative is that of an iterate"""
    ruled: bool = False
    """whether it is one function with a rule of its own"""
    loops: bool = False
    """whether JAX's program for its derivative holds a loop that might not end at huge arguments"""
    derivative_iterates: bool = False
    """whether JAX's derivative does"""
    is_identity: bool = False
    """whether it returns its arguments as they are"""
    both: tuple[Plan, bool] | None = None
    """what it returns, and what it does while it is differentiated, where these are two programs: see `both_values`"""
    notes: list[str] = field(default_factory=list[str])
    endless: list[Sequence[np.ndarray]] = field(default_factory=list[Sequence[np.ndarray]])
    """inputs at which a loop goes to nothing near"""

    @property
    def out_sizes(self) -> tuple[int, ...]:
        """The size of each leaf that it returns."""
        return tuple(int(np.prod(shape)) for shape in self.out_shapes)

    @cached_property
    def granted(self) -> float:
        """By what share JAX's own functions in it may be off in float64: of their derivatives no more is asked."""
        ulps = [FUNCTIONS[name].ulps for name in self.primitives & FUNCTIONS.keys()]
        return max([ULP, *(of.double.units * ULP / 2 for of in ulps if of is not None)])

    def shown(self, leaves: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[str]]:
        """All arguments, and what they are called."""
        values, names = list(leaves), list(self.names)
        for inserted, (before, name, value) in enumerate(self.constants):
            values.insert(before + inserted, value)
            names.insert(before + inserted, name)
        return values, names

    def place(self, k: int) -> tuple[int, int, int]:
        """Of an entry of the Jacobian: the output, the leaf, and the entry of that."""
        row, which, entry = place_of(k, self.out_sizes, [int(np.prod(self.shapes[leaf])) for leaf in self.by])
        return row, self.by[which], entry

    @cached_property
    def bits(self) -> int:
        """The bits of the narrowest floats that JAX computes its derivative with: some programs cast to float32."""
        return bits_in(self.programs[self.main].jaxpr)

    @cached_property
    def primitives(self) -> frozenset[str]:
        """Those of its value and of JAX's derivatives, other than in loops and branches."""
        plans = [plan for plan in (self.value, *self.derivatives.values()) if isinstance(plan, Plan)]
        return frozenset(name for made in plans for *_, name in made.steps)

    @cached_property
    def has_turns(self) -> bool:
        """Whether its value or JAX's derivative holds a loop that takes its own results again, and no rows."""
        return has_turns(self.closed.jaxpr) or has_turns(self.programs[self.main].jaxpr)

    @cached_property
    def entries(self) -> list[str]:
        """The names of the entries of the Jacobian, in JAX's order: d f[1] / d x[0]."""
        found = list[str]()
        for i, out in enumerate(self.out_shapes):
            name = "f" if len(self.out_shapes) == 1 else f"f.{i}"
            if self.order == 2:
                name = f"(∂f/∂{self.names[self.by[i]]})"
            for row in np.ndindex(*out):
                for k in self.by:
                    for column in np.ndindex(*self.shapes[k]):
                        found.append(f"∂{name}{_index(row)}/∂{self.names[k]}{_index(column)}")
        order = list[str]()
        position = 0
        for out in self.out_shapes:  # JAX's order is argument by argument, within an output
            rows, columns = int(np.prod(out)), [int(np.prod(self.shapes[k])) for k in self.by]
            block = np.array(found[position : position + rows * sum(columns)], dtype=object).reshape(rows, sum(columns))
            start = 0
            for width in columns:
                order += list(block[:, start : start + width].ravel())
                start += width
            position += rows * sum(columns)
        return order

    @property
    def main(self) -> str:
        """The mode that is judged first: reverse mode where there is one."""
        return next(iter(self.derivatives))

    def modes(self, leaves: Sequence[np.ndarray]) -> dict[str, Evaluator]:
        """JAX's derivative at one input by each mode; what the first one has computed the others do not compute again."""
        first = FirstEvaluator(self.derivatives[self.main], (*leaves,))
        others = {mode: NextEvaluator(self.derivatives[mode], first, rest) for mode, rest in self._rest.items()}
        return {self.main: first, **others}

    @cached_property
    def _rest(self) -> dict[str, Plan]:
        first = self.derivatives[self.main]
        return {mode: made.after(first) for mode, made in self.derivatives.items() if mode != self.main}

    def truth(self, leaves: Sequence[np.ndarray], by_jax: Evaluator) -> Truth:
        """What is known of the derivative at one input, beside JAX's by one mode."""
        with precision(_BITS):
            at = [*leaves, *self._held(leaves)]
        return truth_of(self.value, at, self.by, by_jax, self.out_sizes)

    def run(self, leaves: Sequence[np.ndarray], at: Sequence[np.ndarray]) -> tuple[list[arb], bool]:
        """Its values, with what is held still as it is at an input; and whether a comparison is not resolved."""
        context = Context(constants="exact")
        outputs = self.value.run(context, *map(as_balls, leaves), *self._held(at))
        return numbers_of(outputs), context.unresolved

    def at_limits(
        self, leaves: Sequence[np.ndarray], at: Sequence[np.ndarray], mode: str = "", constants: Reading = "exact"
    ) -> list[arb]:
        """Its values, or JAX's derivative by a mode, as if loops went on for ever; NaN where one of them goes nowhere."""
        of, held = (self.derivatives[mode], []) if mode else (self.value, self._held(at))
        return at_limits(of, [*leaves, *held], constants)

    def _held(self, at: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What `stop_gradient` holds still, as it is at an input."""
        return [] if self.stopped is None else self.stopped.run(Context(constants="exact"), *map(as_balls, at))

    def loose(self, leaves: Sequence[np.ndarray], mode: str) -> tuple[arb, ...]:
        """The same with constants that are not surely meant as written as balls: 2/√π is a float, and so are tables."""
        return evaluator(self.derivatives[mode], (*leaves,))(128, "tables", "exact").values

    def rounded(self, leaves: Sequence[np.ndarray], mode: str = "", bits: int = 53) -> tuple[arb, ...]:
        """JAX's derivative, by a mode or the first one, with so many bits, as float64 has, and any exponent."""
        return evaluator(self.derivatives[mode or self.main], (*leaves,))(bits, "exact", "exact").values

    def left_open(self, leaves: Sequence[np.ndarray]) -> list[arb]:
        """How far each of its values moves where its rounded constants move by an ulp."""
        if not isinstance(self.value, Plan) or not self.value.constants:
            return [arb(0)] * sum(self.out_sizes)
        with precision(160):
            given = [*map(as_balls, leaves), *self._held(leaves)]
            wide, narrow = (numbers_of(self.value.run(Context(constants=how), *given)) for how in ("tables", "exact"))
            return [w.rad() - n.rad() if w.is_finite() else arb(0) for w, n in zip(wide, narrow, strict=True)]

    def is_right_without_range(self, leaves: Sequence[np.ndarray], k: int, true: arb, share: float) -> bool:
        """Whether JAX's derivative is right to a share, with as many bits as it is computed with, and any exponent."""
        found = self.rounded(leaves, bits=self.bits)[k]
        return found.is_finite() and bool(abs(found - true) <= abs(true) * share)

    def is_computed(self, leaves: Sequence[np.ndarray], row: int, share: float) -> bool:
        """Whether one of its values is right to a share in float64, as XLA compiles it."""
        true, got = self.in_balls(leaves)[row], self.in_floats(leaves)[row]
        return true.is_finite() and math.isfinite(got) and bool(abs(true - float(got)) <= abs(true) * share)

    def overflows(self, leaves: Sequence[np.ndarray], row: int) -> bool:
        """Whether float64 has no number for one of its values, as XLA compiles it."""
        return not self._might_not_end(leaves) and not math.isfinite(self.in_floats(leaves)[row])

    def in_balls(self, leaves: Sequence[np.ndarray]) -> list[arb]:
        """Its values."""
        with precision(_BITS):
            return self.run(leaves, leaves)[0]

    def in_floats(self, leaves: Sequence[np.ndarray]) -> np.ndarray:
        """Its values in float64, as XLA compiles it; NaN where it raises, and at arguments at which it might not end."""
        unknown = np.full(sum(self.out_sizes), np.nan)
        if self._might_not_end(leaves):
            return unknown
        with jax.enable_x64(True), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return np.concatenate([np.ravel(np.asarray(x, dtype=np.float64)) for x in self._program(*leaves)])
            except Exception:  # as in `floats`
                return unknown

    def _might_not_end(self, leaves: Sequence[np.ndarray]) -> bool:
        """Whether a loop might run for ever: no tolerance is met at huge and tiny numbers, no series ends at huge ones."""
        is_huge = any(np.any(np.abs(leaf) > COUNTED) for leaf in leaves)
        return (is_huge and is_added_up(self.closed.jaxpr)) or (not is_moderate(leaves) and iterates(self.closed.jaxpr))

    @cached_property
    def _program(self) -> Callable[..., list[Any]]:
        return jax.jit(core.jaxpr_as_fun(self.closed))

    @cached_property
    def _compiled(self) -> dict[str, Callable[..., list[Any]]]:
        return {}

    def floats(self, leaves: Sequence[np.ndarray], mode: str = "") -> np.ndarray | None:
        """JAX's derivative in float64, by a mode or the first one, as XLA compiles it; None where there is none."""
        mode = mode or self.main
        if mode not in self.programs or (self.loops and not is_moderate(leaves)):
            return None
        if mode not in self._compiled:
            self._compiled[mode] = jax.jit(core.jaxpr_as_fun(self.programs[mode]))
        with jax.enable_x64(True):
            try:
                made = [np.ravel(np.asarray(x, dtype=np.float64)) for x in self._compiled[mode](*leaves)]
            except Exception:  # a program may raise what it is told to, as where a solver finds nothing
                return None
            return np.concatenate(made or [[]])


def _index(index: Sequence[int]) -> str:
    return "".join(f"[{i}]" for i in index)


def real_outputs(function: Function, leaves: Sequence[Any]) -> Function:
    """The function, without what it returns that is no real number."""
    with jax.enable_x64(True):
        shapes = jax.eval_shape(lambda *xs: list(function(*xs)), *leaves)
    kept = [k for k, shape in enumerate(shapes) if jax.numpy.issubdtype(shape.dtype, np.floating)]
    if not kept:
        is_complex = any(jax.numpy.issubdtype(shape.dtype, np.complexfloating) for shape in shapes)
        hint = ", but complex ones: judge a function that returns its real or imaginary part" if is_complex else ""
        raise NotImplementedError(f"it returns no real number{hint}")
    return lambda *xs: [out for k, out in enumerate(function(*xs)) if k in kept]


def of_order(function: Function, order: int, by: Sequence[int]) -> Function:
    """The function itself for order 1; for order k JAX's derivative of order k − 1.

    Several outputs are added up with fixed weights before they are differentiated.
    """
    if order == 1:
        return function
    inner = of_order(function, order - 1, by)

    def weighted(*leaves: Any) -> Any:
        outs = inner(*leaves)
        if [out.size for out in outs] == [1]:
            return outs[0].sum()
        total, k = jax.numpy.zeros(()), 0
        for out in outs:
            weights = ((np.arange(k, k + max(out.size, 1)) * 37 % 64 + 33) / 64.0).reshape(out.shape)
            total, k = total + (weights * out).sum(), k + out.size
        return total

    return lambda *leaves: list(jax.grad(weighted, argnums=tuple(by))(*leaves))


def subject(
    function: Function,
    leaves: Sequence[Any],
    by: Sequence[int],
    names: Sequence[str],
    *,
    order: int = 1,
    truth: Any = None,
    has_cotangent: bool = True,
    ruled: bool = False,
    constants: tuple[Constant, ...] = (),
) -> Subject:
    """Traces a function and its derivatives at the shapes of `leaves`.

    Args:
        function: of the leaves; returns a list of arrays.
        leaves: arrays, or their shapes.
        by: the leaves that it is differentiated by.
        names: of the leaves.
        order: 2 for the derivative of the gradient that JAX makes of it.
        truth: stands for its value, where that is not what its program computes.
        has_cotangent: whether its rule is handed a cotangent, so that another one than 1 is tried.
        ruled: whether it is one function with a rule of its own.
        constants: its other arguments, which are shown.

    Raises:
        NotImplementedError: balls have no rule for a primitive; what it is called says the error.
        RaisesError: JAX itself raises an error when it is asked for the derivative.
    """
    notes = list[str]()
    both: tuple[Plan, bool] | None = None
    shapes = [jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype) for leaf in leaves]
    f = of_order(real_outputs(function, shapes), order, by)
    argnums = tuple(by)
    asked: dict[str, Function] = {
        REVERSE: lambda *xs: jax.tree.leaves(jax.jacrev(f, argnums)(*xs)),
        FORWARD: lambda *xs: jax.tree.leaves(jax.jacfwd(f, argnums)(*xs)),
    }
    if has_cotangent:
        doubled: Function = lambda *xs: [-2.0 * out for out in f(*xs)]  # noqa: E731
        asked[SCALED] = lambda *xs: [out * -0.5 for out in jax.tree.leaves(jax.jacrev(doubled, argnums)(*xs))]
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(f)(*shapes)
        if has_symbolic_zeros(closed.jaxpr) and (len(argnums) > 1 or len(closed.out_avals) > 1):
            asked[ALONE] = _apart(f, argnums, len(closed.out_avals))
        out_shapes = tuple(tuple(a.shape) for a in closed.out_avals)
        traced, derivatives, programs = dict[str, Any](), dict[str, Plan](), dict[str, Any]()
        raised, lacking = list[Exception](), list[NotImplementedError]()
        for mode, derivative in asked.items():
            try:
                try:
                    made = jax.make_jaxpr(derivative)(*shapes)
                except NotImplementedError:  # it cannot be mapped over the directions at once
                    made = jax.make_jaxpr(_one_by_one(f, argnums, mode))(*shapes)
            except Exception as error:  # custom_vjp has no forward mode; a rule may be one that raises
                raised.append(error)
                if mode != FORWARD or not isinstance(error, TypeError):
                    notes.append(f"{mode}: {reason_of(error)}")
                continue
            traced[mode] = made
        for (mode, made), planned in zip(traced.items(), _plans(list(traced.values())), strict=True):
            if isinstance(planned, NotImplementedError):
                lacking.append(planned)
            else:
                derivatives[mode], programs[mode] = planned, made
    if not derivatives and lacking:
        raise lacking[0]
    if not derivatives:
        raise RaisesError(reason_of(raised[0]))
    stopped = None
    if truth is not None:
        value = truth
    elif order == 1 and has_stops(closed.jaxpr):
        held, computes = stops_of(closed)
        value, stopped = plan(held, BALLS), plan(computes, BALLS)
        if has_stops(held.jaxpr):
            notes.append(STOPS_INSIDE)
    elif order > 1 and has_stops(_primal(function, shapes, closed, order), in_rules=False):
        # what a rule stops is no statement about the function, and is what may be wrong with its second derivative
        with jax.enable_x64(True):
            held, computes = stops_of(jax.make_jaxpr(function)(*shapes), in_rules=False)
            given = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in held.in_avals]
            of_held = of_order(real_outputs(core.jaxpr_as_fun(held), given), order, by)
            value, stopped = plan(jax.make_jaxpr(of_held)(*given), BALLS), plan(computes, BALLS)
        if has_stops(held.jaxpr, in_rules=False):
            notes.append(STOPS_INSIDE)
    else:
        value = plan(closed, BALLS)
    if order == 1 and truth is None and any(True for _ in named_calls(closed.jaxpr)):
        both = both_values(f, shapes, argnums, forward=not has_cotangent)
    first = next(iter(programs.values())).jaxpr
    return Subject(
        value,
        derivatives,
        programs,
        tuple(by),
        tuple(tuple(s.shape) for s in shapes),
        out_shapes,
        tuple(names),
        constants,
        stopped,
        order,
        closed,
        truth is None and _ends_a_loop(value, _primal(function, shapes, closed, order)),
        ruled,
        iterates(first),
        _ends_a_loop(next(iter(derivatives.values())), first),
        is_identity(closed.jaxpr),
        both,
        notes,
    )


def _plans(traced: Sequence[Any]) -> Sequence[Plan | NotImplementedError]:
    """Plans for balls of programs of the same inputs, or why there is none."""
    try:
        return plan_together(traced, BALLS, [len(made.jaxpr.outvars) for made in traced])[0] if traced else []
    except NotImplementedError as error:
        return [error] * len(traced)


def _apart(f: Function, by: tuple[int, ...], outputs: int) -> Function:
    """JAX's Jacobian, each output by each argument alone."""

    def jacobian(*xs: Any) -> list[Any]:
        return [jax.jacrev(lambda *ys, i=i: f(*ys)[i], k)(*xs) for i in range(outputs) for k in by]

    return jacobian


def _ends_a_loop(planned: Any, jaxpr: Any) -> bool:
    """Whether a program ends a loop by a comparison, other than in what is known by its meaning."""
    return iterates(jaxpr) and isinstance(planned, Plan) and any(name in CONTROL for *_, name in planned.steps)


def _primal(function: Function, shapes: Sequence[Any], closed: Any, order: int) -> Any:
    """The function's own program: what a rule stops is no statement about the function."""
    if order == 1:
        return closed.jaxpr
    with jax.enable_x64(True):
        return jax.make_jaxpr(function)(*shapes).jaxpr


def _one_by_one(f: Function, by: tuple[int, ...], mode: str) -> Function:
    """JAX's Jacobian, one direction after the other."""

    def jacobian(*xs: Any) -> list[Any]:
        jnp = jax.numpy
        of, at = by_some(f, xs, by)
        values, pull = jax.vjp(of, *at) if mode != FORWARD else (of(*at), None)
        scale = -2.0 if mode == SCALED else 1.0
        rows: list[Any] = []
        for i, value in enumerate(values):
            for k, x in enumerate(at):
                parts = list[Any]()
                if pull is not None:
                    for place in range(value.size):
                        bars = [jnp.zeros_like(v) for v in values]
                        bars[i] = jnp.zeros(value.size).at[place].set(scale).reshape(value.shape)
                        parts.append(jnp.ravel(pull(bars)[k]) / scale)
                    rows.append(jnp.stack(parts))
                    continue
                for place in range(x.size):
                    dots = [jnp.zeros_like(v) for v in at]
                    dots[k] = jnp.zeros(x.size).at[place].set(1.0).reshape(x.shape)
                    parts.append(jnp.ravel(jax.jvp(of, at, dots)[1][i]))
                rows.append(jnp.stack(parts, axis=1))
        return rows

    return jacobian


def is_identity(jaxpr: Any) -> bool:
    """Whether a program returns its arguments as they are: a rule for that can only be meant to change the gradient."""
    known = {var: var for var in jaxpr.invars}
    for eqn in jaxpr.eqns:
        inner = eqn.params.get("call_jaxpr") or eqn.params.get("jaxpr") or eqn.params.get("fun_jaxpr")
        body = getattr(inner, "jaxpr", inner)
        if body is None or not hasattr(body, "eqns") or not is_identity(body):
            return False
        within = dict(zip(body.invars, eqn.invars, strict=False))
        known.update({out: known.get(within.get(var)) for out, var in zip(eqn.outvars, body.outvars, strict=False)})
    return bool(jaxpr.outvars) and all(not hasattr(var, "val") and known.get(var) is not None for var in jaxpr.outvars)
