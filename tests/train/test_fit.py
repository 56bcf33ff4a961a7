"""`fit`: the worked example, the same weights every time, early stopping, divergence."""

import jax
import numpy as np
import pytest

from autodiff_ref.train import fit, initial_layers, load
from manual_grad import mlp
from manual_grad.activations import ACTIVATIONS
from tests.combinations import exploring
from tests.worked_example import OURS, THEIRS, accuracies


def assert_same_weights(one, other):
    for a, b in zip(jax.tree.leaves(one.model.layers), jax.tree.leaves(other.model.layers), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_worked_example_reaches_0_96_over_fixed_folds_beside_scikit_learn():
    """What `python benchmarks/training.py --example` prints."""
    found = accuracies()
    ours, theirs = np.mean(found[OURS]), np.mean(found[THEIRS])
    assert ours >= 0.96, found
    assert ours >= theirs - 0.01, found


@pytest.mark.parametrize(
    "options",
    [{}, {"shuffle": "batches"}, {"optimizer": "lbfgs"}, {"validation": 0.2}, {"batch_size": None}, {"dtype": "float64"}],
    ids=str,
)
def test_one_seed_gives_bitwise_the_same_weights(options, examples):
    first, second = (fit(*examples, epochs=4, **options) for _ in range(2))
    assert_same_weights(first, second)
    assert [e.ll for e in first.history] == [e.ll for e in second.history]
    other = fit(*examples, epochs=4, seed=1, **options)
    assert any((a.w != b.w).any() for a, b in zip(first.model.layers, other.model.layers, strict=True))


def test_large_data_take_the_same_path_to_the_same_weights_every_time(monkeypatch):
    """Enough examples for batches dealt anew and for threads."""
    monkeypatch.setattr("autodiff_ref.train.kernels.WORK", 1_000_000)
    random = np.random.default_rng(0)
    x = random.standard_normal((40_001, 3)).astype(np.float32)
    y = x[:, 0] * x[:, 1] > 0
    for batch_size in (256, None):
        assert_same_weights(*(fit(x, y, epochs=6, batch_size=batch_size) for _ in range(2)))


def test_the_same_weights_by_hand_and_by_autodiff(examples):
    by_hand, by_autodiff = (fit(*examples, epochs=15, dtype="float64", gradient=g) for g in ("hand", "autodiff"))
    for a, b in zip(by_hand.model.layers, by_autodiff.model.layers, strict=True):
        np.testing.assert_allclose(a.w, b.w, rtol=0, atol=1e-11)  # about 100 steps; see test_loop for the bound


def test_without_biases_it_is_the_notes_net(examples):
    model = fit(*examples, bias=False, epochs=2).model
    assert [layer.w.shape for layer in model.layers] == [(2, 4), (1, 2)]
    assert all(layer.b is None for layer in model.layers)


@pytest.mark.parametrize("batch_size", [None, 200, 1000])
def test_an_epoch_of_one_batch_is_one_step_uphill(batch_size, examples):
    x, y = examples
    signs = np.where(y == "outside", 1.0, -1.0)
    result = fit(x, y, epochs=1, batch_size=batch_size, learning_rate=0.5, momentum=0.0, dtype="float64", weight_decay=3.0)
    z = (x - result.model.scaling.mean) / result.model.scaling.scale
    before = initial_layers(4, (2,), "sigmoid", True, 0)
    ll, gradient = mlp.value_and_grad(before, z, signs, weight_decay=3.0)
    for old, g, new in zip(before, gradient, result.model.layers, strict=True):
        np.testing.assert_allclose(new.w, old.w + 0.5 * g.w / 200, rtol=0, atol=1e-14)
        np.testing.assert_allclose(new.b, old.b + 0.5 * g.b / 200, rtol=0, atol=1e-14)
    assert result.history[0].ll == pytest.approx(float(mlp.log_likelihood(before, z, signs)) / 200, rel=1e-13)
    assert float(ll) != pytest.approx(result.history[0].ll * 200)  # the penalty is not part of the ll that is shown


def test_an_integer_weight_counts_like_copies_of_the_example(examples):
    x, y = examples
    copies = np.arange(200) % 3
    rows = np.repeat(np.arange(200), copies)
    options = {"epochs": 20, "batch_size": None, "dtype": "float64", "weight_decay": 1.0}
    weighted = fit(x, y, example_weights=copies, **options)
    copied = fit(x[rows], y[rows], **options)
    for a, b in zip(weighted.model.layers, copied.model.layers, strict=True):
        np.testing.assert_allclose(a.w, b.w, rtol=0, atol=1e-12)


def test_lbfgs_finds_where_the_gradient_vanishes(examples):
    x, y = examples
    result = fit(x, y, optimizer="lbfgs", epochs=500, weight_decay=1.0, dtype="float64")
    z = (x - result.model.scaling.mean) / result.model.scaling.scale
    _, gradient = mlp.value_and_grad(result.model.layers, z, np.where(y == "outside", 1.0, -1.0), weight_decay=1.0)
    assert max(float(np.max(np.abs(leaf))) for leaf in jax.tree.leaves(gradient)) / 200 < 1e-5
    assert "converge" in result.stopped
    assert len(result.history) < 500


@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
def test_early_stopping_keeps_the_best_weights(optimizer, examples):
    x, y = examples
    rough = fit(x, y, epochs=400, widths=(16,), validation=0.3, patience=5, optimizer=optimizer, learning_rate=0.5)
    values = [e.validation for e in rough.history]
    best = int(np.argmax(values))
    assert len(values) < 400
    assert len(values) == best + 1 + 5
    assert f"after epoch {best + 1}" in rough.stopped
    until_best = fit(
        x, y, epochs=best + 1, widths=(16,), validation=0.3, patience=500, optimizer=optimizer, learning_rate=0.5
    )
    assert_same_weights(rough, until_best)


def test_the_standardisation_is_learned_on_the_training_share_alone(examples):
    x, y = examples
    all_of_it, share = fit(x, y, epochs=1), fit(x, y, epochs=1, validation=0.5)
    assert (all_of_it.model.scaling.mean != share.model.scaling.mean).all()
    assert share.model.training["examples"] == 100


def test_constant_columns_are_named_and_harmless(examples):
    x, y = examples
    with_constant = np.column_stack([x[:, :3], np.full(len(x), 7.0)])
    result = fit(with_constant, y, epochs=3, columns=["a", "b", "c", "always 7"])
    assert result.constant == ["always 7"]
    assert (result.model.scaling.mean[3], result.model.scaling.scale[3]) == (7, 1)
    start = initial_layers(4, (2,), "sigmoid", True, 0)[0].w.astype(np.float32)
    np.testing.assert_array_equal(result.model.layers[0].w[:, 3], start[:, 3])  # an input that is 0 has no gradient


def test_jax_arrays_and_memory_maps_train_like_numpy(examples, tmp_path):
    x, y = examples
    x = x.astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    want = fit(x, y, epochs=2)
    for other in (jax.numpy.asarray(x), np.load(tmp_path / "x.npy", mmap_mode="r"), x.tolist()):
        assert_same_weights(fit(other, y, epochs=2), want)


def test_depth_width_and_squashing_functions_train(examples):
    for hidden in ACTIVATIONS if exploring() else ("tanh",):
        result = fit(*examples, widths=(8, 4), hidden=hidden, optimizer="lbfgs", epochs=200)
        assert result.history[-1].ll > result.history[0].ll
        assert float(np.mean(result.model.predict(examples[0]) == examples[1])) > 0.8
    assert len(fit(*examples, widths=(), epochs=1).model.layers) == 1


def test_training_leaves_the_precision_of_others_alone(examples):
    fit(*examples, epochs=1, dtype="float64")
    assert jax.numpy.asarray(1.0).dtype == np.float32


def test_initial_weights_of_any_kind_of_array_are_started_from(examples):
    initial = (mlp.Layer(np.full((2, 4), 0.5), np.zeros(2)), mlp.Layer(np.ones((1, 2)), np.zeros(1)))
    want = fit(*examples, epochs=1, initial=initial)
    listed = tuple(mlp.Layer(w.tolist(), b.tolist()) for w, b in initial)
    for given in (listed, jax.tree.map(jax.numpy.asarray, initial), list(initial)):
        assert_same_weights(fit(*examples, epochs=1, initial=given), want)


def test_numbers_of_numpy_train_and_are_saved_like_python_s(examples, tmp_path):
    numbers = {"widths": np.array([2]), "epochs": np.int64(2), "batch_size": np.int32(50), "seed": np.uint8(1)}
    reals = {
        "learning_rate": np.float32(0.25),
        "momentum": np.float16(0.5),
        "weight_decay": np.array(1),
        "patience": np.int8(3),
    }
    result = fit(*examples, **numbers, **reals)
    plain = {name: np.asarray(value).tolist() for name, value in (numbers | reals).items()}
    assert_same_weights(result, fit(*examples, **plain))
    assert load(result.model.save(tmp_path)).training == result.model.training


def test_training_that_diverges_says_so(examples):
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        fit(*examples, learning_rate=1e38, hidden="relu", epochs=20)


@pytest.mark.parametrize("options", [{"epochs": 1}, {"epochs": 4, "validation": 0.2, "patience": 1}], ids=str)
def test_a_last_step_that_diverges_says_so(options, examples):
    """The ll of an epoch is that of the weights before its last step, and finite."""
    x, y = examples
    with pytest.raises(FloatingPointError, match="diverged in epoch 1: try a lower learning_rate"):
        fit(x * 1e4, y, standardise=False, batch_size=None, learning_rate=3e38, hidden="relu", **options)


def test_lbfgs_that_diverges_says_so(examples):
    x, y = examples
    initial = (mlp.Layer(np.full((2, 4), 1e38), np.zeros(2)), mlp.Layer(np.array([[1.0, -2.0]]), np.zeros(1)))
    with pytest.raises(FloatingPointError, match="diverged in epoch 1: standardise x, or use dtype float64"):
        fit(x * 1e4, y, standardise=False, optimizer="lbfgs", hidden="relu", initial=initial)


def test_optax_by_name(examples):
    pytest.importorskip("optax")
    result = fit(*examples, optimizer="adam", learning_rate=0.05, epochs=5)
    assert result.history[-1].ll > result.history[0].ll
