"""Recurrent nets, attention, and dynamic programs."""

import numpy as np
from scipy.special import logsumexp

from backwards.case import Cases

CASES = Cases()
_rng = np.random.default_rng(2)
X, H0 = _rng.standard_normal((2, 3, 2)), _rng.standard_normal((2, 2))
WX, WH, B = _rng.standard_normal((2, 2)), _rng.standard_normal((2, 2)), _rng.standard_normal(2)
SERIES, SCORES, STEPS = _rng.standard_normal(5), _rng.standard_normal((4, 3)), _rng.standard_normal((3, 3))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_forward(x, h0, wx, wh, b):
    n, steps, _ = x.shape
    h = np.zeros((n, steps, h0.shape[1]))
    previous = h0
    for t in range(steps):
        previous = np.tanh(x[:, t] @ wx + previous @ wh + b)
        h[:, t] = previous
    return h, (x, h0, wx, wh, h)


@CASES.backward(rnn_forward, X, H0, WX, WH, B)
def rnn_backward(dh, cache):
    x, h0, wx, wh, h = cache
    dx, dwx, dwh, db = np.empty_like(x), np.zeros_like(wx), np.zeros_like(wh), np.zeros(len(wh))
    carry = np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        before = h[:, t - 1] if t > 0 else h0
        da = (dh[:, t] + carry) * (1 - h[:, t] ** 2)
        dx[:, t] = da @ wx.T
        dwx += x[:, t].T @ da
        dwh += before.T @ da
        db += da.sum(axis=0)
        # wrong: carry = np.zeros_like(h0)
        carry = da @ wh.T
    return dx, carry, dwx, dwh, db


def lstm_step_forward(x, h, c, wx, wh, b):
    a = x @ wx + h @ wh + b
    i, f, o, g = np.split(a, 4, axis=1)
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    c_next = f * c + i * g
    h_next = o * np.tanh(c_next)
    return h_next, c_next, (x, h, c, wx, wh, i, f, o, g, c_next)


@CASES.backward(
    lstm_step_forward,
    H0,
    H0 + 1,
    H0 - 1,
    _rng.standard_normal((2, 8)),
    _rng.standard_normal((2, 8)),
    _rng.standard_normal(8),
    uses=(sigmoid,),
)
def lstm_step_backward(dh, dc, cache):
    x, h, c, wx, wh, i, f, o, g, c_next = cache
    t = np.tanh(c_next)
    # wrong: dc = dh * o * (1 - t**2)
    dc = dc + dh * o * (1 - t**2)
    da = np.empty((len(x), 4 * c.shape[1]))
    d = c.shape[1]
    da[:, :d] = dc * g * i * (1 - i)
    da[:, d : 2 * d] = dc * c * f * (1 - f)
    da[:, 2 * d : 3 * d] = dh * t * o * (1 - o)
    da[:, 3 * d :] = dc * i * (1 - g**2)
    return da @ wx.T, da @ wh.T, dc * f, x.T @ da, h.T @ da, np.sum(da, axis=0)


def gru_step_forward(x, h, w, u):
    parameters = {"w": w, "u": u}
    z, r = sigmoid(x @ w[0] + h @ u[0]), sigmoid(x @ w[1] + h @ u[1])
    n = np.tanh(x @ w[2] + (r * h) @ u[2])
    return (1 - z) * n + z * h, {"x": x, "h": h, "z": z, "r": r, "n": n, **parameters}


@CASES.backward(
    gru_step_forward, H0, H0 + 0.5, _rng.standard_normal((3, 2, 2)), _rng.standard_normal((3, 2, 2)), uses=(sigmoid,)
)
def gru_step_backward(dout, cache):
    x, h, z, r, n, w, u = (cache[name] for name in ("x", "h", "z", "r", "n", "w", "u"))
    dn = dout * (1 - z) * (1 - n**2)
    drh = dn @ u[2].T
    dz, dr = dout * (h - n) * z * (1 - z), drh * h * r * (1 - r)
    grads = {"w": np.stack([x.T @ dz, x.T @ dr, x.T @ dn])}
    grads["u"] = np.array([h.T @ dz, h.T @ dr, (r * h).T @ dn])
    grads["x"] = dz @ w[0].T + dr @ w[1].T + dn @ w[2].T
    # wrong: grads["h"] = dout * z + drh + dz @ u[0].T + dr @ u[1].T
    grads["h"] = dout * z + drh * r + dz @ u[0].T + dr @ u[1].T
    return grads


def char_model(params, tokens):
    h, loss, vocabulary = np.zeros(2), 0.0, tokens.max() + 1
    for t in range(len(tokens) - 1):
        onehot = np.zeros(vocabulary)
        onehot[tokens[t]] = 1
        h = np.tanh(params["U"] @ onehot + params["W"] @ h)
        z = params["V"] @ h
        loss += np.log(np.sum(np.exp(z))) - z[tokens[t + 1]]
    return loss


@CASES.gradient(
    char_model,
    {"U": _rng.standard_normal((2, 3)), "W": WH, "V": _rng.standard_normal((3, 2))},
    np.array([0, 2, 1, 2]),
)
def char_model_gradients(params, tokens):
    hs, ps, steps = {-1: np.zeros(2)}, {}, len(tokens) - 1
    for t in range(steps):
        hs[t] = np.tanh(params["U"][:, tokens[t]] + params["W"] @ hs[t - 1])
        e = np.exp(params["V"] @ hs[t])
        ps[t] = e / e.sum()
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    dnext = np.zeros(2)
    for t in reversed(range(steps)):
        dz = np.copy(ps[t])
        dz[tokens[t + 1]] -= 1
        grads["V"] += np.outer(dz, hs[t])
        da = (params["V"].T @ dz + dnext) * (1 - hs[t] * hs[t])
        grads["U"][:, tokens[t]] += da
        # wrong: grads["W"] += np.outer(da, hs[t])
        grads["W"] += np.outer(da, hs[t - 1])
        dnext = params["W"].T @ da
    return grads


def attention_forward(q, k, v):
    s = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    a = np.exp(s - s.max(axis=-1, keepdims=True))
    a /= a.sum(axis=-1, keepdims=True)
    return a @ v, (q, k, v, a)


@CASES.backward(attention_forward, X, X + 0.5, X * 2)
def attention_backward(dout, cache):
    q, k, v, a = cache
    da = dout @ v.swapaxes(1, 2)
    ds = a * (da - np.sum(da * a, axis=-1, keepdims=True))
    # wrong: ds /= q.shape[-1]
    ds /= np.sqrt(q.shape[-1])
    return ds @ k, ds.swapaxes(1, 2) @ q, a.swapaxes(1, 2) @ dout


def causal_forward(x, w):
    scores = x @ w @ x.T
    steps = len(scores)
    scores[np.triu_indices(steps, 1)] = -np.inf
    p = np.exp(scores)
    p /= p.sum(axis=1)[:, None]
    return p @ x, (x, w, p)


@CASES.backward(causal_forward, 0.5 * SCORES, STEPS)
def causal_backward(dout, cache):
    x, w, p = cache
    dp = dout @ x.T
    ds = p * (dp - (dp * p).sum(axis=1)[:, None])
    # wrong: dx = p.T @ dout + ds @ x @ w.T
    dx = p.T @ dout + ds @ x @ w.T + ds.T @ x @ w
    return dx, x.T @ ds @ x


def heads_forward(q, k, v):
    score = np.einsum("thd,shd->hts", q, k)
    score -= score.max(axis=2, keepdims=True)
    p = np.exp(score, out=score)
    np.divide(p, p.sum(axis=2, keepdims=True), out=p)
    return np.einsum("hts,shd->thd", p, v), (q, k, v, p)


@CASES.backward(heads_forward, X, X - 1, X + 1)
def heads_backward(dout, cache):
    q, k, v, p = cache
    dp = np.einsum("thd,shd->hts", dout, v)
    ds = p * (dp - np.einsum("hts,hts->ht", dp, p)[..., np.newaxis])
    # wrong: dk = np.einsum("hst,thd->shd", ds, q)
    dk = np.einsum("hts,thd->shd", ds, q)
    return np.einsum("hts,shd->thd", ds, k), dk, np.einsum("hts,thd->shd", p, dout)


def autoregression(w, series):
    loss = 0.0
    for t in range(2, len(series)):
        loss += 0.5 * (series[t] - w[0] * series[t - 1] - w[1] * series[t - 2]) ** 2
    return loss


@CASES.gradient(autoregression, np.array([0.5, -0.25]), SERIES)
def autoregression_gradient(w, series):
    lagged = np.array([series[1:-1], series[:-2]])
    # wrong: return -lagged @ (series[1:-1] - w @ lagged)
    return -lagged @ (series[2:] - w @ lagged)


def moving_average(w, series):
    residuals = np.zeros(len(series) + 1)
    for t in range(len(series)):
        residuals[t + 1] = series[t] - w * residuals[t]
    return 0.5 * np.sum(residuals**2)


@CASES.gradient(moving_average, 0.5, SERIES)
def moving_average_gradient(w, series):
    r, d, total = 0.0, 0.0, 0.0
    for value in series:
        # wrong: r, d = value - w * r, -r
        r, d = value - w * r, -r - w * d
        total += r * d
    return total


def forward_algorithm(scores, steps):
    alpha = scores[0]
    for t in range(1, len(scores)):
        alpha = logsumexp(alpha[:, None] + steps, axis=0) + scores[t]
    return logsumexp(alpha)


@CASES.gradient(forward_algorithm, SCORES, STEPS)
def marginals(scores, steps):
    n, k = scores.shape
    alpha, beta = np.empty((n, k)), np.zeros((n, k))
    alpha[0] = scores[0]
    for t in range(1, n):
        alpha[t] = logsumexp(alpha[t - 1][:, None] + steps, axis=0) + scores[t]
    for t in range(n - 2, -1, -1):
        # wrong: beta[t] = logsumexp(steps + beta[t + 1], axis=1)
        beta[t] = logsumexp(steps + scores[t + 1] + beta[t + 1], axis=1)
    return np.exp(alpha + beta - logsumexp(alpha[-1]))


@CASES.gradient(forward_algorithm, SCORES, STEPS, wrt="steps")
def pair_marginals(scores, steps):
    alphas, t = [scores[0]], 1
    while t < len(scores):
        alphas.append(logsumexp(alphas[-1][:, np.newaxis] + steps, axis=0) + scores[t])
        t += 1
    total, d = np.zeros_like(steps), np.exp(alphas[-1] - logsumexp(alphas[-1]))
    while t > 1:
        t -= 1
        joint = np.exp(alphas[t - 1][:, None] + steps + scores[t] - alphas[t]) * d
        # wrong: total = joint
        total += joint
        d = joint.sum(axis=1)
    return total


def viterbi_score(scores, steps):
    best = scores[0]
    for t in range(1, len(scores)):
        best = np.max(best[:, None] + steps, axis=0) + scores[t]
    return best.max()


@CASES.gradient(viterbi_score, SCORES, STEPS)
def viterbi_path(scores, steps):
    n, k = scores.shape
    back, best = np.zeros((n, k), dtype=int), scores[0].copy()
    for t in range(1, n):
        both = best[:, None] + steps
        back[t] = both.argmax(axis=0)
        best = both.max(axis=0) + scores[t]
    g, state = np.zeros((n, k)), int(best.argmax())
    for t in reversed(range(n)):
        g[t, state] = 1.0
        # wrong: state = back[t - 1, state]
        state = back[t, state]
    return g
