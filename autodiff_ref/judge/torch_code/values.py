"""The numbers that tensors hold, as NumPy and JAX have them; and what is raised where PyTorch code is not followed."""

from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import torch

DTYPES: dict[torch.dtype, Any] = {
    torch.float64: jnp.float64,
    torch.float32: jnp.float32,
    torch.float16: jnp.float16,
    torch.bfloat16: jnp.bfloat16,
    torch.int64: jnp.int64,
    torch.int32: jnp.int32,
    torch.int16: jnp.int16,
    torch.int8: jnp.int8,
    torch.uint8: jnp.uint8,
    torch.bool: jnp.bool_,
    torch.complex128: jnp.complex128,
    torch.complex64: jnp.complex64,
}
"""what is written down; quantised and sparse numbers are not"""

FLOATS = {np.dtype(np.float64): torch.float64, np.dtype(np.float32): torch.float32, np.dtype(np.float16): torch.float16}


class NotFollowedError(TypeError):
    """PyTorch code does what cannot be written down in JAX; it names the operation, and where it stands."""

    def __init__(self, operation: str, why: str = "") -> None:
        super().__init__(operation, why)
        self.operation, self.why = operation, why

    def __str__(self) -> str:
        return f"{self.operation}: {self.why}" if self.why else self.operation


def dtype_of(dtype: torch.dtype) -> Any:
    """A dtype of PyTorch as JAX has it.

    Raises:
        NotFollowedError: it has none.
    """
    if dtype not in DTYPES:
        raise NotFollowedError(str(dtype), "numbers of this kind are not written down")
    return DTYPES[dtype]


def to_numpy(t: torch.Tensor) -> np.ndarray:
    """A copy of a tensor's numbers."""
    whole = torch.zeros(t.shape, dtype=t.dtype) if t._is_zerotensor() else t  # one without memory
    plain = whole.detach().cpu().resolve_conj().resolve_neg()
    if plain.dtype == torch.bfloat16:
        return np.array(plain.contiguous().view(torch.int16).numpy()).view(ml_dtypes.bfloat16)
    return np.array(plain.numpy())


def in_reals(t: torch.Tensor) -> np.ndarray:
    """A copy of a tensor's numbers; of complex ones both parts along a last axis, as `torch.view_as_real` has them."""
    made = to_numpy(t)
    return np.stack([np.real(made), np.imag(made)], axis=-1) if made.dtype.kind == "c" else made


def apart(array: Any) -> Any:
    """The same of what is traced."""
    return jnp.stack([array.real, array.imag], axis=-1) if jnp.iscomplexobj(array) else array


def to_torch(array: Any, model: torch.Tensor | None = None) -> torch.Tensor:
    """A new tensor with these numbers, which are the parts of complex ones where the model is complex."""
    made = np.array(array)
    if model is not None and model.is_complex():
        return torch.view_as_complex(torch.from_numpy(np.ascontiguousarray(made)))
    if made.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(made.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(made)


def as_dtype(x: Any, dtype: Any) -> Any:
    """An array in a dtype; of complex numbers the real parts, where that is real."""
    if jnp.iscomplexobj(x) and not jnp.issubdtype(dtype, jnp.complexfloating):
        x = x.real
    return x.astype(dtype)


def is_float(t: Any) -> bool:
    """Whether it is a tensor of floating numbers, real or complex."""
    return isinstance(t, torch.Tensor) and (t.dtype.is_floating_point or t.dtype.is_complex)
