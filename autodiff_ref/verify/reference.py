"""The reference judged: JAX's derivatives against a difference quotient in balls, which knows nothing of autodiff.

(f(v + h e) − f(v − h e)) / 2h with h = 2^-300 differs from the derivative by h²f'''/6, so that it is good to some 100 digits
wherever f''' is no larger than 10^80 times f'. Its truncation error is not enclosed: evidence, not a certificate.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend
import numpy as np
from flint import arb

from autodiff_ref.nabla import nabla as jax_nabla
from autodiff_ref.nabla import split_arguments
from autodiff_ref.verify.balls import BALLS, Context, exact, precision
from autodiff_ref.verify.trace import MakeNabla, NablaCall
from autodiff_ref.verify.verdict import DIGITS, digits
from autodiff_ref.verify.walker.walk import Array, Plan, plan

COARSE_BITS = 40
"""In balls of so few bits each operation may err by 2^-40, some 10^4 ulps of a float64: what XLA compiles, in whatever order
it sums, stays inside them unless it computes something else."""

_STEP_BITS = 300
_BITS = 2400
"""enough for the quotient to keep 30 digits of a value near e^-700 after 300 bits are cancelled"""


@dataclass(frozen=True)
class WrongReference:
    """Where JAX's derivative of a function is not what the difference quotient says."""

    name: str
    component: str
    by_jax: str
    by_quotient: str

    def __str__(self) -> str:
        return (
            f"reference wrong: ∇{self.name}: JAX's derivative is {self.by_jax}, a difference quotient of `{self.name}` "
            f"in balls gives {self.by_quotient} ({self.component})"
        )


def arguments_of(call: NablaCall, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The arguments a line differentiates a function at, rounded to floats; None where they are not finite."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    balls = [exact(leaf) if np.issubdtype(leaf.dtype, np.floating) else leaf for leaf in leaves]
    with precision(128):
        found = call.arguments.run(Context(), *balls)
    floats = [np.vectorize(float, otypes=[float])(x) if x.dtype == object else x for x in found]
    if not all(np.all(np.isfinite(x)) for x in floats):
        return None
    return jax.tree.unflatten(call.structure, floats)


@dataclass(frozen=True)
class Checked:
    """What a comparison of ∇f with difference quotients found."""

    wrong: WrongReference | None = None
    entries: int = 0
    """derivatives that were compared; 0 where the input lies on a kink, or values do not exist"""


def check_derivative(
    f: Callable[..., Any],
    wrt: str | None,
    args: tuple[Any, ...],
    name: str,
    labels: Sequence[bool],
    make_nabla: MakeNabla = jax_nabla,
) -> Checked:
    """Compares JAX's ∇f at `args` with the difference quotient.

    Args:
        f: the function that was differentiated.
        wrt: by what.
        args: where, as NumPy arrays.
        name: what the report calls it.
        labels: for each leaf of `args`, whether it holds labels.
        make_nabla: JAX's ∇, or one that has traced the derivative of f already.

    Raises:
        NoRuleError: f or its derivative holds a primitive that balls have no rule for.
    """
    nabla = make_nabla(wrt)
    with jax.enable_x64(True):
        gradient = jax.make_jaxpr(lambda *args: jax.tree.leaves(nabla(f)(*args)))(*args)
        value = jax.make_jaxpr(lambda *args: jax.tree.leaves(_value(f, nabla, args)))(*args)
    sizes = [aval.size for aval in value.out_avals]
    value_plan, leaves = plan(value, BALLS, labels=labels), [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    positions = _differentiated(f, wrt, args)
    by_jax = _run(plan(gradient, BALLS, labels=labels), leaves, constants="balls")
    if by_jax is None:
        return Checked()
    along = _directions([leaves[variable].shape for variable in positions])
    quotient = _quotient(value_plan, leaves, dict(zip(positions, along, strict=True)))
    if quotient is None:
        return Checked()
    # the Jacobian's leaves run over f's outputs first, then over the variables differentiated by
    jacobian = [by_jax[k :: len(positions)] for k in range(len(positions))]
    with precision(_BITS):
        rows = [
            np.concatenate([part.reshape(size, -1) for part, size in zip(parts, sizes, strict=True)]) for parts in jacobian
        ]
        expected = np.concatenate(rows, axis=1) @ np.concatenate([direction.ravel() for direction in along])
    pairs = list(zip(expected, quotient, strict=True))
    finite = [(ours, theirs) for ours, theirs in pairs if ours.is_finite() and theirs.is_finite()]
    if len(finite) == len(pairs) and all(_same(ours, theirs) for ours, theirs in finite):
        return Checked(entries=len(pairs))
    return _entry_by_entry(value_plan, leaves, positions, rows, name)


def _directions(shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """A direction in which no entry stands still, always the same: one quotient along it sees every derivative."""
    random = np.random.default_rng(0)
    steps = [random.integers(2**15, 2**16, shape) * random.choice([-1, 1], shape) for shape in shapes]
    return [exact(np.asarray(step / 2**16)) for step in steps]


def _entry_by_entry(value_plan: Plan, leaves: list[Array], positions: list[int], rows: list[Array], name: str) -> Checked:
    """Which derivative is wrong; and those that do exist, where some do not."""
    compared = 0
    for which, variable in enumerate(positions):
        for entry in range(leaves[variable].size):
            unit = exact(np.zeros(leaves[variable].shape))
            unit.flat[entry] = arb(1)
            quotient = _quotient(value_plan, leaves, {variable: unit})
            if quotient is None:
                continue
            for k, (ours, theirs) in enumerate(zip(rows[which][:, entry], quotient, strict=True)):
                if not (ours.is_finite() and theirs.is_finite()):
                    continue
                compared += 1
                if not _same(ours, theirs):
                    where = f"output {k} by entry {entry} of variable {which}"
                    return Checked(WrongReference(name, where, digits(ours), digits(theirs)), compared)
    return Checked(entries=compared)


def _value(f: Callable[..., Any], nabla: Any, args: tuple[Any, ...]) -> Any:
    """f at its arguments, handed ∇ if it takes it."""
    takes = "nabla" in inspect.signature(f).parameters
    return f(*args, nabla=nabla) if takes else f(*args)


def _differentiated(f: Callable[..., Any], wrt: str | None, args: tuple[Any, ...]) -> list[int]:
    """Which leaves of f's arguments it is differentiated by."""
    leaves, structure = jax.tree.flatten(args)
    marked, _ = split_arguments(f, wrt, jax.tree.unflatten(structure, list(range(len(leaves)))))
    return jax.tree.leaves(marked)


def _run(made: Plan, leaves: list[Array], constants: str) -> list[Array] | None:
    context = Context(constants=constants)  # pyright: ignore[reportArgumentType]
    balls = [exact(leaf) if np.issubdtype(leaf.dtype, np.floating) else leaf for leaf in leaves]
    with precision(_BITS):
        outputs = made.run(context, *balls)
    usable = not (context.tied or context.unresolved)
    return [np.ravel(output) for output in outputs] if usable else None


def _quotient(value_plan: Plan, leaves: list[Array], along: Mapping[int, Array]) -> list[arb] | None:
    """(f(v + h e) − f(v − h e)) / 2h, where `along` holds e for each variable that moves; None next to a tie."""
    with precision(_BITS):
        h = arb(2) ** -_STEP_BITS
        ends: list[list[arb]] = []
        for step in (h, -h):
            balls = [exact(leaf) if np.issubdtype(leaf.dtype, np.floating) else leaf for leaf in leaves]
            for variable, direction in along.items():
                balls[variable] = np.asarray(balls[variable] + direction * step)
            context = Context(constants="exact")
            outputs = value_plan.run(context, *balls)
            if context.tied or context.unresolved:
                return None
            ends.append([value for output in outputs for value in np.ravel(output)])
        return [(up - down) / (2 * h) for up, down in zip(*ends, strict=True)]


def _same(by_jax: arb, quotient: arb) -> bool:
    """Whether the derivatives agree to 30 digits, or to what JAX's constants leave, or are both far below 2^-200."""
    if by_jax.overlaps(quotient):
        return True
    with precision(_BITS):
        gap, size = abs(by_jax - quotient), abs(by_jax).max(abs(quotient))
        return bool(gap <= size * arb(10) ** -DIGITS) or bool(gap < arb(2) ** -_STEP_BITS)


# Compiled code


@dataclass(frozen=True)
class Miscompiled:
    """Where compiled code leaves the balls of the very jaxpr it was compiled from."""

    name: str
    compiled: float
    eager: float
    balls: str

    def __str__(self) -> str:
        blamed = "op by op it is right" if self.eager_is_right else f"op by op {self.eager!r}"
        return (
            f"reference wrong: compiled ∇{self.name} is {self.compiled!r}, balls over the same jaxpr say {self.balls}, "
            f"{blamed}: a fault of the installed jaxlib, not of any line; its other results cannot be trusted either"
        )

    @property
    def eager_is_right(self) -> bool:
        """Whether running the operations one by one gives what the balls say."""
        return bool(arb(self.balls).overlaps(arb(self.eager, abs(self.eager) * 1e-6 + 1e-300)))


def compiled_values(closed: Any, args: tuple[Any, ...]) -> list[Any]:
    """What XLA makes of a jaxpr, as one compiled program."""
    with jax.enable_x64(True):
        return [np.asarray(x) for x in jax.jit(jax.extend.core.jaxpr_as_fun(closed))(*jax.tree.leaves(args))]


def eager_values(closed: Any, args: tuple[Any, ...]) -> list[Any]:
    """What JAX makes of a jaxpr, operation by operation."""
    with jax.enable_x64(True), jax.disable_jit():
        return [np.asarray(x) for x in jax.extend.core.jaxpr_as_fun(closed)(*jax.tree.leaves(args))]


def check_compiled(closed: Any, made: Plan, args: tuple[Any, ...], name: str) -> Miscompiled | None:
    """Compares a compiled gradient with coarse balls at one input; None where it is inside, or nothing can be said."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    balls = [exact(leaf) if np.issubdtype(leaf.dtype, np.floating) else leaf for leaf in leaves]
    context = Context()
    with precision(COARSE_BITS):
        wanted = [ball for output in made.run(context, *balls) for ball in np.ravel(output)]
    if context.tied or context.unresolved or not all(isinstance(b, arb) and b.is_finite() for b in wanted):
        return None
    compiled = np.concatenate([np.ravel(x) for x in compiled_values(closed, args)])
    for k, (ball, value) in enumerate(zip(wanted, compiled, strict=True)):
        if not ball.overlaps(arb(float(value), np.finfo(np.float64).tiny)):
            eager = np.concatenate([np.ravel(x) for x in eager_values(closed, args)])
            return Miscompiled(name, float(value), float(eager[k]), ball.str(10, radius=False))
    return None
