"""Whether what was written down is what PyTorch computes: asked at the input and at neighbours of it.

A rule that is wrong shows at the input itself. What has left PyTorch unseen is a constant in the trace, and shows at the
neighbours. Where either shows nothing is said of the gradient, and the first operation that differs is named.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.floats.table import bounded
from autodiff_ref.judge.torch_code.program import Subject, Written, as_arrays

NOT_FOLLOWED = "not followed ({})"

CANCELS = (
    "at {} all digits cancel: what is left are rounding errors, and what becomes of them is not followed. "
    "Choose an input at which it is not 0"
)

NUDGES = (2.0**-12, 2.0**-20, 2.0**-30)
"""how far neighbours are, relative: nearer ones where the trace takes other branches further off"""

NEIGHBOURS = 2

CLOSE = 1e-7
"""of the largest entry: how far PyTorch may be off in float64 beside rounding bounds"""

CLOSE_IN_FLOAT32 = 1e-3
"""the same where something is rounded to float32 or less on the way"""


def not_followed(subject: Subject, dtype: Any, cotangents: list[np.ndarray]) -> str:
    """Why nothing is said, as the operation that was written down wrongly; nothing where all is followed."""
    written = subject.written(dtype, cotangents)
    values = _Values(written)
    by, data = (
        [x.astype(dtype) if dtype is not None and x.dtype.kind in "fV" else x for x in part] for part in subject.arrays
    )
    checked = 0
    for near in _neighbours(by):
        if checked > NEIGHBOURS:
            break
        flat = [*near, *data, *[c.astype(by[0].dtype) if dtype is not None else c for c in cotangents]]
        found, errors = values(flat)
        if not _holds(written, found):
            continue
        outs = subject.value_of(near, data, apart=True)
        grads = as_arrays(subject.run(near, data, cotangents, apart=True).grads, near)
        for k, real in enumerate([*outs, *grads]):
            if not _alike(found[k], real, errors[k], values.close):
                return _first_wrong(subject, dtype, cotangents, near, data, values.close)
        checked += 1
    return (
        "" if checked > 1 else NOT_FOLLOWED.format("a branch: it takes another at every neighbouring input that was tried")
    )


ROUNDED = 2.0**-42
"""of the largest entry: what rounding may do on the way to an operation, where it has no bounds"""

ROUNDED_IN_FLOAT32 = 2.0**-18
"""the same where something is rounded to float32 or less on the way"""


@dataclass(frozen=True)
class Inexact:
    """An operation of PyTorch whose own result is further off than rounding explains."""

    name: str
    off: float
    """relative to the largest entry of its result"""


def inexact_operation(subject: Subject, dtype: Any, cotangents: list[np.ndarray]) -> Inexact | None:
    """The first operation that PyTorch itself computes to fewer digits than its dtype has, as a series cut short."""
    written = subject.written(dtype, cotangents, keep=True)
    by, data = subject.arrays
    flat = [np.asarray(x, aval.dtype) for x, aval in zip([*by, *data, *cotangents], written.closed.in_avals, strict=True)]
    values, errors = _Values(written)(flat)
    steps = list(zip(written.names, written.kept, strict=True))
    first = len(values) - len(steps)
    for ((name, _), real), value, error in zip(steps, values[first:], errors[first:], strict=True):
        gap = np.abs(np.asarray(value, np.float64) - np.asarray(real, np.float64))
        beyond = np.where(np.isfinite(gap), gap - 4 * np.where(np.isfinite(error), error, np.inf), 0.0)
        scale = float(np.max(np.abs(value), initial=0.0))
        if np.max(beyond, initial=0.0) > ROUNDED * scale:
            return Inexact(name, float(np.max(beyond)) / scale)
    return None


FEWEST_STEPS = 4
"""of an iteration"""

NEARER = 2.0**-10
"""times what its first step changes, the last one of an iteration changes that comes to a solution"""


def last_change(subject: Subject, dtype: Any, cotangents: list[np.ndarray]) -> float | None:
    """By what share the last step of an iteration in the function changed its result; None where it has no such."""
    written = subject.written(dtype, cotangents, keep=True)
    at: dict[tuple[str, str], list[np.ndarray]] = {}
    for step, value in zip(written.names[: written.own_steps], written.kept, strict=False):
        at.setdefault(step, []).append(np.asarray(value, np.float64))
    found = [_last_change(values, every) for values in at.values() for every in range(1, len(values) // FEWEST_STEPS + 1)]
    return min((change for change in found if change is not None), default=None)


def _last_change(values: list[np.ndarray], every: int) -> float | None:
    """The same of one operation, of which a step has so many."""
    values = values[-1::-every][::-1]
    if len({value.shape for value in values}) > 1 or not all(np.all(np.isfinite(value)) for value in values):
        return None
    first, last = (np.max(np.abs(values[k + 1] - values[k]), initial=0.0) for k in (0, -2))
    size = np.max(np.abs(values[-1]), initial=0.0)
    return float(last / size) if size > 0 and last < NEARER * first else None


class _Values:
    """What was written down, evaluated in floats, with rounding bounds where there are any."""

    def __init__(self, written: Written) -> None:
        self._closed = written.closed
        kinds = set(map(str, written.dtypes))
        self.close = CLOSE_IN_FLOAT32 if kinds & {"float32", "float16", "bfloat16"} else CLOSE
        self._compiled = jax.jit(core.jaxpr_as_fun(written.closed))
        try:
            self._bounded = bounded(written.closed)
        except NotImplementedError:  # a primitive has none
            self._bounded = None

    def __call__(self, flat: list[np.ndarray]) -> tuple[list[np.ndarray], list[Any]]:
        """(results, bounds of their errors)"""
        given = [np.asarray(x, aval.dtype) for x, aval in zip(flat, self._closed.in_avals, strict=True)]
        if self._bounded is not None:
            found = self._bounded(*[x[None] for x in given])
            return [each.value[0] for each in found], [each.error[0] for each in found]
        with jax.enable_x64(True):
            made = [np.asarray(x) for x in self._compiled(*given)]
        return made, [0.0] * len(made)


def _neighbours(by: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    yield by
    rng = np.random.default_rng(0)
    for nudge in NUDGES:
        for _ in range(NEIGHBOURS):
            yield [np.asarray(x + nudge * (np.abs(x) + 2.0**-6) * rng.uniform(-1, 1, x.shape), x.dtype) for x in by]


def _holds(written: Written, found: list[np.ndarray]) -> bool:
    """Whether what was taken for granted is so."""
    first = written.outs + written.grads
    return all(
        np.array_equal(np.asarray(a), b.value)
        for a, b in zip(found[first : first + len(written.assumed)], written.assumed, strict=True)
    )


def _alike(ours: np.ndarray, real: np.ndarray, error: Any, close: float) -> bool:
    a, b = np.asarray(ours, np.float64), np.asarray(real, np.float64)
    if a.shape != b.shape:
        return False
    with np.errstate(all="ignore"):
        finite = np.isfinite(b)
        scale = np.max(np.abs(b[finite]), initial=0.0)
        bound = np.where(np.isfinite(error), error, np.inf) if close == CLOSE else error
        slack = close * scale + 4 * np.where(np.isfinite(bound), bound, 0.0)
        return bool(np.all((np.abs(a - b) <= slack) | ~finite | (a == b) | ~np.isfinite(a)))


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(np.asarray(a, np.float64) - b), initial=0.0)) if np.shape(a) == np.shape(b) else np.inf


def _first_wrong(
    subject: Subject,
    dtype: Any,
    cotangents: list[np.ndarray],
    near: list[np.ndarray],
    data: list[np.ndarray],
    close: float,
) -> str:
    """The first operation whose result differs at the neighbour, and why."""
    written = subject.written(dtype, cotangents, keep=True)
    there = Subject(subject.func, subject.inputs, subject.by)
    moved = there.given(near, data, apart=True)
    for k in subject.by:
        there.inputs[k] = moved[k].detach()
    beside = there.written(dtype, cotangents, keep=True)
    if [name for name, _ in beside.names] != [name for name, _ in written.names]:
        return NOT_FOLLOWED.format("a branch: it takes another at a neighbouring input, unseen")
    flat = [*near, *data, *cotangents]
    found, _ = _Values(written)(flat)
    found = found[len(found) - len(written.names) :]
    largest = max((float(np.max(np.abs(x), initial=0.0)) for x in near), default=0.0)
    noise = ROUNDED if close == CLOSE else ROUNDED_IN_FLOAT32
    for (name, place), ours, real in zip(written.names, found, beside.kept, strict=True):
        if not _alike(ours, real, 0.0, close):
            operation = f"{name}{f' at {place}' if place else ''}"
            if _gap(ours, real) <= noise * largest:
                return CANCELS.format(operation)
            return NOT_FOLLOWED.format(f"{operation}: what it returns depends on numbers that have left PyTorch")
        largest = max(largest, float(np.max(np.abs(real[np.isfinite(real)]), initial=0.0)))
    return NOT_FOLLOWED.format("what leaves PyTorch, as .numpy(), .data_ptr() or state that it keeps")
