"""scikit-learn's own checks of an estimator, none of them excused; weights, partial_fit, warm starts, labels of any kind."""

import importlib
import sys

import jax
import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_estimators_partial_fit_n_features,
    parametrize_with_checks,
)

from autodiff_ref.train import fit
from autodiff_ref.train.sklearn import SigmoidNetworkClassifier, SigmoidNetworkRegressor

BY_SGD = SigmoidNetworkClassifier(optimizer="sgd", epochs=50, learning_rate=0.5, batch_size=32)


ALIKE = (
    "readonly_memmap",
    "check_classifier_data_not_an_array",
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_supervised_y_2d",
    "check_sample_weights_list",
    "check_sample_weights_pandas_series",
    "check_sample_weights_not_an_array",
    "check_methods_sample_order_invariance",
)
"""checks of how arguments are read that train nets of shapes of their own: they run in the profile `explore`"""


SHARED = ("check_estimators_overwrite_params", "check_fit2d_1feature", "check_fit_score_takes_y")
"""checks of what classifier and regressor do alike: of the regressor they run in the profile `explore`"""


def marked(checks):
    """scikit-learn's parametrisation, with those of its checks that are alike marked `explore`."""
    names, cases = checks.args
    cases = [case if hasattr(case, "values") else pytest.param(*case) for case in cases]
    said = checks.kwargs["ids"]

    def is_alike(case):
        estimator, check = case.values
        names = (*ALIKE, *SHARED) if isinstance(estimator, SigmoidNetworkRegressor) else ALIKE
        return any(name in str(said(check)) for name in names)

    def further(case):
        if is_alike(case):
            return [pytest.mark.explore]
        return [pytest.mark.ci] if isinstance(case.values[0], SigmoidNetworkRegressor) else []

    return pytest.mark.parametrize(
        names,
        [pytest.param(*c.values, marks=[*c.marks, *further(c)], id=c.id) for c in cases],
        ids=said,
    )


@marked(parametrize_with_checks([SigmoidNetworkClassifier(), SigmoidNetworkRegressor()]))
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)


@pytest.mark.explore
@parametrize_with_checks([BY_SGD])
def test_scikit_learn_s_checks_of_another_optimiser(estimator, check):
    check(estimator)


def test_scikit_learn_s_check_of_what_another_optimiser_adds():
    check_estimators_partial_fit_n_features("by sgd", BY_SGD)


def weights_of(net):
    return jax.tree.leaves(net.model_.layers)


def assert_same(one, other, atol=0.0):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def test_it_is_fit_by_another_name(examples):
    x, y = examples
    options = {"epochs": 5, "optimizer": "sgd", "batch_size": 32, "dtype": "float32"}
    net = SigmoidNetworkClassifier(random_state=3, **options).fit(x, y)
    for a, b in zip(weights_of(net), jax.tree.leaves(fit(x, y, seed=3, **options).model.layers), strict=True):
        np.testing.assert_array_equal(a, b)
    p = net.predict_proba(x)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(net.predict(x), net.classes_[np.argmax(p, axis=1)])


def test_three_classes():
    x, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    net = SigmoidNetworkClassifier((4,), weight_decay=0.1, random_state=0)
    assert cross_val_score(net, x, names, cv=5).mean() > 0.94
    net.fit(x, names)
    assert net.predict_proba(x).shape == net.decision_function(x).shape == (150, 3)
    assert net.classes_.tolist() == ["setosa", "versicolor", "virginica"]


@pytest.mark.parametrize("options", [{"optimizer": "sgd"}, {}], ids=str)
def test_integer_weights_of_examples_and_classes_count_like_copies(options, examples):
    x, y = examples
    copies = np.arange(200) % 3
    rows = np.repeat(np.arange(200), copies)
    net = SigmoidNetworkClassifier(epochs=20, weight_decay=1.0, random_state=0, **options)
    weighted, copied = clone(net).fit(x, y, sample_weight=copies), clone(net).fit(x[rows], y[rows])
    assert_same(weighted, copied, 1e-8)
    twice = np.concatenate([np.arange(200), np.flatnonzero(y == "outside")])
    by_class = clone(net).set_params(class_weight={"outside": 2.0}).fit(x, y)
    assert_same(by_class, clone(net).fit(x[twice], y[twice]), 1e-8)
    balanced = clone(net).set_params(class_weight="balanced").fit(x, y)
    share = np.mean(y == "inside")
    expected = np.where(y == "inside", 0.5 / share, 0.5 / (1 - share))
    assert_same(balanced, clone(net).fit(x, y, sample_weight=expected), 1e-8)
    with pytest.raises(ValueError, match="none of the classes"):
        clone(net).set_params(class_weight={"beyond": 2.0}).fit(x, y)


def test_passes_by_partial_fit_are_the_epochs_of_fit(examples):
    x, y = examples
    options = {"optimizer": "adam", "learning_rate": 0.05, "batch_size": 32, "random_state": 7}
    net = SigmoidNetworkClassifier(**options)
    for _ in range(4):
        net.partial_fit(x, y, classes=["inside", "outside"])
    assert_same(net, SigmoidNetworkClassifier(epochs=4, shuffle="examples", **options).fit(x, y))
    assert net.n_iter_ == 4


def test_partial_fit_takes_classes_that_come_later_and_none_beyond(examples):
    x, y = examples
    inside = y == "inside"
    net = SigmoidNetworkClassifier(optimizer="sgd", batch_size=32, random_state=0)
    net.partial_fit(x[inside], y[inside], classes=["inside", "outside"]).partial_fit(x[~inside], y[~inside])
    assert net.predict_proba(x).shape == (200, 2)
    with pytest.raises(ValueError, match="none of"):
        net.partial_fit(x[:2], ["elsewhere", "inside"])
    with pytest.raises(ValueError, match="those of the first call"):
        net.partial_fit(x[:2], y[:2], classes=["a", "b"])
    with pytest.raises(ValueError, match="class alone"):
        SigmoidNetworkClassifier(optimizer="sgd").partial_fit(x[inside], y[inside])
    assert not hasattr(SigmoidNetworkClassifier(), "partial_fit")


def test_a_warm_start_goes_on_from_the_weights_before(examples):
    x, y = examples
    options = {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.5, "random_state": 0}
    two = SigmoidNetworkClassifier(epochs=3, warm_start=True, **options).fit(x, y).fit(x, y)
    assert_same(two, SigmoidNetworkClassifier(epochs=6, **options).fit(x, y))
    cold = SigmoidNetworkClassifier(epochs=3, **options).fit(x, y)
    assert_same(cold.fit(x, y), SigmoidNetworkClassifier(epochs=3, **options).fit(x, y))


def test_labels_of_any_kind(examples):
    x, y = examples
    labels = np.empty(200, object)
    labels[:] = [("a", 1) if label == "inside" else None for label in y]
    net = SigmoidNetworkClassifier(epochs=5, random_state=0).fit(x, labels)
    assert set(net.predict(x)) <= {("a", 1), None}
    assert net.score(x, labels) > 0.5
    mixed = np.empty(200, object)
    mixed[:] = [k % 2 if k % 3 else "text" for k in range(200)]
    assert SigmoidNetworkClassifier(epochs=5).fit(x, mixed).classes_.tolist() == [0, 1, "text"]


def test_pipelines_grids_and_calibration(examples):
    x, y = examples
    pipe = make_pipeline(StandardScaler(), SigmoidNetworkClassifier(epochs=20, random_state=0))
    grid = GridSearchCV(pipe, {"sigmoidnetworkclassifier__weight_decay": [0.0, 1.0]}, cv=3).fit(x, y)
    assert grid.best_score_ > 0.6
    calibrated = CalibratedClassifierCV(pipe, cv=3).fit(x, y)
    assert calibrated.predict_proba(x).shape == (200, 2)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "autodiff_ref.train.sklearn")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"manual-grad\[sklearn\]"):
        importlib.import_module("autodiff_ref.train.sklearn")


def test_a_regressor_in_a_grid_search_and_from_where_it_was():
    x = np.linspace(-2, 2, 60)[:, None]
    y = np.sin(2 * x[:, 0])
    search = GridSearchCV(SigmoidNetworkRegressor(random_state=0), {"widths": [(), (4,)]}, cv=3, refit=True)
    shuffled = np.random.default_rng(0).permutation(60)
    search.fit(x[shuffled], y[shuffled])
    assert search.best_params_ == {"widths": (4,)}
    assert search.score(x, y) > 0.99
    net = clone(search.best_estimator_).set_params(warm_start=True, epochs=3).fit(x, y)
    first = net.score(x, y)
    assert net.fit(x, y).score(x, y) > first


@pytest.mark.parametrize("estimator", [SigmoidNetworkClassifier, SigmoidNetworkRegressor])
@pytest.mark.parametrize("weights", [[1.0, -1.0, 1.0], [0.0, 0.0, 0.0]])
def test_what_is_wrong_with_weights_is_said_of_the_argument_that_was_given(estimator, weights):
    x, y = np.array([[0.0], [1.0], [2.0]]), [0, 1, 0]
    with pytest.raises(ValueError, match=r"^(sample_weight|Sample weights) must "):
        estimator().fit(x, y, sample_weight=weights)
    if estimator is SigmoidNetworkClassifier:
        for given in (None, np.ones(3)):
            with pytest.raises(ValueError, match=r"^class_weight (· sample_weight )?must "):
                estimator(class_weight={0: weights[0], 1: weights[1]}).fit(x, y, sample_weight=given)
