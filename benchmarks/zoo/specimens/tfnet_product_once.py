"""x·x·x·c as a chain of products."""

import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def chain(x, c):
    """x x x c"""
    return x * x * x * c


def shipped(x, c):
    """x² c: one of the three places of x"""
    return x * x * c


def mended(x, c):
    """3 x² c"""
    return 3 * x * x * c


SPECIMEN = Specimen(
    kind="missing term",
    source=Source(
        "SciSharp/TensorFlow.NET",
        303,
        "A variable that enters three times got the gradient of one place: 4.9 for 14.7.",
        code="reconstructed from the figures: 4.9 is one of three equal terms",
    ),
    function=chain,
    shipped=shipped,
    mended=mended,
    domain=(reals(), reals()),
    at=(7.0, 0.1),
    truth=lambda: mp.diff(lambda x: x**3 / 10, 7),
    reported=4.9,
)
