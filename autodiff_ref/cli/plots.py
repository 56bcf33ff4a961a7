"""The commands `manual-grad plot …`."""

import typer

from autodiff_ref.cli.stability import stability

plots = typer.Typer(help="Pictures; they need the extra plot.", no_args_is_help=True, rich_markup_mode=None)
plots.command("stability")(stability)


@plots.callback()
def plot() -> None:
    """Pictures; they need the extra plot."""
