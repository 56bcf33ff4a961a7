"""What is followed of SciPy that is no ufunc: functions by their names, and methods of distributions by their classes."""

import functools
import sys
import types
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.judge.numpy_code.applying import applied, densely
from autodiff_ref.judge.numpy_code.distances import DISTANCES
from autodiff_ref.judge.numpy_code.distributions import METHODS, OF_SEVERAL, at_infinities, method_in_jax
from autodiff_ref.judge.numpy_code.mapping import held_in, is_standing, level_of, running_now
from autodiff_ref.judge.numpy_code.numpy_functions import jax_function
from autodiff_ref.judge.numpy_code.run import CONSTANT, DATA, NotFollowedError, current
from autodiff_ref.judge.state import names_in

Function = Callable[..., Any]

FUNCTIONS = {
    "scipy.special": ("logsumexp", "softmax", "log_softmax", "polygamma", "multigammaln", "comb"),
    "scipy.linalg": ("inv", "det", "solve", "solve_triangular", "cholesky", "cho_factor", "cho_solve", "expm"),
    "scipy.spatial.distance": tuple(DISTANCES),
    "scipy.fft": (*("fft", "ifft", "rfft", "irfft", "fft2", "ifft2", "fftn", "ifftn", "rfft2", "irfft2"), "dct", "idct"),
}
"""by their modules"""

WAY_ON = "write it out with NumPy's functions and `scipy.special`"


def load(reached: list[Any]) -> None:
    """Loads what is replaced here, where a function that was reached imports SciPy itself, which it has not done yet."""
    names = {name for f in reached if isinstance(f, types.FunctionType) for name in names_in(f.__code__)}
    if any(name.partition(".")[0] == "scipy" for name in names):
        for module in (*FUNCTIONS, "scipy.stats"):
            with suppress(ImportError):
                import_module(module)


def functions() -> dict[int, tuple[Any, Any]]:
    """Functions of the modules that are loaded, by their ids, and what stands for them."""
    return {
        id(f): (f, _by_jax(f, _ours(module, name)))
        for module, names in FUNCTIONS.items()
        for name in names
        if (f := getattr(sys.modules.get(module), name, None)) is not None
    }


def _ours(module: str, name: str) -> Function | None:
    """What stands for a function that goes by another name in JAX, or has another namesake there."""
    if module == "scipy.fft":
        return getattr(jax.scipy.fft if name in ("dct", "idct") else jnp.fft, name)
    return DISTANCES.get(name) if module == "scipy.spatial.distance" else None


def homes() -> list[dict[str, Any]]:
    """The names of those modules."""
    return [sys.modules[module].__dict__ for module in FUNCTIONS if module in sys.modules]


@functools.cache
def _by_jax(real: Function, ours: Function | None) -> Function:
    @functools.wraps(real)
    def of(*args: Any, **keywords: Any) -> Any:
        if level_of((args, keywords)) == CONSTANT and not held_in((args, keywords)):
            return real(*args, **keywords)
        return applied(real, ours or jax_function(real), args, keywords, real.__name__)

    return of


# Methods of classes


@contextmanager
def methods_replaced() -> Generator[None]:
    """Makes the methods of `scipy.stats`' distributions, and products with sparse matrices, take stand-ins."""
    back: list[tuple[type, str, Any]] = []
    try:
        for owner, name, replacement in _methods():
            back.append((owner, name, owner.__dict__[name]))
            setattr(owner, name, replacement)
        yield
    finally:
        for owner, name, original in back:
            setattr(owner, name, original)


def methods() -> dict[int, tuple[Any, Any]]:
    """The same methods by their ids, where a user holds one: `logpdf = stats.norm.logpdf`."""
    return {id(owner.__dict__[name]): (owner.__dict__[name], replacement) for owner, name, replacement in _methods()}


def _methods() -> list[tuple[type, str, Any]]:
    distributions, matrices = sys.modules.get("scipy.stats"), sys.modules.get("scipy.sparse")
    found = [] if distributions is None else _methods_of(distributions)
    return found if matrices is None else [*found, *_products_of(matrices)]


@functools.cache
def _products_of(theirs: Any) -> list[tuple[type, str, Any]]:
    """Products with sparse matrices, and their products with dense ones."""
    owner = next(c for c in theirs.csr_array.__mro__ if "__matmul__" in c.__dict__)
    found = [(owner, name, _product(owner.__dict__[name], name)) for name in ("__matmul__", "__rmatmul__", "dot")]
    return [*found, (theirs.spmatrix, "__mul__", _product(theirs.spmatrix.__dict__["__mul__"], "__matmul__"))]


def _product(real: Function, name: str) -> Function:
    @functools.wraps(real)
    def of(self: Any, other: Any) -> Any:
        if current() is None or not is_standing(other) or np.ndim(other.held) == 0:
            return real(self, other)
        dense = densely(self)
        return other @ dense if name == "__rmatmul__" else dense @ other

    return of


@functools.cache
def _methods_of(theirs: Any) -> list[tuple[type, str, Any]]:
    found = [
        (owner, name, _method(owner.__dict__[name], name))
        for owner in (theirs.rv_continuous, theirs.rv_discrete)
        for name in METHODS
        if name in owner.__dict__
    ]
    for name, (kind, log_density) in OF_SEVERAL.items():
        owner = type(getattr(theirs, name))
        found += [
            (owner, f"log{kind}", _of_several(owner.__dict__[f"log{kind}"], log_density)),
            (owner, kind, _of_several(owner.__dict__[kind], lambda *a, f=log_density, **k: jnp.exp(f(*a, **k)))),
            (owner, "__call__", _freezing(owner.__dict__["__call__"])),
        ]
    frozen = type(theirs.multivariate_normal())
    return [*found, *[(frozen, name, _of_frozen(frozen.__dict__[name], name)) for name in ("logpdf", "pdf")]]


def _of_standing(real: Function, ours: Function) -> Function:
    """A method that is `ours` of stand-ins while a trace runs, and else as it was."""

    @functools.wraps(real)
    def of(self: Any, *args: Any, **keywords: Any) -> Any:
        if current() is None or not held_in((args, keywords)):
            return real(self, *args, **keywords)
        return ours(self, *args, **keywords)

    return of


def _method(real: Function, method: str) -> Function:
    def of(self: Any, *args: Any, **keywords: Any) -> Any:
        ours = method_in_jax(self, method)
        if ours is None and "scipy" in running_now().followed:
            return real(self, *args, **keywords)
        if ours is not None:
            ours = _with_infinities(ours, method, args)
        elif level_of((args, keywords)) > DATA:
            way_on = "compute it outside, and hand its result to the loss" if method in ("ppf", "isf") else WAY_ON
            raise NotFollowedError(f"`scipy.stats.{self.name}.{method}` is not known here", way_on)
        return applied(functools.partial(real, self), ours, args, keywords, f"scipy.stats.{self.name}.{method}")

    return _of_standing(real, of)


def _with_infinities(f: Function, method: str, args: tuple[Any, ...]) -> Function:
    """A method at x, some of which are ±∞, as cut points are: that they are is taken for granted."""
    x: Any = args[0] if args else None
    if not is_standing(x) or method in ("ppf", "isf") or not np.any(np.isinf(x.held)):
        return f
    running_now().assume(jnp.isfinite(x.array), np.isfinite(x.held), x.level)
    return at_infinities(f, method, x.held)


def _of_several(real: Function, ours: Function) -> Function:
    def of(self: Any, *args: Any, **keywords: Any) -> Any:
        return applied(functools.partial(real, self), ours, args, keywords, f"scipy.stats.{type(self).__name__}")

    return _of_standing(real, of)


class _Frozen:
    """A distribution with parameters, as `multivariate_normal(mean, cov)` makes it, where these are stand-ins."""

    def __init__(self, distribution: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self._distribution, self._args, self._keywords = distribution, args, keywords

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._distribution, name)
        return lambda x: method(x, *self._args, **self._keywords)


def _freezing(real: Function) -> Function:
    return _of_standing(real, lambda self, *args, **keywords: _Frozen(self, args, keywords))


def _of_frozen(real: Function, name: str) -> Function:
    """A method of a normal distribution of several variables whose parameters are known."""

    def of(self: Any, x: Any) -> Any:
        if self.allow_singular:
            raise NotFollowedError("`multivariate_normal` with allow_singular=True is not known here", WAY_ON)
        method = cast("Function", getattr(self._dist, name))
        return method(x, self.mean, self.cov)

    return _of_standing(real, of)
