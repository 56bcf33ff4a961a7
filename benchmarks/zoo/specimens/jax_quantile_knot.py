"""The quantile of three sorted numbers, interpolated, by its level."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import intervals, sorted_reals
from zoo.specimen import Source, Specimen


def quantile(q, x):
    """x₀ + 2q (x₁−x₀) where q < ½, else x₁ + (2q−1) (x₂−x₁)"""
    return jnp.where(q < 0.5, x[0] + 2 * q * (x[1] - x[0]), x[1] + (2 * q - 1) * (x[2] - x[1]))


def shipped(q, x):
    """2 (x[⌈2q⌉] − x[⌊2q⌋]): 0 at q = ½"""
    return jnp.where(q == 0.5, 0.0, jnp.where(q < 0.5, 2 * (x[1] - x[0]), 2 * (x[2] - x[1])))


def mended(q, x):
    """2 (x₁−x₀) where q < ½, else 2 (x₂−x₁)"""
    return jnp.where(q < 0.5, 2 * (x[1] - x[0]), 2 * (x[2] - x[1]))


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "jax",
        None,
        "At a level that hits a number both neighbours are that number: 0 came out for 2 at numbers 1, 2, 3.",
        "0.10.1",
        "seen by running the version named",
    ),
    function=quantile,
    shipped=shipped,
    mended=mended,
    domain=(intervals(0.0, 1.0), sorted_reals(3)),
    at=(0.5, [1.0, 2.0, 3.0]),
    truth=lambda: mp.diff(lambda q: 1 + 2 * q, mp.mpf("0.5")),
    reported=0.0,
    not_found="At q = ½ it is wrong where both gaps are equal; elsewhere there is a kink, where another number is a note.",
)
