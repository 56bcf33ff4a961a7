"""Whether lines are functions of their arguments: one that is random, or keeps state, cannot be judged."""

from autodiff_ref.judge.comparing import evaluator
from autodiff_ref.judge.errors import LineError
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.numpy_code.drawing import changes
from autodiff_ref.trees import Arguments
from manual_grad.derivation import Line, label_of


class Again:
    """Evaluates lines once more at an input, from code that is run again; each line once."""

    def __init__(self, traces: Traces, args: Arguments) -> None:
        self._before, self._again = traces, Traces(traces.derivation)
        self._args = args
        self._same = set[Line | None]()

    def require(self, *lines: Line | None) -> None:
        """Requires the same values as before; None is the reference.

        Raises:
            LineError: one returns something else.
        """
        for line in lines:
            if line in self._same:
                continue
            self._same.add(line)
            before, after = (each.line(line, self._args).plan for each in (self._before, self._again))
            if before is None or after is None:
                continue
            try:
                first, second = (evaluator(plan, self._args)(128, "exact", "exact").values for plan in (before, after))
            except Exception:  # the judge's own, or flint's: never said of the line
                continue
            if any(not a.overlaps(b) for a, b in zip(first, second, strict=True)):
                raise self._changes(line)

    def _changes(self, line: Line | None) -> LineError:
        derivation = self._before.derivation
        f = derivation.of if line is None else line
        return LineError(f"{derivation.name}: {changes(f, f'`{label_of(f)}`')}")
