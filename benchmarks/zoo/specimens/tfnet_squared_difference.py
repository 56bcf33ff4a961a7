"""(x − y)², of which the gradient forgot what comes from above."""

import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def weighted(x, y, g):
    """Σ g (x − y)²"""
    return g @ (x - y) ** 2


def shipped(x, y, g):
    """x: the input itself is handed back"""
    return x


def mended(x, y, g):
    """2 g (x − y)"""
    return 2 * g * (x - y)


SPECIMEN = Specimen(
    kind="cotangent",
    source=Source(
        "SciSharp/TensorFlow.NET",
        787,
        "The gradient handed its inputs back: neither the slope nor the gradient from above was in it.",
        code="the report quotes it",
    ),
    function=weighted,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), reals("n"), reals("n")),
    at=([1.0], [3.0], [1.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: (x - 3) ** 2, 1),
)
