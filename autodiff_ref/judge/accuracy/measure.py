"""What the computed value of a line is worth: its errors in ulps against balls, over the strata and along paths."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from autodiff_ref.judge.accuracy.computing import Compiled, Values, Way, by_numpy
from autodiff_ref.judge.accuracy.paths import exact_in_float32
from autodiff_ref.judge.accuracy.survey import Survey, Surveyor
from autodiff_ref.judge.accuracy.ulps import DTYPES, Truth, true_value, worst_component
from autodiff_ref.judge.errors import is_admitted
from autodiff_ref.judge.inputs import STRATA, Input, NoInputError, draw_inputs
from autodiff_ref.judge.lines.trace import ShapeKey, claims_to_hold, shape_key
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.report import LineReport, Report
from autodiff_ref.trees import JsonObject
from manual_grad.derivation import Derivation, label_of

Summary = dict[str, Any]
"""worst, median, stratum (of the worst), nan, inputs, and the same by stratum"""


def add_accuracy(
    report: Report, traces: Traces, *, seed: int = 0, examples: int = 64, inputs: Sequence[Input] | None = None
) -> None:
    """Fills in `ulps` of every line of a report, and notes where lines lose their digits."""
    try:
        measured = accuracy(traces.derivation, seed=seed, examples=examples, inputs=inputs, traces=traces)
    except NoInputError as error:
        report.notes.append(f"accuracy was not measured: {error}")
        return
    surveyor = Surveyor(traces.derivation, seed, traces)
    for dtype in DTYPES:
        surveys = surveyor.survey(dtype)
        for line in report.lines:
            compiled = measured[line.label].get(dtype, {}).get("compiled")
            if compiled is not None:
                compiled["regions"] = list(_regions_of(line.label, surveys))
        if dtype == DTYPES[0]:
            report.accuracy += _meanings(surveys)
        report.accuracy += _sentences(dtype, surveys)
    for line in report.lines:
        line.ulps = measured[line.label] or None
    for dtype in DTYPES:
        report.accuracy += _figures(dtype, report.lines)


def accuracy(
    derivation: Derivation,
    *,
    seed: int = 0,
    examples: int = 64,
    inputs: Sequence[Input] | None = None,
    traces: Traces | None = None,
) -> dict[str, dict[str, dict[str, Summary | None]]]:
    """The errors in ulps of every line: by label, dtype and way of computing.

    Each line is measured against the real function that it is itself, at inputs rounded to float32, all of one shape. An
    input's error is that of the worst component of the gradient; NaN, and infinity where the truth is finite, are counted
    apart.

    Args:
        derivation: whose lines.
        seed: of the inputs.
        examples: how many inputs, over all strata.
        inputs: these inputs and no others; of several shapes, those in the shape that most have.
        traces: what was traced of the derivation already.

    Returns:
        {"line_1c": {"float64": {"compiled": {"worst": …, "median": …, "stratum": …, "nan": …, "inputs": …, "strata": …},
        "numpy": …}, "float32": …}}; "numpy" is None for a line that does not run on NumPy alone, and a line that the judge
        has no rule for has no entry.

    Raises:
        LineError: a line raises, or returns something of another shape than the gradient.
        NoInputError: no input fulfils the derivation's `where`.

    Example:
        >>> from manual_grad import notes
        >>> accuracy(notes.RESIDUAL)["claim_e"]["float64"]["compiled"]["worst"] <= 4
        True
    """
    chosen = _of_one_shape(derivation, seed, examples) if inputs is None else _largest_group(inputs)
    tried = [replace(given, args=exact_in_float32(given.args)) for given in chosen]
    tried = [given for given in tried if is_admitted(derivation, given.args)]
    if not tried:
        raise NoInputError("no input fulfils `where` once it is rounded to float32")
    args = [given.args for given in tried]
    traces = traces or Traces(derivation)
    traced = {label_of(line): traces.line(line, args[0]) for line in derivation.lines}
    lines = {label_of(line): line for line in derivation.lines if traced[label_of(line)].plan is not None}
    found: dict[str, dict[str, dict[str, Summary | None]]] = {label: {} for label in traced}
    if not lines:
        return found
    truths = {
        label: [
            true_value(plan, each) if claims_to_hold(lines[label], derivation, each) else ()
            for each in args
            if (plan := traced[label].plan) is not None
        ]
        for label in lines
    }
    for dtype in DTYPES:
        compiled = Compiled(lines, derivation.wrt, dtype)(args)
        for label, line in lines.items():
            ways: dict[Way, Values | None] = {
                "compiled": compiled.get(label),
                "numpy": by_numpy(line, derivation.wrt, dtype, args),
            }
            found[label][dtype] = {
                way: None if values is None else _summary(tried, values, truths[label], dtype)
                for way, values in ways.items()
            }
    return found


def _of_one_shape(derivation: Derivation, seed: int, examples: int) -> list[Input]:
    """Inputs over all strata in the shape that most of them have: each shape would be compiled anew."""
    drawn: list[Input] = []
    for k in range(_ROUNDS):
        drawn += draw_inputs(derivation, seed=seed + k * 10**6, at_least=1)
        if len(_largest_group(drawn)) >= examples:
            break
    return _largest_group(drawn)[:examples]


def _largest_group(inputs: Sequence[Input]) -> list[Input]:
    by_shape: dict[ShapeKey, list[Input]] = defaultdict(list)
    for given in inputs:
        by_shape[shape_key(given.args)].append(given)
    return max(by_shape.values(), key=len, default=[])


_ROUNDS = 8
"""Inputs are drawn again, until enough of them have one shape, so often at most: a third have it each time."""


def _summary(inputs: Sequence[Input], values: Values, truths: Sequence[Truth], dtype: str) -> Summary:
    errors: dict[str, list[float]] = defaultdict(list)
    for given, value, truth in zip(inputs, values, truths, strict=True):
        error = worst_component(value, truth, dtype) if truth else None
        if error is not None:
            errors[given.stratum].append(error)
    strata = {name: _spread(errors[name]) for name in dict.fromkeys([*STRATA, *errors]) if errors[name]}
    everything = _spread([error for of_stratum in errors.values() for error in of_stratum])
    worst = max(strata, key=lambda name: strata[name]["worst"] or 0.0, default=None)
    return {**everything, "stratum": worst, "strata": strata}


def _spread(errors: Sequence[float]) -> Summary:
    """Worst and median of the errors that are numbers; null where there are none."""
    finite = [error for error in errors if not math.isnan(error)]
    return {
        "worst": max(finite, default=None),
        "median": statistics.median(finite) if finite else None,
        "nan": len(errors) - len(finite),
        "inputs": len(errors),
    }


# In words


def _regions_of(label: str, surveys: Sequence[Survey]) -> Iterator[JsonObject]:
    for survey in surveys:
        for curve in survey.curves:
            if curve.label == label:
                yield {"along": survey.path.along, "given": survey.path.given, **curve.to_dict()}


def _sentences(dtype: str, surveys: Sequence[Survey]) -> list[str]:
    """Where compiled lines lose their digits: a sentence for all lines that lose them alike."""
    alike: dict[str, list[str]] = defaultdict(list)
    along = ", ".join(dict.fromkeys(survey.path.symbol for survey in surveys))
    for label in dict.fromkeys(curve.label for survey in surveys for curve in survey.curves):
        losses = "; ".join(f"{what} where {where}" for what, where in _losses(surveys, label))
        alike[losses or f"nowhere along {along} more than 2^10 ulps off"].append(label)
    return [f"{dtype}, compiled, {', '.join(labels)}: {losses}" for losses, labels in alike.items()]


def _meanings(surveys: Sequence[Survey]) -> list[str]:
    """What the numbers that run along the paths stand for, where their names do not say it."""
    meanings = dict.fromkeys((survey.path.symbol, survey.path.meaning) for survey in surveys if survey.path.meaning)
    return [f"{symbol}: {meaning}, from −1000 to 1000" for symbol, meaning in meanings]


LOSSES = (("NaN", "nan"), ("no digit right", "no digit"), ("more than 2^10 ulps off", "lost"))


def _losses(surveys: Sequence[Survey], label: str) -> Iterator[tuple[str, str]]:
    """Where a line is NaN, where else it has no digit right, and where else it loses many."""
    curves = [(survey.path, curve) for survey in surveys for curve in survey.curves if curve.label == label]
    said = set[str]()
    for what, level in LOSSES:
        found = [(path, c.regions[level] if level == "nan" else c.without_nan(level)) for path, c in curves]
        regions = dict.fromkeys(path.where(region) for path, regions in found for region in regions)
        new = [where for where in regions if where not in said]
        said |= {*new}
        if new:
            yield what, ", ".join(new)


def _figures(dtype: str, lines: Sequence[LineReport]) -> list[str]:
    """The worst and the median error of each line over the strata, a sentence for each way of computing."""
    ways: tuple[tuple[Way, str], ...] = (("compiled", "compiled"), ("numpy", "NumPy"))
    said: list[str] = []
    for way, name in ways:
        measured = [(line.label, found) for line in lines if (found := (line.ulps or {}).get(dtype, {}).get(way))]
        figures = ", ".join(f"{label} {_figure(found)}" for label, found in measured)
        said += [f"{dtype}, {name}, worst error in ulps at the inputs tried (median): {figures}"] if figures else []
    return said


def _figure(summary: Summary) -> str:
    worst, median, nan = summary["worst"], summary["median"], summary["nan"]
    found = "" if worst is None else f"{worst:.2g} ({median:.2g})"
    return " ".join([found, f"NaN at {nan} of {summary['inputs']}"] if nan else [found]).strip()
