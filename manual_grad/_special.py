"""Special functions, of the library that the arrays come from: `scipy.special` for NumPy's, JAX's own for JAX's.

The array API has none. JAX is imported only where an array is already JAX's.
"""

import importlib
from typing import Any

from manual_grad._arrays import PyTree, floats


def special(*values: PyTree) -> tuple[Any, ...]:
    """(the module of special functions, *values as floating arrays)

    Example:
        >>> functions, x = special([0.0])
        >>> functions.erfc(x).tolist()
        [1.0]
    """
    xp, *arrays = floats(*values)
    library = "jax.scipy.special" if xp.__name__.partition(".")[0] == "jax" else "scipy.special"
    return importlib.import_module(library), *arrays
