"""The `manual-grad` command: which commands there are. Each is imported when it is asked for, so that help is quick."""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "verify": ("autodiff_ref.cli.verifying:verify_command", "Judge derivations: which line is wrong, if any?"),
    "explain": (
        "autodiff_ref.cli.explaining:explain_command",
        "Explain a line: what changed, by which rule, and where it holds.",
    ),
    "rules": ("autodiff_ref.cli.ruling:rules_command", "Judge derivative rules: custom_jvp and custom_vjp."),
    "grade": ("autodiff_ref.cli.grading:grade_command", "Grade what students hand in, line by line, by a reference."),
    "new": ("autodiff_ref.cli.new:new_command", "Write a file to start from."),
    "train": ("autodiff_ref.cli.training:train_command", "Train the notes' net on a table."),
    "predict": ("autodiff_ref.cli.training:predict_command", "Label the rows of a table by a trained net."),
    "plot": ("autodiff_ref.cli.plots:plots", "Pictures; they need the extra plot."),
}
"""by name, where it is, and what the help says of it"""


class Commands(TyperGroup):
    """The commands, imported one by one."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of them."""
        if cmd_name not in COMMANDS:
            return None
        place, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found = getattr(importlib.import_module(place), attribute)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
            alone.command(cmd_name)(found)
            found = alone
        return typer.main.get_command(found)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in the help, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in COMMANDS.items()])


app = typer.Typer(
    name="manual-grad",
    cls=Commands,
    help="Hand-derived gradients, verified line by line against autodiff.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            print(f"manual-grad {version('manual-grad')}")
        except PackageNotFoundError:
            print("manual-grad, not installed: run from a copy of its files")
        raise typer.Exit


@app.callback()
def manual_grad(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Hand-derived gradients, verified line by line against autodiff."""


def main() -> None:
    """The entry point of the command."""
    app()


if __name__ == "__main__":
    main()
