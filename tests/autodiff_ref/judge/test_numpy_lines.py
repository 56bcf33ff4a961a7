"""Derivations whose functions and lines are written in NumPy, as courses write them: judged as they stand."""

import sys
from pathlib import Path

import numpy as np
import pytest

from autodiff_ref import verify
from autodiff_ref.judge.errors import LineError
from autodiff_ref.judge.explanation.explain import explain
from autodiff_ref.judge.mutation.mutants import mutants
from manual_grad import Derivation, bits, classes, positives, reals
from tests.derivations._few import few_inputs

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from backwards.lines import (
    batch_norm_line,
    normalised_loss,
    recurrent_loss,
    relu_loss,
    through_time_line,
)


def relu_by_mask(x, w):
    """Xᵀ(h ∘ 1[h > 0])"""
    h = x @ w
    dh = h.copy()
    dh[~(h > 0)] = 0
    return x.T @ dh


def masked_rows(x, w):
    """Xᵀ h, in rows that are not 0"""
    rows = x.copy()
    rows[x @ w <= 0] = 0
    return rows.T @ (x @ w)


def masked_columns(x, w):
    """the same, by a view and with the other axes named"""
    columns = x.T.copy()
    columns.T[~(x @ w > 0), :] = 0.0
    return columns @ (x @ w)


def masked_reading(x, w):
    """the same, of rows that are read"""
    rows = x.copy()
    rows[x @ w <= 0] *= 0
    return rows.T @ (x @ w)


def probabilities(z):
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def cross_entropy(z, y):
    return -np.sum(np.log(probabilities(z)[range(len(y)), y])) / y.shape[0]


def softmax_minus_one(z, y):
    """(P − Y)/m"""
    p = probabilities(z)
    p[range(len(y)), y] -= 1
    return p / y.shape[0]


def forgot_the_mean(z, y):
    """P − Y"""
    p = probabilities(z)
    p[range(len(y)), y] -= 1
    return p


DERIVATIONS = {
    "ReLU by a mask": Derivation(
        "∇_w ½‖relu(Xw)‖²", relu_loss, "w", (reals("n", "d"), reals("d")), [relu_by_mask]
    ),
    "softmax": Derivation("∇_z ll", cross_entropy, "z", (reals("m", "k"), classes("m", "k")), [softmax_minus_one]),
    "batch norm": Derivation(
        "∇_x batch norm", normalised_loss, "x", (reals("n", "d"), reals("d"), reals("n", "d")), [batch_norm_line]
    ),
    "through time": Derivation("∇_w rnn", recurrent_loss, "w", (reals(), reals("n", "t")), [through_time_line]),
}  # fmt: skip


@pytest.mark.parametrize("name", DERIVATIONS)
def test_lines_in_numpy_are_right(name):
    derivation = DERIVATIONS[name]
    report = verify(derivation, prove=False, floats=False, inputs=few_inputs(derivation))
    assert report.ok, str(report)


@pytest.mark.parametrize("line", [masked_rows, masked_columns, masked_reading])
def test_masks_of_rows_are_followed(line):
    derivation = DERIVATIONS["ReLU by a mask"].with_lines(line, lambda x, w: line(x, w) * (1 + 1e-12))
    report = verify(derivation, prove=False, floats=False, inputs=few_inputs(derivation))
    assert [each.verdict for each in report.lines] == ["agrees", "refuted"], str(report)


def test_a_number_of_rows_that_a_mask_reads_is_refused_in_words_for_numpy():
    def mean_of_masked(x, w):
        """Xᵀ h times a mean"""
        h = x @ w
        return relu_by_mask(x, w) * np.mean(h[h > 0])

    derivation = DERIVATIONS["ReLU by a mask"].with_lines(mean_of_masked)
    with pytest.raises(LineError, match=r"test_numpy_lines\.py:\d+.*(where|masks)") as raised:
        verify(derivation)
    assert "Concrete" not in str(raised.value)


def test_a_wrong_line_in_numpy_is_refuted_and_its_place_named():
    wrong = DERIVATIONS["softmax"].with_lines(softmax_minus_one, forgot_the_mean)
    report = verify(wrong, prove=False, floats=False, inputs=few_inputs(wrong))
    assert report.first_wrong_line == "forgot_the_mean", str(report)
    found = report.lines[1]
    assert "the factor 1/m is missing" in str(found.diagnosis)
    assert "test_numpy_lines.py" in str(found.diagnosis)
    assert found.counterexample is not None


def slopes_written_into(x, w, nabla):
    """Xᵀ(h ∘ 1[h > 0]), of what ∇ gives, written into, of code that writes"""

    def score(x, w):
        z = np.zeros(len(x))
        np.matmul(x, w, out=z)
        return z

    jacobian = nabla(score, "w")(x, w)
    np.multiply(jacobian, (x @ w > 0)[:, None], out=jacobian)
    return jacobian.T @ (x @ w)


def twice_written_into(x, w, nabla):
    """twice as much"""
    return 2 * slopes_written_into(x, w, nabla)


def slopes_within(x, w, nabla):
    """the same, of a function that holds a value of the line"""
    h = np.maximum(x @ w, 0)

    def weighted(x, w):
        z = x @ w
        z *= h
        return np.sum(z)

    return nabla(weighted, "w")(x, w)


def twice_within(x, w, nabla):
    """twice as much"""
    return 2 * slopes_within(x, w, nabla)


def twice_in_jax(x, w, nabla):
    """twice as much, in JAX, of NumPy code, by a method that JAX's arrays alone have"""
    import jax.numpy as jnp

    return nabla(relu_loss, "w")(x, w).at[:].multiply(jnp.asarray(2))


@pytest.mark.parametrize("line", [slopes_written_into, slopes_within])
def test_nabla_takes_code_that_writes_and_functions_of_the_line(line):
    derivation = Derivation("∇_w", relu_loss, "w", (reals("n", "d"), reals("d")), [line])
    report = verify(derivation, prove=False, floats=False, inputs=few_inputs(derivation))
    assert report.ok, str(report)
    assert "Tracer" not in str(report)


PROGRAMS = {
    "no ∇": DERIVATIONS["softmax"].with_lines(forgot_the_mean),
    **{
        name: Derivation("∇_w", relu_loss, "w", (reals("n", "d"), reals("d")), lines)
        for name, lines in {
            "∇ written into": [slopes_written_into, twice_written_into],
            "∇ of a function within": [slopes_within, twice_within],
            "JAX beside NumPy": [slopes_within, twice_in_jax],
        }.items()
    },
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_that_shows_a_mistake_prints_both_values(name, capsys):
    wrong = PROGRAMS[name]
    report = verify(wrong, prove=False, floats=False, suspects=False, inputs=few_inputs(wrong))
    found = next(line.counterexample for line in report.lines if line.counterexample)
    exec(found.snippet, {})
    printed = capsys.readouterr().out.replace("\n ", " ").splitlines()
    for wanted, row in zip((found.expected, found.value), printed, strict=True):
        values = np.array(row.replace("[", "").replace("]", "").split(), float)
        assert np.isclose(values, float(wanted), rtol=1e-6).any(), report


def test_a_line_and_of_may_be_written_for_different_libraries():
    import jax.numpy as jnp

    def in_jax(x, w):
        return 0.5 * jnp.sum(jnp.maximum(x @ w, 0) ** 2)

    mixed = Derivation("∇_w, mixed", in_jax, "w", (reals("n", "d"), reals("d")), [relu_by_mask])
    assert verify(mixed, prove=False, floats=False, inputs=few_inputs(mixed)).ok


def test_a_line_may_hand_numpy_code_to_nabla():
    def slope(x, w, nabla):
        """X ∇ as NumPy has it"""
        return nabla(relu_loss, "w")(x, w)

    derivation = Derivation("∇_w", relu_loss, "w", (reals("n", "d"), reals("d")), [slope, relu_by_mask])
    assert verify(derivation, prove=False, floats=False, inputs=few_inputs(derivation)).ok


def test_numbers_that_decide_what_is_computed_are_refused_with_their_place():
    def by_a_branch(x, w):
        """chooses by the first number"""
        return relu_by_mask(x, w) if w[0] > 0 else relu_by_mask(x, w) * 1.0

    derivation = DERIVATIONS["ReLU by a mask"].with_lines(by_a_branch)
    with pytest.raises(LineError, match=r"test_numpy_lines\.py:\d+.*where") as raised:
        verify(derivation)
    assert "by_a_branch" in str(raised.value)


def test_tiles_are_copies():
    def loss(w, x):
        return np.sum(np.tile(w, (len(x), 1)) * x**2) + np.sum(np.tile(w, 3) ** 2)

    def line(w, x):
        """Σ x² + 6 w"""
        return np.sum(x**2, axis=0) + 6 * w

    def counted_once(w, x):
        """Σ x² + 2 w"""
        return np.sum(x**2, axis=0) + 2 * w

    tiled = Derivation("∇_w of tiles", loss, "w", (reals("d"), reals("n", "d")), [line, counted_once])
    report = verify(tiled, examples=16)
    assert report.lines[0].verdict == "proved", str(report)
    assert report.first_wrong_line == "counted_once", str(report)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def score(w, x):
    return x @ w


def squashed(w, x):
    return sigmoid(score(w, x))


def likelihood(w, x):
    return np.sum(np.log(squashed(w, x)))


def by_probability(w, x, nabla):
    """Σ 1/p ∇p"""
    return np.divide(1, squashed(w, x)) @ nabla(squashed)(w, x)


def by_score(w, x, nabla):
    """Σ (1 − p) ∇z"""
    return np.subtract(1, squashed(w, x)) @ nabla(score)(w, x)


WITH_NABLA = Derivation("∇_w ll", likelihood, "w", (reals("d"), reals("n", "d")), [by_probability, by_score])


def test_mistakes_are_planted_in_numpy_code_that_uses_nabla():
    planted = mutants(WITH_NABLA, by_score, seed=0, most=3)
    reports = [
        verify(wrong, prove=False, floats=False, inputs=few_inputs(wrong))
        for wrong in (WITH_NABLA.with_lines(by_probability, each.line) for each in planted)
    ]
    wrong = [each.sentence for each, report in zip(planted, reports, strict=True) if report.first_wrong_line == "by_score"]
    assert len(wrong) >= 2, [each.sentence for each in planted]  # one may be x, which is ∇z, for ∇z


def test_a_step_of_numpy_code_is_explained():
    [found] = explain(WITH_NABLA, ["by_score"])
    assert found.rule.sentence == "chain rule, σ' = σ(1 − σ): ∇squashed = squashed (1 − squashed) ∇score"


def test_derivatives_are_arrays_to_numpy_code():
    def by_ufunc(x, w, nabla):
        """Σ h ∇h, with a function of NumPy's and one that writes"""
        h = np.maximum(x @ w, 0)
        out = np.zeros((3, *np.shape(x)))
        out[1] = np.tensordot(h, nabla(relu)(x, w), axes=1)
        return np.sum(out, axis=0)

    def relu(x, w):
        return np.maximum(x @ w, 0)

    derivation = Derivation("∇_x", relu_loss, "x", (reals("n", "d"), reals("d")), [by_ufunc])
    assert verify(derivation, prove=False, floats=False, inputs=few_inputs(derivation)).ok


class Regression:
    """Data in an object, and methods of arrays: `self.x.dot(w)`."""

    def __init__(self):
        self.x, self.data = np.array([[1.0, 0.5], [-0.25, 2.0], [3.0, 1.0]]), {"y": np.array([1.0, -1.0, 0.5])}

    def loss(self, w):
        return np.sum((self.x.dot(w) - self.data["y"]) ** 2)

    def right(self, w):
        return 2 * self.x.T.dot(self.x.dot(w) - self.data["y"])

    def wrong(self, w):
        return self.x.T.dot(self.x.dot(w) - self.data["y"])


def test_lines_may_be_methods_that_use_methods_of_arrays():
    model = Regression()
    lines = [model.right, model.wrong]
    derivation = Derivation("a method", of=model.loss, wrt="w", domain=(reals(2),), lines=lines)
    report = verify(derivation, floats=False, inputs=few_inputs(derivation))
    assert report.lines[0].verdict == "proved", str(report)
    assert report.first_wrong_line == "wrong"
    assert type(model.x) is np.ndarray


def test_a_line_that_asks_for_equal_arrays_is_not_taken_to_be_told_that_they_differ():
    def loss(w, mode):
        return np.sum(w**2) if np.array_equal(mode, np.array([1.0, 0.0])) else np.sum(w**3)

    def line(w, mode):
        return 3 * w**2

    derivation = Derivation("∇ loss", of=loss, wrt="w", domain=(reals("d"), bits(2)), lines=[line])
    with pytest.raises(LineError, match=r"test_numpy_lines\.py:\d+.*where"):
        verify(derivation)


def huber(w, x, y):
    r = x @ w - y
    return np.sum(np.where(np.abs(r) <= 1, r**2 / 2, np.abs(r) - 0.5))


def by_signs(w, x, y):
    """Xᵀ (r where |r| ≤ 1, else sign r)"""
    r = x @ w - y
    g, far = r.copy(), np.abs(r) > 1
    g[far] = np.sign(r[far])
    return x.T @ g


def by_half_signs(w, x, y):
    """Xᵀ (r where |r| ≤ 1, else ½ sign r)"""
    r = x @ w - y
    g, far = r.copy(), np.abs(r) > 1
    g[far] = 0.5 * np.sign(r[far])
    return x.T @ g


def entropy(p):
    terms = np.zeros_like(p)
    terms[p > 0.5] = p[p > 0.5] * np.log(p[p > 0.5])
    terms[p > 2] *= 3
    return np.sum(terms) + np.sum(p[p > 1] ** 2)


def of_entropy(p):
    """(log p + 1) 1[p > ½] (1 + 2 · 1[p > 2]) + 2p 1[p > 1]"""
    g = np.zeros_like(p)
    g[p > 0.5] = np.log(p[p > 0.5]) + 1
    g[p > 2] *= 3
    return g + np.where(p > 1, 2 * p, 0)


def of_entropy_by_another_mask(p):
    """(log p + 1) 1[p > ½] + 2p 1[p > 1]"""
    g = np.zeros_like(p)
    g[p > 0.5] = np.log(p[p > 0.5]) + 1
    return g + np.where(p > 1, 2 * p, 0)


@pytest.mark.parametrize(
    ("of", "domain", "right", "wrong"),
    [
        (huber, (reals("d"), reals("n", "d"), reals("n")), by_signs, by_half_signs),
        (entropy, (positives("n"),), of_entropy, of_entropy_by_another_mask),
    ],
)
def test_what_a_mask_reads_may_be_written_where_it_is_or_summed(of, domain, right, wrong):
    derivation = Derivation("∇", of, None if of is entropy else "w", domain, [right, wrong])
    report = verify(derivation, prove=False, floats=False)
    assert [line.verdict for line in report.lines] == ["agrees", "refuted"], str(report)


def test_what_one_mask_reads_is_not_written_where_another_is():
    def elsewhere(w, x, y):
        """by two masks"""
        r = x @ w - y
        g, far = r.copy(), np.abs(r) > 1
        g[~far] = np.sign(r[far])
        return x.T @ g

    def overwritten(w, x, y):
        """by a mask that has changed"""
        r = x @ w - y
        g, far = r.copy(), np.abs(r) > 1
        read = r[far]
        far[0] = False
        g[far] = np.sign(read)
        return x.T @ g

    domain = reals("d"), reals("n", "d"), reals("n")
    for line in (elsewhere, overwritten):
        with pytest.raises(LineError, match=r"mask selects .* at test_numpy_lines\.py"):
            verify(Derivation("∇", huber, "w", domain, [line]), prove=False, floats=False)
