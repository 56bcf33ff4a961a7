"""What `manual-grad rules` does."""

import importlib
import json
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from autodiff_ref.cli import targets
from autodiff_ref.cli.html import write_page
from autodiff_ref.cli.judging import exit_code
from autodiff_ref.judge.errors import reason_of
from autodiff_ref.judge.html import of_rule
from autodiff_ref.judge.rules.catalogue import row_of_text, rows_under
from autodiff_ref.judge.rules.findings import FAILS, Finding, RuleReport, exit_code_of
from autodiff_ref.judge.rules.judging import Relative
from autodiff_ref.judge.rules.library import Found, Job, failed, judge_all, quieten
from autodiff_ref.judge.rules.named import MAKES_ONE, NOT_CALLED, functions_of, judge_named, judge_row, module_names_in
from autodiff_ref.judge.rules.statics import RULED
from autodiff_ref.judge.rules.written import constructors_in, domain_of, inputs_of

FEW = 4
"""So many functions are judged in this process."""

ROW, CALL = "", ":"
"""the targets of jobs whose names are calls with domains in them: of the catalogue, and typed by the user"""


@dataclass(frozen=True)
class Done:
    """What came of one job: a report, or why there is none."""

    job: Job
    report: dict[str, Any] | None
    """as `RuleReport.to_dict` has it"""
    text: str = ""
    row: str = ""
    left: bool = False
    """whether no arguments were found that it takes"""
    makes: bool = False
    """whether it is one that makes a function with a rule"""

    @property
    def verdict(self) -> str:
        """The worst that was found."""
        return self.report["verdict"] if self.report else ""

    @property
    def name(self) -> str:
        """As people call it."""
        target, name = self.job
        return name if target in (ROW, CALL) else f"{target}{':' if target.endswith('.py') else '.'}{name.removeprefix(':')}"


def _done(job: Job, found: Found) -> Done:
    if isinstance(found, RuleReport):
        return Done(job, found.to_dict(), str(found), found.row)
    return Done(job, None, left=found in (NOT_CALLED, MAKES_ONE), makes=found == MAKES_ONE)


def run(
    *,
    target: list[str],
    domain: str | None,
    at: str | None,
    order: int,
    within: float | None,
    intent: str,
    seed: int,
    every: bool,
    workers: int,
    seconds: float,
    resume: Path | None,
    as_json: bool,
    html: Path | None,
) -> int:
    """Judges, prints, and says with which exit code to end. The arguments are the options of the command: see `ruling`."""
    quieten()
    try:
        options: dict[str, Any] = {"order": order, "seed": seed, "every": every}
        options |= {"domain": domain} if domain is not None else {}
        options |= {"at": inputs_of(at)} if at is not None else {}
        options |= {"within": Relative(within)} if within else {}
        options |= {"intent": intent} if intent else {}
        jobs, lacking = _all_jobs(target, domain)
        kept = _kept(resume)
        done = _judge(jobs, kept, options, workers=workers, seconds=seconds, resume=resume, quiet=as_json)
    except (targets.TargetError, ValueError, TypeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    judged = [each for each in done if each.report is not None]
    left = [each.name for each in done if each.left]
    if html is not None:
        reports = [report for each in judged if (report := each.report) is not None]
        said = [of_rule(report, [str(Finding(**finding)) for finding in report["findings"]]) for report in reports]
        write_page(html, "manual-grad rules", said)
    if as_json:
        reports = [each.report for each in judged]
        told = {"functions": reports, "not called": left} | ({"not found": lacking} if lacking else {})
        print(json.dumps(told, ensure_ascii=False, indent=1))
    elif jobs:
        _summary(jobs, judged, left, every=every)
        if makes := [each.name for each in done if each.makes]:
            said = f'manual-grad rules "{makes[0].replace(".py:", ".")}(…)(reals(n))"'
            print(f"to judge a function that {', '.join(makes[:4])} gives a rule, write the call: {said}")
    not_judged = [3 if left else 0]
    elsewhere = _judged_elsewhere(judged)
    if elsewhere and not as_json:
        print(f"judged where it is called: {', '.join(each.name for each in elsewhere)}")
    codes = [exit_code_of(each.verdict) for each in judged if each not in elsewhere] or not_judged
    return exit_code([*codes, *[2 for _ in lacking]])


def _judged_elsewhere(judged: Sequence[Done]) -> list[Done]:
    """Those of which no arguments were found, whose rules were judged in another function that calls them."""
    reports = [(each, each.report) for each in judged if each.report is not None]
    met = {(rule["name"], rule["place"]) for _, report in reports for rule in report["rules"] if rule["judged"]}
    return [
        each
        for each, report in reports
        if report["rules"] and not report["inputs"] and all((rule["name"], rule["place"]) in met for rule in report["rules"])
    ]


def _all_jobs(every: Sequence[str], domain: str | None) -> tuple[list[Job], dict[str, str]]:
    """The functions that targets name, each once; and of a target that names none why, which ends no run of the others."""
    jobs, lacking = dict[Job, None](), dict[str, str]()
    for target in every:
        try:
            with _prints_elsewhere():
                named = _jobs(target, domain)
            if not named:
                raise targets.TargetError(f"{target} has no public function, and its modules none with a rule of its own")
            jobs |= dict.fromkeys(named)
        except (targets.TargetError, ValueError) as error:
            lacking[target] = str(error)
    for reason in dict.fromkeys(lacking.values()):
        print(f"error: {reason}", file=sys.stderr)
    return list(jobs), lacking


@contextmanager
def _prints_elsewhere() -> Generator[None]:
    """What other people's code prints while it is imported, traced or run is none of our rows."""
    with redirect_stdout(sys.stderr):
        yield
        jax.effects_barrier()


def _summary(jobs: Sequence[Job], judged: Sequence[Done], left: Sequence[str], *, every: bool) -> None:
    if len(judged) > 1:
        counted = ", ".join(f"{count} {kind}" for kind, count in Counter(each.verdict for each in judged).items())
        print(f"{len(judged)} functions{'' if every else ' that meet a rule'}, of {len(jobs)}: {counted}")
    elif not judged and len(jobs) > len(left):
        print(f"no function that could be called has a rule of its own or meets one, of {len(jobs) - len(left)}")
    if left:
        some = ", ".join(left[:8]) + (", …" if len(left) > 8 else "")
        print(f"not judged, {len(left)}: no arguments were found that they take ({some})")
        told = f'{left[0]} --domain "reals(n)"' if ".py:" in left[0] else f'"{left[0]}(reals(n))"'
        print(f"say what each argument is drawn from, as in: manual-grad rules {told}")


def _jobs(target: str, domain: str | None) -> list[Job]:
    """The functions that a target names; a domain that cannot be read is said before anything is judged."""
    if "(" in target:
        _as_domain(domain)
        row_of_text(target).expression  # noqa: B018  a call that cannot be read is said before anything is judged
        return [(CALL, target)]
    rows = rows_under(target)
    place, colon, name = target.rpartition(":")
    named = bool(colon) and all(map(str.isidentifier, name.split(".")))
    try:
        module = targets.module_of(place if named else target)
    except targets.TargetError:
        if not rows:
            raise
        _as_domain(domain)
        return [(ROW, row.text) for row in rows]
    _as_domain(domain, module)
    if named:
        if not callable(_held(module, name)):
            known = ", ".join(functions_of(module, own=True)[:8])
            raise targets.TargetError(f"{place} has no function {name!r}; it has {known}")
        return [(place, f":{name}")]
    known = {row.text.partition("(")[0] for row in rows}
    others = [name for name in functions_of(module, own=target.endswith(".py")) if f"{target}.{name}" not in known]
    inside = [] if rows else list(_rules_inside(module))
    return [*((ROW, row.text) for row in rows), *((target, name) for name in others), *inside]


def _held(module: ModuleType, name: str) -> Any:
    """What a module holds by a name, as `Solver.solve`; None where it holds nothing."""
    try:
        return attrgetter(name)(module)
    except AttributeError:
        return None


def _rules_inside(package: ModuleType) -> Iterator[Job]:
    """The functions with a rule of their own in a package's modules, that are not to be had from the package itself."""
    seen = {id(value) for value in vars(package).values()}
    refused = list[str]()
    for name in module_names_in(package):
        try:
            module = targets.module_of(name)
        except targets.TargetError:
            refused.append(name)
            continue
        for each in functions_of(module, own=True):
            value = _held(module, each)
            if isinstance(value, RULED) and id(value) not in seen:
                seen.add(id(value))
                yield name, each
    if refused:
        some = ", ".join(refused[:4]) + (", …" if len(refused) > 4 else "")
        print(f"not imported, {len(refused)} modules of {package.__name__}: {some}", file=sys.stderr)


def judge_job(target: str, name: str, options: dict[str, Any]) -> Found:
    """The report on one function, by its target; one that was named by its user is judged in any case."""
    every, told = options.get("every", False), {key: value for key, value in options.items() if key != "every"}
    if target in (ROW, CALL):
        return judge_row(row_of_text(name), told | _as_domain(told.get("domain")), every=every or target == CALL)
    module = importlib.import_module(target) if not target.endswith(".py") else targets.module_of(target)
    told |= _as_domain(told.get("domain"), module)
    return judge_named(module, name.removeprefix(":"), told, always=name.startswith(":"), every=every)


def _as_domain(text: str | None, module: ModuleType | None = None) -> dict[str, Any]:
    """The option that a text of domains is; it may name kinds of the module that is judged."""
    return {} if text is None else {"domain": domain_of(text, module and constructors_in(module))}


def _kept(path: Path | None) -> dict[Job, Done]:
    """What a file holds of a run that ended early; a last line that was not written to its end is left out."""
    kept: dict[Job, Done] = {}
    if path is None or not path.exists():
        return kept
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line)
            job = (found["target"], found["function"])
            kept[job] = Done(job, found["report"], found["text"], found["row"], found["left"])
        except (ValueError, KeyError, TypeError):
            continue
    return kept


def _keep(path: Path, done: Done) -> None:
    told = {
        "target": done.job[0],
        "function": done.job[1],
        "report": done.report,
        "text": done.text,
        "row": done.row,
        "left": done.left,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(told, ensure_ascii=False) + "\n")


def _judge(
    jobs: list[Job],
    kept: dict[Job, Done],
    options: dict[str, Any],
    *,
    workers: int,
    seconds: float,
    resume: Path | None,
    quiet: bool,
) -> list[Done]:
    """What came of each job, in their order; those that a file holds already are not judged again."""
    made = {job: kept[job] for job in jobs if job in kept}
    console, errors = Console(), Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("rules", total=len(jobs), completed=len(made))
        left = [job for job in jobs if job not in made]
        for job, found in _reports(left, options, workers=workers, seconds=seconds):
            made[job] = _done(job, found)
            if resume is not None:
                _keep(resume, made[job])
            bar.update(task, completed=len(made), description=f"rules: {made[job].name}")
            if made[job].report is not None and not quiet:
                full = made[job].verdict in FAILS or len(jobs) <= FEW
                console.print(Text(made[job].text if full else made[job].row), soft_wrap=True)
    return [made[job] for job in jobs]


def _reports(jobs: list[Job], options: dict[str, Any], *, workers: int, seconds: float) -> Iterator[tuple[Job, Found]]:
    if len(jobs) > FEW:
        yield from judge_all(jobs, judge_job, options, workers=workers, seconds=seconds)
        return
    for job in jobs:
        try:
            with _prints_elsewhere():
                found = judge_job(*job, {**options, "seconds": seconds})
        except NotImplementedError as error:
            found = failed((job[0], job[1].removeprefix(":")), str(error))
        except Exception as error:
            if len(jobs) == 1 and isinstance(error, ValueError | TypeError):  # told as bad usage
                raise
            found = failed((job[0], job[1].removeprefix(":")), reason_of(error))
        yield job, found
