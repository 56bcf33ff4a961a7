"""`fit` refuses every bad argument before it works on x."""

import numpy as np
import pytest

from autodiff_ref.train import fit
from autodiff_ref.train.arguments import split
from autodiff_ref.train.optimizers import optimizer_of
from manual_grad import mlp


def layer(units, inputs, weight=1.0):
    return mlp.Layer(np.full((units, inputs), weight), np.zeros(units))


X, Y = [[0.0], [1.0], [2.0]], [0, 1, 1]
SHORT_BIAS = (layer(2, 1)._replace(b=np.zeros(1)), layer(1, 2))
BAD = {
    "x is text": ({"x": [["a"], ["b"], ["c"]]}, TypeError, "real numbers"),
    "x is one row": ({"x": [0.0, 1.0, 2.0]}, ValueError, r"\(n, d\)"),
    "x is empty": ({"x": np.empty((0, 2)), "y": []}, ValueError, "at least one example"),
    "x has a NaN": ({"x": [[0.0], [np.nan], [2.0]]}, ValueError, r"^x\[1, 0\] is nan: drop or fill such entries first$"),
    "x has inf": (
        {"x": [[0.0], [1.0], [-np.inf]], "columns": ["size"]},
        ValueError,
        "row 3, 'size' is -inf.*; row 1 is the first example$",
    ),
    "one class": ({"y": [1, 1, 1]}, ValueError, "at least two different values"),
    "too few labels": ({"y": [0, 1]}, ValueError, "one label for each row"),
    "epochs": ({"epochs": 0}, ValueError, "epochs must be at least 1"),
    "epochs is half": ({"epochs": 1.5}, TypeError, "whole number"),
    "batch": ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    "widths is a number": ({"widths": 2}, TypeError, r"such as \(2,\), got 2"),
    "width is half": ({"widths": (2.5,)}, TypeError, "widths must be a whole number"),
    "width": ({"widths": (2, 0)}, ValueError, "widths must be at least 1"),
    "seed": ({"seed": -1}, ValueError, "seed must be at least 0"),
    "patience": ({"patience": 0}, ValueError, "patience"),
    "learning rate": ({"learning_rate": -0.1}, ValueError, "learning_rate"),
    "learning rate is NaN": ({"learning_rate": float("nan"), "optimizer": "adam"}, ValueError, "learning_rate"),
    "learning rate is text": ({"learning_rate": "0.1"}, TypeError, "learning_rate must be a number"),
    "learning rate beside lbfgs": ({"learning_rate": float("nan"), "optimizer": "lbfgs"}, ValueError, "learning_rate"),
    "momentum beside lbfgs": ({"momentum": float("nan"), "optimizer": "lbfgs"}, ValueError, "momentum"),
    "momentum": ({"momentum": 1.0}, ValueError, "momentum"),
    "weight decay": ({"weight_decay": float("nan")}, ValueError, "weight_decay"),
    "weight decay is text": ({"weight_decay": "1"}, TypeError, "weight_decay must be a number"),
    "bias": ({"bias": "no"}, TypeError, "bias must be True or False"),
    "standardise": ({"standardise": None}, TypeError, "standardise must be True or False"),
    "hidden": ({"hidden": "step"}, ValueError, "sigmoid, tanh, relu"),
    "gradient": ({"gradient": "numeric"}, ValueError, "hand or autodiff"),
    "shuffle": ({"shuffle": "some"}, ValueError, "examples, batches, none"),
    "dtype is None": ({"dtype": None}, ValueError, "float32 or float64, got None"),
    "dtype": ({"dtype": "float16"}, ValueError, "float32 or float64"),
    "dtype of whole numbers": ({"dtype": np.int32}, ValueError, "float32 or float64, got 'int32'"),
    "validation is text": ({"validation": "half"}, TypeError, "validation must be a number"),
    "validation is NaN": ({"validation": float("nan")}, ValueError, "from 0 to below 1"),
    "validation": ({"validation": 1.0}, ValueError, "from 0 to below 1"),
    "validation takes a class": ({"validation": 0.9}, ValueError, "one class alone"),
    "optimizer": ({"optimizer": "newton"}, ValueError, "newton"),
    "optimizer of nothing": ({"optimizer": 3}, TypeError, "GradientTransformation"),
    "weights' shape": ({"example_weights": [1.0]}, ValueError, "one weight for each row"),
    "negative weight": ({"example_weights": [1.0, -1.0, 1.0]}, ValueError, "at least 0, row 2 has -1"),
    "weights are text": ({"example_weights": ["a", "b", "c"]}, TypeError, "numbers"),
    "no weight": ({"example_weights": [0, 0, 0]}, ValueError, "not all be 0"),
    "column names": ({"columns": ["a", "b"]}, ValueError, "2 names, x has 1"),
    "column names are one text": ({"columns": "a"}, TypeError, "columns must be the names"),
    "column names are numbers": ({"columns": [0]}, TypeError, "of type str, got 0"),
    "label": ({"label": 3}, TypeError, "of type str, got 3"),
    "on_epoch": ({"on_epoch": 3}, TypeError, "on_epoch must be a function"),
    "initial": ({"initial": (layer(1, 1),)}, ValueError, "initial has layers"),
    "initial has no biases": (
        {"initial": (mlp.Layer(np.ones((2, 1))), mlp.Layer(np.ones((1, 2))))},
        ValueError,
        "with bias",
    ),
    "initial is no net": ({"initial": 3}, TypeError, r"initial: layers must be .* Layer"),
    "initial weights' shape": ({"initial": (layer(2, 1), layer(1, 3))}, ValueError, "initial: layer 2: w has shape"),
    "initial bias's shape": (
        {"initial": SHORT_BIAS},
        ValueError,
        r"initial: layer 1: b has shape \(1,\), it must be \(2,\)",
    ),
    "initial bias's shape, lbfgs": (
        {"initial": SHORT_BIAS, "optimizer": "lbfgs"},
        ValueError,
        "initial: layer 1: b has shape",
    ),
    "initial NaN": (
        {"initial": (layer(2, 1), layer(1, 2, np.nan))},
        ValueError,
        "initial: layer 2: w must be finite, got nan",
    ),
    "initial too large": ({"initial": (layer(2, 1), layer(1, 2, 1e39))}, ValueError, "layer 2 does not fit into float32"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused_before_any_work(name, monkeypatch):
    changes, error, message = BAD[name]
    monkeypatch.setattr("autodiff_ref.train.examples.moments_of", None)  # the first work; it would fail with another error
    with pytest.raises(error, match=message):
        fit(**{"x": X, "y": Y, **changes})


def test_numbers_too_large_for_the_precision_are_refused_before_training(monkeypatch):
    monkeypatch.setitem(fit.__globals__, "by_steps", None)
    with pytest.raises(ValueError, match=r"^x\[:, 0\] does not fit into float32"):
        fit([[0.0], [1.0], [1e300]], Y, standardise=False)


def test_weights_that_leave_nothing_to_learn_from_are_refused(monkeypatch):
    """A weight of 0 is an example less: both classes must be left to train on, and something in the share held out."""
    monkeypatch.setattr("autodiff_ref.train.examples.moments_of", None)
    x, y = np.ones((6, 1)), np.array([0, 1, 0, 1, 0, 1])
    _, held_out = split(y, None, 0.3, seed=0)
    of_held_out = np.isin(np.arange(6), held_out)
    for weights, message in ((of_held_out, "none or one class alone"), (~of_held_out, "0 on every example held out")):
        with pytest.raises(ValueError, match=rf"^the weights .*{message}"):
            fit(x, y, validation=0.3, example_weights=weights)
    for one_class in (y, 1 - y):
        with pytest.raises(ValueError, match=r"^the weights leave none or one class alone to train on"):
            fit(x, y, example_weights=one_class)


def test_a_missing_optax_is_named(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    optimizer_of.__globals__["_of_optax"].cache_clear()
    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r"manual-grad\[train\]"):
        fit(X, Y, optimizer="adam")


def test_an_optimizer_that_asks_for_more_than_a_gradient_is_refused():
    optax = pytest.importorskip("optax")
    with pytest.raises(TypeError, match="its update must take"):
        fit(X, Y, optimizer=optax.lbfgs())
