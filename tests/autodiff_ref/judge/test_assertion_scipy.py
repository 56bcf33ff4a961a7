"""SciPy in losses and in gradients by hand: right gradients pass, each mistake fails, and what is refused says why."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import fft, integrate, optimize, signal, sparse, special, stats
from scipy.spatial import distance
from sklearn.linear_model._huber import _huber_loss_and_gradient  # pyright: ignore[reportPrivateUsage]

from autodiff_ref import assert_gradients_agree
from tests.combinations import chosen
from tests.scipy_pairs import HELD, LAYER, PAIRS, POSITIVE, SEEN, W, X

norm_pdf = stats.norm.pdf
MISTAKES = {"a factor": lambda g: g * (1 + 1e-9), "a sign": lambda g: -g}


@pytest.mark.parametrize("name", PAIRS)
def test_right_gradients_pass_and_wrong_ones_fail(name):
    pair = PAIRS[name]
    pair.assert_followed_and_right()
    mistakes = [*pair.wrong, *[lambda *a, m=m: m(pair.gradient(*a)) for m in MISTAKES.values()]]
    for wrong in mistakes:
        with pytest.raises(AssertionError, match=r"is not ∇"):
            assert_gradients_agree(wrong, pair.loss, *pair.args)


def test_what_held_functions_is_as_it_was():
    before = HELD["parts"][0].__func__, HELD["zeros"], LAYER.slope.__func__, stats.rv_continuous.logpdf, distance.cdist
    for name in ("a dict of functions", "a list in a dict", "attributes", "cdist"):
        assert_gradients_agree(PAIRS[name].gradient, PAIRS[name].loss, *[arg + 0 for arg in PAIRS[name].args])
    assert before == (
        *(HELD["parts"][0].__func__, HELD["zeros"], LAYER.slope.__func__, stats.rv_continuous.logpdf),
        distance.cdist,
    )


def huber(w, x, y):
    return _huber_loss_and_gradient(w, x, y, 1.35, 0.1, np.ones(len(y)))


def test_python_code_of_libraries_is_followed():
    w = np.array([0.3, -0.2, 0.5, 0.1, 1.2])
    assert_gradients_agree(huber, huber, w, X, SEEN)
    assert_gradients_agree(_huber_loss_and_gradient, _huber_loss_and_gradient, w, X, SEEN, 1.35, 0.1, np.ones(5))
    for part, mistake in ((slice(None), 1 + 1e-9), (-2, 2.0), (-1, -1.0)):

        def wrong(*args, part=part, mistake=mistake):
            loss, gradient = huber(*args)
            gradient[part] *= mistake
            return loss, gradient

        with pytest.raises(AssertionError, match=r"is not ∇huber"):
            assert_gradients_agree(wrong, huber, w, X, SEEN)


def test_a_distribution_without_a_row_is_followed_by_its_code():
    loss = lambda c: stats.nakagami.logpdf(POSITIVE, c).sum()  # noqa: E731
    right = lambda c: (np.log(c) + 1 - special.digamma(c) + 2 * np.log(POSITIVE) - POSITIVE**2).sum()  # noqa: E731
    assert_gradients_agree(right, loss, 1.25)
    with pytest.raises(AssertionError, match="is not ∇"):
        assert_gradients_agree(lambda c: right(c) * (1 + 1e-9), loss, 1.25)
    assert_gradients_agree(lambda v: 0.5 * np.array([0.5, 1.0, 0.5]), lambda v: integrate.trapezoid(v, dx=0.5), W)


REFUSED = {
    "a minimiser": (
        lambda p: optimize.minimize_scalar(lambda v: np.cosh(v - p) + v**4).x,
        0.5,
        r"minimize_scalar repeats what it does until numbers that are differentiated by end it at test_assertion_scipy"
        r"\.py:\d+: compute that outside",
    ),
    "a fixed point": (
        lambda p: optimize.fixed_point(lambda x: np.cos(x) * p, 1.0, method="iteration"),
        0.5,
        r"fixed_point repeats what it does until numbers",
    ),
    "an integration in steps": (
        lambda p: integrate.solve_ivp(lambda t, y: -p * y, (0, 1), [1.0]).y[0, -1],
        0.5,
        r"solve_ivp repeats what it does until numbers",
    ),
    "a quantile without a row": (
        lambda q: stats.gamma.ppf(q, 3.0).sum(),
        np.array([0.25, 0.5]),
        r"`scipy\.stats\.gamma\.ppf` is not known here at test_assertion_scipy\.py:\d+: compute it outside",
    ),
    "compiled code": (
        lambda w: signal.fftconvolve(w, w).sum(),
        W,
        r"scipy\.signal\._signaltools\.fftconvolve asks for the numbers",
    ),
    "a metric": (lambda w: distance.cdist(X + w, X, "canberra").sum(), W, r"the metric 'canberra'"),
    "a singular covariance": (
        lambda w: stats.multivariate_normal.logpdf(w, np.zeros(3), np.ones((3, 3)), allow_singular=True),
        W,
        r"allow_singular=True",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_what_arrived_where_and_what_to_do(name):
    loss, at, said = REFUSED[name]
    with pytest.raises(TypeError, match=said) as refused:
        assert_gradients_agree(lambda w: w, loss, at)
    assert "Tracer" not in str(refused.value)


WRITTEN = {
    "np.place": lambda out, w: np.place(out, np.array([True, False, True]), w[1:] ** 2),
    "np.put": lambda out, w: np.put(out, [2, 0], w[1:] ** 2),
    "put": lambda out, w: out.put([2, -3], w[1:] ** 2),
    "np.putmask": lambda out, w: np.putmask(out, w > 0, w**2),
    "np.copyto": lambda out, w: np.copyto(out, w**2, where=[True, False, True]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_numpy_writes_into_an_array_without_returning_it_is_followed(name):
    def loss(w, weights):
        out = np.zeros(3)
        WRITTEN[name](out, w)
        return out @ weights

    weights, w = np.array([1.0, 2.0, 3.5]), np.array([0.5, -1.5, 2.0])
    taken = {
        "np.place": [0, weights[0], weights[2]],
        "np.put": [0, weights[2], weights[0]],
        "put": [0, weights[2], weights[0]],
        "np.putmask": weights * (w > 0),
        "np.copyto": weights * [1, 0, 1],
    }[name]
    assert_gradients_agree(lambda w, weights: 2 * w * taken, loss, w, weights)
    with pytest.raises(AssertionError, match="is not ∇loss"):
        assert_gradients_agree(lambda w, weights: 2 * w * np.roll(taken, 1), loss, w, weights)


def test_what_writes_into_an_array_in_a_way_that_is_not_known_is_refused():
    def loss(w):
        out = np.array(w)
        out.partition(1)
        return out[0]

    with pytest.raises(TypeError, match=r"`partition` writes into an array, which is not followed at test_assertion_scipy"):
        assert_gradients_agree(lambda w: w, loss, W)


def test_masks_and_places_computed_from_what_is_differentiated_by_index_arrays_of_the_module():
    def loss(w):
        above = X @ w > 0
        return np.sum((X[above] @ w) ** 2) + X[np.argmax(X @ w)] @ w + (POSITIVE[np.argsort(X @ w)][:2] * w[:2]).sum()

    def gradient(w):
        above, order = X @ w > 0, np.argsort(X @ w)
        chosen = np.append(POSITIVE[order][:2], 0)
        return 2 * X[above].T @ (X[above] @ w) + X[order[-1]] + chosen

    assert_gradients_agree(gradient, loss, W)
    for wrong in (lambda w: gradient(w) * (1 + 1e-9), lambda w: 2 * X.T @ (X @ w) + gradient(w) - gradient(w)):
        with pytest.raises(AssertionError, match="is not ∇loss"):
            assert_gradients_agree(wrong, loss, W)


def inverse_box_cox(v, power):
    return special.inv_boxcox(v, power) ** (1 - power)


SPECIAL = {
    "huber": (lambda v: special.huber(0.75, v), lambda v: np.clip(v, -0.75, 0.75)),
    "pseudo_huber": (lambda v: special.pseudo_huber(1.5, v), lambda v: v / np.sqrt(1 + (v / 1.5) ** 2)),
    "boxcox": (lambda v: special.boxcox(v**2, 0.3), lambda v: 2 * np.sign(v) * np.abs(v) ** (2 * 0.3 - 1)),
    "boxcox, power 0": (lambda v: special.boxcox(v**2, 0.0), lambda v: 2 / v),
    "boxcox1p": (lambda v: special.boxcox1p(v**2, 0.3), lambda v: 2 * v * (1 + v**2) ** (0.3 - 1)),
    "inv_boxcox": (lambda v: special.inv_boxcox(v / 9, 0.3), lambda v: inverse_box_cox(v / 9, 0.3) / 9),
    "inv_boxcox1p": (lambda v: special.inv_boxcox1p(v / 9, 0.3), lambda v: inverse_box_cox(v / 9, 0.3) / 9),
    "exp10": (special.exp10, lambda v: special.exp10(v) * np.log(10)),
    "exprel": (special.exprel, lambda v: (np.exp(v) - special.exprel(v)) / v),
    "binom": (lambda v: special.binom(v**2 + 3, 2), lambda v: v * (2 * v**2 + 5)),
    "comb": (lambda v: special.comb(v**2 + 3, 2), lambda v: v * (2 * v**2 + 5)),
    "stdtr": (lambda v: special.stdtr(3.0, 4 * v), lambda v: 4 * stats.t.pdf(4 * v, 3.0)),
    "zeta": (lambda v: special.zeta(2.0, v**2), lambda v: -4 * v * special.zeta(3.0, v**2)),
    "xlogy of whole numbers": (lambda v: special.xlogy(np.arange(5), v**2), lambda v: 2 * np.arange(5) / v),
    "ndtr": (special.ndtr, norm_pdf),
    "multigammaln": (
        lambda v: special.multigammaln(3 + np.sum(v**2), 2),
        lambda v: 2 * v * (special.psi(3 + np.sum(v**2)) + special.psi(2.5 + np.sum(v**2))),
    ),
}


OFTEN = {"huber", "boxcox", "comb", "zeta", "ndtr", "multigammaln"}


@pytest.mark.parametrize("name", chosen(SPECIAL, lambda name: name in OFTEN))
def test_special_functions(name):
    f, slope = SPECIAL[name]
    v = np.array([1.0, -0.5, 2.25, -1.0, 0.3])
    assert_gradients_agree(slope, lambda v: np.sum(f(v)), v)
    for mistake in (lambda g: g * (1 + 1e-9), lambda g: g * (1 + 1e-9 * (np.arange(5) == 2)), lambda g: -g):
        with pytest.raises(AssertionError, match="is not ∇"):
            assert_gradients_agree(lambda v, m=mistake: m(slope(v)), lambda v: np.sum(f(v)), v)


SPARSE = sparse.csr_array(np.array([[1.0, 0.0, -2.0], [0.0, 3.0, 0.0], [0.5, 0.0, 1.0]]))
MATRIX = sparse.csc_matrix(SPARSE)

PRODUCTS = {
    "S @ v": (lambda v: np.sum((SPARSE @ v) ** 2), lambda v: 2 * SPARSE.T @ (SPARSE @ v)),
    "v @ S @ v": (lambda v: v @ SPARSE @ v, lambda v: (SPARSE + SPARSE.T) @ v),
    "S.dot": (lambda v: np.sum(SPARSE.dot(np.exp(v))), lambda v: np.exp(v) * SPARSE.sum(axis=0)),
    "a matrix * v": (lambda v: np.sum((MATRIX * v) ** 2), lambda v: 2 * (MATRIX.T * (MATRIX * v))),
    "scipy.fft.fft": (lambda v: np.sum(np.abs(fft.fft(v)) ** 2 * v), lambda v: spectrum_gradient(v)),
    "scipy.fft.dct": (lambda v: np.sum(fft.dct(v, norm="ortho") ** 2), lambda v: 2 * v),
}


def spectrum_gradient(v):
    spectrum = fft.fft(v)
    return np.abs(spectrum) ** 2 + 2 * np.real(fft.fft(v * np.conj(spectrum)))


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_with_sparse_matrices_and_fourier_transforms(name):
    loss, gradient = PRODUCTS[name]
    assert_gradients_agree(gradient, loss, W)
    for mistake in (lambda g: g * (1 + 1e-9), lambda g: g[::-1]):
        with pytest.raises(AssertionError, match="is not ∇"):
            assert_gradients_agree(lambda v, m=mistake: m(gradient(v)), loss, W)
    assert isinstance(SPARSE @ W, np.ndarray)


def hidden_in(make, x):
    """A matrix of small numbers, of which floats lose digits, as code that is not followed makes it of them."""
    return make(1 - 1 / (1 + np.exp(-20 * np.abs(x[:, None] + x[None, :]) - 3)))


def of_hidden(make):
    def loss(w, x):
        return np.sum(np.tanh(hidden_in(make, x) @ w))

    def gradient(w, x):
        a = hidden_in(make, x)
        return a.T @ (1 - np.tanh(a @ w) ** 2)

    return loss, gradient


MAKERS = {
    "csr_matrix": sparse.csr_matrix,
    "coo_array": sparse.coo_array,
    "diags of rows": lambda a: sparse.diags([a.sum(axis=1)], [0]).toarray() + a,
    "compiled": lambda a: np.frombuffer(np.asarray(a, np.float64).tobytes()).reshape(a.shape),
}


@pytest.mark.parametrize("name", MAKERS)
def test_what_floats_computed_for_code_that_is_not_followed_is_no_mistake(name):
    """x is data. Where its matrix is held as floats computed it, it is off by more than an ulp."""
    x, w = np.array([0.505, 0.265, 0.3535]), np.array([5e5, -3e5, 7e5])
    (loss, gradient), (dense, by_dense) = of_hidden(MAKERS[name]), of_hidden(lambda a: a)
    if name != "diags of rows":
        assert_gradients_agree(by_dense, loss, w, x)
        assert_gradients_agree(gradient, dense, w, x)
    assert_gradients_agree(gradient, loss, w, x)
    with pytest.raises(AssertionError, match="is not ∇"):
        assert_gradients_agree(lambda w, x: 1.01 * gradient(w, x), loss, w, x)
    exact = np.array([0.5, 0.25, 2.0])
    with pytest.raises(AssertionError, match="certified"):
        assert_gradients_agree(
            lambda w, x: (1 + 1e-12) * (sparse.diags(x) @ w),
            lambda w, x: np.sum(w * (sparse.diags(x) @ w)) / 2,
            exact,
            exact,
        )


BY_SPARSE = {
    "csr of three": lambda v: sparse.csr_matrix((v, (np.arange(4), np.arange(4)))) @ np.arange(4.0),
    "csr of a matrix": lambda v: sparse.csr_matrix(np.outer(v, v)) @ np.arange(4.0),
    "diags": lambda v: sparse.diags(v) @ np.arange(4.0),
    "a factor": lambda v: (sparse.eye(4) * v[0]) @ np.arange(4.0),
}


@pytest.mark.parametrize("name", BY_SPARSE)
def test_sparse_matrices_of_what_is_differentiated_by_are_refused_with_what_to_do(name):
    def loss(v):
        return np.sum(BY_SPARSE[name](v) ** 2)

    with pytest.raises(TypeError, match=r"scipy\.sparse.*test_assertion_scipy\.py:\d+: fill a dense matrix"):
        assert_gradients_agree(lambda v: v, loss, np.array([0.5, -0.25, 2.0, 1.0]))


CUTS = np.array([-np.inf, -0.5, 0.625, np.inf])
CLASSES = np.array([0, 1, 2, 1, 0])


def ordered(w, x, k):
    score = x @ w
    return np.log(stats.norm.cdf(CUTS[k + 1] - score) - stats.norm.cdf(CUTS[k] - score)).sum()


def ordered_gradient(w, x, k, factor=1.0):
    above, below = CUTS[k + 1] - x @ w, CUTS[k] - x @ w
    share = (stats.norm.pdf(above) - factor * stats.norm.pdf(below)) / (stats.norm.cdf(above) - stats.norm.cdf(below))
    return -x.T @ share


def test_distributions_at_infinite_cut_points():
    assert_gradients_agree(ordered_gradient, ordered, W, X, CLASSES)
    assert_gradients_agree(ordered_gradient, ordered, W / 2, X, CLASSES[::-1].copy())
    for wrong in (lambda *a: ordered_gradient(*a, factor=1 + 1e-9), lambda w, x, k: ordered_gradient(w, x, k % 2)):
        with pytest.raises(AssertionError, match="is not ∇ordered"):
            assert_gradients_agree(wrong, ordered, W, X, CLASSES)


@pytest.mark.explore
@pytest.mark.parametrize("df", [3.0, 0.5, 300.0])
def test_where_jaxs_floats_are_wrong_the_meaning_of_a_distribution_decides(df):
    v = np.array([-9.0, -0.75, 0.0, 4.5])
    assert_gradients_agree(lambda v: stats.t.pdf(v, df), lambda v: stats.t.cdf(v, df).sum(), v)
    with pytest.raises(AssertionError, match="is not ∇"):
        assert_gradients_agree(lambda v: stats.t.pdf(v, df) * (1 + 1e-9), lambda v: stats.t.cdf(v, df).sum(), v)


BASE, OFFSETS = np.eye(3), np.array([1.0, 2.0, 3.5])


def from_a_copy(w):
    m = BASE.copy()
    m[0] = w
    m[1, 2] = w[1] ** 2
    return (m @ OFFSETS).sum()


def from_a_function(w):
    m = np.tile(OFFSETS, 2)
    m[:2] = w[1:] * OFFSETS[:2]
    return np.sum(m**2)


def by_a_generator(w):
    kept = np.random.default_rng(1).random(3)
    kept[0] = w[0]
    return np.sum(w * kept)


def by_a_random_state(w):
    kept = np.random.RandomState(1).normal(size=3)
    kept[0] = w[0]
    return np.sum(w * kept)


FROM_OUTSIDE = {
    from_a_copy: lambda w: OFFSETS + np.array([0, 7 * w[1], 0]),
    from_a_function: lambda w: np.append(0, 2 * w[1:] * OFFSETS[:2] ** 2),
    by_a_generator: lambda w: np.append(2 * w[0], np.random.default_rng(1).random(3)[1:]),
    by_a_random_state: lambda w: np.append(2 * w[0], np.random.RandomState(1).normal(size=3)[1:]),
}


@pytest.mark.parametrize("loss", FROM_OUTSIDE)
def test_copies_of_arrays_of_the_module_and_draws_are_written_into(loss):
    right = FROM_OUTSIDE[loss]
    assert_gradients_agree(right, loss, W)
    for mistake in (lambda g: g * (1 + 1e-9), lambda g: g[::-1]):
        with pytest.raises(AssertionError, match="is not ∇"):
            assert_gradients_agree(lambda w, m=mistake: m(right(w)), loss, W)
    assert np.array_equal(BASE, np.eye(3))
    assert type(BASE) is np.ndarray
    assert isinstance(np.random.RandomState(0), np.random.RandomState)
    assert type(np.random.default_rng(0)) is np.random.Generator


def into_the_module(w):
    BASE[0] = w
    return BASE.sum()


def into_another_kind(w):
    out = np.ndarray(3)
    out[:] = w
    return out.sum()


@pytest.mark.parametrize("loss", [into_the_module, into_another_kind])
def test_what_is_written_into_an_array_from_outside_is_refused(loss):
    with pytest.raises(
        TypeError, match=r"made outside of what is traced, .* is written into at test_assertion_scipy\.py:\d+: make"
    ):
        assert_gradients_agree(lambda w: np.ones(3), loss, W)
    assert np.array_equal(BASE, np.eye(3))


class Scratch:
    """Buffers that calls write into before they read them, and data beside them."""

    def __init__(self):
        self.x = np.array([[1.0, 2.0], [3.0, 0.4], [0.5, -0.7]])
        self.whole = {"table": np.full((2, 3), np.nan)}
        self.turned, self.some = self.whole["table"].T, [np.zeros(3), np.zeros(2)]
        self.sums = np.zeros(3)

    def by_out(self, w):
        np.multiply(self.x, w, out=self.whole["table"].T)
        return np.sum(self.whole["table"], axis=0, out=self.some[0])

    def by_another_view(self, w):
        np.multiply(self.x, w, out=self.turned)
        return self.whole["table"].sum(axis=0)

    def in_parts(self, w):
        self.turned[:, :1] = self.x[:, :1] * w[0]
        np.multiply(self.x[:, 1], w[1], out=self.whole["table"][1])
        return self.turned.sum(axis=1)

    def by_adding(self, w):
        self.sums[...] = 0
        for k in range(2):
            self.sums += self.x[:, k] * w[k]
        return self.sums

    def without_a_start(self, w):
        self.sums += self.x @ w
        return self.sums

    def with_what_is_there(self, w):
        self.some[1][:1] = w[:1]
        return self.x @ self.some[1]

    def loss(self, scores, w):
        return np.sum(np.tanh(scores(w)))

    def gradient(self, scores, w):
        np.subtract(1, np.tanh(scores(w)) ** 2, out=self.some[0])
        return np.dot(self.some[0], self.x, out=self.some[1])


SCRATCH = Scratch()
TWO = np.array([0.5, -0.3])


@pytest.mark.parametrize("scores", [SCRATCH.by_out, SCRATCH.by_another_view, SCRATCH.in_parts, SCRATCH.by_adding])
def test_buffers_of_an_object_are_followed(scores):
    loss, right = partial(SCRATCH.loss, scores), partial(SCRATCH.gradient, scores)
    assert_gradients_agree(right, loss, TWO)
    for mistake in (lambda g: g * (1 + 1e-12), lambda g: g[::-1]):
        with pytest.raises(AssertionError, match=r"certified|computes something else"):
            assert_gradients_agree(lambda w, m=mistake: m(right(w)), loss, TWO)
    assert all(type(each) is np.ndarray for each in (SCRATCH.sums, SCRATCH.turned, *SCRATCH.some))
    assert np.shares_memory(SCRATCH.turned, SCRATCH.whole["table"])


@pytest.mark.parametrize("scores", [SCRATCH.without_a_start, SCRATCH.with_what_is_there])
def test_buffers_that_are_read_before_they_are_written_are_refused(scores):
    with pytest.raises(
        TypeError, match=r"made outside of what is traced, .* is written into at test_assertion_scipy\.py:\d+"
    ):
        assert_gradients_agree(lambda w: w, partial(SCRATCH.loss, scores), TWO)


def test_partials_with_keywords_for_what_is_differentiated_by():
    assert_gradients_agree(
        lambda s: (SEEN**2 / s**3 - 1 / s).sum(), lambda s: partial(stats.norm.logpdf, SEEN, scale=s)().sum(), 1.5
    )


IMPORTED_WITHIN = """
import sys
import numpy as np
from autodiff_ref import assert_gradients_agree

def loss(v):
    from scipy.stats import norm
    return norm.logcdf(v).sum()

def gradient(v):
    from scipy import stats
    return np.exp(stats.norm.logpdf(v) - stats.norm.logcdf(v))

assert "scipy.stats" not in sys.modules
assert_gradients_agree(gradient, loss, np.array([0.25, -0.5]))
"""


@pytest.mark.explore
def test_scipy_may_be_imported_within_a_function(tmp_path):
    script = tmp_path / "within.py"
    script.write_text(IMPORTED_WITHIN)
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=Path.cwd(), check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
