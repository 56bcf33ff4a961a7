"""What JAX computes for a function of NumPy's or of `scipy.special`."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import linalg, special

from autodiff_ref.judge.numpy_code.distributions import DISTRIBUTIONS, ndtr

Function = Callable[..., Any]

_REDUCTIONS: dict[str, Function] = {
    "add": jnp.sum,
    "multiply": jnp.prod,
    "maximum": jnp.max,
    "minimum": jnp.min,
    "logaddexp": lambda a, axis=None, keepdims=False: special.logsumexp(a, axis=axis, keepdims=keepdims),
    "logical_or": jnp.any,
    "logical_and": jnp.all,
}
_ACCUMULATIONS: dict[str, Function] = {
    "add": jnp.cumsum,
    "multiply": jnp.cumprod,
    "maximum": lambda a, axis: jax.lax.cummax(a, axis % a.ndim),
    "minimum": lambda a, axis: jax.lax.cummin(a, axis % a.ndim),
}


def _clip(a: Any, *limits: Any, **named: Any) -> Any:
    low = limits[0] if limits else named.get("a_min", named.get("min"))
    high = limits[1] if len(limits) > 1 else named.get("a_max", named.get("max"))
    a = a if low is None else jnp.maximum(a, low)
    return a if high is None else jnp.minimum(a, high)


def _full_like(a: Any, value: Any, dtype: Any = None, **_: Any) -> Any:
    return jnp.full(jnp.shape(a), value, dtype or a.dtype)


def _average(a: Any, axis: Any = None, weights: Any = None, **more: Any) -> Any:
    return jnp.average(a, axis=axis, weights=weights, **more)


def _huber(delta: Any, r: Any) -> Any:
    return jnp.where(jnp.abs(r) <= delta, r**2 / 2, delta * (jnp.abs(r) - delta / 2))


def _box_cox(log_x: Any, power: Any) -> Any:
    """(x^λ − 1)/λ, and log x where λ = 0."""
    safe = jnp.where(power == 0, 1.0, power)
    return jnp.where(power == 0, log_x, jnp.expm1(safe * log_x) / safe)


def _log_of_box_cox(y: Any, power: Any) -> Any:
    """log x, of y = (x^λ − 1)/λ"""
    safe = jnp.where(power == 0, 1.0, power)
    return jnp.where(power == 0, y, jnp.log1p(safe * y) / safe)


def _choose(n: Any, k: Any, **_: Any) -> Any:
    return jnp.exp(special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0))


def _exprel(x: Any) -> Any:
    safe = jnp.where(x == 0, 1.0, x)
    return jnp.where(x == 0, 1 + x / 2, jnp.expm1(safe) / safe)


_OTHER_NAMES: dict[str, Function] = {
    "absolute": jnp.abs,
    "amax": jnp.max,
    "amin": jnp.min,
    "average": _average,
    "clip": _clip,
    "conjugate": jnp.conj,
    "copy": lambda a, **_: a,
    "ascontiguousarray": lambda a, **_: a,
    "divide": jnp.true_divide,
    "fabs": jnp.abs,
    "full_like": _full_like,
    "pow": jnp.power,
    "psi": special.digamma,
    "cosm1": lambda x: -2 * jnp.sin(x / 2) ** 2,
    "log_expit": jax.nn.log_sigmoid,
    "huber": _huber,
    "pseudo_huber": lambda delta, r: delta**2 * (jnp.sqrt(1 + (r / delta) ** 2) - 1),
    "boxcox": lambda x, power: _box_cox(jnp.log(x), power),
    "boxcox1p": lambda x, power: _box_cox(jnp.log1p(x), power),
    "inv_boxcox": lambda y, power: jnp.exp(_log_of_box_cox(y, power)),
    "inv_boxcox1p": lambda y, power: jnp.expm1(_log_of_box_cox(y, power)),
    "exp10": lambda x: jnp.power(10.0, x),
    "exprel": _exprel,
    "binom": _choose,
    "comb": _choose,
    "stdtr": lambda df, t: DISTRIBUTIONS["t"].standard("cdf")(_as_real(t), _as_real(df)),  # pyright: ignore[reportOptionalCall]
    "_zeta": special.zeta,
    "softmax": lambda x, axis=None: jax.nn.softmax(x, axis=axis),
    "log_softmax": lambda x, axis=None: jax.nn.log_softmax(x, axis=axis),
    "round": jnp.round,
    "around": jnp.round,
    "require": lambda a, *_, **__: a,
}


@functools.cache
def _of_scipy() -> dict[Any, Function]:
    """JAX's function for each of `scipy.special`, whatever the latter calls itself."""
    theirs = sys.modules.get("scipy.special")
    if theirs is None:
        return {}
    names = [name for name in dir(theirs) if not name.startswith("_") and hasattr(special, name)]
    found = {getattr(theirs, name): _of_reals(getattr(special, name)) for name in names if callable(getattr(theirs, name))}
    return {**found, theirs.ndtr: ndtr}


def _of_reals(f: Function) -> Function:
    """A function of reals, to which whole numbers are reals too, as to SciPy's."""

    @functools.wraps(f)
    def of(*args: Any, **keywords: Any) -> Any:
        return f(*[_as_real(arg) for arg in args], **keywords)

    return of


def _as_real(value: Any) -> Any:
    return jnp.asarray(value).astype(float) if jnp.issubdtype(jnp.result_type(value), jnp.integer) else value


OF_BOTH = {"expm1", "log1p", "exp2", "cbrt", "sinc"}
"""functions of `scipy.special` that NumPy has too, of the same name"""


def jax_function(f: Any) -> Function | None:
    """JAX's function that computes what one of NumPy's or SciPy's does; None where there is none."""
    name, module = getattr(f, "__name__", ""), getattr(f, "__module__", None) or ""
    if isinstance(f, np.ufunc) and getattr(np, name, None) is not f:
        if not _of_scipy():
            _of_scipy.cache_clear()
        found = _of_scipy().get(f)
        if found is not None:
            return found
    if module.startswith("numpy.linalg"):
        return getattr(jnp.linalg, name, None)
    if module.startswith("scipy.linalg"):
        return getattr(linalg, name, None)
    if module.startswith("numpy.fft"):
        return getattr(jnp.fft, name, None)
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    if isinstance(f, np.ufunc) and getattr(np, name, None) is not f:
        return getattr(special, name, None) or (getattr(jnp, name, None) if name in OF_BOTH else None)
    return getattr(jnp, name, None) or getattr(special, name, None)


def jax_ufunc(ufunc: np.ufunc, method: str) -> Function | None:
    """The same for a ufunc, or a method of one."""
    name = ufunc.__name__
    if method == "__call__":
        f = jax_function(ufunc)
        return None if f is None else functools.partial(_called, f)
    if method == "reduce":
        reduce = _REDUCTIONS.get(name)
        return None if reduce is None else lambda a, axis=0, **more: reduce(a, axis=axis, **more)
    if method == "accumulate":
        accumulate = _ACCUMULATIONS.get(name)
        return None if accumulate is None else lambda a, axis=0, **_: accumulate(a, axis=axis)
    if method == "outer":
        f = jax_function(ufunc)
        return None if f is None else lambda a, b, **_: f(jnp.reshape(a, (*jnp.shape(a), *(1,) * jnp.ndim(b))), b)
    return None


def _called(f: Function, *args: Any, **keywords: Any) -> Any:
    dtype = keywords.pop("dtype", None)
    for name in ("casting", "order", "subok", "signature", "sig"):
        keywords.pop(name, None)
    made = f(*args, **keywords)
    return made if dtype is None else jnp.asarray(made).astype(dtype)


SCATTERED = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "maximum": "max",
    "minimum": "min",
    "divide": "divide",
    "true_divide": "divide",
}
"""what `ufunc.at` is in JAX: a method of `a.at[index]`"""

OF_MATH = {
    **{
        name: name
        for name in ("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan", "fabs", "floor")
    },
    **{name: name for name in ("sinh", "cosh", "tanh", "ceil", "isnan", "isinf", "isfinite", "cbrt", "hypot", "exp2")},
    **{name: "arc" + name[1:] for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2")},
    "pow": "power",
}
"""functions of `math`, and NumPy's names of them"""

OF_MATH_IN_JAX: dict[str, Function] = {
    "erf": special.erf,
    "erfc": special.erfc,
    "lgamma": special.gammaln,
    "gamma": special.gamma,
}
