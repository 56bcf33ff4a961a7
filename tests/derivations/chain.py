"""The classic exercise: a two-layer net with batch normalisation and softmax cross-entropy, back through 27 intermediates.

It is the exercise of Andrej Karpathy's lecture "Becoming a backprop ninja": characters x are looked up in a table c, their
embeddings go through a layer, batch normalisation and tanh, and a second layer scores the next character y. `FORWARD` says
how each intermediate comes from those before it, `HAND` its cotangent, by hand, from those of the ones after it.

How the exercise becomes a derivation. After step k, the set K holds the intermediates whose cotangents are worked out; it
is closed under "is used by", so it is one side of a cut through the graph. Line k is the whole gradient, with that cut:

    ∇L = Σ_{v ∈ K} dv ∇v|_K + Σ_{parameters p ∈ K} dp

where ∇v|_K is the gradient of v by all parameters, its arguments inside K held fixed: only the edges that cross the cut are
left to ∇. Going from line k−1 to line k, the edges that leave the k-th intermediate v for K are replaced by dv ∇v. They are
the same if, and only if, dv is the sum of what comes back along those edges (for all that matters to the gradient). So a
wrong step shows at its own line; the lines after it carry the mistake on, and equal the line above them. In line 27, K holds
all parameters, and no ∇ is left.

Two steps cannot be seen, whatever they are multiplied by: `MATHEMATICALLY_ZERO`.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from manual_grad import Derivation, classes, contract, reals
from tests.derivations._planted import planted

N, BLOCK, VOCABULARY, EMBEDDING, HIDDEN = 3, 2, 3, 2, 3
EPS = 2**-16
"""Near the exercise's 1e-5, and exact."""

Nabla = Any
Parameters = dict[str, Any]

FORWARD: dict[str, Callable[..., Any]] = {
    "emb": lambda c, x: c[x].reshape(N, BLOCK, EMBEDDING),
    "embcat": lambda emb: emb.reshape(N, BLOCK * EMBEDDING),
    "hprebn": lambda embcat, w1, b1: embcat @ w1 + b1,
    "bnmeani": lambda hprebn: jnp.sum(hprebn, axis=0, keepdims=True) / N,
    "bndiff": lambda hprebn, bnmeani: hprebn - bnmeani,
    "bndiff2": lambda bndiff: bndiff**2,
    "bnvar": lambda bndiff2: jnp.sum(bndiff2, axis=0, keepdims=True) / (N - 1),
    "bnvar_inv": lambda bnvar: (bnvar + EPS) ** -0.5,
    "bnraw": lambda bndiff, bnvar_inv: bndiff * bnvar_inv,
    "hpreact": lambda bngain, bnraw, bnbias: bngain * bnraw + bnbias,
    "h": lambda hpreact: jnp.tanh(hpreact),
    "logits": lambda h, w2, b2: h @ w2 + b2,
    "logit_maxes": lambda logits: jnp.max(logits, axis=1, keepdims=True),
    "norm_logits": lambda logits, logit_maxes: logits - logit_maxes,
    "counts": lambda norm_logits: jnp.exp(norm_logits),
    "counts_sum": lambda counts: jnp.sum(counts, axis=1, keepdims=True),
    "counts_sum_inv": lambda counts_sum: counts_sum**-1,
    "probs": lambda counts, counts_sum_inv: counts * counts_sum_inv,
    "logprobs": lambda probs: jnp.log(probs),
    "picked": lambda logprobs, y: logprobs[jnp.arange(N), y],
    "loss": lambda picked: -jnp.mean(picked),
}
"""Each intermediate from the ones it is made of, by name."""

HAND: dict[str, Callable[..., Any]] = {
    "picked": lambda: -jnp.ones(N) / N,
    "logprobs": lambda dpicked, y: jnp.zeros((N, VOCABULARY)).at[jnp.arange(N), y].set(dpicked),
    "probs": lambda dlogprobs, probs: dlogprobs / probs,
    "counts_sum_inv": lambda dprobs, counts: jnp.sum(dprobs * counts, axis=1, keepdims=True),
    "counts_sum": lambda dcounts_sum_inv, counts_sum: -(counts_sum**-2) * dcounts_sum_inv,
    "counts": lambda dprobs, counts_sum_inv, dcounts_sum: dprobs * counts_sum_inv + dcounts_sum,
    "norm_logits": lambda dcounts, counts: dcounts * counts,
    "logit_maxes": lambda dnorm_logits: -jnp.sum(dnorm_logits, axis=1, keepdims=True),
    "logits": lambda dnorm_logits, dlogit_maxes, logits: (
        dnorm_logits + dlogit_maxes * jax.nn.one_hot(jnp.argmax(logits, axis=1), VOCABULARY)
    ),
    "h": lambda dlogits, w2: dlogits @ w2.T,
    "w2": lambda dlogits, h: h.T @ dlogits,
    "b2": lambda dlogits: jnp.sum(dlogits, axis=0),
    "hpreact": lambda dh, h: dh * (1 - h**2),
    "bngain": lambda dhpreact, bnraw: jnp.sum(dhpreact * bnraw, axis=0),
    "bnbias": lambda dhpreact: jnp.sum(dhpreact, axis=0),
    "bnraw": lambda dhpreact, bngain: dhpreact * bngain,
    "bnvar_inv": lambda dbnraw, bndiff: jnp.sum(dbnraw * bndiff, axis=0, keepdims=True),
    "bnvar": lambda dbnvar_inv, bnvar: -0.5 * (bnvar + EPS) ** -1.5 * dbnvar_inv,
    "bndiff2": lambda dbnvar: jnp.ones((N, 1)) * dbnvar / (N - 1),
    "bndiff": lambda dbnraw, bnvar_inv, dbndiff2, bndiff: dbnraw * bnvar_inv + 2 * bndiff * dbndiff2,
    "bnmeani": lambda dbndiff: -jnp.sum(dbndiff, axis=0, keepdims=True),
    "hprebn": lambda dbndiff, dbnmeani: dbndiff + dbnmeani / N,
    "embcat": lambda dhprebn, w1: dhprebn @ w1.T,
    "w1": lambda dhprebn, embcat: embcat.T @ dhprebn,
    "b1": lambda dhprebn: jnp.sum(dhprebn, axis=0),
    "emb": lambda dembcat: dembcat.reshape(N, BLOCK, EMBEDDING),
    "c": lambda demb, x: jnp.zeros((VOCABULARY, EMBEDDING)).at[x].add(demb.reshape(-1, EMBEDDING)),
}
"""The cotangent of each intermediate, by hand, in the order in which the exercise asks for them."""

EQUATIONS: dict[str, str] = {
    "picked": "−1/n",
    "logprobs": "dpicked at y, 0 elsewhere",
    "probs": "dlogprobs / probs",
    "counts_sum_inv": "Σ_k dprobs counts",
    "counts_sum": "−counts_sum⁻² dcounts_sum_inv",
    "counts": "dprobs counts_sum_inv + dcounts_sum",
    "norm_logits": "dcounts counts",
    "logit_maxes": "−Σ_k dnorm_logits",
    "logits": "dnorm_logits + dlogit_maxes at the maximum",
    "h": "dlogits w2ᵀ",
    "w2": "hᵀ dlogits",
    "b2": "Σ_i dlogits",
    "hpreact": "dh (1 − h²)",
    "bngain": "Σ_i dhpreact bnraw",
    "bnbias": "Σ_i dhpreact",
    "bnraw": "dhpreact bngain",
    "bnvar_inv": "Σ_i dbnraw bndiff",
    "bnvar": "−½ (bnvar + ε)^−1.5 dbnvar_inv",
    "bndiff2": "dbnvar / (n−1)",
    "bndiff": "dbnraw bnvar_inv + 2 bndiff dbndiff2",
    "bnmeani": "−Σ_i dbndiff",
    "hprebn": "dbndiff + dbnmeani / n",
    "embcat": "dhprebn w1ᵀ",
    "w1": "embcatᵀ dhprebn",
    "b1": "Σ_i dhprebn",
    "emb": "dembcat, in its shape",
    "c": "Σ demb over the places where a character stands",
}

STEPS = tuple(HAND)
"""The 27 intermediates, last first: step k, counted from 1, works out the cotangent of STEPS[k − 1]."""

MATHEMATICALLY_ZERO = {
    "logit_maxes": "softmax does not change when all logits of a row move together",
    "b1": "batch normalisation takes a common shift out again",
}
"""Cotangents that are 0 for every input, and why: 1.1 times them is right."""


class Values:
    """Intermediates and cotangents by name, each worked out when it is first asked for.

    Args:
        known: what is given or held fixed: parameters, x and y, intermediates.
        steps: for each cotangent that may be asked for, the factor its step is multiplied by (None where it is right).
    """

    def __init__(self, known: dict[str, Any], steps: dict[str, Any] | None = None) -> None:
        """Starts from what is known."""
        self._known = dict(known)
        self._steps = steps or {}

    def __getitem__(self, name: str) -> Any:
        """The value of an intermediate; of a cotangent, for a name with a d in front of an intermediate's."""
        if name not in self._known:
            self._known[name] = self._cotangent(name[1:]) if name[1:] in self._steps else self._made(FORWARD[name])
        return self._known[name]

    def _cotangent(self, name: str) -> Any:
        value, factor = self._made(HAND[name]), self._steps[name]
        return value if factor is None else factor * value

    def _made(self, rule: Callable[..., Any]) -> Any:
        return rule(**{name: self[name] for name in inspect.signature(rule).parameters})


def uses(name: str) -> list[str]:
    """The names an intermediate is made of; nothing for a parameter."""
    return list(inspect.signature(FORWARD[name]).parameters) if name in FORWARD else []


def loss(theta: Parameters, x: Any, y: Any) -> Any:
    """L = −1/n Σ_i log softmax(tanh(batchnorm(c[x] w1 + b1)) w2 + b2)_y"""
    return Values({**theta, "x": x, "y": y})["loss"]


@cache
def with_held(name: str) -> Callable[..., Any]:
    """The intermediate `name` as a function of the parameters, those in `held` fixed."""

    def intermediate(theta: Parameters, x: Any, y: Any, held: dict[str, Any]) -> Any:
        return Values({**theta, "x": x, "y": y, **held})[name]

    intermediate.__name__ = name
    return intermediate


def added(first: Parameters, second: Parameters) -> Parameters:
    """The sum of two sets of parameters."""
    return {name: first[name] + second[name] for name in first}


@cache
def right_line(k: int) -> Callable[..., Any]:
    """Line k of the chain as it is; the same function for all chains that are right so far."""
    return step_line(k, {})


def step_line(k: int, factors: dict[str, Any]) -> Callable[..., Any]:
    """Line k: the gradient through the cut after k steps; `factors` multiply the cotangents they name."""
    done = STEPS[:k]
    name = STEPS[k - 1]

    def line(theta: Parameters, x: Any, y: Any, nabla: Nabla) -> Parameters:
        values = Values({**theta, "x": x, "y": y}, {step: factors.get(step) for step in done})
        gradient = {p: values[f"d{p}"] if p in done else jnp.zeros_like(theta[p]) for p in theta}
        for v in crossing(done):
            held = {u: values[u] for u in uses(v) if u in done}
            jacobian = nabla(with_held(v))(theta, x, y, held)
            gradient = added(gradient, contract(values[f"d{v}"], jacobian))
        return gradient

    line.__name__ = f"d{name}"
    line.__doc__ = f"d{name} = {EQUATIONS[name]}"
    return line


def crossing(done: Iterable[str]) -> list[str]:
    """The intermediates worked out that are made of some that are not: where edges cross the cut."""
    done = set(done)
    return [v for v in STEPS if v in done and any(u not in done and u not in ("x", "y") for u in uses(v))]


DOMAIN = (
    {
        "c": reals(VOCABULARY, EMBEDDING),
        "w1": reals(BLOCK * EMBEDDING, HIDDEN),
        "b1": reals(HIDDEN),
        "bngain": reals(HIDDEN),
        "bnbias": reals(HIDDEN),
        "w2": reals(HIDDEN, VOCABULARY),
        "b2": reals(VOCABULARY),
    },
    classes(N * BLOCK, VOCABULARY),
    classes(N, VOCABULARY),
)


def chain(broken_step: int | None = None, factor: float = 1.1) -> Derivation:
    """The exercise as a derivation of 27 lines; with the cotangent of step `broken_step` (from 1) multiplied by `factor`.

    The lines after the broken one carry the mistake on, as the rest of a derivation on paper does.
    """
    if broken_step is not None and not 1 <= broken_step <= len(STEPS):
        raise ValueError(f"broken_step is a number from 1 to {len(STEPS)}, got {broken_step}")
    factors = {} if broken_step is None else {STEPS[broken_step - 1]: factor}
    return Derivation(
        "∇L, back through 27 intermediates" + "".join(f", d{name} times {times}" for name, times in factors.items()),
        of=loss,
        wrt=None,
        domain=DOMAIN,
        lines=[
            right_line(k) if broken_step is None or k < broken_step else step_line(k, factors)
            for k in range(1, len(STEPS) + 1)
        ],
    )


CHAIN = chain()

# A mistake in one line only, which the next line puts right: that line uses a cotangent its own way

BROKEN = [
    planted(CHAIN, f"d{name}", step_line(STEPS.index(name) + 1, {name: factor}))
    for name, factor in (("probs", -1.0), ("hpreact", 0.5), ("bnmeani", 0.0), ("c", 1.1))
]
