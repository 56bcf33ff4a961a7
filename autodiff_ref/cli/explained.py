"""What `manual-grad explain` does."""

import json
import sys
from pathlib import Path

from rich.console import Console

from autodiff_ref.cli import targets
from autodiff_ref.cli.html import write_page
from autodiff_ref.judge.errors import LineError
from autodiff_ref.judge.explanation.explain import explain
from autodiff_ref.judge.html import of_explanation
from manual_grad import Derivation


def run(words: list[str], seed: int, html: Path | None, *, as_json: bool) -> int:
    """Explains, prints, and says with which exit code to end."""
    console = Console()
    try:
        chosen = _chosen(words)
        found = [each for derivation, labels in chosen for each in explain(derivation, labels, seed=seed)]
    except (targets.TargetError, LineError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if html is not None:
        said = [of_explanation(each.to_dict(), each.heading, each.rows) for each in found]
        write_page(html, "manual-grad explain", said)
    if as_json:
        print(json.dumps({"explanations": [each.to_dict() for each in found]}, ensure_ascii=False, indent=1))
        return 0
    for k, each in enumerate(found):
        console.print(*([""] if k else []), each, sep="\n")
    return 0


def _chosen(words: list[str]) -> list[tuple[Derivation, list[str]]]:
    """The derivations and their lines that are meant; a line that several derivations share is explained once."""
    if len(words) > 2:
        raise targets.TargetError(f"give a TARGET and a LINE, got {' '.join(words)}")
    is_line = len(words) == 2 or (len(words) == 1 and words[0].isidentifier() and not _is_module(words[0]))
    place = targets.NOTES if len(words) - is_line == 0 else words[0]
    if len(words) == 2 and place.isidentifier() and Path(words[1].partition(":")[0]).is_file():
        raise targets.TargetError(f"the file comes first, then the line: explain {words[1]} {place}")
    derivations = list(targets.derivations_of(place).values())
    if not is_line:
        return [(derivation, []) for derivation in derivations]
    having = [derivation for derivation in derivations if words[-1] in derivation.labels]
    if not having:
        known = "; ".join(f"{derivation.name}: {', '.join(derivation.labels)}" for derivation in derivations)
        raise targets.TargetError(f"{place} has no line {words[-1]!r}; it has {known}")
    return [(having[0], [words[-1]])]


def _is_module(word: str) -> bool:
    """Whether a single word names a module or a file rather than a line of the notes."""
    try:
        targets.derivations_of(word)
    except targets.TargetError:
        return False
    return True
