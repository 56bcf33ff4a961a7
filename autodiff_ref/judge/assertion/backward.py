"""Backward passes as courses write them: `out, cache = forward(x, w, b)`, then `dx, dw, db = backward(dout, cache)`.

Backward is linear in the upstream gradient: `forward` times a fixed array of numbers, summed, has the gradient that
`backward` returns for these. So each is judged as a gradient, at upstream gradients that are drawn.
"""

import re
from contextlib import nullcontext
from typing import cast

import jax
import numpy as np

from autodiff_ref.judge.assertion.asserting import assert_gradients_agree
from autodiff_ref.judge.assertion.complex_arguments import has_complex
from autodiff_ref.judge.assertion.sides import Call
from autodiff_ref.judge.assertion.undecided import UndecidedError
from autodiff_ref.judge.state import kept_as_it_was
from autodiff_ref.trees import Arguments, Function, Keywords, PyTree
from manual_grad.derivation import argument_names, label_of

UPSTREAM = 2
"""upstream gradients that are drawn"""

SEED = 20_111
"""of them: not one that a test's own arguments are drawn with, which would make an upstream gradient equal to one of them"""


def assert_backward_agrees(forward: Function, backward: Function, *args: PyTree, **keywords: PyTree) -> None:
    """backward(dout, cache) = the gradients of forward(*args) by its arguments, for any upstream gradient dout.

    Args:
        forward: returns (out, cache), or several outputs and a cache, or only an output.
        backward: takes the upstream gradient of each output, and the cache (or the arguments, if there is no cache). It
            returns the gradients by the arguments that are arrays of floats, in order; it may leave out the last ones.
            Or it returns a dict by name: `w` or `dw`. None stands for a gradient that it does not compute.
        *args: forward's arguments. Gradients are by arrays of floats, and not by integers or other things.
        **keywords: further arguments of forward: settings that are not differentiated by.

    Raises:
        AssertionError: a gradient is wrong, which is named with the argument, or has another shape.
        UndecidedError: nothing can be said at this input.
        TypeError: the two cannot be called so.

    Example:
        >>> import numpy as np
        >>> def forward(x, w): return x @ w, (x, w)
        >>> def backward(dout, cache):
        ...     x, w = cache
        ...     return dout @ w.T, x.T @ dout
        >>> assert_backward_agrees(forward, backward, np.eye(2), np.array([[1.0], [-0.5]]))
    """
    __tracebackhide__ = True
    for name, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise TypeError(f"`{name}` must be a function, got {function!r}: pass the function, not its value")
    wide = jax.enable_x64(True) if Call.of(args, keywords).wide else nullcontext()
    with kept_as_it_was(forward), kept_as_it_was(backward), wide:
        outs, cached = _outputs(forward(*_copies(args), **keywords))
        ones = [np.ones_like(np.asarray(out), dtype=np.result_type(np.asarray(out).dtype, np.float32)) for out in outs]
        returned = backward(*ones, *([cached[0]] if cached else _copies(args)))
    if has_complex(args, outs):
        raise TypeError("complex arguments and outputs are not judged here: hand in and return real and imaginary part")
    names = _names(forward, len(args))
    chosen = _chosen(returned, args, names, backward)
    rng = np.random.default_rng(SEED)
    for _ in range(UPSTREAM):
        upstream = [rng.standard_normal(np.shape(out)).astype(one.dtype) for out, one in zip(outs, ones, strict=True)]
        _assert_at(forward, backward, args, keywords, upstream, chosen, names)


GradientKey = str | int | None
"""where in what backward returns a gradient stands; None where it is all of it"""


def _assert_at(
    forward: Function,
    backward: Function,
    args: Arguments,
    keywords: Keywords,
    upstream: list[np.ndarray],
    chosen: dict[int, GradientKey],
    names: list[str],
) -> None:
    __tracebackhide__ = True

    def filled(by: Keywords, others: list[PyTree]) -> list[PyTree]:
        rest = iter(others)
        return [by[names[k]] if k in chosen else next(rest) for k in range(len(args))]

    def of(by: Keywords, upstream: list[np.ndarray], others: list[PyTree]) -> PyTree:
        outs, _ = _outputs(forward(*filled(by, others), **keywords))
        return sum((out * d).sum() for out, d in zip(outs, upstream, strict=True))

    def gradients(by: Keywords, upstream: list[np.ndarray], others: list[PyTree]) -> PyTree:
        given = filled(by, others)
        _, cached = _outputs(forward(*given, **keywords))
        returned = backward(*upstream, *([cached[0]] if cached else given))
        return {names[k]: _picked(returned, key) for k, key in chosen.items()}

    of.__name__, gradients.__name__ = label_of(forward), label_of(backward)
    by = {names[k]: args[k] for k in chosen}
    others = [arg for k, arg in enumerate(args) if k not in chosen]
    try:
        assert_gradients_agree(gradients, of, by, upstream, others)
    except (AssertionError, UndecidedError, TypeError) as error:
        raise type(error)(renamed(str(error))) from None


def renamed(said: str) -> str:
    """The arguments by their own names: w[0, 1] for by['w'][0, 1]."""
    return re.sub(r"(?:\bby)?\['(\w+)'\]", r"\1", said).replace(" by the first argument", "")


def _outputs(returned: PyTree) -> tuple[list[PyTree], list[PyTree]]:
    """(outputs, [cache] or nothing) of what forward returned."""
    if not isinstance(returned, tuple):
        return [returned], []
    *outs, cache = cast("tuple[PyTree, ...]", returned)
    if not outs:
        raise TypeError("forward returns a tuple of one: it must be (out, cache)")
    return outs, [cache]


def _copies(args: Arguments) -> Arguments:
    return jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, args)


def _names(forward: Function, count: int) -> list[str]:
    found = argument_names(forward) or []
    return [found[k] if k < len(found) else f"argument_{k}" for k in range(count)]


def _is_float(arg: object) -> bool:
    return isinstance(arg, float | np.ndarray | np.generic | jax.Array) and np.asarray(arg).dtype.kind == "f"


def _chosen(returned: PyTree, args: Arguments, names: list[str], backward: Function) -> dict[int, GradientKey]:
    """Which argument each gradient is by: its place, and its key in what backward returns.

    Raises:
        AssertionError: there are more gradients than arguments, or one is by no argument.
    """
    floats = [k for k, arg in enumerate(args) if _is_float(arg)]
    if isinstance(returned, dict):
        found: dict[int, GradientKey] = {}
        for key in cast("dict[str, PyTree]", returned):
            plain = key if key in names else key.removeprefix("d").removeprefix("_")
            if plain not in names:
                raise AssertionError(
                    f"{label_of(backward)} returns a gradient {key!r}, and forward has the arguments {', '.join(names)}: "
                    "name it after one of them, as it is or with a d in front"
                )
            found[names.index(plain)] = key
        return dict(sorted(found.items()))
    several = isinstance(returned, tuple | list)
    gradients = list(cast("list[PyTree]", returned)) if several else [returned]
    if len(gradients) > len(floats):
        raise AssertionError(
            f"{label_of(backward)} returns {len(gradients)} gradients, and forward has {len(floats)} arguments of floats: "
            f"{', '.join(names[k] for k in floats)}"
        )
    return {
        place: k if several else None
        for k, (place, gradient) in enumerate(zip(floats, gradients, strict=False))
        if gradient is not None
    }


def _picked(returned: PyTree, key: GradientKey) -> PyTree:
    return returned if key is None else returned[key]
