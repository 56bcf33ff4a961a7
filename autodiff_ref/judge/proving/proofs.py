"""Proofs: the questions that the prover is asked about the lines of a derivation, and what is made of its answers."""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property

import jax

from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.lines.trace import REFERENCE
from autodiff_ref.judge.proving.writing import Writer, other_size, smallest_sizes
from autodiff_ref.judge.report import Report
from autodiff_ref.judge.symbols.induction import input_kind, is_one_term_for_all
from autodiff_ref.judge.symbols.primitives import chosen
from autodiff_ref.judge.symbols.process import OUT_OF_ALL_WORK, PROVER, Account, Answer
from autodiff_ref.judge.symbols.proof import Proof
from autodiff_ref.judge.symbols.prover.identities import identity
from autodiff_ref.judge.symbols.prover.polynomials import OUT_OF_WORK
from manual_grad.derivation import Line, label_of

WORK = 20_000_000
"""how much work the prover may do for a step: some 10 s of a machine that does nothing else"""

FIRST = 8_000_000
"""how much of that it may do before it is asked at the smallest shape"""

TIMES = 30
"""how often the work at the smallest shape it may do after that: most proofs take 3 to 20 times as much as there"""

TOTAL = 60_000_000
"""how much it may do for all steps of a derivation"""

DIFFER = "the normal forms differ"

_TOO_MUCH = (OUT_OF_WORK, OUT_OF_ALL_WORK, "ran out of memory", "an expression grew too large")
"""reasons that a smaller shape may not have"""

_AT_A_SHAPE = (*_TOO_MUCH, DIFFER)
"""reasons that another shape may not have"""

_SHARE = 4
"""a quarter of the work may be spent once more, on the smallest shape"""


class Proofs:
    """The lines of a derivation as expressions; each step is put to the prover at once, and answered when it is needed.

    A step that is proved is one of real functions, at this shape and for all values of its labels.
    """

    def __init__(
        self,
        bench: Bench,
        *,
        work: int | None = None,
        total: int | None = None,
        until: float | None = None,
        over: str = "the time limit was over",
    ) -> None:
        """Writes the arguments as symbols.

        Args:
            bench: the lines.
            work: how much the prover may do for a step; without it, WORK.
            total: how much it may do for all of them; without it, TOTAL.
            until: when nothing is waited for any more, on the clock `time.monotonic`.
            over: what is said of a step that was not proved by then.
        """
        self._bench, self._until, self._over = bench, until, over
        self._work = WORK if work is None else work
        total = TOTAL if total is None else total
        self._account, self._account_of_smallest = Account(total), Account(total // _SHARE)
        self._writer = Writer(bench)
        self._answers: dict[tuple[str, str, Writer, int], Future[Answer] | Answer] = {}
        self._others: dict[str, Writer] = {}

    def ask(self, line: Line, against: Line | None) -> None:
        """Puts a step to the prover, which works beside the balls: one that is false would take all the work there is."""
        self._ask(line, against, self._writer, self._first)

    def proof(self, line: Line, against: Line | None) -> Proof:
        """Whether a line is proved to be another one, or the reference: at the smallest shape, where others are too much."""
        found = self._proof_at(self._writer, line, against, self._first)
        if not found.reason.startswith(_TOO_MUCH) or self._smallest is None:
            return found
        at_smallest = self._proof_at(self._smallest, line, against, self._work // _SHARE)
        worth = self._worth(line, against, at_smallest)
        if worth > self._first:
            found = self._proof_at(self._writer, line, against, worth)
        return at_smallest if found.reason and not at_smallest.reason else found

    @cached_property
    def _first(self) -> int:
        """How much work is done for a step before it is tried at the smallest shape, if there is a smaller one."""
        return self._work if self._smallest_sizes == self._writer.sizes else min(FIRST, self._work)

    def _worth(self, line: Line, against: Line | None, at_smallest: Proof) -> int:
        """How much work may prove a step, by what was done at the smallest shape."""
        assert self._smallest is not None
        if at_smallest.reason and not at_smallest.reason.startswith(_TOO_MUCH):
            return 0
        done = self._answer(line, against, self._smallest, self._work // _SHARE).work
        return self._work if at_smallest.reason else min(self._work, TIMES * done)

    def _answer(self, line: Line, against: Line | None, writer: Writer, work: int) -> Answer:
        asked = self._ask(line, against, writer, work)
        try:
            return asked if isinstance(asked, Answer) else asked.result(self._seconds_left())
        except TimeoutError:
            return Answer(self._over)

    def _proof_at(self, writer: Writer, line: Line, against: Line | None, work: int) -> Proof:
        answer = self._answer(line, against, writer, work)
        reason = answer.reason
        shape = self._shape_of(writer)
        differ = reason == DIFFER
        if shape and reason in _AT_A_SHAPE:
            reason = f"{reason} at {shape}"
        reason += self._why_they_may(line, against) if differ else ""
        uses = tuple(map(identity, answer.uses))
        left_out = dict.fromkeys(writer.expressions.said_of(node) for node in answer.left_out)
        return Proof(reason, shape, writer.has_labels, uses=uses, leaves_out=tuple(left_out))

    @staticmethod
    def _shape_of(writer: Writer) -> str:
        return " ".join(f"{name}={size}" for name, size in writer.sizes.items())

    @cached_property
    def _smallest(self) -> Writer | None:
        """The lines with 2 for each size, or the least that there is; None where that is how they are written anyhow."""
        return None if self._smallest_sizes == self._writer.sizes else Writer(self._bench, self._smallest_sizes)

    @cached_property
    def _smallest_sizes(self) -> Mapping[str, int]:
        return smallest_sizes(self._bench.derivation, self._writer.sizes)

    def _why_they_may(self, line: Line, against: Line | None) -> str:
        """What may be the cause that two normal forms differ, though the lines agree in balls."""
        decimals = sorted({d for each in (line, against) for d in self._writer.value(each).decimals})
        said = [condition.reason for each in (line, against) if (condition := self._writer.condition(each)).reason]
        if decimals:
            said.append(f"it takes {', '.join(decimals[:3])} digit by digit")
        return "".join(f"; {each}" for each in dict.fromkeys(said))

    def settle(self, report: Report) -> None:
        """Turns `agrees` into `proved` where the prover proves the step, and says why where it does not."""
        lines = dict(zip(self._bench.derivation.labels, self._bench.derivation.lines, strict=True))
        for entry in report.lines:
            if entry.verdict in ("agrees", "within") or entry.is_short_of_inputs:
                entry.proof = self.proof(lines[entry.label], lines.get(entry.against))
                if not entry.proof.reason:
                    entry.reason = "" if entry.verdict == "undecided" else entry.reason
                    entry.verdict = "proved"
        try:
            self._extend(report)
        except Exception as error:  # the steps stay proved at their shape
            report.notes.append(f"for which sizes the lines hold could not be looked into: {type(error).__name__}: {error}")
        open_ones = [answer for answer in self._answers.values() if isinstance(answer, Future) and not answer.done()]
        for answer in open_ones:  # nobody waits for these any more
            answer.cancel()
        if any(answer.running() for answer in open_ones):
            PROVER.kill()

    def _extend(self, report: Report) -> None:
        """Looks which of the proved steps hold at every size of a dimension, as the number of examples."""
        names = [name for name in self._writer.sizes if self._is_one_term(None, name)]
        if not names:
            return
        name = max(names, key=lambda name: sum(self._is_one_term(line, name) for line in self._bench.derivation.lines))
        lines = dict(zip(self._bench.derivation.labels, self._bench.derivation.lines, strict=True))
        for entry in report.lines:
            if entry.verdict == "proved" and entry.proof is not None and entry.proof.shape == self._shape_of(self._writer):
                pair = lines[entry.label], lines.get(entry.against)
                if self._holds_at_every(*pair, name):
                    entry.proof = replace(entry.proof, every=name)

    def _holds_at_every(self, line: Line, against: Line | None, name: str) -> bool:
        """Whether a step that is proved at one size of a dimension is one at every size: see `induction`."""
        if not all(self._is_one_term(each, name) and not hasattr(each, "valid") for each in (line, against)):
            return False
        answer = self._asked(line, against, self._elsewhere(name), self._work)
        try:
            return not (answer if isinstance(answer, Answer) else answer.result(self._seconds_left())).reason
        except TimeoutError:
            return False

    def _elsewhere(self, name: str) -> Writer:
        """The lines at another size of a dimension."""
        if name not in self._others:
            size = other_size(self._bench.derivation, self._writer.sizes, name)
            assert size is not None
            self._others[name] = Writer(self._bench, {**self._writer.sizes, name: size})
        return self._others[name]

    def _is_one_term(self, line: Line | None, name: str) -> bool:
        """Whether a line is a sum of one term over a dimension, or one term in each of its rows."""
        derivation = self._bench.derivation
        if self._seconds_left() == 0 or other_size(derivation, self._writer.sizes, name) is None:
            return False
        leaves = jax.tree.leaves(derivation.domain)
        kinds = [input_kind(leaf.dims, name) for leaf in leaves]
        writers = self._writer, self._elsewhere(name)
        if any(writer.value(line).reason for writer in writers):
            return False
        first, second = (self._bench.traced(line, writer.args) for writer in writers)
        sizes = self._writer.sizes[name], self._elsewhere(name).sizes[name]
        width = len(jax.tree.leaves(first.shapes))
        return is_one_term_for_all(first.closed, second.closed, width, kinds, sizes)

    def _ask(self, line: Line, against: Line | None, writer: Writer, work: int) -> Future[Answer] | Answer:
        key = label_of(line), REFERENCE if against is None else label_of(against), writer, work
        if key not in self._answers and self._seconds_left() == 0:
            return Answer(self._over)
        if key not in self._answers:
            self._answers[key] = self._asked(line, against, writer, work)
        return self._answers[key]

    def _asked(self, line: Line, against: Line | None, writer: Writer, work: int) -> Future[Answer] | Answer:
        ours, theirs = writer.value(line), writer.value(against)
        if ours.reason or theirs.reason:
            return Answer(ours.reason or theirs.reason)
        pairs = list(zip(ours.nodes, theirs.nodes, strict=True))
        for each in (line, against):  # where a line claims nothing, both are 0
            for condition in writer.condition(each).nodes:
                zero = condition.expressions.zero
                pairs = [(chosen(condition, zero, a), chosen(condition, zero, b)) for a, b in pairs]
        ids = [(a.id, b.id) for a, b in pairs]
        account = self._account_of_smallest if writer is self._smallest else self._account
        return PROVER.ask(writer.expressions.nodes, ids, work, account)

    def _seconds_left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - time.monotonic())
