"""The command `manual-grad grade`: what it may be told. What it does is in `graded`, which imports JAX."""

from pathlib import Path
from typing import Annotated

import typer


def grade_command(
    submissions: Annotated[list[Path], typer.Argument(help="The files that were handed in.")],
    of: Annotated[str, typer.Option(metavar="REFERENCE", help="The solution: a file, with :NAME for one of several.")],
    points: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="How many points a right derivation is worth; by default as many as the reference has lines without ∇.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds for each submission, after which it is killed.")] = 60.0,
    workers: Annotated[
        int,
        typer.Option(min=1, help="How many submissions are judged at the same time: more take less time and more memory."),
    ] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the inputs; the same seed gives the same points.")] = 0,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print the feedback for each student as well.")] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table as CSV.", show_default=False)] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one HTML page.", show_default=False)] = None,
    feedback: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a text file for each student.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Grade what students hand in: points by line, with the wrong line, the suspect and a counterexample.

    What is differentiated, by what, and the domain are the reference's, whatever a submission says. A submission is a file
    with a Derivation, or with functions and a list of them, `lines = [line_1, line_2]`.

    \b
    manual-grad grade --of solution.py submissions/*.py --csv points.csv --html points.html
    manual-grad grade --of solution.py:SLOPE --points 10 submissions/*/slope.py

    A line that calls jax.grad, or leaves something to ∇, gets no points. docs/grading.md has the rules. Each submission is
    run in a process of its own, with your rights and a time limit: that is no sandbox.

    Exit code: 0 all are graded; 3 you have to look at some yourself; 2 bad usage, or a reference that is not right.
    """  # noqa: D301  \b is the character itself: it keeps the lines of its paragraph
    from autodiff_ref.cli.graded import Wanted, run

    wanted = Wanted(submissions, of, points, timeout, workers, seed, verbose, csv, html, feedback, as_json)
    raise typer.Exit(run(wanted))
