"""Functions that grow or fall, over a ball: their values at its ends, joined, are the narrowest ball that holds them all."""

from collections.abc import Callable

from flint import arb

NARROW = 2.0**-10
"""a radius up to which Arb's own functions lose little: what matters there is the slope at the middle"""


def ends(x: arb, sense: int) -> tuple[arb, arb]:
    """Where a function of x is least and where it is greatest: it grows if `sense` is 1, and falls if it is −1."""
    return (x.lower(), x.upper()) if sense > 0 else (x.upper(), x.lower())


def monotone(f: Callable[..., arb], *senses: int) -> Callable[..., arb]:
    """f over balls, for an f that grows (1) or falls (−1) in each argument over all of them.

    An argument without a finite end leaves the ball that f itself gives: no number, or all numbers.
    """

    def joined(*balls: arb) -> arb:
        if all(ball.is_exact() for ball in balls):
            return f(*balls)
        if not all(ball.is_finite() for ball in balls):
            return f(*balls)
        corners = [ends(ball, sense) for ball, sense in zip(balls, senses, strict=True)]
        return f(*[low for low, _ in corners]).union(f(*[high for _, high in corners]))

    return joined


def where_wide(f: Callable[[arb], arb], sense: int = 1) -> Callable[[arb], arb]:
    """f over a ball, for an f that grows or falls, and that Arb gives narrowly over narrow balls."""
    by_ends = monotone(f, sense)
    return lambda x: by_ends(x) if x.rad() > NARROW else f(x)
