"""A training that was killed goes on to bitwise the weights it would have had; another's checkpoints are refused."""

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

pytest.importorskip("orbax.checkpoint")

from autodiff_ref.train import checkpoints, fit
from autodiff_ref.train.shuffle import REDEAL, Shuffler
from tests.combinations import chosen

ROOT = Path(__file__).parents[2]

WAYS = {
    "minibatches": {},
    "batches dealt anew": {"shuffle": "batches"},
    "adam, validation": {"optimizer": "adam", "learning_rate": 0.01, "validation": 0.25, "patience": 100},
    "full batch, float64": {"batch_size": None, "dtype": "float64"},
    "adam, batches dealt anew, validation": {
        "optimizer": "adam",
        "learning_rate": 0.01,
        "shuffle": "batches",
        "validation": 0.25,
        "patience": 100,
    },
    "lbfgs": {"optimizer": "lbfgs"},
    "lbfgs, validation": {"optimizer": "lbfgs", "validation": 0.25, "patience": 50, "dtype": "float64"},
}


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)


def assert_same(one, other):
    for a, b in zip(jax.tree.leaves(one.model.layers), jax.tree.leaves(other.model.layers), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [(e.number, e.ll, e.validation) for e in one.history] == [(e.number, e.ll, e.validation) for e in other.history]
    assert one.stopped == other.stopped


class Killed(BaseException):
    pass


def stopped_after(number, /, *arguments, **options):
    def stop(done):
        if done.number == number:
            raise Killed

    with pytest.raises(Killed):
        fit(*arguments, on_epoch=stop, **options)


SHORT = ("adam, batches dealt anew, validation", "lbfgs, validation")
"""the others do less than one of these, and run in the profile `explore`"""


@pytest.mark.parametrize("way", chosen(WAYS, SHORT.__contains__))
def test_a_training_stopped_twice_goes_on_to_bitwise_the_same_weights(way, examples, tmp_path):
    options = WAYS[way] | {"epochs": 2 * REDEAL + 4}
    whole = fit(*examples, **options)
    stopped_after(3, *examples, checkpoint=tmp_path, **options)
    stopped_after(REDEAL + 2, *examples, checkpoint=tmp_path, resume=True, **options)
    assert_same(fit(*examples, checkpoint=tmp_path, resume=True, **options), whole)
    assert_same(fit(*examples, checkpoint=tmp_path, resume=True, **options), whole)  # there was nothing left to do


def test_a_training_that_is_done_goes_on_for_more_epochs(examples, tmp_path):
    fit(*examples, epochs=5, checkpoint=tmp_path)
    assert_same(fit(*examples, epochs=9, checkpoint=tmp_path, resume=True), fit(*examples, epochs=9))


def test_an_early_stop_is_remembered(examples, tmp_path):
    options = {"epochs": 200, "widths": (16,), "validation": 0.3, "patience": 5, "learning_rate": 0.5}
    whole = fit(*examples, checkpoint=tmp_path, **options)
    assert len(whole.history) < 200
    assert_same(fit(*examples, checkpoint=tmp_path, resume=True, **options), whole)


def test_few_checkpoints_are_kept_and_nothing_else(examples, tmp_path):
    fit(*examples, epochs=7, checkpoint=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["6", "7"]


def test_they_are_written_as_often_as_time_allows(examples, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHARE", 0.0)
    fit(*examples, epochs=7, checkpoint=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "7"]


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"learning_rate": 0.2}, {"widths": (3,)}, {"x": 0}, {"validation": 0.1}], ids=str
)
def test_another_training_s_checkpoints_are_refused(change, examples, tmp_path):
    x, y = examples
    fit(x, y, epochs=1, checkpoint=tmp_path)
    if "x" in change:
        change, x = {}, x**3
    with pytest.raises(ValueError, match="another training"):
        fit(x, y, epochs=2, checkpoint=tmp_path, resume=True, **change)


def test_checkpoints_are_not_written_over_unless_asked(examples, tmp_path):
    fit(*examples, epochs=1, checkpoint=tmp_path)
    with pytest.raises(FileExistsError, match="resume from them"):
        fit(*examples, epochs=1, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="needs the folder"):
        fit(*examples, epochs=1, resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="must be a folder"):
        fit(*examples, epochs=1, checkpoint=tmp_path / "file")


def test_a_damaged_checkpoint_is_named(examples, tmp_path):
    fit(*examples, epochs=2, checkpoint=tmp_path)
    for path in (tmp_path / "2").rglob("*"):
        if path.is_file() and "METADATA" not in path.name:
            path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"2: damaged"):
        fit(*examples, epochs=3, checkpoint=tmp_path, resume=True)


def test_a_checkpoint_that_cannot_be_written_is_named_and_the_one_before_is_intact(examples, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    def fails_from_the_third_on(done):
        if done.number == 3:
            monkeypatch.setattr(checkpoints, "_synced", full)

    with pytest.raises(OSError, match=r"3: it cannot be written .*No space left.*the one of epoch 2 is as it was"):
        fit(*examples, epochs=5, checkpoint=tmp_path, on_epoch=fails_from_the_third_on)
    monkeypatch.undo()
    assert_same(fit(*examples, epochs=5, checkpoint=tmp_path, resume=True), fit(*examples, epochs=5))


OPTIONS = {"epochs": 24, "shuffle": "batches", "optimizer": "adam", "validation": 0.2, "patience": 99}
PROGRAM = """
import sys, time
from autodiff_ref.train import checkpoints, fit
from tests import quickly
from tests.train.test_checkpoints import OPTIONS, two_thousand
quickly.enable()
checkpoints.SHARE = 1e9  # one each epoch
fit(*two_thousand(), checkpoint=sys.argv[1], resume=True, on_epoch=lambda _: time.sleep(0.05), **OPTIONS)
"""


def two_thousand():
    random = np.random.default_rng(0)
    x = random.standard_normal((2000, 4))
    return x, np.abs(x[:, 0]) > 0.8


def test_killed_at_random_moments_it_goes_on_to_the_same_weights(tmp_path):
    """One kill here, behind the first checkpoint; `KILLS=100` for a hundred at any moment."""
    command, kills = [sys.executable, "-c", PROGRAM, str(tmp_path)], int(os.environ.get("KILLS", "1"))
    draw = random.Random(0)
    for _ in range(kills):
        process = subprocess.Popen(command, cwd=ROOT)
        while kills == 1 and not list(tmp_path.iterdir()):
            assert process.poll() is None, "it ended before it had written a checkpoint"
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 0.8 if kills == 1 else 8.0))
        process.kill()
        process.wait()
    assert_same(fit(*two_thousand(), checkpoint=tmp_path, resume=True, **OPTIONS), fit(*two_thousand(), **OPTIONS))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("first", [1, REDEAL - 1, REDEAL, REDEAL + 1, 2 * REDEAL + 3])
@pytest.mark.parametrize("mode", ["examples", "batches", "none"])
def test_the_order_of_an_epoch_depends_on_seed_and_number_alone(mode, first):
    table = np.arange(100, dtype=np.float32).reshape(2, 50)
    from_0, from_first = Shuffler(table, 8, 5, mode), Shuffler(table, 8, 5, mode, first=first)
    for number in range(first):
        list(from_0.epoch(number))
    for number in range(first, first + REDEAL + 1):
        for a, b in zip(from_0.epoch(number), from_first.epoch(number), strict=True):
            np.testing.assert_array_equal(a.table[:, : a.n], b.table[:, : b.n])
            np.testing.assert_array_equal(a.order, b.order)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"widths": (3,)}, "training: widths was [2], is [3]. Give"), ({"x": 0}, "training: data differ. Give")],
)
def test_what_differs_is_named_without_its_sums_of_bytes(change, said, examples, tmp_path):
    x, y = examples
    fit(x, y, epochs=1, checkpoint=tmp_path)
    x, change = (x**3, {}) if "x" in change else (x, change)
    with pytest.raises(ValueError, match=re.escape(said)):
        fit(x, y, epochs=2, checkpoint=tmp_path, resume=True, **change)
