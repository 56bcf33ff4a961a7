"""The battery: 100 backward functions in NumPy, each as it should be and with one planted mistake, and what is said of them.

`python benchmarks/backwards.py` prints those that got no verdict, or a false one, and the sums; `--all` prints a row for
each, `--json` the numbers, and `--only conv` judges those whose name or file contains that. Whether a version is right is
known from central differences of its forward, and not from the judge.
"""

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from backwards.case import FEATURES, Case, cases, off_by_differences, planted, verdict
from timing import machine

RIGHT, WRONG = 1e-5, 1e-3
"""shares of the largest entry: up to the first, differences call a gradient right; from the second, wrong"""


@dataclass(frozen=True)
class Row:
    """What was said of one version of a backward function."""

    name: str
    style: str
    version: str
    is_right: bool
    """by differences"""
    verdict: str
    seconds: float
    said: str

    @property
    def is_false(self) -> bool:
        """Whether the verdict is another than what differences say."""
        return self.verdict != "undecided" and self.verdict != ("right" if self.is_right else "wrong")


def judged(case: Case, version: str) -> Row:
    """One version of a case.

    Raises:
        ValueError: differences do not say what it should be.
    """
    off = off_by_differences(case)
    if RIGHT < off < WRONG or (off <= RIGHT) != (version == "right"):
        raise ValueError(f"{case.name} is meant to be {version}, and is {off:.1e} away from central differences")
    since = time.perf_counter()
    said, message = verdict(case)
    return Row(case.name, case.style, version, off <= RIGHT, said, time.perf_counter() - since, message)


def summary(rows: list[Row]) -> dict[str, object]:
    """The sums."""
    told = Counter(row.name for row in rows if row.verdict != "undecided")
    return {
        "functions": len({row.name for row in rows}),
        "with a verdict on both versions": sum(count == 2 for count in told.values()),
        "false verdicts": sum(row.is_false for row in rows),
        "undecided": sum(row.verdict == "undecided" for row in rows),
        "seconds": round(sum(row.seconds for row in rows), 1),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the numbers")
    parser.add_argument("--all", action="store_true", help="print every row")
    parser.add_argument("--only", default="", help="only those whose name or file contains this")
    options = parser.parse_args()
    some = [case for case in cases() if options.only in f"{case.hand.__module__} {case.name}"]
    rows = [judged(each, version) for case in some for each, version in ((case, "right"), (planted(case), "wrong"))]
    if options.json:
        features = {name: sum(name in case.features for case in some) for name in FEATURES}
        told = {"machine": machine(), **summary(rows), "features": features, "rows": [asdict(row) for row in rows]}
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return
    for row in rows:
        if options.all or row.is_false or row.verdict == "undecided":
            said = row.said.splitlines()[0][:160] if row.verdict == "undecided" else ""
            print(f"{row.name:28} {row.style:9} {row.version:6} {row.verdict:10} {row.seconds:5.2f} s  {said}".rstrip())
    for name, value in summary(rows).items():
        print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
