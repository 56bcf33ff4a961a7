"""What was replaced by what between two formulas, in whole factors."""

import difflib
import re
from collections.abc import Iterator

_OPENS, _CLOSES = "([{⟨", ")]}⟩"

_OF_WHAT_FOLLOWS = re.compile(
    r"−?(?:[∇∂√][²³]?(?:_\w+|_\{[^}]*\})?|Σ(?:_\w+|_\{[^}]*\})?|log|ln|exp|det|tr|diag|sin|cos|tan|tanh|max|min|d)+"
)
"""what means nothing without the factor behind it: ∇, ∇_w, log, ∇log det"""

_SHARED = 0.4
"""with a smaller share of factors in common, two formulas are other formulas"""


def changes(old: str, new: str) -> tuple[tuple[str, str], ...]:
    """What was replaced by what between two formulas.

    Example:
        >>> changes("Σ p ∇ log p − ∇ log Z", "Σ p ∇ log p − 1/Z ∇Z")
        (('∇ log Z', '1/Z ∇Z'),)
    """
    (a, a_at), (b, b_at) = _factors(old), _factors(new)
    matcher = difflib.SequenceMatcher(a=a, b=b, autojunk=False)
    if matcher.ratio() < _SHARED:
        return ((old, new),)
    spans = _merged([span for kind, *span in matcher.get_opcodes() if kind != "equal"])
    return tuple((_piece(old, a_at[i:j]), _piece(new, b_at[m:n])) for i, j, m, n in spans)


def _piece(formula: str, factors: list[slice]) -> str:
    return formula[factors[0].start : factors[-1].stop] if factors else ""


def _factors(formula: str) -> tuple[list[str], list[slice]]:
    """The factors, signs and commas, and where they stand.

    A bracket is one factor with what touches it; ∇ and log are one with what they are of.
    """
    found, start = list[slice](), None
    for word in _words(formula):
        text = formula[word]
        is_prefix = _OF_WHAT_FOLLOWS.fullmatch(text) and (start is not None or not text.lstrip("−").startswith("Σ"))
        start = word.start if start is None else start
        if is_prefix and word.stop < len(formula):
            continue
        end = word.stop - len(text) + len(text.rstrip(",;:"))
        found += [part for part in (slice(start, end), slice(end, word.stop)) if part.start < part.stop]
        start = None
    return [" ".join(formula[at].split()) for at in found], found


def _words(formula: str) -> Iterator[slice]:
    """Where what spaces outside of brackets separate stands."""
    depth, start = 0, 0
    for k, c in enumerate(formula):
        depth = max(0, depth + (c in _OPENS) - (c in _CLOSES))
        if c.isspace() and not depth:
            if start < k:
                yield slice(start, k)
            start = k + 1
    if start < len(formula):
        yield slice(start, len(formula))


def _merged(spans: list[list[int]]) -> list[list[int]]:
    """Spans with one factor between them as one: a word in between does not make two changes."""
    merged: list[list[int]] = []
    for i, j, m, n in spans:
        if merged and i - merged[-1][1] <= 1:
            merged[-1] = [merged[-1][0], j, merged[-1][2], n]
        else:
            merged.append([i, j, m, n])
    return merged
