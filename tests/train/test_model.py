"""Models: what is saved comes back bit by bit, what is damaged or foreign is refused by name."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from autodiff_ref.train import Model, fit, load
from autodiff_ref.train.prepare import Scaling
from manual_grad.mlp import Layer


@pytest.fixture
def model():
    layers = (Layer(np.array([[0.5, -1.0], [2.0, 0.25]], np.float32), np.array([0.5, 0], np.float32)),)
    layers = (*layers, Layer(np.array([[4.0, -4.0]], np.float32)))
    scaling = Scaling(np.array([0.1, 2.0]), np.array([1.0, 3.0]))
    return Model(layers, "tanh", np.array(["gesund", "krank"]), scaling, ("a", "größe"), "befund", {"seed": 3})


def test_a_saved_model_comes_back_bit_by_bit(model, tmp_path):
    path = model.save(tmp_path / "run")
    assert path == tmp_path / "run" / "model.npz"
    back = load(tmp_path / "run")
    for mine, other in zip(model.layers, back.layers, strict=True):
        np.testing.assert_array_equal(mine.w, other.w)
        assert mine.w.dtype == other.w.dtype
        assert (mine.b is None) == (other.b is None)
    assert (back.hidden, back.columns, back.label, back.training) == ("tanh", ("a", "größe"), "befund", {"seed": 3})
    x = np.random.default_rng(0).standard_normal((50, 2))
    np.testing.assert_array_equal(back.score(x), model.score(x))
    assert set(back.predict(x)) == {"gesund", "krank"}
    assert load(model.save(tmp_path / "other.npz")).label == "befund"


@pytest.mark.parametrize("labels", [[0, 1], [False, True], [-1.5, 2.5], ["no", "yes"]])
def test_predictions_are_the_labels_that_were_given(labels, tmp_path):
    result = fit([[0.0], [1.0], [2.0], [3.0]], [labels[0]] * 2 + [labels[1]] * 2, epochs=100, learning_rate=1.0)
    predicted = load(result.model.save(tmp_path)).predict([[0.0], [3.0]])
    assert predicted.tolist() == labels
    assert predicted.dtype.kind == np.array(labels).dtype.kind


def test_saving_replaces_the_old_model_at_once_and_leaves_nothing_behind(model, tmp_path, monkeypatch):
    path = model.save(tmp_path)
    before = path.read_bytes()

    def fails(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no space"):
        model.save(tmp_path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.npz"]


def rewritten(path, changes):
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    about = json.loads(str(arrays["about"]))
    changes(about, arrays)
    arrays["about"] = np.array(json.dumps(about))
    np.savez(path, **arrays)


def drop(*names):
    def change(_, arrays):
        for name in names:
            del arrays[name]

    return change


DAMAGE = {
    "another program's": (lambda about, _: about.update(format="other"), "it says 'other'"),
    "of a later version": (lambda about, _: about.update(version=4), "version 4"),
    "target": (lambda about, arrays: about.update(version=3, target=[0.0, 0.0]), "target"),
    "a target and classes": (lambda about, arrays: about.update(version=3, target=[0.0, 1.0]), "classes"),
    "another encoding": (
        lambda about, _: about.update(version=3, encoding=[{"name": "a", "values": ["x"], "fill": None}]),
        "encoding and its columns",
    ),
    "without weights": (drop("w1"), "damaged model: 'w1"),
    "without a bias": (drop("b1"), "damaged model: 'b1"),
    "NaN": (lambda _, arrays: arrays.update(w1=arrays["w1"] * np.nan), "finite"),
    "shapes": (lambda _, arrays: arrays.update(w2=np.zeros((1, 3))), "layer 2"),
    "standardisation": (lambda _, arrays: arrays.update(scale=np.zeros(2)), "standardisation"),
    "three classes": (lambda _, arrays: arrays.update(classes=np.array(["a", "b", "c"])), "classes"),
    "column names": (lambda about, _: about.update(columns=["a"]), "1 column names for 2"),
    "activation": (lambda about, _: about.update(hidden="step"), "sigmoid, tanh, relu"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_model_that_is_not_whole_is_refused(name, model, tmp_path):
    changes, message = DAMAGE[name]
    path = model.save(tmp_path)
    rewritten(path, changes)
    with pytest.raises(ValueError, match=message) as refused:
        load(path)
    assert str(path) in str(refused.value)


BROKEN = {
    "NaN": ({"layers": (Layer(np.full((1, 2), np.nan, np.float32)),)}, "layer 1: w must be finite, got nan"),
    "infinite bias": ({"layers": (Layer(np.ones((1, 2)), np.full(1, np.inf)),)}, "layer 1: b must be finite, got inf"),
    "shapes": ({"layers": (Layer(np.ones((1, 3))),)}, "layer 1: w has shape"),
    "no layers": ({"layers": ()}, "at least one Layer"),
    "standardisation": ({"scaling": Scaling(np.zeros(2), np.array([1.0, 0.0]))}, "standardisation"),
    "three classes": ({"classes": np.array(["a", "b", "c"])}, "classes"),
    "one number for a mean": ({"scaling": Scaling(np.array(0.0), np.array(1.0))}, "shape"),
    "column names": ({"columns": ("a",)}, "1 column names for 2"),
    "activation": ({"hidden": "step"}, "sigmoid, tanh, relu"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_could_not_be_loaded_is_not_saved(name, model, tmp_path):
    changes, message = BROKEN[name]
    path = model.save(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"not written.*{message}") as refused:
        replace(model, **changes).save(tmp_path)
    assert str(path) in str(refused.value)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.npz"]


def test_every_truncation_and_flipped_byte_is_noticed_or_harmless(model, tmp_path):
    """zip keeps a checksum of every array; what it does not cover are times and the like."""
    path = model.save(tmp_path)
    whole = path.read_bytes()
    want = model.layers[0].w
    refused = 0
    for k in range(0, len(whole), 37):
        for damaged in (whole[:k], whole[:k] + bytes([whole[k] ^ 0xFF]) + whole[k + 1 :]):
            path.write_bytes(damaged)
            try:
                back = load(path)
            except ValueError:
                refused += 1
            else:
                np.testing.assert_array_equal(back.layers[0].w, want)
    assert refused > len(whole) // 37


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "model.npz"
    with pytest.raises(FileNotFoundError, match="no such model"):
        load(path)
    path.write_bytes(b"noise")
    with pytest.raises(ValueError, match="not a model file"):
        load(path)
    np.savez(path, x=np.eye(2))
    with pytest.raises(ValueError, match="does not say its format"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match="not a model"):
        load(path)
    np.savez(path, about=np.array([{"format": "manual-grad model"}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="not a model file"):
        load(path)


def test_new_examples_must_look_like_the_old(model):
    with pytest.raises(ValueError, match="3 columns, the model was trained on 2"):
        model.predict([[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="'größe' is nan"):
        model.predict([[1.0, np.nan]])
    with pytest.raises(TypeError, match="real numbers"):
        model.predict([["a", "b"]])


def test_what_killed_processes_have_left_behind_is_cleared_away(model, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".model.npz.{dead.pid}.part").write_bytes(b"half")
    (tmp_path / f".model.npz.{os.getppid()}.part").write_bytes(b"someone is at it")
    model.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".model.npz.{os.getppid()}.part", "model.npz"]


def test_a_model_that_cannot_be_written_leaves_the_one_before_and_is_named(model, tmp_path, monkeypatch):
    path = model.save(tmp_path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left.*as it was.*model\.npz"):
        model.save(tmp_path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]


def test_a_number_beyond_the_precision_of_the_net_is_named_as_what_it_is(model):
    """It is finite, so no infinity is to be looked for in the file"""
    x = [[0.0, 0.0], [0.0, 1e300]]
    with pytest.raises(ValueError, match=r"^row 2, 'größe' is so far .*beyond float32: correct or drop"):
        model.predict(x)
