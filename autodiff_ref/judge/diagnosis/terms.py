"""Small expressions over the values of two lines: what a repair may multiply by, add, or put in another's place."""

import ast
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from autodiff_ref.judge.diagnosis.backends import RIGHT, WRONG, Backend, Expression, Floats, Value
from autodiff_ref.judge.diagnosis.batched import LEAD
from autodiff_ref.judge.diagnosis.source_places import Frame, Origin
from autodiff_ref.judge.diagnosis.variant import Program
from autodiff_ref.judge.program.structure import MOVEMENT

MOST_DIGITS = 6
"""of a number that is put together with 1 in a text"""


@dataclass(frozen=True)
class Term:
    """A value that a repair may use."""

    text: str
    """as the source writes it"""
    shape: tuple[int, ...]
    expression: Expression
    cost: float
    """how much of it the wrong line does not compute itself"""
    slot: int | None = None
    """of the wrong line, which must not depend on what is repaired"""
    depth: int = 0
    """how many calls further in than the line's own file it is computed"""
    is_label: bool = False
    of_nabla: bool = False
    """what a ∇ returns, or a part of it: which ∇ is meant is seldom what is wrong"""
    ratio: bool = False
    """not a value but a quotient of two, by which what is wrong is multiplied; the text says so"""
    mistaken: tuple[Expression, ...] = ()
    """of a quotient: the values of which the wrong line computes at least one, if it makes the mistake that the text says"""


def terms_of(
    backend: Floats, other: Program, names: Sequence[str], labels: Sequence[bool], fixed: frozenset[int]
) -> list[Term]:
    """The values of both lines that have a name, their components, and 1 − u, u (1 − u), … of them; no value twice.

    Args:
        backend: the two lines at a few inputs.
        other: the right line.
        names: of the leaves of the arguments.
        labels: which of these hold labels.
        fixed: the sizes of dimensions that are the same in every input.
    """
    found = list(_base(backend, other, names, labels))
    found += [part for term in found for part in _components(term, fixed)]
    made = [each for term in found if term.cost <= 1 for each in _made_of(term)]
    computed = _computed(backend)
    found += [term for term in made if not term.ratio or _computes_one_of(backend, computed, term.mistaken)]
    return _distinct(backend, found)


def _base(backend: Floats, other: Program, names: Sequence[str], labels: Sequence[bool]) -> Iterator[Term]:
    wrong = backend.program
    for slot, name, label in zip(wrong.inputs, names, labels, strict=True):
        if wrong.is_real(slot):
            yield Term(name, wrong.shapes[slot], _slot(WRONG, slot), 0, None, is_label=label)
    for slot, (text, depth) in named(wrong).items():
        if wrong.is_real(slot):
            made = _is_of_nabla(wrong, slot)
            yield Term(text, wrong.shapes[slot], _slot(WRONG, slot), 0, slot, depth, of_nabla=made)
    costs = _costs(backend, other)
    whole = max(costs[slot] for slot in other.outputs) if other.outputs else 0
    for slot, (text, depth) in named(other).items():
        if other.is_real(slot) and slot not in other.outputs and costs[slot] < whole:
            made = _is_of_nabla(other, slot)
            yield Term(text, other.shapes[slot], _slot(RIGHT, slot), costs[slot], None, depth, of_nabla=made)


def _is_of_nabla(program: Program, slot: int) -> bool:
    if slot not in program.maker:
        return False
    node = program.nodes[program.maker[slot]]
    return node.origin.is_nabla or (node.name in MOVEMENT and any(_is_of_nabla(program, s) for s in node.sources))


def _slot(side: int, slot: int) -> Expression:
    return lambda b: b.slot(side, slot)


def named(program: Program) -> dict[int, tuple[str, int]]:
    """The slots that a piece of source text stands for, the last value of each, and how deep in other files that is."""
    found: dict[int, tuple[str, int]] = {}
    for k, node in enumerate(program.nodes):
        following = program.nodes[k + 1].origin if k + 1 < len(program.nodes) else Origin()
        if node.origin.is_nabla and following.is_nabla:
            continue
        named_by = _result_of(node.origin.frames, following.frames, program.file)
        if named_by is not None and named_by[0].text and len(node.targets) == 1:
            found[node.targets[0]] = node.origin.text_of(named_by[0]), named_by[1]
        elif node.name in ("convert_element_type", "broadcast_in_dim") and node.sources[0] in found:
            found[node.targets[0]] = found[node.sources[0]]
    return found


def _result_of(frames: tuple[Frame, ...], after: tuple[Frame, ...], file: str) -> tuple[Frame, int] | None:
    """The outermost frame of a line's own file that ends here, else the outermost that ends; and its depth."""
    later = set(after)
    ends = [frame for frame in frames if frame not in later]
    own = [frame for frame in ends if frame.file == file]
    if own:
        return own[-1], 0
    outside = [frame for frame in frames if frame.file != file]
    return (ends[-1], len(outside) - outside.index(ends[-1])) if ends else None


def _costs(backend: Floats, other: Program) -> dict[int, float]:
    """For each slot of the right line, how many operations the wrong line lacks to have its value."""
    fingerprints = _computed(backend)
    lacking: dict[int, frozenset[Hashable]] = {}
    for k, node in enumerate(other.nodes):
        needed = frozenset[Hashable]().union(*[lacking.get(source, frozenset()) for source in node.sources])
        own = frozenset[Hashable]() if node.name in MOVEMENT else frozenset([k])
        if node.origin.is_nabla:  # one use of ∇ is one operation, whatever JAX makes of it
            own = frozenset([node.origin.frames])
        for target in node.targets:
            value = backend.values[RIGHT].get(target)
            known = value is not None and other.is_real(target) and fingerprint(value) in fingerprints
            lacking[target] = frozenset() if known else needed | own
    return {slot: float(len(nodes)) for slot, nodes in lacking.items()}


def _computed(backend: Floats) -> set[tuple[Hashable, ...]]:
    """The fingerprints of all values that the wrong line computes, its arguments among them."""
    wrong = backend.program
    slots = [slot for slot in (*wrong.inputs, *wrong.maker) if wrong.is_real(slot)]
    return {fingerprint(backend.values[WRONG][slot]) for slot in slots}


def _computes_one_of(backend: Floats, computed: set[tuple[Hashable, ...]], values: Sequence[Expression]) -> bool:
    try:
        return any(fingerprint(value(backend)) in computed for value in values)
    except KeyError:  # made of a slot of the right line that has no value
        return False


def fingerprint(value: Value) -> tuple[Hashable, ...]:
    """Equal for values that are equal to 9 digits or so, but for bad luck at a border of rounding."""
    own = np.ravel(np.asarray(value, dtype=np.float64))
    if not np.all(np.isfinite(own)):
        return value.shape[LEAD:], own.tobytes()
    weights = np.cos(np.arange(own.size) + 1.0)
    return value.shape[LEAD:], f"{own @ weights:.9e}", f"{np.abs(own) @ np.abs(weights):.9e}"


def _components(term: Term, fixed: frozenset[int]) -> Iterator[Term]:
    """u[:, j] along a last axis whose size never changes."""
    if not term.shape or term.shape[-1] not in fixed or term.shape[-1] > 4:
        return
    for j in range(term.shape[-1]):
        text = f"{bracketed(term.text)}[{', '.join([':'] * (len(term.shape) - 1) + [str(j)])}]"
        yield replace(term, text=text, shape=term.shape[:-1], expression=_entry(term.expression, j))


def _entry(expression: Expression, j: int) -> Expression:
    return lambda b: b.take(expression(b), -1, j)


def bracketed(text: str) -> str:
    """A text as a factor."""
    return text if _is_simple(text) else f"({text})"


def complement_of(text: str) -> str:
    """1 − u as a factor, for the text of u: a number in u is put together with the 1, as in 1 − (2 - r) = r − 1.

    Example:
        >>> complement_of("2 - r"), complement_of("r + 0.25"), complement_of("a * b"), complement_of("-a * b")
        ('(r − 1)', '(0.75 − r)', '(1 − (a * b))', '(a * b + 1)')
    """
    source = f"({text})"
    try:
        terms = list(_summed(ast.parse(source, mode="eval").body, 1))
    except SyntaxError:
        terms = []
    numbers = [sign * number for sign, node in terms if (number := _number(node)) is not None]
    if not terms or not (numbers or text.lstrip("( ").startswith("-")):
        return f"(1 − {bracketed(text)})"
    left = 1 - sum(numbers, Decimal(0))
    rest = [_without(sign, node, source) for sign, node in terms if _number(node) is None]
    number = [(1 if left > 0 else -1, f"{abs(left).normalize():f}")] if left else []
    first, *more = sorted(rest + number, key=lambda each: -each[0])
    said = ("−" if first[0] < 0 else "") + first[1] + "".join(f" {'+' if sign > 0 else '−'} {each}" for sign, each in more)
    return f"({said})" if more or first[0] < 0 else bracketed(said)


def _summed(node: ast.expr, sign: int) -> Iterator[tuple[int, ast.expr]]:
    """The terms of a sum, each with its sign."""
    match node:
        case ast.BinOp(left, ast.Add() | ast.Sub() as op, right):
            yield from _summed(left, sign)
            yield from _summed(right, -sign if isinstance(op, ast.Sub) else sign)
        case ast.UnaryOp(ast.USub(), operand):
            yield from _summed(operand, -sign)
        case _:
            yield sign, node


_FACTORS = ast.Mult | ast.Div | ast.MatMult


def _without(sign: int, node: ast.expr, source: str) -> tuple[int, str]:
    """A term with the other sign; a product gives it up that begins with a minus, as Python reads -a * b as (-a) * b."""
    text, first = ast.get_source_segment(source, node) or "", node
    while isinstance(first, ast.BinOp) and isinstance(first.op, _FACTORS):
        first = first.left
    if text.startswith("-") and isinstance(first, ast.UnaryOp):
        return sign, text[1:].lstrip()
    is_product = isinstance(node, ast.BinOp) and isinstance(node.op, _FACTORS | ast.Pow)
    return -sign, text if is_product else bracketed(text)


def _number(node: ast.expr) -> Decimal | None:
    """A number as it is written, if it is short."""
    if not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
        return None
    number = Decimal(repr(node.value))
    return number if number.is_finite() and abs(number.adjusted()) < MOST_DIGITS else None


def _is_simple(text: str) -> bool:
    """Whether a text can be a factor as it stands: a name, a call, an index."""
    depth = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 and c in "+-*/ @":
            return False
    return True


def _made_of(term: Term) -> Iterator[Term]:
    u, text = term.expression, bracketed(term.text)

    def made(text: str, more: float, expression: Expression, mistaken: tuple[Expression, ...] = ()) -> Term:
        ratio = bool(mistaken)
        return replace(term, text=text, cost=term.cost + more, expression=expression, ratio=ratio, mistaken=mistaken)

    def complement(b: Backend) -> Value:
        return b.f("sub", b.number(1), u(b))

    def slope_of_sigmoid(b: Backend) -> Value:
        return b.f("mul", u(b), complement(b))

    def slope_of_tanh(b: Backend) -> Value:
        return b.f("sub", b.number(1), b.f("mul", u(b), u(b)))

    if term.is_label:
        yield made(f"2 {text} − 1", 1, lambda b: b.f("sub", b.f("mul", b.number(2), u(b)), b.number(1)))
        yield made(f"(1 + {text})/2", 1, lambda b: b.f("mul", b.number(0.5), b.f("add", u(b), b.number(1))))
        yield made(f"1 − {text}", 1, complement)
        return
    yield made(complement_of(term.text), 1, complement)
    yield made(f"{text} {complement_of(term.text)}", 1, slope_of_sigmoid)
    yield made(f"(1 − {text}²)", 1, slope_of_tanh)
    yield made(f"{text}²", 1, lambda b: b.f("mul", u(b), u(b)))
    if len(term.shape) == 2 and term.shape[0] == term.shape[1]:
        yield made(f"{text}ᵀ", 0.5, lambda b: b.transpose(u(b)))
        yield made(f"{text}⁻¹", 1, lambda b: b.inverse(u(b)))
    if term.depth:  # the e^−z inside of σ squashes nothing
        return
    of_sigmoid, of_tanh = (
        f"u (1 − u), the slope of σ, with u = {term.text}",
        f"1 − u², the slope of tanh, with u = {term.text}",
    )
    one_more = _one_more(u)
    says = f"{of_sigmoid}, stands where {of_tanh}, should", f"{of_tanh}, stands where {of_sigmoid}, should"
    yield made(says[0], 1, lambda b: b.f("div", one_more(b), u(b)), (complement, slope_of_sigmoid))
    yield made(says[1], 1, lambda b: b.f("div", u(b), one_more(b)), (slope_of_tanh,))


def _one_more(u: Expression) -> Expression:
    return lambda b: b.f("add", u(b), b.number(1))


def _distinct(backend: Floats, terms: Sequence[Term]) -> list[Term]:
    """No value twice, the cheapest first; values of the wrong line are kept beside equal ones of the right line."""
    found: dict[Hashable, Term] = {}
    for term in sorted(terms, key=lambda term: (term.cost + term.depth, len(term.text))):
        try:
            value = term.expression(backend)
        except KeyError:  # a slot of the right line that it does not compute at all
            continue
        if np.all(np.isfinite(value)) and np.any(value):  # what is always 0 explains everything
            found.setdefault((fingerprint(value), term.slot is None, term.ratio), term)
    return list(found.values())
