"""Proofs: the lines of a derivation as expressions at one shape, and the questions that the prover is asked about them."""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from autodiff_ref.verify.bench import Bench
from autodiff_ref.verify.errors import LineError
from autodiff_ref.verify.inputs import RandomSource, dimension_names, draw_arguments
from autodiff_ref.verify.report import Proof, Report
from autodiff_ref.verify.symbols.expressions import Context, Expressions, symbolic_arguments
from autodiff_ref.verify.symbols.process import PROVER
from autodiff_ref.verify.symbols.table import SYMBOLS
from autodiff_ref.verify.trace import REFERENCE, label_flags
from autodiff_ref.verify.walker.plans import NoRuleError
from autodiff_ref.verify.walker.walk import plan_parts
from manual_grad.derivation import Bits, Classes, Derivation, Domain, Line, OneHot, Signs, label_of

SECONDS = 10.0
"""how long the prover may take over a line"""

_AT_A_SHAPE = ("ran out of time", "ran out of memory", "an expression grew too large", "the normal forms differ")
"""reasons that another shape may not have"""

SIZES = (3, 5, 4, 2, 7, 11, 13)
"""for dimensions in turn: small, since a proof takes longer for larger ones"""


def proof_sizes(derivation: Derivation) -> Mapping[str, int]:
    """A size for each named dimension: pairwise different, from 2 on, and none that is a fixed dimension's.

    With a size of 1 a mean is a sum; equal sizes hide a transposed index.
    Dimensions of labels come first and get the smallest sizes.
    """
    leaves = jax.tree.leaves(derivation.domain, is_leaf=lambda value: isinstance(value, Domain))
    labels = [leaf for leaf in leaves if isinstance(leaf, Signs | Bits | Classes | OneHot)]
    names = list(dict.fromkeys([*dimension_names(tuple(labels)), *dimension_names(derivation.domain)]))
    taken = {dim for leaf in leaves for dim in leaf.dims if isinstance(dim, int)}
    sizes: dict[str, int] = {}
    for name in names:
        low, high = derivation.sizes.get(name, (2, SIZES[-1]))
        wanted = [*SIZES, *range(low, high + 1)]
        allowed = [size for size in wanted if low <= size <= high]
        sizes[name] = next((size for size in allowed if size not in taken), allowed[0])
        taken.add(sizes[name])
    return sizes


def proof_arguments(derivation: Derivation) -> tuple[Any, ...]:
    """Some arguments at the shape that proofs are made at."""
    return draw_arguments(derivation.domain, proof_sizes(derivation), "ordinary", RandomSource(np.random.default_rng(0)))


class Proofs:
    """The lines of a derivation as expressions; each step is put to the prover at once, and answered when it is needed.

    A step that is proved is one of real functions, at this shape and for all values of its labels.
    """

    def __init__(
        self, bench: Bench, *, seconds: float = SECONDS, until: float | None = None, over: str = "the time limit was over"
    ) -> None:
        """Writes the arguments as symbols; where that cannot be done, no step is proved, and each says why.

        Args:
            bench: the lines.
            seconds: how long the prover may take over a step.
            until: when nothing is waited for any more, on the clock `time.monotonic`.
            over: what is said of a step that was not proved by then.
        """
        self._bench, self._seconds, self._until, self._over = bench, seconds, until, over
        self._expressions = Expressions()
        self._labels = label_flags(bench.derivation.domain)
        self._values: dict[str, list[int] | str] = {}
        self._answers: dict[tuple[str, str], Future[str] | str] = {}
        self._sizes: Mapping[str, int] = {}
        self._why_none = ""
        try:
            self._sizes = proof_sizes(bench.derivation)
            self._args = proof_arguments(bench.derivation)
            self._symbols = symbolic_arguments(
                _with_sizes(bench.derivation.domain, self._sizes),
                [np.shape(leaf) for leaf in jax.tree.leaves(self._args)],
                self._expressions,
            )
        except Exception as error:
            self._why_none = _why_not(error)

    def begin(self) -> None:
        """Puts each line and the one above it to the prover."""
        above: Line | None = None
        for line in self._bench.derivation.lines:
            self._ask(line, above)
            above = line

    def proof(self, line: Line, against: Line | None) -> Proof:
        """Whether a line is proved to be another one, or the reference."""
        answer = self._ask(line, against)
        try:
            reason = answer if isinstance(answer, str) else answer.result(self._seconds_left())
        except TimeoutError:
            reason = self._over
        shape = " ".join(f"{name}={size}" for name, size in self._sizes.items())
        if shape and reason in _AT_A_SHAPE:
            reason = f"{reason} at {shape}"
        return Proof(reason, shape, any(self._labels))

    def settle(self, report: Report) -> None:
        """Turns `agrees` into `proved` where the prover proves the step, and says why where it does not."""
        lines = dict(zip(self._bench.derivation.labels, self._bench.derivation.lines, strict=True))
        for entry in report.lines:
            if entry.verdict == "agrees":
                entry.proof = self.proof(lines[entry.label], lines.get(entry.against))
                entry.verdict = "agrees" if entry.proof.reason else "proved"
        open_ones = [answer for answer in self._answers.values() if not isinstance(answer, str) and not answer.done()]
        for answer in open_ones:  # nobody waits for these any more
            answer.cancel()
        if any(answer.running() for answer in open_ones):
            PROVER.kill()

    def _ask(self, line: Line, against: Line | None) -> Future[str] | str:
        key = label_of(line), REFERENCE if against is None else label_of(against)
        if key not in self._answers and self._seconds_left() == 0:
            return self._over
        if key not in self._answers:
            ours, theirs = self._value(line), self._value(against)
            if isinstance(ours, str) or isinstance(theirs, str):
                self._answers[key] = ours if isinstance(ours, str) else str(theirs)
            else:
                pairs = list(zip(ours, theirs, strict=True))
                self._answers[key] = PROVER.ask(self._expressions.nodes, pairs, self._seconds)
        return self._answers[key]

    def _value(self, line: Line | None) -> list[int] | str:
        """The nodes of a line's value, or why it has none."""
        label = REFERENCE if line is None else label_of(line)
        if label not in self._values:
            try:
                self._values[label] = self._why_none or self._written(line)
            except Exception as error:
                self._values[label] = _why_not(error)
        return self._values[label]

    def _seconds_left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def _written(self, line: Line | None) -> list[int]:
        traced = self._bench.traced(line, self._args)
        width = len(jax.tree.leaves(traced.shapes))
        planned = plan_parts(traced.closed, SYMBOLS, [width], labels=self._labels)[0]
        made = planned.run(Context(self._expressions), *self._symbols)
        return [node.id for output in made for node in np.ravel(output)]


def _why_not(error: Exception) -> str:
    """What is said where a line, or an argument, cannot be written in symbols."""
    if isinstance(error, NoRuleError):
        return f"no symbolic rule for {error.primitive}"
    if isinstance(error, NotImplementedError | LineError):
        return str(error)
    return f"the judge failed: {type(error).__name__}: {error}"  # its own mistake: never a verdict on the line


def _with_sizes(domain: tuple[Any, ...], sizes: Mapping[str, int]) -> tuple[Any, ...]:
    """The domain with the number of its classes known."""
    return jax.tree.map(
        lambda leaf: replace(leaf, k=sizes[leaf.k]) if isinstance(leaf, Classes) and isinstance(leaf.k, str) else leaf,
        domain,
        is_leaf=lambda value: isinstance(value, Domain),
    )
