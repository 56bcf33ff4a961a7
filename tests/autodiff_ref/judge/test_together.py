"""Lines computed together, with what they share computed once, are what each is alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.floats.table import FLOATS, bounded
from autodiff_ref.judge.floats.together import Together
from autodiff_ref.judge.inputs import draw_inputs
from autodiff_ref.judge.lines.trace import label_flags
from autodiff_ref.judge.search.sweep import Sweep
from manual_grad import Derivation, notes, reals
from manual_grad.extensions import depth
from tests.combinations import few_or_many
from tests.derivations import MODULES
from tests.derivations._traces import traces

DERIVATIONS = [
    value for module in (notes, depth, *MODULES) for value in vars(module).values() if isinstance(value, Derivation)
]


def swept(derivation: Derivation) -> Sweep:
    return Sweep(
        Bench(derivation, draw_inputs(derivation, seed=0, at_least=1)[:1], may_shrink=False, traces=traces(derivation)),
        count=64,
    )


@pytest.mark.parametrize("derivation", DERIVATIONS, ids=lambda derivation: derivation.name)
def test_values_errors_and_ties_are_those_of_each_line_alone(derivation: Derivation):
    found = swept(derivation)
    lines = (None, *derivation.lines[:: 1 + len(derivation.lines) // 9])  # of the chain's 27, each fourth
    for batch in found.batches[: few_or_many(1, 2)]:
        together = found.together(lines, batch.args(0))(*batch.leaves)
        for line, result in zip(lines, together, strict=True):
            closed, width = found.traced(line, batch.args(0))
            assert not isinstance(result, NotImplementedError)
            outputs, ties = bounded(closed, labels=label_flags(derivation.domain), first=width).with_ties(*batch.leaves)
            for ours, alone in zip(result[0], outputs, strict=True):
                assert np.array_equal(ours.value, alone.value, equal_nan=True)
                assert np.array_equal(ours.error, alone.error)
            assert np.array_equal(result[1], ties)


def cube(w: Any) -> Any:
    return jnp.sum(w**3)


def line_tied(w: Any) -> Any:
    return 3 * jnp.where(w > 0.5, w**2, w * w)


def line_unbounded(w: Any) -> Any:
    return 3 * w**2 + 0 * jax.scipy.special.zeta(2.0 + w**2, 1.0)


def line_plain(w: Any) -> Any:
    return 3 * w**2


CUBE = Derivation("cube", of=cube, wrt=None, lines=(line_tied, line_unbounded, line_plain), domain=(reals(2),))


def test_a_tie_is_one_of_the_lines_that_compare():
    found = swept(CUBE)
    program = found.together((None, line_tied, line_plain), (np.ones(2),))
    ties = [result[1].tolist() for result in program(np.array([[0.5, 2.0], [0.25, 1.0]])) if isinstance(result, tuple)]
    assert ties == [[False, False], [True, False], [False, False]]


def test_a_line_without_bounds_leaves_the_others_theirs():
    found = swept(CUBE)
    assert str(found.values(line_unbounded, 0)).startswith("no rule for the primitive `zeta`")
    assert isinstance(found.values(line_plain, 0), tuple)


def test_a_rule_that_fails_is_said_of_the_lines_that_need_it_alone(monkeypatch: pytest.MonkeyPatch):
    def failing(_: Any) -> Any:
        def step(*_: Any) -> Any:
            raise RuntimeError("planted")

        return step

    monkeypatch.setitem(FLOATS.rules, "select_n", failing)
    found = swept(CUBE)
    assert found.values(line_tied, 0) == "the judge failed: RuntimeError: planted"
    assert isinstance(found.values(line_plain, 0), tuple)
    assert isinstance(found.values(None, 0), tuple)


def test_a_step_that_several_jaxprs_take_is_taken_once(monkeypatch: pytest.MonkeyPatch):
    taken: list[str] = []
    plain = FLOATS.rules["exp"]

    def counting(equation: Any) -> Any:
        step = plain(equation)

        def counted(*operands: Any) -> Any:
            taken.append("exp")
            return step(*operands)

        return counted

    monkeypatch.setitem(FLOATS.rules, "exp", counting)
    closeds = [jax.make_jaxpr(f)(np.ones(3)) for f in (jnp.exp, lambda x: jnp.exp(x) * 2, lambda x: x + jnp.exp(x))]
    results = Together(closeds, [1, 1, 1], labels=[False])(np.zeros((5, 3)))
    assert taken == ["exp"]
    assert [result[0][0].value.tolist()[0] for result in results if isinstance(result, tuple)] == [
        [1.0] * 3,
        [2.0] * 3,
        [1.0] * 3,
    ]
