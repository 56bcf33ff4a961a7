"""Small changes of one equation of a wrong line that might put it right; what repairs it says what was done wrong."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from autodiff_ref.judge.diagnosis.backends import REDUCTIONS, WRONG, Backend, Expression, Value
from autodiff_ref.judge.diagnosis.occurrences import PASSING, Repair, Site, Texts, number_in
from autodiff_ref.judge.diagnosis.terms import bracketed
from autodiff_ref.judge.diagnosis.variant import Node, Program


def repairs_of(site: Site, sizes: Sequence[str]) -> Iterator[Repair]:
    """Small changes that need no other value: without an operation, with another one, with another index, sign or factor."""
    if site.is_open:
        yield from _other_operation(site)
    if not site.program.is_real(site.slot) or not site.has_value:
        return
    yield from _other_axis(site)
    yield from _without_operand(site)
    if site.is_open:
        yield from _without_operation(site)
        yield from _other_index(site)
    yield site.repair("sign", f"the sign of {site.text} is wrong", 1.3, lambda b: b.f("neg", b.slot(WRONG, site.slot)))
    for name, factor in [("2", lambda _: 2.0), *[(n, lambda sizes, n=n: float(sizes[n])) for n in sizes]]:
        yield site.repair("constant", f"the factor {name} is missing", 1.5, _times(site, "mul", factor), where=site.at)
        yield site.repair("constant", f"the factor 1/{name} is missing", 1.5, _times(site, "div", factor), where=site.at)
    for name, text, one in (("add", "1", 1), ("sub", "−1", -1)):
        number = site.texts.number(site.slot)
        beside = f"the term {text} is missing beside {site.text}"
        sentence = beside if number is None else f"{number:.12g} stands where {number + one:.12g} should"
        yield site.repair("term" if number is None else "constant", sentence, 1.25, _times(site, name, lambda _: 1.0))


OfSizes = Callable[[Mapping[str, int]], float]
"""a number by the sizes of the named dimensions"""


def _times(site: Site, name: str, factor: OfSizes) -> Expression:
    return lambda b: b.f(name, b.slot(WRONG, site.slot), b.number(factor(b.sizes)))


def _operand(slot: int) -> Expression:
    return lambda b: b.slot(WRONG, slot)


# What stands in the line and should not


def _without_operand(site: Site) -> Iterator[Repair]:
    node, name = site.node, site.node.name
    if name not in ("mul", "div", "add", "add_any", "sub"):
        return
    a, b = node.sources
    for kept, other, j in ((a, b, 1), (b, a, 0)):
        if not site.fits(kept) or (name == "div" and kept == b) or not site.sees(j):
            continue
        negated = name == "sub" and kept == b
        is_term = name in ("add", "add_any", "sub")
        kind, sentence = _too_many(site.texts, "term" if is_term else name, other)
        where = site.where(site.texts.of(other))
        yield site.repair(kind, sentence, 1.03 if is_term else 1.0, _as(site.slot, kept, negated), where=where)


def _without_operation(site: Site) -> Iterator[Repair]:
    node, name = site.node, site.node.name
    a = node.sources[0] if node.sources else -1
    if name == "neg":
        yield site.repair("sign", f"the minus in {site.text} is one too many", 1.0, _operand(a), where=site.within)
    elif name in ("max", "min", "clamp"):
        for kept in node.sources:
            if site.fits(kept):
                yield site.repair(
                    "function", f"{site.text} stands for {site.texts.of(kept)}", 1.2, _as(site.slot, kept, negated=False)
                )
    elif name == "select_n" and site.program.is_constant(node.sources[0]):
        for kept in node.sources[1:]:
            if site.fits(kept) and site.texts.number(kept) is None:
                sentence = f"of {site.texts.of(kept)} only some entries count"
                yield site.repair("sum", sentence, 1.2, _as(site.slot, kept, negated=False))
    elif name in ("rev", "transpose") and site.program.shapes[a] == site.shape:
        yield site.repair("index", _turned(site, site.texts.of(a)), 1.0, _operand(a))
    elif name in _UNARY or name in ("integer_pow", "square"):
        yield site.repair(
            "function",
            f"{site.text} stands where {site.texts.of(a)} should: {_called(name)} is one too many",
            1.15,
            _operand(a),
        )


def _turned(site: Site, source: str) -> str:
    """What is said of an index that is turned round and should not be; a function may do that last by itself."""
    if source != site.text:
        return f"{site.text} stands where {source} should"
    if site.node.name == "transpose":
        return f"{source} stands where {bracketed(source)}ᵀ should"
    return f"the entries of {source} are in the wrong order"


def _as(slot: int, kept: int, negated: bool) -> Expression:
    def expression(b: Backend) -> Value:
        value = b.slot(WRONG, kept)
        return b.like(b.f("neg", value) if negated else value, slot)

    return expression


def _too_many(texts: Texts, name: str, slot: int) -> tuple[str, str]:
    number = texts.number(slot)
    text = texts.of(slot)
    if text in texts.sizes:
        mean = ": a mean stands for a sum" if name == "div" else ""
        return "constant", f"the {'division by' if name == 'div' else 'factor'} {text} is one too many{mean}"
    if name == "term":
        return "term", f"the term {text} is one too many"
    verb = "division by" if name == "div" else "factor"
    if number == -1:
        return "sign", f"the {verb} −1 is one too many"
    return ("constant" if number is not None else "factor"), f"the {verb} {text} is one too many"


# Another operation in its place

_COMPARISONS = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "ne", "ne": "eq"}
_SIGNS = {"lt": "<", "gt": ">", "le": "≤", "ge": "≥", "eq": "=", "ne": "≠"}
_UNARY = {"exp", "log", "logistic", "tanh", "sqrt", "sin", "cos", "abs"}


def _called(name: str) -> str:
    return {"logistic": "σ", "integer_pow": "the power", "square": "the square"}.get(name, name)


_OPPOSITE = {"add": "sub", "add_any": "sub", "sub": "add", "mul": "div", "div": "mul", "max": "min", "min": "max"}
_OPERATORS = {"add": "+", "add_any": "+", "sub": "−", "mul": "·", "div": "/"}


def _other_operation(site: Site) -> Iterator[Repair]:
    node, name = site.node, site.node.name
    if name in _OPPOSITE:
        (a, b), sign = node.sources, _OPERATORS.get(name, name)
        # a text that is cut short may have lost the sign that is meant
        text = f"… {sign} {site.texts.of(b)}" if "…" in site.text and name in _OPERATORS else site.text
        instead = f"{sign} stands where {_OPERATORS.get(_OPPOSITE[name], _OPPOSITE[name])} should, in {text}"
        yield site.repair("operation", instead, 1.1, _operation(site, _OPPOSITE[name], a, b))
        if name == "mul":
            yield site.repair("operation", instead, 1.11, _operation(site, "div", b, a))
        if name == "div":
            yield site.repair(
                "operands", f"the operands of / are swapped in {site.text}", 1.11, _operation(site, name, b, a)
            )
    if name in _COMPARISONS:
        sentence = f"{_SIGNS[name]} stands where {_SIGNS[_COMPARISONS[name]]} should, in {site.text}"
        yield site.repair("operation", sentence, 1.15, _operation(site, _COMPARISONS[name], *node.sources))
        for j, source in enumerate(node.sources):
            if site.program.is_real(source) and site.texts.number(source) != 0:
                sentence = f"the sign of {site.texts.of(source)} is wrong, in {site.text}"
                yield site.repair("sign", sentence, 1.3, _with_sign_changed(site, j))
    if name in _UNARY:
        for other in sorted(_UNARY - {name}):
            sentence = f"{_called(name)} stands where {_called(other)} should, in {site.text}"
            yield site.repair("function", sentence, 1.2, _operation(site, other, node.sources[0]))
    if name in ("integer_pow", "square"):
        power = int(node.params.get("y", 2))
        for other in {power - 1, power + 1, -power, power + 2, power - 2} - {0, 1}:
            sentence = f"the power {power} should be {other}, in {site.text}"
            yield site.repair("exponent", sentence, 1.15, _power(node.sources[0], other))


def _operation(site: Site, name: str, *slots: int) -> Expression:
    return lambda b: b.like(b.f(name, *[b.slot(WRONG, slot) for slot in slots]), site.slot)


def _with_sign_changed(site: Site, j: int) -> Expression:
    def expression(b: Backend) -> Value:
        operands = [b.slot(WRONG, slot) for slot in site.node.sources]
        operands[j] = b.f("neg", operands[j])
        return b.like(b.f(site.node.name, *operands), site.slot)

    return expression


def _power(slot: int, power: int) -> Expression:
    return lambda b: b.f("pow", b.slot(WRONG, slot), b.number(power))


# Another index


def _other_index(site: Site) -> Iterator[Repair]:
    node, name = site.node, site.node.name
    if name == "slice":
        source = site.program.shapes[node.sources[0]]
        for axis, size in enumerate(source):
            width = site.shape[axis]
            if size not in site.fixed or width == size or size > 6 or node.params["strides"] is not None:
                continue
            start = int(node.params["start_indices"][axis])
            for other in range(size - width + 1):
                if other != start:
                    yield site.repair(
                        "index", f"index {start} stands where {other} should, in {site.text}", 1.2, _moved(site, axis, other)
                    )
    for axis, size in enumerate(site.shape):
        if size in site.fixed and 1 < size <= 4:
            yield site.repair(
                "index",
                f"the entries of {site.text} are in the wrong order",
                1.8,
                lambda b, axis=axis: b.flip(b.slot(WRONG, site.slot), axis),
            )
    if len(site.shape) == 2 and site.shape[0] == site.shape[1] and site.shape[0] in site.fixed:
        yield site.repair("index", f"{site.text} is to be transposed", 1.6, lambda b: b.transpose(b.slot(WRONG, site.slot)))
    if name == "dot_general":
        for j in (0, 1):
            shape = site.program.shapes[node.sources[j]]
            if len(shape) == 2 and shape[0] == shape[1] and shape[0] in site.fixed:
                yield site.repair(
                    "index",
                    f"{site.texts.of(node.sources[j])} is to be transposed, in {site.text}",
                    1.6,
                    _transposed(site, j),
                )


def _moved(site: Site, axis: int, start: int) -> Expression:
    def expression(b: Backend) -> Value:
        node = b.program.nodes[b.program.maker[site.slot]]
        starts, limits = list(node.params["start_indices"]), list(node.params["limit_indices"])
        limits[axis] += start - starts[axis]
        starts[axis] = start
        return b.bind(node, [b.slot(WRONG, node.sources[0])], start_indices=tuple(starts), limit_indices=tuple(limits))

    return expression


def _transposed(site: Site, j: int) -> Expression:
    def expression(b: Backend) -> Value:
        node = b.program.nodes[b.program.maker[site.slot]]
        operands = [b.slot(WRONG, source) for source in node.sources]
        operands[j] = b.transpose(operands[j])
        return b.bind(node, operands)

    return expression


# Another axis


def _other_axis(site: Site) -> Iterator[Repair]:
    """What a call sums, normalises or adds up along one of the last two axes, along the other one."""
    for j in (None, *range(len(site.node.sources) if site.node.name in _OPPOSITE else 0)):
        along = _Along.of(site, j)
        if along is not None and not site.calls.is_inside(along.slot):
            text = site.texts.of(along.slot)
            yield site.repair("index", f"{text} goes along the wrong axis", 1.2, along.other)


@dataclass(frozen=True)
class _Along:
    """What is computed by one call, with a sum or the like along one of the last two axes of another value."""

    site: Site
    operand: int | None
    """of the site, which is one entry for each row or column; None for its value"""
    slot: int
    """the same, as the call gives it"""
    wide: int
    """that other value"""
    axis: int
    """counted from the end"""

    @classmethod
    def of(cls, site: Site, operand: int | None) -> "_Along | None":
        """None where it is not of that kind."""
        program, slot = site.program, site.slot if operand is None else site.node.sources[operand]
        result = program.shapes[slot]
        while slot in program.maker and program.nodes[program.maker[slot]].name in PASSING:
            slot = program.nodes[program.maker[slot]].sources[0]
        steps = [node for node in _steps_to(program, slot) if node.name in REDUCTIONS] if slot in program.maker else []
        found = {(_axis_of(node, program.shapes[node.sources[0]]), program.shapes[node.sources[0]]) for node in steps}
        if len(found) != 1:
            return None
        ((axis, shape),) = found
        if len(shape) < 2 or axis not in (-1, -2):
            return None
        if operand is None:
            is_result = result == shape or (result == shape[:-1] and shape[-1] == shape[-2])
        else:
            is_result = site.shape == shape and len(result) == len(shape) and result[axis] == 1 != shape[axis]
        return cls(site, operand, slot, steps[0].sources[0], axis) if is_result else None

    @property
    def across(self) -> int:
        """The other one of the last two axes, counted from the end."""
        return -3 - self.axis

    def other(self, b: Backend) -> Value:
        """The site's value with the same along the other axis; NaN where that cannot be told."""
        made = self._at(b, self.slot)
        if made is None:
            return b.f("mul", b.slot(WRONG, self.site.slot), b.number(math.nan))
        if self.operand is not None:
            operands = [b.slot(WRONG, source) for source in self.site.node.sources]
            operands[self.operand] = b.like(made, self.site.slot)
            return b.bind(self.site.node, [b.like(each, self.site.slot) for each in operands])
        if len(b.program.shapes[self.site.slot]) == len(b.program.shapes[self.wide]):
            return b.like(made, self.site.slot)
        return b.take(made, self.across, 0)

    def _at(self, b: Backend, slot: int) -> Value | None:
        """A value by the other axis, which is kept where it is summed."""
        program, shape, wide = b.program, b.program.shapes[slot], b.program.shapes[self.wide]
        node = program.nodes[program.maker[slot]] if slot in program.maker else None
        call = program.nodes[program.maker[self.slot]].origin
        if node is None or not (node.origin == call or node.name in PASSING):
            number = number_in(program, slot)
            if number is not None:  # a mean divides by how many there are
                return b.number(wide[self.across] if number == wide[self.axis] else number)
            return b.slot(WRONG, slot) if shape in ((), wide) else None
        operands = [self._at(b, source) for source in node.sources]
        if any(operand is None for operand in operands):
            return None
        if node.name in REDUCTIONS:
            return b.reduce(node.name, operands[0], self.across)
        if node.name in PASSING:
            return operands[0]
        if any(len(program.shapes[source]) not in (0, len(shape)) for source in node.sources):
            return None
        return b.bind(node, b.alike(operands))


def _steps_to(program: Program, slot: int) -> Iterator[Node]:
    """The equations of one call that a value is computed by."""
    call, left, seen = program.nodes[program.maker[slot]].origin, [slot], set[int]()
    while left:
        at = left.pop()
        node = program.nodes[program.maker[at]] if at in program.maker and at not in seen else None
        seen.add(at)
        if node is not None and (node.origin == call or node.name in PASSING):
            yield node
            left += node.sources


def _axis_of(node: Node, shape: tuple[int, ...]) -> int:
    """The axis that a step goes along, counted from the end; 0 for several."""
    axes = node.params.get("axes", node.params.get("axis", node.params.get("dimension")))
    one = axes[0] if isinstance(axes, tuple) and len(axes) == 1 else axes
    return one - len(shape) if isinstance(one, int) else 0


# Constants: found by solving for them


def constants_for(value: float, sizes: Mapping[str, int]) -> Iterator[tuple[str, OfSizes]]:
    """The simple constants that a number is: −1, 2, 1/2, 1/n, n − 1; their text, and the number at other sizes."""
    for text, number in (*_SIMPLE, *[(f"{v:.12g}", v) for v in (0.1, 0.01)]):
        if _close(value, number):
            yield text, lambda _, number=number: number
    for name in sizes:
        for text, f in _OF_A_SIZE:
            if _close(value, f(sizes[name])):
                yield text.format(n=name), lambda sizes, f=f, name=name: f(sizes[name])


_SIMPLE: tuple[tuple[str, float], ...] = (
    ("−1", -1.0),
    ("2", 2.0),
    ("1/2", 0.5),
    ("−2", -2.0),
    ("−1/2", -0.5),
    ("3", 3.0),
    ("1/3", 1 / 3),
    ("4", 4.0),
    ("1/4", 0.25),
)
_OF_A_SIZE: tuple[tuple[str, Callable[[int], float]], ...] = (
    ("{n}", lambda n: n),
    ("1/{n}", lambda n: 1 / n),
    ("({n} − 1)", lambda n: n - 1),
    ("1/({n} − 1)", lambda n: 1 / (n - 1) if n > 1 else math.inf),
    ("{n}/({n} − 1)", lambda n: n / (n - 1) if n > 1 else math.inf),
    ("({n} − 1)/{n}", lambda n: (n - 1) / n),
)


def _close(a: float, b: float) -> bool:
    return math.isfinite(b) and abs(a - b) <= 1e-11 * abs(b)
