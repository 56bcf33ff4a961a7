"""The two sides of an assertion, a gradient and the function it is of, traced at one shape and evaluated at many inputs."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import jax
import numpy as np
from jax.extend import core
from numpy.typing import ArrayLike, DTypeLike

from autodiff_ref.judge.assertion.calling import (
    Shapes,
    asks_for_nabla,
    first_of,
    gradient_of,
    second_of,
    shapes_of,
    value_of,
    variable_of,
)
from autodiff_ref.judge.assertion.captured import captured, with_arrays
from autodiff_ref.judge.assertion.extended import extended
from autodiff_ref.judge.assertion.refused import no_array, no_floats, not_traced
from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.comparing import Evaluator, evaluator, has_no_kink
from autodiff_ref.judge.counterexample import leaf_names
from autodiff_ref.judge.floats.table import Bounded, BoundedProgram, bounded
from autodiff_ref.judge.numpy_code import Assumption, IterationError, Levels, reaches_more, through_numpy
from autodiff_ref.judge.numpy_code.conversions import none_caught
from autodiff_ref.judge.numpy_code.holding import everywhere_exchanged, visited
from autodiff_ref.judge.numpy_code.written_for import uses_jax, writes_in_place
from autodiff_ref.judge.program.equations import bits_in
from autodiff_ref.judge.program.pairs import where_followed
from autodiff_ref.judge.program.plans import Array, Plan, aval_of, short_ones
from autodiff_ref.judge.program.walk import plan_parts
from autodiff_ref.judge.state import kept_as_it_was
from autodiff_ref.trees import Arguments, Function, Keywords, PyTree, Structure
from manual_grad.derivation import argument_names, label_of

MOST_IN_BALLS = 100_000
"""operations up to which balls are asked whether reals tie, where rounding bounds cannot tell"""

EXACTLY = 2.0**-100
"""relative: what balls of an exact number are off by at most"""

_Traced = tuple[core.ClosedJaxpr, tuple[PyTree, ...], list[Assumption]]
"""(jaxpr, shapes of what it returns, what was taken for granted)"""

_WithTies = Callable[..., tuple[list[Bounded], Array]]
"""outputs with bounds, and for each input whether it may lie on a kink"""

_Apply = Callable[[Function, Arguments, Keywords], tuple[PyTree, PyTree]]
"""what is traced: a function at its arguments and keywords"""


@dataclass(frozen=True)
class Call:
    """The arguments of one assertion."""

    args: Arguments
    keywords: Keywords
    leaves: list[ArrayLike]
    structure: Structure
    arrays: list[int]
    """which leaves are arrays or floats, and so inputs of a trace; the others, as `k` in `eye(k)`, are part of it"""

    @classmethod
    def of(cls, args: Arguments, keywords: Keywords | None = None) -> "Call":
        """The arguments taken apart."""
        leaves, structure = jax.tree.flatten((args, keywords or {}))
        arrays = [k for k, leaf in enumerate(leaves) if isinstance(leaf, float | np.ndarray | np.generic | jax.Array)]
        return cls(args, keywords or {}, leaves, structure, arrays)

    @property
    def values(self) -> list[ArrayLike]:
        """The arrays among the leaves."""
        return [self.leaves[k] for k in self.arrays]

    @cached_property
    def wide(self) -> bool:
        """Whether JAX computes in float64 here: where it is set to, and where no argument is one of its own arrays."""
        return bool(jax.config.read("jax_enable_x64")) or not any(isinstance(leaf, jax.Array) for leaf in self.leaves)

    def as_numpy(self, held: Sequence[ArrayLike]) -> list[Array]:
        """The arrays, and those in a function's closures, as both sides compute with them: JAX's float32 rounds float64.

        Those in closures are copied, since a function might write into them.
        """
        made = [*map(np.asarray, self.values), *map(np.array, held)]
        made = [array.astype(np.float64) if array.dtype.kind == "V" else array for array in made]
        return made if self.wide else [x.astype(np.float32) if x.dtype == np.float64 else x for x in made]

    @property
    def dtype(self) -> np.dtype:
        """The most precise NumPy floats among the arguments."""
        return np.result_type(np.float16, *(x.dtype for x in map(np.asarray, self.values) if x.dtype.kind == "f"))

    def more_precise(self) -> "Call | None":
        """The call in the next more precise floats; None where the machine has none."""
        wanted = np.dtype(np.float64 if self.dtype.itemsize < 8 else np.longdouble)
        if np.finfo(wanted).nmant <= np.finfo(self.dtype).nmant:
            return None
        wide = [x.astype(wanted) if jax.numpy.issubdtype(x.dtype, np.floating) else x for x in map(np.asarray, self.values)]
        return Call.of(*self.rebuilt(wide))

    @property
    def is_low(self) -> bool:
        """Whether its floats are coarser than float32."""
        kinds = [np.asarray(leaf).dtype for leaf in self.values]
        return any(jax.numpy.issubdtype(kind, np.floating) and jax.numpy.finfo(kind).bits < 32 for kind in kinds)

    def narrowed(self, dtypes: Sequence[DTypeLike]) -> "Call | None":
        """The call with arrays of these types; None where they do not hold its numbers."""
        arrays = [np.asarray(x) for x in self.values]
        made = [x.astype(dtype) for x, dtype in zip(arrays, dtypes, strict=True)]
        if any(not np.array_equal(x.astype(np.float64), y.astype(np.float64)) for x, y in zip(arrays, made, strict=True)):
            return None
        return Call.of(*self.rebuilt(made))

    def names(self, f: Function) -> tuple[str, ...]:
        """Of each leaf, with f's names of its arguments."""
        known = argument_names(f) or []
        every = [known[k] if k < len(known) else f"argument {k}" for k in range(len(self.args))]
        args, keywords = jax.tree.unflatten(self.structure, [0.0] * len(self.leaves))
        return leaf_names((*args, *keywords.values()), [*every, *keywords])

    @property
    def key(self) -> Hashable:
        """Equal for calls that one trace serves."""
        given = [(getattr(leaf, "dtype", type(leaf)), np.shape(leaf)) for leaf in self.values]
        rest = [repr(leaf) for k, leaf in enumerate(self.leaves) if k not in self.arrays]
        return self.structure, tuple(self.arrays), tuple(given), tuple(rest), self.wide

    def rebuilt(self, values: Iterable[PyTree]) -> tuple[Arguments, Keywords]:
        """The arguments and keywords with other arrays in them."""
        leaves = list(self.leaves)
        for k, value in zip(self.arrays, values, strict=True):
            leaves[k] = value
        return jax.tree.unflatten(self.structure, leaves)


@dataclass
class Side:
    """One of the two functions at one shape: how it is evaluated in balls, and in floats with bounds."""

    labels: list[bool]
    """for each array of the call, whether it is only data: what is not differentiated by is compared exactly"""
    shapes: PyTree = None
    """what it returns"""
    value: PyTree = None
    """of a reference, what the differentiated function returns"""
    variable: Shapes = field(default_factory=lambda: shapes_of(()))
    """of a reference, what it is differentiated by: its structure and shapes"""
    plan: Plan | None = None
    """for balls"""
    reason: str = ""
    """why there is no plan"""
    work: int = 0
    """about how many operations on numbers it takes"""
    of: Plan | None = None
    """for balls: the differentiated function itself"""
    taken: Plan | None = None
    """for balls: what was taken for granted"""
    own: Callable[[], _Traced] | None = None
    """traces it in the precision that it is called in"""
    wide: core.ClosedJaxpr = field(kw_only=True)
    """its jaxpr in float64"""
    flags: list[bool] = field(default_factory=list[bool])
    """`labels`, and those of the arrays in its closures"""
    doubtful: bool = False
    """whether it was ever found to differ, so that balls look at all its inputs from then on"""
    asks_for_nabla: bool = False
    """whether it is a line of a derivation, which is handed ∇"""
    numpy_code: bool = False
    """whether it was traced with stand-ins for NumPy's arrays"""
    assumptions: list[Assumption] = field(default_factory=list[Assumption])
    """what was taken for granted of the input at which it was traced"""
    _last: tuple[list[Array], BoundedProgram, tuple[tuple[Array, Array], bool]] | None = None
    """the arrays that its bounds were last asked at, by what, and these: several ask in turn"""

    def at(self, arrays: list[Array]) -> Evaluator:
        """Its value in balls."""
        assert self.plan is not None
        return evaluator(self.plan, tuple(arrays))

    def bounded(self, arrays: list[Array], *, wide: bool) -> tuple[Array, Array]:
        """(value, rounding bound) of each component, in float64 or in the precision that it is called in.

        Raises:
            NotImplementedError: a primitive has no rounding bound.
        """
        return self._with_ties(arrays, wide=wide)[0]

    def ties(self, arrays: list[Array]) -> bool:
        """Whether reals that are compared may be equal, so that floats do not see a kink.

        Raises:
            NotImplementedError: a primitive has no rounding bound.
        """
        return self._with_ties(arrays, wide=True)[1]

    def _with_ties(self, arrays: list[Array], *, wide: bool) -> tuple[tuple[Array, Array], bool]:
        closed, run = self._bounded_wide if wide else self._bounded_own
        if self._last is not None and self._last[0] is arrays and self._last[1] is run:
            return self._last[2]
        given = [np.asarray(x, aval.dtype)[None] for x, aval in zip(arrays, closed.in_avals, strict=True)]
        found, tied = run.with_ties(*given)
        self._last = arrays, run, (_flat(found), bool(tied[0]))
        return self._last[2]

    def plainly(self, arrays: list[Array]) -> Array:
        """The value in float64 alone.

        Raises:
            NotImplementedError: a primitive has no rounding bound.
        """
        return self.bounded(arrays, wide=True)[0]

    def extended(self, arrays: list[Array]) -> tuple[Array, bool]:
        """The value in floats of more digits, and whether reals compared on the way tie.

        Raises:
            NotImplementedError: a primitive has no rule there, or the machine no such floats.
        """
        return self._extended(arrays)

    def holds(self, arrays: list[Array]) -> bool:
        """Whether what was taken for granted when it was traced is so at these arrays: the same branches, the same masks."""
        if not self.assumptions:
            return True
        closed, run, _ = self._bounded_assumptions
        try:
            with np.errstate(all="ignore"):
                found = run(*[np.asarray(x, aval.dtype) for x, aval in zip(arrays, closed.in_avals, strict=True)])
        except Exception:  # a step that fails at these values: it is traced anew
            return False
        return all(np.array_equal(np.asarray(a), b.value) for a, b in zip(found, self.assumptions, strict=True))

    def rounded_at(self, arrays: list[Array]) -> str:
        """Where floats made numbers that the trace takes for exact: net.py:12.

        There code that is not followed computes with data, or is handed numbers that are off by more than an ulp.
        """
        floats = [np.asarray(each.value).dtype.kind == "f" for each in self.assumptions]
        if not any(floats):
            return ""
        exact = iter([] if self.taken is None else evaluator(self.taken, tuple(arrays))(128, "exact", "exact").values)
        for assumption, is_float in zip(self.assumptions, floats, strict=True):
            known = np.ravel(np.asarray(assumption.value, np.float64))
            balls = [next(exact, None) for _ in known]
            if not is_float:
                continue
            if assumption.is_computed_with:
                return assumption.place
            slack = np.where(short_ones(known), EXACTLY * np.abs(known), np.spacing(np.abs(known)))
            if not all(
                ball is not None and abs(ball - float(c)) <= float(d) for ball, c, d in zip(balls, known, slack, strict=True)
            ):
                return assumption.place
        return ""

    def ties_in_assumptions(self, arrays: list[Array]) -> bool:
        """Whether reals tie in what was taken for granted, as in `if z > 0` at 0: a branch of which may be a kink."""
        if not self.assumptions:
            return False
        closed, _, with_ties = self._bounded_assumptions
        given = [np.asarray(x, aval.dtype)[None] for x, aval in zip(arrays, closed.in_avals, strict=True)]
        if with_ties is not None and not with_ties(*given)[1][0]:
            return False
        if self.taken is None or self.work > MOST_IN_BALLS:
            return True
        return not has_no_kink(evaluator(self.taken, tuple(arrays)))

    def value_of(self, arrays: list[Array]) -> tuple[Array, Array]:
        """Of a reference: (value, rounding bound) of the differentiated function, in the precision that it is called in.

        Raises:
            NotImplementedError: a primitive has no rounding bound.
        """
        closed, run = self._bounded_value
        return _flat(run(*[np.asarray(x, aval.dtype)[None] for x, aval in zip(arrays, closed.in_avals, strict=True)]))

    @cached_property
    def _extended(self) -> Callable[[list[Array]], tuple[Array, bool]]:
        return extended(self.wide, self.count, self.flags)

    @property
    def count(self) -> int:
        """How many arrays the gradient is made of."""
        return len(jax.tree.leaves(self.shapes))

    @cached_property
    def _bounded_assumptions(self) -> tuple[core.ClosedJaxpr, Callable[..., Sequence[ArrayLike]], _WithTies | None]:
        closed = self.wide
        made = core.ClosedJaxpr(
            closed.jaxpr.replace(outvars=closed.jaxpr.outvars[len(closed.jaxpr.outvars) - len(self.assumptions) :]),
            closed.consts,
        )
        labels = tuple(self.flags)
        try:
            run = bounded(made, labels=labels)
            return closed, lambda *given: [part.value[0] for part in run(*[x[None] for x in given])], run.with_ties
        except NotImplementedError:
            compiled = jax.jit(core.jaxpr_as_fun(made))

            def by_jax(*given: Array) -> list[jax.Array]:
                with jax.enable_x64(True):
                    return compiled(*given)

            return closed, by_jax, None

    @cached_property
    def _bounded_value(self) -> tuple[core.ClosedJaxpr, BoundedProgram]:
        assert self.own is not None
        closed = self.own()[0]
        value = closed.jaxpr.outvars[self.count : self.count + len(jax.tree.leaves(self.value))]
        made = core.ClosedJaxpr(closed.jaxpr.replace(outvars=value), closed.consts)
        return closed, bounded(made, labels=self.flags)

    @cached_property
    def _bounded_wide(self) -> tuple[core.ClosedJaxpr, BoundedProgram]:
        return self._prepared(self.wide)

    @cached_property
    def _bounded_own(self) -> tuple[core.ClosedJaxpr, BoundedProgram]:
        assert self.own is not None
        closed = self.own()[0]
        alike = [aval.dtype for aval in closed.in_avals] == [aval.dtype for aval in self.wide.in_avals]
        return self._bounded_wide if alike else self._prepared(closed)

    @cached_property
    def bits(self) -> int:
        """Of the coarsest floats on the way, in the precision that it is called in: float64 may be made of float32."""
        return bits_in((self.wide if self.own is None else self.own()[0]).jaxpr)

    def _prepared(self, closed: core.ClosedJaxpr) -> tuple[core.ClosedJaxpr, BoundedProgram]:
        count = self.count
        gradient = core.ClosedJaxpr(closed.jaxpr.replace(outvars=closed.jaxpr.outvars[:count]), closed.consts)
        return closed, bounded(gradient, labels=self.flags)


def _flat(parts: Sequence[Bounded]) -> tuple[Array, Array]:
    return tuple(  # pyright: ignore[reportReturnType]
        np.concatenate([np.ravel(part).astype(np.float64) for part in each]) for each in zip(*parts, strict=True)
    )


def trace_reference(of: Function, wrt: str | None, call: Call, data: Sequence[Array] = ()) -> Side:
    """The gradient of `of`, by JAX; the arrays `data` of its module and its objects are inputs too.

    Raises:
        TypeError: `of` has no argument `wrt`, nor a first argument with such a field; that is not made of floats; or `of`
            cannot be traced.
    """
    args, keywords = jax.tree.unflatten(call.structure, list(range(len(call.leaves))))
    variables = set(jax.tree.leaves(variable_of(of, wrt, args, keywords)))
    if not variables:
        raise TypeError(f"{f'`{wrt}`' if wrt else 'the first argument'} is what is differentiated by, and holds no numbers")
    for k in variables:
        array = np.asarray(call.leaves[k])
        if k not in call.arrays and array.dtype.kind not in "biu":
            raise TypeError(no_array(call.names(of)[k], call.leaves[k]))
        if not jax.numpy.issubdtype(array.dtype, np.floating):
            raise TypeError(no_floats(call.names(of)[k], array.dtype, array.shape))

    def gradient_and_value(f: Function, args: Arguments, keywords: Keywords) -> tuple[PyTree, PyTree]:
        shapes = shapes_of(variable_of(f, wrt, args, keywords))
        return gradient_of(f, wrt, args, keywords), first_of(value_of(f, wrt, args, keywords), shapes)

    side = _trace(gradient_and_value, of, call, [k not in variables for k in call.arrays], data)
    side.variable = shapes_of(variable_of(of, wrt, call.args, call.keywords))
    return side


def trace_candidate(
    candidate: Function, wrt: str | None, call: Call, labels: list[bool], variable: Shapes, data: Sequence[Array] = ()
) -> Side:
    """A gradient as someone wrote it; `variable` has the shapes of what is differentiated by. `data` as for the reference.

    Raises:
        TypeError: it cannot be traced.
    """

    def gradient(f: Function, args: Arguments, keywords: Keywords) -> tuple[PyTree, PyTree]:
        return second_of(value_of(f, wrt, args, keywords), variable), None

    side = _trace(gradient, candidate, call, labels, data)
    side.asks_for_nabla = asks_for_nabla(candidate)
    return side


def _trace(apply: _Apply, f: Function, call: Call, labels: list[bool], data: Sequence[Array]) -> Side:
    """Traces f by JAX, or with stand-ins for NumPy's arrays, in float64 or, where that fails, in its own precision.

    Last, Python code of libraries is followed too: what the judge knows of them serves before how they are written.

    Raises:
        TypeError: it cannot be traced.
    """
    held = captured(f)[1]
    errors: list[tuple[bool, Exception]] = []
    for numpy_code, own, thoroughly in _ways(f):
        if not numpy_code and any(isinstance(error, jax.errors.TracerArrayConversionError) for _, error in errors):
            continue  # a function of NumPy's is one in its own precision too
        traced = partial(_jaxpr, apply, f, call, held, data, labels, numpy_code=numpy_code, thoroughly=thoroughly)
        try:
            closed, (shapes, others, _), assumptions = traced(own=own)
        except Exception as error:  # whatever it does with a tracer
            errors.append((numpy_code, error))
            continue
        count, flags = len(jax.tree.leaves(shapes)), labels + [True] * (len(held) + len(data))
        side = Side(
            labels,
            shapes,
            others,
            work=work_of(closed.jaxpr),
            own=partial(traced, own=True),
            wide=closed,
            flags=flags,
            numpy_code=numpy_code,
            assumptions=assumptions,
        )
        try:
            side.plan, side.of, side.taken = plan_parts(
                closed, BALLS, [count, len(jax.tree.leaves(others)), len(assumptions)], labels=flags
            )
        except NotImplementedError as error:
            side.reason = str(error)
        return side
    told = [error for numpy_code, error in errors if numpy_code != uses_jax(f)] or [errors[0][1]]
    error = next((error for error in told if isinstance(error, IterationError)), told[0])
    raise TypeError(not_traced(label_of(f), error)) from error


def _ways(f: Function) -> Iterator[tuple[bool, bool, bool]]:
    """In turn, how f may be traced: whether as NumPy code, in its own precision, and with all that it reaches followed."""
    kinds = (True, False) if writes_in_place(f) else (False, True)
    yield from ((numpy_code, own, False) for numpy_code in kinds for own in (False, True))
    if reaches_more(f):
        yield from ((True, own, True) for own in (False, True))


def _jaxpr(
    apply: _Apply,
    f: Function,
    call: Call,
    held: Sequence[ArrayLike],
    data: Sequence[Array],
    labels: list[bool],
    *,
    own: bool,
    numpy_code: bool,
    thoroughly: bool,
) -> _Traced:
    """(jaxpr, shapes of what it returns, what was taken for granted, which the last outputs compute)."""
    taken: list[Assumption] = []
    refused: list[Exception] = []

    def flat(
        values: list[jax.Array], traced_held: list[jax.Array], traced_data: list[jax.Array]
    ) -> tuple[PyTree, PyTree, list[jax.Array]]:
        if not numpy_code:
            try:
                by_id = {id(real): (real, x) for x, real in zip(traced_data, data, strict=True)}
                with none_caught(), everywhere_exchanged(visited(f) if data else [], by_id):
                    gradient, value = apply(with_arrays(f, list(traced_held)), *call.rebuilt(values))
            except jax.errors.TracerArrayConversionError as error:  # JAX takes long to shorten its traceback
                refused.append(error)
                return None, None, []
            # code of another library, written down elsewhere, says itself what it has taken for granted
            taken[:] = getattr(f, "assumed", ())
            return gradient, value, [assumption.array for assumption in taken]
        reals = [_real(leaf, own or not call.wide) for leaf in call.values]
        levels = Levels(*call.rebuilt(reals), *call.rebuilt(labels))
        each, reached = (
            [(x, real, np.asarray(_real(real, own)).dtype) for x, real in zip(traced, reals, strict=True)]
            for traced, reals in ((traced_held, held), (traced_data, data))
        )
        function, assumptions = through_numpy(f, each, levels, partial(with_arrays, f), thoroughly=thoroughly, data=reached)
        gradient, value = apply(function, *call.rebuilt(values))
        taken[:] = assumptions
        return gradient, value, [assumption.array for assumption in assumptions]

    with jax.enable_x64(call.wide if own else True), kept_as_it_was(f):
        inputs = call.values, held, list(data)
        given = inputs if own else jax.tree.map(_widened, inputs)
        closed, shapes = jax.make_jaxpr(flat, return_shape=True)(*given)
    if refused:
        raise refused[0]
    return where_followed(closed), shapes, taken


def _real(leaf: ArrayLike, own: bool) -> np.ndarray | np.generic | float:
    """A real array as a trace computes with it: in float64, unless in its own precision; a number of Python's as it is."""
    if isinstance(leaf, int | float) and type(leaf) in (int, float):
        return leaf
    array = np.asarray(leaf)
    made = array if own else array.astype(_widened(leaf).dtype)
    return made[()] if isinstance(leaf, np.generic) else made


def _widened(leaf: ArrayLike) -> jax.ShapeDtypeStruct:
    array = np.asarray(leaf)
    kinds = ((np.floating, np.float64), (np.integer, np.int64))
    wide = next((wide for kind, wide in kinds if jax.numpy.issubdtype(array.dtype, kind)), array.dtype)
    return jax.ShapeDtypeStruct(array.shape, wide)


def work_of(jaxpr: core.Jaxpr) -> int:
    """About how many operations on single numbers a jaxpr takes."""
    total = 0
    for eqn in jaxpr.eqns:
        times = eqn.params.get("length", 1) if eqn.primitive.name == "scan" else 1
        bodies = list(core.jaxprs_in_params(eqn.params))
        size = sum(int(np.prod(aval_of(var).shape)) for var in eqn.outvars if hasattr(aval_of(var), "shape"))
        if eqn.primitive.name == "dot_general":
            summed = eqn.params["dimension_numbers"][0][0]
            size *= int(np.prod([aval_of(eqn.invars[0]).shape[axis] for axis in summed]))
        elif eqn.primitive.name.startswith(("reduce", "arg", "conv", "sort")):
            size = sum(int(np.prod(aval_of(var).shape)) for var in eqn.invars)
        total += times * sum(map(work_of, bodies)) if bodies else size
    return total
