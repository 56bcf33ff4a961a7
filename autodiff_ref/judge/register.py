"""Teaching the judge a function."""

from collections.abc import Callable
from dataclasses import replace

from flint import arb

from autodiff_ref.judge.balls.table import BALLS
from autodiff_ref.judge.floats.table import FLOATS
from autodiff_ref.judge.functions import FUNCTIONS, Function
from autodiff_ref.judge.symbols.table import SYMBOLS


def register(function: Function | str, ball: Callable[..., arb] | None = None) -> None:
    """Teaches the judge a function that works entry by entry: a primitive of yours, or of JAX.

    Args:
        function: its row, an `autodiff_ref.judge.functions.Function`, or only the name of its primitive.
        ball: the same function of balls (`flint.arb`), if `function` is a name. It takes a ball for each operand and
            returns a ball.

    Raises:
        TypeError: what is to serve as the function of balls is not callable.

    Example:
        A primitive of your own, `bessel_k0e`, the Bessel function K₀ scaled by e^x; Arb has K₀:

        >>> register("bessel_k0e", lambda x: x.bessel_k(0) * x.exp())
    """
    if isinstance(function, str):
        if not callable(ball):
            raise TypeError(f"the rule for {function!r} must be a function of balls, got {ball!r}")
        function = replace(FUNCTIONS[function], ball=ball) if function in FUNCTIONS else Function(function, ball)
    FUNCTIONS[function.name] = function
    for table in (BALLS, FLOATS, SYMBOLS):
        table.learn(function)
