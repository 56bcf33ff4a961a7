"""Every checker on a specimen: ours, and peers at inputs that a user would take, each with its own defaults.

What a checker says is one of "refused", "passed", "undecided" and "not expressible".
"""

import contextlib
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref import UndecidedError, assert_gradients_agree, judge_rule
from autodiff_ref.verify import verify
from manual_grad import Derivation
from zoo.specimen import Gradient, Specimen
from zoo.usual import usual_inputs


class NotExpressibleError(Exception):
    """The checker has no words for such a derivative."""


@dataclass(frozen=True)
class Verdict:
    """What a checker says of one derivative."""

    said: str
    """refused, passed, undecided or not expressible"""
    named: str = ""
    """the line or the rule that it names"""
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Trial:
    """A specimen and one of its derivatives, as a checker sees them."""

    specimen: Specimen
    gradient: Gradient
    shown: bool = False
    """whether peers are shown the input of the report besides"""

    def inputs(self) -> list[tuple[Any, ...]]:
        """What a user would try; the input of the report, where it is shown."""
        drawn = usual_inputs(self.specimen)
        return [self.specimen.arguments, *drawn] if self.shown else drawn

    @cached_property
    def compiled(self) -> tuple[Callable[..., Any], ...]:
        """The function, its gradient, gᵀJ, and how that is pulled back in turn; compiled once for all inputs of a shape."""
        k = self.specimen.position

        def backward(g: Any, *args: Any) -> Any:
            return jnp.tensordot(g, self.gradient(*args), jnp.ndim(g))

        def twice(h: Any, g: Any, *args: Any) -> Any:
            def of_both(x: Any, g: Any) -> Any:
                return backward(g, *args[:k], x, *args[k + 1 :])

            return jax.vjp(of_both, args[k], g)[1](h)

        return jax.jit(self.specimen.function), jax.jit(self.gradient), jax.jit(backward), jax.jit(twice)

    @cached_property
    def ruled(self) -> Callable[..., Any]:
        """The function with the gradient as its rule, compiled."""
        return jax.jit(with_rule(self.specimen, self.gradient))


def with_variable(args: tuple[Any, ...], k: int, x: Any) -> tuple[Any, ...]:
    """The arguments with another value of one of them."""
    return (*args[:k], x, *args[k + 1 :])


def with_rule(specimen: Specimen, gradient: Gradient) -> Callable[..., Any]:
    """The function with the gradient as its rule in JAX; by its other arguments it keeps JAX's own derivatives."""
    k = specimen.position

    @jax.custom_jvp
    def f(*args: Any) -> Any:
        return specimen.function(*args)

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        t = tangents[k]
        others = (*tangents[:k], jnp.zeros_like(primals[k]), *tangents[k + 1 :])
        value, moved = jax.jvp(specimen.function, primals, others)
        return value, moved + jnp.tensordot(gradient(*primals), t, jnp.ndim(t))

    f.__name__ = specimen.function.__name__
    return f


# Ours


def by_verify(trial: Trial) -> Verdict:
    """`verify` of a derivation of one line, with its own inputs."""
    specimen = trial.specimen
    derivative = specimen.differentiated(trial.gradient)

    def line(*args: Any, nabla: Any) -> Any:
        return derivative(*args)

    line.__name__ = trial.gradient.__name__
    report = verify(derivation_of(specimen, line))
    (judged_line,) = report.lines  # a reference that is wrong is JAX's mistake, and said beside the line's verdict
    said = {"refuted": "refused", "partial": "refused", "undecided": "undecided"}.get(judged_line.verdict, "passed")
    return Verdict(said, line.__name__ if said == "refused" else "", str(report))


def derivation_of(specimen: Specimen, *lines: Callable[..., Any]) -> Derivation:
    """A derivation of the specimen's function."""
    sizes = {"sizes": specimen.sizes} if specimen.sizes else {}
    return Derivation(
        specimen.name, of=specimen.judged, wrt=specimen.variable, domain=specimen.domain, lines=[*lines], **sizes
    )


def by_judge_rule(trial: Trial) -> Verdict:
    """`judge_rule` of the function with the gradient as its rule, with its own inputs.

    Entries by other arguments are JAX's own, and left out. Of digits lost, that they are reported counts.
    """
    specimen = trial.specimen
    report = judge_rule(with_rule(specimen, trial.gradient), domain=specimen.domain, order=specimen.order)
    ours = {f"x{specimen.position}"}
    kinds = {entry.kind for entry in report.entries if set(re.findall(r"∂(x\d+)", entry.name)) == ours}
    worst = {"WRONG", "NaN", "accuracy"} if specimen.kind == "digits lost" else {"WRONG", "NaN"}
    said = "refused" if kinds & worst else "passed" if kinds - {"undecided"} else "undecided"
    if "meant so" in kinds:
        said = "passed"  # it is said, and exits with 0
    named = next((finding.rule for finding in report.findings if finding.kind in worst), "")
    return Verdict(said, named, str(report))


def by_assertion(trial: Trial) -> Verdict:
    """`assert_gradients_agree` at the same inputs as peers."""
    specimen, derivative = trial.specimen, trial.specimen.differentiated(trial.gradient)
    undecided = 0
    inputs = trial.inputs()
    for args in inputs:
        try:
            assert_gradients_agree(derivative, specimen.judged, *args, wrt=specimen.variable)
        except UndecidedError:
            undecided += 1
        except AssertionError as error:
            return Verdict("refused", "", str(error))
    return Verdict("undecided" if undecided == len(inputs) else "passed")


def by_our_gradcheck(trial: Trial) -> Verdict:
    """Ours for PyTorch: a Function with the gradient as its backward, both as PyTorch's operations, at the same inputs."""
    import torch

    from autodiff_ref.torch import judge
    from zoo.in_torch import in_torch

    specimen, k = trial.specimen, trial.specimen.position

    def said_at(args: tuple[Any, ...]) -> tuple[str, str]:
        value, gradient = in_torch(specimen.function, *args), in_torch(trial.gradient, *args)

        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return value(*with_variable(args, k, x))

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                (x,) = ctx.saved_tensors
                return torch.tensordot(g, gradient(*with_variable(args, k, x)), g.ndim)

        report = judge(Function.apply, (torch.tensor(np.array(args[k]), requires_grad=True),))
        verdicts = {report.verdict, *(each.verdict for each in report.trials)}
        return "WRONG" if "WRONG" in verdicts else "right" if report.ok else "undecided", str(report)

    try:
        found = [said_at(args) for args in trial.inputs()]
    except NotImplementedError as error:
        raise NotExpressibleError from error
    for said, text in found:
        if said == "WRONG":
            return Verdict("refused", "", text)
    return Verdict("passed" if any(said == "right" for said, _ in found) else "undecided", "", found[0][1])


# Peers


def by_check_grads(order: int) -> Callable[[Trial], Verdict]:
    """jax.test_util.check_grads, both modes."""

    def check(trial: Trial) -> Verdict:
        from jax.test_util import check_grads

        k = trial.specimen.position

        def at(args: tuple[Any, ...]) -> None:
            check_grads(lambda x: trial.ruled(*with_variable(args, k, x)), (jnp.asarray(args[k]),), order=order)

        return _first_refusal(trial, at)

    return check


def by_chex(trial: Trial) -> Verdict:
    """chex.assert_numerical_grads, of the order that is wrong."""
    import chex

    k, order = trial.specimen.position, trial.specimen.order

    def at(args: tuple[Any, ...]) -> None:
        f = lambda x: trial.ruled(*with_variable(args, k, x))  # noqa: E731
        chex.assert_numerical_grads(f, (jnp.asarray(args[k]),), order=order)

    return _first_refusal(trial, at)


def _first_refusal(trial: Trial, check: Callable[[tuple[Any, ...]], Any]) -> Verdict:
    for args in trial.inputs():
        try:
            if check(args) is False:
                return Verdict("refused")
        except NotExpressibleError:
            raise
        except Exception as error:
            return Verdict("refused", "", str(error)[:500])
    return Verdict("passed")


def by_scipy(trial: Trial) -> Verdict:
    """scipy.optimize.check_grad: an error without a verdict; 1e-6 of the gradient is allowed, and it takes scalars only."""
    from scipy.optimize import check_grad

    value, gradient, _, _ = trial.compiled
    k = trial.specimen.position

    def check(args: tuple[Any, ...]) -> bool:
        shape = np.shape(args[k])
        if np.ndim(value(*args)):
            raise NotExpressibleError

        def flat(v: Any) -> Any:
            return np.asarray(gradient(*with_variable(args, k, v.reshape(shape)))).ravel()

        error = check_grad(lambda v: float(value(*with_variable(args, k, v.reshape(shape)))), flat, args[k].ravel())
        return bool(error <= 1e-6 * max(1.0, float(np.linalg.norm(flat(args[k].ravel())))))

    if trial.specimen.order == 2:
        raise NotExpressibleError
    return _first_refusal(trial, check)


def by_torch(which: str) -> Callable[[Trial], Verdict]:
    """torch.autograd.gradcheck, slow and fast, and gradgradcheck."""

    def check(trial: Trial) -> Verdict:
        import torch

        value, _, backward, twice = trial.compiled
        k = trial.specimen.position

        def at(args: tuple[Any, ...]) -> bool:
            def put(x: Any) -> tuple[Any, ...]:
                return with_variable(args, k, x.detach().numpy())

            def tensor(v: Any) -> Any:
                return torch.tensor(np.array(v))

            class Backward(torch.autograd.Function):
                @staticmethod
                def forward(ctx: Any, x: Any, g: Any) -> Any:
                    ctx.save_for_backward(x, g)
                    return tensor(backward(g.detach().numpy(), *put(x)))

                @staticmethod
                def backward(ctx: Any, h: Any) -> Any:
                    x, g = ctx.saved_tensors
                    return tuple(map(tensor, twice(h.detach().numpy(), g.detach().numpy(), *put(x))))

            class Function(torch.autograd.Function):
                @staticmethod
                def forward(ctx: Any, x: Any) -> Any:
                    ctx.save_for_backward(x)
                    return tensor(value(*put(x)))

                @staticmethod
                def backward(ctx: Any, g: Any) -> Any:
                    return Backward.apply(*ctx.saved_tensors, g)

            given = (torch.tensor(np.array(args[k]), requires_grad=True),)
            if which == "twice":
                return torch.autograd.gradgradcheck(Function.apply, given)
            return torch.autograd.gradcheck(Function.apply, given, fast_mode=which == "fast")

        return _first_refusal(trial, at)

    return check


def by_hips(trial: Trial) -> Verdict:
    """autograd.test_util.check_grads of HIPS, reverse mode, order 2, its default."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    compiled, _, pull, twice = trial.compiled
    k = trial.specimen.position

    def at(args: tuple[Any, ...]) -> None:
        def put(x: Any) -> tuple[Any, ...]:
            return with_variable(args, k, x)

        def array(v: Any) -> Any:
            return np.array(v) if np.ndim(v) else float(v)

        value = primitive(lambda x: array(compiled(*put(x))))
        backward = primitive(lambda x, g: array(pull(g, *put(x))))
        defvjp(value, lambda ans, x: lambda g: backward(x, g))
        defvjp(
            backward,
            lambda ans, x, g: lambda h: array(twice(h, g, *put(x))[0]),
            lambda ans, x, g: lambda h: array(twice(h, g, *put(x))[1]),
        )
        check_grads(value, modes=["rev"])(array(args[k]))

    return _first_refusal(trial, at)


CHECKERS: dict[str, tuple[Callable[[Trial], Verdict], str]] = {
    "verify": (by_verify, ""),
    "judge_rule": (by_judge_rule, ""),
    "assert_gradients_agree": (by_assertion, ""),
    "autodiff_ref.torch.gradcheck": (by_our_gradcheck, "torch"),
    "jax check_grads, order 1": (by_check_grads(1), ""),
    "jax check_grads, order 2": (by_check_grads(2), ""),
    "chex assert_numerical_grads": (by_chex, "chex"),
    "torch gradcheck, slow": (by_torch("slow"), "torch"),
    "torch gradcheck, fast": (by_torch("fast"), "torch"),
    "torch gradgradcheck": (by_torch("twice"), "torch"),
    "scipy check_grad": (by_scipy, "scipy"),
    "autograd check_grads": (by_hips, "autograd"),
}
"""By name: the checker, and the package it needs. The first four are ours."""

OURS = ("verify", "judge_rule", "assert_gradients_agree", "autodiff_ref.torch.gradcheck")


def installed(name: str) -> bool:
    """Whether a checker can be run here."""
    return not CHECKERS[name][1] or find_spec(CHECKERS[name][1]) is not None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with jax.enable_x64(True), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        np.random.seed(0)  # noqa: NPY002  chex, JAX and HIPS draw directions from NumPy's own state
        yield


def judged(name: str, trial: Trial) -> Verdict:
    """What a checker says, and how long it took."""
    since = time.perf_counter()
    with _quiet():
        try:
            found = CHECKERS[name][0](trial)
        except NotExpressibleError:
            found = Verdict("not expressible")
        except Exception as error:
            found = Verdict("undecided", "", f"{type(error).__name__}: {error}"[:500])
    return Verdict(found.said, found.named, found.message, time.perf_counter() - since)
