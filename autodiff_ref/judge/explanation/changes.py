"""What was replaced by what between two formulas, in whole pieces."""

import difflib
import re

_TOKEN = re.compile(r"∇\s*|[^\W\d_]\w*(?:\[[^\]]*\])?[ᵀ²³]?|\d+|\s+|.")


def changes(old: str, new: str) -> tuple[tuple[str, str], ...]:
    """What was replaced by what between two formulas."""
    a, b = _TOKEN.findall(old), _TOKEN.findall(new)
    matcher = difflib.SequenceMatcher(a=a, b=b, autojunk=False)
    if matcher.ratio() < 0.4:
        return ((old, new),)
    spans, before = [span for kind, *span in matcher.get_opcodes() if kind != "equal"], list[list[int]]()
    while spans != before:  # widening one may bring it to the next
        before, spans = spans, _merged([_balanced(a, b, span) for span in _merged(spans)])
    pairs = [("".join(a[i:j]).strip(), "".join(b[m:n]).strip()) for i, j, m, n in spans]
    return tuple(pair for pair in pairs if pair[0] != pair[1])


def _merged(spans: list[list[int]]) -> list[list[int]]:
    """Spans that overlap, or that little stayed the same between, as one: a word in between does not make two changes."""
    merged: list[list[int]] = []
    for i, j, m, n in spans:
        if merged and i - merged[-1][1] <= 3:
            merged[-1] = [merged[-1][0], max(j, merged[-1][1]), merged[-1][2], max(n, merged[-1][3])]
        else:
            merged.append([i, j, m, n])
    return merged


def _balanced(a: list[str], b: list[str], span: list[int]) -> list[int]:
    """A change widened, in what stays the same around it, until no bracket is open on either side."""
    i, j, m, n = span
    while True:
        low, rest = zip(*(_open("".join(text)) for text in (a[i:j], b[m:n])), strict=True)
        if min(low) < 0 and i > 0 and m > 0:
            i, m = i - 1, m - 1
        elif max(rest) > 0 and j < len(a) and n < len(b):
            j, n = j + 1, n + 1
        else:
            return [i, j, m, n]


def _open(text: str) -> tuple[int, int]:
    """The lowest depth of brackets in a text, and the depth at its end above that."""
    depth = low = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        low = min(low, depth)
    return low, depth - low
