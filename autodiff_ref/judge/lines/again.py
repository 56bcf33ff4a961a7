"""Whether lines are functions of their arguments: one that is random, or keeps state, cannot be judged."""

from collections.abc import Sequence

from autodiff_ref.judge.comparing import evaluator
from autodiff_ref.judge.errors import LineError
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.numpy_code.drawing import why_it_changes
from autodiff_ref.trees import Arguments
from manual_grad.derivation import Line, label_of


def require_the_same_again(traces: Traces, lines: Sequence[Line | None], args: Arguments) -> None:
    """Evaluates lines once more at an input, from code that is run again; None is the reference.

    Raises:
        LineError: one returns something else.
    """
    again = Traces(traces.derivation)
    for line in lines:
        before, after = (each.line(line, args).plan for each in (traces, again))
        if before is None or after is None:
            continue
        try:
            first, second = (evaluator(plan, args)(128, "exact", "exact").values for plan in (before, after))
        except Exception:  # the judge's own, or flint's: never said of the line
            continue
        if any(not a.overlaps(b) for a, b in zip(first, second, strict=True)):
            f = traces.derivation.of if line is None else line
            raise LineError(
                f"{traces.derivation.name}: `{label_of(f)}` returns something else when it is evaluated again at the same "
                f"input: {why_it_changes(f)}. Make it a function of its arguments: hand in what is drawn, or fix the seed"
            )
