"""The compiled loop: by hand it trains like autodiff, its last batch counts, it never goes downhill."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref.train import (
    Recipe,
    epoch,
    full_step,
    initial_layers,
    kernels,
    mean_log_likelihood,
    sgd,
    start,
    step,
    sum_over,
)
from autodiff_ref.train.kernels import block_of, sums, workers_for
from manual_grad import mlp
from manual_grad.mlp import Layer
from tests.combinations import combinations, exploring, few_or_many


def table_of(seed, n, d, dtype=np.float64, weights=False):
    random = np.random.default_rng(seed)
    rows = [random.standard_normal((d, n)), np.where(random.standard_normal((1, n)) > 0, 1.0, -1.0)]
    if weights:
        rows.append(random.uniform(0.5, 1.5, (1, n)))
    return np.concatenate(rows).astype(dtype)


def layers_of(d, widths=(2,), bias=True, dtype=np.float64, hidden="sigmoid"):
    return jax.tree.map(lambda p: p.astype(dtype), initial_layers(d, widths, hidden, bias, seed=1))


def largest_difference(one, other):
    return max(
        float(np.max(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))))
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


@pytest.mark.parametrize(
    ("net", "dtype"),
    [
        (((2,), "sigmoid"), np.float32),
        (((6, 3), "tanh"), np.float64),
        *(
            pytest.param(*each, marks=pytest.mark.explore)
            for each in ((((2,), "sigmoid"), np.float64), (((6, 3), "tanh"), np.float32))
        ),
        *(pytest.param(((3,), "relu"), dtype, marks=pytest.mark.explore) for dtype in (np.float32, np.float64)),
    ],
)
def test_by_hand_and_autodiff_give_the_same_weights_after_100_steps(net, dtype):
    widths, hidden = net
    # a step's gradient is a mean over 32 examples, off by at most about 32 u of its size, which is below 1; steps of 0.1
    # add up, and what they add can double at each weight once more: 100 * 0.1 * 2 * 32 u
    bound = 640 * np.finfo(dtype).eps
    with jax.enable_x64(dtype == np.float64):
        table = jnp.asarray(table_of(0, 3200, 5, dtype))
        trained = []
        for gradient in ("hand", "autodiff"):
            recipe = Recipe(sgd(0.1), hidden, gradient)
            state, _ = epoch(recipe, start(recipe, layers_of(5, widths, True, dtype, hidden)), table, batch_size=32)
            trained.append(state.layers)
        assert trained[0][0].w.dtype == dtype
        assert largest_difference(trained[0], layers_of(5, widths, True, dtype, hidden)) > 0.05, "nothing was learned"
        assert largest_difference(*trained) <= bound


def test_the_comparison_sees_another_learning_rate():
    with jax.enable_x64(True):
        table, layers = jnp.asarray(table_of(0, 3200, 5)), layers_of(5, (6, 3), hidden="tanh")
        recipes = [Recipe(sgd(rate), "tanh") for rate in (0.1, 0.1001)]
        trained = [epoch(recipe, start(recipe, layers), table, batch_size=32)[0].layers for recipe in recipes]
        assert largest_difference(*trained) > 640 * np.finfo(np.float64).eps


@pytest.mark.parametrize("n", [700, *(pytest.param(n, marks=pytest.mark.explore) for n in (100, 5000))])
def test_an_epoch_of_one_batch_is_the_full_batch_step(n):
    recipe = Recipe(sgd(0.5, 0.9))
    table = table_of(3, n, 5, np.float32)
    one_batch, ll = epoch(recipe, start(recipe, layers_of(5, dtype=np.float32)), table, 0.25, batch_size=n)
    larger, _ = epoch(recipe, start(recipe, layers_of(5, dtype=np.float32)), table, 0.25, batch_size=n + 7)
    stepped, step_ll = step(recipe, start(recipe, layers_of(5, dtype=np.float32)), table, 0.25)
    whole, whole_ll = full_step(recipe, start(recipe, layers_of(5, dtype=np.float32)), table, 0.25)
    for a, b in zip(jax.tree.leaves(one_batch), jax.tree.leaves(larger), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (stepped, whole):  # each is compiled on its own
        assert largest_difference(one_batch, other) <= 8 * np.finfo(np.float32).eps
    assert [float(step_ll), whole_ll] == pytest.approx([float(ll)] * 2, rel=1e-6)


@pytest.mark.parametrize(
    ("n", "gradient"),
    [
        (130_001, "hand"),
        (130_001, "autodiff"),
        *(pytest.param(1_000, gradient, marks=pytest.mark.explore) for gradient in ("hand", "autodiff")),
    ],
)
def test_sums_are_bitwise_the_same_on_any_number_of_processors(n, gradient, monkeypatch):
    monkeypatch.setattr(kernels, "RANGE", 100_000)
    table = table_of(3, n, 5, np.float32)
    layers = layers_of(5, dtype=np.float32)
    alone = sum_over(layers, table, gradient=gradient, workers=1)
    for workers in (2, 3, 8):
        for a, b in zip(
            jax.tree.leaves(alone), jax.tree.leaves(sum_over(layers, table, gradient=gradient, workers=workers)), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    monkeypatch.setattr(kernels, "RANGE", 10**9)
    assert kernels.ranges_of(layers, n) == 1, "the comparison was of one range with itself"


def test_the_full_step_on_all_processors_is_the_step_within_rounding(monkeypatch):
    monkeypatch.setattr(kernels, "WORK", 1)
    monkeypatch.setattr(kernels, "threads", lambda: 3)
    recipe = Recipe(sgd(0.5))
    with jax.enable_x64(True):
        table = jnp.asarray(table_of(3, 40_000, 5))
        threaded, ll = full_step(recipe, start(recipe, layers_of(5)), table, 0.25)
        stepped, step_ll = step(recipe, start(recipe, layers_of(5)), table, 0.25)
        assert largest_difference(threaded.layers, stepped.layers) <= 1e-15
        assert ll == pytest.approx(float(step_ll), rel=1e-14)


@pytest.mark.parametrize(
    ("n", "weights"),
    [
        (130, True),
        *(pytest.param(n, w, marks=pytest.mark.explore) for n, w in ((130, False), (1, True), (1, False))),
        *(pytest.param(64, w, marks=pytest.mark.explore) for w in (True, False)),
    ],
)
def test_the_last_partial_batch_is_a_step_over_what_is_left(n, weights):
    recipe = Recipe(sgd(0.5, 0.9))
    with jax.enable_x64(True):
        table = jnp.asarray(table_of(4, n, 3, weights=weights))
        state = whole = start(recipe, layers_of(3))
        ll = 0.0
        for first in range(0, n, 64):
            whole = state
            state, more = step(recipe, state, table[:, first : first + 64])
            ll += float(more)
        got, got_ll = epoch(recipe, start(recipe, layers_of(3)), table, batch_size=64)
        assert largest_difference(got.layers, state.layers) <= 1e-14
        assert float(got_ll) == pytest.approx(ll, rel=1e-13)
        if n % 64 and n > 64:
            assert largest_difference(got.layers, whole.layers) > 1e-3, "the last batch did not count"


def test_an_order_of_batches_is_a_table_in_that_order():
    recipe = Recipe(sgd(0.5))
    table = table_of(5, 90, 3, np.float32)
    order = np.array([2, 0, 1])
    reordered = np.concatenate([*(table[:, 25 * k : 25 * k + 25] for k in order), table[:, 75:]], axis=1)
    got, want = (
        epoch(recipe, start(recipe, layers_of(3, dtype=np.float32)), data, batch_size=25, order=given)[0]
        for data, given in ((table, order), (reordered, None))
    )
    for a, b in zip(got.layers, want.layers, strict=True):
        np.testing.assert_array_equal(a.w, b.w)


def test_an_order_has_one_number_a_batch():
    recipe = Recipe(sgd(0.5))
    table = table_of(5, 90, 3, np.float32)
    with pytest.raises(ValueError, match=r"order has shape \(4,\): it must be \(3,\)"):
        epoch(recipe, start(recipe, layers_of(3, dtype=np.float32)), table, batch_size=25, order=np.arange(4))


@pytest.mark.parametrize("order", [[0, 1, 9], [0, 1, 3], [-1, 0, 1]])
def test_an_order_names_only_batches_that_there_are(order):
    recipe = Recipe(sgd(0.5))
    table = table_of(5, 90, 3, np.float32)
    for listed in (order, np.array(order)):
        with pytest.raises(ValueError, match=f"from {min(order)} to {max(order)}: the batches are 0 to 2"):
            epoch(recipe, start(recipe, layers_of(3, dtype=np.float32)), table, batch_size=25, order=listed)
    for numbers, unknown in ((order, True), ([0, 2, 1], False)):
        state = start(recipe, layers_of(3, dtype=np.float32))
        _, ll = epoch(recipe, state, table, batch_size=25, order=jnp.array(numbers))
        assert np.isnan(ll) == unknown


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 30, "order": [0.0, 1.0, 2.0]}, TypeError, "order must be whole numbers, got dtype float64"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": -30}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be a whole number"),
    ],
)
def test_an_epoch_that_cannot_be_cut_into_batches_is_refused(options, error, message):
    recipe = Recipe(sgd(0.5))
    with pytest.raises(error, match=message):
        epoch(recipe, start(recipe, layers_of(3, dtype=np.float32)), table_of(5, 90, 3, np.float32), **options)


@settings(max_examples=few_or_many(4, 10))
@given(seed=st.integers(0, 2**32), weights=st.booleans() if exploring() else st.just(True))
def test_full_batch_ascent_never_lowers_the_log_likelihood(seed, weights):
    """Along ∇ with a step below 1/L, L the Lipschitz constant of ∇, ll cannot fall: here ∇² of the mean is below 2."""
    recipe = Recipe(sgd(0.05))
    with jax.enable_x64(True):
        table = jnp.asarray(table_of(seed, 24, 3, weights=weights))
        state = start(recipe, layers_of(3))
        values = []
        for _ in range(40):
            state, ll = epoch(recipe, state, table, batch_size=24)
            values.append(float(ll))
    values = np.array(values)
    assert (np.diff(values) >= -24 * np.finfo(float).eps * np.abs(values[1:])).all(), np.diff(values).min()
    assert values[-1] > values[0]


def test_a_step_too_large_does_lower_it():
    recipe = Recipe(sgd(200.0))
    state, first = step(recipe, start(recipe, layers_of(3, dtype=np.float32)), table_of(0, 24, 3, np.float32))
    _, second = step(recipe, state, table_of(0, 24, 3, np.float32))
    assert second < first


@pytest.mark.parametrize(
    ("cut", "weights", "gradient"),
    combinations(
        [(10, 4, 1), (10, 4, 3), (1000, 128, 2), (127, 128, 2), (9, 3, 3)], [False, True, True], ["hand", "autodiff"]
    ),
)
def test_blocks_and_threads_add_up_to_the_whole(cut, weights, gradient):
    n, block, workers = cut
    table = table_of(6, n, 3, weights=weights)
    layers = layers_of(3)
    with jax.enable_x64(True):
        got = sum_over(layers, table, gradient=gradient, block=block, workers=workers)
    want = mlp.value_and_grad(layers, table[:3].T, table[3], example_weights=table[4] if weights else None)
    assert got[0] == pytest.approx(float(want[0]), rel=1e-13)
    assert largest_difference(got[1], want[1]) <= 1e-12


def test_the_mean_log_likelihood_is_that_of_the_notes_net():
    table = table_of(7, 50, 3, np.float32)
    layers = layers_of(3, bias=False, dtype=np.float32)
    want = mlp.log_likelihood(layers, table[:3].T, table[3]) / 50
    assert float(mean_log_likelihood(layers, table)) == pytest.approx(float(want), rel=1e-5)


by_blocks = pytest.mark.skipif(kernels.accelerated(), reason="blocks are for the caches of a CPU")


def temporary_bytes(layers, table):
    compute = jax.jit(lambda w, t: sums(w, t, form=kernels.Form(), gradient="hand"))
    return compute.lower(layers, table).compile().memory_analysis().temp_size_in_bytes


@by_blocks
@pytest.mark.parametrize(
    ("d", "widths"), [(30, (64,)), *(pytest.param(d, (2,), marks=pytest.mark.explore) for d in (4, 300))]
)
def test_memory_beyond_the_data_does_not_grow_with_n(d, widths):
    layers = layers_of(d, widths, dtype=np.float32)
    # with the same remainder over a block of any size
    few, many = (temporary_bytes(layers, jax.ShapeDtypeStruct((d + 1, n), np.float32)) for n in (409_700, 4_096_100))
    assert few < 0.1 * d * 409_700 * 4
    assert many <= 1.01 * few


@by_blocks
def test_a_block_of_the_widest_layer_fits_the_cache():
    for d, units, size in ((2, 2, 4), (30, 2, 4), (30, 2, 8), (4, 64, 4)):
        dtype = np.float32 if size == 4 else np.float64
        table = jax.ShapeDtypeStruct((d + 1, 10**7), dtype)
        block = block_of((Layer(np.empty((units, d), dtype)), Layer(np.empty((1, units), dtype))), table)
        assert 128 <= block <= 2048
        assert block * max(d + 1, units) * size <= kernels.CACHE or block == 128


SMALL_OR_WIDE = [
    (500, 30, (2,)),
    (5_000, 30, (2,)),
    (10_000, 30, (2,)),
    (500, 300, (2,)),
    (5_000, 2, (2,)),
    (1_000, 10, (8,)),
    (10**5, 2, (2,)),
    (10**5, 30, (1000,)),
    (10**4, 30, (64, 32)),
]


@by_blocks
@pytest.mark.parametrize(
    ("n", "d", "widths"),
    [
        pytest.param(
            *each, marks=() if each in (SMALL_OR_WIDE[0], SMALL_OR_WIDE[6], SMALL_OR_WIDE[8]) else pytest.mark.explore
        )
        for each in SMALL_OR_WIDE
    ],
)
def test_memory_beyond_the_data_is_below_a_tenth_of_it_for_small_data_and_wide_nets(n, d, widths):
    """By XLA's own account; from 10,000 numbers in X on, where the weights and 16 examples are at most 4 % of it."""
    layers = layers_of(d, widths, dtype=np.float32)
    table = jax.ShapeDtypeStruct((d + 1, n), np.float32)
    assert temporary_bytes(layers, table) * workers_for(layers, table) < 0.1 * d * n * 4


def test_blocks_of_the_cache_alone_would_take_more(monkeypatch):
    monkeypatch.setattr(kernels, "SHARE", 1e9)
    assert (
        temporary_bytes(layers_of(2, dtype=np.float32), jax.ShapeDtypeStruct((3, 10**5), np.float32)) > 0.1 * 2 * 10**5 * 4
    )


def test_little_work_stays_on_one_thread_and_much_is_shared(monkeypatch):
    monkeypatch.setattr(kernels, "threads", lambda: 4)
    layers = layers_of(30, (2,))
    counts = [
        workers_for(layers, jax.ShapeDtypeStruct((31, 1), np.float32)),
        *(workers_for(layers, jax.ShapeDtypeStruct((31, n), np.float32)) for n in (10**5, 10**6, 10**7)),
    ]
    assert counts == [1, 1, 2, 4]


def test_any_optax_transformation_trains():
    optax = pytest.importorskip("optax")
    recipe = Recipe(optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.05)))
    table = table_of(8, 256, 3, np.float32)
    before = float(mean_log_likelihood(layers_of(3, dtype=np.float32), table))
    state = start(recipe, layers_of(3, dtype=np.float32))
    for _ in range(5):
        state, _ = epoch(recipe, state, table, batch_size=32)
    assert float(mean_log_likelihood(state.layers, table)) > before


def test_sgd_equals_optax_sgd():
    optax = pytest.importorskip("optax")
    table = table_of(9, 256, 3, np.float32)
    trained = []
    for optimizer in (sgd(0.1, 0.9), optax.sgd(0.1, 0.9)):
        recipe = Recipe(optimizer)
        trained.append(epoch(recipe, start(recipe, layers_of(3, dtype=np.float32)), table, batch_size=32)[0].layers)
    assert largest_difference(*trained) <= 1e-6


def test_start_leaves_the_given_weights_alone():
    recipe = Recipe(sgd(0.5))
    mine = jax.tree.map(jnp.asarray, layers_of(3, dtype=np.float32))
    epoch(recipe, start(recipe, mine), table_of(5, 90, 3, np.float32), batch_size=25)
    assert np.isfinite(mine[0].w).all()  # raises were its buffer given away


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recipe(sgd(0.1), hidden="step"), "sigmoid, tanh, relu"),
        (lambda: Recipe(sgd(0.1), gradient="finite"), "hand or autodiff"),
        (lambda: sgd(0.0), "learning_rate"),
        (lambda: sgd(float("nan")), "learning_rate"),
        (lambda: sgd(0.1, 1.0), "momentum"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
