"""The catalogue of mistakes: wrong lines that people write in the derivations of `manual_grad.extensions`.

Each takes the place of a right line. The lines above it are right, so the judge must refute it, and it first.
docs/mistakes.md is made of this file: `python -m tests.mistakes_page`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from manual_grad import Derivation, contract, sigmoid
from manual_grad._arrays import namespace
from manual_grad.extensions import (
    activations,
    attention,
    batch_norm,
    biases,
    convolution,
    cox,
    depth,
    dropout,
    elbo,
    gauss_newton,
    gaussian,
    heat,
    hessian,
    hessian_vector,
    hinge,
    infonce,
    inputs,
    layer_norm,
    lstm,
    net,
    per_example,
    poisson,
    policy_gradient,
    prior,
    probit,
    softmax,
    squared_error,
    width,
)

Line = Callable[..., Any]


@dataclass(frozen=True)
class Mistake:
    """A wrong line, and where it stands."""

    extension: str
    derivation: Derivation
    instead_of: str
    what: str
    """what was done, for the page"""
    line: Line

    @property
    def right(self) -> Line:
        """The line in whose place it stands."""
        return self.derivation.lines[self.derivation.labels.index(self.instead_of)]

    @property
    def planted(self) -> Derivation:
        """The derivation down to the wrong line."""
        before = self.derivation.lines[: self.derivation.labels.index(self.instead_of)]
        return self.derivation.with_lines(*before, self.line, name=f"{self.derivation.name}: {self.what}")


MISTAKES: list[Mistake] = []


def wrong(extension: str, derivation: Derivation, instead_of: str, what: str) -> Callable[[Line], Line]:
    """Puts a wrong line into the catalogue."""

    def add(line: Line) -> Line:
        MISTAKES.append(Mistake(extension, derivation, instead_of, what, line))
        return line

    return add


# width


@wrong("width", width.W, "line_4", "the slope is taken of h where it is of a: σ'(h) for h (1 − h)")
def slope_of_the_activation(w, x, y, nabla):
    """Σ_ij g_i v_j σ'(h_ij) ∇a_ij"""
    s = sigmoid(net.hidden(w, x))
    return contract(net.g_of(w, x, y)[:, None] * w.v * s * (1 - s), nabla(net.preactivation)(w, x))


@wrong("width", width.W, "grad_w", "the mean over the examples for the sum")
def averaged(w, x, y):
    """1/n Dᵀ X"""
    return net.delta(w, x, y).mT @ x / x.shape[0]


@wrong("width", width.V, "line_2", "the label y in the place of I(y=1), labels being −1 and +1")
def label_for_indicator(w, x, y, nabla):
    """Σ_i (y − σ(z)) ∇z"""
    return contract(y - sigmoid(net.score(w, x)), nabla(net.score)(w, x))


# biases


@wrong("biases", biases.B, "line_2", "the output weight is forgotten on the way back")
def output_weight_forgotten(w, x, y, nabla):
    """Σ_ij g_i ∇h_ij"""
    g = net.g_of(w, x, y)[:, None]
    return contract(g + 0 * net.hidden(w, x), nabla(net.hidden)(w, x))


@wrong("biases", biases.B, "grad_b", "the bias's gradient is not summed over the examples, only the first one's")
def one_example(w, x, y):
    """δ of the first example"""
    return net.delta(w, x, y)[0]


# inputs


@wrong("inputs", inputs.X, "line_3", "no slope: as if the hidden layer were linear")
def hidden_layer_linear(w, x, y, nabla):
    """Σ_ij g_i v_j ∇a_ij"""
    g = net.g_of(w, x, y)[:, None]
    return contract(g * w.v + 0 * net.hidden(w, x), nabla(net.preactivation)(w, x))


@wrong("inputs", inputs.X, "grad_x", "every example gets the gradient of all: summed where nothing is shared")
def summed_over_examples(w, x, y):
    """1 1ᵀ D W"""
    xp = namespace(w, x)
    return xp.sum(net.delta(w, x, y) @ w.w, axis=0) + 0 * x


# depth


@wrong("depth", depth.NET, "line_3", "σ' of the activation where it is of the pre-activation")
def slope_of_h(w, x, y, nabla):
    """by layer 1: Σ (r W_2) ∘ σ'(H_1) ∇A_1"""
    h = depth.hidden(w, x)
    r = depth.residual(depth.score(w, x), y)[:, None]
    s = sigmoid(h)
    delta = r * w.second.w * s * (1 - s)
    return depth.Net(contract(delta, nabla(depth.preactivation)(w, x)).first, right_layer(r, h))


def right_layer(delta, h):
    return depth.Layer(delta.mT @ h, namespace(delta).sum(delta, axis=0))


@wrong("depth", depth.NET, "line_4", "layer 2 is given the inputs of layer 1's squashing, A_1, for H_1")
def preactivation_for_activation(w, x, y):
    """Δ_2ᵀ A_1 by layer 2"""
    right = depth.line_4(w, x, y)
    r = depth.residual(depth.score(w, x), y)[:, None]
    return depth.Net(right.first, right_layer(r, depth.preactivation(w, x)))


# activations


@wrong("activations", activations.TANH, "tanh_3", "the slope of σ, h (1 − h), for that of tanh")
def slope_of_sigmoid(a):
    """h (1 − h),  h = tanh(a)"""
    h = activations.tanh(a)
    return h * (1 - h)


@wrong("activations", activations.RELU, "relu_slope", "a small leak that the forward pass does not have")
def leaky(a):
    """1 for a > 0, 0.01 elsewhere"""
    return namespace(a).where(a > 0, 1.0, 0.01)


@wrong("activations", activations.SILU, "silu_3", "σ(a) factored out of a σ(a) once too few")
def silu_factored(a):
    """σ(a) (1 + a σ(a))"""
    return sigmoid(a) * (1 + a * sigmoid(a))


@wrong("activations", activations.GELU, "gelu_slope", "the product rule stops at its first term")
def gelu_without_density(a):
    """Φ(a)"""
    return activations.normal_cdf(a)


# softmax


@wrong(
    "softmax",
    softmax.RESIDUAL,
    "residual_4",
    "the residual is multiplied by p (1 − p), as if the softmax were one σ a class",
)
def diagonal_of_the_jacobian(z, t):
    """(T − P) ∘ P ∘ (1 − P)"""
    p = softmax.softmax(z.mT).mT
    return (t - p) * p * (1 - p)


@wrong("softmax", softmax.RESIDUAL, "residual_3", "the softmax is taken over the examples: axis 0 for axis 1")
def softmax_of_columns(z, t):
    """T − e^z / Σ_i e^z"""
    xp = namespace(z)
    return t - xp.exp(z) / xp.sum(xp.exp(z), axis=0)


@wrong("softmax", softmax.CLASSES, "line_3", "P − T: the sign of the loss in a derivation of the log-likelihood")
def sign_of_the_loss(w, x, t):
    """Δ_2 = P − T"""
    right = softmax.line_3(w, x, t)
    return right._replace(second=softmax.Layer(-right.second.w, -right.second.b))


# prior


@wrong("prior", prior.PRIOR, "line_2", "2λθ: the ½ in front of the penalty is forgotten")
def twice_the_decay(w, x, y, decay, nabla):
    """Σ_i g ∇z − 2λθ"""
    by_z = contract(net.g_of(w, x, y), nabla(net.score)(w, x))
    return net.Net(*(one - 2 * decay * leaf for one, leaf in zip(by_z, w, strict=True)))


@wrong("prior", prior.PRIOR, "grad", "the prior is counted once an example")
def once_an_example(w, x, y, decay):
    """∇ll − n λθ"""
    return prior.grad(w, x, y, x.shape[0] * decay)


# per example


@wrong("per_example", per_example.GRADIENTS, "gradients", "one residual for all: the mean of g")
def mean_residual(w, x, y):
    """mean(g) (v ∘ s'_i) x_iᵀ"""
    xp, g = namespace(w, x), net.g_of(w, x, y)
    share = xp.mean(g) * w.v * hessian.slope(w, x)
    return share[:, :, None] * x[:, None, :]


@wrong("per_example", per_example.SQUARED_NORMS, "norm_3", "norms are multiplied that are not squared")
def norms_not_squared(step, w, x, y):
    """g_i² ‖v ∘ s'_i‖ ‖x_i‖"""
    xp, r = namespace(w, x), w.v * hessian.slope(w, x)
    return net.g_of(w, x, y) ** 2 * xp.sqrt(xp.sum(r * r, axis=1) * xp.sum(x * x, axis=1))


# Hessian


@wrong("hessian", hessian.VV, "hessian_vv", "the minus is lost: the log-likelihood is concave in v")
def minus_lost(w, x, y):
    """Hᵀ diag(q) H"""
    return -hessian.hessian_vv(w, x, y)


@wrong("hessian", hessian.VW, "hessian_vw", "the term in which h itself moves is left out")
def h_held_fixed(w, x, y):
    """−Σ_i q h_j v_l s'_l x"""
    h = net.hidden(w, x)
    pairs = -hessian.q_of(w, x)[:, None, None] * h[:, :, None] * (w.v * hessian.slope(w, x))[:, None, :]
    return hessian.contract_first(pairs, x)


@wrong("hessian", hessian.WW, "ww_2", "the second derivative of the squashing function is forgotten")
def slope_held_fixed(w, x, y, nabla):
    """Σ_i v_j s'_j ∇g x"""
    by_g = (w.v * hessian.slope(w, x))[:, :, None, None] * nabla(hessian.g)(w, x, y)[:, None]
    return namespace(w, x).permute_dims(hessian.contract_first(x, by_g), (1, 0, 2, 3))


@wrong(
    "hessian_vector",
    hessian_vector.HESSIAN_VECTOR,
    "hessian_vector_product",
    "R{z} without the direction of v: R{H} v alone",
)
def direction_of_v_forgotten(w, dot, x, y):
    """R{z} = R{H} v + ċ"""
    xp = namespace(w, dot, x)
    still = dot._replace(v=xp.zeros_like(dot.v))
    return hessian_vector.hessian_vector_product(w, still, x, y)


@wrong(
    "hessian_vector",
    hessian_vector.HESSIAN_VECTOR,
    "line_1",
    "the product of the gradient with the direction, entry by entry",
)
def entrywise(w, dot, x, y):
    """∇ll ∘ θ̇"""
    return net.Net(*(one * other for one, other in zip(hessian_vector.gradient(w, x, y), dot, strict=True)))


@wrong("gauss_newton", gauss_newton.GAUSS_NEWTON, "minus_hessian", "Gauss and Newton's matrix taken for the Hessian itself")
def fisher_for_hessian(w, x, y):
    """F"""
    return gauss_newton.fisher(w, x)


@wrong("gauss_newton", gauss_newton.GAUSS_NEWTON, "line_3", "the empirical Fisher for the Fisher: g² for q")
def empirical_for_fisher(w, x, y, nabla):
    """Σ_i g² J ⊗ J − g ∇²z"""
    bent = hessian.contract_first(net.g_of(w, x, y), nabla(gauss_newton.score_gradient)(w, x))
    return gauss_newton.empirical_fisher(w, x, y) - bent


# other links and losses


@wrong("probit", probit.PROBIT, "line_2", "φ(z)/Φ(z): the label is lost in the denominator")
def label_lost_in_denominator(w, x, y, nabla):
    """Σ_i y φ(z)/Φ(z) ∇z"""
    z = probit.score(w, x)
    return (y * probit.normal_density(z) / probit.probability(w, x, 0 * y + 1)) @ nabla(probit.score)(w, x)


@wrong("probit", probit.PROBIT, "line_1", "the density e^(−m²): the ½ in its exponent is forgotten")
def half_forgotten(w, x, y, nabla):
    """Σ_i e^(−m²)/√(2π)/Φ(m) ∇m"""
    m = probit.margin(w, x, y)
    return (probit.normal_density(m * 2**0.5) / probit.probability(w, x, y)) @ nabla(probit.margin)(w, x, y)


@wrong("squared_error", squared_error.W, "line_1", "2 (z − t): the ½ in front of the loss is forgotten")
def two_too_many(w, x, t, nabla):
    """2 Σ_i (z − t) ∇z"""
    return 2 * contract(net.score(w, x) - t, nabla(net.score)(w, x))


@wrong("squared_error", squared_error.V, "grad_v", "t − z: ascent and descent confused")
def target_minus_score(w, x, t):
    """Hᵀ (t − z)"""
    return net.hidden(w, x).mT @ (t - net.score(w, x))


@wrong("hinge", hinge.HINGE, "line_2", "the wrong side: examples beyond the margin are counted")
def beyond_the_margin(w, x, y, nabla):
    """−Σ_i I(m > 1) ∇m"""
    m = hinge.margin(w, x, y)
    return -namespace(m).where(m > 1, 1.0, 0.0) @ nabla(hinge.margin)(w, x, y)


@wrong("hinge", hinge.HINGE, "grad", "I(m < 0): misclassified examples only, which is the perceptron")
def perceptron(w, x, y):
    """−Σ_i I(m < 0) y x"""
    return -namespace(w, x).where(hinge.margin(w, x, y) < 0, y, 0) @ x


# layers


@wrong("convolution", convolution.W, "grad_w", "convolved where it is correlated: the filter comes out turned round")
def turned_round(w, b, x, y):
    """Σ_it δ_it x_{i,t+K−1−k}"""
    return namespace(w, x).flip(convolution.grad_w(w, b, x, y))


@wrong("convolution", convolution.X, "grad_x", "the filter is not turned round on the way back to the input")
def not_turned_round(w, b, x, y):
    """Σ_k w_k δ_{i,s−K+1+k}"""
    xp, d = namespace(w, x), convolution.delta(w, b, x, y)
    rest = xp.zeros((x.shape[0], w.shape[0] - 1), dtype=d.dtype)
    padded = xp.concat([rest, d, rest], axis=1)
    return sum(w[k] * padded[:, k : k + x.shape[1]] for k in range(w.shape[0]))


@wrong("dropout", dropout.W, "line_3", "the mask is applied forward and forgotten backward")
def mask_forgotten(w, x, y, mask, p, nabla):
    """Σ_ij (g v σ'(A))_ij ∇a_ij"""
    g = dropout.residual(dropout.score(w, x, mask, p), y)[:, None]
    slope = hessian.slope(w, x)
    return contract(g * w.v * slope, nabla(net.preactivation)(w, x))


@wrong("dropout", dropout.W, "grad_w", "the scale 1/(1 − p) is forgotten backward")
def scale_forgotten(w, x, y, mask, p):
    """(1 − p) Dᵀ X"""
    return (1 - p) * dropout.grad_w(w, x, y, mask, p)


@wrong("batch_norm", batch_norm.A, "line_2", "the variance is held fixed")
def variance_held(a, gamma, beta, eps, u, nabla):
    """Σ_ij U γ s ∇C"""
    return contract(u * gamma * batch_norm.scale(a, eps), nabla(batch_norm.centred)(a))


@wrong("batch_norm", batch_norm.A, "grad_a", "the mean is held fixed")
def mean_held(a, gamma, beta, eps, u):
    """γ s (U − Â ∘ mean(U ∘ Â))"""
    a_hat = batch_norm.normalised(a, eps)
    return gamma * batch_norm.scale(a, eps) * (u - a_hat * namespace(a, u).mean(u * a_hat, axis=0))


@wrong("layer_norm", layer_norm.A, "grad_a", "γ in front of the means, as in batch normalisation")
def gain_outside(a, gamma, beta, eps, u):
    """γ ∘ s ∘ (U − mean_j U − Â ∘ mean_j(U ∘ Â))"""
    xp, a_hat = namespace(a, u), layer_norm.normalised(a, eps)
    mean = xp.mean(u, axis=1, keepdims=True) + a_hat * xp.mean(u * a_hat, axis=1, keepdims=True)
    return gamma * layer_norm.scale(a, eps) * (u - mean)


@wrong("layer_norm", layer_norm.A, "line_3", "means over the examples, as in batch normalisation")
def other_axis(a, gamma, beta, eps, u, nabla):
    """Σ_ij s (V − Â mean_i V Â) ∇C"""
    v, a_hat, xp = u * gamma, layer_norm.normalised(a, eps), namespace(a, u)
    return contract(layer_norm.scale(a, eps) * (v - a_hat * xp.mean(v * a_hat, axis=0)), nabla(layer_norm.centred)(a))


@wrong("attention", attention.Q, "line_2", "the diagonal of the softmax's Jacobian alone: P (1 − P)")
def diagonal_only(q, k, v, u, nabla):
    """Σ_ij P (1 − P) B ∇S"""
    p = attention.weights(q, k)
    return contract(p * (1 - p) * (u @ v.mT), nabla(attention.scores)(q, k))


@wrong("attention", attention.K, "grad_k", "1/√d is forgotten backward")
def root_forgotten(q, k, v, u):
    """∂Sᵀ Q"""
    return attention.by_scores(q, k, v, u).mT @ q


@wrong("attention", attention.V, "grad_v", "the scores for their softmax")
def scores_for_weights(q, k, v, u):
    """Sᵀ U"""
    return attention.scores(q, k).mT @ u


# likelihoods


@wrong("gaussian", gaussian.SIGMA, "grad_sigma", "the log-determinant is held fixed")
def determinant_held(mu, sigma, x):
    """½ Σ⁻¹ S Σ⁻¹"""
    k = gaussian.precision(sigma)
    return k @ gaussian.scatter(mu, x) @ k / 2


@wrong("gaussian", gaussian.SIGMA, "line_1", "dΣ⁻¹ without its minus")
def minus_of_the_inverse(mu, sigma, x, nabla):
    """−n/2 ∇log det Σ + ½ Σ_jl S_jl ∇Σ⁻¹_jl"""
    by_inverse = contract(gaussian.scatter(mu, x), nabla(gaussian.precision)(sigma)) / 2
    return -x.shape[0] * nabla(gaussian.log_det)(sigma) / 2 + by_inverse


@wrong("gaussian", gaussian.CHOLESKY, "grad_factor", "log det Σ taken for Σ log L_jj: a factor 2")
def determinant_twice(low, mu, x):
    """tril(L⁻ᵀ R Rᵀ) − 2n diag(1/L_jj)"""
    xp = namespace(low, mu, x)
    inverse = xp.eye(low.shape[0], dtype=low.dtype) / xp.linalg.diagonal(low)
    return gaussian.grad_factor(low, mu, x) - x.shape[0] * inverse


@wrong("elbo", elbo.LOG_VARIANCE, "grad_s", "e^s for e^{s/2}: the variance for the standard deviation")
def variance_for_deviation(mu, s, w, b, x, eps):
    """½ (R W) ∘ ε ∘ e^S − ½ (e^S − 1)"""
    xp = namespace(mu, s)
    return (elbo.r_of(mu, s, w, b, x, eps) @ w * eps * xp.exp(s) - xp.expm1(s)) / 2


@wrong("elbo", elbo.MU, "grad_mu", "the divergence with the sign of a loss")
def divergence_added(mu, s, w, b, x, eps):
    """R W + M"""
    return elbo.r_of(mu, s, w, b, x, eps) @ w + mu


@wrong("poisson", poisson.POISSON, "grad", "the residual of η for that of its mean")
def link_for_mean(w, x, offset, y):
    """Xᵀ (y − η)"""
    return x.mT @ (y - poisson.linear(w, x, offset))


@wrong("poisson", poisson.POISSON, "grad", "the exposure is left out of the mean")
def exposure_forgotten(w, x, offset, y):
    """Xᵀ (y − e^{X w})"""
    return x.mT @ (y - poisson.mean(w, x, namespace(w, x).zeros_like(offset)))


@wrong("cox", cox.COX, "grad", "the risk set is that of the past: t_j ≤ t_i")
def past_for_future(w, x, t, e):
    """Xᵀ (e − Pᵀ e), risk sets by t_j ≤ t_i"""
    return x.mT @ (e - cox.risk_shares(w, x, -t).mT @ e)


@wrong("cox", cox.COX, "grad", "censored examples leave the risk sets with their events")
def censored_not_at_risk(w, x, t, e):
    """Xᵀ (e − (P diag e)ᵀ e)"""
    return x.mT @ (e - e * (cox.risk_shares(w, x, t).mT @ e))


@wrong("infonce", infonce.A, "grad_a", "no projection: as if directions were free")
def not_projected(a, b, tau):
    """B V/(τ ‖a‖)"""
    return infonce.by_similarity(a, b, tau) @ infonce.direction(b) / tau / infonce.length(a)


@wrong("infonce", infonce.A, "line_2", "the temperature is forgotten backward")
def temperature_forgotten(a, b, tau, nabla):
    """Σ_il (B V) ∇u"""
    return contract(infonce.by_similarity(a, b, tau) @ infonce.direction(b), nabla(infonce.direction)(a))


@wrong("infonce", infonce.TAU, "grad_tau", "1/τ² for 1/τ: S has one already")
def temperature_twice(a, b, tau):
    """−1/τ² Σ B ∘ S"""
    return infonce.grad_tau(a, b, tau) / tau


# sequences, decisions, equations


@wrong("lstm", lstm.C, "grad_c", "the path through h' is forgotten: F ∘ f alone")
def path_through_h(cell, x, h, c, e, f):
    """F ∘ f"""
    return f * lstm.gates(cell, x, h)[1]


@wrong("lstm", lstm.C, "state_1", "tanh' of c where it is of c'")
def slope_of_the_old_state(cell, x, h, c, e, f, nabla):
    """Σ (F + E ∘ o ∘ tanh'(c)) ∇c'"""
    d_c = f + e * lstm.gates(cell, x, h)[3] * lstm.tanh_derivative(c)
    return contract(d_c, nabla(lstm.state)(cell, x, h, c))


@wrong("policy_gradient", policy_gradient.POLICY, "line_2", "weighted by R ∇log π without π: actions drawn evenly")
def not_on_policy(theta, x, r, baseline, nabla):
    """Σ_ij R ∇log π"""
    return contract(r, nabla(policy_gradient.log_policy)(theta, x))


@wrong("policy_gradient", policy_gradient.POLICY, "line_3", "a baseline that depends on the action: β_i π")
def baseline_by_action(theta, x, r, baseline, nabla):
    """Σ_ij π (R − β_i π) ∇log π"""
    p = policy_gradient.policy(theta, x)
    return contract(p * (r - baseline[:, None] * p), nabla(policy_gradient.log_policy)(theta, x))


@wrong("heat", heat.START, "grad_u", "the step for its transpose: κ ∘ Δλ for Δ(κ ∘ λ)")
def not_transposed(u, kappa, f):
    """λ⁰ = λ¹ + κ ∘ Δλ¹"""
    return heat.step(heat.adjoints(u, kappa, f)[1], kappa)


@wrong("heat", heat.KAPPA, "grad_kappa", "λ^t for λ^{t+1}: the adjoint is one step early")
def one_step_early(u, kappa, f):
    """Σ_t λ^t ∘ Δu^t"""
    pairs = zip(heat.states(u, kappa)[:-1], heat.adjoints(u, kappa, f)[:-1], strict=True)
    return sum(later * heat.laplacian(before) for before, later in pairs)
