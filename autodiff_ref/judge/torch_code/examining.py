"""One run of a function and its backward, judged: are the gradients those of the function, as real functions?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import torch

from autodiff_ref.judge.assertion.agreement import EPS, Pair
from autodiff_ref.judge.assertion.backward import renamed
from autodiff_ref.judge.assertion.finding import Finding
from autodiff_ref.judge.assertion.message import failure
from autodiff_ref.judge.assertion.sides import Call, Side, trace_candidate, trace_reference
from autodiff_ref.judge.comparing import ULP
from autodiff_ref.judge.errors import first_line
from autodiff_ref.judge.torch_code.following import inexact_operation, last_change, not_followed
from autodiff_ref.judge.torch_code.program import Candidate, Reference, Subject, as_arrays, label_of_function
from autodiff_ref.judge.torch_code.values import NotFollowedError, in_reals

Verdict = Literal["right", "WRONG", "meant so", "undecided"]

STEPS = (2.0**-14, 2.0**-15)
"""of a difference quotient in float64, relative: coarse, so that steps of an iteration to a tolerance do not show"""

COARSE = 1e-3
"""by what share a quotient may be off and still side with a gradient"""

SMALL = 1e-8
"""a difference that an iteration which ends by a comparison may leave"""

MANY = 24
"""comparisons at one place of the code: as many as a bisection needs for float32"""

SPARE = 10
"""bits: what an iteration leaves, as a bisection 2^-n after n comparisons, may weigh 2^10 in its result"""

OF_ROUNDED_CONSTANTS = 1e-6
"""the largest share of a component by which rounded constants are off: with seven digits or more"""

OTHER_INPUTS = 4

FEW = 2.0**6
"""times the spacing of floats at 1, a gradient is off whose digits are fewer than its argument's"""


@dataclass(frozen=True)
class Judged:
    """What is said of one run."""

    verdict: Verdict
    text: str = ""
    pair: Pair | None = None
    """both sides, for judging what other runs of the same function return"""
    value: Any = None


def cotangents_for(outs: Sequence[torch.Tensor], seed: int = 1) -> list[np.ndarray]:
    """None of them 1 or 0, all different in size and sign, and short in every precision."""
    rng = np.random.default_rng(seed)
    like = [in_reals(out.detach()) for out in outs]
    made = [rng.integers(20, 100, x.shape) / 64 * rng.choice([-1.0, 1.0], x.shape) for x in like]
    return [c.astype(x.dtype) for c, x in zip(made, like, strict=True)]


def examine(subject: Subject, cotangents: list[np.ndarray], within: float | None = None) -> Judged:
    """Judges one subject at its own input and these cotangents."""
    by, data = subject.arrays
    reference, candidate = Reference(subject, cotangents), Candidate(subject, cotangents)
    name = label_of_function(subject.func)
    reference.__name__ = name if subject.of is None else label_of_function(subject.of)
    candidate.__name__ = f"{name}.backward"
    args = (dict(zip(subject.names, by, strict=True)), data, cotangents)
    try:
        dtype = _precision(subject, cotangents)
        stopped = not_followed(subject, dtype, cotangents)
        if stopped:
            return Judged("undecided", stopped)
        call = Call.of(args)
        ours = trace_reference(reference, None, call)
        theirs = trace_candidate(candidate, None, call, ours.labels, ours.variable)
    except TypeError as error:  # JAX cannot differentiate it, or it is not followed
        return Judged("undecided", f"not followed ({error if isinstance(error, NotFollowedError) else first_line(error)})")
    if ours.plan is None or theirs.plan is None:
        return Judged("undecided", f"not followed ({ours.reason or theirs.reason})")
    pair = _pair(call, ours, theirs, within)
    value = candidate(*args)
    return settled(subject, pair, reference, candidate, value)


SYMMETRIC = (
    "one triangle of a symmetric matrix is read, as for its Cholesky factor: the gradient is right by symmetric matrices. "
    "The sum of its two triangles is judged, and not each of them"
)

RIGHT_BY_SYMMETRIC = (
    "  it is right by symmetric matrices, of which this is one, and the forward takes others too. Where only symmetric ones "
    "are meant, judge the function of (x + x.mT) / 2"
)


def examine_either(
    subject: Subject, cotangents: list[np.ndarray], within: float | None
) -> tuple[Subject, Judged, tuple[str, ...]]:
    """A subject judged; where it takes a matrix to be symmetric, as a function of all matrices or of symmetric ones.

    Whether the gradient by a symmetric matrix stands in one triangle or in both by halves is a convention: PyTorch's own has
    halves.

    Returns:
        The subject as it is right, what is said of it, and notes.
    """
    judged = examine(subject, cotangents, within)
    if judged.verdict != "WRONG":
        return subject, judged, ()
    triangle = subject.written(_precision(subject, cotangents), cotangents).reads_triangle
    other = subject.of_symmetric(triangle=triangle)
    if other is None:
        return subject, judged, ()
    again = examine(other, cotangents, within)
    if again.verdict != "right":
        return subject, again if triangle and again.verdict == "WRONG" else judged, ()
    if triangle:
        return other, again, (SYMMETRIC,)
    return subject, replace(judged, text=f"{judged.text}\n{RIGHT_BY_SYMMETRIC}"), ()


def settled(subject: Subject, pair: Pair, reference: Reference, candidate: Candidate, value: Any) -> Judged:
    """What the judge says of gradients that a run returned."""

    def again(arrays: list[Any] | None) -> Any:
        finer = pair.call.more_precise() if arrays is None else Call.of(*pair.call.rebuilt(arrays))
        if finer is None or finer.dtype == np.longdouble:
            return None
        try:
            return candidate(*finer.args)
        except Exception:  # code that is for one precision
            return None

    found = pair.settle(value, again)
    if found is None:
        return Judged("right", "", pair, value)
    if found.outcome == "undecided":
        iterative = _is_iterative(subject, pair, found) if found.components else None
        return Judged(*(iterative or ("undecided", found.reason)), pair, value)
    excuse = _meant_so(subject, pair, found) or _is_iterative(subject, pair, found)
    if excuse:
        return Judged(excuse[0], excuse[1], pair, value)
    if found.how == "traced" and not found.certified:  # as real functions they are equal
        inexact = inexact_operation(subject, _precision(subject, pair.call.args[2]), pair.call.args[2])
        if inexact is not None:
            text = (
                f"PyTorch's own {inexact.name} is off by {inexact.off:.1e} at this input, and so is the gradient. "
                "Say by within= how far it may be off"
            )
            return Judged("undecided", text, pair, value)
    said = failure(found, pair, candidate, reference, None, again).splitlines()
    said = [row for row in said if not row.startswith("  next:")]
    off = _off(found, pair)
    if off <= OF_ROUNDED_CONSTANTS:
        of_it = (
            "itself" if np.all(found.expected[list(found.components)]) else "itself, or of the largest where it should be 0"
        )
        said.append(f"  no component is off by more than {off:.0e} of {of_it}. For rounded constants say within={off:.0e}")
    if any(isinstance(x, torch.Tensor) and x.is_complex() for x in subject.inputs):
        said.append("  of complex numbers the last axis shows the real part, and the imaginary part behind it")
    return Judged("WRONG", renamed("\n".join(said)), pair, value)


def _off(found: Finding, pair: Pair) -> float:
    """The largest share by which a component is off, rounded up to a power of 10."""
    wrong = list(found.components)
    with np.errstate(all="ignore"):
        gap = np.maximum(np.abs(found.computed - found.expected), float(found.certified or 0))
        share = float(np.max((gap / pair.sizes(found.expected))[wrong]))
    return 10.0 ** np.ceil(np.log10(share)) if np.isfinite(share) and share > 0 else np.inf


def _pair(call: Call, reference: Side, candidate: Side, within: float | None) -> Pair:
    arrays = call.as_numpy([])
    return Pair(reference, candidate, call, arrays, arrays, allowed=ULP if within is None else within)


def _precision(subject: Subject, cotangents: list[np.ndarray]) -> Any:
    """float64 where the function runs in it; else None, for that of its inputs.

    Raises:
        NotFollowedError: it is followed in neither.
    """
    if all(x.dtype == np.float64 for x in subject.arrays[0]):
        subject.written(None, cotangents)
        return None
    try:
        subject.written(np.float64, cotangents)
    except Exception:  # as where it multiplies by a matrix of its own in float32
        subject.written(None, cotangents)
        return None
    return np.float64


# What is no mistake, though it is not the derivative


def _meant_so(subject: Subject, pair: Pair, found: Finding) -> tuple[Verdict, str] | None:
    if subject.of is not None:
        return None
    if _returns_its_arguments(subject):
        return (
            "meant so",
            "the function returns its argument as it is: a backward that changes the gradient can only be meant so. "
            "Say by of= whose gradient it should be",
        )
    owners = _owners(subject)
    names = sorted({owners[k] for k in found.components})
    theirs = np.isin(owners, names)
    if np.any(np.asarray(found.expected)[theirs] != 0):
        return None
    rng = np.random.default_rng(0)
    for k in range(OTHER_INPUTS):
        arrays = [
            x if fixed or x.dtype.kind != "f" else np.asarray((1 + k) * rng.standard_normal(x.shape), x.dtype)
            for x, fixed in zip(pair.of_arrays, pair.reference.labels, strict=True)
        ]
        try:
            there = pair.reference.plainly(arrays)
        except NotImplementedError:
            return None
        if np.any(there[theirs] != 0):
            return None
    unused = [name for name in names if name not in subject.used(pair.call.args[2])]
    if unused:
        return (
            "meant so",
            f"the function does not use {', '.join(unused)}. Where that is a parameter which it reads from a module, judge "
            "it by its other arguments; where it stands for something else, say by of= whose gradient it should be",
        )
    return (
        "meant so",
        f"by {', '.join(names)} the function is constant piece by piece: a backward with a slope can only be meant so, as a "
        "surrogate or straight through. Say by of= whose gradient it should be",
    )


def _returns_its_arguments(subject: Subject) -> bool:
    """Whether each result is an argument as it is, and at other inputs and data too: where none is negative, a ReLU's is."""
    by, data = subject.arrays
    rng = np.random.default_rng(0)

    def drawn(arrays: list[np.ndarray], size: float) -> list[np.ndarray]:
        return [np.asarray(size * rng.standard_normal(x.shape), x.dtype) if x.dtype.kind == "f" else x for x in arrays]

    for arrays, fixed in [(by, data), *[(drawn(by, 4.0**k), drawn(data, 4.0**k)) for k in range(OTHER_INPUTS)]]:
        try:
            outs = subject.value_of(arrays, fixed)
        except Exception:  # not its domain
            continue
        if not all(any(out.shape == x.shape and np.array_equal(out, x) for x in arrays) for out in outs):
            return False
    return True


def steps_of(subject: Subject, cotangents: list[np.ndarray]) -> int:
    """How many operations it and its backward take."""
    return len(subject.written(_precision(subject, cotangents), cotangents).closed.jaxpr.eqns)


def _owners(subject: Subject) -> np.ndarray:
    """The name of the argument that each component is of, in the order in which JAX flattens a dict."""
    lengths = {name: x.size for name, x in zip(subject.names, subject.arrays[0], strict=True)}
    return np.repeat(sorted(lengths), [lengths[name] for name in sorted(lengths)])


def without_power(subject: Subject, value: dict[str, np.ndarray], cotangents: list[np.ndarray]) -> list[str]:
    """The arguments by which the gradient is 0 at this input and not at others: there code that returns zeros passes."""
    zero = [name for name, grad in value.items() if grad.size and not np.any(grad)]
    if not zero:
        return []
    by, data = subject.arrays
    rng = np.random.default_rng(0)
    found = set[str]()
    for k in range(OTHER_INPUTS):
        moved = [np.asarray(x + (k + 1) / 4 * rng.standard_normal(x.shape), x.dtype) for x in by]
        try:
            grads = as_arrays(subject.run(moved, data, cotangents).grads, moved)
        except Exception:  # not its domain
            continue
        found |= {name for name, grad in zip(subject.names, grads, strict=True) if np.any(grad)}
    return [name for name in zero if name in found]


def of_few_digits(subject: Subject, judged: Judged, cotangents: list[np.ndarray]) -> list[str]:
    """What is right as a real function, and has fewer digits than its argument, since a step has a narrower dtype."""
    widest = max(jnp.finfo(x.dtype).nmant for x in subject.arrays[0])

    def is_narrow(dtype: Any) -> bool:
        return jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).nmant < widest

    dtype = _precision(subject, cotangents)
    if judged.pair is None or not any(map(is_narrow, subject.written(dtype, cotangents).dtypes)):
        return []
    written = subject.written(dtype, cotangents, keep=True)
    (operation, place), narrow = next(
        (step, value.dtype) for step, value in zip(written.names, written.kept, strict=True) if is_narrow(value.dtype)
    )
    try:
        expected = judged.pair.reference.plainly(judged.pair.of_arrays)
    except NotImplementedError:
        return []
    found, owners = np.concatenate([np.ravel(judged.value[name]) for name in sorted(judged.value)]), _owners(subject)
    said: list[str] = []
    for name, x in zip(subject.names, subject.arrays[0], strict=True):
        exact = expected[owners == name]
        with np.errstate(all="ignore"):
            off = float(np.max(np.abs(found[owners == name] - exact), initial=0.0) / np.max(np.abs(exact), initial=0.0))
        if np.isfinite(off) and off > FEW * float(jnp.finfo(x.dtype).eps):
            said.append(
                f"the gradient by {name} is off by {off:.0e} of its largest entry, though {x.dtype} has more digits: "
                f"{operation}{f' at {place}' if place else ''} is in {narrow}"
            )
    return said


def _is_iterative(subject: Subject, pair: Pair, found: Finding) -> tuple[Verdict, str] | None:
    """Whether the function iterates to a solution: then its steps have another derivative than the solution has."""
    if subject.of is not None:
        return None
    k = found.components[0]
    computed, expected = float(found.computed[k]), float(found.expected[k])
    size = max(abs(computed), abs(expected))
    places = [a.place for a in pair.reference.assumptions if a.place and np.ndim(a.value) == 0]  # branches, and no masks
    iterates = len(places) > len(set(places))
    text = "the function iterates to a solution, and its steps have another derivative than the solution. " + (
        "Say by of= what it solves, in closed form, or by within= how close the solution is"
    )
    gap = float(found.certified) if found.certified else abs(computed - expected)  # what was computed is rounded as well
    if iterates and gap <= SMALL * size:
        return "undecided", text
    run = _precision(subject, pair.call.args[2]), pair.call.args[2]
    halvings = subject.written(*run).compared
    if halvings >= MANY and gap <= min(SMALL, 2.0 ** (SPARE - halvings)) * size:
        return "undecided", text
    change = last_change(subject, *run) if gap <= SMALL * size else None
    if change is not None and gap <= 2.0**SPARE * max(change, EPS) * size:
        return "undecided", text
    by, data = ([x.astype(np.float64) if x.dtype.kind == "f" else x for x in part] for part in subject.arrays)
    try:
        quotients = [_quotient(subject, pair, by, data, k, step) for step in STEPS]
    except Exception:  # it does not run in float64, or beside this input
        return None
    spread = abs(quotients[0] - quotients[1])
    near, far = abs(quotients[1] - computed), abs(quotients[1] - expected)
    if near <= COARSE * size + spread and far > 10 * (COARSE * size + spread):
        return "undecided", text
    return None


def _quotient(subject: Subject, pair: Pair, by: list[np.ndarray], data: list[np.ndarray], k: int, step: float) -> float:
    """A central difference quotient of ⟨cotangent, function⟩, run for real, along one entry."""
    cotangents = pair.call.args[2]
    owners = _owners(subject)
    which = subject.names.index(owners[k])
    place = np.unravel_index(k - int(np.argmax(owners == owners[k])), by[which].shape)
    values: list[float] = []
    h = step * max(1.0, abs(float(by[which][place])))
    for sign in (1, -1):
        moved = [x.copy() for x in by]
        moved[which][place] += sign * h
        outs = subject.value_of(moved, data)
        values.append(float(sum(np.sum(out * c.astype(np.float64)) for out, c in zip(outs, cotangents, strict=True))))
    return (values[0] - values[1]) / (2 * h)


__all__ = ["Judged", "Verdict", "cotangents_for", "examine", "label_of_function", "without_power"]
