"""Assertions for anyone's test: is this gradient the gradient of that function, here; is this derivation right?

The question is about real functions. Both sides are traced and evaluated at the input in balls, which takes no tolerance:
disjoint ones certify a mistake, however small; under saturation both agree to 30 digits, although floats have none left.
What the candidate returned, in its floats, must then be that value up to the rounding of its own operations. Where it cannot
be traced, it may differ from the reference by twice the reference's rounding bound, and the message says `assumed`.
A function that keeps state, or is random, has no value to be judged: at a new shape both are called twice.
"""

from contextlib import nullcontext
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.assertion.agreement import Pair, pair_of
from autodiff_ref.judge.assertion.by_value import Again
from autodiff_ref.judge.assertion.calling import (
    Shapes,
    check_arrays,
    check_keywords,
    first_of,
    second_of,
    value_of,
    variable_of,
)
from autodiff_ref.judge.assertion.captured import captured, with_arrays
from autodiff_ref.judge.assertion.complex_arguments import CONVENTION, apart, gradient_in_reals, has_complex, of_reals
from autodiff_ref.judge.assertion.finding import Finding
from autodiff_ref.judge.assertion.message import at_this_input, failure, returned_wrongly, without_ones
from autodiff_ref.judge.assertion.naming import name_of
from autodiff_ref.judge.assertion.sides import Call
from autodiff_ref.judge.assertion.symmetric import of_symmetric
from autodiff_ref.judge.assertion.undecided import UndecidedError, decided, undecided
from autodiff_ref.judge.derivations import verify
from autodiff_ref.judge.numpy_code.drawing import changes, why_it_changes
from autodiff_ref.judge.numpy_code.holding import data_of
from autodiff_ref.judge.numpy_code.mapping import recast
from autodiff_ref.judge.program.plans import Array
from autodiff_ref.judge.state import differ, kept_as_it_was
from autodiff_ref.trees import Arguments, Function, PyTree
from manual_grad.derivation import Derivation, argument_names

EAGER = 100_000
"""operations of a loss in JAX, up to which it is held against its trace"""

__all__ = ["UndecidedError", "assert_derivation", "assert_gradients_agree"]


def assert_gradients_agree(
    candidate: Function, of: Function, *args: PyTree, wrt: str | None = None, **keywords: PyTree
) -> None:
    """candidate(*args) = ∇of(*args), as real functions at this input; and up to rounding, as computed.

    Call it in a property test with arguments that were drawn. There is no tolerance to set. Functions are traced once for
    each shape, so further inputs of a shape cost about as much as evaluating both sides. Where a difference drowns in the
    rounding of floats, balls still see it. Hypothesis is told how far apart the two sides are (`hypothesis.target`), and so
    looks for larger differences.

    Args:
        candidate: the gradient as you wrote it: a function of `args`, in NumPy or JAX, jitted or not. It may return
            (loss, gradient). If it is a line of a derivation, it is given JAX's ∇.
        of: the function whose gradient it is. It returns a scalar, or an array (then the candidate is a Jacobian), or
            (loss, gradient). JAX differentiates it.
        *args: numbers and arrays of NumPy or JAX, also in tuples, NamedTuples and dicts. NumPy's are computed in their own
            precision, whatever JAX is set to. Integers of Python are constants.
        wrt: what is differentiated by: the name of an argument of `of`, or of a field of the first argument. None stands
            for all of the first argument.
        **keywords: are given to both functions, each to the one that takes it.

    Raises:
        AssertionError: the candidate is not the gradient, or has another shape or NaN, or returns something else when it
            is called again.
        UndecidedError: nothing can be said at this input, for example at a kink where the two take different sides. In a
            Hypothesis test the example is then rejected, as by `assume`, unless all are.
        TypeError, ValueError: `of`, `wrt` or the arguments cannot be used.

    Example:
        >>> import numpy as np
        >>> def loss(w, x): return ((x @ w) ** 2).sum()
        >>> def gradient(w, x): return 2 * x.T @ (x @ w)
        >>> assert_gradients_agree(gradient, loss, np.array([1.0, -0.5]), np.eye(2))
    """
    __tracebackhide__ = True
    for name, function in (("candidate", candidate), ("of", of)):
        if not callable(function):
            raise TypeError(f"`{name}` must be a function, got {function!r}: pass the function, not its value")
    if keywords:
        check_keywords(candidate, of, keywords)
        wrt = wrt or ("" if args else next(iter(argument_names(of) or []), "")) or None
    check_arrays(of, args, keywords)
    if has_complex(args, keywords):
        _in_parts(candidate, of, args, wrt, keywords)
        return
    call = Call.of(args, keywords)
    pair = pair_of(candidate, of, wrt, call)
    variable = pair.reference.variable
    returned = second_of(_called(candidate, call, wrt), variable)
    if pair.fresh:
        _check_state(candidate, of, pair, call, wrt, returned)
    value, shapes = without_ones(returned, pair.reference)
    unusable = returned_wrongly(value, pair.reference, candidate, of, wrt, pair.of_arrays)
    if unusable:
        raise AssertionError(unusable)

    def again(arrays: list[Array] | None) -> PyTree:
        return _more_precisely(candidate, pair, wrt, arrays)

    found = pair.settle(value, again)
    if found is not None and found.outcome == "different" and not pair.fresh and _stale(found, pair, of, call, wrt):
        pair = pair_of(candidate, of, wrt, call, afresh=True)
        found = pair.settle(value, again)
    if found is not None and found.outcome == "different" and (data_of(candidate, ()) or data_of(of, ())):
        pair, found = _with_data(pair, found, candidate, of, wrt, value, again)
    if found is None:
        decided()
        if shapes:
            raise AssertionError(f"{name_of(candidate)} {shapes}: the numbers are right, reshape them")
        return
    if found.outcome == "different":
        decided()
        if not pair.fresh and _changes(candidate, call, wrt, returned, pair.reference.variable):
            raise AssertionError(changes(candidate, name_of(candidate)))
        both = of_symmetric(candidate, of, pair.reference, wrt, args, keywords)
        if both is not None and _agree(*both, args, wrt, keywords):
            return
        said = failure(found, pair, candidate, of, wrt, again)
        raise AssertionError(f"{said}\n  it also {shapes}" if shapes else said)
    undecided(f"nothing can be said of {name_of(candidate)} and ∇{name_of(of)} {at_this_input(call, of)}: {found.reason}")


def _with_data(
    pair: Pair, found: Finding, candidate: Function, of: Function, wrt: str | None, value: PyTree, again: Again
) -> tuple[Pair, Finding | None]:
    """What is found where data of modules and objects are inputs, so that what floats made of these is no difference."""
    try:
        other = pair_of(candidate, of, wrt, pair.call, afresh=True, with_data=True)
    except TypeError:  # code that is not followed, if these are no arrays
        return pair, found
    return (pair, found) if other.candidate is None else (other, other.settle(value, again))


def _agree(candidate: Function, of: Function, args: Arguments, wrt: str | None, keywords: dict[str, PyTree]) -> bool:
    try:
        assert_gradients_agree(candidate, of, *args, wrt=wrt, **keywords)
    except Exception:
        return False
    return True


def _in_parts(candidate: Function, of: Function, args: Arguments, wrt: str | None, keywords: dict[str, PyTree]) -> None:
    """Complex arguments, as pairs of reals."""
    __tracebackhide__ = True
    variable = variable_of(of, wrt, args, keywords)
    given, named = apart(args), apart(keywords)
    try:
        assert_gradients_agree(gradient_in_reals(candidate, variable), of_reals(of), *given, wrt=wrt, **named)
    except AssertionError as error:
        other = gradient_in_reals(candidate, variable, conjugated=True)
        try:
            assert_gradients_agree(other, of_reals(of), *given, wrt=wrt, **named)
        except Exception:
            raise error from None
        raise AssertionError(f"{error}\n  {CONVENTION}") from None


def _check_state(candidate: Function, of: Function, pair: Pair, call: Call, wrt: str | None, value: PyTree) -> None:
    """Both functions return the same when they are called again, and the loss what was traced of it.

    Raises:
        AssertionError: the candidate does not.
        UndecidedError: the loss does not.
    """
    __tracebackhide__ = True
    if _changes(candidate, call, wrt, value, pair.reference.variable):
        raise AssertionError(changes(candidate, name_of(candidate)))
    if pair.reference.work > EAGER and not pair.reference.numpy_code:  # JAX compiles each step of it for that
        return
    with kept_as_it_was(of):
        loss = first_of(_called(of, call, wrt), pair.reference.variable)
    if not pair.follows(loss):
        undecided(
            f"nothing can be said of {name_of(candidate)} and ∇{name_of(of)} {at_this_input(call, of)}: "
            f"the loss returns something else than what was traced of it: {why_it_changes(of)}. "
            "Make it a function of its arguments, with its seed as one"
        )


def _changes(candidate: Function, call: Call, wrt: str | None, value: PyTree, variable: Shapes) -> bool:
    """Whether the candidate returns something else when it is called again."""
    with kept_as_it_was(candidate):
        return differ(value, second_of(_called(candidate, call, wrt), variable))


def _stale(found: Finding, pair: Pair, of: Function, call: Call, wrt: str | None) -> bool:
    """Whether what a function reads apart from its arguments and closures may have changed since it was traced.

    A certified difference says that the candidate computed what was traced.
    """
    if not found.certified:
        return True
    with kept_as_it_was(of):
        return pair.of_has_changed(first_of(_called(of, call, wrt), pair.reference.variable))


def _called(f: Function, call: Call, wrt: str | None) -> PyTree:
    """f at copies of NumPy's arrays: what it writes into them changes nothing of what is judged."""
    args, keywords = call.rebuilt([x.copy() if isinstance(x, np.ndarray) else x for x in call.values])
    with jax.enable_x64(True) if call.wide else nullcontext():
        return value_of(f, wrt, args, keywords)


def _more_precisely(candidate: Function, pair: Pair, wrt: str | None, arrays: list[Array] | None) -> PyTree:
    """What the candidate returns in more precise floats, where it can: rounding errors shrink there, mistakes do not.

    In float64 first; where it does not know that, as many kernels, in float32. At other `arrays` also in its own floats,
    where these hold them.
    """
    call = pair.call
    finer = call.more_precise() if arrays is None else Call.of(*call.rebuilt(arrays))
    if finer is None:
        return None
    tried = [finer]
    if call.is_low:
        tried += [finer.narrowed([np.float32 if x.dtype == np.float64 else x.dtype for x in map(np.asarray, finer.values)])]
        tried += [] if arrays is None else [finer.narrowed([np.asarray(x).dtype for x in call.values])]
    for each in tried:
        if each is None:
            continue
        f = candidate
        if pair.closes_over_arrays:
            held = captured(candidate)[1]
            f = with_arrays(f, recast(held, [each.dtype] * len(held)))
        try:
            with kept_as_it_was(f):
                return second_of(_called(f, each, wrt), pair.reference.variable)
        except Exception:  # code that knows no such floats
            continue
    return None


def assert_derivation(derivation: Derivation, **options: Any) -> None:
    """Every line of a derivation is the same gradient: `verify(derivation, **options).ok`

    Args:
        derivation: what to judge.
        **options: those of `verify`: seed, examples, …

    Raises:
        AssertionError: some line is not; the message is the report, with the first wrong line and an input.
        LineError: a line raises, or returns something of another shape than the gradient.
        TypeError: it is no Derivation.

    Example:
        >>> from manual_grad import notes
        >>> assert_derivation(notes.RESIDUAL)
    """
    __tracebackhide__ = True
    if not isinstance(derivation, Derivation):
        raise TypeError(
            f"assert_derivation takes a Derivation, got {derivation!r}: for one gradient, assert_gradients_agree"
        )
    report = verify(derivation, **options)
    if not report.ok:
        raise AssertionError(f"{derivation.name} is not verified\n{report}")
