"""Repairs that put another value in a place, or join one to what stands there: all of a pool at once, in NumPy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from autodiff_ref.judge.diagnosis import batched
from autodiff_ref.judge.diagnosis.backends import WRONG, Backend, Expression, Floats, Value
from autodiff_ref.judge.diagnosis.batched import LEAD
from autodiff_ref.judge.diagnosis.occurrences import Repair, Site
from autodiff_ref.judge.diagnosis.terms import Term, bracketed
from autodiff_ref.judge.diagnosis.variant import Program

NEW = 8.0
"""a factor or a term that is missing takes at most so many operations that the wrong line does not do itself"""

NEW_INSTEAD = 3.0
"""the same for what stands in the place of something else: with more of it, anything could be explained"""

ELEMENTWISE = {"add", "add_any", "sub", "mul", "div", "max", "min", "pow"}


@dataclass(frozen=True)
class Family:
    """Many variants of a slot's value, and the repair that each of them is."""

    values: np.ndarray
    """(variant, input, …)"""
    repair: Callable[[int], Repair]


@dataclass(frozen=True)
class Pool:
    """The terms that repairs may use, with their values."""

    backend: Floats
    terms: Sequence[Term]
    inputs: int

    @cached_property
    def by_shape(self) -> dict[tuple[int, ...], tuple[list[Term], np.ndarray]]:
        """The terms of each shape, and their values: (term, input, …)."""
        groups: dict[tuple[int, ...], list[Term]] = {}
        for term in self.terms:
            groups.setdefault(term.shape, []).append(term)
        return {shape: (terms, self._stacked(terms, shape)) for shape, terms in groups.items()}

    def _stacked(self, terms: Sequence[Term], shape: tuple[int, ...]) -> np.ndarray:
        values = [np.broadcast_to(term.expression(self.backend), (1, self.inputs, *shape)) for term in terms]
        return np.concatenate(values)

    def usable(self, shape: tuple[int, ...], changed: set[int], most: float) -> tuple[list[Term], np.ndarray]:
        """Those of a shape that do not depend on changed slots, and lack at most so many operations."""
        terms, values = self.by_shape.get(shape, ([], np.empty(0)))
        kept = [k for k, term in enumerate(terms) if term.slot not in changed and term.cost <= most]
        return [terms[k] for k in kept], values[kept]


def families(site: Site, pool: Pool, changed: set[int]) -> Iterator[Family]:
    """Everything that could stand in the place of an equation's operands, of its value, or be joined to that."""
    yield from _other_operand(site, pool, changed)
    if site.has_value:
        yield from _instead(site, pool, changed)
        yield from _missing(site, pool, changed)


def families_at_one_use(site: Site, pool: Pool, changed: set[int]) -> Iterator[Family]:
    """Everything that could be joined to an operand that is also used elsewhere, where it is right."""
    for j, source in enumerate(site.node.sources):
        uses = sum(node.sources.count(source) for node in site.program.nodes)
        if uses < 2 or not site.program.is_real(source) or not site.sees(j) or site.texts.number(source) is not None:
            continue
        own = replace(site, operand=j)
        for family in _missing(own, pool, changed | {site.slot}):
            made = _applied(site, pool, j, family.values)
            if made.shape[LEAD:] == site.shape:
                yield Family(made, family.repair)


# Something else in the place of an operand, or of the value


def _other_operand(site: Site, pool: Pool, changed: set[int]) -> Iterator[Family]:
    elementwise = site.node.name in ELEMENTWISE
    for j, source in enumerate(site.node.sources):
        if not site.program.is_real(source) or not site.sees(j):
            continue
        shape, old = site.program.shapes[source], site.texts.of(source)
        for wanted in dict.fromkeys((shape, site.shape) if elementwise and shape == () else (shape,)):
            terms, values = pool.usable(wanted, changed | {site.slot}, NEW_INSTEAD)
            keep = [k for k, term in enumerate(terms) if not term.ratio and term.text != old]
            if not keep:
                continue
            terms = [terms[k] for k in keep]
            made = _applied(site, pool, j, values[keep])
            if made.shape[LEAD:] == site.shape:
                yield Family(made, _operand_repair(site, j, terms, old, widened=wanted != shape))


def _applied(site: Site, pool: Pool, j: int, values: np.ndarray) -> np.ndarray:
    """An equation's value with others in the place of an operand."""
    operands = [pool.backend.slot(WRONG, slot) for slot in site.node.sources]
    operands[j] = values
    shapes = [operand.shape[LEAD:] for operand in operands]
    return batched.applied(site.node.primitive, site.node.params, operands, shapes, [site.shape])[0]


def _operand_repair(site: Site, j: int, terms: list[Term], old: str, *, widened: bool) -> Callable[[int], Repair]:
    def repair(k: int) -> Repair:
        term = terms[k]
        surplus = None if term.slot is None else surplus_of(site, site.node.sources[j], term.slot)
        if surplus is not None and term.text == site.texts.of(term.slot or 0):
            return site.repair(*surplus, 1.55 + _cost(term), _with(site, j, term.expression), where=site.where(old))
        sentence = f"{old} stands where {term.text} should"
        # of two that are as likely, the one whose text stands in the line's own file says more
        cost = 1.6 + _cost(term) + 0.001 * site.texts.away(site.node.sources[j])
        # u², uᵀ or u⁻¹ in the place of u is likelier than another value, and no factor of it that is missing
        is_own, swaps = term.text in [f"{bracketed(old)}{power}" for power in ("²", "ᵀ", "⁻¹")], site.node.sources[j]
        return site.repair(
            _kind_of_swap(old, term, widened),
            sentence,
            cost - 0.05 * is_own,
            _with(site, j, term.expression),
            where=site.where(old),
            swaps=None if is_own else swaps,
        )

    return repair


def surplus_of(site: Site, slot: int, ancestor: int) -> tuple[str, str] | None:
    """What a value has that the one it is made from has not: the kind and the sentence; only factors, or only terms."""
    for names, kind, what in (({"mul", "div"}, "factor", "factor"), ({"add", "add_any", "sub"}, "term", "term")):
        found = _extra(site, slot, ancestor, names, 4)
        if found:
            return kind, f"the {what} {' '.join(found)} is one too many"
    return None


def _extra(site: Site, slot: int, ancestor: int, names: set[str], depth: int) -> list[str] | None:
    if slot == ancestor:
        return []
    maker = site.program.maker.get(slot)
    node = None if maker is None else site.program.nodes[maker]
    if node is None or depth == 0 or node.name not in names:
        return None
    for kept, other in ((0, 1), (1, 0))[: 1 if node.name in ("div", "sub") else 2]:
        before = _extra(site, node.sources[kept], ancestor, names, depth - 1)
        if before is not None:
            text = bracketed(site.texts.of(node.sources[other]))
            return [*before, {"div": f"1/{text}", "sub": f"−{text}"}.get(node.name, text)]
    return None


def _factors(program: Program, slot: int) -> set[int]:
    """What a value is a product of, powers and quotients of products taken apart; a sign and another shape are no matter."""
    found, waiting = set[int](), [slot]
    while waiting:
        at = waiting.pop()
        found.add(at)
        maker = program.maker.get(at)
        node = None if maker is None else program.nodes[maker]
        if node is None:
            continue
        if node.name in ("mul", "neg", "broadcast_in_dim", "reshape", "squeeze", "expand_dims"):
            waiting += node.sources
        elif node.name in ("div", "integer_pow", "square", "pow"):
            waiting.append(node.sources[0])
    return found


def _with(site: Site, j: int, operand: Expression) -> Expression:
    """An equation with something else in the place of an operand."""

    def expression(b: Backend) -> Value:
        node = b.program.nodes[b.program.maker[site.slot]]
        operands = [b.slot(WRONG, source) for source in node.sources]
        operands[j] = operand(b)
        if node.name in ELEMENTWISE:
            return b.like(b.f(node.name.replace("_any", ""), *operands), site.slot)
        return b.bind(node, operands)

    return expression


def _kind_of_swap(old: str, term: Term, widened: bool) -> str:
    if term.is_label:
        return "label"
    if widened:
        return "broadcast"
    before, after = old.partition("["), term.text.partition("[")
    return "index" if before[0] == after[0] and before[1] and after[1] else "operand"


def _cost(term: Term) -> float:
    """What the wrong line lacks of it; deep in other functions, and longer texts, are less likely."""
    return 0.2 * term.cost + 0.3 * term.depth + 0.8 * term.of_nabla + min(len(term.text), 60) / 1000


def _instead(site: Site, pool: Pool, changed: set[int]) -> Iterator[Family]:
    terms, values = pool.usable(site.shape, changed, NEW_INSTEAD)
    text = site.text
    keep = [k for k, term in enumerate(terms) if not term.ratio and term.text != text]

    def repair(k: int) -> Repair:
        term = terms[keep[k]]
        sentence = f"{text} stands where {term.text} should"
        kind = _kind_of_swap(text, term, widened=False)
        return site.repair(
            kind, sentence, 2.3 + _cost(term), lambda b: b.like(term.expression(b), site.slot), swaps=site.slot
        )

    if keep:
        yield Family(values[keep], repair)


# What is missing, or too much


def _missing(site: Site, pool: Pool, changed: set[int]) -> Iterator[Family]:
    own, shape_there = pool.backend.slot(WRONG, site.joined), site.program.shapes[site.joined]
    rank = len(shape_there)
    for shape in list(pool.by_shape):
        for widen in _ways(shape_there, shape):
            terms, values = pool.usable(shape, changed, NEW)
            if not terms:
                continue
            values = batched.lifted(values, rank) if not widen else values.reshape(*values.shape, *[1] * (rank - len(shape)))
            for name in ("mul", "div", "add", "sub"):
                kept = [k for k, term in enumerate(terms) if name == "mul" or not term.ratio]
                made = batched.elementwise(name, own, values[kept])
                joined = np.broadcast_to(made, made.shape[:LEAD] + shape_there)
                yield Family(joined, _joined_repair(site, name, [terms[k] for k in kept], widen))


def _ways(shape: tuple[int, ...], own: tuple[int, ...]) -> list[bool]:
    """How a term can be brought to a shape: by its last axes (False), by its first ones (True)."""
    rank = len(shape)
    if len(own) > rank:
        return []
    found = [False] if own == shape[rank - len(own) :] else []
    return found + ([True] if 0 < len(own) < rank and own == shape[: len(own)] else [])


def _joined_repair(site: Site, name: str, terms: list[Term], widen: bool) -> Callable[[int], Repair]:
    def repair(k: int) -> Repair:
        term, rank = terms[k], len(site.program.shapes[site.joined])
        stands_there = term.text in map(site.texts.of, _factors(site.program, site.joined))
        surplus, state = ("factor", "one too many") if stands_there else ("division by", "missing")

        def expression(b: Backend) -> Value:
            value = b.column(term.expression(b), rank) if widen else term.expression(b)
            return b.like(b.f(name, b.slot(WRONG, site.joined), value), site.joined)

        kind, sentence, more = {
            "mul": ("factor", f"the factor {term.text} is missing", 2.0),
            "div": ("factor", f"the {surplus} {term.text} is {state}", 2.05),
            "add": ("term", f"the term {term.text} is missing", 2.1),
            "sub": ("term", f"the term −{bracketed(term.text)} is missing", 2.15),
        }[name]
        if term.ratio:
            kind, sentence, more = "function", term.text, 1.3
        if site.operand is not None:
            sentence += f" at {site.texts.of(site.joined)}, in {site.text}"
            return site.repair(kind, sentence, more + _cost(term), _with(site, site.operand, expression))
        joins = site.joined if term.text != site.texts.of(site.joined) else None
        return site.repair(kind, sentence, more + _cost(term), expression, where=site.at, joins=joins)

    return repair
