"""A Gaussian prior, or weight decay: the gradient of ll − λ/2 ‖θ‖² by all weights θ of `manual_grad.extensions.net`.

    ∇_θ (ll − λ/2 ‖θ‖²) = ∇_θ ll − λ θ

With λ = 1/τ², the penalty is the log-density of weights that are N(0, τ²), but for a constant. It enters once, and not once
an example. Here it takes the biases too.

Source: the posterior's log is the log-likelihood plus the prior's log.
"""

from manual_grad._arrays import Array, leaves, map_leaves, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import nonnegatives
from manual_grad.extensions.biases import grad_b, grad_c
from manual_grad.extensions.net import DOMAIN, Examples, Labels, Nabla, Net, Number, g_of, log_likelihood, score
from manual_grad.extensions.width import grad_v, grad_w


def penalty(net: Net[Array]) -> Number:
    """½ ‖θ‖²: half the sum of all squares"""
    xp = namespace(net)
    return sum(xp.sum(leaf * leaf) for leaf in leaves(net)) / 2


def log_posterior(net: Net[Array], x: Examples, y: Labels, decay: Number) -> Number:
    """ll − λ/2 ‖θ‖²"""
    return log_likelihood(net, x, y) - decay * penalty(net)


def _plus(gradient: Net[Array], factor: Number, other: Net[Array]) -> Net[Array]:
    return Net(*(one + factor * another for one, another in zip(gradient, other, strict=True)))


def line_1(net: Net[Array], x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Net[Array]:
    """∇ll − λ ∇½‖θ‖²"""
    return _plus(nabla(log_likelihood)(net, x, y), -decay, nabla(penalty)(net))


def line_2(net: Net[Array], x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Net[Array]:
    """Σ_i g ∇z − λθ"""
    return _plus(contract(g_of(net, x, y), nabla(score)(net, x)), -decay, net)


def grad(net: Net[Array], x: Examples, y: Labels, decay: Number) -> Net[Array]:
    """Dᵀ X − λW, Dᵀ 1 − λb, Hᵀ g − λv, 1ᵀ g − λc"""
    likelihood = Net(grad_w(net, x, y), grad_b(net, x, y), grad_v(net, x, y), grad_c(net, x, y))
    return _plus(likelihood, -decay, map_leaves(namespace(net).asarray, net))


PRIOR = Derivation(
    "∇_θ (ll − λ/2 ‖θ‖²)",
    of=log_posterior,
    wrt=None,
    domain=(*DOMAIN, nonnegatives()),
    lines=[line_1, line_2, grad],
)
