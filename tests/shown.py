"""Commands and their output, as documents show them. `python -m tests.shown` writes into README and docs what they print."""

import os
import re
import runpy
import tempfile
from pathlib import Path

from typer.testing import CliRunner

from autodiff_ref.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/verify.md", "docs/rules.md")
"""what a new user reads: the README, and the pages on derivations and on rules"""
FENCED = r"\n```\w+\n(.*?)^```"


def blocks(document: str, what: str) -> dict[str, str]:
    """The fenced blocks that a comment above them says something of."""
    return dict(re.findall(rf"^<!-- {what}: (.+?) -->{FENCED}", document, flags=re.MULTILINE | re.DOTALL))


def pages() -> str:
    """The text of `PAGES`."""
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in PAGES)


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


def _rewritten(page: str) -> str:
    """A page with what its commands print now; of what is shown in part, as many rows as before."""
    for what, command in re.findall(r"^<!-- ((?:\w[\w ]*)?output of): (.+?) -->$", page, flags=re.MULTILINE):
        shown = blocks(page, what)[command]
        printed = output_of(command)[0].strip("\n").splitlines()
        count = len(shown.splitlines())
        kept = printed
        if what.startswith("end"):
            kept = printed[-count:]
        elif what.startswith(("beginning", "first rows")):
            kept = printed[:count]
        page = page.replace(shown, "\n".join(kept) + "\n")
    return page


def main() -> None:
    """Rewrites the pages."""
    files = blocks(pages(), "file")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, text in files.items():
            Path(name).write_text(text, encoding="utf-8")
        runpy.run_path("make_table.py")
        for name in PAGES:
            page = (ROOT / name).read_text(encoding="utf-8")
            (ROOT / name).write_text(_rewritten(page), encoding="utf-8")


if __name__ == "__main__":
    main()
