"""Operations along axes: sums, extremes, order, running sums and products, softmax."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from autodiff_ref.judge.torch_code.rules.elementwise import cast
from autodiff_ref.judge.torch_code.tracing import Rule


def axes(dim: Any, x: Any) -> Any:
    """Axes as NumPy counts them; PyTorch's empty list means all."""
    if dim is None or (isinstance(dim, list | tuple) and len(dim) == 0):  # pyright: ignore[reportUnknownArgumentType]
        return None
    return tuple(d % max(x.ndim, 1) for d in dim) if isinstance(dim, list | tuple) else dim % max(x.ndim, 1)


def _reduction(f: Rule) -> Rule:
    def rule(x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
        x = cast(x, dtype)
        return f(x, axis=axes(dim, x), keepdims=keepdim) if x.ndim else f(x)

    return rule


def _variance(x: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Any:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return jnp.var(x, axis=axes(dim, x), ddof=correction, keepdims=keepdim)


def _extreme(f: Rule, place: Rule) -> Rule:
    def rule(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None:
            return f(x)
        if x.ndim == 0:
            return x, jnp.zeros((), jnp.int64)
        return f(x, axis=dim, keepdims=keepdim), place(x, axis=dim, keepdims=keepdim)

    return rule


def _place(f: Rule) -> Rule:
    return lambda x, dim=None, keepdim=False: f(x, axis=dim, keepdims=keepdim if dim is not None else False)


def _sorted(x: Any, *settings: Any, dim: int = -1, descending: bool = False, stable: Any = None) -> Any:
    del stable  # ties: any order will do, and this one is stable
    if len(settings) == 3:
        _, dim, descending = settings
    elif settings:
        dim, descending = [*settings, descending][:2]
    if x.ndim == 0:
        return x, jnp.zeros((), jnp.int64)
    order = jnp.argsort(x, axis=dim, stable=True, descending=bool(descending))
    return jnp.take_along_axis(x, order, axis=dim), order


def _of_rank(x: Any, rank: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The entry of a rank, the smallest being the first, and its place."""
    found = [jnp.take(each, jnp.array([rank - 1]), axis=dim) if x.ndim else each for each in _sorted(x, dim)]
    return found if keepdim or not x.ndim else [jnp.squeeze(each, dim) for each in found]


def _median(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The lower one of two."""
    if dim is None:
        return _of_rank(x.reshape(-1), (x.size + 1) // 2)[0]
    return _of_rank(x, (x.shape[dim] + 1) // 2 if x.ndim else 1, dim, keepdim)


def _places_among(
    ordered: Any, x: Any, out_int32: bool = False, right: bool = False, side: Any = None, sorter: Any = None
) -> Any:
    """How many of the ordered numbers are less."""
    del out_int32
    ordered = ordered if sorter is None else jnp.take_along_axis(ordered, sorter, axis=-1)
    below = jnp.less_equal if right or side == "right" else jnp.less
    x = jnp.asarray(x)
    return jnp.sum(below(ordered[..., None, :] if ordered.ndim > 1 else ordered, x[..., None]), axis=-1)


def _largest(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    del sorted
    _, order = lax.top_k(jnp.moveaxis(x if largest else -x, dim, -1), k)
    order = jnp.moveaxis(order, -1, dim)
    return jnp.take_along_axis(x, order, axis=dim), order


def _running_extreme(f: Rule, *, largest: bool) -> Rule:
    def rule(x: Any, dim: int) -> Any:
        axis = dim % x.ndim
        extremes = f(x, axis=axis)
        numbers = jnp.arange(x.shape[axis]).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
        taken = jnp.where(x >= extremes if largest else x <= extremes, numbers, 0)  # the last one, as PyTorch has it
        return extremes, lax.cummax(jnp.broadcast_to(taken, x.shape), axis=axis)

    return rule


def _norm(x: Any, order: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    order, x = 2 if order is None else order, cast(x, dtype)
    over: dict[str, Any] = {"axis": axes(dim, x), "keepdims": keepdim}
    if order == 2:
        return jnp.sqrt(jnp.sum((x * jnp.conj(x)).real, **over))
    if order == 1:
        return jnp.sum(jnp.abs(x), **over)
    if order == 0:
        return jnp.sum((x != 0).astype(x.dtype), **over)
    if order in (math.inf, -math.inf):
        return (jnp.max if order > 0 else jnp.min)(jnp.abs(x), **over)
    return jnp.sum(jnp.abs(x) ** order, **over) ** (1 / order)


def _softmax(x: Any, dim: int, half_to_float: bool = False, *_: Any, **__: Any) -> Any:
    del half_to_float
    return jax.nn.softmax(x, axis=dim)


def _log_softmax(x: Any, dim: int, half_to_float: bool = False, *_: Any, **__: Any) -> Any:
    del half_to_float
    return jax.nn.log_softmax(x, axis=dim)


def _running(f: Rule) -> Rule:
    return lambda x, dim, dtype=None: f(cast(x, dtype), axis=dim % x.ndim) if x.ndim else cast(x, dtype)


REDUCTIONS: dict[str, Rule] = {
    "sum": _reduction(jnp.sum),
    "mean": _reduction(jnp.mean),
    "prod": _reduction(jnp.prod),
    "amax": _reduction(jnp.max),
    "amin": _reduction(jnp.min),
    "any": _reduction(jnp.any),
    "all": _reduction(jnp.all),
    "_is_all_true": jnp.all,
    "_is_any_true": jnp.any,
    "nansum": _reduction(jnp.nansum),
    "logsumexp": _reduction(jax.scipy.special.logsumexp),
    "count_nonzero": lambda x, dim=None: jnp.count_nonzero(x, axis=axes(dim, x)),
    "var": _variance,
    "std": lambda *args, **keywords: jnp.sqrt(_variance(*args, **keywords)),
    "max": _extreme(jnp.max, jnp.argmax),
    "min": _extreme(jnp.min, jnp.argmin),
    "argmax": _place(jnp.argmax),
    "argmin": _place(jnp.argmin),
    "sort": _sorted,
    "argsort": lambda *args, **keywords: _sorted(*args, **keywords)[1],
    "kthvalue": _of_rank,
    "median": _median,
    "searchsorted": _places_among,
    "bucketize": lambda x, ordered, **keywords: _places_among(ordered, x, **keywords),
    "topk": _largest,
    "cumsum": _running(jnp.cumsum),
    "cumprod": _running(jnp.cumprod),
    "logcumsumexp": lambda x, dim: lax.cumlogsumexp(x, axis=dim % x.ndim) if x.ndim else x,
    "cummax": _running_extreme(lax.cummax, largest=True),
    "cummin": _running_extreme(lax.cummin, largest=False),
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "linalg_vector_norm": _norm,
    "norm": _norm,
    "trace": jnp.trace,
}
