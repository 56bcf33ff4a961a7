"""The reference judged: JAX's derivatives against the truth, which knows nothing of autodiff; and what XLA compiles."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax
import jax.extend
import numpy as np
from flint import arb
from jax.extend import core

from autodiff_ref.judge.balls import BALLS, Context, precision
from autodiff_ref.judge.comparing import digits, evaluator
from autodiff_ref.judge.counterexample import leaf_names, readable
from autodiff_ref.judge.evaluation import as_balls, coarse_bits
from autodiff_ref.judge.limits import with_limits
from autodiff_ref.judge.lines.trace import MakeNabla, NablaCall
from autodiff_ref.judge.program.equations import bits_in, equations_in, primitives_in
from autodiff_ref.judge.program.walk import Plan, plan
from autodiff_ref.judge.truth import Truth, place_of, truth_of
from autodiff_ref.nabla import Nabla, split_arguments
from autodiff_ref.nabla import nabla as jax_nabla
from autodiff_ref.trees import Arguments, Function, PyTree
from manual_grad.derivation import argument_names

_LEAVE_A_CHOICE = frozenset({"eigh", "eig", "svd", "qr", "geqrf", "householder_product", "schur"})
"""Primitives with more than one right result: LAPACK chooses the signs of vectors otherwise than balls do."""


@dataclass(frozen=True)
class WrongReference:
    """Where JAX's derivative of a function is not its derivative."""

    name: str
    at: str
    """the input"""
    component: str
    """which entry"""
    by_jax: str
    true: str
    rules: tuple[str, ...] = ()
    """functions within that have a derivative rule of their own"""

    def __str__(self) -> str:
        within = f"; it is differentiated by the rule of {', '.join(self.rules)}" if self.rules else ""
        return (
            f"reference wrong: ∇{self.name}: JAX's derivative {self.component} is {self.by_jax}, a difference quotient of "
            f"`{self.name}` in balls gives {self.true}, at {self.at} (reverse mode{within})"
        )


def arguments_of(call: NablaCall, args: Arguments) -> Arguments | None:
    """The arguments a line differentiates a function at, rounded to floats; None where they are not finite."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    balls = list(map(as_balls, leaves))
    with precision(128):
        found = call.arguments.run(Context(), *balls)
    floats = [np.vectorize(float, otypes=[float])(x) if x.dtype == object else x for x in found]
    if not all(np.all(np.isfinite(x)) for x in floats):
        return None
    return jax.tree.unflatten(call.structure, floats)


@dataclass(frozen=True)
class Differentiated:
    """A function and JAX's derivative of it, traced at one shape and planned for balls."""

    name: str
    value: Plan
    gradient: Plan
    by: tuple[int, ...]
    """which leaves of the arguments it is differentiated by"""
    out_sizes: tuple[int, ...]
    names: tuple[str, ...]
    """of the leaves of the arguments"""
    rules: tuple[str, ...] = ()
    """functions within that have a derivative rule of their own"""

    @classmethod
    def of(
        cls,
        f: Function,
        wrt: str | None,
        args: Arguments,
        name: str,
        labels: Sequence[bool],
        make_nabla: MakeNabla = jax_nabla,
    ) -> "Differentiated":
        """Traces f and JAX's ∇f at the shapes of `args`.

        Raises:
            NoRuleError: f or its derivative holds a primitive that balls have no rule for.
        """
        nabla = make_nabla(wrt)
        with jax.enable_x64(True):
            gradient = jax.make_jaxpr(lambda *args: jax.tree.leaves(nabla(f)(*args)))(*args)
            value = jax.make_jaxpr(lambda *args: jax.tree.leaves(_value(f, nabla, args)))(*args)
        plans = plan(value, BALLS, labels=labels), plan(gradient, BALLS, labels=labels)
        sizes = tuple(int(aval.size) for aval in value.out_avals)
        called = argument_names(f) or []
        names = leaf_names(args, [called[k] if k < len(called) else f"argument {k}" for k in range(len(args))])
        return cls(name, *plans, differentiated_leaves(f, wrt, args), sizes, names, tuple(own_rules(value.jaxpr)))

    def truth(self, args: Arguments, *, beside_jax: bool = True) -> Truth:
        """What is known of the gradient at one input of this shape: where JAX confirms it, or by quotients alone."""
        leaves = jax.tree.leaves(args)
        if not beside_jax:
            return truth_of(self.value, leaves, self.by, None, self.out_sizes)
        by_jax = evaluator(self.gradient, args)
        found = truth_of(self.value, leaves, self.by, by_jax, self.out_sizes)
        return with_limits(found, self.value, by_jax, leaves, self.by, self.out_sizes)

    def entry_name(self, args: Arguments, flat: int) -> str:
        """The name of an entry of the Jacobian: by w[0] of output 2."""
        leaves = jax.tree.leaves(args)
        row, which, entry = place_of(flat, self.out_sizes, [np.size(leaves[k]) for k in self.by])
        leaf = self.by[which]
        shape = np.shape(leaves[leaf])
        index = "".join(f"[{i}]" for i in np.unravel_index(entry, shape)) if shape else ""
        return f"by {self.names[leaf]}{index}" + (f" of output {row}" if sum(self.out_sizes) > 1 else "")

    def wrong(self, truth: Truth, args: Arguments) -> WrongReference | None:
        """What JAX gets wrong at an input that is no tie; None where it is right there, or that is not known."""
        if truth.tied or not truth.wrong:
            return None
        k = truth.wrong[0]
        value = truth.entries[k].value
        assert value is not None
        where = readable(args, self.names)
        return WrongReference(self.name, where, self.entry_name(args, k), digits(truth.by_jax[k]), digits(value), self.rules)


def _value(f: Function, nabla: Nabla | None, args: Arguments) -> PyTree:
    """f at its arguments, handed ∇ if it takes it."""
    takes = "nabla" in inspect.signature(f).parameters
    return f(*args, nabla=nabla) if takes else f(*args)


def differentiated_leaves(f: Function, wrt: str | None, args: Arguments) -> tuple[int, ...]:
    """Which leaves of f's arguments it is differentiated by."""
    leaves, structure = jax.tree.flatten(args)
    marked, _ = split_arguments(f, wrt, jax.tree.unflatten(structure, list(range(len(leaves)))))
    return tuple(jax.tree.leaves(marked))


def own_rules(jaxpr: core.Jaxpr) -> Iterator[str]:
    """The names of the functions within a jaxpr that have a derivative rule of their own."""
    found: dict[str, None] = {}
    for eqn in equations_in(jaxpr):
        if eqn.primitive.name.startswith(("custom_jvp_call", "custom_vjp_call")):
            inner = eqn.params.get("call_jaxpr") or eqn.params.get("fun_jaxpr")
            info = getattr(getattr(inner, "jaxpr", inner), "debug_info", None)
            found.setdefault(getattr(info, "func_name", "?"))
    yield from found


# Compiled code


@dataclass(frozen=True)
class Miscompiled:
    """Where compiled code leaves the balls of the very jaxpr it was compiled from."""

    name: str
    """∇ll, or of a claim that is no gradient the function"""
    compiled: float
    eager: float
    balls: str

    def __str__(self) -> str:
        blamed = "op by op it is right" if self.eager_is_right else f"op by op {self.eager!r}"
        return (
            f"reference wrong: compiled {self.name} is {self.compiled!r}, balls over the same jaxpr say {self.balls}, "
            f"{blamed}: a fault of the installed jaxlib, not of any line; its other results cannot be trusted either"
        )

    @property
    def eager_is_right(self) -> bool:
        """Whether running the operations one by one gives what the balls say."""
        return bool(arb(self.balls).overlaps(arb(self.eager, abs(self.eager) * 1e-6 + 1e-300)))


def compiled_values(closed: core.ClosedJaxpr, args: Arguments) -> list[np.ndarray]:
    """What XLA makes of a jaxpr, as one compiled program."""
    with jax.enable_x64(True):
        return [np.asarray(x) for x in jax.jit(jax.extend.core.jaxpr_as_fun(closed))(*jax.tree.leaves(args))]


def eager_values(closed: core.ClosedJaxpr, args: Arguments) -> list[np.ndarray]:
    """What JAX makes of a jaxpr, operation by operation."""
    with jax.enable_x64(True), jax.disable_jit():
        return [np.asarray(x) for x in jax.extend.core.jaxpr_as_fun(closed)(*jax.tree.leaves(args))]


def check_compiled(closed: core.ClosedJaxpr, made: Plan, args: Arguments, name: str) -> Miscompiled | None:
    """Compares a compiled gradient with coarse balls at one input; None where it is inside, or nothing can be said."""
    if not _LEAVE_A_CHOICE.isdisjoint(primitives_in(closed.jaxpr)):
        return None
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    balls = list(map(as_balls, leaves))
    context = Context()
    bits = coarse_bits(bits_in(closed.jaxpr))
    with precision(bits):
        wanted = [ball for output in made.run(context, *balls) for ball in np.ravel(output)]
    if context.tied or context.unresolved or not all(isinstance(b, arb) and b.is_finite() for b in wanted):
        return None
    compiled = np.concatenate([np.ravel(x) for x in compiled_values(closed, args)])
    compiled = compiled[: len(wanted)]  # behind its value, a function that was recorded has what it hands to ∇
    for k, (ball, value) in enumerate(zip(wanted, compiled, strict=True)):
        allowed = abs(float(value)) * 2.0**-bits  # a ball of an exact 2⁻³ is as narrow as no compiled function is
        if not ball.overlaps(arb(float(value), np.finfo(np.float64).tiny + allowed)):
            eager = np.concatenate([np.ravel(x) for x in eager_values(closed, args)])
            return Miscompiled(name, float(value), float(eager[k]), ball.str(10, radius=False))
    return None
