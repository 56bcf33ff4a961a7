"""What the rows of functions say of themselves: slopes, how far they move, other forms, and what is granted."""

from typing import Any

import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from autodiff_ref.judge.balls import precision
from autodiff_ref.judge.functions import FUNCTIONS
from tests.autodiff_ref.judge.test_balls import ANY, POINTS, evaluate

WITH_SLOPE = [name for name, row in FUNCTIONS.items() if row.slope]
MOVING = [name for name, row in FUNCTIONS.items() if row.change is not None]
WITH_FORMS = [(name, form) for name, row in FUNCTIONS.items() for form, _ in row.forms]

SCOPE: dict[str, Any] = {
    **{name: lambda *xs, row=row: row.ball(*map(arb, xs)) for name, row in FUNCTIONS.items()},
    "pi": arb.pi,
    "sign": lambda x: arb(int(x > 0) - int(x < 0)),
}


def slope_of(name: str, *xs: arb) -> arb:
    """What a row says of its derivative by the last operand."""
    row = FUNCTIONS[name]
    operands = dict(zip(row.operands.split(), xs, strict=True))
    return arb(eval(row.slope, {}, {**SCOPE, **operands, "y": row.ball(*xs)}))


@pytest.mark.parametrize("name", WITH_SLOPE)
@given(data=st.data())
def test_a_slope_lies_between_the_quotients_around_it(name: str, data: st.DataObject) -> None:
    """By (f(x + h) − f(x − h)) / 2h, which is off by about h²."""
    row = FUNCTIONS[name]
    xs = [data.draw(st.sampled_from([c for c in around if abs(c) < 50])) for around in row.around]
    xs[-1] += data.draw(st.integers(1, 15)) / 64
    *others, x = map(arb, xs)
    h = arb(2) ** -80
    with precision(600):
        up, down, slope = row.ball(*others, x + h), row.ball(*others, x - h), slope_of(name, *others, x)
        if up.is_finite() and down.is_finite() and slope.is_finite():
            quotient = (up - down) / (2 * h)
            assert abs(quotient - slope) < (1 + abs(slope)) * arb(2) ** -60, f"{name}: {slope} is not {quotient}"


@pytest.mark.parametrize("name", WITH_SLOPE)
def test_a_slope_is_tried_where_it_can_be_told(name: str) -> None:
    """The test above passes where nothing is finite."""
    row = FUNCTIONS[name]
    rng = np.random.default_rng(0)
    told = 0
    with precision(200):
        for _ in range(40):
            values = [float(rng.choice([c for c in around if abs(c) < 50])) for around in row.around]
            xs = [*map(arb, values[:-1]), arb(values[-1] + int(rng.integers(1, 16)) / 64)]
            told += row.ball(*xs).is_finite() and slope_of(name, *xs).is_finite()
    assert told >= 8


@pytest.mark.parametrize("name", MOVING)
@given(data=st.data())
def test_a_function_moves_no_farther_than_its_row_says(name: str, data: st.DataObject) -> None:
    """Between a computed argument and the exact one, both within 2e of x̂ and e apart."""
    row = FUNCTIONS[name]
    assert row.change is not None
    centre = data.draw(st.sampled_from(POINTS.get(name, ANY))) + data.draw(st.floats(-0.2, 0.2))
    e = 2.0 ** data.draw(st.integers(-40, -3))
    with np.errstate(all="ignore"):
        change = row.change(np.array([centre]), np.array([e]))[0]
    first = centre + 2 * e * data.draw(st.floats(-1, 1))
    second = min(max(first + e * data.draw(st.floats(-1, 1)), centre - 2 * e), centre + 2 * e)
    with precision(200):
        moved = abs(row.ball(arb(first)) - row.ball(arb(second)))
        allowed = arb(float(change)) * (1 + arb(2) ** -18) + arb(2) ** -1022  # which every bound adds
        assert not np.isfinite(change) or not moved > allowed


@pytest.mark.parametrize(("name", "form"), WITH_FORMS)
def test_a_form_is_the_function(name: str, form: str) -> None:
    row = FUNCTIONS[name]
    (f,) = [f for title, f in row.forms if title == form]
    points = [np.array([p for p in POINTS.get(name, ANY) if 0 < abs(p) < 40]) + 0.0625 for _ in range(row.arity)]
    points[-1] = points[-1][::-1]
    values, _ = evaluate(f, *points, bits=600)
    with precision(600):
        for value, *at in zip(values, *points, strict=True):
            expected = row.ball(*map(arb, at))
            if expected.is_finite() and value.is_finite():
                assert abs(value - expected) < (1 + abs(expected)) * arb(2) ** -100, f"{form} at {at}"
