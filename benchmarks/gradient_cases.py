"""Right and wrong gradients to check checkers by: sines, a tanh-softmax net, and the notes, at several weight scales."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

sys.path.insert(0, str(Path(__file__).parents[1]))
from autodiff_ref import nabla
from manual_grad import Derivation, Weights, classes, contract, grad_w11, grad_w12, grad_w21, log_likelihood, notes, reals
from tests.wrong import WRONG_LINES

CLOSED_FORMS = {"w11": grad_w11, "w12": grad_w12, "w21": grad_w21}
SINE_SIZES = (1, 10, 100, 1_000, 10_000, 100_000)
MISTAKES = (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
SCALES = (1e-3, 1.0, 30.0)


@dataclass(frozen=True)
class Case:
    """A gradient that is right or wrong, and an input."""

    family: str
    name: str
    wrong: bool
    of: Callable[..., Any]
    candidate: Callable[..., Any]
    args: tuple[Any, ...]
    """NumPy arrays; their floats have the case's dtype"""
    wrt: str | None = None
    derivation: Derivation | None = None
    label: str = ""
    """the wrong line in `derivation`"""
    mistake: float = 0.0
    """relative, where it is a factor 1 + c"""
    size: int = 0
    right: Callable[..., Any] | None = None
    """what a wrong one would be without its mistake"""

    @property
    def dtype(self) -> Any:
        """float32 or float64."""
        return np.asarray(jax.tree.leaves(self.args)[0]).dtype

    def flat(self) -> tuple[np.ndarray, Callable[[Any], Any], Callable[[Any], Any]]:
        """(v, loss(v), gradient(v)) as functions of one vector, for checkers that take no other."""
        first = self.args[0] if self.wrt is None else getattr(self.args[0], self.wrt)
        v, unravel = ravel_pytree(first)

        def args(v: Any) -> tuple[Any, ...]:
            value = unravel(v)
            return (value if self.wrt is None else self.args[0]._replace(**{self.wrt: value}), *self.args[1:])

        def gradient(v: Any) -> np.ndarray:
            given = jax.tree.map(np.asarray, args(jnp.asarray(v)))
            return np.asarray(ravel_pytree(jax.tree.map(jnp.asarray, self.candidate(*given)))[0])

        key = self.of, self.wrt, tuple(map(id, jax.tree.leaves(self.args)))
        if key not in _LOSSES:
            _LOSSES[key] = self.args, jax.jit(lambda v: self.of(*args(v)))
        return np.asarray(v), _LOSSES[key][1], gradient


_LOSSES: dict[Any, tuple[Any, Callable[[Any], Any]]] = {}
"""by function and arguments, which are kept alive for their ids: compiled once for all gradients that are checked there"""


# Sines


def sum_of_sines(x: Any) -> Any:
    """Σ sin x_i"""
    return jnp.sum(jnp.sin(x))


def _sines(dtype: Any) -> Iterator[Case]:
    for n in SINE_SIZES:
        x = np.linspace(0.1, 1.4, n).astype(dtype)
        yield Case("sin", f"cos, n={n}", False, sum_of_sines, jnp.cos, (x,), size=n)
        for c in MISTAKES:
            line = partial(_scaled_cos, c)
            derivation = Derivation("∇ Σ sin x", sum_of_sines, None, (reals("n"),), [_named(line, "scaled_cos")])
            yield Case(
                "sin", f"(1 + {c:g}) cos, n={n}", True, sum_of_sines, line, (x,), None, derivation, "scaled_cos", c, n
            )


def _scaled_cos(c: float, x: Any) -> Any:
    return (1 + c) * jnp.cos(x)


def _named(f: Callable[..., Any], name: str) -> Callable[..., Any]:
    def line(*args: Any, nabla: Any) -> Any:
        return f(*args)

    line.__name__ = name
    return line


# A net: x (n, d) → tanh(x W1ᵀ + b1) (n, h) → softmax(· W2ᵀ + b2) (n, k); −Σ log p of the classes t


class Net(NamedTuple):
    """Its weights."""

    w1: Any
    b1: Any
    w2: Any
    b2: Any


def preactivation(net: Net, x: Any) -> Any:
    """X W1ᵀ + b1"""
    return x @ net.w1.T + net.b1


def logits(net: Net, x: Any) -> Any:
    """tanh(a) W2ᵀ + b2"""
    return jnp.tanh(preactivation(net, x)) @ net.w2.T + net.b2


def cross_entropy(net: Net, x: Any, t: Any) -> Any:
    """−Σ_i log softmax(z_i)[t_i]"""
    return -jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(logits(net, x)), t[:, None], axis=1))


def _forward(net: Net, x: Any) -> tuple[Any, Any, Any]:
    a = preactivation(net, x)
    h = jnp.tanh(a)
    return a, h, jax.nn.softmax(h @ net.w2.T + net.b2)


def _backward(
    net: Net,
    x: Any,
    t: Any,
    delta: Callable[..., Any] = lambda p, one, z: p - one,
    slope: Callable[..., Any] = lambda a, h: 1 - h * h,
    back: Callable[..., Any] = lambda d2, w2: d2 @ w2,
    last: Callable[..., Any] = lambda net, x, d1, d2, a, h: Net(d1.T @ x, d1.sum(0), d2.T @ h, d2.sum(0)),
) -> Net:
    """The backward pass; each part may be replaced by another form of it, or by a mistake."""
    a, h, p = _forward(net, x)
    d2 = delta(p, jax.nn.one_hot(t, p.shape[1], dtype=p.dtype), h @ net.w2.T + net.b2)
    d1 = back(d2, net.w2) * slope(a, h)
    return last(net, x, d1, d2, a, h)


def _gradient(d1: Any, d2: Any, x: Any, h: Any) -> Net:
    return Net(d1.T @ x, d1.sum(0), d2.T @ h, d2.sum(0))


def _in_place(net: Net, x: Any, t: Any, factor: float = 1.0) -> Net:
    """As it is often written in NumPy, with loops and writing into arrays."""
    net, x, t = jax.tree.map(np.asarray, (net, x, t))
    gradient = jax.tree.map(np.zeros_like, net)
    for row, label in zip(x, t, strict=True):
        h = np.tanh(net.w1 @ row + net.b1)
        z = net.w2 @ h + net.b2
        d2 = np.exp(z - z.max())
        d2 /= d2.sum()
        d2[label] -= 1
        d1 = net.w2.T @ d2 * (1 - h**2) * net.b1.dtype.type(factor)
        for part, step in zip(gradient, (np.outer(d1, row), d1, np.outer(d2, h), d2), strict=True):
            part += step
    return gradient


RIGHT_NETS: dict[str, Callable[..., Any]] = {
    "p − t, 1 − tanh²": _backward,
    "sech² for 1 − tanh²": partial(_backward, slope=lambda a, h: 1 / jnp.cosh(a) ** 2),
    "(1 − tanh)(1 + tanh)": partial(_backward, slope=lambda a, h: (1 - h) * (1 + h)),
    "4σ(2a)σ(−2a)": partial(_backward, slope=lambda a, h: 4 * jax.nn.sigmoid(2 * a) * jax.nn.sigmoid(-2 * a)),
    "exp(z)/Σ exp(z), not shifted": partial(
        _backward, delta=lambda p, one, z: jnp.exp(z) / jnp.exp(z).sum(1, keepdims=True) - one
    ),
    "−Σ_{j≠t} p_j at t": partial(
        _backward, delta=lambda p, one, z: p * (1 - one) - one * (p * (1 - one)).sum(1, keepdims=True)
    ),
    "in place, NumPy": _in_place,
}

WRONG_NETS: dict[str, Callable[..., Any]] = {
    "the mean for the sum": lambda net, x, t: jax.tree.map(lambda g: g / len(x), _backward(net, x, t)),
    "t − p": partial(_backward, delta=lambda p, one, z: one - p),
    "t not subtracted": partial(_backward, delta=lambda p, one, z: p),
    "softmax' once too often": partial(_backward, delta=lambda p, one, z: (p - one) * p * (1 - p)),
    "softmax' on the diagonal only": partial(_backward, delta=lambda p, one, z: -one * (1 - p)),
    "classes shifted by one": lambda net, x, t: _backward(net, x, (t + 1) % net.w2.shape[0]),
    "log(p + 1e-8)": partial(
        _backward, delta=lambda p, one, z: (p - one) * (s := (one * p).sum(1, keepdims=True)) / (s + 1e-8)
    ),
    "p clipped to 1e-7": partial(
        _backward, delta=lambda p, one, z: jnp.where((one * p).sum(1, keepdims=True) < 1e-7, 0, p - one)
    ),
    "tanh' forgotten": partial(_backward, slope=lambda a, h: 1),
    "σ' for tanh'": partial(_backward, slope=lambda a, h: h * (1 - h)),
    "1 − h": partial(_backward, slope=lambda a, h: 1 - h),
    "1 − a²": partial(_backward, slope=lambda a, h: 1 - a * a),
    "tanh' at h": partial(_backward, slope=lambda a, h: 1 - jnp.tanh(h) ** 2),
    "ReLU's mask on top": partial(_backward, slope=lambda a, h: (1 - h * h) * (a > 0)),
    "W2 transposed": partial(_backward, back=lambda d2, w2: d2 @ w2.T),
    "b1 from the layer above": partial(
        _backward, last=lambda net, x, d1, d2, a, h: _gradient(d1, d2, x, h)._replace(b1=d2.sum(0))
    ),
    "b2 of the last example": partial(
        _backward, last=lambda net, x, d1, d2, a, h: _gradient(d1, d2, x, h)._replace(b2=d2[-1])
    ),
    "a for h in W2": partial(_backward, last=lambda net, x, d1, d2, a, h: _gradient(d1, d2, x, a)),
    "one example dropped": lambda net, x, t: _backward(net, x[:-1], t[:-1]),
    "a penalty that the loss has not": lambda net, x, t: jax.tree.map(lambda g, w: g + 1e-6 * w, _backward(net, x, t), net),
    "0.999 for 1, in place": partial(_in_place, factor=0.999),
}


def line_1(net: Net, x: Any, t: Any, nabla: Any) -> Any:
    """Σ (p − t) ∇z"""
    p = _forward(net, x)[2]
    return contract(p - jax.nn.one_hot(t, p.shape[1], dtype=p.dtype), nabla(logits)(net, x))


def _nets(dtype: Any) -> Iterator[Case]:
    n, d, units = 6, 5, 4
    domain = (Net(reals("h", "d"), reals("h"), reals("h", "h"), reals("h")), reals("n", "d"), classes("n", "h"))
    for scale in SCALES:
        rng = np.random.default_rng(1)
        shapes = ((units, d), (units,), (units, units), (units,))
        net = Net(*((scale * rng.uniform(-1, 1, shape)).astype(dtype) for shape in shapes))
        x, t = rng.uniform(-1, 1, (n, d)).astype(dtype), rng.integers(0, units, n)
        for wrong, forms in ((False, RIGHT_NETS), (True, WRONG_NETS)):
            for name, form in forms.items():
                lines = [line_1, _named(form, "line_2")]
                derivation = Derivation("∇ cross-entropy", cross_entropy, None, domain, lines)
                traced = form is not _in_place and getattr(form, "func", None) is not _in_place
                yield Case("net", f"{name}, weights × {scale:g}", wrong, cross_entropy, form, (net, x, t), None,
                           derivation if traced else None, "line_2",
                           right=_backward if traced else _in_place)  # fmt: skip


# The notes


def _notes(dtype: Any) -> Iterator[Case]:
    for scale in SCALES:
        rng = np.random.default_rng(2)
        w = Weights(*((scale * rng.uniform(-1, 1, shape)).astype(dtype) for shape in ((3,), (3,), (2,))))
        x, y = rng.uniform(-1, 1, (5, 3)).astype(dtype), np.array([1, -1, 1, 1, -1], dtype=dtype)
        of_w11 = [notes.equation_1, notes.equation_2, notes.line_3b, notes.line_3c]
        right = [("w11", line) for line in of_w11] + list(CLOSED_FORMS.items())
        for wrt, line in right:
            yield Case("notes", f"{line.__name__}, weights × {scale:g}", False, log_likelihood, line, (w, x, y), wrt)
        for wrong in WRONG_LINES:
            wrt = wrong.derivation.wrt
            yield Case("notes", f"{wrong.mistake}, weights × {scale:g}", True, log_likelihood,
                       partial(wrong.line, nabla=nabla(wrt)), (w, x, y), wrt, wrong.planted, wrong.label,
                       right=partial(wrong.right, nabla=nabla(wrt)))  # fmt: skip


def cases() -> Iterator[Case]:
    """Those that are what they are called at their input: mistakes that show, right forms that do not overflow."""
    for dtype in (np.float64, np.float32):
        for case in (*_sines(dtype), *_nets(dtype), *_notes(dtype)):
            if _shows(case) if case.wrong else _is_finite(case):
                yield case


def _is_finite(case: Case) -> bool:
    with jax.enable_x64(case.dtype == np.float64), np.errstate(all="ignore"):
        return all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(case.candidate(*case.args)))


def _shows(case: Case) -> bool:
    """Whether a mistake makes a difference at the input: log clipped at 1e-7 does not where p is larger."""
    if case.right is None:
        return True
    wide = jax.tree.map(lambda leaf: leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf, case.args)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        leaves = zip(jax.tree.leaves(case.candidate(*wide)), jax.tree.leaves(case.right(*wide)), strict=True)
        return not all(np.allclose(a, b, rtol=1e-13, atol=0) for a, b in leaves)
