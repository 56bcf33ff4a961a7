"""Single values that a caller has given, checked and made Python's own, which JSON knows."""

import numpy as np


def whole(name: str, value: object, least: int) -> int:
    """`value` where it is a whole number of at least `least`; TypeError or ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def real(name: str, value: object) -> float:
    """`value` where it is a single real number, NaN and infinity included; TypeError otherwise."""
    array = np.asarray(value)
    if array.shape != () or array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be a number, got {value!r}")
    return float(array)


def truth(name: str, value: object) -> bool:
    """`value` where it is True or False; TypeError otherwise."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)
