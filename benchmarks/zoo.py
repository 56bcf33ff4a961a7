"""The zoo: wrong derivatives from public projects, and what every gradient checker says of them.

`python benchmarks/zoo.py` runs each checker, with its own defaults, on every specimen, as shipped and as mended. It prints
a table, a table by kind, and what ours missed; `--json` prints the numbers. Peers are given three inputs that a user would
try, and a mistake counts as found if one of them shows it; `--shown` gives them the input of the report as well. `verify`
and `judge_rule` choose their own inputs. `--live` runs the libraries themselves, where they are installed. `--pages` writes
docs/zoo.md from files that `--json` and `--json --shown` printed, and runs the second set, first_wrong_step.py, for it.
"""

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from timing import machine
from zoo.specimen import KINDS, check, specimens
from zoo.tables import by_kind, missed, table


def examined(job: tuple[str, list[str], bool]) -> list[dict[str, Any]]:
    """What checkers say of one specimen, as shipped and as mended."""
    from zoo.checkers import Trial, judged

    name, checkers, shown = job
    (specimen,) = specimens([name])
    check(specimen)
    rows = list[dict[str, Any]]()
    for which, gradient in (("shipped", specimen.shipped), ("mended", specimen.mended)):
        trial = Trial(specimen, gradient, shown)
        for checker in checkers if gradient else ():
            found = judged(checker, trial)
            rows.append({"specimen": name, "kind": specimen.kind, "which": which, "checker": checker, **vars(found)})
    return rows


def live() -> None:
    """What the libraries give today."""
    for specimen in specimens():
        if specimen.live is None:
            continue
        try:
            value = f"{float(specimen.live()):.15g}"
        except ImportError as error:
            value = f"not installed: {error.name}"
        print(f"{specimen.name:32} {specimen.source.name:26} true {specimen.true_entry():<22.15g} library {value}")


def main() -> None:
    """The command."""
    from zoo.checkers import CHECKERS, installed

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the numbers")
    parser.add_argument("--only", help="only specimens whose name or kind contains this")
    parser.add_argument("--checker", help="only checkers whose name contains this")
    parser.add_argument("--shown", action="store_true", help="peers are shown the input of the report as well")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--live", action="store_true", help="run the libraries themselves")
    parser.add_argument(
        "--pages", nargs=2, metavar=("FILE", "SHOWN"), help="write docs/zoo.md from what --json and --json --shown printed"
    )
    options = parser.parse_args()
    if options.live:
        live()
        return
    if options.pages:
        from first_wrong_step import ours, problems, scored
        from zoo.pages import pages

        steps = scored(problems(), ours(problems()))
        told, shown = (json.loads(Path(file).read_text()) for file in options.pages)
        written = pages(told, shown, steps)
        (Path(__file__).parents[1] / "docs" / "zoo.md").write_text(written)
        return
    some = [s.name for s in specimens() if (options.only or "") in f"{s.kind} {s.name}"]
    checkers = [name for name in CHECKERS if (options.checker or "") in name]
    absent = [name for name in checkers if not installed(name)]
    jobs = [(name, [c for c in checkers if c not in absent], options.shown) for name in some]
    since, rows = time.monotonic(), list[dict[str, Any]]()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for k, found in enumerate(pool.imap_unordered(examined, jobs)):
            rows += found
            print(f"{k + 1} of {len(jobs)}: {found[0]['specimen']}", file=sys.stderr)
    seconds = time.monotonic() - since
    if options.json:
        told = {"machine": machine(), "seconds": seconds, "absent": absent, "shown": options.shown, "rows": rows}
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return
    print(table(rows, absent, list(CHECKERS)), by_kind(rows, KINDS), missed(rows), f"{seconds:.0f} s", sep="\n\n")


if __name__ == "__main__":
    main()
