"""What `manual-grad rules` does."""

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from autodiff_ref.cli import targets
from autodiff_ref.cli.html import write_page
from autodiff_ref.judge.html import of_text
from autodiff_ref.judge.rules.findings import FAILS, RuleReport
from autodiff_ref.judge.rules.judging import Relative
from autodiff_ref.judge.rules.library import Found, Job, failed, judge_all
from autodiff_ref.judge.rules.named import functions_of, judge_named
from autodiff_ref.judge.rules.written import domain_of, inputs_of

FEW = 4
"""So many functions are judged in this process."""


def run(
    *,
    target: list[str],
    domain: str | None,
    at: str | None,
    order: int,
    within: float | None,
    intent: str,
    seed: int,
    workers: int,
    seconds: float,
    as_json: bool,
    html: Path | None,
) -> int:
    """Judges, prints, and says with which exit code to end. The arguments are the options of the command: see `ruling`."""
    try:
        options: dict[str, Any] = {"order": order, "seed": seed}
        options |= {"domain": domain_of(domain)} if domain is not None else {}
        options |= {"at": inputs_of(at)} if at is not None else {}
        options |= {"within": Relative(within)} if within else {}
        options |= {"intent": intent} if intent else {}
        jobs = [job for each in target for job in _jobs(each)]
        reports, left = _judge(jobs, options, workers=workers, seconds=seconds, quiet=as_json)
    except (targets.TargetError, ValueError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    codes = [report.exit_code for report in reports]
    if html is not None:
        write_page(html, "manual-grad rules", [of_text(each.name, each.verdict, str(each)) for each in reports])
    if as_json:
        print(
            json.dumps(
                {"functions": [report.to_dict() for report in reports], "not called": left}, ensure_ascii=False, indent=1
            )
        )
    elif len(reports) > 1:
        counts = {kind: sum(r.verdict == kind for r in reports) for kind in dict.fromkeys(r.verdict for r in reports)}
        counted = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        print(f"{len(reports)} functions that meet a rule, of {len(jobs)}: {counted}")
    elif not reports:
        print(f"none of {len(jobs)} functions has a rule of its own or meets one")
    if left and not as_json:
        some = ", ".join(left[:8]) + (", …" if len(left) > 8 else "")
        print(f"{len(left)} others could not be called: no arguments were found that they take ({some})")
    return 1 if 1 in codes else max(codes, default=0)


def _jobs(target: str) -> list[Job]:
    """The functions that a target names."""
    place, colon, name = target.rpartition(":")
    named = bool(colon) and name.isidentifier()
    module = targets.module_of(place if named else target)
    if named:
        if not callable(getattr(module, name, None)):
            known = ", ".join(functions_of(module, own=True)[:8])
            raise targets.TargetError(f"{place} has no function {name!r}; it has {known}")
        return [(place, f":{name}")]
    return [(target, name) for name in functions_of(module, own=target.endswith(".py"))]


def judge_job(target: str, name: str, options: dict[str, Any]) -> Found:
    """The report on one function, by its target; one that was named by its user is judged in any case."""
    module = importlib.import_module(target) if not target.endswith(".py") else targets.module_of(target)
    return judge_named(module, name.removeprefix(":"), options, always=name.startswith(":"))


def _judge(
    jobs: list[Job], options: dict[str, Any], *, workers: int, seconds: float, quiet: bool
) -> tuple[list[RuleReport], list[str]]:
    """The reports; and the functions of which nobody knows whether they meet a rule."""
    reports, left = list[RuleReport](), list[str]()
    console, errors = Console(), Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("rules", total=len(jobs))
        for k, (job, report) in enumerate(_reports(jobs, options, workers=workers, seconds=seconds)):
            bar.update(task, completed=k + 1, description=f"rules: {job[1].removeprefix(':')}")
            if not isinstance(report, RuleReport):
                left += [f"{job[0]}{':' if job[0].endswith('.py') else '.'}{job[1]}"] if report is not None else []
                continue
            reports.append(report)
            if not quiet:
                full = report.verdict in FAILS or len(jobs) <= FEW
                console.print(Text(str(report) if full else report.row), soft_wrap=True)
    return reports, left


def _reports(jobs: list[Job], options: dict[str, Any], *, workers: int, seconds: float) -> Iterator[tuple[Job, Found]]:
    if len(jobs) > FEW:
        yield from judge_all(jobs, judge_job, options, workers=workers, seconds=seconds)
        return
    for job in jobs:
        with redirect_stdout(sys.stderr):  # what a function prints while it is traced
            try:
                found = judge_job(*job, options)
            except NotImplementedError as error:
                found = failed((job[0], job[1].removeprefix(":")), str(error))
        yield job, found
