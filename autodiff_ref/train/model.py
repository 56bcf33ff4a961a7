"""A trained net with all that is needed to use it: standardisation, classes, column names; saved and loaded as .npz."""

import glob
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from autodiff_ref.train.data import CHUNK
from autodiff_ref.train.encoding import Encoding
from autodiff_ref.train.kernels import Layers
from autodiff_ref.train.members import Archive, Damaged
from autodiff_ref.train.moments import Scaling
from autodiff_ref.train.prepare import as_matrix, require_finite_rows, require_within
from autodiff_ref.trees import Entry, Json, JsonObject
from manual_grad import mlp
from manual_grad.activations import activation_of
from manual_grad.mlp import Layer
from manual_grad.sigmoid import sigmoid
from manual_grad.softmax import softmax

FORMAT = "manual-grad model"
VERSION = 3
"""2 has more than two classes, 3 an encoding or numbers to predict; others are written as 1, which earlier programs read."""
FILE = "model.npz"
ABOUT, LAYERS = 1 << 24, 1_000
"""Bytes that a model may say about itself, and layers it may have, at most."""


@dataclass(frozen=True, eq=False)
class Model:
    """A trained net.

    Example:
        >>> net = (Layer(np.array([[0.0], [0.0]])), Layer(np.array([[4.0, -2.0]])))
        >>> model = Model(net, "sigmoid", np.array(["benign", "malignant"]), Scaling(np.zeros(1), np.ones(1)))
        >>> model.predict([[3.0]]).tolist()
        ['malignant']
    """

    layers: Layers
    hidden: str
    classes: np.ndarray
    """The labels: of two classes the one for −1, then the one for +1; of K classes one for each unit of the output; none
    where the net predicts numbers."""
    scaling: Scaling
    columns: tuple[str, ...] | None = None
    label: str | None = None
    """The name of the label's column."""
    training: JsonObject = field(default_factory=dict[str, Json])
    """How it was trained, for people; JSON."""
    encoding: Encoding | None = None
    """How the columns of a file become features; None where they are the features."""
    target: Scaling | None = None
    """Of a net that predicts numbers, their mean and deviation, (1,) each: the prediction is mean + deviation · z."""

    def score(self, x: ArrayLike) -> Float[np.ndarray, "..."]:
        """z for each row of x: the log-odds of the second class; (n, K) for K > 2 classes; the standardised prediction."""
        x = as_matrix(x)
        d = len(self.scaling.mean)
        if x.shape[1] != d:
            raise ValueError(f"x has {x.shape[1]} columns, the model was trained on {d}: give it the same ones")
        require_finite_rows(x, self.columns)
        dtype = self.layers[0].w.dtype
        parts = []
        for first in range(0, len(x), CHUNK):
            with np.errstate(over="ignore"):
                chunk = (np.asarray(x[first : first + CHUNK], np.float64) - self.scaling.mean) / self.scaling.scale
                chunk = chunk.astype(dtype)
            require_within(chunk, self.columns, first)
            parts.append(mlp.score(self.layers, chunk, self.hidden))
        return np.concatenate(parts)

    def predict_probability(self, x: ArrayLike) -> Float[np.ndarray, "..."]:
        """σ(z), the probability of the second class; (n, K), the softmax of z, for K > 2 classes."""
        self._require_classes()
        z = self.score(x)
        return sigmoid(z) if z.ndim == 1 else softmax(z.T).T

    def probabilities(self, x: ArrayLike) -> Float[np.ndarray, "n classes"]:
        """The probability of every class, a column each."""
        self._require_classes()
        z = self.score(x)
        return np.column_stack([sigmoid(-z), sigmoid(z)]) if z.ndim == 1 else softmax(z.T).T

    def predict(self, x: ArrayLike) -> np.ndarray:
        """The most probable label of each row of x, of two classes the second one at z = 0; or the number predicted."""
        z = self.score(x)
        if self.target is not None:
            return self.target.mean + self.target.scale * z
        return self.classes[(z >= 0).astype(int) if z.ndim == 1 else np.argmax(z, axis=1)]

    def _version(self) -> int:
        if self.encoding is not None or self.target is not None:
            return VERSION
        return 1 if len(self.classes) == 2 else 2

    def _require_classes(self) -> None:
        if self.target is not None:
            raise ValueError("this net predicts numbers and has no classes: ask it to `predict`")

    def save(self, path: str | Path) -> Path:
        """Writes the model to `path`, a .npz file or a folder for model.npz, all of it or nothing.

        Returns:
            The file.

        Raises:
            OSError: it cannot be written.
            ValueError: the model is one that `load` would refuse, such as one with weights that are not finite.
        """
        path = model_file(path)
        try:
            _require_whole(self)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: not written, since no one could load this model: {error}") from None
        path.parent.mkdir(parents=True, exist_ok=True)
        about: JsonObject = {
            "format": FORMAT,
            "version": self._version(),
            "hidden": self.hidden,
            "layers": [{"bias": layer.b is not None} for layer in self.layers],
            "columns": self.columns,
            "label": self.label,
            "training": self.training,
        }
        if self.encoding is not None:
            about["encoding"] = self.encoding.to_json()
        if self.target is not None:
            about["target"] = [float(self.target.mean[0]), float(self.target.scale[0])]
        arrays: dict[str, np.ndarray] = {
            "about": np.array(json.dumps(about, ensure_ascii=False)),
            "classes": self.classes,
            "mean": self.scaling.mean,
            "scale": self.scaling.scale,
        }
        for number, (w, b) in enumerate(self.layers, start=1):
            arrays[f"w{number}"] = np.asarray(w)
            if b is not None:
                arrays[f"b{number}"] = np.asarray(b)
        _clear(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            if os.name == "posix":
                folder = os.open(path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)  # or the name may be gone after a loss of power
                finally:
                    os.close(folder)
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise OSError(
                    error.errno, f"{error.strerror or error}; what was there before is as it was", str(path)
                ) from None
            raise
        return path


def _clear(path: Path) -> None:
    """Deletes what processes that were killed while they wrote this file have left behind."""
    if os.name != "posix":
        return  # where asking for a process by its number may end it
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        number = left.name.split(".")[-2]
        try:
            os.kill(int(number), 0)  # whether there is such a process
        except (ValueError, ProcessLookupError):
            left.unlink(missing_ok=True)
        except OSError:
            continue  # there is one, of another user


def model_file(path: str | Path) -> Path:
    """The file of a model: `path` itself where it is named .npz, else model.npz in that folder."""
    path = Path(path)
    return path if path.suffix == ".npz" and not path.is_dir() else path / FILE


def load(path: str | Path) -> Model:
    """The model in a file or folder that `Model.save` has written.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is damaged, foreign, or of a later version.
    """
    if Path(path).is_file() and Path(path).suffix != ".npz":
        raise ValueError(f"{path} is no model: give the folder, or the .npz file, that training has saved")
    path = model_file(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such model; `manual-grad train … --save {path.parent}` makes one")
    try:
        with Archive(path) as archive:
            arrays = archive.read(["about"], most=ABOUT)
            about = _about(path, arrays)
            named = [f"{letter}{number}" for letter in "wb" for number in range(1, min(len(about["layers"]), LAYERS) + 1)]
            arrays = archive.read(["classes", "mean", "scale", *named], most=path.stat().st_size)  # which are not packed
    except Damaged as error:
        raise ValueError(f"{path}: not a model file, or damaged: {error}") from None
    try:
        return _assembled(about, arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: a damaged model: {error}") from None


def _about(path: Path, arrays: dict[str, np.ndarray]) -> Entry:
    """What a model file says about itself, of a format and version that are known."""
    try:
        about = json.loads(str(arrays["about"][()]))
        name, version = about["format"], about["version"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError(f"{path}: not a model of manual-grad: it does not say its format") from None
    if name != FORMAT:
        raise ValueError(f"{path}: not a model of manual-grad: it says {name!r}")
    if version not in range(1, VERSION + 1):
        raise ValueError(f"{path}: version {version} of the model format, this program reads versions 1 to {VERSION}")
    if not isinstance(about.get("layers"), list):
        raise ValueError(f"{path}: a damaged model: it does not say its layers")
    return about


def _assembled(about: Entry, arrays: dict[str, np.ndarray]) -> Model:
    layers = tuple(
        Layer(arrays[f"w{number}"], arrays[f"b{number}"] if layer["bias"] else None)
        for number, layer in enumerate(about["layers"], start=1)
    )
    columns = None if about["columns"] is None else tuple(about["columns"])
    scaling = Scaling(arrays["mean"], arrays["scale"])
    encoding = None if about.get("encoding") is None else Encoding.from_json(about["encoding"])
    target = None
    if about.get("target") is not None:
        mean, scale = (float(number) for number in about["target"])
        target = Scaling(np.array([mean]), np.array([scale]))
    about_it = about["label"], about["training"], encoding, target
    model = Model(layers, about["hidden"], arrays["classes"], scaling, columns, *about_it)
    _require_whole(model)
    return model


def _require_whole(model: Model) -> None:
    """Raises TypeError or ValueError where the parts of a model are not of their kind or do not fit together."""
    mean, scale = (np.asarray(numbers) for numbers in model.scaling)
    activation_of(model.hidden)
    mlp.checked(model.layers, mean[None])
    outputs = len(model.layers[-1].w)
    scales = mean.shape == scale.shape and bool(np.isfinite(scale).all() and (scale > 0).all())
    if np.asarray(model.classes).dtype.kind not in "fiubU":
        raise ValueError(f"its classes are of dtype {np.asarray(model.classes).dtype}, they must be numbers or text")
    if model.target is not None:
        numbers = np.concatenate(model.target)
        if outputs != 1 or not (np.isfinite(numbers).all() and numbers[1] > 0):
            raise ValueError("its target does not fit together")
    classes = 0 if model.target is not None else 2 if outputs == 1 else outputs
    if np.shape(model.classes) != (classes,) or not scales:
        raise ValueError("its classes or its standardisation do not fit together")
    if model.columns is not None and len(model.columns) != len(mean):
        raise ValueError(f"{len(model.columns)} column names for {len(mean)} columns")
    if model.encoding is not None and model.encoding.features != model.columns:
        raise ValueError("its encoding and its columns do not fit together")
