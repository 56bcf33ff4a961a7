"""What each gradient costs on the data at hand."""

import time

import jax
import numpy as np
from jaxtyping import Float

from autodiff_ref.train.kernels import GRADIENTS, Form, Layers
from autodiff_ref.train.loop import Recipe, epoch, start
from autodiff_ref.train.optimizers import sgd

SAMPLE = 16_384
"""So many examples are timed, at most."""


def gradient_costs(
    layers: Layers, table: Float[np.ndarray, "rows n"], form: Form, batch_size: int | None
) -> dict[str, float]:
    """Nanoseconds an example for an epoch by each gradient: the median of seven, taken in turn.

    Args:
        layers: the net.
        table: (d + 1, n) or (d + 2, n), one example a column; the first 16,384 are used.
        form: the functions of the net.
        batch_size: examples a step; None for all of them.

    Returns:
        {"hand": …, "autodiff": …}
    """
    n = min(table.shape[1], SAMPLE)
    batch = min(n, batch_size or n)
    times: dict[str, list[float]] = {name: [] for name in GRADIENTS}
    with jax.enable_x64(table.dtype == np.float64):
        some = jax.device_put(np.ascontiguousarray(table[:, :n]))
        for turn in range(8):
            for name, taken in times.items():
                recipe = Recipe(sgd(1e-3), form.hidden, name, output=form.output)
                state = start(recipe, layers)
                since = time.perf_counter()
                jax.block_until_ready(epoch(recipe, state, some, batch_size=batch))
                if turn:  # the first turn compiles
                    taken.append(time.perf_counter() - since)
    return {name: 1e9 * float(np.median(taken)) / n for name, taken in times.items()}
