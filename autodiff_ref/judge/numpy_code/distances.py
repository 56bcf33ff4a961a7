"""`scipy.spatial.distance` in JAX: distances between all points, and within pairs."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

Function = Callable[..., Any]


def _minkowski(d: Any, p: float = 2, w: Any = None) -> Any:
    return jnp.sum(_weighted(jnp.abs(d) ** p, w), axis=-1) ** (1 / p)


def _weighted(terms: Any, w: Any) -> Any:
    return terms if w is None else w * terms


METRICS: dict[str, Function] = {
    "euclidean": lambda d, w=None: jnp.sqrt(jnp.sum(_weighted(d**2, w), axis=-1)),
    "sqeuclidean": lambda d, w=None: jnp.sum(_weighted(d**2, w), axis=-1),
    "cityblock": lambda d, w=None: jnp.sum(_weighted(jnp.abs(d), w), axis=-1),
    "chebyshev": lambda d: jnp.max(jnp.abs(d), axis=-1),
    "minkowski": _minkowski,
    "mahalanobis": lambda d, **its: jnp.sqrt(jnp.einsum("...i,ij,...j->...", d, its["VI"], d)),
    "seuclidean": lambda d, **its: jnp.sqrt(jnp.sum(d**2 / its["V"], axis=-1)),
}
"""of the differences of points, by SciPy's names"""

_ALIASES = {
    **dict.fromkeys(("euclid", "eu", "e"), "euclidean"),
    **dict.fromkeys(("sqe", "sqeuclid"), "sqeuclidean"),
    **dict.fromkeys(("manhattan", "cblock", "cb", "c"), "cityblock"),
    **dict.fromkeys(("chebychev", "cheby", "cheb", "ch"), "chebyshev"),
    **dict.fromkeys(("mi", "m", "pnorm"), "minkowski"),
    **dict.fromkeys(("mahal", "mah"), "mahalanobis"),
    **dict.fromkeys(("se", "s"), "seuclidean"),
}


def _distances(d: Any, metric: Any, **settings: Any) -> Any:
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "")
    name = _ALIASES.get(name.lower(), name.lower())
    if name == "cosine":
        raise NotImplementedError("cosine distances: write it as 1 − x·y/(‖x‖‖y‖)")
    if name not in METRICS:
        raise NotImplementedError(f"the metric {name!r}")
    return METRICS[name](d, **settings)


def _without_none(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def cdist(a: Any, b: Any, metric: Any = "euclidean", **settings: Any) -> Any:
    """The distance of each point of a from each of b."""
    return _distances(jnp.asarray(a)[:, None] - jnp.asarray(b)[None], metric, **_without_none(settings))


def pdist(x: Any, metric: Any = "euclidean", **settings: Any) -> Any:
    """The distance of each pair of points of x."""
    x = jnp.asarray(x)
    i, j = np.triu_indices(x.shape[0], 1)
    return _distances(x[i] - x[j], metric, **_without_none(settings))


def squareform(x: Any, force: str = "no", checks: bool = True) -> Any:
    """A symmetric matrix of distances for a vector of them, and the other way round."""
    if x.ndim == 2:
        return x[np.triu_indices(x.shape[0], 1)]
    n = round((1 + (1 + 8 * x.shape[0]) ** 0.5) / 2) if x.shape[0] else 1
    i, j = np.triu_indices(n, 1)
    return jnp.zeros((n, n), x.dtype).at[i, j].set(x).at[j, i].set(x)


def between_two(metric: str) -> Function:
    """A function of two points."""
    return lambda u, v, **settings: _distances(jnp.asarray(u) - jnp.asarray(v), metric, **_without_none(settings))


DISTANCES: dict[str, Function] = {
    "cdist": cdist,
    "pdist": pdist,
    "squareform": squareform,
    **{name: between_two(name) for name in ("euclidean", "sqeuclidean", "cityblock", "chebyshev", "minkowski")},
}
"""by SciPy's names"""
