"""What is said of a function that cannot be traced."""

import re
from dataclasses import is_dataclass

import jax
import numpy as np

from autodiff_ref.judge.errors import without_derivative
from autodiff_ref.judge.numpy_code.run import NotFollowedError, place_of, what_stopped

_WAY_ON = "write that step with functions of NumPy's or jax.numpy's arrays"


def no_floats(name: str, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> str:
    """What is said of an array, or a number, that is differentiated by and is not made of real floating numbers."""
    holds = f"whole numbers ({dtype})" if dtype.kind in "iu" else str(dtype)
    floats = f"{name}.astype(float)" if shape else f"float({name})"
    return f"`{name}` holds {holds}, and what is differentiated by holds real floating numbers: make it {floats}"


def no_array(name: str, value: object) -> str:
    """What is said of an object that is differentiated by and is no array, nor a structure of arrays."""
    kind = type(value).__name__
    register = f"decorate {kind} with jax.tree_util.register_dataclass, or " if is_dataclass(value) else ""
    return (
        f"`{name}` is a {kind}, and what is differentiated by is an array, or a tuple, list or dict of arrays: "
        f"{register}hand in its arrays"
    )


def not_traced(name: str, error: Exception) -> str:
    """Which step of a function stopped its trace, in the user's file, and what to do."""
    if isinstance(stopped := what_stopped(error), NotFollowedError):
        return f"`{name}` cannot be traced: {stopped}"
    if said := without_derivative(error):
        return f"`{name}` cannot be differentiated: {said}"
    place = place_of(error)
    at = f" at {place}" if place else ""
    if isinstance(error, jax.errors.JAXTypeError | jax.errors.JAXIndexError):
        return f"`{name}` cannot be traced: a step{at} asks for the numbers of an array that is traced: {_WAY_ON}"
    said = (str(error).strip() or "no message").splitlines()[0]
    returned = re.search(r"grad requires real-valued outputs.* but got (\w+)", said)
    if returned:
        return f"`{name}` returns {returned[1]}, and what is differentiated returns real numbers"
    kind = "" if type(error) is TypeError else f" ({type(error).__name__})"
    return f"`{name}` cannot be traced: {said}{kind}{at}"
