"""What has been traced of a derivation, each once: its lines at every shape, and ∇ of every function the lines share."""

from collections.abc import Callable
from typing import Any

import jax
from jax.core import Tracer

from autodiff_ref.nabla import Nabla
from autodiff_ref.nabla import nabla as jax_nabla
from autodiff_ref.verify.trace import REFERENCE, Traced, shape_key, trace_line, trace_of, trace_reference
from manual_grad.derivation import Derivation, Line, label_of


class Traces:
    """The traces of one derivation. They hold what its functions were when they were traced: not to be kept for long."""

    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        self._traced: dict[tuple[Any, ...], Traced] = {}
        self._gradients: dict[tuple[int, str | None], tuple[Callable[..., Any], Callable[..., Any]]] = {}
        """by the id of a function and by what: the function, so that its id stays its own, and its compiled derivative"""

    def line(self, line: Line | None, args: tuple[Any, ...]) -> Traced:
        """A line at the shapes of `args`; None is the reference.

        Raises:
            LineError: the line raises, or returns something of another shape than the gradient.
        """
        key = REFERENCE if line is None else label_of(line), shape_key(args)
        if key not in self._traced:
            if line is None:
                self._traced[key] = trace_reference(self.derivation, args, self.nabla)
            else:
                self._traced[key] = trace_line(self.derivation, line, args, self.line(None, args).shapes, self.nabla)
        return self._traced[key]

    def of(self, args: tuple[Any, ...]) -> Traced:
        """The function that is differentiated, and what it hands to ∇ itself."""
        key = "of", None, shape_key(args)
        if key not in self._traced:
            self._traced[key] = trace_of(self.derivation, args, self.nabla)
        return self._traced[key]

    def nabla(self, wrt: str | None) -> Nabla:
        """JAX's ∇, under `jit`, which traces the derivative of a function once for all lines that need it."""
        derivative_of = jax_nabla(wrt)

        def gradient_of(f: Callable[..., Any], wrt: str | None = wrt) -> Callable[..., Any]:
            plain = derivative_of(f, wrt)

            def jacobian(*args: Any) -> Any:
                if not all(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(args)):
                    return plain(*args)  # numbers among them may be meant to be known, and under jit are not
                _, compiled = self._gradients.setdefault((id(f), wrt), (f, jax.jit(plain)))
                return compiled(*args)

            return jacobian

        return gradient_of
