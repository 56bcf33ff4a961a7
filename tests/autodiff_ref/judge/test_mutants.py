"""Mutants and rewrites: what is planted is a mistake of its kind, at every shape, and a rewrite is none."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

import autodiff_ref
from autodiff_ref.judge.inputs import draw_inputs
from autodiff_ref.judge.lines.jaxprs import EditError, fingerprint, flattened, replaced
from autodiff_ref.judge.mutation.mistakes import MISTAKES
from autodiff_ref.judge.mutation.mutants import mutants
from autodiff_ref.judge.trial.trial import trial
from autodiff_ref.judge.trial.variants import Inputs, Variants
from autodiff_ref.verify import verify
from manual_grad import Derivation, intervals, notes
from tests.combinations import few_or_many
from tests.derivations import batch_norm, likelihoods, recurrent, relu, small, softmax
from tests.derivations._few import few_inputs
from tests.rewriting import rewrites
from tests.rewriting.by_identity import IDENTITIES

SHOWN = [
    (softmax.SOFTMAX, 3),
    (softmax.PICKED, 2),
    (batch_norm.BATCH_NORM, 6),
    (relu.RELU, 2),
    (recurrent.RECURRENT, 1),
    (likelihoods.PROBIT, 1),
    (likelihoods.BITS, 2),
    (small.LOG_DETERMINANT, 2),
    (notes.W11, 5),
]
"""derivations and lines in which all kinds occur"""


def flat_value(closed: Any, args: tuple[Any, ...]) -> Any:
    with jax.enable_x64(True):
        return core.jaxpr_as_fun(closed)(*jax.tree.leaves(args))


def test_the_same_seed_gives_the_same_mutants() -> None:
    first, again, other = (mutants(notes.W11, notes.line_3b, seed=seed, most=12) for seed in (5, 5, 6))
    assert [(m.kind, m.sentence, m.edit) for m in first] == [(m.kind, m.sentence, m.edit) for m in again]
    assert [m.edit for m in first] != [m.edit for m in other]


def test_the_same_seed_gives_the_same_rewrites() -> None:
    first, again, other = (rewrites(notes.W11, notes.line_3b, seed=seed, most=12) for seed in (5, 5, 6))
    assert [(r.kind, r.sentence, r.edits) for r in first] == [(r.kind, r.sentence, r.edits) for r in again]
    assert [r.edits for r in first] != [r.edits for r in other]


def test_every_kind_of_mistake_is_planted_and_is_another_jaxpr() -> None:
    kinds: set[str] = set()
    for derivation, k in SHOWN:
        line = derivation.lines[k]
        made = mutants(derivation, line, seed=1, most=30)
        kinds.update(mutant.kind for mutant in made)
        flat = made[0].source.at(made[0].source.typical)
        outcomes = {fingerprint(m.jaxpr_at(m.source.typical), flat.n_outputs) for m in made}
        assert len(outcomes) == len(made), derivation.name
        assert fingerprint(flat.closed, flat.n_outputs) not in outcomes, derivation.name
    assert kinds == set(MISTAKES)


def test_every_kind_of_rewrite_occurs() -> None:
    kinds = {
        edit.kind
        for derivation, k in SHOWN[:3]
        for rewrite in rewrites(derivation, derivation.lines[k], seed=1, most=20)
        for edit in rewrite.edits
    }
    assert kinds == set(IDENTITIES)


def test_a_mutant_says_where_it_was_planted() -> None:
    for mutant in mutants(notes.W11, notes.line_3c, seed=2, most=30):
        assert mutant.place.split(":")[0] in ("notes.py", "network.py", "sigmoid.py"), mutant
        assert mutant.place in mutant.sentence, mutant
        assert mutant.frames[-1][0].endswith("notes.py"), mutant.frames


def test_a_mutant_stands_in_the_place_of_its_line() -> None:
    planted = mutants(notes.W11, notes.line_1b, seed=3, most=1)[0]
    lines = [planted.line if line is notes.line_1b else line for line in notes.TO_EQUATION_2]
    derivation = notes.W11.with_lines(*lines)
    report = verify(derivation, inputs=few_inputs(derivation), shrink=False, suspects=False, floats=False, prove=False)
    assert report.first_wrong_line == "line_1b", str(report)
    assert {line.label for line in report.lines if line.verdict not in ("proved", "agrees", "within")} == {"line_1b"}, str(
        report
    )
    assert "margin" in report.reference, "what a line hands to ∇ is audited as before"


def test_a_mistake_is_the_same_one_at_every_shape() -> None:
    shapes = {np.shape(given.args[1]): given.args for given in draw_inputs(notes.W11, seed=0)}
    assert len(shapes) > 3
    for mutant in mutants(notes.W11, notes.line_2b, seed=4, most=20):
        if mutant.kind == "sign":
            for shape, args in shapes.items():
                assert mutant.jaxpr_at(args) is not None, (mutant, shape)


@pytest.mark.parametrize(("derivation", "k"), [SHOWN[0], SHOWN[5]], ids=["softmax", "probit"])
def test_rewrites_equal_the_line_in_floats(derivation: Derivation, k: int) -> None:
    line, given = derivation.lines[k], draw_inputs(derivation, seed=7, at_least=1)[0]
    nabla = autodiff_ref.nabla(derivation.wrt)
    made = rewrites(derivation, line, seed=7, most=12)
    with jax.enable_x64(True):
        value, *others = jax.jit(lambda *args: [f(*args, nabla=nabla) for f in (line, *(r.line for r in made))])(*given.args)
    for rewrite, other in zip(made, others, strict=True):
        for a, b in zip(jax.tree.leaves(value), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4, err_msg=rewrite.sentence)


def test_a_rewrite_leaves_alone_what_is_asked_to_be_the_very_one_of_other_values() -> None:
    """JAX differentiates max by asking which operand equals the result: no digits show that log e^x does."""
    line, inputs = relu.RELU.lines[0], Inputs(relu.RELU, 0)
    made = rewrites(relu.RELU, line, seed=6111, most=12)
    variants = Variants(made[0].source, inputs)
    for rewrite in made:
        found = variants.relation(rewrite.edits, 4)
        assert found.equal, rewrite.sentence
        assert not found.differences, rewrite.sentence


# Jaxprs taken apart


def test_a_flat_jaxpr_has_no_calls_and_the_same_value() -> None:
    def f(x: Any) -> Any:
        return jnp.where(x > 0, jax.nn.relu(x), jax.jit(jnp.sin)(x)) + jax.lax.fori_loop(
            0, 3, lambda i, s: jax.jit(jnp.cos)(s), x
        )

    with jax.enable_x64(True):
        x = np.linspace(-1.0, 1.0, 5)
        closed = jax.make_jaxpr(f)(x)
        flat = flattened(closed)
        assert not {eqn.primitive.name for eqn in flat.jaxpr.eqns} & {"jit", "pjit", "custom_jvp_call"}
        np.testing.assert_array_equal(flat_value(flat, (x,))[0], f(x))


def test_an_equation_inside_a_loop_is_replaced() -> None:
    with jax.enable_x64(True):
        closed = flattened(jax.make_jaxpr(lambda x: jax.lax.scan(lambda s, row: (s * row, None), 1.0, x)[0])(np.ones(3)))
        (k,) = [k for k, eqn in enumerate(closed.jaxpr.eqns) if eqn.primitive.name == "scan"]
        names = [eqn.primitive.name for eqn in closed.jaxpr.eqns[k].params["jaxpr"].jaxpr.eqns]
        added = replaced(closed, (k, "jaxpr", names.index("mul")), lambda a, b: a + b)
        assert flat_value(added, (np.array([2.0, 3.0, 4.0]),))[0] == 10.0
        assert flat_value(closed, (np.array([2.0, 3.0, 4.0]),))[0] == 24.0


def test_a_change_of_another_shape_is_refused() -> None:
    closed = flattened(jax.make_jaxpr(lambda x: x * x)(np.ones((2, 3), dtype=np.float32)))
    with pytest.raises(EditError, match="returns"):
        replaced(closed, (0,), lambda a, b: (a * b).T)


# The judge on trial


def test_the_notes_mistakes_are_refuted_or_equal_to_their_line() -> None:
    tried = trial(notes.RESIDUAL, seed=8, most=10)
    assert tried.ok
    assert set(tried.count()) <= {"refuted", "equal"}, str(tried)
    assert tried.count()["refuted"] > 40, str(tried)
    assert set(tried.labels) == {finding.label for finding in tried.findings}


def test_the_same_seed_gives_the_same_trial() -> None:
    assert trial(likelihoods.ENTROPY, seed=3, most=4).to_dict() == trial(likelihoods.ENTROPY, seed=3, most=4).to_dict()


def test_a_mutant_without_a_value_is_not_called_right() -> None:
    line = likelihoods.entropy_2
    [finding] = [
        finding
        for finding in trial(likelihoods.ENTROPY.with_lines(line), seed=0, most=40).findings
        if finding.mutant.kind == "swapped operands" and finding.outcome != "refuted"
    ]
    assert finding.outcome == "no value"
    assert not finding.missed
    report = verify(likelihoods.ENTROPY.with_lines(finding.mutant.line))
    assert report.lines[0].verdict == "undecided"
    assert "the line has no value (NaN or ∞) at any of the" in report.lines[0].reason


def test_a_mistake_that_only_other_inputs_show_is_missed() -> None:
    """A term that lives on a two-hundredth of the domain: 64 inputs may miss it, 1,000 do not."""

    def slope(z: Any, nabla: Any) -> Any:
        return 2 * z + jnp.where(jnp.abs(z - 0.5) < 0.0025, z - z, 0 * jnp.sin(z))

    derivation = Derivation("d z²/dz", lambda z: z * z, "z", (intervals(0, 1),), [slope])
    tried = trial(derivation, seed=1, most=few_or_many(16, 60))
    in_the_branch = [f for f in tried.findings if f.mutant.kind == "add↔sub" and f.mutant.edit.primitive == "sub"]
    assert any(finding.missed for finding in in_the_branch), str(tried)
    assert not tried.ok
