"""Looks for the small changes that put a wrong line right: in floats for all of them, in balls for the likeliest."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import numpy as np

from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.comparing import compare, evaluator
from autodiff_ref.judge.diagnosis import batched
from autodiff_ref.judge.diagnosis.backends import RIGHT, WRONG, Backend, Expression, Floats, Traced, Value
from autodiff_ref.judge.diagnosis.batched import LEAD
from autodiff_ref.judge.diagnosis.calls import Calls
from autodiff_ref.judge.diagnosis.occurrences import PASSING, Repair, Site, Texts
from autodiff_ref.judge.diagnosis.repairs import OfSizes, constants_for, repairs_of
from autodiff_ref.judge.diagnosis.source_places import Frame
from autodiff_ref.judge.diagnosis.substitutes import Family, Pool, families, families_at_one_use
from autodiff_ref.judge.diagnosis.terms import terms_of
from autodiff_ref.judge.diagnosis.variant import Program
from autodiff_ref.judge.program.plans import Plan
from autodiff_ref.judge.program.walk import plan
from autodiff_ref.trees import Arguments

TOLERANCE = 1e-11
"""of the filter in floats; it decides nothing"""


@dataclass(frozen=True)
class Scene:
    """Two lines at several inputs of one shape."""

    wrong: Program
    right: Program
    inputs: Sequence[Arguments]
    names: Sequence[str]
    labels: Sequence[bool]
    sizes: Mapping[str, int]
    fixed: frozenset[int]
    trusted: frozenset[Frame]
    """the text of functions that the right line calls, or `of`"""

    @property
    def leaves(self) -> list[np.ndarray]:
        """The arguments, stacked."""
        return [np.stack(leaves) for leaves in zip(*[jax.tree.leaves(args) for args in self.inputs], strict=True)]


class Exhausted(Exception):  # noqa: N818 (no error: the search just ends)
    """So much work was done that nothing more is looked for."""


class Budget:
    """Counts work instead of time, so that a slow machine says what a fast one says."""

    def __init__(self, work: float) -> None:
        self.left = work

    def spend(self, work: float) -> None:
        """Raises Exhausted where less is left."""
        self.left -= work
        if self.left < 0:
            raise Exhausted


Families = Callable[[Site, Pool, set[int]], Iterator[Family]]
"""what may be computed in the place of an equation's value"""

PER_NODE, PER_CALL_OF_JAX = 3e3, 3e6
"""work of one step of a program, in numbers computed: what calling NumPy costs, and what compiling for JAX does"""


class Search:
    """The repairs of a wrong line, filtered at one shape."""

    def __init__(self, scene: Scene, budget: Budget, again: Program | None = None) -> None:
        """At the inputs of a scene; `again` is the wrong line at other shapes."""
        self.scene, self.budget = scene, budget
        leaves = scene.leaves
        self.base = batched.evaluated(scene.wrong, leaves)
        self.backend = Floats(scene.wrong, scene.sizes, (self.base, batched.evaluated(scene.right, leaves)))
        self.wanted = batched.flat([self.backend.slot(RIGHT, slot) for slot in scene.right.outputs])
        self.found = batched.flat([self.base[slot] for slot in scene.wrong.outputs])
        self.scale = np.max(np.abs(self.wanted), axis=-1, keepdims=True)
        self.texts = Texts(scene.wrong, scene.names, scene.sizes, again)
        self.calls = Calls(scene.wrong, scene.trusted)

    def equal(self, outputs: np.ndarray) -> np.ndarray:
        """For each variant, whether it equals the right line at every input, as floats see it."""
        close = np.abs(outputs - self.wanted) <= TOLERANCE * self.scale
        return np.all(close & np.isfinite(outputs), axis=(-1, -2))

    @property
    def differs(self) -> bool:
        """Whether floats see the mistake at all."""
        return not bool(self.equal(self.found)[0]) and bool(np.all(np.isfinite(self.wanted)))

    def simple(self) -> list[Repair]:
        """The repairs without other values that floats cannot tell from the right line."""
        return [repair for site in self._sites() for repair in self._simple_at(site)]

    def survive(self, repairs: Iterable[Repair]) -> list[Repair]:
        """Those of some repairs that floats cannot tell from the right line."""
        return [repair for repair in repairs if self.right_at(repair)]

    def others(self) -> list[Repair]:
        """The same for repairs that use other values of the two lines."""
        return self._with_values(families)

    def at_one_use(self) -> list[Repair]:
        """The same for those that change a value where it is used once, and leave its other uses."""
        return self._with_values(families_at_one_use)

    @cached_property
    def _pool(self) -> Pool:
        terms = terms_of(self.backend, self.scene.right, self.scene.names, self.scene.labels, self.scene.fixed)
        return Pool(self.backend, terms, len(self.scene.inputs))

    def _with_values(self, kind: Families) -> list[Repair]:
        return [repair for site in self._sites() for repair in self._others_at(site, kind)]

    def _sites(self) -> Iterator[Site]:
        for node in reversed(self.scene.wrong.nodes):  # of equal ones the outermost is said
            slot = node.targets[0]
            if not node.origin.is_nabla and len(node.targets) == 1 and self.scene.wrong.dtypes[slot].kind in "fb":
                yield Site(self.scene.wrong, self.texts, node, self.scene.fixed, self.calls)

    def _simple_at(self, site: Site) -> Iterator[Repair]:
        candidates: list[Repair] = []
        values: list[np.ndarray] = []
        probes = list[_Probe]()
        if self.scene.wrong.is_real(site.slot):
            probes = list(self._probes(site))
        for repair in repairs_of(site, list(self.scene.sizes)):
            value = np.asarray(repair.expression(self.backend))
            if value.shape[LEAD:] == site.shape:
                candidates.append(repair)
                values.append(value)
        count = len(candidates)
        values += [value for probe in probes for value in probe.values]
        if not values:
            return
        outputs = self._outputs(site.slot, values, self.scene.wrong.downstream(site.slot))
        for repair, right in zip(candidates, self.equal(outputs[:count]), strict=True):
            if right:
                yield repair
        for k, probe in enumerate(probes):
            yield from self._solved(site, probe, outputs[count + 3 * k : count + 3 * k + 3])

    def _others_at(self, site: Site, kind: Families) -> Iterator[Repair]:
        if not self.scene.wrong.is_real(site.slot):
            return
        downstream = self.scene.wrong.downstream(site.slot)
        changed = {target for k in downstream for target in self.scene.wrong.nodes[k].targets}
        made = list(kind(site, self._pool, changed))
        if not made:
            return
        outputs = self._outputs(site.slot, [family.values for family in made], downstream)
        right, start = self.equal(outputs), 0
        for family in made:
            count = len(family.values)
            yield from (family.repair(int(k)) for k in np.flatnonzero(right[start : start + count]))
            start += count

    def _outputs(self, slot: int, values: Sequence[np.ndarray], downstream: Sequence[int]) -> np.ndarray:
        program, count = self.scene.wrong, sum(len(value) for value in values) * len(self.scene.inputs)
        for k in downstream:
            size = sum(int(np.prod(program.shapes[target])) for target in program.nodes[k].targets)
            self.budget.spend((PER_NODE if batched.has_rule(program.nodes[k]) else PER_CALL_OF_JAX) + count * size)
        shape = (len(self.scene.inputs), *program.shapes[slot])
        stacked = np.concatenate([np.broadcast_to(value, (len(value), *shape)) for value in values])
        made = batched.outputs_with(self.scene.wrong, self.base, slot, stacked, downstream)
        return np.broadcast_to(made, (len(stacked), *made.shape[1:]))

    def right_at(self, repair: Repair) -> bool:
        """Whether a repair found at another shape puts the line right at this one, as floats see it."""
        value = np.asarray(repair.expression(self.backend))
        if value.shape[LEAD:] != self.scene.wrong.shapes[repair.slot]:
            return False
        downstream = self.scene.wrong.downstream(repair.slot)
        return bool(self.equal(self._outputs(repair.slot, [value], downstream))[0])

    # Constants: where the outputs are affine in one, two of its values give the one that is right

    def _probes(self, site: Site) -> Iterator["_Probe"]:
        own = self.base[site.slot]
        if site.has_value and np.all(np.isfinite(own)):  # the outputs may be finite all the same: 1/(1 + e^1000) is 0
            yield _Probe(None, [0 * own, own, 2 * own])
        for j, source in enumerate(site.node.sources):
            number = self.texts.number(source)
            if number is not None and site.is_open and site.program.is_real(source) and site.node.name not in PASSING:
                yield _Probe(j, [self._with_constant(site, j, t) for t in (0.0, 1.0, 2.0)])

    def _with_constant(self, site: Site, j: int, value: float) -> np.ndarray:
        return np.broadcast_to(_constant_operand(site, j, value)(self.backend), (1, len(self.scene.inputs), *site.shape))

    def _solved(self, site: Site, probe: "_Probe", outputs: np.ndarray) -> Iterator[Repair]:
        if not np.all(np.isfinite(outputs)):
            return
        zero, one, two = outputs
        slope = one - zero
        largest = np.max(np.abs(outputs))
        if np.max(np.abs(two - one - slope)) > 1e-12 * largest or np.max(np.abs(slope)) <= 1e-9 * largest:
            return
        wanted = self.wanted[0] - zero
        t = float(np.sum(slope * wanted) / np.sum(slope * slope))
        if not np.all(np.abs(t * slope - wanted) <= TOLERANCE * self.scale[0]):
            return
        t = 0.0 if abs(t) < 1e-12 else t
        if probe.operand is None:
            yield from _scaled(site, t, self.scene.sizes)
        else:
            yield from _other_constant(site, self.texts, probe.operand, t, self.scene.sizes)


@dataclass(frozen=True)
class _Probe:
    operand: int | None
    """which operand is a constant; None for the whole value"""
    values: list[np.ndarray]
    """at 0, 1 and 2 times it"""


def _constant_operand(site: Site, j: int, value: float | OfSizes) -> Expression:
    def expression(b: Backend) -> Value:
        number = value if isinstance(value, int | float) else value(b.sizes)
        operands = [b.slot(WRONG, source) for source in site.node.sources]
        operands[j] = b.like(b.number(number), site.node.sources[j])
        return b.bind(site.node, operands)

    return expression


def _scaled(site: Site, t: float, sizes: Mapping[str, int]) -> Iterator[Repair]:
    """A constant factor too much or too little."""
    if abs(t - 1) < 1e-14 or t == 0:
        return
    simple = [(text, f, False) for text, f in constants_for(t, sizes)]
    simple += [(text, f, True) for text, f in constants_for(1 / t, sizes)]
    for text, f, surplus in simple[:1]:
        if text == "−1":
            continue  # a sign, which is tried as such
        state = "one too many" if surplus else "missing"

        def times(b: Backend, f: OfSizes = f, surplus: bool = surplus) -> Value:
            return b.f("div" if surplus else "mul", b.slot(WRONG, site.slot), b.number(f(b.sizes)))

        yield site.repair("constant", f"the factor {text} is {state}", 1.5, times, where=site.at)
    if not simple:
        yield site.repair(
            "constant",
            f"{site.text} {_off(t)}",
            1.55,
            lambda b: b.f("mul", b.slot(WRONG, site.slot), b.number(t)),
        )


def _off(t: float) -> str:
    """How far a value is off that should be t times as large, by a number above 1

    Example:
        >>> _off(0.8), _off(4.0), _off(-1.5)
        ('is 1.25 times too large', 'is 4 times too small', 'should be −1.5 times as large')
    """
    if t < 0:
        return f"should be −{-t:.12g} times as large"
    return f"is {1 / t:.12g} times too large" if t < 1 else f"is {t:.12g} times too small"


def _other_constant(site: Site, texts: Texts, j: int, t: float, sizes: Mapping[str, int]) -> Iterator[Repair]:
    """Another number in the place of one."""
    old = texts.of(site.node.sources[j])
    found = list(constants_for(t, sizes))[:1] or [(f"{n:g}", lambda _, n=n: n) for n in (0.0, 1.0) if abs(t - n) < 1e-12]
    for text, f in found or [(f"{t:.12g}", lambda _: t)]:
        cost = 1.4 if found else 1.6
        yield site.repair(
            "constant", f"{old} stands where {text} should, in {site.text}", cost, _constant_operand(site, j, f)
        )


def certified(scene: Scene, repair: Repair, right_plan: Plan | None, flags: Sequence[bool], several: int) -> int:
    """At how many inputs a repaired line equals the right one in balls; 0 if it differs at any, or nothing can be said."""
    if right_plan is None:
        return 0
    leaves = jax.tree.leaves(scene.inputs[0])
    shapes = [jax.ShapeDtypeStruct(np.shape(leaf), np.asarray(leaf).dtype) for leaf in leaves]

    def repaired(*arguments: jax.Array) -> list[jax.Array]:
        values = scene.wrong.run(arguments)
        made = repair.expression(Traced(scene.wrong, scene.sizes, (values, scene.right.run(arguments))))
        return scene.wrong.outputs_with(values, repair.slot, made.astype(scene.wrong.dtypes[repair.slot]))

    with jax.enable_x64(True):
        closed = jax.make_jaxpr(repaired)(*shapes)
    made = plan(closed, BALLS, labels=flags)
    equal = 0
    for args in scene.inputs[:several]:
        outcome = compare(evaluator(made, args), evaluator(right_plan, args)).outcome
        if outcome == "different":
            return 0
        equal += outcome == "equal"
    return equal


def without_doubles(repairs: Sequence[Repair]) -> list[Repair]:
    """The likeliest first; of those that say the same of one value, one.

    That u stands where r u should, and that the factor r is missing, is the same: the shorter is said.
    """
    found: dict[tuple[int, str], Repair] = {}
    for each in sorted(repairs, key=lambda each: each.cost):
        found.setdefault((each.slot, each.sentence), each)
    joined = {each.joins: each for each in reversed(found.values()) if each.joins is not None}
    for swap in [each for each in found.values() if each.swaps is not None]:
        for join in [joined[slot] for slot in (swap.swaps, swap.slot) if slot in joined]:
            if len(join.sentence) < len(swap.sentence):
                found.pop((swap.slot, swap.sentence), None)
                found[join.slot, join.sentence] = replace(join, cost=min(join.cost, swap.cost))
    return sorted(found.values(), key=lambda each: each.cost)
