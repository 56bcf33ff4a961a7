"""`gradcheck` and `gradgradcheck` with the signatures of `torch.autograd`'s, judged without tolerances."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch.autograd.gradcheck import GradcheckError

from autodiff_ref.judge.assertion.undecided import decided, undecided
from autodiff_ref.judge.torch_code.examining import (
    Judged,
    Verdict,
    cotangents_for,
    examine_either,
    label_of_function,
    of_few_digits,
    steps_of,
    without_power,
)
from autodiff_ref.judge.torch_code.program import Subject
from autodiff_ref.judge.torch_code.trials import DOUBLE, Base, Trial, double, trials
from autodiff_ref.judge.torch_code.values import is_float

UNUSED = {"eps": 1e-6, "atol": 1e-5, "rtol": 1e-3, "nondet_tol": 0.0, "fast_mode": False}
"""options of torch's gradcheck that are taken and not used, and what they are there by default"""

MISSING = (
    "check_grad_dtypes",
    "check_batched_grad",
    "check_batched_forward_grad",
    "check_forward_ad",
    "check_fwd_over_rev",
    "check_rev_over_rev",
    "masked",
)
"""options that ask for what is not judged here"""


MOST_STEPS = 3000
"""up to so many operations the second derivative is tried beside the first: it has some five times as many"""


class GradcheckNote(UserWarning):
    """What `gradcheck` has to say beside its verdict."""


class WrongGradientError(AssertionError, GradcheckError):
    """A backward returns what is not the gradient."""


@dataclass(frozen=True)
class FunctionReport:
    """What was found of a function of PyTorch and its backward."""

    name: str
    verdict: Verdict
    text: str = ""
    """why, where it is not right"""
    trials: tuple[Trial, ...] = ()
    """what else was tried, each by itself"""
    notes: tuple[str, ...] = field(default=())
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the gradients are right, at the input and in all that was tried beside it."""
        return self.verdict == "right"

    @property
    def double_backward(self) -> Trial | None:
        """The second derivative; None where it was not tried."""
        return next((trial for trial in self.trials if trial.name == DOUBLE), None)

    def __str__(self) -> str:
        rows = [f"{self.name}: {self.verdict}{f' ({self.text})' if self.text and self.verdict != 'WRONG' else ''}"]
        rows += [self.text] if self.text and self.verdict == "WRONG" else []
        rows += [f"  {trial}" for trial in self.trials]
        return "\n".join([*rows, *self.notes])


def judge(
    func: Callable[..., Any],
    inputs: Any,
    *,
    of: Callable[..., Any] | None = None,
    within: float | None = None,
    beside: bool = True,
) -> FunctionReport:
    """Judges what autograd makes of a function: a `torch.autograd.Function`'s backward, or any code.

    Args:
        func: a function of tensors that returns a tensor or several, as `Swish.apply`.
        inputs: its arguments; those tensors of floats are differentiated by that require a gradient.
        of: the function whose gradient is meant, where that is another one: for a surrogate, or an iteration to a solution.
        within: by what share of an entry the gradient may be off, where its constants are rounded; where it should be 0, of
            the largest entry of that tensor.
        beside: whether to try what a backward meets in use: see `trials`.

    Raises:
        ValueError: no input requires a gradient, or no output does.
        TypeError: an argument is of the wrong kind.
    """
    start = time.monotonic()
    given, notes = _checked(func, inputs, of, within)
    by = [k for k, x in enumerate(given) if isinstance(x, torch.Tensor) and x.requires_grad]
    if not by:
        raise ValueError("gradcheck expects at least one tensor that requires a gradient among the inputs")
    name = label_of_function(func)
    odd = [k for k in by if not is_float(given[k])]
    if odd:
        why = f"not followed ({given[odd[0]].dtype}: only real numbers are written down)"
        return FunctionReport(name, "undecided", why, (), notes, time.monotonic() - start)
    subject = Subject(func, [x.detach() if isinstance(x, torch.Tensor) else x for x in given], by, of)
    outs = subject.run(*subject.arrays, None).outs
    if not outs:
        raise ValueError(f"{name}: none of what it returns requires a gradient")
    cotangents = cotangents_for(outs)
    subject.note_draws(cotangents)  # an error of the backward is raised as its own
    subject, judged, said = examine_either(subject, cotangents, within)
    notes += said
    found: list[Trial] = []
    if judged.verdict == "right" and beside:
        base = Base(subject, cotangents, within)
        found = list(trials(base))
        steps = steps_of(subject, cotangents)
        large = Trial(DOUBLE, "not tried", f"  it takes {steps} steps: gradgradcheck tries it")
        found += [] if of is not None else [large if steps > MOST_STEPS else double(base)]
    if judged.verdict == "right":
        blind = without_power(subject, judged.value, cotangents)
        notes += tuple(
            f"the gradient by {each} is 0 at this input, and not at others: code that returns zeros would pass. "
            "Choose an input where it is not 0"
            for each in blind
        )
        notes += tuple(of_few_digits(subject, judged, cotangents)) if within is None else ()
    verdict, text = _together(judged, found)
    return FunctionReport(name, verdict, text, tuple(found), notes, time.monotonic() - start)


def _together(judged: Judged, found: Sequence[Trial]) -> tuple[Verdict, str]:
    """The verdict of all: a first derivative that is wrong anywhere is wrong."""
    wrong = [trial for trial in found if trial.verdict == "WRONG" and trial.name != DOUBLE]
    if wrong:
        return "WRONG", f"right as called, and wrong where it is tried so: {wrong[0].name}\n{wrong[0].text}"
    return judged.verdict, judged.text


def _checked(func: Any, inputs: Any, of: Any, within: Any) -> tuple[list[Any], tuple[str, ...]]:
    for name, function in (("func", func), ("of", of)):
        if not callable(function) and not (name == "of" and function is None):
            raise TypeError(f"{name} must be a function, got {function!r}: pass Function.apply")
        if isinstance(function, type) and issubclass(function, torch.autograd.Function):
            raise TypeError(f"{name} must be a function, got the class {function.__name__}: pass {function.__name__}.apply")
    if within is not None and not (isinstance(within, int | float) and 0 < within < 1):
        raise ValueError(f"within is a share between 0 and 1, as 1e-9, got {within!r}")
    given = [inputs] if isinstance(inputs, torch.Tensor) else list(cast("Sequence[Any]", inputs))
    notes: list[str] = []
    for k, x in enumerate(given):
        if isinstance(x, torch.Tensor) and x.device.type != "cpu":
            notes.append(f"input {k} is on {x.device.type}: its copy on the CPU is judged")
            given[k] = x.detach().to("cpu").requires_grad_(x.requires_grad)
    return given, tuple(notes)


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    of: Callable[..., Any] | None = None,
    within: float | None = None,
    raise_exception: bool = True,
    check_undefined_grad: bool = True,
    check_backward_ad: bool = True,
    **options: Any,
) -> bool:
    """Whether a backward returns the gradient of its forward: `torch.autograd.gradcheck`, without tolerances.

    float32 is judged as well as float64. Nothing is drawn near the input: both sides are evaluated at it, as real functions.

    Args:
        func: a function of tensors that returns a tensor or several, as `Swish.apply`.
        inputs: its arguments, a tuple, or a tensor alone.
        of: the function whose gradient is meant, for a surrogate, implicit or iterative backward.
        within: by what share of an entry the gradient may be off: for rounded constants.
        raise_exception: False returns False instead.
        check_undefined_grad: always tried, with all else that `judge` tries.
        check_backward_ad: must be True.
        **options: eps, atol, rtol, nondet_tol and fast_mode are taken and not used, which a warning says.

    Raises:
        WrongGradientError: an AssertionError and PyTorch's GradcheckError: with the entry, both values and the input.
        UndecidedError: nothing can be said: an operation is not followed, which is named; it lies on a kink; or it is no
            gradient by intent. Inside `@given` the example is rejected.
        NotImplementedError: an option asks for what is not judged here, as forward mode.
        ValueError, TypeError: nothing requires a gradient, or an argument is of the wrong kind.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.5, -1.0], requires_grad=True)
        >>> gradcheck(torch.nn.functional.silu, (x,))
        True
    """
    __tracebackhide__ = True
    del check_undefined_grad
    _say_unused(options, check_backward_ad)
    report = judge(func, inputs, of=of, within=within)
    for note in report.notes:
        warnings.warn(note, GradcheckNote, stacklevel=2)
    second = report.double_backward
    if second is not None and second.verdict == "WRONG":
        text = f"{report.name}: the second derivative is silently wrong, see gradgradcheck, or add @once_differentiable"
        warnings.warn(text, GradcheckNote, stacklevel=2)
    return _concluded(report.name, report.verdict, report.text, raise_exception)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    within: float | None = None,
    raise_exception: bool = True,
    **options: Any,
) -> bool:
    """Whether autograd's derivative of a backward is that of the gradient: `torch.autograd.gradgradcheck`.

    Args:
        func: as in `gradcheck`.
        inputs: as in `gradcheck`.
        grad_outputs: the cotangents; some are drawn for None.
        within: as in `gradcheck`.
        raise_exception: False returns False instead.
        **options: as in `gradcheck`.

    Raises:
        WrongGradientError: it is not; or the first derivative is not.
        UndecidedError: nothing can be said; or the backward has no derivative, and says so.
    """
    __tracebackhide__ = True
    options.pop("gen_non_contig_grad_outputs", None)
    _say_unused(options, True)
    given, _ = _checked(func, inputs, None, within)
    by = [k for k, x in enumerate(given) if isinstance(x, torch.Tensor) and x.requires_grad]
    name = label_of_function(func)
    if not by:
        raise ValueError("gradgradcheck expects at least one tensor that requires a gradient among the inputs")
    subject = Subject(func, [x.detach() if isinstance(x, torch.Tensor) else x for x in given], by)
    cotangents = cotangents_for(subject.run(*subject.arrays, None).outs)
    if grad_outputs is not None:
        chosen = [grad_outputs] if isinstance(grad_outputs, torch.Tensor) else list(grad_outputs)
        cotangents = [c.detach().cpu().numpy() for c in chosen]
    subject.note_draws(cotangents)
    subject, first, _ = examine_either(subject, cotangents, within)
    if first.verdict != "right":
        return _concluded(name, first.verdict, first.text, raise_exception)
    second = double(Base(subject, cotangents, within))
    verdict = second.verdict if second.verdict in ("right", "WRONG") else "undecided"
    return _concluded(f"{name}, {DOUBLE}", verdict, second.text.strip(), raise_exception)  # pyright: ignore[reportArgumentType]


def _concluded(name: str, verdict: Verdict, text: str, raise_exception: bool) -> bool:
    __tracebackhide__ = True
    if verdict == "right":
        decided()
        return True
    if not raise_exception:
        return False
    if verdict == "WRONG":
        decided()
        raise WrongGradientError(text)
    undecided(f"{name}: {verdict}: {text}")
    return False


def _say_unused(options: dict[str, Any], check_backward_ad: bool) -> None:
    __tracebackhide__ = True
    for name in options:
        if name not in UNUSED and name not in MISSING:
            raise TypeError(f"gradcheck got an unexpected keyword argument {name!r}")
    asked = [name for name in MISSING if options.get(name)]
    if asked or not check_backward_ad:
        what = ", ".join(asked) or "check_backward_ad=False"
        raise NotImplementedError(f"{what}: only the backward is judged here; torch.autograd.gradcheck does that")
    unused = [name for name, plain in UNUSED.items() if name in options and options[name] != plain]
    if unused:
        text = f"{', '.join(unused)} {'is' if len(unused) == 1 else 'are'} not used: there is no step and no tolerance here"
        warnings.warn(text, GradcheckNote, stacklevel=3)
