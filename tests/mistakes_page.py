"""Writes docs/mistakes.md, the catalogue of mistakes: `python -m tests.mistakes_page`, which takes some three minutes."""

from itertools import groupby
from pathlib import Path

from autodiff_ref import verify
from manual_grad.derivation import formula_of, label_of
from tests.mistakes import MISTAKES, Mistake

PAGE = Path(__file__).parents[1] / "docs" / "mistakes.md"

HEAD = """# The catalogue of mistakes

After reading this page you know what goes wrong in the derivations of `manual_grad.extensions`, and what the judge says
of it. Each mistake is one that people make. It stands in the place of a right line, below right lines. The judge refutes
it at an input that it has shrunk, where the two sides are certainly different, and often names what was done. The lines
are in `tests/mistakes.py`, and `python -m tests.mistakes_page` makes this page.
"""


def section(mistake: Mistake) -> str:
    """What the page says of one mistake.

    Raises:
        AssertionError: the judge does not refute the line, or another one first.
    """
    report = verify(mistake.planted, prove=False, floats=False)
    assert report.first_wrong_line == label_of(mistake.line), f"{mistake.what}: {report}"
    line = report.lines[-1]
    said = [str(line.counterexample), *([f"suspect: {_without_places(str(line.diagnosis))}"] if line.diagnosis else [])]
    rows = "\n".join(said)
    return f"""
**{sentence(mistake.what)}** In {mistake.derivation.name}:

| | |
|---|---|
| right, `{mistake.instead_of}` | {_cell(formula_of(mistake.right))} |
| wrong | {_cell(formula_of(mistake.line))} |

```text
{rows}
```
"""


def sentence(text: str) -> str:
    """With a capital letter, but for σ, which is no Σ."""
    return f"{text[0].upper() if text[0].isascii() else text[0]}{text[1:]}."


def _without_places(text: str) -> str:
    """The page does not change with the line numbers of tests/mistakes.py."""
    return text.partition(" (mistakes.py")[0]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for extension, mistakes in groupby(MISTAKES, lambda mistake: mistake.extension):
        parts.append(f"\n## {extension}\n\n`manual_grad/extensions/{extension}.py`\n")
        parts += [section(mistake) for mistake in mistakes]
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
