"""How often the judge's suggestion says what was really planted.

    python benchmarks/diagnosis.py --seed 7

Mistakes are planted by `autodiff_ref.judge.mutation` in every line of every derivation of the notes and of the judge's
tests, one at a time, and each is judged against the line above. Counted are those that are certified to differ from it and
that are planted in what is written by hand: not in what JAX does under a ∇, which nobody writes, and not inside of a
function that the line above or `of` calls too, where the mistake would be in all of them.

A suggestion is **right** if both hold, else **wrong**; **silent** if there is none:

1. Its kind describes the planted kind: `DESCRIBES` below. Some are the same mistake in other words: a factor 2 that is lost
   and a value that is half of what it should be, − for + and a sign.
2. A place that it names is a source line of the planted equation: its own, or that of a call through which it was reached.

A suggestion is only made where its repair was certified to put the line right at every input tried, so a wrong one is not
untrue: it is another mistake with the same outcome, or the same one said to be elsewhere.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jax

from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.diagnosis.diagnose import diagnose
from autodiff_ref.judge.diagnosis.suspect import Diagnosis
from autodiff_ref.judge.inputs import draw_inputs
from autodiff_ref.judge.lines.jaxprs import flattened, is_under_nabla, user_frames
from autodiff_ref.judge.mutation.mutants import Mutant, mutants
from manual_grad import Derivation, notes

DESCRIBES: dict[str, set[str]] = {
    # a sign: −a, or a − b for a + b
    "sign": {"sign", "operation"},
    # a for a b: the factor is missing, a number in its place is another one, a power is lower
    "dropped factor": {"factor", "constant", "operand", "broadcast", "exponent", "label"},
    # a b² for a b: the factor is one too many, a power is higher
    "doubled factor": {"factor", "constant", "exponent", "operand"},
    # a for a + b: the term is missing, or a stands where a + b should
    "dropped term": {"term", "operand", "constant", "sign"},
    # a + 2b for a + b: the term, or its factor 2, is one too many
    "doubled term": {"term", "constant", "operand"},
    # b − a for a − b is a sign, b/a for a/b is an upside-down quotient, A B for B A another order
    "swapped operands": {"sign", "operands", "operation", "exponent", "index", "operand"},
    # some other value: what it has more or less than the right one may be the shortest way to say it
    "wrong operand": {
        "operand",
        "index",
        "label",
        "broadcast",
        "factor",
        "term",
        "sign",
        "constant",
        "operation",
        "function",
    },
    "add↔sub": {"operation", "sign", "term"},
    "mul↔div": {"operation", "operands", "factor", "exponent", "constant"},
    "constant × (1 + 1e-9)": {"constant"},
    "mean for sum": {"constant"},
    "last only": {"sum"},
    # x for x², say: the factor x is missing
    "wrong exponent": {"exponent", "factor", "operand", "operation", "constant"},
    # tanh for σ, 1 − s² for s (1 − s), e^−x for e^x, min for max: another function, value, sign or operation
    "another function": {"function", "operand", "sign", "operation"},
    "label convention": {"label", "operand", "sign", "factor"},
    "wrong index": {"index", "operand"},
    "wrong axis": {"index", "operand"},
    "transposed": {"index", "operand"},
}
"""for each planted kind, the kinds of suggestion that describe it"""


def derivations() -> list[Derivation]:
    """The notes' and those of the judge's tests."""
    from tests.derivations import MODULES

    modules: list[Any] = [notes, *MODULES]
    return [value for module in modules for value in vars(module).values() if isinstance(value, Derivation)]


def judged(mutant: Mutant, found: Diagnosis | None) -> str:
    """right, wrong or silent."""
    if found is None:
        return "silent"
    lines = {f"{Path(file).name}:{line}" for file, line in mutant.frames}
    fits = found.kind in DESCRIBES[mutant.kind]
    return "right" if fits and lines.intersection(found.places) else "wrong"


def certified_to_differ(bench: Bench, line: Any, right: Any) -> bool:
    """Whether two lines differ at one of some inputs."""
    ordinary = [given for given in bench.inputs if given.stratum == "ordinary"][:6]
    return any(bench.differ(line, right, given.args) is not None for given in ordinary)


def called_by_right(bench: Bench, right: Any) -> set[tuple[str, int]]:
    """The source lines that run inside of functions that a right line calls, or `of`."""
    args = bench.inputs[0].args
    found = set[tuple[str, int]]()
    for traced in (bench.traced(right, args), bench.traces.of(args)):
        for eqn in flattened(traced.closed).jaxpr.eqns:
            found.update(() if is_under_nabla(eqn) else user_frames(eqn)[:-1])
    return found


def main() -> None:
    """Prints a table, and JSON with `--json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--most", type=int, default=6, help="mutants a line")
    parser.add_argument("--only", default="", help="derivations whose name holds this")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--show", action="store_true", help="every suggestion that is not right")
    options = parser.parse_args()
    table: dict[str, Counter[str]] = {}
    for derivation in derivations():
        if options.only not in derivation.name:
            continue
        bench = Bench(derivation, draw_inputs(derivation, seed=options.seed), may_shrink=False)
        for k, line in enumerate(derivation.lines):
            right = derivation.lines[k - 1] if k else None
            elsewhere = called_by_right(bench, right)
            for number, mutant in enumerate(mutants(derivation, line, seed=options.seed, most=options.most)):
                mutant.line.__name__ = f"{derivation.labels[k]}, mutant {number}"
                if (
                    mutant.under_nabla
                    or set(mutant.frames[:1]) & elsewhere
                    or not certified_to_differ(bench, mutant.line, right)
                ):
                    continue
                found = diagnose(bench, mutant.line, right)
                outcome = judged(mutant, found)
                table.setdefault(mutant.kind, Counter())[outcome] += 1
                if options.show and outcome != "right":
                    kind = "" if found is None else f"{found.kind}: "
                    print(f"{outcome}: {derivation.name} {derivation.labels[k]}\n   {mutant.kind}: {mutant.sentence}")
                    print(f"   {kind}{found}", flush=True)
        jax.clear_caches()  # the mutants' own; thousands of them would not fit
    _print(table, as_json=options.json)


def _print(table: dict[str, Counter[str]], *, as_json: bool) -> None:
    total = sum(table.values(), Counter[str]())
    if as_json:
        print(json.dumps({"kinds": table, "total": total}, ensure_ascii=False, indent=1))
        return
    print(f"{'planted':24} {'right':>6} {'wrong':>6} {'silent':>6}")
    for kind, counts in [*sorted(table.items()), ("all", total)]:
        print(f"{kind:24} {counts['right']:6} {counts['wrong']:6} {counts['silent']:6}")
    count = total.total()
    print(", ".join(f"{total[outcome] / count:.1%} {outcome}" for outcome in ("right", "wrong", "silent")))


if __name__ == "__main__":
    main()
