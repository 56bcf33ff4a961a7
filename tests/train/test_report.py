"""What the end of a training says: as scikit-learn counts it, on examples of every class that were kept apart."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from autodiff_ref.cli.app import app
from autodiff_ref.train.arguments import share_of
from autodiff_ref.train.report import (
    auc,
    convergence,
    evaluated,
    evaluated_numbers,
    linear_regression,
    logistic_regression,
    told,
)


@pytest.mark.parametrize("k", [2, 3])
def test_the_measures_are_those_of_scikit_learn(k):
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(k)
    p = random.dirichlet(np.ones(k), 200).round(2) + 0.001
    p /= p.sum(axis=1, keepdims=True)
    codes = random.integers(0, k, 200)
    found = evaluated(p, codes, [str(j) for j in range(k)])
    guess = (p[:, 1] >= 0.5).astype(int) if k == 2 else np.argmax(p, axis=1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(codes, guess))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(codes, guess))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(codes, p))
    assert found["confusion"] == metrics.confusion_matrix(codes, guess).tolist()
    assert found["majority"] == np.bincount(codes).max() / 200
    if k == 2:
        assert found["auc"] == pytest.approx(metrics.roc_auc_score(codes, p[:, 1]))
        assert sum(b["examples"] for b in found["calibration"]) == 200


def test_a_few_classes_are_a_table_and_of_many_the_mistakes_are_told():
    codes = np.array([0, 0, 1, 1, 1])
    few = evaluated(np.eye(2)[[0, 1, 1, 1, 1]] + 1e-9, codes, ["benign", "no"])
    assert told(few)[1:] == ["predicted    benign  no", "true benign       1   1", "true no           0   3"]
    names = [f"c{k}" for k in range(12)]
    many = evaluated(np.eye(12)[[3, 0, 1, 4, 4]] + 1e-9, codes, names)
    assert told(many)[1:] == ["mistaken most often: c1 as c4 (2), c0 as c3 (1)"]
    assert told(evaluated(np.eye(12)[codes] + 1e-9, codes, names))[1:] == []


def test_one_class_alone_has_no_auc():
    assert auc(np.array([0.1, 0.2]), np.array([True, True])) is None


@pytest.mark.parametrize("k", [2, 3])
def test_one_class_alone_is_told_and_has_no_balanced_accuracy(k):
    found = evaluated(np.full((4, k), 1 / k), np.full(4, 1), ["a", "b", "c"][:k])
    assert found["balanced_accuracy"] is None
    assert "(all of class b, so that nothing is told of any other)" in told(found)[0]
    assert "balanced" not in told(found)[0]


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_a_comparison_does_not_ask_how_large_units_are(unit):
    """Squares of 1e300 overflow, and those of 1e-300 vanish."""
    pytest.importorskip("sklearn")
    random = np.random.default_rng(0)
    x, y = random.standard_normal((20, 2)), random.standard_normal(20)
    by_numbers = linear_regression(x[:15] * unit, y[:15] * unit, x[15:] * unit) / unit
    np.testing.assert_allclose(by_numbers, linear_regression(x[:15], y[:15], x[15:]), rtol=1e-9)
    p = logistic_regression(x[:15] * unit, (y[:15] > 0).astype(int), x[15:] * unit)
    np.testing.assert_allclose(p, logistic_regression(x[:15], (y[:15] > 0).astype(int), x[15:]), rtol=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_share_has_its_part_of_every_class(share):
    y = np.repeat([0, 1, 2], [100, 40, 12])
    stay, apart = share_of(y, share, 3)
    assert len(apart) == round(share * 152)
    np.testing.assert_array_equal(np.sort(np.concatenate([stay, apart])), np.arange(152))
    for label, count in enumerate((100, 40, 12)):
        assert abs(np.sum(y[apart] == label) - share * count) <= 1
    assert (share_of(y, share, 4)[1] != apart).any()


def test_training_that_is_still_rising_is_told():
    assert "not converged" in convergence([-1.0 + 0.05 * k for k in range(10)])
    assert "changed by 0.0%" in convergence([-0.5] * 30)
    assert convergence([-1.0]) is None
    assert convergence([-1.0, -0.5]) == "not converged: ll rose by 100.0% over the last epoch; more epochs may help"


def test_training_that_falls_is_told():
    """A step length that is too large makes ll worse; that is no convergence"""
    assert (
        convergence([-1.0, -4.0]) == "not converged: ll fell by 75.0% over the last epoch; a smaller learning rate may help"
    )
    assert convergence([-0.5, -0.501]) == "ll changed by 0.2% over the last epoch"


@pytest.mark.parametrize("unit", [1e-250, 1.0, 1e250])
def test_numbers_of_any_unit_are_evaluated(unit):
    y, predicted = np.array([1.0, 2.0, 4.0, 5.0]), np.array([1.5, 2.0, 3.0, 5.0])
    want, got = evaluated_numbers(predicted, y), evaluated_numbers(unit * predicted, unit * y)
    assert got["r2"] == pytest.approx(want["r2"])
    for name in ("rmse", "mae", "deviation"):
        assert got[name] / unit == pytest.approx(want[name])
    assert want["deviation"] == pytest.approx(np.std(y))
    assert evaluated_numbers(predicted, np.full(4, 0.1 * unit))["r2"] is None


def test_the_command_says_what_the_model_is_worth_and_compares_it(examples, write_csv, tmp_path):
    pytest.importorskip("sklearn")
    x, y = examples
    data = write_csv([["a", "b", "c", "d", "y"], *([*row, label] for row, label in zip(x.tolist(), y, strict=True))])
    arguments = ["train", str(data), "--epochs", "30", "--test-share", "0.25", "--compare", "--seed", "1"]
    text = CliRunner().invoke(app, arguments)
    assert text.exit_code == 0, text.output
    for part in ("of 50 examples kept apart", "AUC", "true inside", "logistic regression", "by log loss"):
        assert part in text.output
    assert "ns an example" not in text.output
    summary = json.loads(CliRunner().invoke(app, [*arguments, "--json", "--plot", str(tmp_path / "p.png")]).output)
    assert summary["examples"] == 150
    assert summary["test"]["examples"] == summary["logistic_regression"]["examples"] == 50
    assert (tmp_path / "p.png").exists()
    alone = CliRunner().invoke(app, ["train", str(data), "--compare"])
    assert alone.exit_code == 2
    assert "needs --test-share" in alone.output
    assert "ns an example" in CliRunner().invoke(app, ["train", str(data), "--epochs", "1", "-v"]).output


def test_whole_numbers_that_are_taken_as_many_classes_are_remarked_on(write_csv):
    rows = [[k % 7, (5 * k) % 11, k % 25] for k in range(100)]
    done = CliRunner().invoke(app, ["train", str(write_csv([["a", "b", "y"], *rows])), "--epochs", "1"])
    assert "note: y has 25 different numbers, each taken as a class: --output identity" in done.stderr
    done = CliRunner().invoke(
        app, ["train", str(write_csv([["a", "b", "y"], *rows])), "--epochs", "1", "--output", "identity"]
    )
    assert done.exit_code == 0
    assert "note" not in done.stderr
