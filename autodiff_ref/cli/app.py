"""The `manual-grad` command."""

import json
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from autodiff_ref.cli import apart, targets
from autodiff_ref.cli.explaining import explain_command
from autodiff_ref.cli.html import write_page
from autodiff_ref.cli.judging import Listener, Order, Paper, exit_code, judged
from autodiff_ref.cli.new import new_command
from autodiff_ref.cli.rules import rules_command
from autodiff_ref.cli.stability import stability
from autodiff_ref.cli.table import TableError, read_table
from autodiff_ref.judge.derivations import Progress as Tell
from autodiff_ref.judge.html import of_report
from autodiff_ref.judge.report import Report
from autodiff_ref.train import commands

app = typer.Typer(
    name="manual-grad",
    help="Hand-derived gradients, verified line by line against autodiff.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

NOTES = "manual_grad.notes"


@app.callback()
def manual_grad() -> None:
    """Hand-derived gradients, verified line by line against autodiff."""


@app.command("verify")
def verify_command(
    target: Annotated[
        list[str] | None,
        typer.Argument(help="A module or a file, with :NAME for one derivation of it. None: the notes.", show_default=False),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Judge the notes at rows of this CSV file.")] = None,
    label: Annotated[str | None, typer.Option(help="The column of --data that holds the class: any two values.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the inputs; the same seed gives the same report.")] = 0,
    examples: Annotated[int, typer.Option(min=1, help="How many inputs at least, for each derivation.")] = 64,
    accuracy: Annotated[
        bool, typer.Option("--accuracy", help="Measure each line's errors in ulps too: slower, since lines are compiled.")
    ] = False,
    floats: Annotated[
        bool,
        typer.Option(help="Sweep thousands of inputs in floats with rounding bounds; balls look at what these leave open."),
    ] = True,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds for each derivation, judged in a process that is killed when they are over."),
    ] = None,
    mutants: Annotated[
        int, typer.Option(min=0, help="Plant so many mistakes in each line as well, and say how many were found.")
    ] = 0,
    no_proof: Annotated[bool, typer.Option("--no-proof", help="Do not prove lines in symbols: balls alone decide.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the reports to one HTML page as well.", show_default=False)
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="List the derivations and their lines, and judge nothing.")
    ] = False,
) -> None:
    """Judge derivations: is every line right, and if not, which one is wrong?

    Each line is judged against the line above it, the first against jax.grad, in ball arithmetic: without a tolerance.

    \b
    manual-grad verify
        the notes: equations (1) and (2), and how they come about
    manual-grad verify mine.py
        every Derivation at the module level of mine.py
    manual-grad verify package.module:NAME
        one derivation of a module
    manual-grad verify --mutants 12
        … and whether 12 mistakes planted in each line are found
    manual-grad verify --data t.csv --label c
        the notes, at rows of a table

    Running a file executes it with your rights, as `python FILE` would: judge only what you would run. Data files are read
    and never executed.

    A target that cannot be imported, or a derivation whose line raises or returns the wrong shape, does not stop the others.
    With --timeout, a line that never ends is killed, and named; what the lines before it were found to be is reported.

    Exit code: 0 all right; 1 a line is refuted or the reference is wrong; 3 something is undecided, or a planted mistake was
    called right; 2 bad usage or input. Of several, 2 comes before 1, and 1 before 3.
    """  # noqa: D301  \b is the character itself: it keeps the lines of its paragraph
    console = Console()
    on_data = data is not None or label is not None
    if only_list and not on_data:
        raise typer.Exit(_list(target or [NOTES], as_json=as_json))
    if on_data:
        with _input_errors(), _only_json(as_json):
            reports = _on_data(console, target, data, label, seed, quiet=as_json)
        entries, codes = [report.to_dict() for report in reports], [report.exit_code for report in reports]
    else:
        options = {
            "seed": seed,
            "examples": examples,
            "prove": not no_proof,
            "floats": floats,
            "accuracy": accuracy,
            "timeout": timeout,
        }
        order = Order(tuple(target or [NOTES]), options, mutants, Paper(console.width, console.color_system))
        with _only_json(as_json):
            entries, codes = _judge(console, order, timeout, quiet=as_json)
    if as_json:
        print(json.dumps({"derivations": entries}, ensure_ascii=False, indent=1))
    if html is not None:
        write_page(html, "manual-grad verify", [of_report(entry) for entry in entries])
    raise typer.Exit(exit_code(codes))


def _judge(console: Console, order: Order, timeout: float | None, *, quiet: bool) -> tuple[list[dict[str, Any]], list[int]]:
    """The entries of the derivations as JSON, and exit codes; prints what is found as it is found."""
    entries: list[dict[str, Any]] = []
    codes: list[int] = []
    watching = _Bars()
    outcomes = judged(order, watching) if timeout is None else apart.judged(order, watching, timeout)
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


def _on_data(
    console: Console, target: list[str] | None, data: Path | None, label: str | None, seed: int, *, quiet: bool
) -> list[Report]:
    if data is None or label is None:
        raise TableError("--data FILE and --label COLUMN go together")
    if target:
        raise TableError("--data judges the notes: give no TARGET with it")
    from autodiff_ref.cli.on_data import verify_on_data

    table = read_table(data, label)
    with _progress(data.name) as tell:
        found = verify_on_data(table, seed=seed, progress=tell)
    if not quiet:
        for sentence in found.log:
            console.print(Text(sentence))
        for report in found.reports:
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
        listed: list[dict[str, Any]] = [
            {"target": each.target, "name": each.derivation.name, "lines": each.derivation.labels} for each in usable
        ]
        listed += [{"target": each.target, "error": each.reason} for each in unusable]
        print(json.dumps({"derivations": listed}, ensure_ascii=False, indent=1))
    else:
        for each in usable:
            print(f"{each.target}   {each.derivation.name}")
            print("  " + ", ".join(each.derivation.labels))
    return 2 if unusable else 0


app.command("explain")(explain_command)
app.command("rules")(rules_command)
app.command("new")(new_command)
app.command("train")(commands.train)
app.command("predict")(commands.predict)

plots = typer.Typer(help="Pictures; they need the extra plot.", no_args_is_help=True, rich_markup_mode=None)
plots.command("stability")(stability)
app.add_typer(plots, name="plot")


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


def main() -> None:
    """The entry point of the command."""
    app()


if __name__ == "__main__":
    main()
