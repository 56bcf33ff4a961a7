"""The loss curve, and the decision boundary of a net of two features. Needs matplotlib, the extra `plot`."""

import importlib
import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from autodiff_ref.train.fit import Fit
from autodiff_ref.trees import Entry


def require_matplotlib(what: str = "--plot") -> ModuleType:
    """matplotlib, or a ModuleNotFoundError that says how to install it."""
    try:
        matplotlib: ModuleType = importlib.import_module("matplotlib")
        importlib.import_module("matplotlib.figure")
        importlib.import_module("matplotlib.patches")
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(f"{what} needs matplotlib: pip install 'manual-grad[plot]'") from missing
    return matplotlib


def require_picture(path: Path) -> None:
    """Raises ValueError where the ending of a path is none that matplotlib can write, before an hour of training."""
    kinds = require_matplotlib().figure.Figure().canvas.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in kinds:
        raise ValueError(f"--plot {path}: the ending must be one of {', '.join(sorted(kinds))}")
    if not path.parent.is_dir():
        raise NotADirectoryError(f"--plot {path}: there is no folder {path.parent}")


def plot(fit: Fit, x: np.ndarray, y: np.ndarray, path: str | Path, test: Entry | None = None) -> None:
    """Draws ll an example against the epoch and, where x has two columns, the probability over their plane.

    Args:
        fit: what was trained.
        x: (n, d), the examples.
        y: (n,), their labels.
        path: where to write; its ending says what kind of picture.
        test: what `autodiff_ref.train.report.evaluated` has found; with a calibration curve, that is drawn as well.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        OSError: the picture cannot be written.
        ValueError: the ending is none that matplotlib can write.
    """
    matplotlib = require_matplotlib()
    planar = x.shape[1] == 2
    bins = (test or {}).get("calibration")
    panels = 1 + planar + bool(bins)
    figure = matplotlib.figure.Figure(figsize=(1 + 4.5 * panels, 4), layout="constrained")
    curve, *rest = np.atleast_1d(figure.subplots(1, panels))
    numbers = [e.number for e in fit.history]
    curve.plot(numbers, [-e.ll for e in fit.history], label="training")
    if fit.history[0].validation is not None:
        curve.plot(numbers, [-(e.validation or 0.0) for e in fit.history], label="validation")
        curve.legend()
    curve.set(xlabel="epoch", ylabel="−ll an example (nats)")
    if planar:
        _boundary(fit, x, y, rest[0])
    if bins:
        axes = rest[-1]
        axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
        axes.plot([b["predicted"] for b in bins], [b["observed"] for b in bins], marker="o")
        axes.set(xlabel=f"predicted p({fit.model.classes[1]})", ylabel="share observed, test share")
    figure.savefig(path)


def _boundary(fit: Fit, x: np.ndarray, y: np.ndarray, axes: Any) -> None:
    model = fit.model
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.05 * np.where(high > low, high - low, 1.0)
    across, up = (np.linspace(a, b, 200) for a, b in zip(low - margin, high + margin, strict=True))
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    shown = slice(None, None, max(1, len(x) // 2000))
    markers = itertools.cycle("oxs^v*+D")
    names = model.columns or ("x_1", "x_2")
    axes.set(xlabel=names[0], ylabel=names[1])
    if model.target is not None:
        axes.scatter(*x[shown].T, s=4, c="black")
        filled = axes.contourf(across, up, model.predict(grid).reshape(200, 200), levels=11, cmap="viridis", alpha=0.6)
        axes.figure.colorbar(filled, ax=axes, label=model.label or "prediction")
        return
    for label, marker in zip(model.classes, markers, strict=False):
        of = y[shown] == label
        axes.scatter(*x[shown][of].T, marker=marker, s=14, c="black", linewidths=0.8, label=str(label))
    axes.legend()
    if len(model.classes) > 2:
        best = np.argmax(model.score(grid), axis=1).reshape(200, 200)
        axes.contourf(across, up, best, levels=np.arange(len(model.classes) + 1) - 0.5, cmap="tab20", alpha=0.6)
        return
    p = model.predict_probability(grid).reshape(200, 200)
    filled = axes.contourf(across, up, p, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.6)
    if p.min() < 0.5 < p.max():
        axes.contour(across, up, p, levels=[0.5], colors="black")
    axes.figure.colorbar(filled, ax=axes, label=f"p({model.classes[1]})")
