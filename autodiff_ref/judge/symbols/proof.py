"""What the prover says of a line, and what a proof rests on."""

from dataclasses import dataclass

from autodiff_ref.judge.symbols.prover.identities import Identity
from autodiff_ref.trees import JsonObject


@dataclass(frozen=True)
class Proof:
    """What the prover says of a line and the one it is judged against."""

    reason: str
    """why they are not proved equal; empty where they are"""
    shape: str
    """the sizes it was asked for: n=3 d=4; empty where the derivation names none"""
    has_labels: bool
    """whether there are labels, for all of which it was asked"""
    every: str = ""
    """a named dimension for every size of which the lines are then equal; empty where that is not known"""
    uses: tuple[Identity, ...] = ()
    """the identities it rests on, besides the arithmetic of polynomials"""
    leaves_out: tuple[str, ...] = ()
    """where it says nothing: where the two sides of these comparisons are equal"""

    @property
    def scope(self) -> str:
        """What a proof covers: at n=3 d=4 for all labels."""
        sizes = [size for size in self.shape.split() if size.partition("=")[0] != self.every]
        every = f" for every {self.every}" if self.every else ""
        at = f" at {' '.join(sizes)}" if sizes else ""
        return every + at + (" for all labels" if self.has_labels else "")

    def to_dict(self) -> JsonObject:
        """As JSON."""
        uses = [{"name": row.name, "equation": row.equation, "where": row.where} for row in self.uses]
        return {"proved": not self.reason, "reason": self.reason, "uses": uses, "leaves_out": list(self.leaves_out)}

    def __str__(self) -> str:
        return f"not proved: {self.reason}" if self.reason else f"proved{self.scope}"
