"""Whether a wrong gradient is the right one times a factor: the most frequent kind of mistake, told by other inputs.

A failing input is small and all alike, with one component or equal ones: there every mistake is a factor. So the candidate
is called at other inputs of the same shapes, made from this one, and only a factor that is the same at all of them is named.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from autodiff_ref.judge.assertion.by_value import Again
from autodiff_ref.judge.assertion.computed import Computed
from autodiff_ref.judge.assertion.exactly import MOST, Gradient, floats, settled
from autodiff_ref.judge.assertion.finding import Finding
from autodiff_ref.judge.assertion.sides import Side
from autodiff_ref.judge.program.plans import Array

OTHERS = 4
"""inputs at which a factor is confirmed, of which two at least must have a gradient"""

QUICK = 100_000
"""operations that balls do at each of them; beyond, floats with bounds"""

ROUNDING = 2.0**-46
"""how far ratios of one factor may be apart in float64, besides a millionth of what they say; a 16th of what is named"""

FLOAT32 = 2.0**-16
"""the same at the failing input, which may be in float32"""


@dataclass(frozen=True)
class Comparisons:
    """What the candidate returned and what it should have, at the failing input and at others of the same shapes."""

    here: tuple[Array, Array]
    others: list[tuple[Array, Array]]

    @classmethod
    def of(cls, found: Finding, reference: Side, arrays: Sequence[Array], given: int, again: Again) -> "Comparisons":
        """Calls the candidate at other inputs.

        Args:
            found: what differs at this input.
            reference: the gradient by JAX.
            arrays: what it is computed from: of the call, and of closures.
            given: how many are of the call.
            again: calls the candidate at other arrays, in float64.
        """
        others: list[tuple[Array, Array]] = []
        for other in islice(others_of(arrays[:given], reference.labels), 2 if reference.work > MOST / 10 else OTHERS):
            value = again(other)
            expected = None if value is None else expected_at(reference, [*other, *_wide(arrays[given:])])
            if value is None or expected is None:
                continue
            computed = Computed.of(value).values.astype(np.float64)
            if computed.shape == expected.shape and np.all(np.isfinite(computed)) and np.all(np.isfinite(expected)):
                others.append((computed, expected))
        return cls((np.asarray(found.computed, dtype=np.float64), np.asarray(found.expected)), others)

    def factor(self, part: slice) -> tuple[float, float] | None:
        """(c, c − 1), where a part of the candidate is c times the gradient, here and elsewhere; None where it is not."""
        here = _excess(self.here[0][part], self.here[1][part])
        if here is None or not _is_one(here, 1e-3, FLOAT32):
            return None
        seen: list[Array] = []
        for computed, expected in self.others:
            if not np.any(expected[part]):
                continue
            excess = _excess(computed[part], expected[part])
            if excess is None:
                return None
            seen.append(excess)
        if len(seen) < 2:
            return None
        every = np.concatenate(seen)
        middle = float(np.median(every))
        if (
            not _is_one(every, 1e-6, ROUNDING)
            or abs(middle) < 16 * ROUNDING
            or not _is_one(np.append(here, middle), 1e-3, FLOAT32)
        ):
            return None
        return 1 + middle, middle

    def is_transposed(self, part: slice, shape: tuple[int, ...]) -> bool:
        """Whether a part of the candidate is the transposed of what it should be, here and elsewhere."""
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2 or not self.others:
            return False
        pairs = [(a[part].reshape(shape), b[part].reshape(shape)) for a, b in (self.here, *self.others)]
        return all(_is_close(a.T, b) for a, b in pairs) and not all(_is_close(a, b) for a, b in pairs)


def _is_close(computed: Array, expected: Array) -> bool:
    return bool(np.all(np.abs(computed - expected) <= 1e-5 * np.max(np.abs(expected), initial=0.0)))


def _excess(computed: Array, expected: Array) -> Array | None:
    """c − 1 by component; None where the one is 0 and the other is not, or is no number."""
    some = (expected != 0) & np.isfinite(computed) & np.isfinite(expected)
    if not np.any(some) or np.any(computed[~some] != 0):
        return None
    return (computed[some] - expected[some]) / expected[some]


def _is_one(excess: Array, share: float, rounding: float) -> bool:
    """Whether they are all one number, up to a share of the smaller of c and c − 1, and rounding."""
    middle = float(np.median(excess))
    return bool(np.all(np.abs(excess - middle) <= share * min(abs(middle), abs(1 + middle)) + rounding))


def expected_at(reference: Side, arrays: list[Array]) -> Array | None:
    """The gradient at other arrays; None where it has no value."""
    if reference.work > QUICK:
        try:
            return reference.bounded(arrays, wide=True)[0]
        except NotImplementedError:
            return None
    at = settled(Gradient(reference, arrays).value())
    return None if at is None else floats(at)[0]


def _wide(arrays: Sequence[Array]) -> list[Array]:
    return [x.astype(np.float64) if x.dtype.kind == "f" else x for x in arrays]


def others_of(arrays: Sequence[Array], labels: Sequence[bool]) -> Iterator[list[Array]]:
    """Inputs of the same shapes, all entries different: of the same signs; of labels −1 and +1 or 0 and 1, others."""
    rng = np.random.default_rng(0)
    for k in range(OTHERS):
        yield [_another(x, rng, k, label=label) for x, label in zip(_wide(arrays), labels, strict=True)]


def _another(x: Array, rng: np.random.Generator, k: int, *, label: bool) -> Array:
    places = (np.arange(x.size).reshape(x.shape) + k) % 2 == 0
    if label and np.all((x == -1) | (x == 1)):
        return np.where(places, 1, -1).astype(x.dtype)
    if label and np.all((x == 0) | (x == 1)):
        return np.roll(x, k + 1, axis=-1) if x.ndim else x
    if x.dtype.kind != "f":
        return x
    return np.where(x == 0, rng.uniform(0.25, 1, x.shape), x * rng.uniform(0.5, 1.5, x.shape))
