"""Plain loops, branches on data, sizes that are read off data, and scatters by `ufunc.at`."""

import math

import numpy as np

from backwards.case import Cases

CASES = Cases()
_rng = np.random.default_rng(6)
X, Y, V = _rng.standard_normal((6, 2)), _rng.standard_normal(6), _rng.standard_normal(3)
GROUPS, EDGES = np.array([0, 2, 1, 2, 0, 2]), np.array([[0, 1], [0, 2], [2, 0], [1, 0]])
TIMES, EVENTS = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 6.0]), np.array([1, 0, 1, 1, 0, 1])


def group_means(x, groups):
    counts = np.bincount(groups)
    sums = np.zeros((len(counts), x.shape[1]))
    np.add.at(sums, groups, x)
    means = sums / counts[:, None]
    return 0.5 * np.sum((x - means[groups]) ** 2)


@CASES.gradient(group_means, X, GROUPS)
def group_means_gradient(x, groups):
    g = x.copy()
    for group in np.unique(groups):
        mask = groups == group
        # wrong: g[mask] -= x[mask].sum(axis=0)
        g[mask] -= x[mask].mean(axis=0)
    return g


def graph_laplacian(h, edges):
    total = 0.0
    for i, j in edges:
        total += 0.5 * np.sum((h[i] - h[j]) ** 2)
    return total


@CASES.gradient(graph_laplacian, X[:3], EDGES)
def laplacian_by_scatter(h, edges):
    source, target = edges.T
    difference = h[source] - h[target]
    g = np.zeros_like(h)
    np.add.at(g, source, difference)
    # wrong: np.add.at(g, target, difference)
    np.subtract.at(g, target, difference)
    return g


def message_passing(h, edges):
    gathered = np.full(h.shape, -np.inf)
    np.maximum.at(gathered, edges[:, 1], h[edges[:, 0]])
    return np.sum(np.where(np.isfinite(gathered), gathered, 0) * (1 + np.arange(h.size).reshape(h.shape)))


@CASES.gradient(message_passing, X[:3], EDGES)
def message_passing_gradient(h, edges):
    g, upstream = np.zeros(h.shape), 1.0 + np.arange(h.size).reshape(h.shape)
    for node in range(len(h)):
        sources = edges[edges[:, 1] == node, 0]
        if len(sources) == 0:
            continue
        best = sources[np.argmax(h[sources], axis=0)]
        # wrong: g[best, range(h.shape[1])] = upstream[node]
        g[best, range(h.shape[1])] += upstream[node]
    return g


def cox(w, x, times, events):
    order = np.argsort(-times)
    x, events = x[order], events[order]
    eta = x @ w
    risk = np.log(np.cumsum(np.exp(eta)))
    return -np.sum((eta - risk)[events == 1])


@CASES.gradient(cox, V[:2], X, TIMES, EVENTS)
def cox_gradient(w, x, times, events):
    total = np.zeros_like(w)
    for i in range(len(times)):
        if not events[i]:
            continue
        # wrong: at_risk = times > times[i]
        at_risk = times >= times[i]
        weights = np.exp(x[at_risk] @ w)
        total -= x[i] - weights @ x[at_risk] / weights.sum() if weights.sum() > 0 else x[i]
    return total


def polynomial(c, x):
    total = 0.0
    k = len(c) - 1
    while k >= 0:
        total = total * x + c[k]
        k -= 1
    return 0.5 * np.sum(total**2)


@CASES.gradient(polynomial, V, Y)
def polynomial_gradient(c, x):
    powers = np.ones((len(c), len(x)))
    for k in range(1, len(c)):
        powers[k] = powers[k - 1] * x
    # wrong: return powers[::-1] @ (c @ powers)
    return powers @ (c @ powers)


def newton_root(a):
    x, k = 1.0, 0
    while abs(x * x - a) > 1e-12 and k < 50:
        x = 0.5 * (x + a / x)
        k += 1
    return x


@CASES.gradient(newton_root, 2.5)
def newton_through_steps(a):
    x, dx, k = 1.0, 0.0, 0
    while abs(x * x - a) > 1e-12 and k < 50:
        # wrong: dx = 0.5 * (dx + 1 / x)
        dx = 0.5 * (dx + 1 / x - a * dx / (x * x))
        x = 0.5 * (x + a / x)
        k += 1
    return dx


def haversine(place, towns):
    total = 0.0
    for lat, lon in towns:
        a = math.sin((lat - place[0]) / 2) ** 2 + math.cos(lat) * math.cos(place[0]) * math.sin((lon - place[1]) / 2) ** 2
        total += 2 * math.asin(math.sqrt(a))
    return total


@CASES.gradient(haversine, np.array([0.5, 0.25]), 0.3 * X[:3])
def haversine_gradient(place, towns):
    grad = np.zeros(2)
    for lat, lon in towns:
        dlat, dlon = lat - place[0], lon - place[1]
        a = math.sin(dlat / 2) ** 2 + math.cos(lat) * math.cos(place[0]) * math.sin(dlon / 2) ** 2
        da = np.array([
            -0.5 * math.sin(dlat) - math.cos(lat) * math.sin(place[0]) * math.sin(dlon / 2) ** 2,
            -0.5 * math.cos(lat) * math.cos(place[0]) * math.sin(dlon),
        ])  # fmt: skip
        # wrong: grad += 2 * da / math.sqrt(a * (1 - a))
        grad += da / math.sqrt(a * (1 - a))
    return grad


def soft_histogram(x, bins):
    k = int(bins)
    centers = np.linspace(-1, 1, k)
    weights = np.exp(-((np.asarray(x)[:, None] - centers) ** 2))
    return np.sum(weights.sum(axis=0) ** 2)


@CASES.gradient(soft_histogram, Y, 4)
def soft_histogram_gradient(x, bins):
    g, centers = np.zeros(len(x)), np.linspace(-1, 1, int(bins))
    for c in centers:
        w = np.exp(-((x - c) ** 2))
        # wrong: g -= 4 * w * w * (x - c)
        g -= 4 * w.sum() * w * (x - c)
    return g


def top_mean(x, k):
    chosen = np.sort(x)[-k:]
    return chosen.mean() ** 2


@CASES.gradient(top_mean, Y, 2)
def top_mean_gradient(x, k):
    g = np.zeros_like(x)
    top = np.argsort(x)[-k:]
    # wrong: g[top] = 2 * x[top] / k
    g[top] = 2 * x[top].mean() / k
    return g


def ragged(x, lengths):
    start, total = 0, 0.0
    for length in lengths:
        part = x[start : start + length]
        total += np.prod(part) if length > 1 else part.sum() ** 2
        start += length
    return total


@CASES.gradient(ragged, Y, np.array([3, 1, 2]))
def ragged_gradient(x, lengths):
    parts, g = np.split(x, np.cumsum(lengths)[:-1]), []
    for part in parts:
        if len(part) > 1:
            g.append([np.prod(np.delete(part, k)) for k in range(len(part))])
        else:
            # wrong: g.append([part[0]])
            g.append([2 * part[0]])
    return np.concatenate([np.array(one) for one in g])
