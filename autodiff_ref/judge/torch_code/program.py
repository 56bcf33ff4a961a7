"""A function of PyTorch and its backward as programs in JAX: written down once for a precision, then evaluated at will."""

import inspect
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import lax
from jax.core import Tracer
from jax.extend import core

from autodiff_ref.judge.assertion.symmetric import is_read_as_symmetric
from autodiff_ref.judge.errors import first_line
from autodiff_ref.judge.numpy_code import Assumption
from autodiff_ref.judge.program import pairs
from autodiff_ref.judge.torch_code.drawing import seeded
from autodiff_ref.judge.torch_code.tracing import tracing
from autodiff_ref.judge.torch_code.values import FLOATS, NotFollowedError, apart, in_reals, is_float, to_torch

Function = Callable[..., Any]


def label_of_function(func: Any) -> str:
    """A Function by its class, another by its name."""
    owner = getattr(func, "__self__", None)
    if isinstance(owner, type):
        return owner.__name__
    return getattr(func, "__name__", type(func).__name__)


def _is_symmetric(x: torch.Tensor) -> bool:
    return x.ndim >= 2 and x.shape[-1] == x.shape[-2] > 1 and not x.is_complex() and torch.equal(x, x.mT)


def _called(func: Function, count: int) -> list[str]:
    """What the arguments are called, as `forward` or the function names them; by their places where it does not."""
    owner: Any = getattr(func, "__self__", None)
    is_apply = isinstance(owner, type) and issubclass(owner, torch.autograd.Function)
    named: Any = owner.forward if is_apply else func  # pyright: ignore[reportOptionalMemberAccess]
    try:
        found = list(inspect.signature(named).parameters.values())
    except (TypeError, ValueError):
        found = []
    names = [each.name for each in found if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if is_apply and not _sets_context_apart(owner):
        names = names[1:]  # ctx
    return [names[k] if k < len(names) else f"input_{k}" for k in range(count)]


def _sets_context_apart(owner: Any) -> bool:
    return owner.setup_context is not torch.autograd.Function.setup_context


def outputs_of(value: Any) -> list[torch.Tensor]:
    """The tensors that a function returned."""
    given = [value] if isinstance(value, torch.Tensor) else value
    if not isinstance(given, Iterable):
        raise TypeError(f"the function must return a tensor or several, and returns {type(value).__name__} {value!r:.40}")
    return [each for each in given if isinstance(each, torch.Tensor)]


@dataclass(frozen=True)
class Run:
    """What one run of a function and its backward gave."""

    outs: list[torch.Tensor]
    grads: list[torch.Tensor | None]


@dataclass(frozen=True)
class Written:
    """A run, written down: of what is differentiated by, of data and cotangents, all flat."""

    closed: Any
    outs: int
    """its first results are the outputs, then come the gradients, then what was taken for granted"""
    grads: int
    assumed: list[Assumption]
    before: int
    """how many assumptions the function itself made; the others are its backward's"""
    compared: int
    """how often the function itself compares floats at one place of its code, at most: as an iteration does"""
    reads_triangle: bool
    """whether it takes a matrix to be symmetric, and reads one triangle of it"""
    names: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """with `keep`, of each operation: its name and place, its results being the last ones"""
    kept: list[np.ndarray] = field(default_factory=list[np.ndarray])
    own_steps: int = 0
    """how many of them are of the function itself; the others are its backward's"""

    @property
    def dtypes(self) -> set[Any]:
        """Those of the numbers on the way."""
        return {var.aval.dtype for eqn in self.closed.jaxpr.eqns for var in eqn.outvars}

    @property
    def function(self) -> Any:
        """A jaxpr of the outputs, and of what the function itself took for granted."""
        taken = self.outs + self.grads
        return self._part([*range(self.outs), *range(taken, taken + self.before)])

    @property
    def backward(self) -> Any:
        """A jaxpr of the gradients, and of all that was taken for granted."""
        return self._part(range(self.outs, self.outs + self.grads + len(self.assumed)))

    def _part(self, places: Iterable[int]) -> Any:
        jaxpr = self.closed.jaxpr
        chosen = jaxpr.replace(outvars=[jaxpr.outvars[k] for k in places])
        return core.ClosedJaxpr(_needed(chosen), self.closed.consts)


def _needed(jaxpr: Any) -> Any:
    """Without the equations that no result needs."""
    wanted = {var for var in jaxpr.outvars if not isinstance(var, core.Literal)}
    kept: list[Any] = []
    for eqn in reversed(jaxpr.eqns):
        if any(var in wanted for var in eqn.outvars):
            kept.append(eqn)
            wanted.update(var for var in eqn.invars if not isinstance(var, core.Literal))
    return jaxpr.replace(eqns=kept[::-1], debug_info=jaxpr.debug_info.with_unknown_names())


class Subject:
    """A function of PyTorch at one input, and what of it is differentiated by what.

    Args:
        func: what is differentiated.
        inputs: its arguments, on the CPU.
        by: the places of the tensors that it is differentiated by.
        of: the function whose gradient is meant, where that is not `func` itself.
        called: what all arguments are called; by default as `func` names them.
    """

    def __init__(
        self,
        func: Function,
        inputs: Sequence[Any],
        by: Sequence[int],
        of: Function | None = None,
        called: Sequence[str] | None = None,
    ) -> None:
        self.called = list(called or _called(func, len(inputs)))
        self.func, self.inputs, self.by, self.of = func, list(inputs), list(by), of
        self.data = [k for k, x in enumerate(inputs) if isinstance(x, torch.Tensor) and k not in self.by]
        self._written: dict[Any, Written] = {}
        self.draws = False
        """whether it draws random numbers"""

    def seeded(self) -> seeded:
        """Random numbers as each of its runs gets them."""
        return seeded(alike=self.draws)

    def drawing_as(self, other: "Subject") -> "Subject":
        """Itself, known to draw random numbers where another one does."""
        self.draws = other.draws
        return self

    @property
    def names(self) -> list[str]:
        """What the arguments are called that it is differentiated by."""
        return [self.called[k] for k in self.by]

    @property
    def arrays(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The numbers of what it is differentiated by, and of its data: reals, complex ones as their parts."""
        return [in_reals(self.inputs[k]) for k in self.by], [in_reals(self.inputs[k]) for k in self.data]

    def given(self, by: Sequence[Any], data: Sequence[Any], *, apart: bool = False) -> list[Any]:
        """Arguments with these numbers in the tensors, laid out in memory as the subject's own.

        With `apart` each entry has memory of its own, in expanded tensors too.
        """
        made = list(self.inputs)
        for places, values, differentiated in ((self.by, by, True), (self.data, data, False)):
            for k, value in zip(places, values, strict=True):
                numbers, model = to_torch(value, self.inputs[k]), self.inputs[k]
                laid = numbers.contiguous() if apart and is_expanded(model) else like(model, numbers)
                made[k] = laid.requires_grad_(differentiated)
        return made

    def run(self, by: Sequence[Any], data: Sequence[Any], cotangents: Sequence[Any] | None, *, apart: bool = False) -> Run:
        """Runs it for real."""
        with self.seeded():
            return self.run_at(self.given(by, data, apart=apart), cotangents)

    def note_draws(self, cotangents: Sequence[Any]) -> None:
        """Runs it once, and notes whether it draws random numbers."""
        with seeded() as state:
            self.run_at(self.given(*self.arrays), cotangents)
            self.draws = state.drew

    def gradients(self, cotangents: Sequence[Any]) -> list[np.ndarray]:
        """What its backward returns at its own input, as arrays."""
        by, data = self.arrays
        return as_arrays(self.run(by, data, cotangents).grads, by)

    def run_at(self, given: list[Any], cotangents: Sequence[Any] | None, between: Callable[[], None] | None = None) -> Run:
        """Runs it on these arguments, and its backward; `between` is called after the first."""
        outs = [out for out in outputs_of(self.func(*given)) if is_float(out) and out.requires_grad]
        if between is not None:
            between()
        return Run(outs, [] if cotangents is None else self.backward(outs, given, cotangents))

    def backward(
        self, outs: Sequence[torch.Tensor], given: list[Any], cotangents: Sequence[Any], *, again: bool = False
    ) -> list[torch.Tensor | None]:
        """Runs the backward of outputs; `again` where it is to be run once more."""
        pairs = [(out, as_cotangent(out, c)) for out, c in zip(outs, cotangents, strict=True) if c is not None]
        found = torch.autograd.grad(
            [out for out, _ in pairs],
            [given[k] for k in self.by],
            [c for _, c in pairs],
            allow_unused=True,
            retain_graph=again,
        )
        return list(found)

    def _reads_as_symmetric(self, k: int) -> bool:
        def value(x: np.ndarray) -> np.ndarray:
            moved = [torch.from_numpy(x) if j == k else given for j, given in enumerate(self.inputs)]
            with torch.no_grad(), self.seeded():
                outs = outputs_of((self.of or self.func)(*moved))
            return np.concatenate([out.numpy().ravel() for out in outs])

        return is_read_as_symmetric(value, self.inputs[k].detach().cpu().numpy())

    def of_symmetric(self, *, triangle: bool) -> "Subject | None":
        """The function of the symmetric part of each matrix that is symmetric here; None where none is.

        With `triangle` only of those of which it reads one triangle.
        """
        chosen = [k for k in self.by if _is_symmetric(self.inputs[k]) and (not triangle or self._reads_as_symmetric(k))]
        if not chosen:
            return None

        def made(f: Function) -> Function:
            def of_symmetric(*args: Any) -> Any:
                return f(*[(x + x.mT) / 2 if k in chosen else x for k, x in enumerate(args)])

            of_symmetric.__name__ = label_of_function(f)
            return of_symmetric

        of = None if self.of is None else made(self.of)
        return Subject(made(self.func), self.inputs, self.by, of, self.called).drawing_as(self)

    def written(self, dtype: Any, cotangents: Sequence[np.ndarray], *, keep: bool = False) -> Written:
        """The run written down: with all floats of a dtype, or each of its own for None."""
        key = dtype, keep
        if key not in self._written:
            self._written[key] = self._write(dtype, cotangents, keep)
        return self._written[key]

    def used(self, cotangents: Sequence[np.ndarray]) -> set[str]:
        """The names of the arguments that the function itself reads."""
        written = self.written(None, cotangents)
        jaxpr = written.function.jaxpr
        read = {id(var) for eqn in jaxpr.eqns for var in eqn.invars} | {id(var) for var in jaxpr.outvars}
        return {name for name, var in zip(self.names, jaxpr.invars, strict=False) if id(var) in read}

    def _write(self, dtype: Any, cotangents: Sequence[np.ndarray], keep: bool) -> Written:
        def wide(array: np.ndarray) -> np.ndarray:
            return array.astype(dtype) if dtype is not None and jnp.issubdtype(array.dtype, jnp.floating) else array

        by, data = self.arrays
        values = [[wide(x) for x in part] for part in (by, data, cotangents)]
        told: dict[str, Any] = {}

        def flat(*arrays: Any) -> list[Any]:
            ends = np.cumsum([len(part) for part in values])
            traced = arrays[: ends[0]], arrays[ends[0] : ends[1]], arrays[ends[1] :]
            made = self._traced(values, traced, keep)
            told.update(made)
            return [*made["outs"], *made["grads"], *[a.array for a in made["assumed"]], *[s.array for s in made["steps"]]]

        with jax.enable_x64(True), self.seeded():
            closed = _in_reals(jax.make_jaxpr(flat)(*[x for part in values for x in part]))
        return Written(
            closed,
            len(told["outs"]),
            len(told["grads"]),
            told["assumed"],
            told["before"],
            told["compared"],
            told["reads_triangle"],
            [(step.operation, step.place) for step in told["steps"]],
            [step.value for step in told["steps"]],
            told["own_steps"],
        )

    def _traced(self, values: list[list[np.ndarray]], traced: Sequence[Any], keep: bool) -> dict[str, Any]:
        given = self.given(*values[:2], apart=True)
        with tracing(keep=keep) as trace:
            for places, arrays in zip((self.by, self.data), traced, strict=False):
                for k, array in zip(places, arrays, strict=True):
                    trace.define(given[k], together(array, given[k]))
            with _raising_here_alone():
                every = outputs_of(self.func(*given))
            outs = [out for out in every if is_float(out) and out.requires_grad]
            read = [apart(trace.read(out)) for out in outs]
            before, compared = len(trace.assumptions), max(trace.compared.values(), default=0)
            own_steps = len(trace.steps)
            cotangents = [as_cotangent(out, c) for out, c in zip(outs, values[2], strict=True)]
            for c, array in zip(cotangents, traced[2], strict=True):
                trace.define(c, together(array, c))
            with _raising_here_alone():
                found = torch.autograd.grad(outs, [given[k] for k in self.by], cotangents, allow_unused=True)
            grads = [
                jnp.zeros(v.shape, v.dtype) if g is None else apart(trace.read(g))
                for g, v in zip(found, traced[0], strict=True)
            ]
        assumed = list(trace.assumptions)
        if self.of is not None:
            read, taken = self._traced_of(values, traced, outs)
            assumed, before = [*taken, *assumed], len(taken)
        steps = list(trace.steps)
        told = {"assumed": assumed, "before": before, "compared": compared, "reads_triangle": trace.reads_triangle}
        return {"outs": read, "grads": grads, "steps": steps, "own_steps": own_steps, **told}

    def _traced_of(self, values: Any, traced: Any, outs: list[torch.Tensor]) -> tuple[list[Any], list[Assumption]]:
        """The outputs of the function whose gradient is meant."""
        assert self.of is not None
        given = self.given(*values[:2], apart=True)
        with tracing() as trace:
            for places, arrays in zip((self.by, self.data), traced, strict=False):
                for k, array in zip(places, arrays, strict=True):
                    trace.define(given[k], together(array, given[k]))
            found = [out for out in outputs_of(self.of(*given)) if is_float(out)][: len(outs)]
            read = [apart(trace.read(out)) for out in found]
        shapes = [tuple(out.shape) + (2,) * out.is_complex() for out in outs]
        if [tuple(x.shape) for x in read] != shapes:
            raise ValueError(f"`of` returns shapes {[tuple(x.shape) for x in read]}, and the function {shapes}")
        return read, list(trace.assumptions)

    def value_of(self, by: Sequence[Any], data: Sequence[Any], *, apart: bool = False) -> list[np.ndarray]:
        """What the function whose gradient is meant returns, for real."""
        with self.seeded():
            outs = outputs_of((self.of or self.func)(*self.given(by, data, apart=apart)))
        return [in_reals(out) for out in outs if is_float(out) and (self.of is not None or out.requires_grad)]


@contextmanager
def _raising_here_alone() -> Generator[None]:
    """Says of code that runs by itself, and raises an error where it is written down, that it is not followed.

    Raises:
        NotFollowedError: with what it raised.
    """
    try:
        yield
    except NotFollowedError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        raise NotFollowedError("it raises an error only where it is followed", said) from error


def together(array: Any, model: torch.Tensor) -> Any:
    """What is traced of the parts of a complex tensor, as complex numbers; of a real one as it is."""
    return lax.complex(array[..., 0], array[..., 1]) if model.is_complex() else array


def _in_reals(closed: Any) -> Any:
    """In pairs of reals.

    Raises:
        NotFollowedError: an operation has no rule for complex numbers.
    """
    try:
        return pairs.in_reals(closed)
    except NotImplementedError as error:
        raise NotFollowedError("complex numbers", str(error)) from error


def is_expanded(x: torch.Tensor) -> bool:
    """Whether entries share memory."""
    return any(step == 0 and n > 1 for step, n in zip(x.stride(), x.shape, strict=True))


def like(model: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """A new tensor with these numbers, and the strides of another: expanded where that one is."""
    shape, stride = tuple(model.shape), model.stride()
    if model.is_contiguous() or not model.numel():
        return value.contiguous().clone()
    if is_expanded(model):
        first = value
        for axis, (n, s) in enumerate(zip(shape, stride, strict=True)):
            first = first.narrow(axis, 0, 1) if n > 1 and s == 0 else first
        return first.contiguous().clone().expand(shape)
    size = 1 + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    memory = torch.zeros(size, dtype=value.dtype)
    made = memory.as_strided(shape, stride)
    made.copy_(value)
    return made.detach()


def as_cotangent(out: torch.Tensor, value: Any) -> torch.Tensor:
    """A cotangent of an output with these numbers; a tensor as it is, with its layout."""
    if isinstance(value, torch.Tensor):
        return torch.view_as_complex(value.contiguous()) if out.is_complex() and not value.is_complex() else value
    return to_torch(value, out).to(out.dtype).reshape(out.shape).clone()


@dataclass
class Reference:
    """⟨cotangent, function⟩: what JAX differentiates."""

    subject: Subject
    cotangents: list[np.ndarray]
    __name__: str = "func"
    assumed: list[Assumption] = field(default_factory=list[Assumption])

    def __call__(self, by: Any, data: Any, upstream: Any) -> Any:
        """The sum over all outputs, each times its cotangent."""
        values = [by[name] for name in self.subject.names]
        if not isinstance(values[0], Tracer):
            outs = self.subject.value_of(values, list(data))
            return sum(np.sum(out * c) for out, c in zip(outs, upstream, strict=True))
        written = self.subject.written(_dtype_for(self.subject, values), self.cotangents)
        flat = [*values, *data, *upstream]
        both = _evaluated(written.function, flat)
        found, taken = both[: written.outs], both[written.outs :]
        self.assumed = [Assumption(x, a.value, a.place) for x, a in zip(taken, written.assumed, strict=False)]
        return sum((jnp.sum(out * c) for out, c in zip(found, upstream, strict=True)), jnp.zeros(()))


@dataclass
class Candidate:
    """What PyTorch's autograd makes of the cotangent: the backward that someone wrote."""

    subject: Subject
    cotangents: list[np.ndarray]
    __name__: str = "backward"
    assumed: list[Assumption] = field(default_factory=list[Assumption])

    def __call__(self, by: Any, data: Any, upstream: Any) -> Any:
        """The gradients, by name."""
        values = [by[name] for name in self.subject.names]
        if not isinstance(values[0], Tracer):
            run = self.subject.run(values, list(data), list(upstream))
            return dict(zip(self.subject.names, as_arrays(run.grads, values), strict=True))
        written = self.subject.written(_dtype_for(self.subject, values), self.cotangents)
        flat = [*values, *data, *upstream]
        both = _evaluated(written.backward, flat)
        grads, taken = both[: written.grads], both[written.grads :]
        self.assumed = [Assumption(x, a.value, a.place) for x, a in zip(taken, written.assumed, strict=True)]
        return dict(zip(self.subject.names, grads, strict=True))


def as_arrays(grads: Sequence[torch.Tensor | None], like: Sequence[Any]) -> list[np.ndarray]:
    """Gradients as arrays; None is zero to autograd."""
    return [
        np.zeros(np.shape(x), np.asarray(x).dtype) if g is None else in_reals(g) for g, x in zip(grads, like, strict=True)
    ]


def _dtype_for(subject: Subject, values: Sequence[Any]) -> Any:
    """float64 where a trace is made in it though the inputs are of less; None where each has its own dtype."""
    own = [x.dtype for x in subject.arrays[0]]
    return None if [np.dtype(v.dtype) for v in values] == own else np.float64


def _evaluated(closed: Any, flat: Sequence[Any]) -> list[Any]:
    if not closed.jaxpr.outvars:
        return []
    given = [jnp.asarray(x).astype(aval.dtype) for x, aval in zip(flat, closed.in_avals, strict=True)]
    return list(core.jaxpr_as_fun(closed)(*given))


__all__ = [
    "FLOATS",
    "Candidate",
    "Reference",
    "Run",
    "Subject",
    "Written",
    "as_arrays",
    "label_of_function",
    "like",
    "outputs_of",
]
