"""Derivations of other kinds, and broken versions of each: the judge finds what was planted, and nothing else."""

import functools
import runpy
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import autodiff_ref
from autodiff_ref.verify import verify
from manual_grad import Derivation
from tests.combinations import exploring
from tests.derivations import MODULES, chain
from tests.derivations._draw import drawn, drawn_sizes
from tests.derivations._few import few_inputs
from tests.derivations._traces import traces

OTHERS = [module for module in MODULES if module is not chain]
"""test_chain.py has the chain"""


def name_of(module: Any) -> str:
    return module.__name__.rpartition(".")[2]


DERIVATIONS = [
    pytest.param(value, id=f"{name_of(module)}-{name}")
    for module in OTHERS
    for name, value in vars(module).items()
    if isinstance(value, Derivation)
]
BROKEN = [
    pytest.param(derivation, label, id=f"{name_of(module)}-{label}-{derivation.name.rpartition(', ')[2]}")
    for module in OTHERS
    for derivation, label in module.BROKEN
]


def with_all_mistakes(derivation: Derivation, module: Any) -> tuple[Derivation, set[str]]:
    """A derivation with every mistake of its module, each above the line that it stands for, and the mistakes' labels."""
    above: dict[str, list[Any]] = {}
    for broken, label in module.BROKEN:
        if (broken.of, broken.wrt) == (derivation.of, derivation.wrt) and broken.labels == derivation.labels:
            wrong = functools.partial(broken.lines[broken.labels.index(label)])
            wrong.__name__ = f"{label}: {broken.name.rpartition(', ')[2]}"  # type: ignore[attr-defined]
            above.setdefault(label, []).append(wrong)
    lines = [
        each
        for label, line in zip(derivation.labels, derivation.lines, strict=True)
        for each in (*above.get(label, ()), line)
    ]
    return derivation.with_lines(*lines), {wrong.__name__ for wrongs in above.values() for wrong in wrongs}


WITH_MISTAKES = [
    pytest.param(*planted, id=f"{name_of(module)}-{name}")
    for module in OTHERS
    for name, value in vars(module).items()
    if isinstance(value, Derivation) and (planted := with_all_mistakes(value, module))[1]
]


def first_of_each_module(cases: list[Any]) -> list[Any]:
    """These cases, those of a module but its first marked `explore`: all of them stand in the test with every mistake."""
    seen: set[str] = set()
    marked = []
    for case in cases:
        module = case.id.partition("-")[0]
        marked.append(pytest.param(*case.values, id=case.id, marks=pytest.mark.explore if module in seen else ()))
        seen.add(module)
    return marked


EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.py"))
DRAWS = 4


def wrong_lines(derivation: Derivation, seed: int) -> set[str]:
    """The lines that differ from JAX's gradient in floats, on any of a few inputs of one shape."""
    rng = np.random.default_rng(seed)
    nabla = autodiff_ref.nabla(derivation.wrt)

    @jax.jit
    def evaluated(*args: Any) -> list[Any]:
        values = [nabla(derivation.of)(*args), *(line(*args, nabla=nabla) for line in derivation.lines)]
        return [jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(value)]) for value in values]

    wrong: set[str] = set()
    sizes = drawn_sizes(derivation, rng)
    with jax.enable_x64(True):
        for _ in range(DRAWS):
            args = drawn(derivation, sizes, rng)
            gradient, *values = map(np.asarray, evaluated(*args))
            assert np.all(np.isfinite(gradient)), derivation.name
            size = 1 + np.max(np.abs(gradient))
            for line, value in zip(derivation.lines, values, strict=True):
                holds = np.all(getattr(line, "valid", lambda *_: True)(*args))
                if holds and not np.allclose(value, gradient, rtol=1e-10, atol=1e-10 * size):
                    wrong.add(line.__name__)
    return wrong


@pytest.mark.explore
@pytest.mark.parametrize(("planted", "mistakes"), first_of_each_module(WITH_MISTAKES))
def test_mistakes_alone_differ_from_jax_in_floats(planted: Derivation, mistakes: set[str]) -> None:
    assert wrong_lines(planted, seed=3) == mistakes, planted.name


@pytest.mark.parametrize(("planted", "mistakes"), WITH_MISTAKES)
def test_the_judge_names_every_mistake_and_no_other_line(planted: Derivation, mistakes: set[str]) -> None:
    report = verify(
        planted,
        inputs=few_inputs(planted),
        shrink=False,
        traces=traces(planted),
        suspects=False,
        floats=False,
        prove=False,
    )
    assert report.reference_is_right, str(report)
    assert {line.label for line in report.lines if line.verdict == "refuted"} == mistakes, str(report)
    assert all(line.verdict in ("agrees", "within") for line in report.lines if line.label not in mistakes), str(report)


@pytest.mark.parametrize("derivation", first_of_each_module(DERIVATIONS))
def test_the_judge_finds_every_line_right(derivation: Derivation) -> None:
    report = verify(derivation, inputs=few_inputs(derivation), traces=traces(derivation), floats=False)
    assert report.ok, str(report)


@pytest.mark.explore
@pytest.mark.parametrize(("derivation", "label"), BROKEN)
def test_the_judge_names_the_broken_line_and_no_other(derivation: Derivation, label: str) -> None:
    report = verify(derivation, shrink=False, traces=traces(derivation), suspects=False, floats=False)
    assert report.reference_is_right, str(report)
    assert {line.label for line in report.lines if line.verdict not in ("proved", "agrees", "within")} == {label}, str(
        report
    )
    assert report.first_wrong_line == label, str(report)


def test_there_are_examples_to_copy() -> None:
    assert len(EXAMPLES) >= 3, EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_judge_finds_the_examples_right(path: Path) -> None:
    derivations = [value for value in runpy.run_path(str(path)).values() if isinstance(value, Derivation)]
    assert derivations, f"{path.name} defines no derivation"
    for derivation in derivations:
        report = verify(derivation, prove=exploring())  # softmax alone takes the prover 11 s
        assert report.ok, str(report)


def test_each_derivation_is_broken_in_three_ways() -> None:
    assert len(MODULES) >= 9
    for module in MODULES:
        assert len(module.BROKEN) >= 3, module.__name__
        assert len({derivation.name for derivation, _ in module.BROKEN}) == len(module.BROKEN), module.__name__


def test_every_derivation_and_every_mistake_is_judged() -> None:
    assert [parameter.id for parameter in WITH_MISTAKES] == [parameter.id for parameter in DERIVATIONS]
    assert sum(len(parameter.values[1]) for parameter in WITH_MISTAKES) == len(BROKEN)


def test_lines_have_equations() -> None:
    for parameter in DERIVATIONS:
        for line in parameter.values[0].lines:
            assert line.__doc__, line.__name__
