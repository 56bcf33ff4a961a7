"""What functions of libraries take, and what their rules claim: one row a function, the domain as one would type it."""

import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """What is known of a function before it is judged."""

    domain: str
    """as for `--domain`"""
    within: float | None = None
    """by what share its rule may be off: it says itself that it is a series or an iteration"""
    intent: str = ""
    """what its rule is for, where it is no derivative"""


_UNIT = "intervals(0., 1.)"
_SURE = "intervals(0.05, 0.95)"

CATALOGUE: dict[str, Row] = {
    # jax.scipy.special
    "jax.scipy.special.betainc": Row(f"positives(), positives(), {_SURE}"),
    "jax.scipy.special.betaln": Row("positives(), positives()"),
    "jax.scipy.special.digamma": Row("positives()"),
    "jax.scipy.special.entr": Row("positives()"),
    "jax.scipy.special.exp1": Row("positives()"),
    "jax.scipy.special.expi": Row("reals()"),
    "jax.scipy.special.fresnel": Row("intervals(-20., 20.)", within=1e-12),
    "jax.scipy.special.gamma": Row("positives()"),
    "jax.scipy.special.gammainc": Row("positives(), positives()"),
    "jax.scipy.special.gammaincc": Row("positives(), positives()"),
    "jax.scipy.special.gammaln": Row("positives()"),
    "jax.scipy.special.hyp1f1": Row("positives(), positives(), reals()"),
    "jax.scipy.special.hyp2f1": Row("positives(), positives(), positives(), intervals(0., 0.9)"),
    "jax.scipy.special.i0": Row("reals()"),
    "jax.scipy.special.i0e": Row("reals()"),
    "jax.scipy.special.i1": Row("reals()"),
    "jax.scipy.special.i1e": Row("reals()"),
    "jax.scipy.special.kl_div": Row("positives(), positives()"),
    "jax.scipy.special.log_softmax": Row("reals('n')"),
    "jax.scipy.special.log_ndtr": Row("reals()"),
    "jax.scipy.special.logit": Row(_UNIT),
    "jax.scipy.special.logsumexp": Row("reals('n')"),
    "jax.scipy.special.ndtri": Row(_UNIT),
    "jax.scipy.special.erfinv": Row("intervals(-1., 1.)"),
    "jax.scipy.special.poch": Row("reals(), reals()"),
    "jax.scipy.special.rel_entr": Row("positives(), positives()"),
    "jax.scipy.special.softmax": Row("reals('n')"),
    "jax.scipy.special.spence": Row("positives()"),
    "jax.scipy.special.xlog1py": Row("reals(), positives()"),
    "jax.scipy.special.xlogy": Row("reals(), positives()"),
    "jax.scipy.special.zeta": Row("intervals(1.1, 20.), positives()"),
    # jax.nn
    "jax.nn.glu": Row("reals(4)"),
    "jax.nn.log_softmax": Row("reals('n')"),
    "jax.nn.logmeanexp": Row("reals('n')"),
    "jax.nn.logsumexp": Row("reals('n')"),
    "jax.nn.softmax": Row("reals('n')"),
    "jax.nn.standardize": Row("reals('n')"),
    # jax.numpy
    "jax.numpy.hypot": Row("reals(), reals()"),
    "jax.numpy.logaddexp": Row("reals(), reals()"),
    "jax.numpy.logaddexp2": Row("reals(), reals()"),
    "jax.numpy.median": Row("reals('n')"),
    "jax.numpy.quantile": Row(f"reals('n'), {_UNIT}"),
    "jax.numpy.sinc": Row("reals()"),
    "jax.numpy.sort": Row("reals('n')"),
    # optax
    "optax.sigmoid_binary_cross_entropy": Row("reals(), intervals(0., 1., closed=True)"),
    "optax.sigmoid_focal_loss": Row("reals(), intervals(0., 1., closed=True)"),
    "optax.softmax_cross_entropy": Row("reals('n'), simplex('n')"),
    "optax.poly_loss_cross_entropy": Row("reals('n'), simplex('n')"),
    "optax.safe_softmax_cross_entropy": Row("reals('n'), simplex('n')"),
    "optax.softmax_cross_entropy_with_integer_labels": Row("reals('m', 'n'), classes('m', 'n')"),
    "optax.kl_divergence": Row("reals('n'), simplex('n')"),
    "optax.convex_kl_divergence": Row("reals('n'), simplex('n')"),
    "optax.kl_divergence_with_log_targets": Row("reals('n'), reals('n')"),
    "optax.huber_loss": Row("reals(), reals()"),
    "optax.l2_loss": Row("reals(), reals()"),
    "optax.log_cosh": Row("reals(), reals()"),
    "optax.cosine_distance": Row("reals('n'), reals('n')"),
    "optax.cosine_similarity": Row("reals('n'), reals('n')"),
    "optax.hinge_loss": Row("reals(), signs()"),
    "optax.perceptron_loss": Row("reals(), signs()"),
    "optax.safe_norm": Row("reals('n'), constants(0.125)"),
    "optax.safe_root_mean_squares": Row("reals('n'), constants(0.125)"),
    "optax.scale_gradient": Row("reals(), constants(0.5)", intent="scales the gradient"),
    "optax.smooth_labels": Row("simplex('n'), intervals(0., 1.)"),
}


def row_of_function(function: Any) -> Row | None:
    """What the catalogue says of a function; None for one that it does not hold."""
    name = getattr(function, "__name__", "")
    for key, row in CATALOGUE.items():
        place, _, last = key.rpartition(".")
        if last == name and getattr(sys.modules.get(place), last, None) is function:
            return row
    return None
