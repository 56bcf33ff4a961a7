"""One row a function: what the judge knows of one that works entry by entry.

The tables of balls, floats and symbols, the mutations and the tests are made of the rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from flint import arb

Array = np.ndarray

Change = Callable[[Array, Array], Array]
"""change(x̂, e), in float64: how far f moves where its argument is known to e.

Every computed x' and the exact x lie in [x̂ − 2e, x̂ + 2e], and |x' − x| ≤ e; so e times the supremum of |f'| there will do.
"""

Mpf = Any
"""A number of mpmath's, an mpf; None where a function is not defined. The tests need mpmath, and the judge does not."""

Form = tuple[str, Callable[..., jax.Array]]
"""how people write a function, and the same in JAX"""

Symbol = Literal["known", "opaque", "written"]
"""To the prover a function has equations, or is known to be a function and no more, or its table writes it as others."""

AROUND = (0.0, 0.5, 1.0, -1.0, 2.0, -2.5, 3.0, 10.25, -10.25, 1e-3, 1e5, -1e5)
MODERATE = (0.0, 0.5, 1.0, -0.5, 2.0, 3.5, 7.25, 12.0)
BELOW_0_TOO = (*MODERATE, -1.0, -1.5, -3.25, -7.75)
IN_UNIT = (0.0, 0.5, -0.5, 0.875, -0.99, 1.0, -1.0, 2.0)


class Granted(NamedTuple):
    """|computed − f(x)| ≤ units u |f(x)| + |f(x (1 + argument u)) − f(x)| + absolute, and the smallest normal number.

    `argument` is for functions that are computed from another one of a rounded argument, as sinh x is from e^x and 2^x from
    e^{x log 2}; `absolute` for functions with zeros, at which nothing relative holds.
    """

    units: float
    argument: float = 0.0
    absolute: float = 0.0


class Measured(NamedTuple):
    """The largest errors seen, in u, relative as `Granted` has it; None where NumPy has no such function."""

    jax_single: float
    numpy_single: float | None
    jax_double: float
    numpy_double: float | None


class Ulps(NamedTuple):
    """The accuracy granted to a function that is not rounded correctly: at least twice what was measured."""

    single: Granted
    double: Granted
    measured: Measured


@dataclass(frozen=True)
class Called:
    """A library function that is recognised by its call."""

    by: str
    """the primitive that calls"""
    name: str
    """of the function that is called"""


@dataclass(frozen=True)
class Spelled:
    """A library function that leaves no call behind, and is recognised by all of its equations."""

    function: Callable[..., jax.Array]
    needs: frozenset[str]
    """primitives that are certainly among them"""


@dataclass(frozen=True)
class Function:
    """A function of reals, entry by entry.

    Args:
        name: that of its primitive, or of what a library function means.
        ball: the same function of Arb's balls: what it returns holds f(x) for every x of the balls, and is not finite
            where f is not defined on all of them.
        mpmath: the same in mpmath, as an expression of `mp` and the operands, or a function of them. Rows are tested against
            it, and reproducers print it.
        operands: their names in `mpmath`, `where` and `slope`.
        where: where it is defined, in Python.
        slope: its derivative by the last operand, likewise, for tests; y is the function's value.
        around: for each operand, numbers around which balls are tried.
        largest: the largest radius of such a ball: mpmath does not get far with some functions.
        only_exact: operands that are always numbers, as the order of a polygamma function.
        widest: how many times as wide as {f(x): x ∈ X} a narrow f(X) may be.
        numpy: NumPy's, where it is as accurate as what is granted.
        change: how far it moves; None where no rounding bound is known.
        ulps: what is granted to it in floats.
        granted_above: nothing is granted below.
        zero_at: the argument at which it is exactly 0 in floats too.
        symbol: what the prover knows of it.
        parity: whether it is odd or even.
        at_zero: its value at 0, if the prover is to use that.
        mistaken_for: functions that stand for it by mistake.
        forms: other ways to write it.
        library: how it is recognised, where it is one of JAX's library and not a primitive: in one way or another, by JAX's
            version.
    """

    name: str
    ball: Callable[..., arb]
    mpmath: str | Callable[..., Mpf] = ""
    operands: str = "x"
    where: str = ""
    slope: str = ""
    around: tuple[Sequence[float], ...] = (AROUND,)
    largest: float = 2.0**20
    only_exact: tuple[int, ...] = ()
    widest: float = 2.0**6
    numpy: Callable[..., Array] | None = None
    change: Change | None = None
    ulps: Ulps | None = None
    granted_above: float = -np.inf
    zero_at: float | None = None
    symbol: Symbol = "opaque"
    parity: Literal["odd", "even", ""] = ""
    at_zero: int | None = None
    mistaken_for: tuple[Form, ...] = ()
    forms: tuple[Form, ...] = ()
    library: tuple[Called | Spelled, ...] = ()
    arity: int = field(init=False)

    def __post_init__(self) -> None:
        if not callable(self.ball):
            raise TypeError(f"the rule for {self.name!r} must be a function of balls, got {self.ball!r}")
        object.__setattr__(self, "arity", len(self.operands.split()))

    def truth(self, mp: ModuleType, *xs: Mpf) -> Mpf:
        """Its value by mpmath, None where it is not defined."""
        names = {"mp": mp, "mpf": mp.mpf, **dict(zip(self.operands.split(), xs, strict=True))}
        if self.where and not eval(self.where, names):
            return None
        return eval(self.mpmath, names) if isinstance(self.mpmath, str) else self.mpmath(mp, *xs)

    @property
    def known_symmetry(self) -> str | None:
        """What the prover is told: the parity, and the value at 0."""
        return f"{self.parity} {0 if self.parity == 'odd' else self.at_zero}" if self.parity else None
