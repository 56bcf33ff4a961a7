"""What has been traced of a derivation, each once: its lines at every shape, and ∇ of every function the lines share."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from copy import copy
from typing import Any, TypeVar

import jax
import numpy as np
from jax.core import Tracer

from autodiff_ref.judge.errors import LineError
from autodiff_ref.judge.lines.in_numpy import in_numpy
from autodiff_ref.judge.lines.reference import Differentiated
from autodiff_ref.judge.lines.trace import (
    ShapeKey,
    Traced,
    shape_key,
    trace_condition,
    trace_line,
    trace_of,
    trace_reference,
)
from autodiff_ref.judge.numpy_code import reaches_more
from autodiff_ref.judge.numpy_code.conversions import none_caught
from autodiff_ref.judge.numpy_code.written_for import uses_jax, uses_numpy, writes_in_place
from autodiff_ref.judge.program.plans import Plan
from autodiff_ref.nabla import Nabla, require_function, staged_nabla, with_functions_held
from autodiff_ref.nabla import nabla as jax_nabla
from autodiff_ref.trees import Arguments, Function, PyTree
from manual_grad.derivation import Derivation, Line

T = TypeVar("T")


class Traces:
    """The traces of one derivation, and of others that differ from it in some lines only.

    They hold what its functions were when they were traced: not to be kept for long.
    """

    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        self._traced: dict[tuple[int | str, ShapeKey], Traced] = {}
        self._gradients: dict[tuple[int, str | None], Function] = {}
        self._found: dict[tuple[Hashable, ...], Any] = {}
        self._in_numpy: dict[int, Function] = {}
        """by the id of a function that is written for NumPy, the same for JAX"""
        self._kept: list[Function] = []
        """the functions that are known by their ids, so that these stay their own"""

    def shared_with(self, derivation: Derivation) -> "Traces":
        """The same traces, for a derivation with other lines.

        Raises:
            ValueError: it differentiates another function, by something else or over another domain.
        """
        own = self.derivation
        claims = [(each.of, each.wrt, each.is_gradient) for each in (own, derivation)]
        if claims[0] != claims[1] or own.domain is not derivation.domain:
            raise ValueError(f"the traces are those of {own.name}: {derivation.name} has another `of`, `wrt` or domain")
        shared = copy(self)
        shared.derivation = derivation
        return shared

    def line(self, line: Line | None, args: Arguments) -> Traced:
        """A line at the shapes of `args`; None is the reference.

        Raises:
            LineError: the line raises, or returns something of another shape than the gradient.
        """
        key = id(line), shape_key(args)
        if key not in self._traced:
            if line is None:
                self._traced[key] = self.read(self.derivation.of, lambda of: trace_reference(self._of(of), args, self.nabla))
            else:
                shapes = self.line(None, args).shapes
                self._traced[key] = self.read(line, lambda line: trace_line(self.derivation, line, args, shapes, self.nabla))
        return self._traced[key]

    def condition(self, condition: Function, args: Arguments) -> Plan | None:
        """A condition of the user's at the shapes of `args`; None where balls cannot compute it."""
        key = "condition", id(condition), shape_key(args)
        if key not in self._found:
            try:
                traced = self.read(condition, lambda each: trace_condition(each, self.derivation, args))
            except LineError:
                traced = None
            self._found[key] = traced and traced.plan
        return self._found[key]

    def is_in_numpy(self, f: Function) -> bool:
        """Whether a function was traced as NumPy code."""
        return id(f) in self._in_numpy

    def hands_numpy_to_nabla(self, line: Line | None, args: Arguments) -> bool:
        """Whether a line has NumPy code under a ∇; None is the reference."""
        handed = [call.f for call in self.line(line, args).calls] if line else [self.derivation.of]
        return any(map(self.is_in_numpy, handed))

    def for_jax(self, f: Function) -> Function:
        """A function that was traced, as JAX can trace it again."""
        return self._in_numpy.get(id(f), f)

    def _of(self, of: Function) -> Derivation:
        return self.derivation if of is self.derivation.of else self.derivation.with_function(of)

    def read(self, f: Function, trace: Callable[[Function], T]) -> T:
        """Traces a function as JAX's code, or where that fails or it writes in place, as NumPy's.

        Raises:
            Exception: neither can be done.
        """
        self._kept.append(f)
        way, made = _read(f, [self._in_numpy[id(f)]] if id(f) in self._in_numpy else _ways(f), trace)
        if way is not f:
            self._in_numpy[id(f)] = way
        return made

    @property
    def traced(self) -> list[Traced]:
        """All that has been traced so far."""
        return list(self._traced.values())

    def of(self, args: Arguments) -> Traced:
        """The function that is differentiated, and what it hands to ∇ itself."""
        key = "of", shape_key(args)
        if key not in self._traced:
            self._traced[key] = self.read(self.derivation.of, lambda of: trace_of(self._of(of), args, self.nabla))
        return self._traced[key]

    def nabla(self, wrt: str | None) -> Nabla:
        """JAX's ∇, under `jit`, which traces the derivative of a function once for all lines that need it."""
        derivative_of, staged = jax_nabla(wrt), staged_nabla(wrt)

        def gradient_of(f: Function, wrt: str | None = wrt) -> Function:
            def at(f: Function, args: Arguments) -> PyTree:
                if not all(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(args)):
                    return derivative_of(f, wrt)(*args)  # numbers may be meant to be known, and under jit are not
                if (id(f), wrt) not in self._gradients:
                    self._kept.append(f)
                    self._gradients[id(f), wrt] = jax.jit(staged(f, wrt))
                return self._gradients[id(f), wrt](*args)

            def jacobian(*args: PyTree) -> PyTree:
                return self.read(f, lambda f: at(f, with_functions_held(args)))

            return jacobian

        return gradient_of

    def differentiated(
        self, f: Function, wrt: str | None, args: Arguments, name: str, labels: Sequence[bool]
    ) -> Differentiated:
        """A function and JAX's derivative of it, at the shapes of `args`."""
        key = "differentiated", id(f), wrt, shape_key(args)
        if key not in self._found:
            self._kept.append(f)
            self._found[key] = Differentiated.of(self.for_jax(f), wrt, args, name, labels, self.nabla)
        return self._found[key]

    def once(self, what: str, f: Function, wrt: str | None, args: Arguments, find: Callable[[], T]) -> T:
        """What `find` finds out of a function at its arguments; asked a second time, the same."""
        values = tuple(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(args))
        key = what, id(f), wrt, shape_key(args), values
        if key not in self._found:
            self._kept.append(f)
            self._found[key] = find()
        return self._found[key]


def numpy_nabla(wrt: str | None) -> Nabla:
    """`nabla`, of NumPy code as of JAX's, in float64; it returns NumPy's arrays where it is handed no array of JAX's.

    Example:
        >>> numpy_nabla("w")(lambda w, x: np.tanh(x * w))(np.zeros(2), np.ones(2))
        array([[1., 0.],
               [0., 1.]])
    """
    by_jax = jax_nabla(wrt)

    def gradient_of(f: Function, wrt: str | None = wrt) -> Function:
        require_function(f)

        def jacobian(*args: PyTree) -> PyTree:
            with jax.enable_x64(True):
                _, made = _read(f, _ways(f), lambda way: by_jax(way, wrt)(*args))
            in_jax = any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(args))
            return made if in_jax else jax.tree.map(np.array, made)

        return jacobian

    return gradient_of


def _read(f: Function, ways: Iterable[Function], trace: Callable[[Function], T]) -> tuple[Function, T]:
    """The first way in which a function can be traced, and what is made of it.

    Raises:
        Exception: there is none; what is raised is of the way that its code suggests.
    """
    errors = dict[bool, Exception]()
    for way in ways:
        try:
            with none_caught():
                return way, trace(way)
        except Exception as error:
            if isinstance(error, LineError) and error.__cause__ is None:  # nothing was raised: it is the wrong shape
                raise
            errors.setdefault(way is not f, error)
    suggested = (uses_numpy(f) or _does_what_numpy_does(errors.get(False))) and not uses_jax(f)
    raise errors.get(suggested) or errors[not suggested]


def _does_what_numpy_does(error: Exception | None) -> bool:
    """Whether JAX stopped at what its arrays cannot do and NumPy's can: to be written into, and to be read by masks."""
    cause = error.__cause__ or error if error is not None else None
    return isinstance(cause, jax.errors.NonConcreteBooleanIndexError) or "arrays are immutable" in str(cause)


def _ways(f: Function) -> Iterator[Function]:
    """How a function may be traced, in turn: by JAX, with stand-ins for NumPy's arrays, and with more of what it reaches."""
    numpys = in_numpy(f)
    yield from (numpys, f) if writes_in_place(f) and not uses_jax(f) else (f, numpys)
    if reaches_more(f):
        yield in_numpy(f, thoroughly=True)
