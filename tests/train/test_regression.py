"""A net that predicts numbers: −½ Σ c (y − z)², by hand and by `jax.grad`; standardised targets; the commands."""

import json

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from autodiff_ref.cli.app import app
from autodiff_ref.train import Arrays, Recipe, chip, fit, initial_layers, kernels, load, sgd, sum_over
from autodiff_ref.train.report import evaluated_numbers
from manual_grad import mlp
from manual_grad.extensions import squared_error
from manual_grad.extensions.net import Net
from manual_grad.mlp import Layer, value_and_grad
from tests.combinations import combinations


@pytest.fixture
def curve():
    """200 examples of 4 features and a number that a few units can follow, far from 0 and in large steps."""
    random = np.random.default_rng(0)
    x = random.standard_normal((200, 4))
    return x, 1e4 + 300 * np.tanh(x[:, 0] - x[:, 1]) + 30 * random.standard_normal(200)


def test_by_hand_it_is_the_gradient_that_the_extension_derives():
    random = np.random.default_rng(0)
    net = Net(random.standard_normal((3, 4)), random.standard_normal(3), random.standard_normal(3), np.float64(0.5))
    x, t = random.standard_normal((7, 4)), random.standard_normal(7)
    layers = Layer(net.w, net.b), Layer(net.v[None, :], net.c[None])
    ll, (first, last) = value_and_grad(layers, x, t, output="identity")
    assert ll == pytest.approx(-squared_error.squared_error(net, x, t), rel=1e-14)
    np.testing.assert_allclose(first.w, -squared_error.grad_w(net, x, t), rtol=1e-12)
    np.testing.assert_allclose(last.w[0], -squared_error.grad_v(net, x, t), rtol=1e-12)
    assert mlp.log_likelihood(layers, x, t, output="identity") == pytest.approx(ll, rel=1e-14)


@pytest.mark.parametrize(("n", "widths", "weighted"), combinations([33, 1, 16], [(2, 4), (), (3,)], [True, False]))
@given(st.integers(0, 2**32 - 1))
def test_by_hand_and_by_autodiff_it_is_one_gradient(n, widths, weighted, seed):
    random = np.random.default_rng(seed)
    layers = initial_layers(3, widths, "tanh", True, seed)
    rows = [random.standard_normal((3, n)), 3 * random.standard_normal((1, n))]
    table = np.concatenate(rows + ([random.uniform(0, 2, (1, n))] if weighted else []))
    with jax.enable_x64(True):
        options = {"hidden": "tanh", "output": "identity", "workers": 1, "block": 16}
        (ll, hand), (other, auto) = (sum_over(layers, table, gradient=by, **options) for by in ("hand", "autodiff"))
    assert ll == pytest.approx(other, rel=1e-12)
    size = 1 + max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(auto))
    for a, b in zip(jax.tree.leaves(hand), jax.tree.leaves(auto), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13 * size * n)


def test_a_wrong_residual_would_be_seen(monkeypatch):
    layers, table = initial_layers(3, (), "tanh", True, 0), np.random.default_rng(0).standard_normal((4, 20))
    monkeypatch.setattr(mlp, "_output", lambda z, y, output: (-((y - z[0]) ** 2) / 2, 2 * (y - z[0])[None, :]))
    hand, auto = (sum_over(layers, table, output="identity", gradient=by, block=13)[1] for by in ("hand", "autodiff"))
    assert not np.allclose(hand[0].w, auto[0].w, rtol=0.1)


OPTIONS = {"output": "identity", "widths": (4,), "epochs": 60}


@pytest.mark.parametrize("options", [{}, {"optimizer": "lbfgs", "batch_size": None, "dtype": "float64"}], ids=str)
def test_numbers_are_learned_whatever_their_size(curve, options):
    x, y = curve
    result = fit(x, y, **OPTIONS | options)
    found = evaluated_numbers(result.model.predict(x), y)
    assert found["r2"] > 0.95
    other = fit(x, 2e-3 * y - 7, **OPTIONS | options).model
    np.testing.assert_allclose((other.predict(x) + 7) / 2e-3, result.model.predict(x), atol=0.05 * found["rmse"])


def test_a_model_of_numbers_is_kept_and_has_no_classes(curve, tmp_path):
    x, y = curve
    model = fit(x, y, **OPTIONS | {"epochs": 2}).model
    again = load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.target == model.target
    for ask in (again.probabilities, again.predict_probability):
        with pytest.raises(ValueError, match="predicts numbers"):
            ask(x)


def test_the_validation_share_stops_it_and_weights_count(curve):
    x, y = curve
    weights = np.where(np.arange(200) < 100, 1.0, 0.0)
    y = np.where(weights > 0, y, 1e9)
    result = fit(x, y, **OPTIONS, example_weights=weights)
    assert evaluated_numbers(result.model.predict(x[:100]), y[:100])["r2"] > 0.9
    held = fit(*curve, **OPTIONS, validation=0.25)
    assert len(held.held_out) == 50
    assert held.history[0].validation is not None


def test_a_source_of_numbers(curve):
    x, y = curve
    model = fit(Arrays(x, y), **OPTIONS, validation=0.2, batch_size=16).model
    assert evaluated_numbers(model.predict(x), y)["r2"] > 0.9


@pytest.mark.parametrize(
    ("y", "error", "said"),
    [
        (["a", "b"] * 100, TypeError, "must hold numbers .* got text such as 'a'"),
        ([1.0] * 199 + [np.nan], ValueError, "row 200 has nan; row 1 is the first example$"),
        ([1.0] * 3, ValueError, "one number for each row"),
    ],
)
def test_what_is_no_number_is_refused(curve, y, error, said):
    with pytest.raises(error, match=said):
        fit(curve[0], y, **OPTIONS)


def test_measurements_without_the_output_are_refused_with_the_way_on(curve):
    with pytest.raises(ValueError, match='output="identity"'):
        fit(*curve)
    for call in (lambda: fit(*curve, output="numbers"), lambda: Recipe(sgd(0.1), output="numbers")):
        with pytest.raises(ValueError, match="classes, identity"):
            call()
    with pytest.raises(ValueError, match="has one"):
        value_and_grad((Layer(np.ones((2, 4))),), *curve, output="identity")


def test_one_value_alone_is_predicted(curve):
    model = fit(curve[0], np.full(200, 3.5), **OPTIONS | {"epochs": 5}).model
    np.testing.assert_allclose(model.predict(curve[0]), 3.5, atol=0.5)
    assert evaluated_numbers(np.full(3, 2.0), np.full(3, 3.5))["r2"] is None


def test_an_accelerator_leaves_it_to_xla(curve, monkeypatch):
    want = fit(*curve, **OPTIONS | {"epochs": 2}, batch_size=32).model
    monkeypatch.setattr(kernels, "accelerated", lambda *_: True)
    monkeypatch.setattr(chip, "epoch", lambda *_, **__: pytest.fail("the kernel is for labels"))
    got = fit(*curve, **OPTIONS | {"epochs": 2}, batch_size=32).model
    for a, b in zip(got.layers, want.layers, strict=True):
        np.testing.assert_allclose(a.w, b.w, atol=1e-4)


def test_the_commands(curve, write_csv, tmp_path):
    x, y = curve
    path = write_csv([["a", "b", "c", "d", "t"], *np.column_stack([x, y]).tolist()])
    options = ["--label", "t", "--output", "identity", "--test-share", "0.25", "--compare", "--hidden", "4"]
    more = ["--save", str(tmp_path / "model"), "--plot", str(tmp_path / "loss.png"), "--validation", "0.2"]
    done = CliRunner().invoke(app, ["train", str(path), *options, *more, "-v"])
    assert done.exit_code == 0, (done.output, done.exception)
    for part in ("a number to predict", "root mean squared error", "linear regression (scikit-learn)", "R²"):
        assert part in done.output
    done = CliRunner().invoke(app, ["train", str(path), *options, "--json"])
    summary = json.loads(done.stdout)
    assert summary["rmse"] < np.std(y)
    assert summary["test"]["r2"] == pytest.approx(1 - (summary["test"]["rmse"] / summary["test"]["deviation"]) ** 2)
    done = CliRunner().invoke(app, ["predict", str(tmp_path / "model"), str(path)])
    assert done.stdout.splitlines()[0] == "prediction"
    predicted = np.array([float(line) for line in done.stdout.splitlines()[1:]])
    np.testing.assert_allclose(predicted, load(tmp_path / "model").predict(x), rtol=1e-8)


def test_a_plane_of_predictions_is_drawn(write_csv, tmp_path):
    pytest.importorskip("matplotlib")
    rows = [[k % 5, k % 7, k / 3] for k in range(40)]
    path = write_csv([["a", "b", "t"], *rows])
    done = CliRunner().invoke(
        app, ["train", str(path), "--label", "t", "--output", "identity", "--plot", str(tmp_path / "x.png"), "--epochs", "2"]
    )
    assert done.exit_code == 0, (done.output, done.exception)
    assert (tmp_path / "x.png").stat().st_size > 1000
