"""Random numbers that are the same in each run, and in each precision: so a function that draws some is a function."""

from contextlib import nullcontext
from typing import Any, Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

SEED = 0
"""PyTorch's random numbers start from it at each run"""

FILLING = {"bernoulli_", "uniform_", "normal_", "exponential_", "random_", "log_normal_", "geometric_", "cauchy_"}
"""operations that fill a tensor with random numbers"""

CONSTANT = {"rand_like", "randn_like", "randint_like", "bernoulli", "multinomial", "poisson", "binomial"}
"""operations that draw by the shape of a tensor alone, or whole numbers, which change in steps"""

OF_A_DTYPE = {"rand", "randn", "rand_like", "randn_like"}
"""operations that are told of which dtype the numbers should be"""

DRAWING = FILLING | CONSTANT | OF_A_DTYPE


class seeded:  # noqa: N801 (used as a function)
    """PyTorch's random numbers from the seed on; afterwards they go on as if nothing had been drawn.

    Args:
        alike: whether to draw the same in each precision. Code that draws nothing is spared the mode that this takes.
    """

    def __init__(self, *, alike: bool = False) -> None:
        self._mode = _Alike() if alike else nullcontext()

    def __enter__(self) -> Self:
        """Sets the seed."""
        self._before = torch.random.get_rng_state()
        torch.random.manual_seed(SEED)
        self._first = torch.random.get_rng_state()
        self._mode.__enter__()
        return self

    @property
    def drew(self) -> bool:
        """Whether a number has been drawn."""
        return not torch.equal(torch.random.get_rng_state(), self._first)

    def __exit__(self, *why: Any) -> None:
        """Puts back the state."""
        self._mode.__exit__(*why)
        torch.random.set_rng_state(self._before)


class _Alike(TorchDispatchMode):
    """Draws in float32, whatever the precision: PyTorch's generator gives other numbers in each."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs an operation."""
        del types
        keywords = dict(kwargs or {})
        name = func._schema.name.split("::")[-1]
        first = args[0] if args and isinstance(args[0], torch.Tensor) else None
        wanted = keywords.get("dtype") or (torch.get_default_dtype() if first is None else first.dtype)
        if name not in DRAWING or not wanted.is_floating_point:
            return func(*args, **keywords)
        if name in FILLING:
            told = tree_map(_single, (args[1:], keywords))
            return args[0].copy_(func(torch.empty(args[0].shape, dtype=torch.float32), *told[0], **told[1]))
        args, keywords = tree_map(_single, (args, keywords))
        drawn = func(*args, **({**keywords, "dtype": torch.float32} if name in OF_A_DTYPE else keywords))
        return drawn.to(wanted) if drawn.is_floating_point() else drawn


def _single(x: Any) -> Any:
    return x.to(torch.float32) if isinstance(x, torch.Tensor) and x.is_floating_point() else x
