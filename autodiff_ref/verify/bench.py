"""The bench: a derivation's lines, traced and evaluated at all inputs, each once, and compared."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import jax
import numpy as np

from autodiff_ref.verify.counterexample import Counterexample, leaf_names, readable
from autodiff_ref.verify.errors import claims_to_hold
from autodiff_ref.verify.inputs import Input, NoInputError
from autodiff_ref.verify.reduction import reduced
from autodiff_ref.verify.shrink import literal, simplest
from autodiff_ref.verify.snippet import snippet
from autodiff_ref.verify.trace import REFERENCE, Traced, shape_key
from autodiff_ref.verify.traces import Traces
from autodiff_ref.verify.verdict import PRECISIONS, Comparison, Evaluator, compare, evaluator, has_no_kink
from autodiff_ref.verify.walker.plans import Plan
from manual_grad.derivation import Derivation, Line, argument_names, label_of


@dataclass
class Relation:
    """What all inputs together say of two lines."""

    equal: Counter[str] = field(default_factory=Counter[str])
    vanishing: int = 0
    """of the equal ones, how many where both lines are 0"""
    silent: Counter[str] = field(default_factory=Counter[str])
    """inputs that say nothing, by why"""
    lacking: Counter[int] = field(default_factory=Counter[int])
    """of those at which one line has a value, how many where the first has none, and the second"""
    shapes: dict[str, None] = field(default_factory=dict[str, None])
    resolution: float = 0.0
    gap: float = 0.0
    """by what share the lines differ at most, with constants as written, where other readings of these make them equal"""
    differences: list[tuple[Input, Comparison]] = field(default_factory=list[tuple[Input, Comparison]])
    no_rule: str = ""

    def add(self, given: Input, compared: Comparison, shape: str = "") -> None:
        """Counts what was found at one input."""
        match compared.outcome:
            case "equal":
                self.equal[given.stratum] += 1
                self.vanishing += compared.vanishes
                self.resolution = max(self.resolution, compared.resolution)
                self.gap = max(self.gap, compared.gap)
                self.shapes[shape] = None
            case "different":
                self.differences.append((given, compared))
            case why:
                self.silent[why] += 1
                self.lacking[compared.lacking] += why == "undefined in one"

    @property
    def verdict(self) -> str:
        """Refuted by one input; agreeing where enough inputs say so; else undecided.

        Two lines that both vanish at the only inputs that are no kinks have not shown that they are equal.
        """
        if self.differences:
            return "refuted"
        doubtful = self.silent["kink"] + self.silent["unclear"] + self.silent["undefined in one"]
        informative = self.equal.total() - self.vanishing
        enough = informative >= doubtful if informative or doubtful else bool(self.equal)
        return "agrees" if enough and self.equal and not self.no_rule else "undecided"

    @property
    def reason(self) -> str:
        """Why it is undecided."""
        if self.no_rule:
            return self.no_rule
        silent = {why: k for why, k in self.silent.items() if why != "undefined in one"}
        counts = {
            **silent,
            "where this line has no value (NaN or ∞) and the other has": self.lacking[0],
            "where only this line has a value, and the other NaN or ∞": self.lacking[1],
            "where both vanish": self.vanishing,
            "equal": self.equal.total() - self.vanishing,
        }
        counted = ", ".join(f"{count} {why}" for why, count in counts.items() if count)
        return f"too few inputs with information: {counted or 'none fulfils what the lines claim to need'}"


class Bench:
    """The inputs of a derivation, and its lines at them."""

    def __init__(
        self, derivation: Derivation, inputs: Sequence[Input], *, may_shrink: bool, traces: Traces | None = None
    ) -> None:
        if not inputs:
            raise NoInputError("no inputs were given")
        self.may_shrink = may_shrink
        self.derivation, self.inputs = derivation, list(inputs)
        self.traces = traces.shared_with(derivation) if traces else Traces(derivation)
        self.checked: dict[str, None] = {}
        self.unchecked: dict[str, str] = {}
        self._evaluators: dict[tuple[str, int], Evaluator] = {}
        self._bits: dict[int, int] = {}
        """the precision that showed two lines equal at an input, where those that are compared next are tried first"""

    def traced(self, line: Line | None, args: tuple[Any, ...]) -> Traced:
        """A line at the shapes of `args`; None is the reference."""
        return self.traces.line(line, args)

    def relation(self, line: Line, other: Line | None) -> Relation:
        """Compares two lines at every input where both claim to hold."""
        found = Relation()
        for k, given in enumerate(self.inputs):
            if not all(claims_to_hold(each, self.derivation, given.args) for each in (line, other)):
                continue
            ours, theirs = self.traced(line, given.args), self.traced(other, given.args)
            if ours.plan is None or theirs.plan is None:
                found.no_rule = ours.reason or theirs.reason
                break
            try:
                start = self._bits.get(k) or min(self._bits.get(k - 1, 0), self._bits.get(k - 2, 0))
                compared = self._compared(ours, theirs, given.args, lambda traced, k=k: self._evaluator(traced, k), start)
            except Exception as error:  # the judge's own, or flint's: never a verdict on the line
                found.no_rule = f"the judge failed at an input: {type(error).__name__}: {error}"
                break
            if compared.bits:
                self._bits[k] = compared.bits
            found.add(given, compared, self._shape_name(given.args))
        return found

    def _evaluator(self, traced: Traced, k: int) -> Evaluator:
        if (traced.label, k) not in self._evaluators:
            assert traced.plan is not None
            self._evaluators[traced.label, k] = evaluator(traced.plan, self.inputs[k].args)
        return self._evaluators[traced.label, k]

    def _shape_name(self, args: tuple[Any, ...]) -> str:
        """The sizes of the named dimensions: n=4 d=3."""
        return " ".join(f"{name}={size}" for name, size in self.sizes(args).items())

    def sizes(self, args: tuple[Any, ...]) -> dict[str, int]:
        """The sizes of the named dimensions."""
        domains = jax.tree.leaves(self.derivation.domain)
        sizes: dict[str, int] = {}
        pairs = zip(domains, jax.tree.leaves(args), strict=True)
        for domain, leaf in sorted(pairs, key=lambda pair: -len(pair[0].dims)):
            sizes.update({dim: size for dim, size in zip(domain.dims, leaf.shape, strict=False) if isinstance(dim, str)})
        return sizes

    def differ(self, line: Line, other: Line | None, args: tuple[Any, ...]) -> Comparison | None:
        """What certifies that two lines differ at an input; None where they do not, or that cannot be told."""
        compared = self.compared(line, other, args)
        return compared if compared is not None and compared.outcome == "different" else None

    def compared(self, line: Line, other: Line | None, args: tuple[Any, ...]) -> Comparison | None:
        """What balls say of two lines at any input; None where they cannot be asked."""
        if not all(claims_to_hold(each, self.derivation, args) for each in (line, other)):
            return None
        ours, theirs = self.traced(line, args), self.traced(other, args)
        if ours.plan is None or theirs.plan is None:
            return None
        try:
            return self._compared(ours, theirs, args, lambda traced: evaluator(cast("Plan", traced.plan), args))
        except Exception:  # while shrinking: another input will do
            return None

    def _compared(
        self, ours: Traced, theirs: Traced, args: tuple[Any, ...], at: Callable[[Traced], Evaluator], start: int = 0
    ) -> Comparison:
        """What balls say of two lines; on a kink of theirs that the gradient does not have, of both as they are written.

        How JAX differentiates what is left to ∇ is no claim of a line's: there it may have a kink that the gradient has not.
        """
        found = compare(at(ours), at(theirs), start=start)
        if found.outcome != "kink" or ours.calls:
            return found
        gradient = self.traced(None, args)
        if gradient.plan is None or not has_no_kink(at(gradient)):
            return found
        return compare(at(ours), at(gradient if theirs.calls else theirs), start=start, as_written=True)

    def counterexample(self, line: Line, other: Line | None, relation: Relation) -> Counterexample:
        """The simplest input found at which the lines differ."""
        smallest = min(relation.differences, key=lambda pair: sum(leaf.size for leaf in jax.tree.leaves(pair[0].args)))
        stratum, args, compared = smallest[0].stratum, smallest[0].args, smallest[1]
        if self.may_shrink:
            shrunk = simplest(self.derivation, lambda args: self.differ(line, other, args) is not None)
            at_shrunk = None if shrunk is None else self.differ(line, other, shrunk)
            if shrunk is not None and at_shrunk is not None:
                stratum, args, compared = "simplest", shrunk, at_shrunk
            else:
                fewer = reduced(self.derivation, args, lambda args: self.differ(line, other, args) is not None)
                args, compared = fewer, self.differ(line, other, fewer) or compared
        sizes, names = self._shape_name(args), leaf_names(args, self.argument_names)
        return Counterexample(
            args,
            f"{sizes}  {readable(args, names)}" if sizes else readable(args, names),
            stratum,
            self._component(args, compared.component),
            label_of(line),
            REFERENCE if other is None else label_of(other),
            value=compared.values[0],
            expected=compared.values[1],
            difference=compared.difference,
            example=f"@example({literal(args)})",
            snippet=snippet(self.derivation, line, other, args),
        )

    def _component(self, args: tuple[Any, ...], flat: int) -> str:
        """The name of an entry of the gradient."""
        by = self.derivation.wrt or "gradient"
        for path, leaf in jax.tree_util.tree_leaves_with_path(self.traced(None, args).shapes):
            if flat < leaf.size:
                index = "".join(f"[{i}]" for i in np.unravel_index(flat, leaf.shape)) if leaf.shape else ""
                return by + jax.tree_util.keystr(path) + index
            flat -= leaf.size
        raise AssertionError("a component beyond the gradient")

    def check_lines(self) -> None:
        """Raises LineError unless every line can be traced at every shape, and asked whether it claims to hold there."""
        for args in {shape_key(given.args): given.args for given in self.inputs}.values():
            for line in self.derivation.lines:
                self.traced(line, args)
                claims_to_hold(line, self.derivation, args)

    def vanishing_parts(self) -> list[str]:
        """The parts of the gradient, one a leaf, whose balls hold 0 at every input."""
        parts: dict[str, bool] = {}
        for k, given in enumerate(self.inputs):
            traced = self.traced(None, given.args)
            if traced.plan is None:
                return []
            values = iter(self._evaluator(traced, k)(PRECISIONS[0], "balls", "exact").values)
            for path, leaf in jax.tree_util.tree_leaves_with_path(traced.shapes):
                name = (self.derivation.wrt or "") + jax.tree_util.keystr(path, simple=True, separator=".")
                entries = [value.contains(0) for value in itertools.islice(values, leaf.size)]
                parts[name] = parts.get(name, True) and all(entries)
        return [name or "everything" for name, zero in parts.items() if zero]

    def arguments_used(self, line: Line | None) -> set[str]:
        """The arguments, or fields of the first one, that a line's value is computed from."""
        args = self.inputs[0].args
        plan, names = self.traced(line, args).plan, leaf_names(args, self.argument_names)
        return set() if plan is None else {names[k] for k in plan.depends_on}

    @property
    def argument_names(self) -> list[str]:
        """What the arguments are called, by `of` or by position."""
        names = argument_names(self.derivation.of) or []
        return [names[k] if k < len(names) else f"argument {k}" for k in range(len(self.derivation.domain))]
