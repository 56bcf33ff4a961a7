"""First wrong step: which line of a derivation is the first that does not follow?

`python benchmarks/first_wrong_step.py --problems FILE` writes the derivations as texts, without the answers.
`--answers FILE` scores any program's answers: a JSON list of `{"derivation": …, "first_wrong_line": …}`, lines counted from
1, null where all are right. Without either, ours answers and is scored; `--json` prints its answers.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from steps.bases import BASES
from steps.derivation import Problem, problems_of

Answers = dict[str, int | None]


def problems() -> list[Problem]:
    """All of them."""
    return [problem for base in BASES for problem in problems_of(base)]


def ours(some: list[Problem]) -> Answers:
    """What `verify` says, with its defaults."""
    from autodiff_ref.verify import verify

    found: Answers = {}
    for problem in some:
        label = verify(problem.derivation()).first_wrong_line
        found[problem.name] = None if label is None else int(label.removeprefix("line_"))
    return found


def scored(some: list[Problem], answers: Answers) -> dict[str, Any]:
    """How many are right: the line of wrong ones, and that right ones have none."""
    wrong = [p for p in some if p.first_wrong_line is not None]
    missing = object()
    named = [p for p in wrong if answers.get(p.name, missing) == p.first_wrong_line]
    seen = [p for p in wrong if answers.get(p.name) is not None]
    right = [p for p in some if p.first_wrong_line is None]
    return {
        "wrong derivations": len(wrong),
        "first wrong line named": len(named),
        "called wrong, another line named": len(seen) - len(named),
        "not called wrong": [p.name for p in wrong if p not in seen],
        "right derivations": len(right),
        "right ones called wrong": [p.name for p in right if answers.get(p.name) is not None],
        "not answered": [p.name for p in some if p.name not in answers],
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", metavar="FILE", help="write the derivations as texts")
    parser.add_argument("--answers", metavar="FILE", help="score these answers")
    parser.add_argument("--json", action="store_true", help="print our answers")
    options = parser.parse_args()
    some = problems()
    if options.problems:
        texts = [problem.to_dict() for problem in some]
        Path(options.problems).write_text(json.dumps(texts, ensure_ascii=False, indent=1))
        return
    since = time.monotonic()
    if options.answers:
        told = json.loads(Path(options.answers).read_text())
        answers = {each["derivation"]: each["first_wrong_line"] for each in told}
    else:
        answers = ours(some)
    if options.json:
        told = [{"derivation": name, "first_wrong_line": line} for name, line in answers.items()]
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return
    for key, value in scored(some, answers).items():
        print(f"{key}: {value}")
    print(f"{time.monotonic() - since:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
