"""All lines of all derivations: in every stratum their values stay within their bounds of the ball values."""

import numpy as np
import pytest
from flint import arb

from autodiff_ref.judge.balls import precision
from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.comparing import evaluator
from autodiff_ref.judge.inputs import draw_inputs
from autodiff_ref.judge.search.sweep import Sweep
from manual_grad import Derivation, notes
from manual_grad.extensions import depth
from tests.derivations import MODULES, chain
from tests.derivations._traces import traces
from tests.single import Single

IN_MODULES = [
    [
        pytest.param(value, kind, id=f"{module.__name__.rpartition('.')[2]}-{name}-{dtype}")
        for name, value in vars(module).items()
        if isinstance(value, Derivation)
    ]
    for kind, dtype in ((Sweep, "float64"), (Single, "float32"))
    for module in (notes, depth, *MODULES)
    if module is not chain
]
"""the derivations of each module, in either precision"""

CASES = [
    pytest.param(*case.values, id=case.id, marks=pytest.mark.explore if place else ())
    for cases in IN_MODULES
    for place, case in enumerate(cases)
]
"""in either precision, one of each module; all of them in the profile `explore`"""

BITS = 512


def worst_excess(derivation: Derivation, kind: type[Sweep], shrink_bounds_by: float = 1.0) -> tuple[float, int]:
    """The largest |value − exact| / bound over lines and one input a stratum; and how many entries were compared."""
    bench = Bench(derivation, draw_inputs(derivation, seed=0, at_least=1)[:1], may_shrink=False, traces=traces(derivation))
    swept = kind(bench, seed=5, count=16)
    swept.batches = swept.batches[:1]
    batch, worst, compared = swept.batches[0], 0.0, 0
    for line in (None, *derivation.lines):
        computed = swept.values(line, 0)
        assert not isinstance(computed, str), computed
        for row in range(min(len(set(batch.strata)), len(batch))):
            plan = bench.traced(line, batch.args(row)).plan
            assert plan is not None
            at = evaluator(plan, batch.args(row))(BITS, "balls", "exact")
            if at.unresolved or at.tied:
                continue
            for value, error, ball in zip(computed[0][row], computed[1][row] / shrink_bounds_by, at.values, strict=True):
                if error < np.inf and ball.is_finite():
                    with precision(BITS):
                        distance = float(abs(arb(float(value)) - ball).abs_lower())
                    worst = max(worst, distance / error if error else np.inf if distance else 0.0)
                    compared += 1
    return worst, compared


@pytest.mark.parametrize(("derivation", "kind"), CASES)
def test_values_stay_within_their_bounds_of_the_ball_values(derivation: Derivation, kind: type[Sweep]) -> None:
    worst, compared = worst_excess(derivation, kind)
    assert compared > 0
    assert worst <= 1


@pytest.mark.parametrize("kind", [Sweep, Single])
def test_bounds_a_thousandth_as_large_are_noticed(kind: type[Sweep]) -> None:
    assert worst_excess(notes.RESIDUAL, kind, shrink_bounds_by=1e3)[0] > 1
