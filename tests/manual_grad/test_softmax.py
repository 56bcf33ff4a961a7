"""K classes: the residual keeps its digits, the recursion equals `jax.grad`, two classes are the notes' net."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from autodiff_ref import verify
from manual_grad import mlp
from manual_grad.extensions import softmax as softmax_lines
from manual_grad.mlp import Layer
from manual_grad.softmax import log_softmax_and_residual, softmax
from tests.combinations import exploring
from tests.derivations._few import few_inputs
from tests.manual_grad.test_mlp import draw


def penalised(layers, x, y, decay, c):
    h = x
    for level, (w, b) in enumerate(layers):
        a = h @ w.T + (0 if b is None else b)
        h = jnp.tanh(a) if level < len(layers) - 1 else a
    log_p = jax.nn.log_softmax(h, axis=1)[jnp.arange(len(y)), y]
    return jnp.sum(c * log_p) - decay / 2 * sum(jnp.sum(layer.w**2) for layer in layers)


@pytest.mark.parametrize("sizes", [(3, 4), (3, 2, 3), (4, 9, 5, 7), (5, 3, 2)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_the_recursion_of_k_classes_equals_jax_grad(sizes, bias):
    layers, x, _, c = draw(0, sizes, bias)
    y = np.arange(len(x)) % sizes[-1]
    got = mlp.value_and_grad(layers, x, y, hidden="tanh", weight_decay=0.25, example_weights=c)
    with jax.enable_x64(True):
        want = jax.jit(jax.value_and_grad(penalised))(layers, x, y, 0.25, c)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(
        got[0], mlp.log_likelihood(layers, x, y, hidden="tanh", weight_decay=0.25, example_weights=c)
    )


@pytest.mark.parametrize("derivation", [softmax_lines.RESIDUAL, softmax_lines.CLASSES], ids=lambda d: d.name)
def test_every_line_of_k_classes_is_right(derivation):
    report = verify(derivation, inputs=few_inputs(derivation), prove=exploring())  # the prover takes 12 s
    assert report.ok, str(report)


def test_a_residual_of_the_wrong_sign_is_refuted():
    def wrong(z, t, nabla=None):
        """P − T"""
        return softmax(z.mT).mT - t

    report = verify(softmax_lines.RESIDUAL.with_lines(softmax_lines.residual_3, wrong), examples=64)
    assert report.first_wrong_line == "wrong"


def test_two_classes_are_the_notes_net_with_the_difference_of_their_scores():
    """log p_1 of scores (a, b) is log σ(b − a)."""
    layers, x, y, _ = draw(1, (3, 2, 2), True)
    w, b = layers[-1]
    one = (*layers[:-1], Layer(w[1:] - w[:1], b[1:] - b[:1]))
    two = mlp.value_and_grad(layers, x, (y + 1) / 2)
    notes = mlp.value_and_grad(one, x, y)
    np.testing.assert_allclose(two[0], notes[0], rtol=1e-14)
    np.testing.assert_allclose(two[1][-1].w[1], notes[1][-1].w[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(two[1][-1].w[0], -notes[1][-1].w[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("gap", [0.0, 1e-9, 1.0, 20.0, 40.0, 300.0, 700.0])
@pytest.mark.parametrize("right", [0, 1, 2])
def test_log_p_and_the_residual_keep_their_digits_where_one_class_is_all_but_certain(gap, right):
    z = np.array([[gap], [0.0], [-gap / 2]])
    log_p, r = log_softmax_and_residual(z, np.array([right]))
    with mpmath.workdps(60):
        e = [mpmath.exp(mpmath.mpf(float(v))) for v in z[:, 0]]
        p = [v / sum(e) for v in e]
        others = sum(v for k, v in enumerate(p) if k != right)
        want = [others if k == right else -p[k] for k in range(3)]
        log = mpmath.log1p(-others) if others < 0.5 else mpmath.log(p[right])
        for got, value in [(log_p[0], log), *zip(r[:, 0], want, strict=True)]:
            assert abs(mpmath.mpf(float(got)) - value) <= 16 * 2.0**-52 * abs(value) + mpmath.mpf(2) ** -1060


def test_a_residual_sums_to_zero_and_a_shift_changes_nothing():
    random = np.random.default_rng(0)
    z, y = random.standard_normal((4, 9)), random.integers(0, 4, 9)
    _, r = log_softmax_and_residual(z, y)
    np.testing.assert_allclose(r.sum(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(log_softmax_and_residual(z + 700, y)[1], r, atol=1e-12)
    np.testing.assert_allclose(softmax(z).sum(axis=0), 1, rtol=1e-14)
