"""What `manual-grad verify` does."""

import json
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from autodiff_ref.cli import apart, targets, together
from autodiff_ref.cli.html import write_page
from autodiff_ref.cli.judging import Listener, Order, Paper, exit_code
from autodiff_ref.cli.table import TableError, read_table
from autodiff_ref.judge.derivations import Progress as Tell
from autodiff_ref.judge.html import of_report
from autodiff_ref.judge.report import Report
from autodiff_ref.trees import Entry


@dataclass(frozen=True)
class Wanted:
    """What `manual-grad verify` is told."""

    target: list[str]
    data: Path | None
    label: str | None
    options: dict[str, Any]
    """of `verify`"""
    mutants: int
    html: Path | None
    workers: int | None
    as_json: bool
    only_list: bool
    verbose: bool


def run(wanted: Wanted) -> int:
    """Judges, prints, and says with which exit code to end."""
    console = Console()
    target, as_json = wanted.target or [targets.NOTES], wanted.as_json
    on_data = wanted.data is not None or wanted.label is not None
    if wanted.only_list and not on_data:
        return _list(target, as_json=as_json)
    if on_data:
        with _input_errors(), _only_json(as_json):
            reports = _on_data(console, wanted)
        entries, codes = [report.to_dict() for report in reports], [report.exit_code for report in reports]
    else:
        order = Order(
            tuple(target), wanted.options, wanted.mutants, Paper(console.width, console.color_system, wanted.verbose)
        )
        with _only_json(as_json):
            entries, codes = _judge(console, order, wanted.options["timeout"], wanted.workers, quiet=as_json)
    if as_json:
        print(json.dumps({"derivations": entries}, ensure_ascii=False, indent=1))
    if wanted.html is not None:
        write_page(wanted.html, "manual-grad verify", [of_report(entry) for entry in entries])
    return exit_code(codes)


def _judge(
    console: Console, order: Order, timeout: float | None, workers: int | None, *, quiet: bool
) -> tuple[list[dict[str, Any]], list[int]]:
    """The entries of the derivations as JSON, and exit codes; prints what is found as it is found."""
    entries: list[dict[str, Any]] = []
    codes: list[int] = []
    watching = _Bars()
    if timeout is None:
        outcomes = together.judged(order, watching, together.workers_for(order.targets, workers))
    else:
        outcomes = apart.judged(order, watching, timeout)
    for found in outcomes:
        codes.append(found.code)
        if found.kind == "trial":
            entries[-1]["mutants"] = found.entry
        else:
            entries.append(found.entry)
        if found.kind == "error":
            print(found.text, end="", file=sys.stderr)
        elif not quiet:
            console.out(found.text, highlight=False)
        if found.sweep_seconds and (errors := Console(stderr=True)).is_terminal:
            name = found.entry["name"]
            errors.print(f"{name}: swept in floats in {found.sweep_seconds:.1f} s", style="dim", markup=False)
    return entries, codes


class _Bars(Listener):
    """Shows how far the judge is, on stderr."""

    def judging(self, target: str, name: str) -> AbstractContextManager[Tell]:
        """A bar for a derivation."""
        return _progress(name)

    def planting(self, target: str, name: str) -> AbstractContextManager[Tell]:
        """A bar for its mutants."""
        return _progress(f"mistakes planted in {name}")


def _on_data(console: Console, wanted: Wanted) -> list[Report]:
    data, label = wanted.data, wanted.label
    if data is None or label is None:
        raise TableError("--data FILE and --label COLUMN go together")
    if wanted.target:
        raise TableError("--data judges the notes: give no TARGET with it")
    from autodiff_ref.cli.on_data import verify_on_data

    table = read_table(data, label)
    with _progress(data.name) as tell:
        found = verify_on_data(table, seed=wanted.options["seed"], progress=tell)
    if not wanted.as_json:
        for sentence in found.log:
            console.print(Text(sentence))
        for report in found.reports:
            report.verbose = wanted.verbose
            console.print()
            console.print(report, soft_wrap=True)
    return found.reports


def _list(wanted: list[str], *, as_json: bool) -> int:
    """The derivations and their lines, for pipes: a row is never wrapped. Returns the exit code."""
    with _only_json(as_json):
        found = list(targets.loaded(wanted))
    usable = [each for each in found if isinstance(each, targets.Usable)]
    unusable = [each for each in found if isinstance(each, targets.Unusable)]
    for each in unusable:
        print(f"error: {each.reason}", file=sys.stderr)
    if as_json:
        listed: list[Entry] = [
            {"target": each.target, "name": each.derivation.name, "lines": each.derivation.labels} for each in usable
        ]
        listed += [{"target": each.target, "error": each.reason} for each in unusable]
        print(json.dumps({"derivations": listed}, ensure_ascii=False, indent=1))
    else:
        for each in usable:
            print(f"{each.target}   {each.derivation.name}")
            print("  " + ", ".join(each.derivation.labels))
    return 2 if unusable else 0


@contextmanager
def _input_errors() -> Generator[None]:
    """Bad input ends with a sentence on stderr and exit code 2."""
    try:
        yield
    except TableError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


@contextmanager
def _only_json(as_json: bool) -> Generator[None]:
    """What a line or its file prints goes to stderr, where stdout is for JSON alone."""
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        yield


@contextmanager
def _progress(name: str) -> Generator[Tell]:
    """A bar on stderr while it runs; nothing where that is not a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=f"{name}: {what}")
