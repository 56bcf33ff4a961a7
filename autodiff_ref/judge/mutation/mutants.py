"""Mutants: lines with one mistake planted, to see whether the judge finds it."""

from dataclasses import dataclass, field
from pathlib import Path

from jax.extend import core

from autodiff_ref.judge.lines.jaxprs import is_under_nabla, user_frames
from autodiff_ref.judge.mutation.edits import Edit, Editable, chosen, generator
from autodiff_ref.judge.mutation.mistakes import MISTAKES
from autodiff_ref.trees import Arguments
from manual_grad.derivation import Derivation, Line


@dataclass(frozen=True)
class Mutant:
    """A line with one mistake in it."""

    kind: str
    """of which kind the mistake is: one of `MISTAKES`"""
    sentence: str
    """what was done, and where"""
    place: str
    """the source line of what was changed: notes.py:111. Where a function of yours was called, the line inside of it"""
    frames: tuple[tuple[str, int], ...]
    """that place and the ones it was called from, as (file, line), innermost first, libraries left out"""
    under_nabla: bool
    """whether it was planted in what JAX does for a ∇, not in what is by hand"""
    line: Line
    """the mutant: a line like any other, under the label of the line that it replaces"""
    edit: Edit
    source: Editable = field(repr=False)
    """the line that was edited"""

    def jaxpr_at(self, args: Arguments) -> core.ClosedJaxpr | None:
        """The mutant's jaxpr at the shapes of `args`, calls inlined; None where the mistake does not exist there."""
        return self.source.edited([self.edit], args)


def mutants(derivation: Derivation, line: Line, *, seed: int, most: int) -> list[Mutant]:
    """Mistakes planted in a line, one each, spread over the kinds of mistakes: at most so many, the same for the same seed.

    Args:
        derivation: what the line belongs to.
        line: the line; with JAX's ∇ handed in, it is traced, and one equation of its jaxpr is replaced.
        seed: of the choice.
        most: how many mutants at most; there may be fewer.

    Returns:
        The mutants. No two do the same steps, nor the same as the line. Some compute the same as the line all the same.

    Raises:
        LineError: the line raises.

    Example:
        >>> from manual_grad import notes
        >>> [mutant] = mutants(notes.W11, notes.line_2b, seed=0, most=1)
        >>> planted = notes.W11.with_lines(mutant.line)
    """
    editable = Editable(derivation, line, MISTAKES)
    flat = editable.at(editable.typical)
    made: list[Mutant] = []
    for found in chosen(editable, flat.closed, flat.n_outputs, generator(derivation, line, seed)):
        if len(made) == most:
            break
        frames = user_frames(found.eqn)
        place = f"{Path(frames[0][0]).name}:{frames[0][1]}" if frames else ""
        sentence = f"{found.sentence} ({place})" if place else found.sentence
        edited = editable.as_line([found.edit])
        made.append(
            Mutant(found.edit.kind, sentence, place, frames, is_under_nabla(found.eqn), edited, found.edit, editable)
        )
    return made
