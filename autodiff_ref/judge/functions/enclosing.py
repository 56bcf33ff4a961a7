"""Functions over balls, more narrowly than their formulas give them.

Those that grow or fall: their values at the ends of a ball, joined, are the narrowest ball that holds them all. Others: by
their value in its middle and their slope over it, f(x) = f(m) + f′(ξ)(x − m).
"""

from collections.abc import Callable

from flint import arb

ZERO, ONE, NAN = arb(0), arb(1), arb.nan()

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


def by_slope(f: Callable[[arb], arb], slope: Callable[[arb], arb], steepest: float | None = None) -> Callable[[arb], arb]:
    """f over a ball, for an f that Arb gives too wide over narrow ones.

    Where the slope nowhere exceeds `steepest`, that serves over wide balls, of which some Bessel functions take seconds.
    """

    def over(x: arb) -> arb:
        if steepest is not None and x.rad() > NARROW:
            return f(x.mid()) + arb(0, steepest) * (x - x.mid())
        direct = f(x)
        if x.is_exact() or not x.is_finite():
            return direct
        linear = f(x.mid()) + slope(x) * (x - x.mid())
        return linear if linear.is_finite() and not direct.rad() < linear.rad() else direct

    return over
