"""The error of every line of a derivation along its paths: where it loses its digits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autodiff_ref.judge.accuracy.computing import Compiled, Values, Way, by_numpy
from autodiff_ref.judge.accuracy.paths import Path, paths_of
from autodiff_ref.judge.accuracy.regions import Region, find_regions
from autodiff_ref.judge.accuracy.ulps import LOST, Truth, true_value, worst_component
from autodiff_ref.judge.errors import is_admitted
from autodiff_ref.judge.lines.trace import ShapeKey, Traced, claims_to_hold, shape_key
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.trees import Arguments, JsonObject
from manual_grad.derivation import Derivation, Line, label_of


@dataclass(frozen=True)
class Curve:
    """A line's error along a path."""

    label: str
    errors: tuple[float | None, ...]
    """in ulps at each number of the path's grid, the worst from all its bases; NaN where the value is; None where no truth
    is known or the line does not claim to hold"""
    regions: Mapping[str, Sequence[Region]]
    """by level: "lost", beyond 2^10 ulps; "no digit", at least half the value; "nan" """

    @property
    def worst(self) -> float:
        """The largest error on the grid that is a number."""
        return max((error for error in self.errors if error is not None and not math.isnan(error)), default=0.0)

    @property
    def elsewhere(self) -> float:
        """The largest error on the grid that is not beyond 2^10 ulps."""
        return max((error for error in self.errors if error is not None and error <= LOST), default=0.0)

    def without_nan(self, level: str) -> list[Region]:
        """The regions of a level that are not NaN throughout."""
        return [region for region in self.regions[level] if region not in self.regions["nan"]]

    def to_dict(self) -> JsonObject:
        """As JSON."""
        regions = {level: [region.to_dict() for region in found] for level, found in self.regions.items()}
        return {"label": self.label, "worst": self.worst, **regions}


@dataclass(frozen=True)
class Survey:
    """The lines of a derivation along one path."""

    path: Path
    dtype: str
    way: Way
    curves: tuple[Curve, ...]
    left_out: Mapping[str, str]
    """lines without a curve, and why"""

    def to_dict(self) -> JsonObject:
        """As JSON."""
        return {
            "along": self.path.along,
            "given": self.path.given,
            "dtype": self.dtype,
            "computed": self.way,
            "lines": [curve.to_dict() for curve in self.curves],
            "left_out": dict(self.left_out),
        }


class Surveyor:
    """The paths of a derivation, surveyed; what is true, and what is compiled, is kept for the next survey.

    Args:
        derivation: whose lines; each is measured against the real function that it is itself, right or wrong.
        seed: of the inputs that paths start from.
        traces: what was traced of the derivation already.
    """

    def __init__(self, derivation: Derivation, seed: int = 0, traces: Traces | None = None) -> None:
        self.derivation, self.seed = derivation, seed
        self._traces = traces or Traces(derivation)
        self._truths: dict[tuple[str, str, int, float], Truth] = {}
        self._compiled: dict[tuple[ShapeKey, str], Compiled] = {}

    def survey(self, dtype: str = "float64", way: Way = "compiled") -> list[Survey]:
        """Every line along every path.

        Args:
            dtype: "float64" or "float32".
            way: "compiled" by XLA with JAX's ∇, or "numpy": lines that run on NumPy alone.

        Returns:
            One survey a path; none where no real number of the domain can run.

        Raises:
            LineError: a line raises, or returns something of another shape than the gradient.

        Example:
            >>> from manual_grad import notes
            >>> for found in Surveyor(notes.RESIDUAL).survey():
            ...     print(found.path.name, [curve.label for curve in found.curves if curve.regions["lost"]])
            z, y=−1 ['claim_a', 'claim_b', 'claim_c']
            z, y=+1 ['claim_a', 'claim_b', 'claim_c', 'claim_d']
        """
        return [self._along(path, dtype, way) for path in paths_of(self.derivation, self.seed)]

    def _along(self, path: Path, dtype: str, way: Way) -> Survey:
        args = path.bases[0](path.grid[0])
        traced = self._lines(args)
        lines = {label_of(f): f for f in self.derivation.lines if traced[label_of(f)].plan is not None}
        left_out = {label: line.reason for label, line in traced.items() if line.plan is None}
        if way == "numpy":
            silent = [label for label, f in lines.items() if by_numpy(f, self.derivation.wrt, dtype, [args]) is None]
            left_out |= dict.fromkeys(silent, "does not run on NumPy alone")
            lines = {label: f for label, f in lines.items() if label not in silent}
        elif lines:
            compiled = self._compiler(lines, args, dtype)
            compiled([args])
            left_out |= compiled.failed
            lines = {label: f for label, f in lines.items() if label not in compiled.failed}
        errors: dict[tuple[str, float], float | None] = {}

        def measure(wanted: Mapping[str, Sequence[float]]) -> None:
            missing = {label: {v for v in values if (label, v) not in errors} for label, values in wanted.items()}
            numbers = sorted(set().union(*missing.values()))
            if not numbers:
                return
            inputs = {value: [base(value) for base in path.bases] for value in numbers}
            for label, values in self._computed(lines, missing, dtype, way, inputs).items():
                for value, rows in values.items():
                    assert rows is not None  # lines that do not run on NumPy are left out
                    found = [
                        self._error(lines[label], (path.name, base, value), args, row, dtype)
                        for base, (args, row) in enumerate(zip(inputs[value], rows, strict=True))
                    ]
                    errors[label, value] = _worst(found)

        if lines:
            measure(dict.fromkeys(lines, path.grid))
        regions = find_regions(list(lines), path.grid, errors, measure, dtype)
        curves = [Curve(f, tuple(errors[f, value] for value in path.grid), regions[f]) for f in lines]
        return Survey(path, dtype, way, tuple(curves), left_out)

    def _lines(self, args: Arguments) -> dict[str, Traced]:
        """Every line, traced at the shapes of `args`."""
        return {label_of(line): self._traces.line(line, args) for line in self.derivation.lines}

    def _compiler(self, lines: Mapping[str, Line], args: Arguments, dtype: str) -> Compiled:
        key = (shape_key(args), dtype)
        if key not in self._compiled:
            self._compiled[key] = Compiled(lines, self.derivation.wrt, dtype)
        return self._compiled[key]

    def _computed(
        self,
        lines: Mapping[str, Line],
        wanted: Mapping[str, set[float]],
        dtype: str,
        way: Way,
        inputs: Mapping[float, list[Arguments]],
    ) -> dict[str, dict[float, Values | None]]:
        """By line and number, the line's values at that number from each base."""
        if way == "numpy":
            wrt = self.derivation.wrt
            return {f: {v: by_numpy(lines[f], wrt, dtype, inputs[v]) for v in numbers} for f, numbers in wanted.items()}
        flat = [args for at in inputs.values() for args in at]
        computed, count = self._compiler(lines, flat[0], dtype)(flat), len(flat) // len(inputs)
        rows = {value: slice(k * count, (k + 1) * count) for k, value in enumerate(inputs)}
        return {f: {value: computed[f][rows[value]] for value in numbers} for f, numbers in wanted.items()}

    def _error(
        self, line: Line, place: tuple[str, int, float], args: Arguments, computed: Values, dtype: str
    ) -> float | None:
        if not is_admitted(self.derivation, args) or not claims_to_hold(line, self.derivation, args):
            return None
        key = (label_of(line), *place)
        if key not in self._truths:
            plan = self._traces.line(line, args).plan
            assert plan is not None  # lines without one are left out
            self._truths[key] = true_value(plan, args)
        return worst_component(computed, self._truths[key], dtype)


def _worst(errors: Sequence[float | None]) -> float | None:
    known = [error for error in errors if error is not None]
    return math.nan if any(map(math.isnan, known)) else max(known, default=None)
