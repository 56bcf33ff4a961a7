"""The prover on trial: falsehoods, which it must not prove, and right rewrites, which it should.

    python benchmarks/proofs.py --seeds 1 2 3

Of each line of every derivation there is (the notes, the net of any depth, the tests' derivations, the examples),
falsehoods are put to the prover against the line itself: 1.000000001 times the line, 0.3333333333 for 1/3, a mean for a sum,
a moved and a transposed index, a cast to int, a flipped sign, and the mistakes of `autodiff_ref.judge.mutation`. What it
proves all the same is compared in balls at 1,000 inputs at the shape of the proof: a mistake may be none. Then the right
rewrites of the line are put to it.

A row a derivation and seed: falsehoods tried, refused (not proved), proved and equal to 30 digits at all these inputs,
proved and without a value at most of them (both claims are then empty), proved and FALSE (none may be); rewrites tried and
proved; milliseconds a question. Then how many of the rewrites of each kind are proved, why the others are not, and
everything that is false.

Exit code 1 where a falsehood is proved.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from autodiff_ref.judge.mutation.mutants import mutants  # noqa: E402 (after the path is set)
from autodiff_ref.judge.proving.proofs import WORK  # noqa: E402
from autodiff_ref.judge.proving.writing import proof_arguments  # noqa: E402
from benchmarks.mutants import derivations  # noqa: E402
from manual_grad import Derivation  # noqa: E402
from manual_grad.derivation import Line, label_of  # noqa: E402
from tests.proving import false_versions, proofs_of, related  # noqa: E402
from tests.rewriting import rewrites  # noqa: E402

ENOUGH = 1000


@dataclass
class Tally:
    """What was asked, and what came of it."""

    count: Counter[str] = field(default_factory=Counter[str])
    false: list[str] = field(default_factory=list[str])
    equal: list[str] = field(default_factory=list[str])
    rewrites: Counter[str] = field(default_factory=Counter[str])
    """of rewrites: by kind, how many there were"""
    proved: Counter[str] = field(default_factory=Counter[str])
    """of rewrites: by kind, how many are proved"""
    reasons: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0
    slowest: tuple[float, str] = (0.0, "")

    def __iadd__(self, other: "Tally") -> "Tally":
        self.count += other.count
        self.rewrites += other.rewrites
        self.proved += other.proved
        self.reasons += other.reasons
        self.false += other.false
        self.equal += other.equal
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        return self

    @property
    def row(self) -> str:
        """The numbers of a row."""
        asked = self.count["tried"] + self.rewrites.total()
        names = ("tried", "refused", "equal", "no value", "FALSE")
        numbers = [*(self.count[name] for name in names), self.rewrites.total(), self.proved.total()]
        return " ".join(f"{n:8}" for n in numbers) + f" {1000 * self.seconds / max(1, asked):8.0f}"


def falsehoods(derivation: Derivation, line: Line, seed: int, most: int) -> Iterator[tuple[str, Line]]:
    """Wrong versions of a line, and what was done to it; those of mistakes that exist at the shape of proofs."""
    label, args = label_of(line), proof_arguments(derivation)
    for version in false_versions(derivation, line):
        yield version.__name__, version
    for k, mutant in enumerate(mutants(derivation, line, seed=seed, most=most)):
        if mutant.jaxpr_at(args) is not None:
            mutant.line.__name__ = f"{label}_mutant_{k}"
            yield f"{label}: {mutant.kind}: {mutant.sentence}", mutant.line


def tried(derivation: Derivation, line: Line, seed: int, options: Any) -> Tally:
    """One line: its falsehoods and its rewrites."""
    made = Tally()
    wrong = list(falsehoods(derivation, line, seed, options.most))
    args = proof_arguments(derivation)
    right = [
        rewrite
        for rewrite in rewrites(derivation, line, seed=seed, most=options.rewrites)
        if rewrite.jaxpr_at(args) is not None
    ]
    for k, rewrite in enumerate(right):
        rewrite.line.__name__ = f"{label_of(line)}_rewrite_{k}"
    together = derivation.with_lines(line, *(version for _, version in wrong), *(rewrite.line for rewrite in right))
    proofs = proofs_of(together, work=options.work, total=sys.maxsize)

    def asked(version: Line, what: str) -> str:
        start = time.perf_counter()
        reason = proofs.proof(version, line).reason
        taken = time.perf_counter() - start
        made.seconds += taken
        made.slowest = max(made.slowest, (taken, f"{derivation.name}, {what}: {reason or 'proved'}"))
        return reason

    for what, version in wrong:
        made.count["tried"] += 1
        reason = asked(version, what)
        if reason:
            made.count["refused"] += 1
            made.reasons["falsehoods: " + reason.partition(" at ")[0]] += 1
            continue
        found = related(together, version, line, enough=ENOUGH, most=2 * ENOUGH)
        text = f"{derivation.name}, {what}"
        if found.differences:
            made.count["FALSE"] += 1
            made.false.append(f"{text}: {found.differences[0]}")
        elif found.equal.total() >= ENOUGH:
            made.count["equal"] += 1
            made.equal.append(text)
        else:
            made.count["no value"] += 1
            made.equal.append(f"{text}: {found.reason}")
    for rewrite in right:
        made.rewrites[rewrite.kind] += 1
        reason = asked(rewrite.line, rewrite.sentence)
        if reason:
            made.reasons["rewrites: " + reason.partition(" at ")[0]] += 1
        else:
            made.proved[rewrite.kind] += 1
    return made


def main() -> None:
    """Prints the tables, and what is false."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--most", type=int, default=12, help="mistakes a line")
    parser.add_argument("--rewrites", type=int, default=4, help="rewrites a line")
    parser.add_argument("--work", type=int, default=WORK, help="how much the prover may do for each question")
    parser.add_argument("--only", nargs="+", default=[], help="modules: notes, softmax, examples/softmax.py, …")
    parser.add_argument("--equal", action="store_true", help="list the mistakes that are none")
    options = parser.parse_args()
    columns = ("tried", "refused", "equal", "no value", "FALSE", "rewrites", "proved", "ms each")
    print(f"{'derivation':48} {'seed':>4} " + " ".join(f"{c:>8}" for c in columns))
    total, began = Tally(), time.monotonic()
    for derivation in derivations(options.only):
        for seed in options.seeds:
            made = Tally()
            for line in derivation.lines:
                made += tried(derivation, line, seed, options)
            print(f"{derivation.name[:48]:48} {seed:4} {made.row}", flush=True)
            total += made
    print(f"{'all':48} {'':4} {total.row}   {time.monotonic() - began:.0f} s")
    print(f"slowest question: {total.slowest[0]:.1f} s, {total.slowest[1]}")
    single = Counter[str]()
    proved = Counter[str]()
    for kind, count in total.rewrites.items():  # of several in a row: each of them counts
        for each in kind.split(" + "):
            single[each] += count
            proved[each] += total.proved[kind]
    print("\nrewrites proved, by kind (of several in a row, each)")
    for kind, count in single.most_common():
        print(f"  {kind:20} {proved[kind]:5} of {count:5}")
    print("\nwhy not")
    for reason, count in total.reasons.most_common():
        print(f"  {count:5}  {reason}")
    if options.equal:
        print("\nmistakes that are none", *total.equal, sep="\n  ")
    if total.false:
        print("\nFALSE AND PROVED", *total.false, sep="\n  ")
    raise SystemExit(1 if total.false else 0)


if __name__ == "__main__":
    main()
