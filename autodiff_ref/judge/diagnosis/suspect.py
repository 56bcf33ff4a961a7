"""What a wrong line is suspected to have done, as the report says it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    """One small change that would put a wrong line right. A suggestion: several mistakes can look alike."""

    kind: str
    """"sign", "constant", "factor", "term", "operation", "operands", "operand", "index", "exponent", "function", "label",
    "broadcast" or "sum"
    """
    sentence: str
    """what was done"""
    places: tuple[str, ...] = ()
    """where: mine.py:12. Where the same change would do in several places, all of them"""

    @property
    def place(self) -> str:
        """The likeliest place, or nothing."""
        return self.places[0] if self.places else ""

    def __str__(self) -> str:
        return f"{self.sentence} ({' or '.join(self.places)})" if self.places else self.sentence

    def to_dict(self) -> dict[str, str]:
        """As JSON."""
        return {"kind": self.kind, "sentence": self.sentence, "place": self.place}
