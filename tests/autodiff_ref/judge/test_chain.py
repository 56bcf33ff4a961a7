"""The 27-step chain: a mistake in step k shows at line k, and only there."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import autodiff_ref
from autodiff_ref.verify import Input, verify
from manual_grad import Derivation
from tests.derivations import chain
from tests.derivations._draw import drawn
from tests.derivations._traces import traces


def arguments(seed: int) -> tuple[Any, ...]:
    """Random parameters and classes, and three contexts that differ.

    With two alike, batch normalisation over three examples gives the same whatever comes in, and all gradients before it
    are as small as its ε.
    """
    theta, _, y = drawn(chain.CHAIN, {}, np.random.default_rng(seed))
    return theta, np.array([0, 1, 1, 2, 2, 0]), y


@pytest.fixture(scope="module")
def evaluated() -> np.ndarray:
    """(28, 27, parameters) in floats: the lines as they are, then with one step after the other multiplied by 1.1.

    Relative to JAX's gradient, so that a right value is 0.
    """
    nabla = autodiff_ref.nabla(None)
    args = arguments(seed=5)

    @jax.jit
    def lines(factors: Any) -> Any:
        by_name = dict(zip(chain.STEPS, factors, strict=True))
        values = [chain.step_line(k + 1, by_name)(*args, nabla=nabla) for k in range(len(chain.STEPS))]
        return jnp.stack([_flat(value) for value in values]) - _flat(nabla(chain.loss)(*args))

    with jax.enable_x64(True):
        return np.stack([lines(1 + 0.1 * row) for row in [np.zeros(27), *np.eye(27)]])


def _flat(gradient: Any) -> Any:
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(gradient)])


def test_the_exercise_has_27_steps_and_each_an_equation() -> None:
    assert len(chain.STEPS) == 27
    assert set(chain.EQUATIONS) == set(chain.STEPS)
    assert [f"d{step}" for step in chain.STEPS] == chain.CHAIN.labels


def test_a_step_comes_after_all_that_its_intermediate_is_used_for() -> None:
    for k, step in enumerate(chain.STEPS):
        for later in chain.FORWARD:
            if step in chain.uses(later) and later != "loss":
                assert later in chain.STEPS[:k], f"{step} is worked out before {later}, which is made of it"


def test_the_last_line_leaves_nothing_to_nabla() -> None:
    assert chain.crossing(chain.STEPS) == []


def test_every_line_of_the_chain_equals_jax_in_floats(evaluated: np.ndarray) -> None:
    np.testing.assert_allclose(evaluated[0], 0, atol=1e-12)


@pytest.mark.parametrize("k", range(27), ids=chain.STEPS)
def test_a_wrong_step_shows_at_its_line_and_is_carried_on(evaluated: np.ndarray, k: int) -> None:
    values = evaluated[k + 1]
    np.testing.assert_allclose(values[:k], 0, atol=1e-12)
    if chain.STEPS[k] in chain.MATHEMATICALLY_ZERO:
        np.testing.assert_allclose(values[k:], 0, atol=1e-12)
    else:
        assert np.max(np.abs(values[k])) > 1e-4
        np.testing.assert_allclose(values[k + 1 :], values[k : k + 1].repeat(26 - k, axis=0), atol=1e-12)


def test_the_zeros_are_zero_in_floats() -> None:
    args = arguments(seed=7)
    with jax.enable_x64(True):
        theta, x, y = jax.tree.map(jnp.asarray, args)
        values = chain.Values({**theta, "x": x, "y": y}, dict.fromkeys(chain.STEPS))
        for step in chain.STEPS:
            is_zero = np.max(np.abs(values[f"d{step}"])) < 1e-12
            assert is_zero == (step in chain.MATHEMATICALLY_ZERO), step


@pytest.mark.parametrize("step", [0, 28])
def test_a_step_that_does_not_exist_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 27"):
        chain.chain(step)


FEW = [Input("ordinary", arguments(seed)) for seed in range(2)]
"""A tenth of a step shows at both. The judge has 27 × 27 lines to read: its own inputs are for the right chain.

The prover is not asked: with batch normalisation, tanh and softmax after each other it runs out of time at most steps."""


def test_the_judge_finds_every_line_of_the_chain_right() -> None:
    report = verify(chain.CHAIN, examples=36, traces=traces(chain.CHAIN), prove=False)
    assert report.ok, str(report)
    assert all(sum(line.inputs.values()) >= 30 for line in report.lines)


@pytest.mark.parametrize("k", range(27), ids=chain.STEPS)
def test_the_judge_names_the_wrong_step_and_no_other(k: int) -> None:
    report = verify(chain.chain(k + 1), inputs=FEW, traces=traces(chain.CHAIN), suspects=False, prove=False)
    wrong = [line.label for line in report.lines if line.verdict not in ("proved", "agrees", "within")]
    assert wrong == ([] if chain.STEPS[k] in chain.MATHEMATICALLY_ZERO else [f"d{chain.STEPS[k]}"]), str(report)
    assert report.reference_is_right, str(report)


@pytest.mark.parametrize(("derivation", "label"), chain.BROKEN, ids=[label for _, label in chain.BROKEN])
def test_the_judge_names_a_mistake_that_the_next_line_puts_right(derivation: Derivation, label: str) -> None:
    report = verify(derivation, inputs=FEW, traces=traces(chain.CHAIN), suspects=False, prove=False)
    assert [line.label for line in report.lines if line.verdict not in ("proved", "agrees", "within")] == [label], str(
        report
    )
