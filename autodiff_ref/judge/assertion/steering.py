"""Hypothesis's `target()`: where floats decide, a property test looks on where two values were furthest apart."""

import numpy as np
from hypothesis import currently_in_test_context, target
from hypothesis.errors import InvalidArgument

from autodiff_ref.judge.program.plans import Array

MOST_ASSERTIONS = 8
"""of one example, that are climbed on"""


def steer(gaps: Array, allowed: Array) -> None:
    """Inside a Hypothesis test, tells it the largest |difference| / bound of any component, to climb on.

    Hypothesis takes one number a label, so that each assertion of an example has its own: its statistics show them as
    "difference / rounding bound, assertion 1".
    """
    if not currently_in_test_context():
        return
    with np.errstate(all="ignore"):
        ratios = np.where((allowed > 0) & (allowed < np.inf), gaps / allowed, 0.0)
    height = float(ratios.max(initial=0.0))
    if not np.isfinite(height):
        return
    for number in range(1, MOST_ASSERTIONS + 1):
        try:
            target(height, label=f"difference / rounding bound, assertion {number}")
        except InvalidArgument:  # the label of an earlier assertion
            continue
        return
