"""By which rule a line follows from the line above: read off what they hand to ∇, and tested in balls.

Nothing is taken from the text of the formulas. A rule is named only if its equation holds to 30 digits at every input tried:
∇σ(m) = σ(m)(1 − σ(m)) ∇m, say, between the Jacobians of the two functions that the lines leave under their ∇.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from flint import arb

from autodiff_ref.judge.balls import BALLS, Context, precision
from autodiff_ref.judge.evaluation import as_balls
from autodiff_ref.judge.lines.trace import NablaCall, with_nabla
from autodiff_ref.judge.program.walk import plan
from autodiff_ref.nabla import nabla as jax_nabla
from autodiff_ref.trees import Arguments, Function
from manual_grad.derivation import formula_of, label_of

BITS = 256
"""of the balls"""

DIGITS_30 = 102
"""bits of relative accuracy that two numbers need to be called equal"""

Balls = np.ndarray
"""A NumPy array of balls."""


@dataclass(frozen=True)
class Rule:
    """How a line follows from the one above."""

    name: str
    """"chain rule", "linearity", "substitution", "cancellation", "case analysis", "rewriting", "worked out" or
    "not recognised"""
    sentence: str


@dataclass(frozen=True)
class Under:
    """A function under a ∇, at one input."""

    name: str
    formula: str
    value: Balls
    """its outputs, one after the other"""
    jacobian: Balls
    """a row an output"""


@dataclass(frozen=True)
class Moment:
    """Two lines at one input: what each leaves under ∇ and the other does not, and the arguments."""

    gone: Sequence[Under]
    new: Sequence[Under]
    leaves: dict[str, Balls]
    """the arguments, by name"""
    values: dict[str, Balls]
    """what the lower line computes itself, by its source text"""


def same(a: Balls, b: Balls) -> bool:
    """Whether two arrays of balls are equal to 30 digits throughout, or hold 0 both."""
    if np.shape(a) != np.shape(b):
        return False
    return all(_equal(u, v) for u, v in zip(np.ravel(a), np.ravel(b), strict=True))


def _equal(u: arb, v: arb) -> bool:
    if not (u.is_finite() and v.is_finite() and u.overlaps(v)):
        return False
    tiny = arb(2) ** (-BITS // 2)
    return all(bool(abs(w) < tiny) or w.rel_accuracy_bits() >= DIGITS_30 for w in (u, v))


def under_nabla(call: NablaCall, args: Arguments) -> Under:
    """A function that a line differentiates, and its Jacobian, at one of the line's inputs."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    balls = list(map(as_balls, leaves))
    given = call.arguments.run(Context(), *balls)
    shapes = [jax.ShapeDtypeStruct(np.shape(x), np.float64 if x.dtype == object else x.dtype) for x in given]
    flags = call.arguments.output_labels

    def computed(f: Function) -> list[Balls]:
        def flat(*leaves: jax.Array) -> list[jax.Array]:
            return jax.tree.leaves(f(*jax.tree.unflatten(call.structure, leaves)))

        with jax.enable_x64(True):
            closed = jax.make_jaxpr(flat)(*shapes)
        return plan(closed, BALLS, labels=flags).run(Context(), *given)

    handed = jax_nabla(call.wrt)
    plain = with_nabla(call.f)
    value = np.concatenate([np.ravel(part) for part in computed(lambda *args: plain(*args, nabla=handed))])
    parts = computed(handed(call.f))
    jacobian = np.concatenate([np.reshape(part, (value.size, -1)) for part in parts], axis=1)
    return Under(label_of(call.f), formula_of(call.f), value, jacobian)


# The rules, in the order in which they are tried

Test = Callable[[Moment], bool]
Candidates = Iterator[tuple[Rule, Test]]


def recognised(moments: Sequence[Moment]) -> Rule | None:
    """The first rule that holds at every input; None where none does."""
    with precision(BITS):
        for rule, test in _candidates(moments[0]):
            if all(len(m.gone) == len(moments[0].gone) and len(m.new) == len(moments[0].new) and test(m) for m in moments):
                return rule
    return None


def _candidates(first: Moment) -> Candidates:
    if len(first.gone) == 1 and len(first.new) == 1:
        f, g = first.gone[0], first.new[0]
        yield _substitution(f, g)
        yield from _sum_of(f, g)
        yield from _entrywise(f, g, first)
        yield from _over_units(f, g, first)
    if len(first.gone) == 1 and not first.new:
        yield from _worked_out(first.gone[0], first)


def _of(u: Under) -> str:
    return f"∇{u.name}"


def _substitution(f: Under, g: Under) -> tuple[Rule, Test]:
    sentence = f"substitution of a definition: {f.name} = {g.name}, so {_of(f)} = {_of(g)}"
    return Rule(
        "substitution", sentence
    ), lambda m: same(m.gone[0].value, m.new[0].value) and same(m.gone[0].jacobian, m.new[0].jacobian)


def _sum_of(f: Under, g: Under) -> Candidates:
    """f = Σ φ(g), one number."""
    if f.value.size != 1:
        return

    def of(slope: Callable[[Balls], Balls]) -> Test:
        return lambda m: same(m.gone[0].jacobian[0], np.sum(slope(m.new[0].value)[:, None] * m.new[0].jacobian, axis=0))

    total = "Σ " if g.value.size > 1 else ""
    log = "chain rule, log' = 1/·: "
    yield Rule("chain rule", f"{log}{_of(f)} = {total}1/{g.name} {_of(g)}"), of(lambda g: 1 / g)
    yield Rule("linearity", f"linearity: {_of(f)} = {total}{_of(g)}"), of(lambda g: g * 0 + 1)
    yield Rule("chain rule", f"chain rule, (u²/2)' = u: {_of(f)} = {total}{g.name} {_of(g)}"), of(lambda g: g)


_SLOPES: tuple[tuple[str, str, Callable[[Balls, Balls], Balls]], ...] = (
    ("chain rule, σ' = σ(1 − σ)", "{f} (1 − {f})", lambda f, g: f * (1 - f)),
    ("chain rule, tanh' = 1 − tanh²", "(1 − {f}²)", lambda f, g: 1 - f * f),
    ("chain rule, exp' = exp", "{f}", lambda f, g: f),
    ("chain rule, log' = 1/·", "1/{g}", lambda f, g: 1 / g),
    ("chain rule, (1/u)' = −1/u²", "(−1/{g}²)", lambda f, g: -1 / (g * g)),
    ("chain rule, (u²)' = 2u", "2 {g}", lambda f, g: 2 * g),
)


def _entrywise(f: Under, g: Under, first: Moment) -> Candidates:
    """f_i = φ(g_i): row by row, ∇f is a multiple of ∇g."""
    if f.value.size != g.value.size:
        return
    for words, factor, slope in _SLOPES:
        sentence = f"{words}: {_of(f)} = {factor.format(f=f.name, g=g.name)} {_of(g)}"
        yield (
            Rule("chain rule", sentence),
            lambda m, slope=slope: same(
                m.gone[0].jacobian, slope(m.gone[0].value, m.new[0].value)[:, None] * m.new[0].jacobian
            ),
        )
    for name, leaf in first.leaves.items():
        if np.size(leaf) == f.value.size or np.ndim(leaf) == 0:
            sentence = f"linearity: {_of(f)} = {name} {_of(g)}, as {name} is held fixed"
            yield (
                Rule("linearity", sentence),
                lambda m, name=name: same(m.gone[0].jacobian, np.reshape(m.leaves[name], (-1, 1)) * m.new[0].jacobian),
            )
    sentence = f"chain rule: {_of(f)} is {_of(g)} times the slope of {f.name} by {g.name}"
    yield Rule("chain rule", sentence), lambda m: _parallel(m.gone[0].jacobian, m.new[0].jacobian)


def _parallel(a: Balls, b: Balls) -> bool:
    """Whether each row of a is a multiple of that of b, with more than one entry to tell by."""
    if a.shape != b.shape or a.shape[1] < 2:
        return False
    return all(same(np.outer(u, v), np.outer(v, u)) for u, v in zip(a, b, strict=True))


def _over_units(f: Under, g: Under, first: Moment) -> Candidates:
    """f_i = Σ_k c_k g_ik with a c that is held fixed."""
    for name, leaf in first.leaves.items():
        k = np.size(leaf)
        if np.ndim(leaf) != 1 or k < 2 or g.value.size != f.value.size * k:
            continue

        def split(m: Moment, k: int = k) -> Balls:
            return np.reshape(m.new[0].jacobian, (m.gone[0].value.size, k, -1))

        def test(m: Moment, name: str = name, split: Callable[[Moment], Balls] = split) -> bool:
            return same(m.gone[0].jacobian, np.sum(m.leaves[name][None, :, None] * split(m), axis=1))

        alive = [j for j in range(k) if not all(bool(v == 0) for v in np.ravel(split(first)[:, j]))]
        terms = " + ".join(f"{name}[{j}] {_of(g)}[{j}]" for j in alive)
        zero = ", ".join(f"{_of(g)}[{j}] = 0" for j in range(k) if j not in alive)
        sentence = f"linearity: {_of(f)} = {terms}" + (f", as {zero}" if zero else "")
        yield Rule("linearity", sentence), test


def _worked_out(f: Under, first: Moment) -> Candidates:
    """The last ∇ is worked out: the Jacobian is one of the arguments or of what the line computes, or 1."""
    for name, leaf in {**first.values, **first.leaves}.items():
        if np.size(leaf) == f.jacobian.size:

            def is_it(m: Moment, name: str = name) -> bool:
                return same(np.ravel(m.gone[0].jacobian), np.ravel({**m.values, **m.leaves}[name]))

            sentence = f"{_of(f)} = {name}"
            yield (
                Rule("linearity", f"linearity: {sentence}"),
                lambda m, is_it=is_it: is_it(m) and _is_linear(m.gone[0], m.leaves),
            )
            yield Rule("worked out", f"worked out: {sentence}"), is_it
        if f.value.size > 1 and np.size(leaf) < f.jacobian.size:
            yield from _one_unit(f, first, name)
    yield Rule("linearity", f"linearity: {_of(f)} = 1"), lambda m: same(m.gone[0].jacobian, m.gone[0].jacobian * 0 + 1)


def _is_linear(f: Under, leaves: dict[str, Balls]) -> bool:
    """Whether f is its derivative times an argument."""
    columns = f.jacobian.shape[1]
    tried = (np.ravel(leaf) for leaf in leaves.values() if np.size(leaf) == columns)
    return any(same(f.jacobian @ leaf, np.ravel(f.value)) for leaf in tried)


def _one_unit(f: Under, first: Moment, name: str) -> Candidates:
    """Of several units under ∇ one depends on the variable, and its Jacobian is an argument."""
    k, rest = divmod(f.jacobian.size, np.size(first.leaves.get(name, f.jacobian)))
    if rest or k < 2 or f.value.size % k:
        return

    def unit(m: Moment, j: int) -> Balls:
        return np.reshape(m.gone[0].jacobian, (m.gone[0].value.size // k, k, -1))[:, j]

    def test(m: Moment, j: int) -> bool:
        others = [v for i in range(k) if i != j for v in np.ravel(unit(m, i))]
        return same(np.ravel(unit(m, j)), np.ravel(m.leaves[name])) and all(bool(v == 0) for v in others)

    for j in range(k):
        zero = ", ".join(f"{_of(f)}[{i}] = 0" for i in range(k) if i != j)
        rule = Rule("linearity", f"linearity: {_of(f)}[{j}] = {name}, as {zero}")
        yield rule, lambda m, j=j: test(m, j)
