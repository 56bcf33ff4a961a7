"""`--html FILE`: what a command found, on one page."""

import sys
from collections.abc import Iterable
from pathlib import Path

import typer

from autodiff_ref.judge.html import page


def write_page(file: Path, title: str, fragments: Iterable[str]) -> None:
    """Writes the page; where that fails, says why and ends with exit code 2."""
    try:
        file.write_text(page(title, fragments), encoding="utf-8")
    except OSError as error:
        print(f"error: {file} cannot be written: {error.strerror}", file=sys.stderr)
        raise typer.Exit(2) from error
