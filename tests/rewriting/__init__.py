"""Right rewrites: lines that compute the same real function in another way, which the judge must never refute."""

from dataclasses import dataclass, field
from pathlib import Path

from jax.extend import core

from autodiff_ref.judge.lines.jaxprs import user_frames
from autodiff_ref.judge.mutation.edits import Edit, Editable, chosen, generator
from autodiff_ref.trees import Arguments
from manual_grad.derivation import Derivation, Line
from tests.rewriting.by_identity import IDENTITIES


@dataclass(frozen=True)
class Rewrite:
    """A line written in another way."""

    kind: str
    """of which kind the rewrite is, of several joined by +: `IDENTITIES`"""
    sentence: str
    """what was done, and where"""
    line: Line
    """the rewritten line, under the label of the line"""
    edits: tuple[Edit, ...]
    source: Editable = field(repr=False)
    """the line that was edited"""

    def jaxpr_at(self, args: Arguments) -> core.ClosedJaxpr | None:
        """The rewritten line's jaxpr at the shapes of `args`, calls inlined; None where the rewrite does not exist there."""
        return self.source.edited(self.edits, args)


def rewrites(derivation: Derivation, line: Line, *, seed: int, most: int) -> list[Rewrite]:
    """Right rewrites of a line, spread over the kinds: at most so many, the same for the same seed.

    The first half are single ones; the others do two or three in a row.

    Args:
        derivation: what the line belongs to.
        line: the line; with JAX's ∇ handed in, it is traced, and equations of its jaxpr are replaced.
        seed: of the choice.
        most: how many at most; there may be fewer.

    Raises:
        LineError: the line raises.

    Example:
        >>> from manual_grad import notes
        >>> rewritten = notes.W11.with_lines(*(r.line for r in rewrites(notes.W11, notes.line_2b, seed=0, most=1)))
    """
    editable, rng = Editable(derivation, line, IDENTITIES), generator(derivation, line, seed)
    flat = editable.at(editable.typical)
    made: list[Rewrite] = []
    for found in chosen(editable, flat.closed, flat.n_outputs, rng):
        if len(made) == most:
            break
        row = [found]
        while len(made) >= most // 2 and len(row) < 3 and rng.integers(3) > 0:
            further = next(chosen(editable, row[-1].closed, flat.n_outputs, rng), None)
            row += [further] if further else []
        edits = tuple(each.edit for each in row)
        sentence = "; ".join(f"{each.sentence} ({_place(each.eqn)})" for each in row)
        made.append(Rewrite(" + ".join(edit.kind for edit in edits), sentence, editable.as_line(edits), edits, editable))
    return made


def _place(eqn: core.JaxprEqn) -> str:
    frames = user_frames(eqn)
    return f"{Path(frames[0][0]).name}:{frames[0][1]}" if frames else "no line of yours"
