"""The commands `manual-grad plot …`: what they may be told. What they do is in `stability`, which imports JAX."""

from pathlib import Path
from typing import Annotated

import typer

plots = typer.Typer(help="Pictures; they need the extra plot.", no_args_is_help=True, rich_markup_mode=None)


@plots.callback()
def plot() -> None:
    """Pictures; they need the extra plot."""


@plots.command("stability", short_help="Draw each line's error in ulps; list where digits are lost.")
def stability_command(
    target: Annotated[
        list[str] | None,
        typer.Argument(help="A module or a file, with :NAME for one derivation of it. None: the notes.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The picture, .png, .svg or .pdf; of several derivations each has its name added.", show_default=False
        ),
    ] = None,
    dtype: Annotated[str, typer.Option(help="float64 or float32.")] = "float64",
    numpy: Annotated[
        bool, typer.Option("--numpy", help="Lines on NumPy, not compiled by XLA: those that run there.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the inputs that paths start from.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Draw the error of every line, in ulps, against its own argument, and list where lines lose their digits.

    The error is that of the computed value against the true one, in ball arithmetic. Its own argument is what the derivation
    differentiates by, where that is one number; for the notes' weights the score z or the pre-activation a; else the first
    argument is scaled by t. Needs the extra plot. Running a file executes it with your rights, as `python FILE` would.
    """
    told = locals()
    from autodiff_ref.cli.stability import run

    run(**told)
