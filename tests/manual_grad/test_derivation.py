"""What a derivation is: what it refuses, its domains, `contract`. That derivations are true is for other files."""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_grad import (
    Derivation,
    Weights,
    bits,
    classes,
    constants,
    contract,
    holds_when,
    intervals,
    notes,
    one_hot,
    positives,
    reals,
    signs,
    within,
)
from manual_grad.derivation import argument_names, field_names, formula_of, label_of


def square(z: Any) -> Any:
    """z²"""
    return z * z


def line_1(z: Any, nabla: Any) -> Any:
    """2 z

    More text.
    """
    return 2 * z


def line_2(z: Any, nabla: Any) -> Any:
    return z + z


def derivation(**changes: Any) -> Derivation:
    return Derivation(
        **({"name": "d z²", "of": square, "wrt": "z", "domain": (reals(),), "lines": [line_1, line_2]} | changes)
    )


def test_labels_are_the_names_of_the_lines_in_order_and_formulas_their_first_lines():
    assert derivation().labels == ["line_1", "line_2"]
    assert [formula_of(line) for line in derivation().lines] == ["2 z", ""]
    assert label_of(partial(line_1, nabla=None)) == "line_1"
    assert formula_of(partial(line_1, nabla=None)) != ""


def test_the_notes_hold_every_line_of_the_table_in_order():
    to_equation_2 = ["line_0a", "line_0b", "line_1a", "line_1b", "line_1c", "line_2b"]
    assert notes.W11.labels == [*to_equation_2, "line_3a", "line_3b", "line_3c"]
    assert notes.W12.labels == [*to_equation_2, "line_3a_w12", "line_3b_w12", "line_3c_w12"]
    assert notes.W21.labels == [*to_equation_2, "line_3_w21"]
    assert notes.RESIDUAL.labels == ["claim_a", "claim_b", "claim_c", "claim_d", "claim_e"]
    assert (notes.equation_1, notes.equation_2) == (notes.line_1c, notes.line_2b)
    assert all(formula_of(line) for d in (notes.W11, notes.W12, notes.W21, notes.RESIDUAL) for line in d.lines)
    assert [d.wrt for d in (notes.W11, notes.W12, notes.W21, notes.RESIDUAL)] == ["w11", "w12", "w21", "z"]


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"of": 3.0}, TypeError, "`of` must be a function, got 3.0"),
    ({"domain": reals()}, TypeError, "the domain is a tuple with one entry an argument"),
    ({"domain": Weights(reals(), reals(), reals())}, TypeError, "the domain is a tuple with one entry an argument"),
    ({"domain": {"z": reals()}}, TypeError, "the domain is a tuple with one entry an argument"),
    ({"wrt": 0}, TypeError, "wrt is the name of one argument or field, got 0"),
    ({"wrt": ("z", "x")}, TypeError, r"got \('z', 'x'\); write one Derivation for each"),
    ({"domain": (3,)}, TypeError, "the domain holds 3; use reals"),
    ({"domain": ({"a": [reals(), None]},)}, TypeError, "the domain holds None; use reals"),
    ({"lines": []}, ValueError, "a derivation needs at least one line"),
    ({"lines": [line_1, "2 z"]}, TypeError, "a line must be a function, got '2 z'"),
    ({"lines": [line_1, line_2, line_1]}, ValueError, "two lines are named 'line_1'"),
    ({"lines": [line_1, partial(line_1, nabla=None)]}, ValueError, "two lines are named 'line_1'"),
    ({"wrt": "x"}, ValueError, r"wrt='x': `square` has no argument 'x', but z$"),
    ({"domain": (reals(), reals())}, ValueError, r"the domain has 2 arguments, `square` takes \['z'\]"),
    ({"sizes": {"n": (1, 2)}}, ValueError, r"sizes names 'n', the domain has \[\]"),
    ({"domain": (reals("n"),), "sizes": {"n": (0, 2)}}, ValueError, r"must be \(smallest, largest\) from 1 on"),
    ({"domain": (reals("n"),), "sizes": {"n": (3, 2)}}, ValueError, r"must be \(smallest, largest\) from 1 on"),
    ({"domain": (reals("n"),), "sizes": {"n": (3,)}}, ValueError, r"must be \(smallest, largest\) from 1 on"),
    ({"domain": (reals("n"),), "sizes": {"n": 5}}, ValueError, r'from 1 on, got 5: write sizes=\{"n": \(5, 5\)\}$'),
    ({"domain": (reals("n"),), "sizes": {"n": (2.5, 3)}}, ValueError, r'3\): write sizes=\{"n": \(2, 5\)\}$'),
    ({"domain": (reals("n"),), "sizes": {"n": "25"}}, ValueError, r"got '25': write sizes="),
    ({"domain": (reals("n"),), "sizes": ["n"]}, TypeError, r"`sizes` must be a dict, as sizes=.*, got \['n'\]$"),
    ({"where": "z > 0"}, TypeError, r"`where` must be a function .*, got 'z > 0': write where=lambda z: …$"),
    ({"lines": [line_1, holds_when(line_2)]}, TypeError, r"`line_2` stands under a bare @holds_when: .*lambda z: …\) above"),
    ({"lines": [within(ulps=2)(holds_when(line_2))]}, TypeError, r"`line_2` stands under a bare @holds_when"),
])  # fmt: skip
def test_an_unusable_derivation_is_refused_by_name(changes: dict[str, Any], error: type[Exception], message: str):
    with pytest.raises(error, match=f"d z².*{message}"):
        derivation(**changes)


def test_wrt_may_be_a_field_of_the_first_argument_an_argument_or_none():
    def of(w: Any, z: Any) -> Any:
        return w.w11 * z

    domain = (Weights(reals(), reals(), reals(2)), reals())
    for wrt in ("w11", "z", "w", None):
        assert derivation(of=of, wrt=wrt, domain=domain).wrt == wrt
    with pytest.raises(ValueError, match=r"argument 'w13', but w, z; nor is it a field .* w11, w12, w21$"):
        derivation(of=of, wrt="w13", domain=domain)
    assert derivation(of=lambda *values: values[0]["b"], wrt="b", domain=({"b": reals()},)).wrt == "b"


def test_with_lines_changes_the_lines_and_nothing_else():
    changed = derivation(where=lambda z: z > 0).with_lines(line_2, name="another")
    assert (changed.name, changed.labels, changed.of, changed.wrt) == ("another", ["line_2"], square, "z")
    assert changed.where is not None
    assert derivation().with_lines(line_2).name == "d z²"
    with pytest.raises(ValueError, match="two lines are named"):
        derivation().with_lines(line_1, line_1)


# Domains


def test_named_dimensions_are_collected_from_every_domain():
    domain = ({"w": reals("d", 3), "b": [positives("k")]}, one_hot("n", "k"), classes("n", "classes"), bits("m"))
    assert derivation(of=lambda *a: a, wrt=None, domain=domain).dim_names == {"d", "k", "n", "classes", "m"}


@pytest.mark.parametrize("bad", [0, -1, 2.0, None, True])
@pytest.mark.parametrize(
    "make", [reals, signs, bits, positives, lambda dim: intervals(0, 1, dim), lambda dim: classes(dim, 3)]
)
def test_a_dimension_is_a_positive_integer_or_a_name(make: Any, bad: Any):
    with pytest.raises(ValueError, match="a dimension is a positive int or a name, got"):
        make(bad)
    assert make(2).dims == (2,)
    assert make("n").dims == ("n",)


@pytest.mark.parametrize("bad", [0, -1, 2.0, None, True])
@pytest.mark.parametrize("make", [classes, one_hot])
def test_the_number_of_classes_is_a_positive_integer_or_a_name(make: Any, bad: Any):
    with pytest.raises(ValueError, match="is a positive int or a name, got"):
        make("n", bad)
    assert make("n", 1).dims[0] == "n"
    assert make("n", "k").dims[0] == "n"


@pytest.mark.parametrize("make", [classes, one_hot])
def test_labels_may_have_any_number_of_axes(make: Any):
    assert make("n", "t", "k") == make("n", "t", k="k")
    assert make("n", "t", "k").sized({"n": 2, "t": 3, "k": 4}).shape[:2] == (2, 3)
    assert make(4).sized({}).shape == make(k=4).shape
    with pytest.raises(ValueError, match="the number of classes comes last, as in"):
        make()


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (-np.inf, 0), (0, np.inf), (np.nan, 1)])
def test_an_interval_needs_finite_ends_in_order(low: float, high: float):
    with pytest.raises(ValueError, match="an interval needs finite low < high, got low="):
        intervals(low, high)


def test_constants_keep_their_shape_or_take_the_one_given():
    assert constants(2.0).dims == ()
    assert constants([1.0, 2.0]).dims == (2,)
    assert constants(2.0, "n").dims == ("n",)


@pytest.mark.parametrize("bad", [np.nan, np.inf, "1", None])
def test_a_constant_is_a_finite_number(bad: Any):
    with pytest.raises(ValueError, match="a constant must be a finite number or an array of them"):
        constants(bad)


# contract

small = st.integers(-8, 8).map(float)


@pytest.mark.parametrize("xp", [np, jnp], ids=["NumPy", "JAX"])
@given(data=st.data())
def test_contract_is_the_sum_over_all_axes_of_c_leaf_by_leaf(xp: Any, data: st.DataObject):
    """Σ_i c_i J_i, exact on small integers, in any structure"""
    shape, rest = data.draw(st.sampled_from([((3,), (2,)), ((2, 3), ()), ((), (4,)), ((2,), (3, 2))]), label="shapes")

    def draw(*dims: int) -> Any:
        size = int(np.prod(dims))
        return np.reshape(data.draw(st.lists(small, min_size=size, max_size=size)), dims)

    c, jacobian = draw(*shape), draw(*shape, *rest)
    tree = {"b": [xp.asarray(jacobian)], "a": (xp.asarray(2 * jacobian),)}
    got = contract(xp.asarray(c), tree)
    want = sum((c[i] * jacobian[i] for i in np.ndindex(shape)), np.zeros(rest))
    assert list(got) == ["a", "b"]
    assert np.array_equal(got["b"][0], want)
    assert np.array_equal(got["a"][0], 2 * want)


def test_contract_keeps_named_tuples_and_refuses_other_shapes():
    w = Weights(np.ones((2, 3)), np.zeros((2, 1)), np.full((2, 2), 2.0))
    got = contract(np.array([1.0, 3.0]), w)
    assert isinstance(got, Weights)
    assert [leaf.tolist() for leaf in got] == [[4.0, 4.0, 4.0], [0.0], [8.0, 8.0]]
    with pytest.raises(
        ValueError, match=r"c has shape \(2,\) and the Jacobian \(3, 2\): the second must begin with the first"
    ):
        contract(np.ones(2), np.ones((3, 2)))


def test_names_of_arguments_leave_nabla_out_and_are_unknown_where_a_function_hides_them():
    assert argument_names(line_1) == ["z"]
    assert argument_names(lambda *values: values) is None
    assert argument_names(dict) is None or isinstance(argument_names(dict), list)
    assert field_names({"b": 1, "a": 2}) == ["a", "b"]
    assert field_names(Weights(1, 2, 3)) == ["w11", "w12", "w21"]
    assert field_names((1, 2)) == []
