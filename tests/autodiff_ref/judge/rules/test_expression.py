"""Calls that are written with domains in the place of their arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff_ref import judge_rule
from autodiff_ref.judge.rules.expression import expression_of
from manual_grad import intervals, reals

FINITE = st.floats(-8, 8, width=32)


def names_of(function):
    return list(function.__signature__.parameters)


@given(FINITE, FINITE)
def test_arguments_stand_where_their_domains_are_written(x, y):
    made = expression_of("jax.numpy.clip(2. * reals(), min=-reals()) + jax.numpy.stack([1., 2.])[1]").function()
    with jax.enable_x64(True):
        assert made(np.float64(x), np.float64(y)) == jnp.maximum(2.0 * x, -y) + 2.0


def test_arguments_have_the_names_of_parameters():
    assert names_of(expression_of("jax.numpy.hypot(reals(), reals())").function()) == ["x1", "x2"]
    assert names_of(expression_of("jax.numpy.quantile(a=reals(n), q=intervals(0, 1))").function()) == ["a", "q"]
    assert names_of(expression_of("jax.numpy.abs(reals()) + jax.numpy.abs(reals())").function()) == ["x", "x1"]


def test_a_plain_call_is_known_from_one_with_options():
    assert expression_of("jax.numpy.quantile(reals(n), intervals(0, 1))").is_plain
    assert not expression_of("jax.numpy.quantile(reals(n), 0.5)").is_plain
    assert expression_of("jax.numpy.quantile(reals(n), intervals(0, 1))").domain == (reals("n"), intervals(0, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jax.numpy.sin(", "is no call"),
        ("jax.numpy.sin(1.)", "holds no domain"),
        ("jax.numpy.sin(reals(0))", "reals"),
    ],
)
def test_what_is_no_such_call_is_answered_by_a_sentence(text, message):
    with pytest.raises(ValueError, match=message):
        expression_of(text)


@pytest.mark.parametrize("text", ["nowhere.f(reals())", "jax.numpy.no_such(reals())"])
def test_what_is_not_there_is_answered_by_a_sentence(text):
    with pytest.raises(ValueError, match="no"):
        expression_of(text).function()


def test_a_module_that_lacks_another_is_not_said_to_be_missing(tmp_path, monkeypatch):
    (tmp_path / "needs_another.py").write_text("import no_such_module_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"needs_another cannot be imported.*no_such_module_at_all"):
        expression_of("needs_another.f(reals())").function()


def test_only_calls_and_literals_are_evaluated():
    for text in (
        "jax.numpy.sin([reals() for x in (1,)])",
        "(lambda: jax.numpy.sin(reals()))()",
        "reals() if 1 else reals()",
    ):
        with pytest.raises(ValueError, match="neither"):
            expression_of(text)


def test_the_program_of_a_finding_writes_the_call():
    report = judge_rule(expression_of("jax.numpy.power(reals(), 0.)").function(), domain=reals())
    (finding,) = report.findings
    assert "f = lambda x1: jax.numpy.power(x1, 0.0)" in finding.snippet
    printed: list[str] = []
    with jax.enable_x64(True):
        program = finding.snippet.replace('jax.config.update("jax_enable_x64", True)', "")
        exec(program, {"print": lambda *words: printed.append(" ".join(map(str, words)))})
    assert "nan" in printed[0]


def test_a_function_hides_the_module_of_its_name(tmp_path, monkeypatch):
    package = tmp_path / "cubes_as_a_package"
    package.mkdir()
    (package / "__init__.py").write_text("from cubes_as_a_package.cube import cube\n")
    (package / "cube.py").write_text("def cube(x):\n    return x**3\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert expression_of("cubes_as_a_package.cube(reals())").function()(2.0) == 8.0
