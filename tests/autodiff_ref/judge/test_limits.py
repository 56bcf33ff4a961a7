"""What a loop goes to, in balls."""

import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from autodiff_ref.judge.balls import precision
from autodiff_ref.judge.balls.limits import limit_of


def limit(state, turn):
    with precision(384):
        return limit_of(list(map(arb, state)), lambda now: list(turn(*now)))


def is_settled(value, wanted):
    with precision(384):
        return bool(abs(value - wanted()) < arb(2) ** -180)


@given(st.integers(-7, 7).map(lambda k: k / 8), st.integers(-8, 8).map(lambda k: k / 8))
def test_a_contraction_goes_to_its_fixed_point(share, offset):
    (found,) = limit([offset / (1 - share) + 2.0**-20], lambda x: (arb(share) * x + arb(offset),))
    assert is_settled(found, lambda: arb(offset) / (1 - arb(share)))


def test_what_counts_turns_stays_as_it_was():
    root, turns = limit([1.4375, 3.0], lambda x, k: (x / 2 + 1 / x, k + 1))
    assert is_settled(root, lambda: arb(2).sqrt())
    assert turns == 3


def test_what_is_no_real_stays_as_it_was():
    flag = np.array([True])
    with precision(384):
        found, kept = limit_of([arb(1.4375), flag], lambda now: [now[0] / 2 + 1 / now[0], ~now[1]])
    assert is_settled(found, lambda: arb(2).sqrt())
    assert kept is flag


def test_terms_that_are_0_do_not_end_a_series():
    """The sum of 2^-k, with a term of 0 after each."""
    total, *_ = limit([1.984375, 2.0**-7, 0.0], lambda total, term, other: (total + term, other, term / 2))
    assert is_settled(total, lambda: arb(2))


@pytest.mark.parametrize(
    "turn",
    [
        lambda x: (x / 2,),  # to 0, far from where it ended
        lambda x: (x + 1 / x,),
        lambda x: (x - arb(2) ** -30 * x,),  # for ever
        lambda x: (-x,),
        lambda x: (x / (x - x),),
        lambda x: (2 * x,),
    ],
)
def test_what_goes_to_nothing_near_has_no_limit(turn):
    assert limit([0.75], turn) is None
