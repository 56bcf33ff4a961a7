"""What `manual-grad grade` does."""

import csv
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autodiff_ref.cli import apart
from autodiff_ref.cli.html import write_page
from autodiff_ref.cli.judging import Listener, Order, Outcome
from autodiff_ref.cli.marks import Grade, closed_lines, grade
from autodiff_ref.judge.html import of_report


@dataclass(frozen=True)
class Wanted:
    """What `manual-grad grade` is told."""

    submissions: list[Path]
    of: str
    points: float | None
    timeout: float
    workers: int
    seed: int
    verbose: bool
    csv: Path | None
    html: Path | None
    feedback: Path | None
    as_json: bool


class UnusableReferenceError(ValueError):
    """A reference that nothing can be graded by."""


def run(wanted: Wanted) -> int:
    """Grades, prints and writes; returns the exit code."""
    options = {"seed": wanted.seed}
    try:
        shares = _shares(wanted.of, options, wanted.timeout)
    except UnusableReferenceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    files = list(dict.fromkeys(map(str, wanted.submissions)))
    names = names_of(files)
    of = wanted.points if wanted.points is not None else float(shares)
    with ThreadPoolExecutor(wanted.workers) as pool:
        found = pool.map(lambda file: _judged(file, wanted.of, options, wanted.timeout), files)
        grades = [
            grade(names[file], file, outcome.entry, of=of, shares=shares) for file, outcome in zip(files, found, strict=True)
        ]
    try:
        _written(wanted, grades)
    except OSError as error:
        print(f"error: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    return 3 if any(each.look for each in grades) else 0


def _shares(of: str, options: dict[str, int], timeout: float) -> int:
    """How many closed lines the reference has, which is judged first."""
    outcomes = list(apart.judged(Order((of,), options, graded=True), Listener(), timeout))
    for outcome in outcomes:
        if outcome.kind == "error":
            raise UnusableReferenceError(outcome.entry["error"])
    if len(outcomes) > 1:
        targets = [outcome.target for outcome in outcomes]
        raise UnusableReferenceError(f"{of} defines {len(targets)} derivations: name one of them, as {' or '.join(targets)}")
    entry = outcomes[0].entry
    if not entry["ok"]:
        at = f", wrong first at {entry['first_wrong_line']}" if entry["first_wrong_line"] else ""
        raise UnusableReferenceError(f"{of} is not right throughout{at}: see manual-grad verify {of}")
    if entry["origins"][-1]["left"] or entry["origins"][-1]["calls"]:
        raise UnusableReferenceError(f"{of}: the last line of a solution has neither a ∇ nor jax.grad in it")
    return closed_lines(entry)


def _judged(file: str, of: str, options: dict[str, int], timeout: float) -> Outcome:
    order = Order((file,), options, of=of, graded=True)
    return next(iter(apart.judged(order, Listener(), timeout)))


def names_of(files: list[str]) -> dict[str, str]:
    """What tells submissions apart: their files' names, or their folders' where all files have one name.

    Example:
        >>> names_of(["in/ann/slope.py", "in/bob/slope.py"])
        {'in/ann/slope.py': 'ann', 'in/bob/slope.py': 'bob'}
        >>> names_of(["in/ann.py", "in/bob.py"])
        {'in/ann.py': 'ann', 'in/bob.py': 'bob'}
    """
    paths = [Path(file) for file in files]
    tails = [path.parent if len(paths) > 1 and len({p.name for p in paths}) == 1 else path.with_suffix("") for path in paths]
    top = os.path.commonpath([tail.absolute().parent for tail in tails])
    return {file: os.path.relpath(tail.absolute(), top) for file, tail in zip(files, tails, strict=True)}


HEADINGS = ("name", "points", "most", "of", "look", "first wrong line", "why", "file")


def _row(each: Grade) -> list[str]:
    look = "look yourself" if each.look else ""
    return [
        each.name,
        written(each.points),
        written(each.most),
        written(each.of),
        look,
        each.first_wrong_line,
        each.why,
        each.file,
    ]


SHOWN = ("name", "points", "first wrong line", "why")
"""the columns of the tables that people read"""


def _shown(each: Grade) -> list[str]:
    look = "look yourself: " if each.look else ""
    return [each.name, _said(each), each.first_wrong_line, look + each.why]


def _said(each: Grade) -> str:
    """2 of 3, or 1–2 of 3 where something could not be decided."""
    upto = f"–{written(each.most)}" if each.look else ""
    return f"{written(each.points)}{upto} of {written(each.of)}"


def written(points: float) -> str:
    """Points as people write them, to three places behind the point.

    Example:
        >>> [written(points) for points in (2.0, 12.25, 20 / 3, 1250.0)]
        ['2', '12.25', '6.667', '1250']
    """
    return f"{points:.3f}".rstrip("0").rstrip(".")


def feedback_of(each: Grade) -> str:
    """What a student reads."""
    return "\n".join(_feedback(each)) + "\n"


def _feedback(each: Grade) -> Iterator[str]:
    yield f"{each.name}: {_said(each)} points"
    if each.look:
        yield "  not all could be decided: your teacher looks at it"
    if not each.marks:
        yield f"  {each.why}"
    reports = {line["label"]: line for line in each.entry.get("lines", [])}
    for mark in each.marks:
        yield f"  {mark.label}  {mark.formula}  {mark.standing}" + (f": {mark.why}" if mark.why else "")
        report = reports[mark.label]
        if found := report["counterexample"]:
            yield f"    smallest input found   {found['at']}"
            yield from (f"    {label}  {found['entry']} = {value}" for label, value in found["values"].items())
            if suspect := report["diagnosis"]:
                yield f"    suspect: {suspect['sentence']}" + (f" ({suspect['place']})" if suspect["place"] else "")


def _written(wanted: Wanted, grades: list[Grade]) -> None:
    if wanted.as_json:
        print(json.dumps({"grades": [each.to_dict() for each in grades]}, ensure_ascii=False, indent=1))
    else:
        _printed(grades, verbose=wanted.verbose)
    if wanted.csv is not None:
        with wanted.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(HEADINGS)
            writer.writerows(map(_harmless, map(_row, grades)))
    if wanted.html is not None:
        write_page(wanted.html, f"manual-grad grade --of {wanted.of}", [_html_table(grades), *map(_html, grades)])
    if wanted.feedback is not None:
        for each in grades:
            path = wanted.feedback / f"{each.name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(feedback_of(each), encoding="utf-8")


def _harmless(row: list[str]) -> list[str]:
    """Cells that a spreadsheet takes for no formula: a student chooses names of lines and messages of errors."""
    return [f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell for cell in row]


def _printed(grades: list[Grade], *, verbose: bool) -> None:
    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in SHOWN:
        table.add_column(heading, overflow="fold")
    for each in grades:
        table.add_row(*map(Text, _shown(each)))
    console.print(table)
    if verbose:
        for each in grades:
            console.out("\n" + feedback_of(each), end="", highlight=False)


def _html_table(grades: list[Grade]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in SHOWN)
    rows = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _shown(each))}</tr>" for each in grades)
    return f'<section class="manual-grad">\n<table>\n<tr>{head}</tr>\n{rows}\n</table>\n</section>'


def _html(each: Grade) -> str:
    report = of_report({**each.entry, "name": f"{each.name}: {_said(each)} points"})
    said = (": ".join([mark.label, mark.standing, *([mark.why] if mark.why else [])]) for mark in each.marks)
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in said)
    return f'{report}\n<section class="manual-grad"><ul>{items}</ul></section>' if items else report
