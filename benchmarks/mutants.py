"""The judge on trial: mistakes and right rewrites of every derivation there is, at seeds of your choice.

    python benchmarks/mutants.py --seeds 1 2 3

prints a row a derivation and seed: how many mistakes were planted in its lines, how many the judge refutes, how many equal
their line to 30 digits at 1,000 inputs, how many have no value at most inputs, how many it could not tell apart, and how
many it calls right that are not (`missed`); how many right rewrites were compared, and how many of those it refutes (none
may be). Then every mutant that was not told apart, and every rewrite that was refuted or undecided. Of each derivation, one
mutant a seed goes through the whole judge, which must name its line first.

Exit code 1 where a rewrite is refuted, a mutant missed, or a planted line not named.
"""

import argparse
import runpy
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from autodiff_ref.judge.trial.trial import Finding, trial
from autodiff_ref.judge.trial.variants import Inputs, Variants
from autodiff_ref.judge.verdict import RIGHT, verdict_of
from autodiff_ref.verify import verify
from manual_grad import Derivation, notes
from manual_grad.derivation import label_of
from manual_grad.extensions import depth

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.rewriting import rewrites  # noqa: E402 (after the path is set)

EVERY = 4
"""a rewrite is compared at every fourth input of the judge"""


def derivations(only: list[str]) -> Iterator[Derivation]:
    """The notes, the net of any depth, the tests' derivations and the examples."""
    from tests.derivations import MODULES

    spaces = {module.__name__.rpartition(".")[2]: vars(module) for module in (notes, depth, *MODULES)}
    spaces |= {f"examples/{path.name}": runpy.run_path(str(path)) for path in sorted((ROOT / "examples").glob("*.py"))}
    if unknown := set(only) - set(spaces):
        raise SystemExit(f"no {', '.join(sorted(unknown))}; there are {', '.join(spaces)}")
    for name, space in spaces.items():
        if not only or name in only:
            yield from (value for value in space.values() if isinstance(value, Derivation))


def rewritten(derivation: Derivation, seed: int, most: int) -> tuple[Counter[str], list[str]]:
    """Verdicts on right rewrites of every line, and those that are not right."""
    count, unexpected, inputs = Counter[str](), list[str](), Inputs(derivation, seed)
    for line in derivation.lines:
        made = rewrites(derivation, line, seed=seed, most=most)
        if not made:
            continue
        variants = Variants(made[0].source, inputs)
        for rewrite in made:
            relation = variants.relation(rewrite.edits, EVERY)
            verdict, reason = verdict_of(relation, wanted=1)
            count[verdict] += 1
            if verdict not in RIGHT:
                why = f"refuted at {relation.differences[0]}" if relation.differences else f"{verdict}, {reason}"
                unexpected.append(f"{derivation.name}, {label_of(line)}: {rewrite.kind}: {rewrite.sentence}: {why}")
    return count, unexpected


def named_by_the_whole_judge(derivation: Derivation, findings: list[Finding], seed: int) -> str | None:
    """Plants one refuted mutant for good; what is wrong if the judge does not name its line first."""
    refuted = [finding for finding in findings if finding.outcome == "refuted"]
    if not refuted:
        return None
    finding = refuted[int(np.random.default_rng(seed).integers(len(refuted)))]
    lines = [finding.mutant.line if label_of(f) == finding.label else f for f in derivation.lines]
    report = verify(derivation.with_lines(*lines), shrink=False)
    if report.first_wrong_line == finding.label:
        return None
    return (
        f"{derivation.name}: {finding.mutant.sentence} in {finding.label}, and {report.first_wrong_line} is named\n{report}"
    )


def main() -> None:
    """Prints the table, and what is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--most", type=int, default=12, help="mistakes a line")
    parser.add_argument("--rewrites", type=int, default=4, help="rewrites a line")
    parser.add_argument("--only", nargs="+", default=[], help="modules: notes, softmax, examples/softmax.py, …")
    parser.add_argument("--no-judge", action="store_true", help="leave out the whole judge")
    options = parser.parse_args()
    columns = ("planted", "refuted", "equal", "no value", "not told", "missed", "rewrites", "agree", "refuted", "s")
    print(f"{'derivation':48} {'seed':>4} " + " ".join(f"{c:>8}" for c in columns))
    total, untold, wrong, began = Counter[str](), list[str](), list[str](), time.monotonic()
    for derivation in derivations(options.only):
        for seed in options.seeds:
            start = time.monotonic()
            tried = trial(derivation, seed=seed, most=options.most)
            verdicts, unexpected = rewritten(derivation, seed, options.rewrites)
            if not options.no_judge and (named := named_by_the_whole_judge(derivation, tried.findings, seed)):
                wrong.append(named)
            outcomes = tried.count()
            row = {
                "planted": len(tried.findings),
                "refuted": outcomes["refuted"],
                "equal": outcomes["equal"],
                "no value": outcomes["no value"],
                "not told": outcomes["not told apart"],
                "missed": sum(finding.missed for finding in tried.findings),
                "rewrites": verdicts.total(),
                "agree": verdicts["agrees"],
                "rewrites refuted": verdicts["refuted"],
            }
            total.update(row)
            print(
                f"{derivation.name[:48]:48} {seed:4} " + " ".join(f"{n:8}" for n in row.values()),
                f"{time.monotonic() - start:8.1f}",
                flush=True,
            )
            untold += [
                f"{derivation.name}, {f.label}: {f.mutant.kind}: {f.mutant.sentence}: {f.reason}"
                for f in tried.findings
                if f.outcome == "not told apart"
            ]
            untold += [text for text in unexpected if ": refuted at" not in text]
            wrong += [text for text in unexpected if ": refuted at" in text]
    print(f"{'all':48} {'':4} " + " ".join(f"{n:8}" for n in total.values()), f"{time.monotonic() - began:8.1f}")
    for title, texts in (("not told apart, or undecided", untold), ("WRONG", wrong)):
        if texts:
            print(f"\n{title}")
            print(*(f"  {text}" for text in texts), sep="\n")
    raise SystemExit(1 if wrong or total["missed"] else 0)


if __name__ == "__main__":
    main()
