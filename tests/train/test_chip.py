"""The kernels for a GPU, in Pallas's interpreter: the same sums and the same epochs as the columns form."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff_ref.train import Recipe, chip, epoch, fit, initial_layers, kernels, loop, sgd, start, sum_over
from tests.combinations import chosen, combinations, listed

optax = pytest.importorskip("optax")

in_ci_where_interpreted = pytest.mark.ci if jax.default_backend() == "cpu" else lambda test: test
"""the interpreter's programs take seconds to compile"""

NETS = {
    "the notes' net": (30, 2, False, "sigmoid"),
    "with biases": (5, 2, True, "sigmoid"),
    "tanh": (8, 3, True, "tanh"),
    "relu": (32, 8, True, "relu"),
}
"""inputs, units, biases, hidden: the first two unit by unit, the others as matrices"""

ONE_PASS = {"block by block": chip.Launch(128, 4, 3, 32), "a lane an example": chip.Launch(32, 1, 5)}
EPOCH = {
    "a batch at a time, the next ahead": chip.Launch(32, 4, ahead=True),
    "a batch in two blocks": chip.Launch(16, 4),
    "in two blocks, ahead": chip.Launch(16, 4, lanes=8, ahead=True),
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


ONE_PASSES = [
    ("the notes' net", (1000, 57), False, "block by block"),
    ("relu", (1, 0), True, "a lane an example"),
]
"""the other squashing function has its turn in the epochs below"""


@pytest.mark.parametrize(
    ("name", "size", "weights", "launch"),
    listed(ONE_PASSES[:1], NETS, [(1000, 57), (1, 0), (128, 0)], [False, True], ONE_PASS, in_ci=ONE_PASSES[1:]),
)
def test_one_pass_is_the_sum_over_columns(name, size, weights, launch):
    n, room = size
    layers, table, hidden = made(name, n, weights, room)
    one_pass = partial(chip.one_pass, hidden=hidden, interpret=True, launch=ONE_PASS[launch])
    got = jax.jit(one_pass)(layers, table, n)
    want = sum_over(layers, table[:, :n], hidden=hidden)
    assert_close(got, want, 64)
    if not room:
        whole = jax.jit(lambda layers, table: one_pass(layers, table, None))(layers, table)
        assert_close(whole, want, 64)


def test_a_wrong_residual_is_seen(monkeypatch):
    layers, table, hidden = made("the notes' net", 1000, False)
    monkeypatch.setattr(chip, "log_sigmoid_and_derivative", lambda m: (m, jnp.ones_like(m)))
    one_pass = partial(chip.one_pass, hidden=hidden, interpret=True, launch=ONE_PASS["block by block"])
    got = jax.jit(one_pass)(layers, table, 1000)
    with pytest.raises(AssertionError):
        assert_close(got, sum_over(layers, table, hidden=hidden), 64)


OPTIMIZERS = {"sgd": sgd(0.3), "momentum": sgd(0.3, 0.9), "adam": optax.adam(0.01)}


EPOCHS = [
    ("the notes' net", "sgd", "a batch at a time, the next ahead", True),
    ("the notes' net", "momentum", "a batch in two blocks", False),
    ("tanh", "adam", "in two blocks, ahead", True),
]
"""without biases and weights of examples, and with both"""


@pytest.mark.parametrize(
    ("name", "optimizer", "launch", "shuffled"),
    listed(EPOCHS[:1], NETS, OPTIMIZERS, EPOCH, [True, False], in_ci=EPOCHS[1:]),
)
def test_an_epoch_in_one_kernel_is_the_epoch_of_the_loop(name, optimizer, launch, shuffled):
    n, batch = 12 * 32 + (7 if name != "tanh" else 0), 32
    layers, table, hidden = made(name, n, name == "tanh")
    order = np.random.default_rng(0).permutation(n // batch).astype(np.int32) if shuffled else None
    recipe = Recipe(OPTIMIZERS[optimizer], hidden)
    state = start(recipe, layers)
    update, values = chip.update_on_chip(recipe.optimizer, layers)
    assert chip.number_by_number(update)
    run = jax.jit(partial(chip.epoch, update, batch=batch, hidden=hidden, interpret=True, launch=EPOCH[launch]))
    got_layers, got_state, ll = run(values, state.layers, state.optimizer, table, 0.01, n, order)
    want, want_ll = epoch(recipe, start(recipe, layers), table, 0.01, batch_size=batch, order=order)
    assert jax.tree.structure(got_state) == jax.tree.structure(want.optimizer)
    assert_close(got_layers, want.layers, 256)
    assert_close(got_state, want.optimizer, 256)
    assert float(ll) == pytest.approx(float(want_ll), rel=1e-5)


@in_ci_where_interpreted
@pytest.mark.parametrize("n", [5, pytest.param(31, marks=pytest.mark.explore)])
def test_an_epoch_of_fewer_examples_than_a_batch_is_one_step(n):
    layers, table, hidden = made("the notes' net", n, False, room=64)
    recipe = Recipe(sgd(0.3), hidden)
    state = start(recipe, layers)
    update, values = chip.update_on_chip(recipe.optimizer, layers)
    launch = EPOCH["a batch at a time, the next ahead"]
    run = jax.jit(partial(chip.epoch, update, batch=32, hidden=hidden, interpret=True, launch=launch))
    got, _, ll = run(values, state.layers, state.optimizer, table, 0.0, n, None)
    want, want_ll = epoch(recipe, start(recipe, layers), table[:, :n], batch_size=n)
    assert_close(got, want.layers, 64)
    assert float(ll) == pytest.approx(float(want_ll), rel=1e-6)


def net(d, widths, outputs=1, dtype=np.float32):
    return jax.tree.map(lambda p: p.astype(dtype), initial_layers(d, widths, "sigmoid", True, 0, outputs))


LARGE_OR_OTHER = {
    "three layers": net(30, (2, 2)),
    "three outputs": net(30, (2,), 3),
    "float64": net(30, (2,), dtype=np.float64),
    "no hidden layer": net(3, ()),
    "many units": net(30, (65,)),
    "many inputs": net(300, (2,)),
}


@pytest.mark.parametrize("name", LARGE_OR_OTHER)
def test_what_is_too_large_or_another_kind_of_net_goes_to_xla(name):
    assert chip.one_pass_launch(LARGE_OR_OTHER[name]) is None
    assert chip.epoch_launch(LARGE_OR_OTHER[name], 128) is None


@pytest.mark.parametrize(("d", "units", "batch"), [(30, 2, 2048), (30, 8, 256), (30, 8, 8), (30, 2, 50), (40, 2, 128)])
def test_a_batch_that_is_large_or_no_power_of_two_goes_to_xla(d, units, batch):
    assert chip.epoch_launch(net(d, (units,)), batch) is None


@pytest.mark.parametrize("units", [1, 2, 3, 8, 16])
def test_a_batch_is_whole_blocks(units):
    for batch in (2**k for k in range(11)):
        launch = chip.epoch_launch(net(30, (units,)), batch)
        assert launch is None or batch % launch.columns == 0
    assert chip.epoch_launch(net(30, (units,)), 128) is not None


def test_optimisers_that_mix_weights_go_to_xla():
    layers, _, _ = made("with biases", 10, False)
    assert not chip.number_by_number(
        chip.update_on_chip(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)), layers)[0]
    )


AN_H100 = jax.sharding.AbstractMesh(
    (), (), abstract_device=jax.sharding.AbstractDevice("NVIDIA H100 80GB HBM3", num_cores=None, platform="gpu")
)


@pytest.mark.parametrize(("name", "optimizer"), combinations(NETS, OPTIMIZERS))
def test_both_kernels_are_lowered_for_a_gpu_where_there_is_none(name, optimizer):
    layers, table, hidden = made(name, 256, False)
    state = OPTIMIZERS[optimizer].init(layers)
    update, values = chip.update_on_chip(OPTIMIZERS[optimizer], layers)
    one_pass = partial(chip.one_pass, hidden=hidden, launch=chip.one_pass_launch(layers))
    an_epoch = partial(chip.epoch, update, batch=128, hidden=hidden, launch=chip.epoch_launch(layers, 128))
    for call, arguments in (
        (one_pass, (layers, table, 256)),
        (an_epoch, (values, layers, state, table, 0.1, 256, np.arange(2, dtype=np.int32))),
    ):
        with jax.sharding.use_abstract_mesh(AN_H100):
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


@in_ci_where_interpreted
@pytest.mark.parametrize("options", [{"optimizer": "adam", "learning_rate": 0.02}, {"batch_size": None}], ids=str)
def test_fit_on_an_accelerator_takes_the_kernels_to_the_same_weights(options, examples, used, monkeypatch):
    monkeypatch.setattr(kernels, "accelerated", lambda *_: False)
    want = fit(*examples, **FEW_EPOCHS | options)
    assert not used
    monkeypatch.setattr(kernels, "accelerated", lambda *_: True)
    got = fit(*examples, **FEW_EPOCHS | options)
    assert set(used) == {"one_pass" if options.get("batch_size", 0) is None else "epoch"}
    assert_close(got.model.layers, want.model.layers, 256)
    assert [e.ll for e in got.history] == pytest.approx([e.ll for e in want.history], rel=1e-5)


OTHERS = [
    {"widths": (17,)},
    {"widths": (2, 3)},
    {"dtype": "float64"},
    {"batch_size": 24},
    {"optimizer": "lbfgs"},
    {"gradient": "autodiff"},
]


@in_ci_where_interpreted
@pytest.mark.parametrize("other", chosen(OTHERS, lambda other: other in (OTHERS[3],)), ids=str)
def test_fit_on_an_accelerator_leaves_to_xla_what_does_not_fit_the_kernels(other, examples, used, monkeypatch):
    options = FEW_EPOCHS | {"validation": 0.2} | other
    monkeypatch.setattr(kernels, "accelerated", lambda *_: False)
    want = fit(*examples, **options)
    monkeypatch.setattr(kernels, "accelerated", lambda *_: True)
    got = fit(*examples, **options)
    assert "epoch" not in used
    assert_close(got.model.layers, want.model.layers, 256)


def test_an_accelerator_is_told_how_many_steps_there_are_at_most():
    """A loop of which XLA knows the length asks the host nothing between steps, and nothing about the last one."""
    layers, table, hidden = made("relu", 500, False)
    recipe = Recipe(sgd(0.1), hidden, block=kernels.WHOLE)
    plan, values = loop.plan_of(recipe, layers, table)
    state = start(recipe, layers)
    numbers = loop.Numbers(values, 0.0, 500)
    compiled = loop._epoch_by_launches.lower(plan, numbers, state, table, 16, None).compile().as_text()
    assert re.search(rf'known_trip_count"?:\{{"n":"{32 // loop.AT_A_TIME}"', compiled)
    assert " conditional(" not in compiled


@given(st.lists(st.floats(width=32), max_size=3), st.floats(width=32), st.integers(0, 2**31 - 1))
def test_numbers_that_are_kept_on_an_accelerator_are_those_given(values, decay, n):
    numbers = [*map(np.float32, values), np.float32(decay), np.int32(n)]
    sent = loop._sent(tuple(numbers[:-2]), decay, n, np.zeros((2, 1), np.float32))
    assert [np.asarray(number).tobytes() for number in jax.tree.leaves(sent)] == [number.tobytes() for number in numbers]
