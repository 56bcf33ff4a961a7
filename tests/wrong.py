"""Deliberately wrong lines: mistakes that people make in these derivations, each where it would be made.

Each is a line like those in `manual_grad.notes`, `(w, x, y, nabla)`, and stands in place of a right one. So the lines
above it are right, the first wrong line of `planted` is the wrong one, and the lines below it are right again:

    for wrong in WRONG_LINES:
        assert verify(wrong.planted).first_wrong_line == wrong.label

`wrong.line(w, x, y, nabla)` alone is the same mistake as a plain gradient function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from manual_grad import (
    Derivation,
    Weights,
    hidden,
    indicator,
    margin,
    notes,
    preactivation,
    probability,
    score,
    sigmoid,
)
from manual_grad._arrays import namespace

Line = Callable[..., Any]
W = Weights[Any]


@dataclass(frozen=True)
class Wrong:
    """A mistake, and where it is planted."""

    mistake: str
    line: Line
    instead_of: str
    """the label of the right line it replaces"""
    derivation: Derivation
    sees: str = "ordinary"
    """the inputs at which floats can see it: "ordinary", or "saturated" where that takes |z| > 16"""

    @property
    def label(self) -> str:
        return self.line.__name__

    @property
    def before(self) -> tuple[Line, ...]:
        """The right lines above it."""
        return tuple(self.derivation.lines[: self._place])

    @property
    def right(self) -> Line:
        """The line it replaces."""
        return self.derivation.lines[self._place]

    @property
    def after(self) -> tuple[Line, ...]:
        """The right lines below it."""
        return tuple(self.derivation.lines[self._place + 1 :])

    @property
    def planted(self) -> Derivation:
        """The derivation with the mistake in it."""
        return self.derivation.with_lines(*self.before, self.line, *self.after, name=self.mistake)

    @property
    def _place(self) -> int:
        return self.derivation.labels.index(self.instead_of)


def sign_flipped(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (σ(z) − I(y=1)) ∇ w21ᵀh"""
    return (sigmoid(score(w, x)) - indicator(y)) @ nabla(score)(w, x)


def y_dropped(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (1 − σ(m)) ∇ w21ᵀh"""
    return (1 - sigmoid(margin(w, x, y))) @ nabla(score)(w, x)


def sigma_of_z_for_sigma_of_m(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (1 − σ(z)) y ∇ w21ᵀh"""
    return ((1 - sigmoid(score(w, x))) * y) @ nabla(score)(w, x)


def y_for_its_indicator(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (y − σ(z)) ∇ w21ᵀh"""
    return (y - sigmoid(score(w, x))) @ nabla(score)(w, x)


def sigma_of_m_for_sigma_of_z(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(m)) ∇ w21ᵀh"""
    return (indicator(y) - sigmoid(margin(w, x, y))) @ nabla(score)(w, x)


def one_over_p_lost(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """∇ Σ p(y|x)"""
    p = probability(w, x, y)
    return namespace(p).ones_like(p) @ nabla(probability)(w, x, y)


def extra_slope(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) σ(z)(1 − σ(z)) ∇ w21ᵀh"""
    s = sigmoid(score(w, x))
    return ((indicator(y) - s) * s * (1 - s)) @ nabla(score)(w, x)


def mean_for_sum(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """1/n Σ (I(y=1) − σ(z)) ∇ w21ᵀh"""
    return (indicator(y) - sigmoid(score(w, x))) @ nabla(score)(w, x) / x.shape[0]


def last_example_only(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """(I(y_n=1) − σ(z_n)) ∇ w21ᵀh_n"""
    return (indicator(y) - sigmoid(score(w, x)))[-1] * nabla(score)(w, x)[-1]


def other_weight(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) w21[1] ∇h1"""
    return ((indicator(y) - sigmoid(score(w, x))) * w.w21[1]) @ nabla(hidden)(w, x)[:, 0]


def weight_forgotten(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) ∇h1"""
    return (indicator(y) - sigmoid(score(w, x))) @ nabla(hidden)(w, x)[:, 0]


def hidden_slope_forgotten(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) w21[0] ∇ w11ᵀx"""
    return ((indicator(y) - sigmoid(score(w, x))) * w.w21[0]) @ nabla(preactivation)(w, x)[:, 0]


def _with_slope(w: W, x: Any, y: Any, nabla: Any, slope: Any) -> Any:
    return ((indicator(y) - sigmoid(score(w, x))) * w.w21[0] * slope) @ nabla(preactivation)(w, x)[:, 0]


def slope_of_the_activation(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) w21[0] σ'(h1) ∇ w11ᵀx"""
    s = sigmoid(hidden(w, x)[:, 0])
    return _with_slope(w, x, y, nabla, s * (1 - s))


def a_for_h(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) w21[0] a1 (1 − a1) ∇ w11ᵀx,  a1 = w11ᵀx"""
    a1 = preactivation(w, x)[:, 0]
    return _with_slope(w, x, y, nabla, a1 * (1 - a1))


def slope_of_tanh(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) w21[0] (1 − h1²) ∇ w11ᵀx"""
    h1 = hidden(w, x)[:, 0]
    return _with_slope(w, x, y, nabla, 1 - h1**2)


def h2_for_h1(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) w21[0] h2 (1 − h2) ∇ w11ᵀx"""
    h2 = hidden(w, x)[:, 1]
    return _with_slope(w, x, y, nabla, h2 * (1 - h2))


def one_h_for_every_example(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) w21[0] h (1 − h) ∇ w11ᵀx,  h = h1 of the first example"""
    h = hidden(w, x)[0, 0]
    return _with_slope(w, x, y, nabla, h * (1 - h))


def logarithm_with_epsilon(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """∇ Σ log(p(y|x) + 1e-8)"""
    return (1 / (probability(w, x, y) + 1e-8)) @ nabla(probability)(w, x, y)


def clipped_probability(w: W, x: Any, y: Any) -> Any:
    """p(y|x), kept within [1e-7, 1 − 1e-7]"""
    p = probability(w, x, y)
    return namespace(p).clip(p, 1e-7, 1 - 1e-7)


def probability_clipped(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """∇ Σ log clip(p(y|x), 1e-7, 1 − 1e-7)"""
    return (1 / clipped_probability(w, x, y)) @ nabla(clipped_probability)(w, x, y)


def other_weight_w12(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) w21[0] ∇h2"""
    return ((indicator(y) - sigmoid(score(w, x))) * w.w21[0]) @ nabla(hidden)(w, x)[:, 1]


def slope_where_there_is_none(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) h (1 − h)"""
    h = hidden(w, x)
    return (indicator(y) - sigmoid(score(w, x))) @ (h * (1 - h))


def hidden_units_swapped(w: W, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) − σ(z)) [h2, h1]"""
    return (indicator(y) - sigmoid(score(w, x))) @ hidden(w, x)[:, ::-1]


WRONG_LINES = [
    Wrong("the sign flipped", sign_flipped, "line_2b", notes.W11),
    Wrong("y dropped in (1)", y_dropped, "line_1c", notes.W11),
    Wrong("(1 − σ(z)) y", sigma_of_z_for_sigma_of_m, "line_1c", notes.W11),
    Wrong("y − σ(z) with labels ±1", y_for_its_indicator, "line_2b", notes.W11),
    Wrong("I(y=1) − σ(yz)", sigma_of_m_for_sigma_of_z, "line_2b", notes.W11),
    Wrong("1/p lost", one_over_p_lost, "line_0a", notes.W11),
    Wrong("an extra σ'", extra_slope, "line_2b", notes.W11),
    Wrong("the hidden σ' forgotten", hidden_slope_forgotten, "line_3b", notes.W11),
    Wrong("σ' applied to h", slope_of_the_activation, "line_3b", notes.W11),
    Wrong("a(1 − a) on the pre-activation", a_for_h, "line_3b", notes.W11),
    Wrong("the slope of tanh", slope_of_tanh, "line_3b", notes.W11),
    Wrong("h2 for h1", h2_for_h1, "line_3b", notes.W11),
    Wrong("w21[1] for w21[0]", other_weight, "line_3a", notes.W11),
    Wrong("w21 forgotten", weight_forgotten, "line_3a", notes.W11),
    Wrong("the mean for the sum", mean_for_sum, "line_2b", notes.W11),
    Wrong("the last example only", last_example_only, "line_2b", notes.W11),
    Wrong("one h for every i", one_h_for_every_example, "line_3b", notes.W11),
    Wrong("log(p + 1e-8)", logarithm_with_epsilon, "line_0a", notes.W11),
    Wrong("p clipped to [1e-7, 1 − 1e-7]", probability_clipped, "line_0a", notes.W11, sees="saturated"),
    Wrong("w21[0] for w21[1], by w12", other_weight_w12, "line_3a_w12", notes.W12),
    Wrong("a hidden σ' too many, by w21", slope_where_there_is_none, "line_3_w21", notes.W21),
    Wrong("hidden units swapped, by w21", hidden_units_swapped, "line_3_w21", notes.W21),
]
"""Those of one hidden weight vector first. What n = 1 hides: the mean, the last example, one h; what w11 = w12 and
w21[0] = w21[1] hide: the swaps.
"""


def planted_together(derivation: Derivation) -> tuple[Derivation, set[str]]:
    """All mistakes in a derivation at once, each above the line it stands for, and their labels.

    Each differs from the line above it, whether that is right or wrong, and the right line below puts it right.
    """
    mistakes = [wrong for wrong in WRONG_LINES if wrong.derivation is derivation]
    lines = [
        each
        for label, line in zip(derivation.labels, derivation.lines, strict=True)
        for each in (*(wrong.line for wrong in mistakes if wrong.instead_of == label), line)
    ]
    return derivation.with_lines(*lines, name=f"{derivation.name}, broken"), {wrong.label for wrong in mistakes}
