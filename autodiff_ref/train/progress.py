"""Training for people: a line that moves while it runs, on a terminal; a summary when it is done."""

from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from autodiff_ref.train.encoding import listed
from autodiff_ref.train.fit import Fit
from autodiff_ref.train.report import better, convergence, told
from autodiff_ref.train.run import Epoch
from autodiff_ref.trees import Entry, JsonObject


class ProgressLine:
    """Shows epoch, ll an example, examples a second and the time left; nothing where `console` is no terminal."""

    def __init__(self, console: Console, epochs: int) -> None:
        self.progress = (
            Progress(
                TextColumn("epoch {task.completed}/{task.total}"),
                BarColumn(),
                TextColumn("{task.fields[state]}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            if console.is_terminal
            else None
        )
        self.task = None if self.progress is None else self.progress.add_task("", total=epochs, state="compiling")

    def running(self) -> AbstractContextManager[object]:
        """The context in which the line is shown."""
        return nullcontext() if self.progress is None else self.progress

    def __call__(self, done: Epoch) -> None:
        """Moves the line."""
        if self.progress is not None and self.task is not None:
            held_out = "" if done.validation is None else f" · validation {done.validation:.4f}"
            state = f"ll {done.ll:.4f}{held_out} · {done.examples / done.seconds:,.0f} examples/s"
            self.progress.update(self.task, completed=done.number, state=state)


def summary_of(fit: Fit, worth: tuple[float, float | None], costs: dict[str, float] | None, saved: str | None) -> JsonObject:
    """What is to be said about a training, as JSON.

    Args:
        fit: the training.
        worth: the accuracy, or the root mean squared error, on the examples trained on and on those held out, if any.
        costs: nanoseconds an example, by each gradient; None where they were not measured.
        saved: where the model was written.
    """
    about = fit.model.training
    # the first epoch compiles as well
    steady = fit.history[1:] or fit.history
    return {
        "examples": about["examples"],
        "features": len(fit.model.scaling.mean),
        "classes": [str(c) for c in fit.model.classes],
        "widths": about["widths"],
        "epochs": len(fit.history),
        "stopped": fit.stopped,
        "convergence": convergence([e.ll for e in fit.history]),
        "ll_per_example": fit.history[-1].ll,
        "validation_ll_per_example": max((e.validation for e in fit.history if e.validation is not None), default=None),
        **_by_kind(fit, worth),
        "seconds": fit.seconds,
        "examples_per_second": sum(e.examples for e in steady) / sum(e.seconds for e in steady),
        "gradient": about["gradient"],
        "nanoseconds_per_example": costs,
        "constant_columns": fit.constant,
        "saved": saved,
    }


def _by_kind(fit: Fit, worth: tuple[float, float | None]) -> dict[str, float | None]:
    name = "accuracy" if fit.model.target is None else "rmse"
    return {name: worth[0], f"validation_{name}": worth[1]}


def summary_text(summary: Entry) -> Text:
    """The same for people, a line each."""
    costs = summary["nanoseconds_per_example"]
    outputs = len(summary["classes"]) if len(summary["classes"]) > 2 else 1
    name, kind = ("accuracy", "accuracy") if summary["classes"] else ("rmse", "root mean squared error")
    rows = {
        "data": f"{summary['examples']:,} examples to train on, {summary['features']} features, "
        + (f"classes {_classes(summary['classes'])}" if summary["classes"] else "a number to predict"),
        "net": " → ".join(map(str, [summary["features"], *summary["widths"], outputs])),
        "epochs": f"{summary['epochs']} in {summary['seconds']:.2f} s, {summary['examples_per_second']:,.0f} examples/s "
        f"once compiled; {summary['stopped']}",
        "ll": f"{summary['ll_per_example']:.4f} nats an example",
        name: f"{summary[name]:{'.4f' if name == 'accuracy' else '.4g'}} on the examples trained on",
    }
    if summary["convergence"]:
        rows["progress"] = summary["convergence"]
    if costs is not None:
        rows["gradient"] = (
            f"{summary['gradient']}; by hand {costs['hand']:.0f} ns an example, by autodiff {costs['autodiff']:.0f}"
        )
    if "test" in summary:
        rows["test"] = ("\n" + " " * 11).join(told(summary["test"]))
    for other in ("logistic_regression", "linear_regression"):
        if other in summary:
            rows["compared"] = better(summary["test"], summary[other])
    if summary["validation_ll_per_example"] is not None:
        rows["validation"] = (
            f"{summary['validation_ll_per_example']:.4f} nats an example held out, {kind} "
            f"{summary[f'validation_{name}']:.4g}: the best of all epochs, whose weights are kept"
        )
    if summary["constant_columns"]:
        names = ", ".join(summary["constant_columns"])
        rows["constant"] = f"{names}: one value in all examples, up to rounding, so that nothing is learned from it"
    if summary["saved"]:
        rows["saved"] = summary["saved"]
    return Text("\n".join(f"{name:11}{text}" for name, text in rows.items()))


def _classes(names: list[str]) -> str:
    if len(names) == 2:
        return f"{names[0]} (−1) and {names[1]} (+1)"
    return listed(names, 8)
