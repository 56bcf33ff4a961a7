"""The kernels for a GPU, in Pallas's interpreter: the same sums and the same epochs as the columns form."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autodiff_ref.train import Recipe, chip, epoch, fit, initial_layers, kernels, sgd, start, sum_over
from tests.combinations import combinations

optax = pytest.importorskip("optax")

NETS = {
    "the notes' net": (30, 2, False, "sigmoid"),
    "with biases": (5, 2, True, "sigmoid"),
    "tanh": (8, 3, True, "tanh"),
    "relu": (33, 8, True, "relu"),
}


def made(name, n, weights, room=0):
    d, units, bias, hidden = NETS[name]
    random = np.random.default_rng(n)
    layers = jax.tree.map(lambda p: (p + 0.1).astype(np.float32), initial_layers(d, (units,), hidden, bias, 1))
    rows = [random.standard_normal((d, n)), np.where(random.random((1, n)) < 0.5, -1, 1)]
    table = np.concatenate(rows + ([random.uniform(0.5, 1.5, (1, n))] if weights else [])).astype(np.float32)
    return layers, np.pad(table, ((0, 0), (0, room)), constant_values=np.nan), hidden


def assert_close(one, other, units):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=0, atol=units * np.finfo(np.float32).eps * max(1.0, float(np.max(np.abs(b)))))


@pytest.mark.parametrize(("name", "size", "weights"), combinations(NETS, [(1000, 57), (1, 0), (128, 0)], [False, True]))
def test_one_pass_is_the_sum_over_columns(name, size, weights):
    n, room = size
    layers, table, hidden = made(name, n, weights, room)
    got = jax.jit(partial(chip.one_pass, hidden=hidden, interpret=True, programs=3))(layers, table, n)
    want = sum_over(layers, table[:, :n], hidden=hidden)
    assert_close(got, want, 64)


def test_a_wrong_residual_is_seen(monkeypatch):
    layers, table, hidden = made("the notes' net", 1000, False)
    monkeypatch.setattr(chip, "log_sigmoid_and_derivative", lambda m: (m, jnp.ones_like(m)))
    got = chip.one_pass(layers, table, 1000, hidden=hidden, interpret=True, programs=2)
    with pytest.raises(AssertionError):
        assert_close(got, sum_over(layers, table, hidden=hidden), 64)


OPTIMIZERS = {"sgd": sgd(0.3), "momentum": sgd(0.3, 0.9), "adam": optax.adam(0.01)}


@pytest.mark.parametrize(("name", "optimizer"), combinations(NETS, OPTIMIZERS))
def test_an_epoch_in_one_kernel_is_the_epoch_of_the_loop(name, optimizer):
    n, batch = 12 * 32, 32
    layers, table, hidden = made(name, n, name == "tanh")
    order = np.random.default_rng(0).permutation(n // batch).astype(np.int32)
    recipe = Recipe(OPTIMIZERS[optimizer], hidden)
    state = start(recipe, layers)
    update, values = chip.update_on_chip(recipe.optimizer, layers)
    assert chip.number_by_number(update)
    run = jax.jit(partial(chip.epoch, update, batch=batch, hidden=hidden, interpret=True))
    got_layers, got_state, ll = run(values, state.layers, state.optimizer, table, 0.01, n // batch, order)
    want, want_ll = epoch(recipe, start(recipe, layers), table, 0.01, batch_size=batch, order=order)
    assert jax.tree.structure(got_state) == jax.tree.structure(want.optimizer)
    assert_close(got_layers, want.layers, 256)
    assert_close(got_state, want.optimizer, 256)
    assert float(ll) == pytest.approx(float(want_ll), rel=1e-5)


def test_what_is_too_large_or_another_kind_of_net_goes_to_xla():
    def net(d, widths, outputs=1, dtype=np.float32):
        return jax.tree.map(lambda p: p.astype(dtype), initial_layers(d, widths, "sigmoid", True, 0, outputs))

    assert chip.fits(net(30, (2,)))
    for other in (
        net(30, (64,)),
        net(300, (2,)),
        net(30, (2, 2)),
        net(30, (2,), 3),
        net(30, (2,), dtype=np.float64),
        net(3, ()),
    ):
        assert not chip.fits(other)


def test_optimisers_that_mix_weights_go_to_xla():
    layers, _, _ = made("with biases", 10, False)
    assert not chip.number_by_number(
        chip.update_on_chip(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)), layers)[0]
    )


@pytest.mark.parametrize(("name", "optimizer"), combinations(NETS, OPTIMIZERS))
def test_both_kernels_are_lowered_for_a_gpu_where_there_is_none(name, optimizer):
    layers, table, hidden = made(name, 256, False)
    state = OPTIMIZERS[optimizer].init(layers)
    update, values = chip.update_on_chip(OPTIMIZERS[optimizer], layers)
    calls = {
        "one_pass": (partial(chip.one_pass, hidden=hidden), (layers, table, 256)),
        "epoch": (
            partial(chip.epoch, update, batch=128, hidden=hidden),
            (values, layers, state, table, 0.1, 2, np.arange(2, dtype=np.int32)),
        ),
    }
    for call, arguments in calls.values():
        text = jax.jit(call).trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()
        assert "triton" in text


@pytest.fixture
def used(monkeypatch):
    """The kernels used, as if there were an accelerator: they are interpreted, whole arrays handed to XLA."""
    calls = []
    for kernel in ("one_pass", "epoch"):
        original = getattr(chip, kernel)
        monkeypatch.setattr(
            chip, kernel, lambda *a, kernel=kernel, original=original, **k: calls.append(kernel) or original(*a, **k)
        )
    monkeypatch.setattr(chip, "INTERPRET", True)
    monkeypatch.setattr(chip, "ENOUGH", 1)
    return calls


FEW_EPOCHS = {"epochs": 3, "momentum": 0.5}


@pytest.mark.parametrize("options", [{"optimizer": "adam", "learning_rate": 0.02}, {"batch_size": None}], ids=str)
def test_fit_on_an_accelerator_takes_the_kernels_to_the_same_weights(options, examples, used, monkeypatch):
    want = fit(*examples, **FEW_EPOCHS | options)
    assert not used
    monkeypatch.setattr(kernels, "accelerated", lambda *_: True)
    got = fit(*examples, **FEW_EPOCHS | options)
    assert set(used) == {"one_pass" if options.get("batch_size", 0) is None else "epoch"}
    assert_close(got.model.layers, want.model.layers, 256)
    assert [e.ll for e in got.history] == pytest.approx([e.ll for e in want.history], rel=1e-5)


@pytest.mark.parametrize(
    "other", [{"widths": (9,)}, {"dtype": "float64"}, {"batch_size": 50}, {"optimizer": "lbfgs"}], ids=str
)
def test_fit_on_an_accelerator_leaves_to_xla_what_does_not_fit_the_kernels(other, examples, used, monkeypatch):
    monkeypatch.setattr(kernels, "accelerated", lambda *_: True)
    assert np.isfinite(fit(*examples, **FEW_EPOCHS | {"validation": 0.2} | other).history[-1].ll)
    assert "epoch" not in used
