"""The policy gradient: the expected reward of a softmax policy, by its weights θ. State x_i, action j, reward R_ij.

    Z = X θᵀ        π = softmax of Z, by rows        J = Σ_ij π_ij R_ij        V_i = Σ_j π_ij R_ij

    ∇J = Σ_ij π R ∇log π = Σ_ij π (R − β_i) ∇log π        ∇J = [π ∘ (R − V 1ᵀ)]ᵀ X

The second form is an expectation over the policy's own actions, which is why it can be sampled: REINFORCE. A baseline β_i
that does not depend on the action leaves it as it is, because Σ_j π ∇log π = ∇1 = 0.

Source: Williams, "Simple Statistical Gradient-Following Algorithms", 1992; Sutton et al., 2000.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import reals
from manual_grad.extensions.net import Nabla
from manual_grad.softmax import softmax

Matrix = Float[Array, "k d"]
States = Float[Array, "n d"]
Actions = Float[Array, "n k"]
Values = Float[Array, " n"]


def preferences(theta: Matrix, x: States) -> Actions:
    """Z = X θᵀ"""
    return x @ theta.mT


def policy(theta: Matrix, x: States) -> Actions:
    """π = softmax of Z, by rows"""
    return softmax(preferences(theta, x).mT).mT


def log_policy(theta: Matrix, x: States) -> Actions:
    """log π"""
    z = preferences(theta, x)
    xp = namespace(z)
    shifted = z - xp.max(z, axis=1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))


def expected_reward(theta: Matrix, x: States, r: Actions, baseline: Values) -> Float[Array, ""]:
    """J = Σ_ij π R"""
    return namespace(theta, x).sum(policy(theta, x) * r)


def line_1(theta: Matrix, x: States, r: Actions, baseline: Values, nabla: Nabla) -> Matrix:
    """Σ_ij R ∇π"""
    return contract(r, nabla(policy)(theta, x))


def line_2(theta: Matrix, x: States, r: Actions, baseline: Values, nabla: Nabla) -> Matrix:
    """Σ_ij π R ∇log π"""
    return contract(policy(theta, x) * r, nabla(log_policy)(theta, x))


def line_3(theta: Matrix, x: States, r: Actions, baseline: Values, nabla: Nabla) -> Matrix:
    """Σ_ij π (R − β_i) ∇log π"""
    return contract(policy(theta, x) * (r - baseline[:, None]), nabla(log_policy)(theta, x))


def advantage(theta: Matrix, x: States, r: Actions) -> Actions:
    """R − V 1ᵀ,  V_i = Σ_j π R"""
    return r - namespace(theta, x).sum(policy(theta, x) * r, axis=1, keepdims=True)


def line_4(theta: Matrix, x: States, r: Actions, baseline: Values, nabla: Nabla) -> Matrix:
    """Σ_ij π (R − V) ∇z"""
    return contract(policy(theta, x) * advantage(theta, x, r), nabla(preferences)(theta, x))


def grad(theta: Matrix, x: States, r: Actions, baseline: Values) -> Matrix:
    """[π ∘ (R − V 1ᵀ)]ᵀ X"""
    return (policy(theta, x) * advantage(theta, x, r)).mT @ x


POLICY = Derivation(
    "∇_θ of the expected reward",
    of=expected_reward,
    wrt="theta",
    domain=(reals("k", "d"), reals("n", "d"), reals("n", "k"), reals("n")),
    lines=[line_1, line_2, line_3, line_4, grad],
    sizes={"k": (2, 4)},
)
