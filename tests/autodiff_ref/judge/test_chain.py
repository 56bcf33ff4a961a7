"""The 27-step chain: a mistake in step k shows at line k, and only there."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import autodiff_ref
from autodiff_ref.verify import Input, verify
from manual_grad import Derivation
from tests.combinations import few_or_many
from tests.derivations import chain
from tests.derivations._draw import drawn
from tests.derivations._few import few_inputs
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

    Relative to JAX's gradient, so that a right value is 0. To compile all lines takes longer than to judge them.
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


@pytest.mark.explore
def test_every_line_of_the_chain_equals_jax_in_floats(evaluated: np.ndarray) -> None:
    np.testing.assert_allclose(evaluated[0], 0, atol=1e-12)


@pytest.mark.explore
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

    @jax.jit
    def cotangents(theta: Any, x: Any, y: Any) -> dict[str, Any]:
        values = chain.Values({**theta, "x": x, "y": y}, dict.fromkeys(chain.STEPS))
        return {step: values[f"d{step}"] for step in chain.STEPS}

    with jax.enable_x64(True):
        for step, value in cotangents(*args).items():
            is_zero = np.max(np.abs(value)) < 1e-12
            assert is_zero == (step in chain.MATHEMATICALLY_ZERO), step


@pytest.mark.parametrize("step", [0, 28])
def test_a_step_that_does_not_exist_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 27"):
        chain.chain(step)


FEW = [Input("ordinary", arguments(seed)) for seed in range(2)]
"""A tenth of a step shows at both. The judge has 27 × 27 lines to read: its own inputs are for the right chain.

The prover is not asked: with batch normalisation, tanh and softmax after each other it runs out of time at most steps."""


def test_the_judge_finds_every_line_of_the_chain_right() -> None:
    report = verify(chain.CHAIN, inputs=few_inputs(chain.CHAIN), traces=traces(chain.CHAIN), prove=False)
    assert report.ok, str(report)
    assert all(sum(line.inputs.values()) >= few_or_many(5, 10) for line in report.lines)


def refuted(derivation: Derivation) -> list[str]:
    """The lines that are not found right, in floats and balls at a few inputs."""
    report = verify(derivation, inputs=FEW, traces=traces(chain.CHAIN), suspects=False, prove=False)
    assert report.reference_is_right, str(report)
    return [line.label for line in report.lines if line.verdict not in ("proved", "agrees", "within")]


def with_wrong_steps(steps: Sequence[str]) -> Derivation:
    """The chain with a tenth too much in these steps; each line carries the mistakes above it on."""
    factors = dict.fromkeys(steps, 1.1)
    return chain.CHAIN.with_lines(*(chain.step_line(k, factors) for k in range(1, len(chain.STEPS) + 1)))


@pytest.mark.parametrize("first", [0, pytest.param(1, marks=pytest.mark.explore)])
def test_the_judge_names_the_wrong_steps_and_no_other(first: int) -> None:
    wrong = [step for step in chain.STEPS if step not in chain.MATHEMATICALLY_ZERO][first::2]
    assert refuted(with_wrong_steps(wrong)) == [f"d{step}" for step in wrong]


def test_a_tenth_more_of_nothing_is_right() -> None:
    assert refuted(with_wrong_steps(list(chain.MATHEMATICALLY_ZERO))) == []


@pytest.mark.explore
@pytest.mark.parametrize("k", range(27), ids=chain.STEPS)
def test_the_judge_names_the_wrong_step_and_no_other(k: int) -> None:
    assert refuted(chain.chain(k + 1)) == ([] if chain.STEPS[k] in chain.MATHEMATICALLY_ZERO else [f"d{chain.STEPS[k]}"])


def test_the_judge_names_mistakes_that_the_next_line_puts_right() -> None:
    """Each broken version has one line of its own: here they are in one derivation."""
    wrong = {label: broken.lines[broken.labels.index(label)] for broken, label in chain.BROKEN}
    assert len(wrong) == len(chain.BROKEN)
    lines = [wrong.get(label, line) for label, line in zip(chain.CHAIN.labels, chain.CHAIN.lines, strict=True)]
    assert refuted(chain.CHAIN.with_lines(*lines)) == [label for label in chain.CHAIN.labels if label in wrong]
