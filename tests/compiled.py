"""Code that nothing can trace, as compiled code: it takes numbers out of an array's memory."""

from typing import Any

import numpy as np

_SAME = np.frompyfunc(lambda value: value, 1, 1)


def compiled(x: Any) -> Any:
    """x, through code that only real arrays can be handed to."""
    return np.asarray(_SAME(x)).astype(x.dtype)[()]
