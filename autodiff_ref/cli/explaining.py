"""The command `manual-grad explain`: what it may be told. What it does is in `explained`, which imports JAX."""

from pathlib import Path
from typing import Annotated

import typer


def explain_command(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[TARGET] [LINE]", help="Which line, and of what.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the inputs that rules are tested at.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was found to one HTML page as well.", show_default=False)
    ] = None,
) -> None:
    """Explain a line: what changed against the line above, by which rule, where that holds, and whether it is right.

    \b
    manual-grad explain line_2b
        a line of the notes
    manual-grad explain mine.py:LOGISTIC line_2
        a line of a derivation of yours
    manual-grad explain mine.py
        every line of every derivation of mine.py
    manual-grad explain
        every line of the notes

    A rule is named only if its equation holds to 30 digits at the inputs tried; nothing is taken from the formulas' text.
    Running a file executes it with your rights, as `python FILE` would.

    Exit code: 0 explained, whatever the verdict; 2 an unknown line or target, or a line that cannot be evaluated.
    """  # noqa: D301  \b is the character itself: it keeps the lines of its paragraph
    from autodiff_ref.cli.explained import run

    raise typer.Exit(run(words or [], seed, html, as_json=as_json))
