"""What an iteration with a rule goes to, at one input."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb

from autodiff_ref.judge.balls.context import Reading
from autodiff_ref.judge.limits import Limits
from autodiff_ref.judge.rules.calls import FOUND
from autodiff_ref.judge.rules.subject import Subject, is_moderate

_COARSE = 1e-2
"""An iteration that stops farther than this share from its limit approximates nothing."""

_TRIED = 3
"""inputs at which a loop goes nowhere, from which on that is no longer tried"""


class LimitsOfRule(Limits):
    """What the loops of a function and of JAX's derivatives by its modes go to.

    From the first loop on that goes nowhere, nothing more is tried.
    """

    def __init__(self, subject: Subject, leaves: Sequence[np.ndarray]) -> None:
        super().__init__(self._tried, lambda at: subject.run(at, leaves)[0], subject.place, leaves)
        self._subject, self._leaves = subject, leaves
        self._is_meant = is_moderate(leaves)
        self._is_endless = len(subject.endless) >= _TRIED
        self.decides = self._is_meant and (subject.iterates or subject.derivative_iterates)
        """whether a derivative that goes to another one is wrong: at such arguments a tolerance is meant"""
        self.coarse = _COARSE if subject.iterates else FOUND
        """the share by which a derivative is off that stops too early: a function that does not iterate has none to spare"""

    def _tried(self, leaves: Sequence[Any], mode: str, constants: Reading) -> list[arb]:
        if self._is_endless:
            return [arb.nan()] * (len(self._subject.entries) if mode else sum(self._subject.out_sizes))
        values = self._subject.at_limits(leaves, self._leaves, mode, constants)
        if not any(value.is_finite() for value in values):
            self._is_endless = True
            if self._is_meant:
                self._subject.endless.append(self._leaves)
        return values
