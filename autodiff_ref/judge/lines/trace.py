"""From the lines of a derivation to plans: each line is traced once a shape, with JAX's ∇ handed in."""

import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.comparing import ULP
from autodiff_ref.judge.domains import label_flags as label_flags
from autodiff_ref.judge.errors import LineError, check_call, check_value, fulfils, is_no_sum, line_error, placed
from autodiff_ref.judge.numpy_code.run import what_stopped
from autodiff_ref.judge.program.pairs import where_followed
from autodiff_ref.judge.program.walk import Plan, plan_parts
from autodiff_ref.nabla import Nabla, require_function, with_functions_held
from autodiff_ref.nabla import nabla as jax_nabla
from autodiff_ref.trees import Arguments, Function, PyTree, Structure
from manual_grad.derivation import REFERENCE as REFERENCE
from manual_grad.derivation import Derivation, Line, label_of

MakeNabla = Callable[[str | None], Nabla]
"""wrt -> ∇"""


ShapeKey = tuple[tuple[tuple[int, ...], str], ...]
"""of each leaf of some arguments its shape and dtype"""


@dataclass(frozen=True)
class NablaCall:
    """One use of ∇ in a line: the function, by what, and a plan for the arguments it was differentiated at."""

    f: Function
    wrt: str | None
    structure: Structure
    arguments: Plan

    @property
    def said(self) -> str:
        """As reports write it: ∇score."""
        label = label_of(self.f)
        return "∇ of a lambda" if label == "<lambda>" else f"∇{label}"

    @property
    def key(self) -> Hashable:
        """Equal for uses of the same function by the same variable; functions made anew by each trace are the same."""
        cells = [cell.cell_contents for cell in getattr(self.f, "__closure__", None) or ()]
        held = tuple(cell if isinstance(cell, int | float | str | None) else type(cell).__name__ for cell in cells)
        return getattr(self.f, "__code__", self.f), held, self.wrt


@dataclass(frozen=True)
class Traced:
    """A line at one shape: its plan, or why there is none; and what it handed to ∇."""

    label: str
    plan: Plan | None
    """for its value"""
    closed: core.ClosedJaxpr
    """its jaxpr: its value, then the arguments of every use of ∇"""
    shapes: PyTree
    """what it returns"""
    reason: str = ""
    """why there is no plan"""
    calls: list[NablaCall] = field(default_factory=list[NablaCall])
    allowed: float = ULP
    """the relative difference up to which the line claims to be right: an ulp, or what `within` says"""


@dataclass(frozen=True)
class Call:
    """One use of ∇ while a line is traced."""

    f: Function
    wrt: str | None
    args: Arguments


def shape_key(args: Arguments) -> ShapeKey:
    """Equal for arguments that one trace serves."""
    return tuple((np.shape(leaf), _dtype(leaf).str) for leaf in jax.tree.leaves(args))


def trace_reference(derivation: Derivation, args: Arguments, nabla: MakeNabla = jax_nabla) -> Traced:
    """JAX's own gradient of `of`, or what `equals` returns; its shapes are what every line must return.

    Raises:
        LineError: `of` raises.
    """
    if not derivation.is_gradient:
        check_call(derivation.of, f"`{derivation.reference}`", derivation, args, nabla=takes_nabla(derivation.of))
        return trace_of(derivation, args, nabla)

    def gradient(*args: PyTree, nabla: Nabla) -> PyTree:
        return _without_functions(nabla(derivation.of)(*args))

    name = label_of(derivation.of)
    check_call(derivation.of, f"`{name}`", derivation, args, nabla=takes_nabla(derivation.of))
    try:
        traced = _trace(gradient, f"∇{name}", derivation, args, nabla, record=False)
    except LineError:
        whole = [leaf.dtype for leaf in jax.tree.leaves(trace_of(derivation, args, nabla).shapes)]
        if wrong := [dtype for dtype in whole if not jax.numpy.issubdtype(dtype, np.floating)]:
            raise LineError(
                f"{derivation.name}: `{name}` returns {wrong[0]}, and what is differentiated returns real numbers"
            ) from None
        raise
    return replace(traced, label=REFERENCE)


def trace_of(derivation: Derivation, args: Arguments, nabla: MakeNabla = jax_nabla) -> Traced:
    """`of` itself, and what it hands to ∇."""
    return _trace(with_nabla(derivation.of), label_of(derivation.of), derivation, args, nabla)


def trace_line(
    derivation: Derivation, line: Function, args: Arguments, shapes: PyTree, nabla: MakeNabla = jax_nabla
) -> Traced:
    """One line at the shapes of `args`.

    Raises:
        LineError: the line raises, or returns something of another shape than the gradient.
    """
    try:
        return _traced_line(derivation, line, args, shapes, nabla)
    except LineError as error:
        raise placed(error, line) from error.__cause__


def _traced_line(derivation: Derivation, line: Function, args: Arguments, shapes: PyTree, nabla: MakeNabla) -> Traced:
    label = label_of(line)
    check_call(line, label, derivation, args, nabla=takes_nabla(line))

    def checked(*args: PyTree, nabla: Nabla) -> PyTree:
        value = _without_functions(with_nabla(line)(*args, nabla=nabla))
        check_value(value, label, derivation)
        return value

    traced = replace(_trace(checked, label, derivation, args, nabla), allowed=allowed_of(line))
    if _flat_shapes(traced.shapes) != _flat_shapes(shapes):
        raise LineError(
            f"{derivation.name}: {traced.label} returns {_describe(traced.shapes)}, "
            f"and {_what_is_wanted(derivation, shapes)}"
            f"{_is_no_sum(derivation, args, nabla, traced.shapes, shapes)}",
            wrong_shape_of=label,
        )
    return traced


def _what_is_wanted(derivation: Derivation, shapes: PyTree) -> str:
    """The shape that lines return, and why."""
    if not derivation.is_gradient:
        return f"`{derivation.reference}`, which it is to equal, {_describe(shapes)}"
    return (
        f"the gradient has {_describe(shapes)}: "
        "a line returns the whole gradient, of the shape of what it is differentiated by"
    )


def trace_condition(condition: Function, derivation: Derivation, args: Arguments) -> Traced:
    """A condition of the user's at the shapes of `args`: its value is 1 where it holds.

    Raises:
        LineError: it cannot be traced, as one with an `if`.
    """
    return _trace(with_nabla(condition), label_of(condition), derivation, args, jax_nabla, record=False)


def claims_to_hold(line: Line | None, derivation: Derivation, args: Arguments) -> bool:
    """Whether the condition under which a line claims to hold is met."""
    valid = getattr(line, "valid", None)
    return line is None or valid is None or fulfils(valid, f"`valid` of {label_of(line)}", derivation, args)


def allowed_of(line: Function) -> float:
    """The relative difference up to which a line claims to be right: an ulp of float64, or what `within` says."""
    claimed = getattr(line, "within", None)
    if claimed is None:
        return ULP
    return claimed.relative if claimed.relative is not None else claimed.ulps * ULP


def _is_no_sum(derivation: Derivation, args: Arguments, nabla: MakeNabla, ours: PyTree, gradient: PyTree) -> str:
    if not derivation.is_gradient:
        return ""
    (returned, *more), (wanted, *rest) = jax.tree.leaves(ours) or [None], jax.tree.leaves(gradient)
    if returned is None or len(more) != len(rest):
        return ""
    value = trace_of(derivation, args, nabla).shapes
    return is_no_sum(label_of(derivation.of), value, tuple(returned.shape), tuple(wanted.shape))


def takes_nabla(f: Function) -> bool:
    """Whether a function has an argument of that name."""
    try:
        return "nabla" in inspect.signature(f).parameters
    except (TypeError, ValueError):
        return False


def with_nabla(f: Function) -> Function:
    """`f`, handed ∇ if it takes it."""
    return f if takes_nabla(f) else lambda *args, nabla: f(*args)


def _without_functions(value: PyTree) -> PyTree:
    """What a line returns, with None where a dataclass holds a function: there is nothing to differentiate by."""
    is_function = lambda leaf: isinstance(leaf, jax.tree_util.Partial) or (callable(leaf) and not hasattr(leaf, "dtype"))  # noqa: E731
    return jax.tree.map(lambda leaf: None if is_function(leaf) else leaf, value, is_leaf=is_function)


def _abstract(args: Arguments) -> Arguments:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), _dtype(leaf)), args)


def _dtype(leaf: PyTree) -> np.dtype[np.generic]:
    """The type of an array, a tracer or a number."""
    return leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype


def _flat_shapes(shapes: PyTree) -> tuple[str, list[tuple[int, ...]]]:
    leaves, structure = jax.tree.flatten(shapes)
    return ("" if len(leaves) == 1 else str(structure)), [tuple(leaf.shape) for leaf in leaves]


def _describe(shapes: PyTree) -> str:
    leaves = jax.tree.leaves(shapes)
    if len(leaves) == 1:
        return f"shape {tuple(leaves[0].shape)}"
    return str(jax.tree.map(lambda leaf: tuple(leaf.shape), shapes))


def _trace(
    f: Function,
    label: str,
    derivation: Derivation,
    args: Arguments,
    nabla: MakeNabla,
    *,
    record: bool = True,
) -> Traced:
    try:
        closed, shapes, calls = jaxpr_of(f, args, derivation.wrt, nabla, record=record)
    except LineError:
        raise
    except Exception as error:
        raise line_error(what_stopped(error), label, derivation, args) from error
    widths = [len(jax.tree.leaves(call.args)) for call in calls]
    first_call = len(closed.out_avals) - sum(widths)
    try:
        made, *arguments = plan_parts(closed, BALLS, [first_call, *widths], labels=label_flags(derivation.domain))
    except NotImplementedError as error:
        return Traced(label, None, closed, shapes, str(error))
    except Exception as error:  # a rule that cannot serve this equation: never a verdict on the line
        return Traced(label, None, closed, shapes, f"the judge cannot plan this line: {type(error).__name__}: {error}")
    found = [
        NablaCall(call.f, call.wrt, jax.tree.structure(call.args), part) for call, part in zip(calls, arguments, strict=True)
    ]
    return Traced(label, made, closed, shapes, calls=found)


def jaxpr_of(
    f: Function, args: Arguments, wrt: str | None, nabla: MakeNabla = jax_nabla, *, record: bool = True
) -> tuple[core.ClosedJaxpr, PyTree, list[Call]]:
    """The jaxpr of a line: its value, then the arguments of every use of ∇; the value's shapes; and these uses."""
    try:
        return _jaxpr(f, args, wrt, nabla, record=record)
    except jax.errors.UnexpectedTracerError:  # ∇ was used under a transformation, where its arguments cannot be seen
        return _jaxpr(f, args, wrt, nabla, record=False)


def _jaxpr(
    f: Function, args: Arguments, wrt: str | None, nabla: MakeNabla, *, record: bool
) -> tuple[core.ClosedJaxpr, PyTree, list[Call]]:
    leaves, structure = jax.tree.flatten(_abstract(args))
    calls: list[Call] = []
    handed = _recording(wrt, nabla, calls) if record else nabla(wrt)

    def flat(*leaves: jax.Array) -> tuple[PyTree, list[list[jax.Array]]]:
        calls.clear()
        value = f(*jax.tree.unflatten(structure, leaves), nabla=handed)
        return value, [jax.tree.leaves(call.args) for call in calls]

    with jax.enable_x64(True):
        closed, (shapes, _) = jax.make_jaxpr(flat, return_shape=True)(*leaves)
    return where_followed(closed), shapes, calls


def _recording(wrt: str | None, nabla: MakeNabla, calls: list[Call]) -> Nabla:
    gradient_of = nabla(wrt)

    def recording(f: Function, wrt: str | None = wrt) -> Function:
        require_function(f)

        def jacobian(*args: PyTree) -> PyTree:
            calls.append(Call(f, wrt, with_functions_held(args)))
            return gradient_of(f, wrt)(*args)

        return jacobian

    return recording
