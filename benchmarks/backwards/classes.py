"""Classes that keep caches, layers that call layers, and a small engine of scalars."""

import numpy as np

from backwards.case import Cases

CASES = Cases()
_rng = np.random.default_rng(4)
X, Y, TARGET = _rng.standard_normal((4, 3)), np.array([1, 0, 1, 1]), _rng.standard_normal((4, 2))
PARAMS = {
    "W1": _rng.standard_normal((3, 4)),
    "b1": _rng.standard_normal(4),
    "W2": _rng.standard_normal((4, 2)),
    "b2": _rng.standard_normal(2),
}


class Dense:
    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.x = x
        return x @ self.w + self.b

    def backward(self, d):
        self.dw, self.db = self.x.T @ d, d.sum(axis=0)
        return d @ self.w.T


class Relu:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, d):
        d[self.mask] = 0
        return d


class SoftmaxWithLoss:
    def forward(self, z, t):
        e = np.exp(z - np.max(z, axis=1, keepdims=True))
        self.p, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.sum(np.log(self.p[np.arange(len(t)), t])) / len(t)

    def backward(self):
        d = self.p.copy()
        d[np.arange(len(self.t)), self.t] -= 1
        return d / len(self.t)


def layered(params, x, y):
    layers = [Dense(params["W1"], params["b1"]), Relu(), Dense(params["W2"], params["b2"])]
    for layer in layers:
        x = layer.forward(x)
    last = SoftmaxWithLoss()
    return last.forward(x, y), layers, last


def layered_loss(params, x, y):
    return layered(params, x, y)[0]


@CASES.gradient(layered_loss, PARAMS, X, Y, uses=(Dense, Relu, SoftmaxWithLoss, layered))
def layered_gradients(params, x, y):
    _, layers, last = layered(params, x, y)
    d = last.backward()
    for layer in reversed(layers):
        d = layer.backward(d)
    first, _, second = layers
    # wrong: return {"W1": first.dw, "b1": first.db, "W2": second.dw, "b2": -second.db}
    return {"W1": first.dw, "b1": first.db, "W2": second.dw, "b2": second.db}


class TwoLayerNet:
    def __init__(self, params):
        self.params, self.cache = params, {}

    def loss(self, x, t, reg=0.1):
        h = np.tanh(x @ self.params["W1"] + self.params["b1"])
        out = h @ self.params["W2"] + self.params["b2"]
        self.cache["x"], self.cache["h"], self.cache["d"] = x, h, out - t
        penalty = sum(np.sum(self.params[name] ** 2) for name in ("W1", "W2"))
        return 0.5 * np.mean(np.sum((out - t) ** 2, axis=1)) + 0.5 * reg * penalty

    def gradients(self, reg=0.1):
        x, h, d = self.cache["x"], self.cache["h"], self.cache["d"] / len(self.cache["x"])
        grads = {"W2": h.T @ d + reg * self.params["W2"], "b2": d.sum(axis=0)}
        da = d @ self.params["W2"].T * (1 - h**2)
        # wrong: grads["W1"] = x.T @ da
        grads["W1"] = x.T @ da + reg * self.params["W1"]
        grads["b1"] = np.sum(da, axis=0)
        return grads


def two_layer_loss(params, x, t):
    return TwoLayerNet(params).loss(x, t)


@CASES.gradient(two_layer_loss, PARAMS, X, TARGET, uses=(TwoLayerNet,))
def two_layer_gradients(params, x, t):
    net = TwoLayerNet(params)
    net.loss(x, t)
    return net.gradients()


class Value:
    """A scalar that knows its parents."""

    def __init__(self, data, parents=()):
        self.data, self.grad, self.parents = data, 0.0, parents

    def __add__(self, other):
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def tanh(self):
        t = np.tanh(self.data)
        return Value(t, ((self, 1 - t**2),))

    def backward(self):
        order, waiting = [], [self]
        while waiting:
            one = waiting.pop()
            order.append(one)
            waiting += [parent for parent, _ in one.parents]
        self.grad = 1.0
        for one in order:
            for parent, slope in one.parents:
                parent.grad += slope * one.grad


def neuron(w, x):
    total = w[0] * x[0]
    for a, b in zip(w[1:], x[1:]):
        total = total + a * b
    return np.tanh(total)


@CASES.gradient(neuron, np.array([0.5, -1.0, 0.25]), X[0], uses=(Value,))
def by_a_scalar_engine(w, x):
    ws = [Value(v) for v in w]
    out = ws[0] * Value(x[0])
    for a, b in zip(ws[1:], x[1:]):
        out = out + a * Value(b)
    # wrong: out.backward()
    out.tanh().backward()
    return np.array([v.grad for v in ws])


class BatchNorm:
    eps = 1e-3

    def __init__(self, gamma):
        self.gamma, self.running = gamma, None

    def forward(self, x):
        mean = x.mean(axis=0)
        self.running = mean if self.running is None else 0.9 * self.running + 0.1 * mean
        self.xc = x - mean
        self.std = np.sqrt(np.mean(self.xc**2, axis=0) + self.eps)
        self.xn = self.xc / self.std
        return self.gamma * self.xn

    def backward(self, d):
        n = len(d)
        dxn = self.gamma * d
        dxc = dxn / self.std
        dstd = -np.sum(dxn * self.xc / (self.std * self.std), axis=0)
        # wrong: dxc += 0.5 * self.xc * dstd / (n * self.std)
        dxc += self.xc * dstd / (n * self.std)
        return dxc - np.sum(dxc, axis=0) / n


def normalised(x, gamma, g):
    return np.sum(BatchNorm(gamma).forward(x) * g)


@CASES.gradient(normalised, X, np.array([1.0, 0.5, 2.0]), X[::-1] + 1, uses=(BatchNorm,))
def batch_norm_class(x, gamma, g):
    layer = BatchNorm(gamma)
    layer.forward(x)
    return layer.backward(g)


class Perceptron:
    """Layers in lists, deltas column by column."""

    def __init__(self, weights):
        self.weights = weights

    def backprop(self, x, y):
        activation, activations, zs = x.reshape(-1, 1), [x.reshape(-1, 1)], []
        for w in self.weights:
            zs.append(w @ activation)
            activation = 1 / (1 + np.exp(-zs[-1]))
            activations.append(activation)
        loss = 0.5 * np.sum((activation - y.reshape(-1, 1)) ** 2)
        grads = [np.zeros(w.shape) for w in self.weights]
        delta = (activations[-1] - y.reshape(-1, 1)) * activations[-1] * (1 - activations[-1])
        grads[-1] = delta @ activations[-2].T
        for layer in range(2, len(self.weights) + 1):
            s = activations[-layer] * (1 - activations[-layer])
            # wrong: delta = self.weights[-layer + 1].T @ delta
            delta = self.weights[-layer + 1].T @ delta * s
            grads[-layer] = delta @ activations[-layer - 1].T
        return loss, grads


def perceptron(weights, x, y):
    return Perceptron(weights).backprop(x, y)


CASES.gradient(
    perceptron,
    [_rng.standard_normal((4, 3)), _rng.standard_normal((2, 4)), _rng.standard_normal((2, 2))],
    X[0],
    TARGET[0],
    uses=(Perceptron,),
)(perceptron)


class Tape:
    """Records what to do backwards."""

    def __init__(self):
        self.steps = []

    def record(self, step):
        self.steps.append(step)

    def run(self, d):
        while self.steps:
            d = self.steps.pop()(d)
        return d


def smooth_max(x):
    y = np.exp(2 * x)
    y /= y.sum()
    return np.dot(y, x)


@CASES.gradient(smooth_max, X[0], uses=(Tape,))
def by_a_tape(x):
    tape, y = Tape(), np.exp(2 * x)
    y /= y.sum()
    # wrong: tape.record(lambda d: d * (y + y * (x - np.dot(y, x))))
    tape.record(lambda d: d * (y + 2 * y * (x - np.dot(y, x))))
    return tape.run(1.0)


class Embedding:
    def __init__(self, table):
        self.table, self.ids = table, None

    def forward(self, ids):
        self.ids = ids
        return self.table[ids]

    def backward(self, d):
        grad = np.zeros_like(self.table)
        unique, inverse = np.unique(self.ids, return_inverse=True)
        for k in range(len(unique)):
            # wrong: grad[unique[k]] = d[inverse == k].mean(axis=0)
            grad[unique[k]] = d[inverse == k].sum(axis=0)
        return grad


def continuous_bag(table, ids, target):
    hidden = Embedding(table).forward(ids).mean(axis=0)
    return np.log(np.exp(table @ hidden).sum()) - table[target] @ hidden


@CASES.gradient(continuous_bag, X, np.array([0, 1, 0]), 2, uses=(Embedding,))
def continuous_bag_gradient(table, ids, target):
    layer = Embedding(table)
    hidden = layer.forward(ids).mean(axis=0)
    p = np.exp(table @ hidden)
    p /= p.sum()
    p[target] -= 1
    dhidden = table.T @ p
    grads = layer.backward(np.tile(dhidden / len(ids), (len(ids), 1)))
    grads += np.outer(p, hidden)
    return grads


class Adjoint:
    """Explicit Euler of a decay, and its adjoint."""

    def __init__(self, steps, dt=0.1):
        self.steps, self.dt, self.states = steps, dt, []

    def solve(self, k, u):
        self.states = [u]
        for _ in range(self.steps):
            u = u - self.dt * k * u**2
            self.states.append(u)
        return u

    def gradient(self, k, d):
        total = np.zeros_like(k)
        # wrong: for u in self.states[:0:-1]:
        for u in self.states[-2::-1]:
            total -= d * self.dt * u**2
            d = d * (1 - 2 * self.dt * k * u)
        return total


def decay(k, u):
    return np.sum(Adjoint(5).solve(k, u) ** 2)


@CASES.gradient(decay, np.array([0.5, 1.0]), np.array([1.0, 2.0]), uses=(Adjoint,))
def decay_by_adjoint(k, u):
    solver = Adjoint(5)
    return solver.gradient(k, 2 * solver.solve(k, u))


class KMeans:
    def __init__(self, k):
        self.k = k

    def assign(self, centers, x):
        distances = np.empty((len(x), self.k))
        for j in range(self.k):
            distances[:, j] = np.sum((x - centers[j]) ** 2, axis=1)
        self.labels = np.argmin(distances, axis=1)
        return distances[range(len(x)), self.labels].sum()


def inertia(centers, x):
    return KMeans(len(centers)).assign(centers, x)


@CASES.gradient(inertia, X[:2] + 0.3, X, uses=(KMeans,))
def inertia_gradient(centers, x):
    model = KMeans(len(centers))
    model.assign(centers, x)
    grad = np.zeros_like(centers)
    for j in range(model.k):
        members = x[model.labels == j]
        # wrong: grad[j] = 2 * centers[j] - 2 * members.mean(axis=0)
        grad[j] = 2 * len(members) * centers[j] - 2 * members.sum(axis=0)
    return grad


class Residual:
    def __init__(self, w):
        self.w = w

    def __call__(self, x):
        self.x = x
        self.out = x + np.tanh(x @ self.w)
        return self.out

    def backward(self, d):
        da = d * (1 - (self.out - self.x) ** 2)
        # wrong: return da @ self.w.T, self.x.T @ da
        return d + da @ self.w.T, self.x.T @ da


def residual_forward(x, w):
    first, second = Residual(w), Residual(w)
    return second(first(x)), (first, second)


@CASES.backward(residual_forward, X, _rng.standard_normal((3, 3)), uses=(Residual,))
def residual_backward(dout, cache):
    first, second = cache
    d, dw2 = second.backward(dout)
    dx, dw1 = first.backward(d)
    return dx, dw1 + dw2
