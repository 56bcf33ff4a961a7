"""Points: what the verdicts on the lines of a submission are worth."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from autodiff_ref.judge.verdict import RIGHT
from autodiff_ref.trees import Entry, Json, JsonObject

Standing = Literal["right", "wrong", "look", "no points"]


@dataclass(frozen=True)
class Mark:
    """What is said of one line."""

    label: str
    formula: str
    standing: Standing
    why: str


@dataclass(frozen=True)
class Grade:
    """What a submission is worth."""

    name: str
    file: str
    points: float
    """that are earned for certain"""
    most: float
    """that it may be worth, if what could not be decided is right"""
    of: float
    first_wrong_line: str
    why: str
    marks: list[Mark] = field(default_factory=list[Mark])
    entry: Entry = field(default_factory=dict[str, Json])
    """the report, as JSON"""

    @property
    def look(self) -> bool:
        """Whether the teacher has to look."""
        return self.most > self.points

    def to_dict(self) -> JsonObject:
        """As JSON."""
        lines = [{"label": m.label, "formula": m.formula, "standing": m.standing, "why": m.why} for m in self.marks]
        return {
            "name": self.name,
            "file": self.file,
            "points": round(self.points, 3),
            "most": round(self.most, 3),
            "of": self.of,
            "look": self.look,
            "first_wrong_line": self.first_wrong_line or None,
            "why": self.why,
            "lines": lines,
            "report": self.entry,
        }


def closed_lines(entry: Entry) -> int:
    """How many lines of a report are written without ∇."""
    return sum(not origin["left"] and not origin["calls"] for origin in entry["origins"])


def grade(name: str, file: str, entry: Entry, *, of: float, shares: int) -> Grade:
    """The points of a submission.

    Args:
        name: of the student.
        file: that was handed in.
        entry: what the judge says of it.
        of: points for a right derivation.
        shares: closed lines of the reference: a wrong line costs one share, and more lines do not make a share smaller.
    """
    if "error" in entry:
        return Grade(name, file, 0.0, of, of, "", entry["error"], entry=entry)
    if "origins" not in entry:
        why = next((line["reason"] for line in entry["lines"] if line["reason"]), "it could not be judged")
        return Grade(name, file, 0.0, of, of, "", why, entry=entry)
    origins: dict[str, Entry] = {origin["label"]: origin for origin in entry["origins"]}
    marks = [_mark(line, origins.get(line["label"])) for line in entry["lines"]]
    counted = [mark for mark in marks if mark.standing != "no points"]
    answer = _answer(entry["lines"], marks, entry["claim"]["reference"])
    certain, possible = (_points(counted, answer, of, shares, doubt=doubt) for doubt in (False, True))
    wrong = next((mark for mark in marks if mark.standing == "wrong"), None)
    first = entry["first_wrong_line"] or (wrong.label if wrong else "")
    spoken = next((mark for mark in marks if mark.label == first), None) or next(
        (mark for mark in marks if mark.standing == "look"), None
    )
    if spoken is None and marks[-1].standing == "no points":
        spoken = marks[-1]
    why = spoken.why if spoken is not None else ""
    if not entry.get("reference_is_right", True):
        possible = of
    return Grade(name, file, certain, possible, of, first, why, marks, entry)


def _mark(line: Entry, origin: Entry | None) -> Mark:
    label, verdict, reason = line["label"], line["verdict"], line["reason"]
    suspect = line["diagnosis"]
    found = line["counterexample"]
    unequal = "is not the gradient" if line["against"] == "jax.grad" else f"does not follow from {line['against']}"
    refuted = unequal + (f"; {suspect['sentence']}" if suspect else "")
    refuted = f"{refuted}; at {found['at']}" if found else reason or refuted  # without an input, its shape is wrong
    if origin is not None:
        by = "; ".join(origin["calls"])
        left = f"leaves {', '.join(origin['left'])} to ∇" if origin["left"] else ""
        same = f"is {origin['repeats']} once more" if origin["repeats"] else ""
        if borrowed := by or left or same:
            also = f"; {refuted}" if verdict == "refuted" else ""
            return Mark(label, line["formula"], "no points", borrowed + also)
    if verdict == "refuted":
        return Mark(label, line["formula"], "wrong", refuted)
    if verdict in RIGHT and origin is not None:
        return Mark(label, line["formula"], "right", "" if verdict == "proved" else reason)
    return Mark(label, line["formula"], "look", f"{verdict}: {reason}" if reason else verdict)


def _answer(lines: Sequence[Entry], marks: Sequence[Mark], reference: str) -> bool | None:
    """Whether the last line is what is to be derived, written without ∇; None where that could not be decided."""
    is_gradient: dict[str, bool | None] = {}
    for line in lines:
        verdict = line["verdict"]
        above = is_gradient.get(line["against"], True if line["against"] == reference else None)
        is_gradient[line["label"]] = above if verdict in RIGHT else False if verdict == "refuted" else None
    last = marks[-1]
    if last.standing == "no points" and " once more" not in last.why:
        return False
    return is_gradient[last.label]


def _points(counted: Sequence[Mark], answer: bool | None, of: float, shares: int, *, doubt: bool) -> float:
    """The points, if all that is in doubt is right, or if none of it is."""
    if not counted:
        return 0.0
    lost = sum(mark.standing == "wrong" or (mark.standing == "look" and not doubt) for mark in counted)
    share = max(0.0, 1 - lost / min(len(counted), shares))
    is_right = answer or (answer is None and doubt)
    return of * share if is_right else of * min(share, 0.5)
