"""L-BFGS over the full batch: SciPy's, with ll and its gradient from `sum_over`."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from autodiff_ref.train import kernels
from autodiff_ref.train.capacity import least
from autodiff_ref.train.kernels import Layers, block_of, sum_over
from autodiff_ref.train.loop import Recipe


def lbfgs(
    table: Float[Array, "rows room"],
    n: int,
    layers: Layers,
    recipe: Recipe,
    decay: float,
    iterations: int,
    after: Callable[[int, Layers, float], bool],
    evaluations: list[np.ndarray],
) -> tuple[Layers, str]:
    """max over w of 1/n Σ_i c_i log σ(y_i z_i) − λ/2N Σ_l ‖W_l‖²

    Args:
        table: (d + 1, …) or (d + 2, …), one example a column.
        n: how many of the columns are examples, the first ones.
        layers: where to start.
        recipe: which gradient and which squashing function; its optimiser is not used.
        decay: λ/N, the weight decay an example.
        iterations: at most so many.
        evaluations: the loss and its gradient, in one array, wherever they were computed, in order. Those that are there are
            not computed again, so that a search goes on where it was by going the same way; new ones are added.
        after: called after each iteration with its number, the weights and ll an example; training stops where it is true.

    Returns:
        The weights, and why the search ended.
    """
    from scipy.optimize import minimize  # here, since importing it takes 0.2 s

    leaves, shape = jax.tree.flatten(layers)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    dtype = table.dtype
    block = None if kernels.accelerated() else block_of(layers, table, least(n))

    def unflatten(flat: np.ndarray) -> Layers:
        parts = [part.reshape(leaf.shape) for part, leaf in zip(np.split(flat, ends), leaves, strict=True)]
        return jax.tree.unflatten(shape, [part.astype(dtype) for part in parts])

    def penalty(current: Layers) -> float:
        return decay / 2 * sum(float(np.sum(np.square(layer.w, dtype=np.float64))) for layer in current)

    asked = 0

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal asked
        asked += 1
        if asked > len(evaluations):
            value, gradient = computed(flat)
            evaluations.append(np.concatenate([[value], gradient]))
        known = evaluations[asked - 1]
        return float(known[0]), known[1:].copy()

    def computed(flat: np.ndarray) -> tuple[float, np.ndarray]:
        current = unflatten(flat)
        ll, total = sum_over(current, table, **recipe.form._asdict(), gradient=recipe.gradient, block=block, n=n)
        mean = jax.tree.map(lambda g: np.asarray(g, np.float64) / n, total)
        uphill = tuple(g._replace(w=g.w - decay * layer.w) for g, layer in zip(mean, current, strict=True))
        return penalty(current) - ll / n, -np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(uphill)])

    number = 0

    def callback(intermediate_result: Any) -> None:
        nonlocal number
        number += 1
        current = unflatten(intermediate_result.x)
        if after(number, current, penalty(current) - float(intermediate_result.fun)):
            raise StopIteration

    start = np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", callback=callback, options={"maxiter": iterations})
    why = "all iterations done" if found.status == 1 else f"L-BFGS: {str(found.message).lower()}"
    return unflatten(found.x), why
