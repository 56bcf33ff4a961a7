"""What a failed assertion says: the component by name, both values, what rounding explains, the input, what to do next."""

from collections.abc import Sequence
from itertools import combinations

import jax
import numpy as np
from numpy.typing import ArrayLike

from autodiff_ref.judge.assertion.agreement import Pair
from autodiff_ref.judge.assertion.by_value import Again
from autodiff_ref.judge.assertion.calling import shapes_of
from autodiff_ref.judge.assertion.epsilon import left_out
from autodiff_ref.judge.assertion.factor import Comparisons
from autodiff_ref.judge.assertion.finding import Finding
from autodiff_ref.judge.assertion.naming import name_of
from autodiff_ref.judge.assertion.sides import Call, Side
from autodiff_ref.judge.counterexample import readable
from autodiff_ref.judge.errors import is_no_sum
from autodiff_ref.judge.program.plans import Array
from autodiff_ref.trees import Function, PyTree
from manual_grad.derivation import argument_names, label_of

MOST_SHOWN = 60
"""numbers of an input that are written out; a larger array is described"""

MOST_NOT_FINITE = 3
"""numbers of an input that are named as not finite"""


def returned_wrongly(
    value: PyTree,
    reference: Side,
    candidate: Function,
    of: Function,
    wrt: str | None,
    arrays: list[Array],
) -> str:
    """What is wrong with the form of what a candidate returned; nothing where it is a gradient of the reference's shapes."""
    shapes = reference.shapes
    name, by = name_of(candidate), f"by {wrt}" if wrt else "by the first argument"
    ours, wanted = jax.tree.flatten(value), jax.tree.flatten(shapes)
    single = len(ours[0]) == len(wanted[0]) == 1
    number = shapes_of(0.0)
    if shapes_of(value) == number != reference.variable == shapes_of(reference.value):
        return (
            f"`{name}`, the candidate, returns one number, and `{name_of(of)}` what looks like a gradient: "
            f"if they are swapped, write assert_gradients_agree({label_of(of)}, {label_of(candidate)}, …)"
        )
    if ours[1] != wanted[1] and not single:
        kind = (wanted[1].node_data() or (None,))[0]
        if (
            kind in (list, tuple)
            and all(leaf.shape == () for leaf in wanted[0])
            and np.shape(ours[0][-1]) == (len(wanted[0]),)
        ):
            return (
                f"{name} returns an array; {by.removeprefix('by ')} is a {kind.__name__} of numbers: hand in np.array of it"
            )
        return f"{name} returns {_form(value)}; the gradient {by} is {_form(shapes)}: return it in the same structure"
    stems = _stems(shapes, wrt, of)
    for (path, leaf), want, stem in zip(jax.tree_util.tree_leaves_with_path(value), wanted[0], stems, strict=True):
        place = "" if single else f" for {stem}"
        if np.shape(leaf) != want.shape:
            whose = f"the gradient {by}" if single else "that gradient"
            found = of_another_shape(leaf, want.shape, path, reference, arrays)
            if found:
                return f"{name} returns shape {np.shape(leaf)}{place}; {whose} has shape {want.shape}: {found}"
            return (
                f"{name} returns shape {np.shape(leaf)}{place}; {whose} has shape {want.shape}: "
                "return the whole gradient, of the shape of what it is differentiated by"
                f"{is_no_sum(label_of(of), reference.value, np.shape(leaf), want.shape)}"
            )
        dtype = getattr(leaf, "dtype", None) or np.asarray(leaf).dtype
        if not (jax.numpy.issubdtype(dtype, np.floating) or np.dtype(dtype).kind in "biu"):
            return f"{name} returns {dtype}{place}; a gradient is made of real numbers: return floats"
    return ""


def of_another_shape(
    leaf: ArrayLike, wanted: tuple[int, ...], path: tuple[object, ...], reference: Side, arrays: list[Array]
) -> str:
    """Which order of axes, or which sum over axes makes an array of another shape the gradient; nothing where none does.

    A parameter that is broadcast is summed for.
    """
    try:
        flat = reference.plainly(arrays)
    except NotImplementedError:
        return ""
    leaves = jax.tree_util.tree_leaves_with_path(reference.shapes)
    sizes = [int(np.prod(part.shape)) for _, part in leaves]
    k = next((k for k, (other, _) in enumerate(leaves) if other == path), 0)
    expected = flat[sum(sizes[:k]) : sum(sizes[: k + 1])].reshape(wanted)
    array = np.asarray(leaf, dtype=np.float64)
    if array.T.shape == wanted and np.allclose(array.T, expected, rtol=1e-4, atol=1e-300):
        return "it is transposed"
    for count in range(1, array.ndim + 1):
        for axes in combinations(range(array.ndim), count):
            total = array.sum(axis=axes)
            if total.size == expected.size and np.allclose(total.reshape(wanted), expected, rtol=1e-4, atol=1e-300):
                over = f"axis {axes[0]}" if count == 1 else f"axes {', '.join(map(str, axes))}"
                return f"its sum over {over} is that gradient. What is broadcast has the sum for its gradient"
    return ""


def without_ones(value: PyTree, reference: Side) -> tuple[PyTree, str]:
    """A gradient in the wanted shapes, where it has others that differ by axes of length 1; and what is said of that.

    Of a loss that is an array of one number, as yᵀ log p of columns, the gradient may have the shape of the argument alone.
    """
    ours, structure = jax.tree.flatten(value)
    wanted = jax.tree.leaves(reference.shapes)
    if len(ours) != len(wanted) or all(np.shape(a) == b.shape for a, b in zip(ours, wanted, strict=True)):
        return value, ""
    made, said = list[ArrayLike](), list[str]()
    losses = [np.shape(loss) for loss in jax.tree.leaves(reference.value)]
    of_loss = len(losses[0]) if len(losses) == 1 and all(n == 1 for n in losses[0]) else 0
    for leaf, want in zip(ours, wanted, strict=True):
        shape = np.shape(leaf)
        if shape == want.shape:
            made.append(leaf)
            continue
        if [n for n in shape if n != 1] != [n for n in want.shape if n != 1]:
            return value, ""
        made.append(np.reshape(leaf, want.shape))
        if of_loss and shape == want.shape[of_loss:]:
            continue
        said.append(f"returns shape {shape}, and the gradient has shape {want.shape}")
    return jax.tree.unflatten(structure, made), "; it ".join(said)


def _form(value: PyTree) -> str:
    leaves, structure = jax.tree.flatten(value)
    return str(jax.tree.unflatten(structure, [_Shape(np.shape(leaf)) for leaf in leaves]))


class _Shape(tuple[int, ...]):
    """A shape where a leaf stood."""

    __slots__ = ()


def failure(found: Finding, pair: Pair, candidate: Function, of: Function, wrt: str | None, again: Again) -> str:
    """The whole message; `again` calls the candidate at other inputs."""
    ours, theirs = label_of(candidate), f"∇{label_of(of)}"
    k = found.components[0]
    computed, expected = float(found.computed[k]), float(found.expected[k])
    width = max(len(ours), len(theirs), 10)
    names = component_names(pair.reference.shapes, wrt, of)
    is_a_loss = [leaf.shape for leaf in jax.tree.leaves(pair.reference.value)] == [()]
    numpy_code = pair.candidate is not None and pair.candidate.numpy_code
    rows = [
        f"{name_of(candidate)} is not ∇{name_of(of)}" + (f" by {wrt}" if wrt else ""),
        f"  in {names[k]}",
        f"    {ours:{width}}  {computed!r}",
        f"    {theirs:{width}}  {expected!r}",
        f"    {_difference(computed, expected, found, ours, width)}",
        *others(found.components[1:], names, found.open),
        f"  at {_input(pair.call, of)}",
        *_hints(found, pair, wrt, of, again),
        *_without_it(pair, label_of(of)),
        '  next: check_intermediates(loss, {"dz": dz, …}, …) names the first step of it that is wrong'
        if numpy_code and is_a_loss
        else "  next: write its steps as lines of a Derivation; verify(…) then names the first wrong one",
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
                f", where {found.allowed:.3g} is allowed: {ours} is not traced, and was called in float64, or in float32 if "
                "it knows no finer, since rounding would hide that; it is as far off, relatively, at neighbouring inputs"
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


def component_names(shapes: PyTree, wrt: str | None, of: Function) -> list[str]:
    """A name for every entry of a gradient: w11[0], w.b[2, 1]."""
    stems = _stems(shapes, wrt, of)
    return [name for stem, leaf in zip(stems, jax.tree.leaves(shapes), strict=True) for name in entries(stem, leaf.shape)]


def entries(stem: str, shape: tuple[int, ...]) -> list[str]:
    """The names of an array's entries: b[2, 1]."""
    return [stem + (f"[{', '.join(map(str, index))}]" if index else "") for index in np.ndindex(*shape)]


def _stems(shapes: PyTree, wrt: str | None, of: Function) -> list[str]:
    """A name for every array of a gradient: w11, w.b."""
    first = (argument_names(of) or ["gradient"])[:1]
    by = wrt or (first or ["gradient"])[0]
    return [by + jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(shapes)]


def others(wrong: Sequence[int], names: list[str], left_open: Sequence[int] = ()) -> list[str]:
    """Which components are wrong besides the first, by their places among all; and of which that is not told."""
    total = len(names)
    if wrong:
        return [f"  and in {len(wrong)} more of {total} components: {_listed(wrong, names)}"]
    if left_open:
        why = f"of {_listed(left_open, names)} that is not told: rounded constants or inputs may explain a gap"
        right = total - 1 - len(left_open)
        return [f"  {right} of {total} components agree{'s' * (right == 1)}; {why}"]
    return [f"  the other {total - 1} of {total} components agree"] if total > 1 else []


def _listed(components: Sequence[int], names: list[str]) -> str:
    return ", ".join(names[k] for k in components[:5]) + (", …" if len(components) > 5 else "")


def _input(call: Call, of: Function) -> str:
    return "  ".join(f"{name}={_described(leaf)}" for name, leaf in zip(call.names(of), call.leaves, strict=True))


def at_this_input(call: Call, of: Function) -> str:
    """Where it is that nothing can be said, and which numbers handed in are not finite there."""
    found = list[str]()
    for name, leaf in zip(call.names(of), call.leaves, strict=True):
        array = np.asarray(leaf)
        for index in np.argwhere(~np.isfinite(array)) if array.dtype.kind == "f" else ():
            found.append(f"{name}{list(map(int, index)) or ''} is {array[tuple(index)]:g}")
    if not found:
        return "at this input"
    more = len(found) - MOST_NOT_FINITE
    return f"at this input, where {', '.join(found[:MOST_NOT_FINITE])}{f', and {more} more are not finite' * (more > 0)}"


def _described(leaf: ArrayLike) -> str:
    array = np.asarray(leaf)
    if array.dtype.kind not in "fiubV":
        return repr(leaf)
    if array.size <= MOST_SHOWN:
        return readable((array.astype(np.float64),), ("",))[1:]
    return f"<{array.dtype} {array.shape}, from {array.min():.6g} to {array.max():.6g}>"


def _hints(found: Finding, pair: Pair, wrt: str | None, of: Function, again: Again) -> list[str]:
    """What explains it: for each parameter that is wrong a factor, or that it is transposed; or an ε that is left out."""
    seen = Comparisons.of(found, pair.reference, pair.of_arrays, len(pair.call.arrays), again)
    leaves = [leaf.shape for leaf in jax.tree.leaves(pair.reference.shapes)]
    stems = _stems(pair.reference.shapes, wrt, of)
    ends = np.cumsum([int(np.prod(shape)) for shape in leaves]).tolist()
    wrong, left_open, rows, right = set(found.components), set(found.open), list[str](), list[str]()
    for stem, shape, end in zip(stems, leaves, ends, strict=True):
        part = slice(end - int(np.prod(shape)), end)
        if wrong.isdisjoint(range(part.start, part.stop)):
            right += [stem] if left_open.isdisjoint(range(part.start, part.stop)) else []
            continue
        size = part.stop - part.start
        whole = ("every component" if size > 1 else "it") if len(leaves) == 1 else stem
        if (factor := seen.factor(part)) is not None:
            rows.append(f"  {whole} is {_factor(*factor, pair.call, of)}")
        elif seen.is_transposed(part, shape):
            rows.append(f"  {'it' if len(leaves) == 1 else stem} is transposed")
        elif len(leaves) > 1:
            rows.append(f"  {stem} is wrong")
    if len(leaves) > 1 and right:
        rows.append(f"  right: {', '.join(right)}")
    if pair.candidate is not None and not any(" times " in row or " is 0" in row for row in rows):
        epsilon = left_out(pair.reference, pair.of_arrays, pair.candidate, pair.own_arrays)
        if epsilon is not None:
            rows.append(f"  equal if {epsilon[0]:g}{f' at {epsilon[1]}' if epsilon[1] else ''} were 0")
    return rows


def _without_it(pair: Pair, of: str) -> list[str]:
    """That the loss takes a branch in which it does not depend on what is differentiated by."""
    reference = pair.reference
    if reference.of is None or not reference.assumptions:
        return []
    if any(k in reference.of.depends_on for k, fixed in enumerate(reference.labels) if not fixed):
        return []
    return [
        f"  after what {of} decides at {reference.assumptions[-1].place}, it does not depend on what is differentiated by"
    ]


def _factor(times: float, more: float, call: Call, of: Function) -> str:
    """The factor that explains it, to so many digits that it is not 1; and which size it comes from."""
    if abs(times) < 1e-12:
        return "0"
    said = f"{times:.7g}" if abs(more) > 1e-3 else f"1 {'+' if more > 0 else '−'} {abs(more):.3g}"
    return f"{said} times what it should be{_size(abs(times), call, of)}"


def _size(times: float, call: Call, of: Function) -> str:
    """Where a factor n or 1/n comes from: n is the length of an argument that is no parameter of one, or of any."""
    names = argument_names(of) or []
    for argument, value in reversed(list(enumerate(call.args))):
        for leaf in jax.tree.leaves(value):
            for axis, size in enumerate(np.shape(leaf)):
                if size > 2 and abs(times * size - 1) < 1e-6:
                    return f": 1/{size}, and {size} is the length of {_named(names, argument)} along axis {axis}"
                if size > 2 and abs(times - size) < 1e-6 * size:
                    return f": {size} is the length of {_named(names, argument)} along axis {axis}"
    return ""


def _named(names: list[str], k: int) -> str:
    return names[k] if k < len(names) else f"argument {k}"
