"""The `manual-grad` command."""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from autodiff_ref import targets
from autodiff_ref.explaining import explain_command
from autodiff_ref.judging_rules import rules_command
from autodiff_ref.stability import stability
from autodiff_ref.table import TableError, read_table
from autodiff_ref.train import commands
from autodiff_ref.verify import LineError, Report, verify
from autodiff_ref.verify.judge import Progress as Tell
from autodiff_ref.verify.judge import check
from autodiff_ref.verify.mutation.trial import Trial, trial
from manual_grad import Derivation

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
        float | None, typer.Option(min=0, help="Seconds for each derivation; what is left is undecided, or not proved.")
    ] = None,
    mutants: Annotated[
        int, typer.Option(min=0, help="Plant so many mistakes in each line as well, and say how many were found.")
    ] = 0,
    no_proof: Annotated[bool, typer.Option("--no-proof", help="Do not prove lines in symbols: balls alone decide.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
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

    Exit code: 0 all right, 1 a line is refuted or the reference is wrong, 3 something is undecided and nothing refuted, or a
    planted mistake was called right, 2 bad usage or input.
    """  # noqa: D301  \b is the character itself: it keeps the lines of its paragraph
    console = Console()
    trials: list[Trial] = []
    with _input_errors(), _only_json(as_json):
        on_data = data is not None or label is not None
        chosen = {} if on_data else targets.all_derivations(target or [NOTES])
        if on_data:
            reports = _on_data(console, target, data, label, seed, quiet=as_json)
        elif only_list:
            reports = []
        else:
            reports = _judge(
                console,
                chosen,
                quiet=as_json,
                seed=seed,
                examples=examples,
                prove=not no_proof,
                floats=floats,
                accuracy=accuracy,
                timeout=timeout,
            )
            if mutants:
                trials = _try(console, chosen, quiet=as_json, seed=seed, most=mutants)
    if only_list and not on_data:
        _list(chosen, as_json=as_json)
        return
    if as_json:
        entries = [report.to_dict() for report in reports]
        for entry, trial_of_it in zip(entries, trials, strict=False):
            entry["mutants"] = trial_of_it.to_dict()
        print(json.dumps({"derivations": entries}, ensure_ascii=False, indent=1))
    codes = [report.exit_code for report in reports] + [0 if trial_of_it.ok else 3 for trial_of_it in trials]
    raise typer.Exit(1 if 1 in codes else max(codes))


def _judge(console: Console, chosen: dict[str, Derivation], *, quiet: bool, **options: Any) -> list[Report]:
    reports: list[Report] = []
    # bad input of any of them stops all, before anything is printed
    checked = [(derivation, check(derivation)) for derivation in chosen.values()]
    for derivation, traces in checked:
        with _progress(derivation.name) as tell:
            report = verify(derivation, progress=tell, traces=traces, **options)
        if (errors := Console(stderr=True)).is_terminal and report.sweep_seconds:
            errors.print(f"{derivation.name}: swept in floats in {report.sweep_seconds:.1f} s", style="dim", markup=False)
        reports.append(report)
        if not quiet:
            console.print(report, soft_wrap=True)  # what a reader pastes stays in one piece
            console.print()
    return reports


def _try(console: Console, chosen: dict[str, Derivation], *, quiet: bool, **options: Any) -> list[Trial]:
    trials: list[Trial] = []
    for derivation in chosen.values():
        with _progress(f"mistakes planted in {derivation.name}") as tell:
            trials.append(trial(derivation, progress=tell, **options))
        if not quiet:
            console.print(trials[-1])
            console.print()
    return trials


def _on_data(
    console: Console, target: list[str] | None, data: Path | None, label: str | None, seed: int, *, quiet: bool
) -> list[Report]:
    if data is None or label is None:
        raise TableError("--data FILE and --label COLUMN go together")
    if target:
        raise TableError("--data judges the notes: give no TARGET with it")
    from autodiff_ref.on_data import verify_on_data

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


def _list(chosen: dict[str, Derivation], *, as_json: bool) -> None:
    """For pipes: a row is never wrapped."""
    if as_json:
        listed = [{"target": key, "name": d.name, "lines": d.labels} for key, d in chosen.items()]
        print(json.dumps({"derivations": listed}, ensure_ascii=False, indent=1))
        return
    for key, derivation in chosen.items():
        print(f"{key}   {derivation.name}")
        print("  " + ", ".join(derivation.labels))


app.command("explain")(explain_command)
app.command("rules")(rules_command)
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
    except (TableError, targets.TargetError, LineError) as error:
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
