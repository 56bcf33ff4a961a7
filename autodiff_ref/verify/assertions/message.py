"""What a failed assertion says: the component by name, both values, what rounding explains, the input, what to do next."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from autodiff_ref.verify.assertions.agreement import Pair
from autodiff_ref.verify.assertions.by_value import Again
from autodiff_ref.verify.assertions.factor import factor_of
from autodiff_ref.verify.assertions.finding import Finding
from autodiff_ref.verify.assertions.sides import Call, Side
from autodiff_ref.verify.counterexample import leaf_names, readable
from autodiff_ref.verify.errors import is_no_sum
from manual_grad.derivation import argument_names, label_of

MOST_SHOWN = 60
"""numbers of an input that are written out; a larger array is described"""


def returned_wrongly(
    value: Any, reference: Side, candidate: Callable[..., Any], of: Callable[..., Any], wrt: str | None
) -> str:
    """What is wrong with the form of what a candidate returned; nothing where it is a gradient of the reference's shapes."""
    shapes = reference.shapes
    name, by = label_of(candidate), f"by {wrt}" if wrt else "by the first argument"
    ours, wanted = jax.tree.flatten(value), jax.tree.flatten(shapes)
    single = len(ours[0]) == len(wanted[0]) == 1
    if ours[1] != wanted[1] and not single:
        return f"{name} returns {_form(value)}; the gradient {by} is {_form(shapes)}: return it in the same structure"
    for (path, leaf), want in zip(jax.tree_util.tree_leaves_with_path(value), wanted[0], strict=True):
        place = "" if single else f" in {jax.tree_util.keystr(path)}"
        if np.shape(leaf) != want.shape:
            return (
                f"{name} returns shape {np.shape(leaf)}{place}; the gradient {by} has shape {want.shape}: "
                "return the whole gradient, of the shape of what it is differentiated by"
                f"{is_no_sum(label_of(of), reference.value, np.shape(leaf), want.shape)}"
            )
        dtype = getattr(leaf, "dtype", None) or np.asarray(leaf).dtype
        if not (jax.numpy.issubdtype(dtype, np.floating) or np.dtype(dtype).kind in "biu"):
            return f"{name} returns {dtype}{place}; a gradient is made of real numbers: return floats"
    return ""


def keeps_state(candidate: Callable[..., Any]) -> str:
    """What is said of a gradient that returns something else when it is called again."""
    return (
        f"{label_of(candidate)} returns something else when it is called again with the same arguments: it keeps state, or "
        "is random. Make the gradient a function of its arguments: start from what is new at each call, and pass the seed"
    )


def _form(value: Any) -> str:
    leaves, structure = jax.tree.flatten(value)
    return str(jax.tree.unflatten(structure, [_Shape(np.shape(leaf)) for leaf in leaves]))


class _Shape(tuple[int, ...]):
    """A shape where a leaf stood."""

    __slots__ = ()


def failure(
    found: Finding, pair: Pair, candidate: Callable[..., Any], of: Callable[..., Any], wrt: str | None, again: Again
) -> str:
    """The whole message; `again` calls the candidate at other inputs."""
    ours, theirs = label_of(candidate), f"∇{label_of(of)}"
    k = found.components[0]
    computed, expected = float(found.computed[k]), float(found.expected[k])
    width = max(len(ours), len(theirs), 10)
    names = component_names(pair.reference.shapes, wrt, of)
    rows = [
        f"{ours} is not {theirs}" + (f" by {wrt}" if wrt else ""),
        f"  in {names[k]}",
        f"    {ours:{width}}  {computed!r}",
        f"    {theirs:{width}}  {expected!r}",
        f"    {_difference(computed, expected, found, ours, width)}",
        *_others(found, names),
        f"  at {_input(pair.call, of)}",
        *_hint(len(names), factor_of(found, pair.reference, pair.of_arrays, len(pair.call.arrays), again)),
        "  next: write its steps as lines of a Derivation; verify(…) then names the first wrong one",
    ]
    return "\n".join(rows)


def _difference(computed: float, expected: float, found: Finding, ours: str, width: int) -> str:
    if np.isfinite(computed) or found.certified:
        return f"{'difference':{width}}  {abs(computed - expected):.3g}{_allowance(found, ours)}"
    returned = "NaN" if np.isnan(computed) else f"{computed:g}"
    why = (
        ""
        if found.how != "traced"
        else ": as a real function it is right, so that an intermediate overflows, or underflows to 0/0"
    )
    return f"{ours} returns {returned} where the gradient is finite{why}"


def _allowance(found: Finding, ours: str) -> str:
    if found.certified:
        return f"; certified: as real functions they differ by at least {found.certified}"
    match found.how:
        case "finer":
            return (
                f", where {found.allowed:.3g} is allowed: {ours} is not traced, and was called in float64, since rounding "
                "in float32 would hide that; it is as far off, relatively, at neighbouring inputs"
            )
        case "unbounded":
            return f", more than rounding takes away, assumed since {ours} is not traced and nothing bounds its errors"
        case "assumed":
            why = f"twice the reference's rounding bound, assumed since {ours} is not traced"
            return f", where {found.allowed:.3g} is allowed: {why}"
        case "bounds":
            return f", where the rounding of both sides together explains at most {found.allowed:.3g}"
        case "extended":
            return (
                f", where rounding explains about {found.allowed:.3g} in floats of more digits, in which both were computed"
            )
        case _:
            explained = f"where rounding explains {found.allowed:.3g}"
            return f", {explained}; traced, it is the right function: it computes something else"


def component_names(shapes: Any, wrt: str | None, of: Callable[..., Any]) -> list[str]:
    """A name for every entry of a gradient: w11[0], w.b[2, 1]."""
    first = (argument_names(of) or ["gradient"])[:1]
    by = wrt or (first or ["gradient"])[0]
    names: list[str] = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(shapes):
        stem = by + jax.tree_util.keystr(path)
        indices = np.ndindex(*leaf.shape) if leaf.shape else [()]
        names += [stem + (f"[{', '.join(map(str, index))}]" if index else "") for index in indices]
    return names


def _others(found: Finding, names: list[str]) -> list[str]:
    others, total = found.components[1:], len(names)
    if not others:
        return [f"  the other {total - 1} of {total} components agree"] if total > 1 else []
    shown = ", ".join(names[k] for k in others[:5]) + (", …" if len(others) > 5 else "")
    return [f"  and in {len(others)} more of {total} components: {shown}"]


def _input(call: Call, of: Callable[..., Any]) -> str:
    names = argument_names(of) or []
    every = [names[k] if k < len(names) else f"argument {k}" for k in range(len(call.args))]
    described = [_described(leaf) for leaf in call.leaves]
    args, keywords = jax.tree.unflatten(call.structure, [_Leaf(text) for text in described])
    labels = leaf_names((*args, *keywords.values()), [*every, *keywords])
    return "  ".join(f"{name}={text}" for name, text in zip(labels, described, strict=True))


class _Leaf(str):
    """A leaf's description where the leaf stood."""

    __slots__ = ()


def _described(leaf: Any) -> str:
    array = np.asarray(leaf)
    if array.dtype.kind not in "fiubV":
        return repr(leaf)
    if array.size <= MOST_SHOWN:
        return readable((array.astype(np.float64),), ("",))[1:]
    return f"<{array.dtype} {array.shape}, from {array.min():.6g} to {array.max():.6g}>"


def _hint(size: int, factor: tuple[float, float] | None) -> list[str]:
    """The factor that explains it, to so many digits that it is not 1."""
    if factor is None:
        return []
    times, more = factor
    if abs(times) < 1e-12:
        return ["  every component is 0" if size > 1 else "  it is 0"]
    said = f"{times:.7g}" if abs(more) > 1e-3 else f"1 {'+' if more > 0 else '−'} {abs(more):.3g}"
    return [f"  {'every component' if size > 1 else 'it'} is {said} times what it should be"]
