"""The command `manual-grad verify`: what it may be told. What it does is in `verified`, which imports JAX."""

from pathlib import Path
from typing import Annotated

import typer


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
        int,
        typer.Option(
            min=0,
            help="How many mistakes to plant in each line, to see whether they are found: each takes time, 0 plants none.",
        ),
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes to share several derivations; 2 for a module or package, 1 for a file.",
            show_default=False,
        ),
    ] = None,
    no_proof: Annotated[bool, typer.Option("--no-proof", help="Do not prove lines in symbols: balls alone decide.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the reports to one HTML page as well.", show_default=False)
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="List the derivations and their lines, and judge nothing.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say at how many inputs of each kind lines were equal as well.")
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
    from autodiff_ref.cli.verified import Wanted, run

    options = {"seed": seed, "examples": examples, "prove": not no_proof, "floats": floats, "accuracy": accuracy}
    wanted = Wanted(
        target or [], data, label, options | {"timeout": timeout}, mutants, html, workers, as_json, only_list, verbose
    )
    raise typer.Exit(run(wanted))
