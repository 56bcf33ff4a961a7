"""Rules as strangers write them: single precision, fixed places, matrices beside vectors, arguments by keyword."""

import dataclasses
import functools
import importlib
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from typer.testing import CliRunner

from autodiff_ref import judge_rule
from autodiff_ref.cli.app import app
from autodiff_ref.judge.comparing import shown_number
from autodiff_ref.judge.program.equations import reads_beyond
from autodiff_ref.judge.rules.hints import is_computed_with
from autodiff_ref.judge.rules.judging import found_domain
from autodiff_ref.judge.rules.named import functions_of, judge_named, meets_a_rule
from autodiff_ref.judge.rules.written import constructors_in, domain_of
from manual_grad import reals
from tests.combinations import few_or_many


def in_single(factor, form):
    """x² in float32, whose rule hands back float32: in double precision JAX refuses that."""
    if form == "jvp":
        square = jax.custom_jvp(lambda x: jnp.float32(x) ** 2)
        square.defjvps(lambda t, y, x: 2 * factor * x * t)
    else:
        square = jax.custom_vjp(lambda x: x.astype(jnp.float32) ** 2)
        square.defvjp(lambda x: (square(x), x.astype(jnp.float32)), lambda x, g: ((2 * factor * x * g).astype(jnp.float32),))
    return square


@settings(max_examples=few_or_many(3, 20), deadline=None)
@given(st.sampled_from(["jvp", "vjp"]), st.sampled_from([None, (reals("n"),)]), st.integers(-6, -1))
def test_a_rule_for_float32_alone_is_judged_in_that(form, domain, power):
    report = judge_rule(in_single(1.0, form), domain=domain)
    assert report.ok, report
    assert any("cast to float32" in note for note in report.notes) == (form == "jvp")  # a custom_vjp may hand back float32
    wrong = judge_rule(in_single(1 + 10.0**power, form), domain=domain)
    assert wrong.verdict == "WRONG"


@given(st.integers(-5, 4), st.integers(1, 4))
def test_a_fixed_place_that_an_array_has_not(place, size):
    """JAX takes the last entry for x[3] of three."""
    for f in (lambda x: x[place] * 2, jax.jit(lambda x: x[place] * 2)):
        assert reads_beyond(jax.make_jaxpr(f)(np.ones(size)).jaxpr) == (not -size <= place < size)


def turned(q, v):
    """v turned by a quaternion that need not have length 1: a function of four numbers, and of three."""
    w, u = q[0], jnp.stack([q[1], q[2], q[3]])
    return jnp.stack([v[0], v[1], v[2]]) * (w**2 - u @ u) + 2 * u * (u @ v) + 2 * w * jnp.cross(u, v)


def test_arrays_have_the_places_that_a_function_reads():
    turn = jax.custom_vjp(turned)
    turn.defvjp(lambda q, v: (turned(q, v), (q, v)), lambda kept, g: jax.vjp(turned, *kept)[1](g))
    assert "reals(4), reals(3)" in found_domain(turn)[1]


def test_a_finding_is_not_shortened_to_places_that_are_not_there():
    product = jax.custom_jvp(lambda x: x[0] * x[2])
    product.defjvps(lambda t, y, x: t[0] * x[2] - x[0] * t[2])
    (finding,) = judge_rule(product, domain=(reals("n"),)).findings
    assert finding.at.count(" ") == 2


def test_sizes_that_are_too_small_are_told():
    third = jax.custom_jvp(lambda x: x[0] * x[3])
    third.defjvps(lambda t, y, x: t[0] * x[3] + x[0] * t[3])
    report = judge_rule(third, domain=(reals("n"),))
    assert any("x[3] of three" in note for note in report.notes)


def test_a_layer_is_tried_with_a_matrix_that_is_not_square():
    """A square or a symmetric one would not show that w stands for its transpose."""
    layer = jax.custom_vjp(lambda w, b, x: jnp.tanh(w @ x + b))

    def bwd(kept, g):
        w, y, x = kept
        d = g * (1 - y * y)
        return jnp.outer(d, x), d, w.T @ d

    layer.defvjp(lambda w, b, x: (layer(w, b, x), (w, layer(w, b, x), x)), bwd)
    assert "reals('n', 'm'), reals('n'), reals('m')" in found_domain(layer)[1]


def test_columns_that_only_look_like_a_product():
    """size[0] of a matrix is a row: as it broadcasts, the function takes matrices, and its derivative does not."""
    box = jax.custom_jvp(lambda pos, size: jnp.abs(pos[0]) - size[0] + jnp.abs(pos[1]) - size[1])
    box.defjvp(lambda p, t: (box(*p), jnp.sign(p[0][:2]) @ t[0][:2] - jnp.ones(2) @ t[1][:2]))
    assert judge_rule(box).ok


@pytest.mark.parametrize("given_as", ["position", "keyword"])
def test_an_argument_is_not_called_by_the_name_of_an_axis(given_as):
    @functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
    def length(x, axis=None, keepdims=False):
        return jnp.sqrt(jnp.sum(x * x, axis=axis, keepdims=keepdims))

    @length.defjvp
    def rule(axis, keepdims, primals, tangents):
        (x,), (t,) = primals, tangents
        y = length(x, axis, keepdims)
        return y, 2 * jnp.sum(x * t, axis=axis, keepdims=keepdims) / y

    called = (
        (lambda x: length(x, 0, True) * 2) if given_as == "position" else (lambda x: length(x, axis=0, keepdims=True) * 2)
    )
    names = {entry.name for entry in judge_rule(called, domain=(reals(2),)).entries if entry.rule == "length"}
    assert names
    assert not any("keepdims" in name for name in names)


def test_a_ball_around_nothing_is_shown_as_0():
    assert shown_number(arb(0, 1e-300), 30) == "0"
    assert shown_number(arb("0.25"), 5) == "0.25000"


def squared(sign):
    """(x − target)² / 2, whose rule says something of the target too."""
    loss = jax.custom_vjp(lambda x, target: (x - target) ** 2 / 2)
    loss.defvjp(lambda x, target: (loss(x, target), x - target), lambda d, g: (d * g, sign * d * g))
    return loss


def cross_entropy(factor):
    """−Σ label log p, whose rule takes the labels to sum to 1, as they do."""
    loss = jax.custom_vjp(lambda logits, label: -jnp.sum(label * jax.nn.log_softmax(logits)))

    def bwd(kept, g):
        logits, label = kept
        return g * (jax.nn.softmax(logits) - label), -factor * g * jax.nn.log_softmax(logits)

    loss.defvjp(lambda logits, label: (loss(logits, label), (logits, label)), bwd)
    return loss


def test_a_target_that_is_computed_with_has_a_derivative():
    """It was tried as an integer for its name, by which nobody asks for a derivative."""
    assert judge_rule(squared(-1.0)).ok
    assert judge_rule(squared(1.0)).verdict == "WRONG"
    assert "simplex" in judge_rule(cross_entropy(1.0)).domain
    assert judge_rule(cross_entropy(1.0)).ok
    assert judge_rule(cross_entropy(1 + 1e-6)).verdict == "WRONG"


@given(st.sampled_from(["index", "one hot", "compare", "multiply", "within a call"]))
def test_integers_that_are_computed_with(use):
    uses = {
        "index": lambda x, label: x[label],
        "one hot": lambda x, label: x @ jax.nn.one_hot(label, 3),
        "compare": lambda x, label: jnp.where(label + 1 > 1, x, -x),
        "multiply": lambda x, label: x * (label - 1),
        "within a call": lambda x, label: jax.jit(lambda k: jnp.sum(x * k))(label),
    }
    jaxpr = jax.make_jaxpr(uses[use])(np.ones(3), 1).jaxpr
    assert is_computed_with(jaxpr, {jaxpr.invars[1]}) == (use in ("multiply", "within a call"))


def test_a_mask_is_zeros_and_ones_unless_a_rule_says_more_of_it():
    mean = jax.custom_vjp(lambda x, mask: jnp.sum(x * mask) / jnp.maximum(jnp.sum(mask), 1))
    mean.defvjp(lambda x, mask: (mean(x, mask), mask), lambda mask, g: (g * mask / jnp.maximum(mask.sum(), 1), None))
    report = judge_rule(mean)
    assert report.ok
    assert "bits('n')" in report.domain
    gated = jax.custom_vjp(lambda x, mask: jnp.sum(x * mask))
    gated.defvjp(lambda x, mask: (gated(x, mask), (x, mask)), lambda kept, g: (g * kept[1], g * kept[0] * 2))
    assert judge_rule(gated).verdict == "WRONG"


def test_a_matrix_that_is_decomposed_is_symmetric():
    """The rule takes it so; entries that move alone would leave it to a rule to add up over both halves."""
    largest = jax.custom_jvp(lambda a: jnp.linalg.eigh(a)[0][-1])

    @largest.defjvp
    def rule(primals, tangents):
        v = jnp.linalg.eigh(primals[0])[1][:, -1]
        return largest(*primals), v @ jnp.tril(tangents[0] * (2 - jnp.eye(len(v)))) @ v

    report = judge_rule(largest)
    assert report.ok
    assert "symmetric('n')" in report.domain
    assert "reals('n', 'n')" in found_domain(lambda a: jnp.linalg.eigh(a @ a.T)[0] + a[0, 1])[1]


def test_texts_and_whole_numbers_are_handed_over_as_they_are():
    @functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
    def reduced(x, reduction: str):
        return x.sum() if reduction == "sum" else x.mean()

    reduced.defvjp(lambda x, how: (reduced(x, how), x), lambda how, x, g: (jnp.full_like(x, g / (how != "sum" or 2)),))
    report = judge_rule(reduced)
    assert report.verdict == "WRONG"
    assert "constants('sum')" in report.domain
    assert any("of reduction 'sum' alone is tried" in note for note in report.notes)

    def powers(x, count: int):
        return jnp.stack([x**k for k in range(count)])

    def rounded(x, step: float):
        through = jax.custom_vjp(lambda x: jnp.round(x / step) * step)
        through.defvjp(lambda x: (through(x), None), lambda kept, g: (g,))
        return through(x)

    domain, how = found_domain(powers)
    assert "constants(3)" in how
    assert meets_a_rule(powers, domain) is False
    assert judge_rule(rounded).verdict == "meant so"


DECORATING = """
import jax

class ruled:
    '''A decorator that makes an object of a function, with a rule to come, as libraries have them.'''

    def __init__(self, fn):
        def wrapped(*args):
            return fn(*args)

        self.call = jax.custom_jvp(wrapped)

    def rule(self, rule):
        self.call.defjvp(lambda primals, tangents: rule(primals, tangents))

    def __call__(self, *args):
        return self.call(*args)
"""

DECORATED = """
from decorating import ruled

@ruled
def cube(x):
    return x**3

@cube.rule
def cube_rule(primals, tangents):
    return cube(*primals), 2 * primals[0] ** 2 * tangents[0]
"""


def test_what_a_decorator_of_another_library_made_is_not_left_out(tmp_path, monkeypatch):
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "decorating.py").write_text(DECORATING)
    (tmp_path / "decorated.py").write_text(DECORATED)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("decorated")
    assert functions_of(module, own=True) == ["cube"]
    report = judge_named(module, "cube", {}, always=False)
    assert report.verdict == "WRONG"
    (rule,) = report.rules
    assert rule.name == "cube"
    assert rule.place.endswith("decorated.py:4")


class Layer(NamedTuple):
    """A layer's parameters, as an argument."""

    w: Any
    b: Any


@functools.partial(jax.tree_util.register_dataclass, data_fields=["position", "speed"], meta_fields=["name"])
@dataclasses.dataclass
class State:
    """A state of which one field is no array."""

    position: Any
    speed: Any
    name: str = "ball"


def test_named_tuples_and_dataclasses_are_tried_by_their_fields():
    def affine(layer: Layer, x):
        return x @ layer.w + layer.b

    def energy(state: State):
        return state.speed**2 / 2 + state.position * (state.name == "ball")

    domain, how = found_domain(affine)
    assert isinstance(domain[0], Layer)
    assert "reals('m', 'k'), reals('k'), reals('n', 'm')" in how
    assert judge_rule(energy).ok
    wrong = jax.custom_jvp(energy)
    wrong.defjvp(lambda p, t: (energy(*p), p[0].speed * t[0].speed - t[0].position))
    assert {finding.name for finding in judge_rule(wrong).findings} == {"∂f/∂position"}


def test_a_named_tuple_of_domains_is_written_by_its_name():
    (layer, x) = domain_of("Layer(reals(m, k), b=reals(k)), reals(n, m)", constructors_in(sys.modules[__name__]))
    assert layer == Layer(reals("m", "k"), reals("k"))
    assert x == reals("n", "m")


def test_what_makes_a_rule_is_told_from_what_has_none(tmp_path, monkeypatch):
    (tmp_path / "making.py").write_text(
        "import jax\n\n\ndef made(k: float = 2.0):\n"
        "    f = jax.custom_jvp(lambda x: k * x)\n    f.defjvps(lambda t, y, x: k * t)\n    return f\n"
    )
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["rules", "making.py"])
    assert told.exit_code == 3
    assert 'manual-grad rules "making.made(…)(reals(n))"' in told.output


def test_kinds_that_differ_from_argument_to_argument():
    assert "positives('n'), reals('n')" in found_domain(lambda d, u: jnp.log(d).sum() + jnp.log1p(u @ (u / d)))[1]
    recurrent = jax.custom_vjp(lambda u, x, h: lax.scan(lambda h, row: (jnp.tanh(u * h + row),) * 2, h, x)[1])
    recurrent.defvjp(lambda u, x, h: (recurrent(u, x, h), (u, x, h)), lambda kept, g: (g[0], g, g[0]))  # for rows alone
    assert "reals('m'), reals('n', 'm'), reals('m')" in found_domain(recurrent)[1]


CALLED_BY_ANOTHER = """
import functools
import jax
import jax.numpy as jnp

@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def einsum(eq, x, y):
    return jnp.einsum(eq, x, y)

@einsum.defjvp
def einsum_jvp(eq, xs, dots):
    (x, y), (dx, dy) = xs, dots
    return einsum(eq, x, y), einsum(eq, dx, y) + FACTOR * einsum(eq, x, dy)

def product(x, y):
    return einsum("i,i->", x, y)
"""


@pytest.mark.parametrize(("factor", "exit_code"), [("1", 0), ("2", 1)])
def test_a_rule_that_is_judged_where_it_is_called_is_not_missing(factor, exit_code, tmp_path, monkeypatch):
    (tmp_path / "called.py").write_text(CALLED_BY_ANOTHER.replace("FACTOR", factor))
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["rules", "called.py", "--seconds", "1"])
    assert told.exit_code == exit_code
    assert "judged where it is called: called.py:einsum" in told.output
