"""More than two classes: fit, save, load, predict; by hand as by autodiff."""

import csv
import io

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from autodiff_ref.cli.app import app
from autodiff_ref.train import fit, load
from autodiff_ref.train.prepare import classes_of


@pytest.fixture
def three():
    """150 examples of 3 features in three overlapping clusters."""
    random = np.random.default_rng(0)
    y = np.repeat(["c", "a", "b"], 50)
    centres = {"a": [0, 0, 2], "b": [2, 0, 0], "c": [0, 2, 0]}
    return random.standard_normal((150, 3)) + [centres[label] for label in y], y


@pytest.mark.parametrize(
    "options",
    [{}, *(pytest.param(other, marks=pytest.mark.explore) for other in ({"batch_size": None}, {"optimizer": "lbfgs"}))],
    ids=str,
)
def test_the_same_weights_by_hand_and_by_autodiff(options, three):
    by_hand, by_autodiff = (fit(*three, epochs=6, dtype="float64", gradient=g, **options) for g in ("hand", "autodiff"))
    assert by_hand.model.layers[-1].w.shape == (3, 2)
    for a, b in zip(jax.tree.leaves(by_hand.model.layers), jax.tree.leaves(by_autodiff.model.layers), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_three_classes_are_learned_saved_and_read_again(three, tmp_path):
    x, y = three
    model = fit(x, y, epochs=100, weight_decay=0.1, optimizer="lbfgs", dtype="float64").model
    assert np.mean(model.predict(x) == y) > 0.85
    assert model.classes.tolist() == ["a", "b", "c"]
    p = model.predict_probability(x)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    again = load(model.save(tmp_path))
    np.testing.assert_array_equal(again.probabilities(x), p)


def test_the_commands_tell_three_classes_apart(three, write_csv, tmp_path):
    x, y = three
    data = write_csv([["u", "v", "w", "kind"], *([*row, label] for row, label in zip(x.tolist(), y, strict=True))])
    run = CliRunner().invoke(app, ["train", str(data), "--label", "kind", "--epochs", "20", "--save", str(tmp_path)])
    assert run.exit_code == 0, run.output
    assert "a, b, c" in run.output
    predicted = CliRunner().invoke(app, ["predict", str(tmp_path), str(data)])
    rows = list(csv.reader(io.StringIO(predicted.output)))
    assert rows[0] == ["prediction", "p(a)", "p(b)", "p(c)"]
    assert len(rows) == 151


@pytest.mark.parametrize(
    ("labels", "y", "classes"),
    [
        ([3, 1, 2], [2, 0, 1], [1, 2, 3]),
        (["10", "9", "8"], [2, 1, 0], ["8", "9", "10"]),
        (["b", "c", "a", "b"], [1, 2, 0, 1], ["a", "b", "c"]),
    ],
)
def test_labels_become_numbers_in_order(labels, y, classes):
    codes, got = classes_of(labels, len(labels))
    assert codes.tolist() == y
    assert got.tolist() == classes


def test_measurements_are_not_taken_for_classes():
    with pytest.raises(ValueError, match='look like measurements; for a net that predicts numbers say output="identity"'):
        classes_of(np.linspace(0, 1, 50), 50)
