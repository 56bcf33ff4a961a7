"""What functions are called in messages: a lambda by its source."""

import ast
import linecache
from functools import lru_cache
from types import CodeType

from autodiff_ref.trees import Function
from manual_grad.derivation import label_of

LONGEST = 72
"""characters of a lambda that are shown"""


def name_of(f: Function) -> str:
    """The name of a function; the source of a lambda, where it can be found."""
    label = label_of(f)
    code = getattr(f, "__code__", None)
    if label != "<lambda>" or code is None:
        return label
    source = _source_of(code)
    if source is None:
        return label
    return source if len(source) <= LONGEST else source[: LONGEST - 1] + "…"


@lru_cache(maxsize=256)
def _source_of(code: CodeType) -> str | None:
    text = "".join(linecache.getlines(code.co_filename))
    nodes = _lambdas(text)
    starts = [(line, column) for line, _, column, _ in code.co_positions() if line is not None and column is not None]
    places = [place for place in starts if place != (code.co_firstlineno, 0)]
    if not nodes or not places:
        return None
    first, last = min(places), max(places)
    around = [
        node
        for node in nodes
        if node.lineno == code.co_firstlineno
        and (node.body.lineno, node.body.col_offset) <= first
        and last <= (node.body.end_lineno or 0, node.body.end_col_offset or 0)
        and len(node.args.posonlyargs) + len(node.args.args) == code.co_argcount
    ]
    if not around:
        return None
    inner = max(around, key=lambda node: (node.body.lineno, node.body.col_offset))
    return " ".join((ast.get_source_segment(text, inner) or "").split()) or None


@lru_cache(maxsize=8)
def _lambdas(text: str) -> list[ast.Lambda]:
    try:
        return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda)]
    except (SyntaxError, ValueError):
        return []
