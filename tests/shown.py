"""Commands and their output, as documents show them."""

import re

from typer.testing import CliRunner

from autodiff_ref.cli import app

FENCED = r"\n```\w+\n(.*?)^```"


def blocks(document: str, what: str) -> dict[str, str]:
    """The fenced blocks that a comment above them says something of."""
    return dict(re.findall(rf"^<!-- {what}: (.+?) -->{FENCED}", document, flags=re.MULTILINE | re.DOTALL))


def output_of(command: str) -> tuple[str, int]:
    """What a command prints, without spaces at the ends of rows, and its exit code."""
    program, *arguments = command.split()
    assert program == "manual-grad"
    result = CliRunner().invoke(app, arguments)
    return "\n".join(row.rstrip() for row in result.stdout.splitlines()), result.exit_code


def assert_alike(printed: str, shown: str) -> None:
    """The same text, with numbers apart by up to a sixth, ulps by a factor of 2: the last digits are the machine's."""
    number = r"(\d+\.?\d*)( ulps)?"
    assert re.sub(number, "#", printed).split() == re.sub(number, "#", shown).split()
    for (ours, unit), (theirs, _) in zip(re.findall(number, printed), re.findall(number, shown), strict=True):
        least, most = (0.5, 2.0) if unit else (5 / 6, 7 / 6)
        assert least * float(theirs) <= float(ours) <= most * float(theirs), f"{ours} where {theirs} is shown"
