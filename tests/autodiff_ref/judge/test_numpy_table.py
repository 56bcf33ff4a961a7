"""Mistakes that were found in NumPy code, made again in code of our own, at the input at which each was seen."""

import numpy as np
import pytest
import scipy.special

from autodiff_ref import assert_backward_agrees, assert_gradients_agree
from tests.numpy_pairs import hinge_loss

# a sigmoid layer: the forward is 1/(1 + e^x), the backward that of 1/(1 + e^−x)


def flipped_sigmoid(x):
    out = 1 / (1 + np.exp(+x))
    return out, out


def sigmoid_backward(dout, out):
    return dout * out * (1 - out)


def flipped_backward(dout, out):
    return -dout * out * (1 - out)


def test_a_sigmoid_of_the_other_sign():
    x = np.array([0.0])
    assert_backward_agrees(flipped_sigmoid, flipped_backward, x)
    with pytest.raises(AssertionError, match="-1 times what it should be"):
        assert_backward_agrees(flipped_sigmoid, sigmoid_backward, x)


# max pooling by 2 × 2 windows: the backward unpacks (n, d, w, h) from a cache of (n, d, h, w)


def pool(x):
    n, d, h, w = x.shape
    out = np.zeros((n, d, h // 2, w // 2))
    for i in range(h // 2):
        for j in range(w // 2):
            out[:, :, i, j] = np.max(x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2], axis=(2, 3))
    return out, x


def pool_backward(dout, x):
    _, _, h, w = x.shape
    return spread(dout, x, h, w)


def pool_backward_turned(dout, x):
    _, _, w, h = x.shape
    return spread(dout, x, h, w).reshape(x.shape)


def spread(dout, x, h, w):
    seen, dx = x.reshape(-1, h, w), np.zeros((x.shape[0] * x.shape[1], h, w))
    for c in range(seen.shape[0]):
        for k, up in enumerate(dout.reshape(seen.shape[0], -1)[c]):
            i, j = divmod(k, w // 2)
            window = seen[c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            at = np.unravel_index(np.argmax(window), window.shape)
            dx[c, 2 * i + at[0], 2 * j + at[1]] += up
    return dx.reshape((*x.shape[:2], h, w))


def test_a_pooling_whose_axes_are_unpacked_in_the_other_order():
    x = np.arange(8.0).reshape(1, 1, 2, 4)
    upstream = np.array([[[[1.0, 2.0]]]])
    assert np.flatnonzero(pool_backward(upstream, x)).tolist() == [5, 7]
    assert np.flatnonzero(pool_backward_turned(upstream, x)).tolist() == [3, 7]
    assert_backward_agrees(pool, pool_backward, x)
    with pytest.raises(AssertionError):
        assert_backward_agrees(pool, pool_backward_turned, x)


# a recurrent net: dX of a step without what later steps hand back


def recurrent(x, u, v, w):
    h, states = np.zeros(u.shape[0]), [np.zeros(u.shape[0])]
    for t in range(len(x)):
        h = u @ x[t] + w @ h
        states.append(h)
    out = np.stack([v @ state for state in states[1:]])
    return out, (x, u, v, w)


def recurrent_backward(dout, cache):
    x, u, v, w = cache
    dx, dh = np.zeros_like(x), np.zeros(u.shape[0])
    for t in reversed(range(len(x))):
        dh = v.T @ dout[t] + w.T @ dh
        dx[t] = u.T @ dh
    return dx


def recurrent_backward_of_each_step(dout, cache):
    x, u, v, _ = cache
    dx = np.zeros_like(x)
    for t in range(len(x)):
        dx[t] = u.T @ (v.T @ dout[t])
    return dx


def test_a_recurrent_net_without_what_later_steps_hand_back():
    one, x, upstream = np.ones((1, 1)), np.zeros((2, 1)), np.array([[0.0], [1.0]])
    cache = recurrent(x, one, one, one)[1]
    assert recurrent_backward(upstream, cache).ravel().tolist() == [1, 1]
    assert recurrent_backward_of_each_step(upstream, cache).ravel().tolist() == [0, 1]
    assert_backward_agrees(recurrent, recurrent_backward, x, u=one, v=one, w=one)
    with pytest.raises(AssertionError, match="is not ∇recurrent"):
        assert_backward_agrees(recurrent, recurrent_backward_of_each_step, x, u=one, v=one, w=one)


# a penalty with the wrong sign


def penalised(beta, x, y, gamma):
    p = 1 / (1 + np.exp(-(x @ beta)))
    nll = -np.log(p[y == 1]).sum() - np.log(1 - p[y == 0]).sum()
    return (nll + 0.5 * gamma * np.sum(beta**2)) / x.shape[0]


def penalised_gradient(beta, x, y, gamma, sign=1):
    p = 1 / (1 + np.exp(-(x @ beta)))
    return -((y - p) @ x - sign * gamma * beta) / x.shape[0]


def test_a_penalty_of_the_other_sign():
    args = np.array([2.0]), np.zeros((1, 1)), np.array([1]), 1.0
    assert_gradients_agree(penalised_gradient, penalised, *args)
    wrong = lambda beta, x, y, gamma: penalised_gradient(beta, x, y, gamma, sign=-1)  # noqa: E731
    assert wrong(*args) == [-2]
    with pytest.raises(AssertionError, match=r"-2\.0[\s\S]*2\.0"):
        assert_gradients_agree(wrong, penalised, *args)


# a loss that is a mean, and its gradient a sum


def test_a_mean_whose_gradient_is_a_sum():
    def loss(w, x, y):
        return np.mean((x @ w - y) ** 2)

    def gradient(w, x, y):
        return 2 * x.T @ (x @ w - y)

    rng = np.random.default_rng(0)
    args = rng.standard_normal(3), rng.standard_normal((5, 3)), rng.standard_normal(5)
    assert_gradients_agree(lambda w, x, y: gradient(w, x, y) / len(y), loss, *args)
    with pytest.raises(AssertionError, match="5 times what it should be"):
        assert_gradients_agree(gradient, loss, *args)


# binary cross-entropy of a softmax: the diagonal of its Jacobian alone


def cross_entropy(z, y):
    p = np.exp(z) / np.sum(np.exp(z))
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p))


def by_p(z, y):
    p = np.exp(z) / np.sum(np.exp(z))
    return p, -y / p + (1 - y) / (1 - p)


def whole_jacobian(z, y):
    p, dp = by_p(z, y)
    return (np.diag(p) - np.outer(p, p)) @ dp


def diagonal_alone(z, y):
    p, dp = by_p(z, y)
    return dp * p * (1 - p)


def test_the_diagonal_of_a_softmax_alone():
    z, y = np.zeros(3), np.array([1.0, 0.0, 0.0])
    assert np.allclose(whole_jacobian(z, y), [-1, 0.5, 0.5])
    assert np.allclose(diagonal_alone(z, y), [-2 / 3, 1 / 3, 1 / 3])
    assert_gradients_agree(whole_jacobian, cross_entropy, z, y)
    with pytest.raises(AssertionError):
        assert_gradients_agree(diagonal_alone, cross_entropy, z, y)


# right, and once refused since the loss was not traced

RNG = np.random.default_rng(1)
W, X, Y = RNG.standard_normal((3, 4)), RNG.standard_normal((5, 3)), np.array([3, 0, 1, 2, 2])


def masked(w, x):
    out = x @ w
    out[out <= 0] = 0
    return np.sum(out**2)


def masked_gradient(w, x):
    z = x @ w
    return 2 * x.T @ (z * (z > 0))


def chosen(w, x, y):
    z = x @ w
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return -np.log(p[range(len(y)), y]).sum()


def chosen_gradient(w, x, y):
    z = x @ w
    d = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    d[range(len(y)), y] -= 1
    return x.T @ d


def buffered(w, x):
    out = np.zeros((x.shape[0], 2, 4))
    h = np.zeros((x.shape[0], 4))
    for t in range(2):
        h = np.tanh(x @ w + h)
        out[:, t] = h
    return np.sum(out[:, 1] * 2 + out[:, 0])


def buffered_gradient(w, x):
    z = x @ w
    first = np.tanh(z)
    second = np.tanh(z + first)
    d2 = 2 * (1 - second**2)
    return x.T @ (d2 + (1 + d2) * (1 - first**2))


def branched_gradient(w, x, y):
    scores = x @ w
    margins = (scores - scores[range(len(y)), y][:, None] + 1 > 0).astype(float)
    margins[range(len(y)), y] = 0
    margins[range(len(y)), y] = -margins.sum(1)
    return x.T @ margins


RIGHT = {
    "out[x <= 0] = 0": (masked_gradient, masked, (W, X)),
    "p[range(m), y]": (chosen_gradient, chosen, (W, X, Y)),
    "out[:, t] = h": (buffered_gradient, buffered, (W, X)),
    "if j == y[i]": (branched_gradient, hinge_loss, (W, X, Y)),
    "np.asarray": (lambda w: 2 * w, lambda w: np.sum(np.asarray(w) ** 2), (W,)),
    "scipy.special.digamma": (
        lambda a: scipy.special.polygamma(1, a),
        lambda a: np.sum(scipy.special.digamma(a)),
        (np.abs(W) + 0.5,),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_ones_whose_loss_takes_following_pass_and_a_factor_in_them_is_seen(name):
    gradient, loss, args = RIGHT[name]
    assert_gradients_agree(gradient, loss, *args)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda *args: gradient(*args) * (1 + 1e-5), loss, *args)
