"""One compilation serves every learning rate, number of examples and seed; it is kept on disk where that is wanted."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from autodiff_ref.train import Recipe, chip, epoch, fit, full_step, initial_layers, kernels, loop, sgd, shuffle, start
from autodiff_ref.train.capacity import capacity, least
from autodiff_ref.train.compiled import folder, kept
from autodiff_ref.train.kernels import mean_over
from autodiff_ref.train.updates import update_of

optax = pytest.importorskip("optax")


def layers_of(d, dtype=np.float32):
    return jax.tree.map(lambda p: p.astype(dtype), initial_layers(d, (3,), "sigmoid", True, seed=1))


COMPILED = {f for module in (kernels, loop, shuffle) for f in vars(module).values() if hasattr(f, "_cache_size")}
"""what training runs in"""
assert {loop._epoch, loop._epoch_on_chip, loop._full, kernels.mean_over, kernels.whole_sums} < COMPILED


def forget():
    """What was compiled in this process is no longer there; what is kept on disk is read again."""
    for f in COMPILED:
        f.clear_cache()


class Compilations:
    """How many programs JAX has traced for the loops of training."""

    def count(self):
        return sum(f._cache_size() for f in COMPILED)

    def __enter__(self):
        self.before = self.count()
        return self

    def __exit__(self, *_):
        self.new = self.count() - self.before


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": None},
        {"optimizer": "adam"},
        {"validation": 0.2},
        *(pytest.param(options, marks=pytest.mark.explore) for options in ({}, {"dtype": "float64"})),
    ],
    ids=str,
)
def test_another_rate_seed_decay_or_number_of_examples_compiles_nothing(examples, options):
    x, y = examples
    forget()
    with Compilations() as compiled:
        fit(x, y, epochs=2, **options)
    assert compiled.new > 0, "the count sees no compilation"
    with Compilations() as compiled:
        fit(x[:150], y[:150], epochs=2, learning_rate=0.03, weight_decay=0.5, seed=3, **options)
        fit(x[:157], y[:157], epochs=3, learning_rate=0.02, **options)
        if "optimizer" not in options:
            fit(x, y, epochs=2, momentum=0.5, **options)
    assert compiled.new == 0


def test_on_an_accelerator_neither(examples, monkeypatch):
    monkeypatch.setattr(kernels, "accelerated", lambda *_: True)
    monkeypatch.setattr(chip, "INTERPRET", True)
    monkeypatch.setattr(chip, "ENOUGH", 1)
    for options in ({}, {"batch_size": None}):
        test_another_rate_seed_decay_or_number_of_examples_compiles_nothing(examples, options)


MAKERS = {
    "sgd": lambda rate: sgd(rate, 0.9),
    "sgd without momentum": lambda rate: sgd(rate),
    "adam": lambda rate: optax.adam(rate),
    "adamw": lambda rate: optax.adamw(rate, weight_decay=rate / 10),
    "a schedule": lambda rate: optax.adam(optax.warmup_cosine_decay_schedule(0.0, rate, 10, 100)),
    "clipped": lambda rate: optax.chain(optax.clip_by_global_norm(10 * rate), optax.sgd(rate, momentum=0.9, nesterov=True)),
    "rmsprop": lambda rate: optax.rmsprop(rate),
    "adafactor": lambda rate: optax.adafactor(rate),
}
IN_A_BRANCH = {"every third step": lambda rate: optax.MultiSteps(optax.adam(rate), 3).gradient_transformation()}
"""Its numbers stand within a branch, and stay there: another rate is another computation, the same rate the same."""


@pytest.mark.parametrize("name", MAKERS)
def test_optimisers_that_differ_in_numbers_alone_are_one_computation(name):
    layers = layers_of(4)
    (one, values), (again, same), (other, numbers) = (update_of(MAKERS[name](rate), layers) for rate in (0.1, 0.1, 0.2))
    assert one == again == other
    assert hash(one) == hash(other)
    assert [float(v) for v in values] == [float(v) for v in same]
    assert [float(v) for v in values] != [float(v) for v in numbers]


def test_numbers_within_a_branch_stay_with_the_computation():
    for make in IN_A_BRANCH.values():
        one, again, other = (update_of(make(rate), layers_of(4))[0] for rate in (0.1, 0.1, 0.2))
        assert one == again != other


@pytest.mark.parametrize("name", MAKERS | IN_A_BRANCH)
def test_an_optimiser_with_its_numbers_taken_out_computes_what_it_did(name):
    layers, optimizer = layers_of(4), (MAKERS | IN_A_BRANCH)[name](0.1)
    update_of((MAKERS | IN_A_BRANCH)[name](0.2), layers)  # what is traced first must not matter
    update, values = update_of(optimizer, layers)
    state = optimizer.init(layers)
    plain = state
    gradient = jax.tree.map(lambda p: 0.1 * p + 0.01, layers)
    ours, theirs = jax.jit(update.run), jax.jit(optimizer.update)
    for _ in range(4):
        got, state = ours(values, gradient, state, layers)
        want, plain = theirs(gradient, plain, layers)
        assert jax.tree.structure((got, state)) == jax.tree.structure((want, plain))
        for a, b in zip(jax.tree.leaves((got, state)), jax.tree.leaves((want, plain)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)


def test_other_computations_are_not_taken_for_one():
    layers = layers_of(4)
    optimisers = [*(make(0.1) for make in MAKERS.values()), optax.adam(0.1, nesterov=True), optax.lion(0.1)]
    updates = [update_of(optimizer, layers)[0] for optimizer in optimisers]
    assert len(set(updates)) == len(updates)
    assert update_of(sgd(0.1), layers)[0] != update_of(sgd(0.1), layers_of(5))[0]


def test_arrays_and_callbacks_within_an_optimiser_are_its_own():
    layers = layers_of(4)

    def scaled(by):
        return optax.GradientTransformation(
            lambda _: (), lambda g, s, p=None: (jax.tree.map(lambda leaf: leaf * jax.numpy.asarray(by).sum(), g), s)
        )

    def called(by):
        def update(g, s, p=None):
            return jax.tree.map(lambda x: jax.pure_callback(lambda v: v * by, x, x), g), s

        return optax.GradientTransformation(lambda _: (), update)

    for make in (scaled, called):
        one, other = make(np.arange(3.0)), make(np.arange(4.0))
        if make is called:
            one, other = make(1), make(2)
        assert update_of(one, layers)[0] == update_of(one, layers)[0]
        assert update_of(one, layers)[0] != update_of(other, layers)[0]


@pytest.mark.parametrize(
    ("n", "weights"),
    [
        pytest.param(n, weights, marks=() if (n, weights) == (33, True) else pytest.mark.explore)
        for n in (1, 31, 32, 33, 100)
        for weights in (False, True)
    ],
)
def test_room_beyond_the_examples_adds_exactly_nothing(n, weights):
    """Whatever stands there, and however much there is."""
    random = np.random.default_rng(n)
    rows = [random.standard_normal((4, n)), np.where(random.random((1, n)) < 0.5, -1, 1)]
    table = np.concatenate(rows + ([random.uniform(0.5, 1.5, (1, n))] if weights else [])).astype(np.float32)
    recipe, found = Recipe(sgd(0.5, 0.9), block=64), []  # wider than 33 examples: what is beyond them is in the window
    another = 128 if kernels.accelerated() else 300  # a GPU adds up in the order that suits the width
    for room, filled in ((128, 0.0), (128, np.nan), (128, np.inf), (another, 1e30)):
        wide = np.full((len(table), room), filled, np.float32)
        wide[:, :n] = table
        by_epoch = epoch(recipe, start(recipe, layers_of(4)), wide, 0.1, batch_size=32, n=n)
        by_full = full_step(recipe, start(recipe, layers_of(4)), wide, 0.1, n=n)
        mean = mean_over(layers_of(4), wide, n, form=kernels.Form(), block=32)
        found.append([np.asarray(leaf) for leaf in jax.tree.leaves((by_epoch, by_full, mean))])
    assert all(np.isfinite(leaf).all() for leaf in found[0])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_room_grows_in_few_steps_and_fits():
    for n in (1, 569, 1024, 1025, 10**5, 2**20, 2**20 + 1, 3 * 10**6, 10**7):
        for itemsize in (4, 8):
            room = capacity(n, itemsize)
            assert room >= n
            assert room * itemsize % 64 == 0
            assert capacity(max(1, least(n)), itemsize) == room
            assert n <= 2**20 or room <= 1.125 * n + 144
            sparing = capacity(n, itemsize, paged=False)
            assert n <= sparing <= max(1024, 1.125 * n) + 144
    assert len({capacity(n, 4) for n in range(1, 2**20, 101)}) == 6


@pytest.fixture
def given_no_folder(monkeypatch):
    """JAX as users have it, without the folder that the tests of this project give it."""
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    given = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", given)
    compilation_cache.reset_cache()


@pytest.mark.usefixtures("given_no_folder")
def test_compilations_are_kept_in_the_folder_and_jax_is_left_as_it_was(examples, tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
    where = tmp_path / "kept"
    monkeypatch.setenv("MANUAL_GRAD_CACHE", str(where))
    fit(*examples, epochs=1, widths=(7,))
    assert any("epoch" in path.name for path in where.iterdir())
    assert (jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs) == before
    count = len(list(where.iterdir()))
    jax.jit(lambda a: a * 2 + 1)(np.arange(3.0))
    assert len(list(where.iterdir())) == count, "the caller's own code was kept as well"


@pytest.mark.usefixtures("given_no_folder")
def test_switched_off_nothing_is_kept(monkeypatch):
    monkeypatch.setenv("MANUAL_GRAD_CACHE", "off")
    assert folder() is None
    with kept():
        assert jax.config.jax_compilation_cache_dir is None


def test_by_default_the_folder_is_the_user_s_for_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("MANUAL_GRAD_CACHE", "")
    if sys.platform.startswith("linux"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert str(folder()).startswith(str(tmp_path / "manual-grad"))


@pytest.mark.usefixtures("given_no_folder")
def test_a_folder_that_jax_was_given_is_left_to_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MANUAL_GRAD_CACHE", str(tmp_path / "ours"))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    try:
        with kept():
            assert jax.config.jax_compilation_cache_dir == str(tmp_path / "theirs")
    finally:
        jax.config.update("jax_compilation_cache_dir", None)  # as `given_no_folder` had it
    assert not (tmp_path / "ours").exists()


@pytest.mark.usefixtures("given_no_folder")
def test_another_process_reads_what_this_one_has_kept_and_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MANUAL_GRAD_CACHE", str(tmp_path))
    forget()
    x = np.arange(40.0).reshape(20, 2) % 7
    here = fit(x, np.arange(20) % 3 > 0, epochs=2).model.layers[0].w.tobytes().hex()
    kept_here = {path.name for path in tmp_path.iterdir()}
    assert kept_here, "nothing was kept"
    program = (
        "from tests import quickly; quickly.enable(); "
        "import numpy as np; from autodiff_ref.train import fit; x = np.arange(40.0).reshape(20, 2) % 7; "
        "print(fit(x, np.arange(20) % 3 > 0, epochs=2).model.layers[0].w.tobytes().hex())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == here
    assert run.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} == kept_here, "it compiled again"
    assert all(path.suffix != ".part" for path in tmp_path.iterdir())
