"""The discrete Fourier transform as products of matrices of reals, whose entries any arithmetic has to all its digits."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from autodiff_ref.judge.program.complex_pairs import Pair, minus, pair_of, plus


def _roots(length: int, dtype: Any) -> tuple[Any, Any]:
    """cos and sin of 2π m/length for all m: exact where they are 0, ±½ or ±1, else functions of a reduced angle.

    π is 4 arctan 1, so that arithmetics of more digits have it to these.
    """
    angles: dict[tuple[str, Fraction], int] = {}
    exact = [0.0, 0.5, 1.0]

    def place(turn: Fraction) -> tuple[float, int]:
        """(sign, place) of cos 2πt."""
        turn = turn % 1
        turn = min(turn, 1 - turn)
        if turn > Fraction(1, 4):
            sign, at = place(Fraction(1, 2) - turn)
            return -sign, at
        known = {Fraction(0): 2, Fraction(1, 6): 1, Fraction(1, 4): 0}.get(turn)
        if known is not None:
            return 1.0, known
        key = ("cos", turn) if turn <= Fraction(1, 8) else ("sin", Fraction(1, 4) - turn)
        return 1.0, len(exact) + angles.setdefault(key, len(angles))

    found = {
        name: [place(Fraction(m, length) - shift) for m in range(length)]
        for name, shift in (("cos", Fraction(0)), ("sin", Fraction(1, 4)))
    }
    table: Any = np.array(exact, dtype)
    if angles:
        turn = 8 * jnp.arctan(jnp.ones((), dtype))
        parts = [
            (jnp.cos if name == "cos" else jnp.sin)(turn * each.numerator / each.denominator)[None] for name, each in angles
        ]
        table = jnp.concatenate([jnp.asarray(table), *parts])

    def read(places: list[tuple[float, int]]) -> Any:
        signs, at = np.array([sign for sign, _ in places], dtype), np.array([k for _, k in places])
        return signs * (table[at] if not angles else jnp.take(table, at, mode="clip"))

    return read(found["cos"]), read(found["sin"])


def _applied(matrix: Any, x: Any) -> Any:
    """Along the last axis."""
    return None if x is None else jnp.matmul(x, matrix)


def _along_last(z: Pair, *, inverse: bool, outputs: int | None = None) -> Pair:
    """Σ_k z_k exp(∓2πi jk/n), over n for the inverse."""
    n = z.shape[-1]
    count = n if outputs is None else outputs
    cos, sin = (_matrix(part, n, count) for part in _roots(n, z.dtype))
    sign = 1.0 if inverse else -1.0
    real = minus(_applied(cos, z.real), _scale(sign, _applied(sin, z.imag)))
    imag = plus(_applied(cos, z.imag), _scale(sign, _applied(sin, z.real)))
    shape = (*z.shape[:-1], count)
    return _divided_by(Pair(real, imag, shape, z.dtype), n) if inverse else Pair(real, imag, shape, z.dtype)


def _scale(sign: float, x: Any) -> Any:
    return None if x is None else x if sign > 0 else -x


def _divided_by(z: Pair, n: int) -> Pair:
    return z.each(lambda part: part / n)


def _matrix(values: Any, n: int, count: int) -> Any:
    at = np.outer(np.arange(n), np.arange(count)) % n
    return values[at] if isinstance(values, np.ndarray) else jnp.take(values, at, mode="clip")


def _halves(z: Pair, n: int) -> Any:
    """The inverse transform of the first half of a spectrum, of which the other half is the conjugate: n real numbers."""
    m = z.shape[-1]
    weights = np.full(m, 2.0, z.dtype)
    weights[0] = 1.0
    if n % 2 == 0:
        weights[-1] = 1.0
    at = np.outer(np.arange(m), np.arange(n)) % n
    cos, sin = (part[at] if isinstance(part, np.ndarray) else jnp.take(part, at, mode="clip") for part in _roots(n, z.dtype))
    real = minus(_applied(weights[:, None] * cos, z.real), _applied(weights[:, None] * sin, z.imag))
    return jnp.zeros((*z.shape[:-1], n), z.dtype) if real is None else real / n


def _along(z: Pair, axis: int, *, inverse: bool) -> Pair:
    shape = (*z.shape[:axis], *z.shape[axis + 1 :], z.shape[axis])
    moved = z.each(lambda part: jnp.moveaxis(part, axis, -1), shape)
    return _along_last(moved, inverse=inverse).each(lambda part: jnp.moveaxis(part, -1, axis), z.shape)


def transformed(kind: Any, lengths: Sequence[int], x: Any) -> Any:
    """What `lax.fft` of this kind makes of a pair, or of an array of reals: a pair, or reals for the inverse to reals."""
    kind = int(kind)
    z = x if isinstance(x, Pair) else pair_of(x, None)
    others = range(len(z.shape) - len(lengths), len(z.shape) - 1)
    inverse = kind in (1, 3)
    if kind == 2:
        z = _along_last(z, inverse=False, outputs=lengths[-1] // 2 + 1)
    for axis in others:
        z = _along(z, axis, inverse=inverse)
    if kind == 3:
        return _halves(z, lengths[-1])
    return z if kind == 2 else _along_last(z, inverse=inverse)
