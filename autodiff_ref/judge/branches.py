"""Inputs aimed at the comparisons that a derivation makes, so that each branch is taken and the border between two tried.

What a line says only for x > 1e10, or only for |x| < 1e-8, shows at no input that is drawn. Two searches find such inputs:
one multiplies arguments by powers of 2, the other walks along the gradient of the difference that is compared, to the
border and a little beyond it, as Newton's method does.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import jax
import jax.numpy as jnp
import numpy as np
from flint import arb
from jax.extend import core
from jax.typing import ArrayLike

from autodiff_ref.judge.balls import BALLS, Context, precision
from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.comparing import PRECISIONS
from autodiff_ref.judge.errors import is_admitted
from autodiff_ref.judge.evaluation import as_balls, note_comparisons
from autodiff_ref.judge.inputs import Input
from autodiff_ref.judge.lines.trace import ShapeKey, Traced, shape_key
from autodiff_ref.judge.program.comparisons import ALL, EQUAL, GREATER, Site, compared, spot_of
from autodiff_ref.judge.program.equations import alone
from autodiff_ref.judge.program.walk import CALLS, plan
from autodiff_ref.trees import Arguments, Function
from manual_grad.derivation import Line

STRATUM = "aimed"
"""the name of such inputs in a report"""

MOST_SITES = 16
"""Comparisons that are aimed at: the first with a branch that no input took, then those whose border was not tried."""

SCALES = tuple(2.0**k for k in (-1000, -300, -100, -50, -27, -14, -7, -3, 3, 7, 14, 27, 50, 100, 300, 1000))
"""what arguments are multiplied by"""

MOST_RUNS = 400
"""of programs in balls, while inputs are looked for"""

STARTS = 3
"""inputs that a walk starts from"""

BEYOND = tuple(10.0**-k for k in (0, 1, 3, 6, 9, 12, 15))
"""how far beyond the border a walk goes, times 1 and times what is compared with"""

SPECIAL = ("zeros", "equal", "compared")
"""Strata of special numbers: a branch that only these take, as |x| < 1e-8 at x = 0, is aimed at too."""

KEPT = 3
"""inputs of each outcome that are added"""

BESIDE = 1e-9
"""How far beside a border both sides are tried, whatever branches were taken; times what is compared with beyond 1."""

_BOX = 1100
"""Balls of the radius 2^1100 hold all floats, where a branch is to be ruled out."""


class Branches:
    """The comparisons of a derivation's lines and of `of`, and which of their branches inputs have taken."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.derivation = bench, bench.derivation
        self._runs = 0
        self._differences: dict[tuple[Site, str, ShapeKey], Function] = {}

    # What was met

    def _programs(self, args: Arguments) -> list[Traced]:
        lines = [self.bench.traced(line, args) for line in self.derivation.lines]
        return [made for made in (self.bench.traces.of(args), *lines) if made.plan is not None]

    def _run(self, k: int) -> None:
        """Notes what all programs compare at an input of the bench."""
        for traced in self._programs(self.bench.inputs[k].args):
            if traced.plan is not None and any(traced.plan.met.get(site, 0) & ALL != ALL for site in traced.plan.sites):
                with suppress(Exception):  # the judge's own: said where the line is judged
                    self.bench.evaluator(traced, k)(PRECISIONS[0], "exact", "exact")

    def _shapes(self) -> list[Arguments]:
        return list({shape_key(given.args): given.args for given in self.bench.inputs}.values())

    def met(self, programs: Callable[[Arguments], list[Traced]]) -> dict[Site, int]:
        """The outcomes of each comparison, over all shapes."""
        found: dict[Site, int] = {}
        for args in self._shapes():
            for traced in programs(args):
                for site in traced.plan.sites if traced.plan is not None else ():
                    assert traced.plan is not None
                    found[site] = found.get(site, 0) | traced.plan.met.get(site, 0)
        return found

    def unmet(self, line: Line, other: Line | None) -> list[str]:
        """The branches of a line, of the one it is judged against and of `of` that no input took, for people."""

        def programs(args: Arguments) -> list[Traced]:
            return [self.bench.traces.of(args), *[self.bench.traced(each, args) for each in (line, other) if each]]

        found: dict[str, None] = {}
        for site, outcomes in self.met(programs).items():
            if not site.is_jaxs:
                for branch in site.unmet(outcomes):
                    if not self._is_ruled_out(site, branch, programs):
                        found.setdefault(branch)
        return list(found)

    # Aiming

    def aim(self, *, where_given: bool = False) -> None:
        """Adds inputs to the bench that take the branches no input has taken yet, as far as they are found."""
        special = [k for k, given in enumerate(self.bench.inputs) if given.stratum in SPECIAL or not given.main]
        for k in range(len(self.bench.inputs)):
            if k not in special:
                self._run(k)
        sites = self.met(self._programs)
        for k in special:
            self._run(k)
        if where_given:
            return
        open_sites = [site for site in sites if site.wanted(sites[site])]
        open_sites.sort(key=lambda site: (not site.unmet(sites[site]), site.is_jaxs))
        for site in open_sites[:MOST_SITES]:
            for given in self._starts():
                sites[site] |= self._aim_at(site, site.wanted(sites[site]), given)
                if not site.unmet(sites[site]):
                    break
            self._add_beside(site, self._starts()[0])

    def _starts(self) -> list[Input]:
        ordinary = [given for given in self.bench.inputs if given.stratum == "ordinary" and given.main]
        return (ordinary or self.bench.inputs)[:STARTS]

    def _aim_at(self, site: Site, wanted: list[int], given: Input) -> int:
        """Adds inputs of the outcomes that are wanted; which of them were found."""
        programs = self._programs_at(site, given.args)
        if not programs:
            return 0
        planned = programs[0].plan
        assert planned is not None
        left = dict.fromkeys(wanted, KEPT)
        walked = () if site.is_jaxs else self._walked(site, programs[0], given.args, wanted)
        scaled = () if wanted == [EQUAL] else self._scaled(given.args)
        for args in itertools.chain(walked, scaled):
            if not any(left.values()) or self._runs >= MOST_RUNS:
                break
            self._runs += 1
            if not is_admitted(self.derivation, args):
                continue
            met: dict[Site, int] = {}
            try:
                note_comparisons(planned, args, PRECISIONS[0], met)
            except Exception:  # numbers so large that flint refuses them
                continue
            here = [outcome for outcome, count in left.items() if count and met.get(site, 0) & outcome]
            if here:
                left.update({outcome: left[outcome] - 1 for outcome in here})
                self._add(args, given)
        return sum(outcome for outcome, count in left.items() if count < KEPT)

    def _add_beside(self, site: Site, given: Input) -> None:
        """Adds an input on either side of a border, close by: a line that is wrong between two borders shows there alone."""
        programs = self._programs_at(site, given.args)
        if site.is_jaxs or not programs:
            return
        leaves, structure = jax.tree.flatten(given.args)
        try:
            difference = self._difference(site, programs[0], given.args)
            for sign in (1.0, -1.0):
                point: Sequence[np.ndarray] | None = [np.asarray(leaf) for leaf in leaves]
                for target in (0.0, 0.0, sign * BESIDE * max(1.0, abs(site.number or 1.0))):
                    point = None if point is None else self._step(difference, point, 0, target, given.args)
                if point is not None and is_admitted(self.derivation, args := jax.tree.unflatten(structure, point)):
                    self._add(args, given)
        except Exception:  # it stands in a loop, or cannot be differentiated
            return

    def _programs_at(self, site: Site, args: Arguments) -> list[Traced]:
        """The programs that make a comparison."""
        return [made for made in self._programs(args) if made.plan is not None and site in made.plan.sites]

    def _add(self, args: Arguments, start: Input) -> None:
        """Adds an input that was found from another one, and notes what is compared there."""
        self.bench.inputs.append(Input(STRATUM, args, start.main))
        self._run(len(self.bench.inputs) - 1)

    def _scaled(self, args: Arguments) -> Iterator[Arguments]:
        """Inputs with one argument, one of its entries, or all of them multiplied by powers of 2 and −1."""
        leaves, structure = jax.tree.flatten(args)
        free = self._free()
        for scale in SCALES:
            for sign in (1.0, -1.0):
                for chosen in ([k] for k in free):
                    for everywhere in (True, False):
                        made = [np.array(leaf) for leaf in leaves]
                        for k in chosen:
                            spot = ... if everywhere else np.unravel_index(0, made[k].shape)
                            made[k][spot] = made[k][spot] * (sign * scale)
                        inside = self._inside(made, args)
                        if inside is not None:
                            yield jax.tree.unflatten(structure, inside)

    def _walked(self, site: Site, traced: Traced, args: Arguments, wanted: Sequence[int]) -> Iterator[Arguments]:
        """Inputs on the border of a comparison and a little beyond it, along the gradient of what is compared."""
        leaves, structure = jax.tree.flatten(args)
        leaves = [np.asarray(leaf) for leaf in leaves]
        try:
            difference = self._difference(site, traced, args)
            size = int(difference(*leaves)[0].size)
        except Exception:  # it stands in a loop, or cannot be differentiated
            return
        for entry in range(min(size, 2)):
            point = leaves
            for _ in range(6):
                step = self._step(difference, point, entry, 0.0, args)
                if step is None or all(np.array_equal(a, b) for a, b in zip(step, point, strict=True)):
                    break
                point = step
                yield jax.tree.unflatten(structure, point)
            for outcome in wanted:
                sign = {GREATER: 1.0, EQUAL: 0.0}.get(outcome, -1.0)
                sizes = sorted({beyond * size for beyond in BEYOND for size in {1.0, abs(site.number or 1.0)}})
                for target in (sign * size for size in sizes if sign):
                    step = self._step(difference, point, entry, target, args)
                    if step is not None:
                        yield jax.tree.unflatten(structure, step)

    def _step(
        self, difference: Function, leaves: Sequence[np.ndarray], entry: int, target: float, args: Arguments
    ) -> list[np.ndarray] | None:
        """Newton's step towards the inputs at which one entry of what is compared is a given number."""
        free = self._free()
        values, slopes = difference(*leaves, entry=entry)
        value = float(np.ravel(values)[entry])
        along = {k: np.asarray(slope, dtype=np.float64) for k, slope in zip(free, slopes, strict=True)}
        norm = sum(float(np.sum(slope**2)) for slope in along.values())
        if not (np.isfinite(value) and np.isfinite(norm) and norm > 0):
            return None
        made = [np.array(leaf) for leaf in leaves]
        for k, slope in along.items():
            made[k] = made[k] - slope * ((value - target) / norm)
        return self._inside(made, args)

    def _difference(self, site: Site, traced: Traced, args: Arguments) -> Function:
        """leaves -> (a − b of the comparison a ? b, its gradient by the arguments that may be moved)"""
        key = site, traced.label, shape_key(args)
        if key not in self._differences:
            free = self._free()

            def by_free(moved: list[jax.Array], leaves: list[jax.Array], entry: int) -> tuple[jax.Array, jax.Array]:
                given = list(leaves)
                for k, leaf in zip(free, moved, strict=True):
                    given[k] = leaf
                flat = jnp.ravel(next(captured(traced.closed.jaxpr, traced.closed.consts, given, site)))
                return flat[entry], flat

            with jax.enable_x64(True):
                moved, leaves = [jnp.asarray(jax.tree.leaves(args)[k]) for k in free], jax.tree.leaves(args)
                closed = jax.make_jaxpr(jax.value_and_grad(by_free, has_aux=True))(moved, leaves, 0)
            planned = plan(closed, BALLS)

            def difference(*leaves: np.ndarray, entry: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
                given = [*[leaves[k] for k in free], *leaves, np.int64(entry)]
                with precision(PRECISIONS[0]):
                    made = planned.run(Context(constants="exact"), *[as_balls(np.asarray(x)) for x in given])
                    _, values, *slopes = [np.vectorize(float, otypes=[float])(x) for x in made]
                return values, slopes

            self._differences[key] = difference
        return self._differences[key]

    # Domains

    def _free(self) -> list[int]:
        """The leaves of the arguments that hold real numbers, and so may be moved."""
        domains = jax.tree.leaves(self.derivation.domain)
        return [k for k, domain in enumerate(domains) if domain.varies and not domain.known]

    def _inside(self, leaves: Sequence[np.ndarray], args: Arguments) -> list[np.ndarray] | None:
        """Arguments put back into their domain; None where they cannot be."""
        sizes, made = self.bench.sizes(args), list(leaves)
        domains = [domain.sized(sizes) for domain in jax.tree.leaves(self.derivation.domain)]
        for k in self._free():
            made[k] = domains[k].mended(made[k])
            if not (np.all(np.isfinite(made[k])) and domains[k].contains(made[k])):
                return None
        return made

    def _is_ruled_out(self, site: Site, branch: str, programs: Callable[[Arguments], list[Traced]]) -> bool:
        """Whether balls that hold all inputs show that a branch is never taken."""
        args = self.bench.inputs[0].args
        traced = next((made for made in programs(args) if made.plan is not None and site in made.plan.sites), None)
        if traced is None or traced.plan is None:
            return False
        free, boxes, bounds = self._free(), list[np.ndarray](), dict[int, tuple[float, float]]()
        kept = list[arb]()  # so that nothing else has their id
        for k, (domain, leaf) in enumerate(
            zip(jax.tree.leaves(self.derivation.domain), map(np.asarray, jax.tree.leaves(args)), strict=True)
        ):
            low, high = domain.bounds()
            box = _box(low, high)
            bounds[id(box)] = low, high
            boxes.append(np.full(leaf.shape, box) if k in free else as_balls(leaf))
            kept.append(box)
        context = Context(constants="exact", possible={}, bounds=bounds)
        try:
            with precision(PRECISIONS[0]):
                traced.plan.run(context, *boxes)
        except Exception:  # a rule that does not serve such balls
            return False
        assert context.possible is not None
        return branch in site.unmet(context.possible.get(site, ALL))


def _box(low: float, high: float) -> arb:
    """A ball that holds all floats between two ends: of bounded intervals the inside, their ends being inputs as well."""
    least, most = (end if np.isfinite(end) else arb(2) ** _BOX * sign for end, sign in ((low, -1), (high, 1)))
    inside = 1 - 2.0**-20 if np.isfinite(low) and np.isfinite(high) else 1
    return arb((most + least) / 2, (most - least) / 2 * inside)


def captured(
    jaxpr: core.Jaxpr,
    consts: Sequence[ArrayLike],
    args: Sequence[ArrayLike],
    site: Site,
    calls: tuple[core.JaxprEqn, ...] = (),
) -> Iterator[jax.Array]:
    """a − b of each equation of a jaxpr that makes a comparison a ? b, evaluated by JAX; not of those in loops."""
    env: dict[core.Var, ArrayLike] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def read(atom: core.Var | core.Literal) -> ArrayLike:
        return atom.val if isinstance(atom, core.Literal) else env[atom]

    for eqn in jaxpr.eqns:
        operands = [read(atom) for atom in eqn.invars]
        if eqn.primitive.name == site.primitive and spot_of(eqn, calls) == site.spot:
            a, b = compared(site, operands)
            yield jnp.asarray(a) - jnp.asarray(b)
        if eqn.primitive.name in CALLS:
            inner = eqn.params[CALLS[eqn.primitive.name]]
            body, body_consts = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
            yield from captured(body, body_consts, operands, site, (*calls, eqn))
        variables, function = alone(eqn, jaxpr)
        env.update(zip(eqn.outvars, function(*map(read, variables)), strict=True))
