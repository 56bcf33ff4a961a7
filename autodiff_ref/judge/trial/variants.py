"""A line and edited versions of it, compared in balls at one list of inputs: each is planned once a shape."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from jax.extend import core

from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.bench import Relation
from autodiff_ref.judge.comparing import Evaluator, compare, evaluator
from autodiff_ref.judge.inputs import Input, draw_inputs
from autodiff_ref.judge.lines.trace import claims_to_hold, label_flags, shape_key
from autodiff_ref.judge.mutation.edits import Edit, Editable
from autodiff_ref.judge.program.walk import Plan, plan_parts
from autodiff_ref.trees import Arguments
from manual_grad.derivation import Derivation


class Inputs:
    """The inputs that the judge tries at a seed, and after them those of the following seeds, as many as are asked for."""

    def __init__(self, derivation: Derivation, seed: int, examples: int = 64) -> None:
        self.derivation, self.seed, self.examples = derivation, seed, examples
        self._drawn = draw_inputs(derivation, seed=seed, at_least=examples)
        self.of_the_judge = len(self._drawn)

    def __getitem__(self, k: int) -> Input:
        while k >= len(self._drawn):
            self.seed += 1
            self._drawn += draw_inputs(self.derivation, seed=self.seed, at_least=self.examples)
        return self._drawn[k]


@dataclass
class Variants:
    """Compares edited versions of a line with the line."""

    editable: Editable
    inputs: Inputs
    _plans: dict[Hashable, Plan] = field(default_factory=dict[Hashable, Plan])
    _evaluators: dict[int, Evaluator] = field(default_factory=dict[int, Evaluator])
    _bits: list[int] = field(default_factory=lambda: [0, 0])
    """the precisions that showed the last two inputs' values equal: the next one is tried at the lower of them first"""

    def relation(self, edits: Sequence[Edit], step: int = 1) -> Relation:
        """What the judge's inputs, or each `step`-th of them, say of an edited version and the line, up to a difference."""
        found, plans = Relation(), dict[Hashable, Plan | None]()
        for k in range(0, self.inputs.of_the_judge, step):
            self._add(found, edits, k, plans)
            if found.differences or found.no_rule:
                break
        return found

    def agree_further(self, edits: Sequence[Edit], enough: int) -> Relation:
        """What so many inputs say: those of the judge and more, at some of whose shapes there may be nothing to edit."""
        found, plans = Relation(), dict[Hashable, Plan | None]()
        for k in range(4 * enough):
            self._add(found, edits, k, plans)
            if found.differences or found.no_rule or found.equal.total() >= enough:
                break
        return found

    def _add(self, found: Relation, edits: Sequence[Edit], k: int, plans: dict[Hashable, Plan | None]) -> None:
        given = self.inputs[k]
        if not claims_to_hold(self.editable.line, self.editable.derivation, given.args):
            return
        key = shape_key(given.args)
        try:
            if key not in plans:
                plans[key] = self._planned(self.editable.edited(edits, given.args), given.args)
            edited = plans[key]
            if edited is None:
                return
            ours, theirs = evaluator(edited, given.args), self._evaluator(k, key)
            compared = compare(ours, theirs, start=min(self._bits))
        except NotImplementedError as error:
            found.no_rule = str(error)
            return
        except Exception as error:  # the judge's own, or flint's
            found.no_rule = f"the judge failed at an input: {type(error).__name__}: {error}"
            return
        self._bits = [self._bits[-1], compared.bits]
        found.add(given, compared)

    def _planned(self, closed: core.ClosedJaxpr | None, args: Arguments) -> Plan | None:
        if closed is None:
            return None
        flags = label_flags(self.editable.derivation.domain)
        return plan_parts(closed, BALLS, [self.editable.at(args).n_outputs], labels=flags)[0]

    def _evaluator(self, k: int, key: Hashable) -> Evaluator:
        """The line itself at an input."""
        if k not in self._evaluators:
            args = self.inputs[k].args
            if key not in self._plans:
                made = self._planned(self.editable.at(args).closed, args)
                assert made is not None
                self._plans[key] = made
            self._evaluators[k] = evaluator(self._plans[key], args)
        return self._evaluators[k]
