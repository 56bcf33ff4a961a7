"""Edits of a line: one equation of its jaxpr computed otherwise, in the same way at every shape.

An edit names an equation by its position among the equations of the line's jaxpr (calls inlined, JAX's ∇ handed in), a kind
of change, and which change of that kind. At a shape at which the jaxpr has another structure, or the change does not fit,
the edit does not exist, and the line stays as it is there.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.errors import line_error
from autodiff_ref.judge.inputs import RandomSource, draw_arguments, main_sizes
from autodiff_ref.judge.lines.jaxprs import (
    Atom,
    Body,
    EditError,
    Position,
    bodies_of,
    fingerprint,
    flattened,
    is_under_nabla,
    replaced,
    skeleton,
)
from autodiff_ref.judge.lines.trace import Call, ShapeKey, jaxpr_of, shape_key, with_nabla
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.program.plans import Shaped, aval_of
from autodiff_ref.nabla import Nabla
from autodiff_ref.trees import Arguments, Function, PyTree, Structure
from manual_grad.derivation import Derivation, Line, formula_of, label_of
from manual_grad.domains import Domain


@dataclass(frozen=True)
class Change:
    """One way to compute an equation otherwise."""

    detail: str
    """tells it from the other changes of its kind at the same equation, in the same words at every shape"""
    sentence: str
    apply: Function
    """of the equation's operands, then of `extras`: its results"""
    extras: tuple[int, ...] = ()
    """other values of the same body, as `Body.values` numbers them"""


@dataclass(frozen=True)
class Site:
    """An equation of a line, and what is known around it."""

    body: Body
    k: int
    position: Position
    labels: Mapping[core.Var, Domain]
    """the inputs that hold labels, and of which kind"""

    @property
    def eqn(self) -> core.JaxprEqn:
        """The equation."""
        return self.body.eqns[self.k]

    @property
    def name(self) -> str:
        """Its primitive."""
        return self.eqn.primitive.name

    @property
    def operands(self) -> list[Atom]:
        """What it is computed from."""
        return self.eqn.invars

    @property
    def result(self) -> Shaped:
        """The abstract value of its first result."""
        return aval_of(self.eqn.outvars[0])

    def bind(self, *operands: jax.Array, **params: object) -> Any:
        """The primitive on other operands, or with other parameters."""
        made = self.eqn.primitive.bind(*operands, **{**self.eqn.params, **params})
        return list(made) if self.eqn.primitive.multiple_results else made

    def earlier(self) -> Iterator[tuple[int, core.Var]]:
        """The values that stand when this equation is computed, numbered."""
        first = self.body.number[self.eqn.outvars[0]]
        yield from ((k, var) for k, var in enumerate(self.body.values[:first]))


Kinds = Mapping[str, Callable[[Site], Iterator[Change]]]
"""The changes of each kind that an equation allows."""


@dataclass(frozen=True)
class Edit:
    """One change of one equation."""

    kind: str
    position: Position
    primitive: str
    detail: str


@dataclass(frozen=True)
class Flat:
    """A line at one shape, calls inlined."""

    closed: core.ClosedJaxpr
    """its value, then the arguments of every use of ∇"""
    structure: Structure
    """of its value"""
    calls: list[Call]

    @cached_property
    def skeleton(self) -> Hashable:
        """Its structure, whatever the shapes."""
        return skeleton(self.closed)

    @property
    def n_outputs(self) -> int:
        """How many outputs its value is."""
        return self.structure.num_leaves


class Editable:
    """A line whose jaxpr is edited: traced once a shape."""

    def __init__(self, derivation: Derivation, line: Line, kinds: Kinds) -> None:
        self.derivation, self.line, self.kinds = derivation, line, kinds
        self._traces = Traces(derivation)
        self._flat: dict[ShapeKey, Flat] = {}
        sizes = main_sizes(derivation.domain, derivation.sizes)[0]
        self.typical = draw_arguments(derivation.domain, sizes, "ordinary", RandomSource(np.random.default_rng(0)))

    def at(self, args: Arguments) -> Flat:
        """The line at the shapes of `args`.

        Raises:
            LineError: the line raises.
        """
        key = shape_key(args)
        if key not in self._flat:
            try:
                closed, shapes, calls = self._traces.read(
                    self.line, lambda line: jaxpr_of(with_nabla(line), args, self.derivation.wrt, self._traces.nabla)
                )
            except Exception as error:
                raise line_error(error, label_of(self.line), self.derivation, args) from error
            self._flat[key] = Flat(flattened(closed), jax.tree.structure(shapes), calls)
        return self._flat[key]

    def sites(self, closed: core.ClosedJaxpr, n_outputs: int) -> Iterator[Site]:
        """The equations that the value is computed from, those of loops included."""
        domains = jax.tree.leaves(self.derivation.domain)
        held = zip(closed.jaxpr.invars, domains, strict=True)
        yield from _sites(Body(closed, n_outputs), (), {var: leaf for var, leaf in held if leaf.known})

    def changed(self, closed: core.ClosedJaxpr, edit: Edit, n_outputs: int) -> core.ClosedJaxpr:
        """A jaxpr with an edit made.

        Raises:
            EditError: it does not fit here.
        """
        site = next((site for site in self.sites(closed, n_outputs) if site.position == edit.position), None)
        if site is None or site.name != edit.primitive:
            raise EditError("the equation is another one here")
        change = next((change for change in self.kinds[edit.kind](site) if change.detail == edit.detail), None)
        if change is None:
            raise EditError("the equation does not allow this change here")
        return replaced(closed, edit.position, change.apply, change.extras)

    def edited(self, edits: Sequence[Edit], args: Arguments) -> core.ClosedJaxpr | None:
        """The line's flat jaxpr at the shapes of `args` with the edits made in turn; None where they do not exist."""
        flat = self.at(args)
        closed = flat.closed
        if flat.skeleton != self.at(self.typical).skeleton:
            return None
        try:
            for edit in edits:
                closed = self.changed(closed, edit, flat.n_outputs)
        except EditError:
            return None
        return closed

    def as_line(self, edits: Sequence[Edit]) -> Line:
        """The edited line, to be put in the place of the line: under its label, with its equation and what else it claims.

        JAX's ∇ is part of what was edited. Each use of the ∇ that it is handed is repeated, so that a judge sees what the
        line differentiates.
        """
        made: dict[ShapeKey, core.ClosedJaxpr] = {}

        def edited(*args: PyTree, nabla: Nabla) -> PyTree:
            flat, key = self.at(args), shape_key(args)
            if key not in made:
                changed = self.edited(edits, args)
                made[key] = flat.closed if changed is None else changed
            with jax.enable_x64(True):
                results = core.jaxpr_as_fun(made[key])(*jax.tree.leaves(args))
                _repeat_calls(flat.calls, results[flat.n_outputs :], nabla)
            return jax.tree.unflatten(flat.structure, results[: flat.n_outputs])

        edited.__name__, edited.__doc__ = label_of(self.line), formula_of(self.line)
        for claim in ("valid", "within"):
            if hasattr(self.line, claim):
                setattr(edited, claim, getattr(self.line, claim))
        return edited


def _repeat_calls(calls: Sequence[Call], arguments: Sequence[jax.Array], nabla: Nabla) -> None:
    start = 0
    for call in calls:
        leaves, structure = jax.tree.flatten(call.args)
        own = jax.tree.unflatten(structure, arguments[start : start + len(leaves)])
        start += len(leaves)
        try:
            nabla(call.f, call.wrt)(*own)
        except jax.errors.UnexpectedTracerError:  # the function holds values of the trace it was made in
            continue


def _sites(body: Body, before: Position, labels: Mapping[core.Var, Domain]) -> Iterator[Site]:
    for k, (eqn, needed) in enumerate(zip(body.eqns, body.needed, strict=True)):
        if needed:
            yield Site(body, k, (*before, k), labels)
            for place, inner in bodies_of(eqn):
                yield from _sites(Body(inner), (*before, k, place), {})


@dataclass(frozen=True)
class Chosen:
    """An edit that was made, where and how."""

    edit: Edit
    sentence: str
    eqn: core.JaxprEqn
    """the equation as it was"""
    closed: core.ClosedJaxpr


BY_HAND = 3
"""how much more often what is by hand is edited than what JAX does under a ∇"""


def chosen(editable: Editable, closed: core.ClosedJaxpr, n_outputs: int, rng: np.random.Generator) -> Iterator[Chosen]:
    """All edits of a jaxpr in a random order, one of each kind, then another of each, and so on; no two with one outcome."""
    sites = list(editable.sites(closed, n_outputs))
    weights = [1 if is_under_nabla(site.eqn) else BY_HAND for site in sites]
    queues = [
        _options(kind, sites, weights, changes, np.random.default_rng(rng.integers(2**63)))
        for kind, changes in editable.kinds.items()
    ]
    rng.shuffle(queues)  # pyright: ignore[reportArgumentType]
    seen: set[Hashable] = {fingerprint(closed, n_outputs)}
    while queues:
        for queue in list(queues):
            found = _first_new(queue, closed, n_outputs, seen)
            if found is None:
                queues.remove(queue)
            else:
                yield found


def _options(
    kind: str,
    sites: Sequence[Site],
    weights: Sequence[int],
    changes: Callable[[Site], Iterator[Change]],
    rng: np.random.Generator,
) -> Iterator[tuple[Site, Edit, Change]]:
    """The changes of one kind: one at each equation, in a random order, then those that are left."""
    left: list[tuple[Site, Edit, Change]] = []
    for k in np.argsort(rng.exponential(size=len(sites)) / weights):
        here = [
            (sites[k], Edit(kind, sites[k].position, sites[k].name, change.detail), change) for change in changes(sites[k])
        ]
        if here:
            yield here.pop(rng.integers(len(here)))
            left += here
    for k in rng.permutation(len(left)):
        yield left[k]


def _first_new(
    queue: Iterator[tuple[Site, Edit, Change]], closed: core.ClosedJaxpr, n_outputs: int, seen: set[Hashable]
) -> Chosen | None:
    for site, edit, change in queue:
        try:
            made = replaced(closed, edit.position, change.apply, change.extras)
        except EditError:
            continue
        outcome = fingerprint(made, n_outputs)
        if outcome not in seen:
            seen.add(outcome)
            return Chosen(edit, change.sentence, site.eqn, made)
    return None


def generator(derivation: Derivation, line: Line, seed: int) -> np.random.Generator:
    """Random numbers for a line: other ones for each line, the same ones for the same seed."""
    return np.random.default_rng([seed, *f"{derivation.name} {label_of(line)}".encode()])
