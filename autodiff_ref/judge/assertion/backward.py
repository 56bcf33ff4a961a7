"""Backward passes as courses write them: `out, cache = forward(x, w, b)`, then `dx, dw, db = backward(dout, cache)`.

Backward is linear in the upstream gradient: `forward` times a fixed array of numbers, summed, has the gradient that
`backward` returns for these. So each is judged as a gradient, at upstream gradients that are drawn.
"""

import inspect
import math
import re
from contextlib import nullcontext
from typing import NamedTuple, cast

import jax
import numpy as np

from autodiff_ref.judge.assertion.asserting import assert_gradients_agree
from autodiff_ref.judge.assertion.calling import check_arrays
from autodiff_ref.judge.assertion.complex_arguments import has_complex
from autodiff_ref.judge.assertion.sides import Call
from autodiff_ref.judge.assertion.undecided import UndecidedError, require_the_same_again
from autodiff_ref.judge.state import differ, kept_as_it_was
from autodiff_ref.trees import Arguments, Function, Keywords, PyTree
from manual_grad.derivation import argument_names, label_of

UPSTREAM = 2
"""upstream gradients that are drawn"""

SEED = 20_111
"""of them: not one that a test's own arguments are drawn with, which would make an upstream gradient equal to one of them"""


def assert_backward_agrees(forward: Function, backward: Function, *args: PyTree, **keywords: PyTree) -> None:
    """backward(dout, cache) = the gradients of forward(*args) by its arguments, for any upstream gradient dout.

    Args:
        forward: returns (out, cache), or several outputs and a cache, or only an output. An output may be a tuple or a dict
            of arrays.
        backward: takes the upstream gradient of each output, in its form, and the cache. Without a cache it takes the
            arguments, or nothing more, as a layer that kept them. It returns the gradients by all arguments that are floats
            or arrays of floats, in order. Or it returns a dict by name: `w` or `dw`. None stands for a gradient that it does
            not compute.
        *args: forward's arguments. Gradients are by floats, and not by integers or other things.
        **keywords: further arguments of forward: settings that are not differentiated by.

    Raises:
        AssertionError: a gradient is wrong, which is named with the argument, or has another shape, or is missing.
        UndecidedError: nothing can be said at this input.
        TypeError: the two cannot be called so, as where they are swapped.

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
    check_arrays(forward, args, keywords)
    wide = jax.enable_x64(True) if Call.of(args, keywords).wide else nullcontext()
    with kept_as_it_was(forward), kept_as_it_was(backward), wide:
        try:
            likeliest, *others = _calls(forward, backward, args, keywords)
        except Exception as error:
            if not _are_swapped(forward, backward, args, keywords):
                raise
            first, second = label_of(forward), label_of(backward)
            raise TypeError(
                f"`{first}` stands first and looks like the backward pass, and `{second}` like the forward pass: "
                f"write assert_backward_agrees({second}, {first}, …)"
            ) from error
    try:
        _assert_call(forward, backward, args, keywords, likeliest)
    except (AssertionError, UndecidedError, TypeError):
        if not any(_is_right(forward, backward, args, keywords, call) for call in others):
            raise


class _Call(NamedTuple):
    """How forward and backward fit together, and what they gave for ones as upstream gradients."""

    has_cache: bool
    """whether the last of several things that forward returns is no output, but what backward needs"""
    outs: list[PyTree]
    ones: list[PyTree]
    returned: PyTree


def _calls(forward: Function, backward: Function, args: Arguments, keywords: Keywords) -> list[_Call]:
    """The ways to call the two, the likeliest first: an (h, c) may be two outputs, or one and what was kept of it."""
    found, refused = list[_Call](), list[Exception]()
    for has_cache in _may_have_cache(forward(*_copies(args), **keywords)):
        try:
            outs, cache = _outputs(forward(*_copies(args), **keywords), has_cache)
            ones = [jax.tree.map(_ones, out, is_leaf=_is_list_of_numbers) for out in outs]
            returned = backward(*ones, *_beside(backward, len(outs), cache, _copies(args)))
            found.append(_Call(has_cache, outs, ones, returned))
        except Exception as error:
            refused.append(error)
    if not found:
        raise refused[0]
    if len(found) == 2 and _is_upstream(argument_names(backward), len(found[1].outs)):
        # where the value of the last is not used, its upstream gradient was forgotten
        return found[1:] if not differ(found[0].returned, found[1].returned) else found[::-1]
    return found


def _may_have_cache(returned: PyTree) -> list[bool]:
    """Whether the last of several things that forward returned may be a cache; where it is made of floats, or an output."""
    if not isinstance(returned, tuple):
        return [False]
    leaves = jax.tree.leaves(cast("tuple[PyTree, ...]", returned)[-1])
    return [True, False] if leaves and all(map(_is_float, leaves)) else [True]


def _is_upstream(names: list[str] | None, place: int) -> bool:
    """Whether backward names the last of so many arguments like an upstream gradient: dc, dcell, grad_c."""
    return names is not None and len(names) >= place and bool(re.match(r"d(?!ata|ict)|grad", names[place - 1]))


def _assert_call(forward: Function, backward: Function, args: Arguments, keywords: Keywords, call: _Call) -> None:
    __tracebackhide__ = True
    if has_complex(args, call.outs):
        raise TypeError("complex arguments and outputs are not judged here: hand in and return real and imaginary part")
    names = _names(forward, len(args))
    chosen = _chosen(call.returned, args, names, backward)
    rng = np.random.default_rng(SEED)
    for _ in range(UPSTREAM):
        upstream = jax.tree.map(lambda one: rng.standard_normal(one.shape).astype(one.dtype), call.ones)
        _assert_at(forward, backward, args, keywords, upstream, chosen, names, call.has_cache)


def _is_right(forward: Function, backward: Function, args: Arguments, keywords: Keywords, call: _Call) -> bool:
    try:
        _assert_call(forward, backward, args, keywords, call)
    except (AssertionError, UndecidedError, TypeError):
        return False
    return True


def _ones(out: PyTree) -> np.ndarray:
    return np.ones_like(np.asarray(out), dtype=np.result_type(np.asarray(out).dtype, np.float32))


def _is_list_of_numbers(out: PyTree) -> bool:
    """Whether an output is a list that stands for one array."""
    parts = cast("list[PyTree]", out) if isinstance(out, list) else [out]
    return isinstance(out, list) and all(isinstance(part, int | float) or getattr(part, "ndim", 1) == 0 for part in parts)


def _arrays(outs: list[PyTree]) -> list[PyTree]:
    return [leaf for out in outs for leaf in jax.tree.leaves(out, is_leaf=_is_list_of_numbers)]


def _beside(backward: Function, upstream: int, cached: list[PyTree], args: Arguments | list[PyTree]) -> list[PyTree]:
    """What backward takes beside the upstream gradients: the cache or the arguments; nothing, as a layer that kept them."""
    least, most = _counts(backward)
    return [] if (most if cached else least) <= upstream else cached or [*args]


def _counts(f: Function) -> tuple[float, float]:
    """(the least, the largest) number of arguments that f takes in order, without names."""
    names = argument_names(f)
    if names is None:
        return math.inf, math.inf
    parameters = inspect.signature(f).parameters
    return sum(parameters[name].default is inspect.Parameter.empty for name in names), len(names)


def _are_swapped(forward: Function, backward: Function, args: Arguments, keywords: Keywords) -> bool:
    """Whether two functions that cannot be called as they stand can be called the other way round."""
    try:
        _calls(backward, forward, args, keywords)
    except Exception:
        return False
    return True


GradientKey = str | int | None
"""where in what backward returns a gradient stands; None where it is all of it"""


def _assert_at(
    forward: Function,
    backward: Function,
    args: Arguments,
    keywords: Keywords,
    upstream: list[PyTree],
    chosen: dict[int, GradientKey],
    names: list[str],
    has_cache: bool,
) -> None:
    __tracebackhide__ = True

    def filled(by: Keywords, others: list[PyTree]) -> list[PyTree]:
        rest = iter(others)
        return [by[names[k]] if k in chosen else next(rest) for k in range(len(args))]

    def of(by: Keywords, upstream: list[PyTree], others: list[PyTree]) -> PyTree:
        outs, _ = _outputs(forward(*filled(by, others), **keywords), has_cache)
        return sum((out * d).sum() for out, d in zip(_arrays(outs), jax.tree.leaves(upstream), strict=True))

    def gradients(by: Keywords, upstream: list[PyTree], others: list[PyTree]) -> PyTree:
        given = filled(by, others)
        outs, cached = _outputs(forward(*given, **keywords), has_cache)
        returned = backward(*upstream, *_beside(backward, len(outs), cached, given))
        return {names[k]: _picked(returned, key) for k, key in chosen.items()}

    of.__name__, gradients.__name__ = label_of(forward), label_of(backward)
    by = {names[k]: args[k] for k in chosen}
    others = [arg for k, arg in enumerate(args) if k not in chosen]
    try:
        assert_gradients_agree(gradients, of, by, upstream, others)
    except (AssertionError, UndecidedError, TypeError) as error:
        with jax.enable_x64(True) if Call.of(args, keywords).wide else nullcontext(), kept_as_it_was(forward):
            first, second = (_arrays(_outputs(forward(*_copies(args), **keywords), has_cache)[0]) for _ in range(2))
        require_the_same_again(first, second, forward, label_of(backward))
        raise type(error)(renamed(str(error))) from None


def renamed(said: str) -> str:
    """The arguments by their own names: w[0, 1] for by['w'][0, 1]."""
    return re.sub(r"(?:\bby)?\['(\w+)'\]", r"\1", said).replace(" by the first argument", "")


def _outputs(returned: PyTree, has_cache: bool) -> tuple[list[PyTree], list[PyTree]]:
    """(outputs, [cache] or nothing) of what forward returned."""
    if not isinstance(returned, tuple):
        return [returned], []
    outs = [*cast("tuple[PyTree, ...]", returned)]
    if len(outs) == 1:
        raise TypeError("forward returns a tuple of one: it must be (out, cache)")
    return (outs[:-1], outs[-1:]) if has_cache else (outs, [])


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
        AssertionError: there are more gradients than arguments, or fewer, or one is by no argument.
    """
    floats = [k for k, arg in enumerate(args) if _is_float(arg)]
    label, has = label_of(backward), f"forward has {_so_many(len(floats), 'argument')} of floats"
    has += ": " * bool(floats) + ", ".join(names[k] for k in floats)
    if isinstance(returned, dict):
        found: dict[int, GradientKey] = {}
        for key in cast("dict[str, PyTree]", returned):
            plain = key if key in names else key.removeprefix("d").removeprefix("_")
            if plain not in names:
                raise AssertionError(
                    f"{label} returns a gradient {key!r}, and forward has the arguments {', '.join(names)}: "
                    "name it after one of them, as it is or with a d in front"
                )
            found[names.index(plain)] = key
    else:
        several = isinstance(returned, tuple | list)
        count = len(cast("list[PyTree]", returned)) if several else 1
        if several and count == len(args) and all(k in floats or returned[k] is None for k in range(count)):
            found = {k: k for k in floats}
        elif count > len(floats):
            whole = [names[k] for k, arg in enumerate(args) if k not in floats and isinstance(arg, np.ndarray | jax.Array)]
            hint = (
                f". An array of whole numbers has no gradient: return None in its place, or hand in {whole[0]}.astype(float)"
                if whole
                else ""
            )
            raise AssertionError(f"{label} returns {_so_many(count, 'gradient')}, and {has}{hint}")
        else:
            found = {place: k if several else None for k, place in enumerate(floats[:count])}
    missing = [names[k] for k in floats if k not in found]
    if missing:
        raise AssertionError(
            f"{label} returns {_so_many(len(found), 'gradient')}, and {has}. There is none by {', '.join(missing)}: "
            f"return it, or None in its place where it is not to be judged. A setting is handed in by name: {missing[-1]}=…"
        )
    chosen = {place: key for place, key in sorted(found.items()) if _picked(returned, key) is not None}
    if not chosen:
        raise AssertionError(f"{label} returns None alone, and {has}: nothing is left to be judged")
    return chosen


def _so_many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _picked(returned: PyTree, key: GradientKey) -> PyTree:
    return returned if key is None else returned[key]
