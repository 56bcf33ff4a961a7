"""A function written for NumPy, as one that JAX can trace."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.numpy_code.applying import WRITTEN_OUTSIDE, stand_ins_for
from autodiff_ref.judge.numpy_code.makers import following
from autodiff_ref.judge.numpy_code.mapping import bare, real_of
from autodiff_ref.judge.numpy_code.run import DATA, VARIES, Assumption, NotFollowedError, Run
from autodiff_ref.judge.numpy_code.standin import StandIn
from autodiff_ref.judge.state import differ, kept_as_it_was


@dataclass(frozen=True)
class Levels:
    """The real arguments of a call, and which of their leaves are data alone."""

    args: tuple[Any, ...]
    keywords: dict[str, Any]
    data: tuple[Any, ...]
    """as the arguments, with whether a leaf is data"""
    data_keywords: dict[str, Any]


def through_numpy(
    f: Callable[..., Any],
    held: Sequence[tuple[Any, Any, np.dtype]],
    levels: Levels,
    with_held: Callable[[list[Any]], Callable[..., Any]],
    *,
    thoroughly: bool = False,
    for_all_inputs: bool = False,
    data: Sequence[tuple[Any, Any, np.dtype]] = (),
) -> tuple[Callable[..., Any], list[Assumption]]:
    """f, written for NumPy, as a function of the same arguments that JAX can trace.

    Args:
        f: the function.
        held: JAX's arrays for those in its closures, with the real ones and in which dtype these are to be.
        levels: the real arguments.
        with_held: f, with other arrays in its closures.
        thoroughly: whether Python code of SciPy, scikit-learn and pandas that f reaches is followed like a user's, and so
            are arrays of its module and its objects: their methods then take stand-ins, and copies may be written into.
        for_all_inputs: whether it is traced for all inputs of these shapes, so that nothing should be taken for granted.
        data: as `held`, for arrays of its module and its objects that are inputs of the trace.

    Returns:
        The function, and what its latest call took for granted.

    Raises:
        NotFollowedError: on use, where f does what cannot be followed.
    """
    assumptions: list[Assumption] = []

    def traced(*args: Any, **keywords: Any) -> Any:
        nabla = {"nabla": keywords.pop("nabla")} if "nabla" in keywords else {}

        def called(changed: Collection[int] = ()) -> tuple[Any, Run]:
            stand_in = [standing(*each) for each in zip(args, levels.args, levels.data, strict=True)]
            named = {
                name: standing(value, levels.keywords[name], levels.data_keywords[name]) for name, value in keywords.items()
            }
            function = with_held(stand_ins_for(held, DATA))
            with (
                kept_as_it_was(f),
                following(function, thoroughly=thoroughly, for_all_inputs=for_all_inputs, changed=changed, data=data) as (
                    g,
                    run,
                ),
            ):
                returned = g(*stand_in, **named, **nabla)
                return (bare(returned), real_of(returned)), run

        (made, known), run = called()
        if run.written_outside and differ(known, called(run.written_outside)[0][1]):
            raise NotFollowedError(*WRITTEN_OUTSIDE, place=next(iter(run.written_outside.values())))
        assumptions[:] = run.assumptions
        return made

    traced.__wrapped__ = f  # pyright: ignore[reportFunctionMemberAccess] (so that its signature is f's)
    return traced, assumptions


def standing(value: Any, real: Any, data: Any) -> Any:
    """JAX's arrays as NumPy code can compute with them, given real ones for each, and which of them are data alone."""
    leaves, structure = jax.tree.flatten(value)
    reals, flags = jax.tree.leaves(real), jax.tree.leaves(data)
    made = [
        StandIn(_own(r), leaf, DATA if flag else VARIES, is_number=type(r) in (int, float, complex))
        if isinstance(leaf, jax.Array)
        else leaf
        for leaf, r, flag in zip(leaves, reals, flags, strict=True)
    ]
    return jax.tree.unflatten(structure, made)


def _own(real: Any) -> Any:
    """Values of its own; numbers stay numbers."""
    array = np.array(real)
    return array if isinstance(real, np.ndarray | jax.Array) else array[()]
