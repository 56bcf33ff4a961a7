"""The command `manual-grad rules`: what it may be told. What it does is in `rules`, which imports JAX."""

from pathlib import Path
from typing import Annotated

import typer


def rules_command(
    target: Annotated[list[str], typer.Argument(help="A file or a module, with :NAME for one function; or a call.")],
    domain: Annotated[
        str | None, typer.Option(help='Of the arguments: "reals(n), intervals(0, 1)".', show_default=False)
    ] = None,
    at: Annotated[
        str | None, typer.Option(help='Further inputs: "[0., 1.]", or "[(1., 0.5)]" for two arguments.', show_default=False)
    ] = None,
    order: Annotated[int, typer.Option(min=1, max=4, help="2 judges the derivative of the gradient too.")] = 1,
    within: Annotated[float | None, typer.Option(min=0, help="By what share a rule may be off.", show_default=False)] = None,
    intent: Annotated[str, typer.Option(help="What a rule is for that is meant to be no derivative.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the inputs.")] = 0,
    every: Annotated[bool, typer.Option("--all", help="Also functions that meet no rule: JAX's own derivatives.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes, for a library.")] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="Of processor time, for one function.")] = 20.0,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep finished rows in FILE, and do not judge those again.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was found to one HTML page as well.", show_default=False)
    ] = None,
) -> None:
    """Judge derivative rules: is what JAX makes of a custom_jvp or custom_vjp the derivative of the function itself?

    No tolerance: JAX's derivative in ball arithmetic against difference quotients of the function without its rule.

    \b
    manual-grad rules mine.py
        every function with a rule of its own, and every public function that meets one
    manual-grad rules mine.py:swish --domain "reals(n)" --at "[0., 1.]" --order 2
        one function, at inputs of your choice too
    manual-grad rules "jax.numpy.clip(reals(n), -1., 2.)"
        a call, with domains in the place of the arguments that are drawn
    manual-grad rules jax.scipy.special optax --resume rows.jsonl
        libraries: a row for each function; a run that was ended goes on where it was

    Running a file executes it with your rights, as `python FILE` would.

    Exit code: 0 nothing is wrong, 1 a derivative is WRONG or NaN where it exists, 3 nothing is wrong and something is
    undecided, 2 bad usage or input.
    """  # noqa: D301  \b is the character itself: it keeps the lines of its paragraph
    told = locals()
    from autodiff_ref.cli.rules import run

    raise typer.Exit(run(**told))
