"""What `manual-grad train` and `manual-grad predict` do. What they may be told is in `cli.training`."""

import csv
import json
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import typer
from rich.console import Console

from autodiff_ref.train.arguments import checked_weights, share_of
from autodiff_ref.train.compiled import kept
from autodiff_ref.train.costs import gradient_costs
from autodiff_ref.train.data import kind_of, read
from autodiff_ref.train.devices import join
from autodiff_ref.train.encoding import ROWS, Column, Encoding, Rows
from autodiff_ref.train.fit import Fit, fit
from autodiff_ref.train.kernels import GRADIENTS, Form
from autodiff_ref.train.model import Model, load, model_file
from autodiff_ref.train.plot import plot as draw
from autodiff_ref.train.plot import require_picture
from autodiff_ref.train.prepare import (
    codes_of,
    many_numbers,
    require_finite_labels,
    require_finite_rows,
    table_of,
    targets_of,
)
from autodiff_ref.train.progress import ProgressLine, summary_of, summary_text
from autodiff_ref.train.report import evaluated, evaluated_numbers, linear_regression, logistic_regression, root_mean_square
from autodiff_ref.train.shuffle import MODES
from autodiff_ref.train.sources import source_of
from autodiff_ref.train.values import whole
from autodiff_ref.trees import JsonObject
from manual_grad.activations import ACTIVATIONS
from manual_grad.mlp import OUTPUTS

MOST_SHOWN = 20_000
"""Examples that are drawn, or that the cost of a gradient is measured on."""


@contextmanager
def refusals() -> Generator[None]:
    """Prints what is wrong with the input as `error: …` on stderr and exits 2."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads stdout has had enough
    except (ValueError, TypeError, FloatingPointError, OSError, MemoryError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


@contextmanager
def _stdout() -> Generator[None]:
    """Writes out what is printed within; where that fails nothing is left to fail again when the process ends."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def train(
    *,
    data: Path,
    label: str,
    hidden: str,
    activation: str,
    bias: bool,
    epochs: int,
    batch: str,
    output: str,
    optimizer: str,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    weights: str | None,
    leave_out: list[str] | None,
    separator: str | None,
    decimal: str,
    missing: str,
    categories: str,
    gradient: str,
    standardise: bool,
    validation: float,
    patience: int,
    shuffle: str,
    float64: bool,
    seed: int,
    checkpoint: Path | None,
    resume: bool,
    devices: int,
    coordinator: str | None,
    processes: int,
    process_id: int,
    save: Path | None,
    plot: Path | None,
    test_share: float,
    compare: bool,
    verbose: bool,
    stream: bool,
    as_json: bool,
) -> None:
    """Trains as the command is told, prints a summary and saves. The arguments are its options: see `cli.training`."""
    with refusals():
        _require_one_of(ACTIVATIONS, activation=activation)
        _require_one_of(GRADIENTS, gradient=gradient)
        _require_one_of(MODES, shuffle=shuffle)
        _require_one_of(OUTPUTS, output=output)
        _connect(devices, coordinator, processes, process_id)
        widths = _widths(hidden)
        batch_size = _batch(batch)
        if plot is not None:
            require_picture(plot)
        form: dict[str, Any] = {"separator": separator, "decimal": decimal, "missing": missing, "categories": categories}
        given = _given(data, label, weights, leave_out or [], form, stream=stream)
        for note in given.notes:
            print(f"note: {note}", file=sys.stderr)
        if output == "classes" and (count := many_numbers(given.labels)):
            told = f"{label} has {count} different numbers, each taken as a class: --output identity predicts the number"
            print(f"note: {told}", file=sys.stderr)
        if given.labels is not None:
            if output == "identity":
                given = given._replace(labels=targets_of(given.labels, len(given.x), label, given.rows))
            else:
                require_finite_labels(given.labels, label, given.rows)
        given, test = _test_share(given, test_share, compare, seed, classes=output == "classes")
        if save is not None:
            _require_writable(model_file(save), save)
        errors = Console(stderr=True)
        line = ProgressLine(errors, epochs)
        with line.running():
            result = fit(
                *given.arguments,
                widths=widths,
                hidden=activation,
                output=output,
                bias=bias,
                epochs=epochs,
                batch_size=batch_size,
                optimizer=optimizer,
                learning_rate=learning_rate,
                momentum=momentum,
                weight_decay=weight_decay,
                example_weights=given.weights,
                gradient=gradient,
                standardise=standardise,
                validation=validation,
                patience=patience,
                shuffle=shuffle,
                seed=seed,
                dtype="float64" if float64 else "float32",
                columns=given.columns,
                label=label,
                on_epoch=line,
                checkpoint=checkpoint,
                resume=resume,
                devices=devices,
            )
        result = replace(result, model=replace(result.model, encoding=given.encoding))
        if process_id:
            return
        saved = None if save is None else str(result.model.save(save))
        summary = _summary(result, given, batch_size if verbose else 0, saved)
        if test is not None:
            summary |= _judged(result.model, given, test, compare)
        if plot is not None:
            draw(result, *given.some(MOST_SHOWN), plot, summary.get("test"))
        with _stdout():
            if as_json:
                print(json.dumps(summary, ensure_ascii=False))
            else:
                Console().print(summary_text(summary), soft_wrap=True)


def predict(*, model: Path, data: Path, separator: str | None, decimal: str) -> None:
    """Prints a table of predictions as CSV: of two classes the probability of the second, of more that of each."""
    with refusals():
        trained = load(model)
        x = _new_examples(trained, data, {"separator": separator, "decimal": decimal})
        labels = trained.predict(x)
        if trained.target is not None:
            with _stdout():
                print("\n".join(["prediction", *(f"{number:.9g}" for number in labels)]))
            return
        p = trained.probabilities(x)
        shown = slice(1, None) if len(trained.classes) == 2 else slice(None)
        with _stdout():
            out = csv.writer(sys.stdout, lineterminator="\n")
            out.writerow(["prediction", *(f"p({name})" for name in trained.classes[shown])])
            out.writerows(
                [str(name), *(f"{value:.9g}" for value in row[shown])] for name, row in zip(labels, p, strict=True)
            )


def _connect(devices: int, coordinator: str | None, processes: int, process_id: int) -> None:
    """Before anything is computed: the processes that train together, the devices of this one's processor."""
    if whole("--devices", devices, 1) > 1:
        jax.config.update("jax_num_cpu_devices", max(1, devices // max(1, processes)))
    if coordinator is not None:
        join(coordinator, processes, process_id)
    elif processes != 1 or process_id:
        raise ValueError("--processes and --process-id need --coordinator HOST:PORT, where process 0 is")


class Given(NamedTuple):
    """What a data file holds, to train on: arrays, or a source that is read again for every epoch."""

    x: Any
    labels: Any
    """None for a source, which has them."""
    weights: np.ndarray | None
    columns: tuple[str, ...]
    encoding: Encoding | None = None
    notes: tuple[str, ...] = ()
    rows: Rows = ROWS
    """where the examples stand in the file"""

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The first arguments of `fit`."""
        return (self.x,) if self.labels is None else (self.x, self.labels)

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Features and labels in order, some at a time."""
        if self.labels is not None:
            yield self.x, np.asarray(self.labels)
            return
        for piece in range(len(self.x.sizes)):
            yield np.concatenate([*self.x.features(piece)]), np.asarray(self.x.labels(piece))

    def some(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """The first examples, all of them where they are in memory."""
        if self.labels is not None:
            return np.asarray(self.x), np.asarray(self.labels)
        xs, labels, n = list[np.ndarray](), list[np.ndarray](), 0
        for x, y in self.parts():
            xs.append(x)
            labels.append(y)
            n += len(x)
            if n >= most:
                break
        return np.concatenate(xs), np.concatenate(labels)


def _given(
    data: Path, label: str, weights: str | None, leave_out: list[str], form: dict[str, Any], *, stream: bool
) -> Given:
    if stream:
        if form["missing"] != "refuse" or form["categories"] != "refuse":
            raise ValueError("--stream: --missing and --categories need the whole table; fill and encode it beforehand")
        source = source_of(data, label, leave_out=leave_out, weights=weights)
        return Given(source, None, None, source.columns or ())
    if weights is not None:
        return _weighted(data, label, weights, [name for name in leave_out if name != weights], form)
    dataset = read(data, label, leave_out=leave_out, **form)
    return Given(dataset.x, dataset.labels, None, dataset.columns, dataset.encoding, dataset.notes, dataset.rows)


def _weighted(data: Path, label: str, weights: str, leave_out: list[str], form: dict[str, Any]) -> Given:
    """A table of which one column says how often each example counts."""
    dataset = read(data, label, leave_out=leave_out, **form)
    if weights not in dataset.columns:
        raise ValueError(f"{data}: there is no column {weights!r} of weights; there are {', '.join(dataset.columns)}")
    at = dataset.columns.index(weights)
    others = [k for k in range(len(dataset.columns)) if k != at]
    if not others:
        raise ValueError(f"{data}: there is no column besides the label {label!r} and the weights {weights!r}")
    encoding = dataset.encoding
    if encoding is not None:
        encoding = Encoding(tuple(column for column in encoding.columns if column.name != weights))
        encoding = None if encoding.is_plain else encoding
    names = tuple(dataset.columns[k] for k in others)
    c = checked_weights(dataset.x[:, at], len(dataset.x), f"--weights {weights}", dataset.rows)
    return Given(dataset.x[:, others], dataset.labels, c, names, encoding, dataset.notes, dataset.rows)


Test = tuple[np.ndarray, np.ndarray]


def _test_share(given: Given, share: float, compare: bool, seed: int, *, classes: bool) -> tuple[Given, Test | None]:
    """The examples without those that are kept apart, and those kept apart: x and labels."""
    if not 0 <= share < 1:
        raise ValueError(f"--test-share must be from 0 to below 1, got {share}")
    if not share:
        if compare:
            raise ValueError("--compare needs --test-share: there must be examples that neither has seen")
        return given, None
    if given.labels is None:
        raise ValueError(
            "--stream: --test-share would keep examples in memory; keep a file of its own for `predict` instead"
        )
    require_finite_rows(given.x, given.columns)
    labels = np.asarray(given.labels)
    stay, apart = share_of(labels if classes else np.zeros(len(labels)), share, seed)
    if classes:
        _require_known(labels[stay], labels[apart], share)
    c = None if given.weights is None else given.weights[stay]
    return given._replace(x=given.x[stay], labels=labels[stay], weights=c), (np.asarray(given.x[apart]), labels[apart])


def _require_known(trained: np.ndarray, apart: np.ndarray, share: float) -> None:
    """Raises ValueError where all examples of a label are kept apart."""
    alone = np.setdiff1d(apart, trained)
    if len(alone):
        raise ValueError(
            f"--test-share {share:g}: the label {str(alone[0])!r} is among the examples kept apart alone, and none is left "
            "to train on: take a smaller share, or leave out labels that are so rare"
        )


def _judged(model: Model, given: Given, test: Test, compare: bool) -> JsonObject:
    """What the model is worth on the examples kept apart, and a logistic regression beside it."""
    x, labels = test
    found: JsonObject
    if model.target is not None:
        found = {"test": evaluated_numbers(model.predict(x), labels)}
        if compare:
            by_lr = linear_regression(given.x, given.labels, x, given.weights)
            found["linear_regression"] = evaluated_numbers(by_lr, labels)
        return found
    names = [str(name) for name in model.classes]
    codes = np.argmax(labels[:, None] == model.classes, axis=1)
    found = {"test": evaluated(model.probabilities(x), codes, names)}
    if compare:
        of_training = np.argmax(np.asarray(given.labels)[:, None] == model.classes, axis=1)
        by_lr = logistic_regression(given.x, of_training, x, given.weights)
        found["logistic_regression"] = evaluated(by_lr, codes, names)
    return found


def _new_examples(trained: Model, data: Path, form: dict[str, Any]) -> np.ndarray:
    if trained.encoding is not None:
        return read(data, encoding=trained.encoding, **form).x
    if kind_of(data).startswith((".csv", ".tsv", ".parquet")):
        plain = None if trained.columns is None else Encoding(tuple(map(Column, trained.columns)))
        return read(data, encoding=plain, **form).x
    x = read(data).x
    d = len(trained.scaling.mean)
    if data.suffix.lower() == ".npy" and x.shape[1] == d + 1 and trained.columns is not None:
        return read(data, columns=trained.columns).x  # the label's column is still there
    return x


def _require_one_of(known: Iterable[str], **option: str) -> None:
    """Raises ValueError, in the words of the command, unless an option has one of its values."""
    for name, value in option.items():
        if value not in known:
            raise ValueError(f"--{name} must be one of {', '.join(known)}, got {value!r}")


def _widths(text: str) -> list[int]:
    try:
        widths = [int(part) for part in text.split(",")]
    except ValueError:
        widths = [-1]
    if widths != [0] and min(widths) < 1:
        raise ValueError(f"--hidden must be whole numbers from 1 on such as 2 or 64,32, or 0 for none, got {text!r}")
    return [] if widths == [0] else widths


def _batch(text: str) -> int | None:
    if text == "full":
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"--batch must be a whole number or full, got {text!r}") from None


def _require_writable(path: Path, save: Path) -> None:
    """Raises OSError where the model could not be written, before an hour of training and not after it."""
    if path.parent.exists() and not path.parent.is_dir():
        raise NotADirectoryError(f"--save {save}: {path.parent} is a file; give a folder, or a name that ends in .npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    probe = path.parent / f".{path.name}.probe"
    probe.touch()
    probe.unlink()


def _summary(result: Fit, given: Given, batch_size: int | None, saved: str | None) -> dict[str, Any]:
    """What is said of a training; `batch_size` 0 where the cost of the gradients is not asked for."""
    model = result.model
    if model.target is None:
        each = np.concatenate([model.predict(x) == labels for x, labels in given.parts()])
    else:
        each = np.concatenate([model.predict(x) - labels.astype(float) for x, labels in given.parts()])
    held_out = np.zeros(len(each), dtype=bool)
    if result.held_out is not None:
        held_out[result.held_out] = True
    mean = root_mean_square if model.target is not None else np.mean
    worth = float(mean(each[~held_out])), float(mean(each[held_out])) if held_out.any() else None
    costs: dict[str, float] | None = None
    if batch_size != 0:
        x, labels = (part[:MOST_SHOWN] for part in given.some(MOST_SHOWN))
        if model.target is None:
            codes = np.argmax(labels[:, None] == model.classes, axis=1)
            y, output = codes_of(codes, len(model.classes)), "classes"
        else:
            y, output = (labels.astype(float) - model.target.mean) / model.target.scale, "identity"
        table = table_of(x, y, None, None, model.scaling, model.layers[0].w.dtype)[:, : len(x)]
        with kept():
            costs = gradient_costs(model.layers, table, Form(model.hidden, output), batch_size)
    return summary_of(result, worth, costs, saved)
