"""An input at which two lines differ is made simpler, and stays in the domain, for mistakes that no simple input shows."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff_ref import verify
from autodiff_ref.judge.lines.reduction import TRIES, reduced
from autodiff_ref.judge.shrink import simplest
from manual_grad import Derivation, bits, classes, intervals, one_hot, positives, reals, signs


def relu(w):
    return jnp.sum(jnp.maximum(w, 0))


def line_1(w, nabla):
    """I(w > 0)"""
    return jnp.where(w > 0, 1.0, 0.0)


def line_2(w, nabla):
    """I(w > 1e-6)"""
    return jnp.where(w > 1e-6, 1.0, 0.0)


def test_a_mistake_in_a_thin_region_is_shown_at_one_short_number():
    report = verify(Derivation("thin", relu, "w", (reals("d"),), [line_1, line_2]), prove=False)
    (w,) = report.lines[1].counterexample.args
    assert w.shape == (1,)
    assert 0 < w[0] <= 1e-6
    assert w[0] == float(f"{w[0]:.0e}"), "one digit would do"


def anything(*args, nabla=None):
    return jnp.zeros(())


def derivation(*domain, **options):
    return Derivation("", anything, None, domain, [anything], **options)


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_of_many_numbers_the_one_that_matters_is_left(n, d, data):
    i, j = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, d - 1))
    x = np.random.default_rng(n * d).normal(size=(n, d))
    x[i, j] = data.draw(st.floats(1e3, 1e9))
    got_w, got_x = reduced(derivation(reals("d"), reals("n", "d")), (np.ones(d), x), lambda args: np.max(args[1]) >= 1e3)
    assert got_w.tolist() == [0.0]
    assert got_x.shape == (1, 1)
    assert got_x[0, 0] == float(f"{x[i, j]:.0e}") or float(f"{x[i, j]:.0e}") < 1e3


def test_what_takes_two_entries_keeps_two():
    domain = derivation(reals("d"), reals("d", "d"))
    args = np.array([5.0, 0.3, 7.0, 0.1]), np.arange(16.0).reshape(4, 4)
    w, square = reduced(domain, args, lambda args: np.sum(args[0] > 4) == 2)
    assert w.shape == (2,)
    assert square.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("refused", [0, 1, 10])
def test_the_domain_the_sizes_and_where_are_kept(refused):
    domain = (
        signs("n"),
        bits("n"),
        classes("n", "k"),
        one_hot("n", "k"),
        positives("n"),
        intervals(0.5, 0.75, "n"),
        reals(3),
    )

    def inside(y, b, c, hot, p, q, x):
        return x[0] > 1

    args = (
        np.array([-1.0, 1, -1]),
        np.array([1.0, 0, 1]),
        np.array([2, 1, 0]),
        np.eye(4)[[3, 1, 2]],
        np.array([0.123456, 3.3, 1e-9]),
        np.array([0.5000001, 0.7, 0.7499]),
        np.array([1.234567, -0.3, 0.0]),
    )
    tried = []

    def differs(args):
        tried.append(args)
        return len(tried) > refused

    y, b, c, hot, p, q, x = reduced(derivation(*domain, sizes={"n": (2, 5)}, where=inside), args, differs)
    assert len(tried) <= TRIES
    n = 2 if refused < 3 else 3
    assert y.shape == b.shape == c.shape == p.shape == q.shape == (n,)
    assert hot.shape == (n, 4)
    assert set(y) <= {-1, 1}
    assert set(b) <= {0, 1}
    assert set(c) <= {0, 1, 2, 3}
    assert (hot.sum(1) == 1).all()
    assert (p > 0).all()
    assert ((q > 0.5) & (q < 0.75)).all()
    assert x.shape == (3,)
    assert x[0] > 1


def test_hypothesis_alone_does_not_get_there():
    assert simplest(derivation(reals("d")), lambda args: bool(np.any((args[0] > 0) & (args[0] < 1e-6)))) is None
