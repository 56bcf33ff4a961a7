"""Every example in a docstring or in the README is run, and the number of them is known."""

import doctest
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.floats.table import FLOATS
from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.symbols.table import SYMBOLS

ROOT = Path(__file__).parents[1]
PACKAGES = ("manual_grad", "autodiff_ref")
# Importing a program's entry point runs it
PROGRAMS = ("__main__",)
NEEDING_TORCH = ("autodiff_ref.torch", "autodiff_ref.judge.torch_code")
"""tested in an environment of their own, which has PyTorch"""


def modules() -> list[str]:
    found = list(PACKAGES)
    for package in PACKAGES:
        paths = importlib.import_module(package).__path__
        found += [module.name for module in pkgutil.walk_packages(paths, prefix=f"{package}.", onerror=lambda _: None)]
    if importlib.util.find_spec("torch") is None:
        found = [name for name in found if not name.startswith(NEEDING_TORCH)]
    return [name for name in found if name.rpartition(".")[2] not in PROGRAMS]


def examples_of(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


def run(test: doctest.DocTest) -> tuple[int, str]:
    """(failures, what doctest says about them)"""
    said: list[str] = []
    return doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed, "".join(said)


@pytest.mark.parametrize("name", modules())
def test_the_docstring_examples_of_a_module_give_what_they_say(name: str, monkeypatch: pytest.MonkeyPatch):
    for table in (BALLS, FLOATS, SYMBOLS):  # the example of `register` is not for the other tests
        monkeypatch.setattr(table, "rules", dict(table.rules))
    monkeypatch.setattr("autodiff_ref.judge.register.FUNCTIONS", dict(FUNCTIONS))
    for test in examples_of(importlib.import_module(name)):
        failed, said = run(test)
        assert not failed, said


def test_every_function_that_is_exported_by_manual_grad_has_an_example():
    """A kind of domain shares the one of the function that makes it."""
    import manual_grad

    owners = {test.name for name in modules() for test in examples_of(importlib.import_module(name))}
    of_kinds = {name for name in manual_grad.domains.__all__ if not name.islower() and name != "Domain"}
    exported = {name: getattr(manual_grad, name) for name in manual_grad.__all__ if name not in of_kinds}
    functions = {f"{f.__module__}.{f.__name__}" for f in exported.values() if callable(f) and "line_" not in f.__name__}
    assert len(functions) >= 40
    assert functions <= owners


def test_no_example_is_lost():
    """`>>>` outside a docstring that doctest collects would look like an example and never run."""
    collected = sum(len(test.examples) for name in modules() for test in examples_of(importlib.import_module(name)))
    sources = [Path(importlib.import_module(name).__file__ or "").read_text(encoding="utf-8") for name in modules()]
    written = sum(len(re.findall(r"^\s*>>> ", source, flags=re.MULTILINE)) for source in sources)
    assert collected == written
    assert collected >= 35


def test_a_wrong_example_is_noticed():
    def wrong() -> None:
        """
        >>> 1 + 1
        3
        """

    (test,) = [t for t in doctest.DocTestFinder().find(wrong, "wrong", globs={}) if t.examples]
    failed, said = run(test)
    assert failed == 1
    assert "Expected:\n    3" in said


def python_blocks(markdown: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", markdown, flags=re.MULTILINE | re.DOTALL)


def test_the_python_blocks_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In order, in one namespace, in an empty directory; prompts are checked against the output that stands below them."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    for number, block in enumerate(python_blocks((ROOT / "README.md").read_text(encoding="utf-8"))):
        if ">>> " in block:
            test = doctest.DocTestParser().get_doctest(block, namespace, f"README block {number}", "README.md", 0)
            runner = doctest.DocTestRunner(verbose=False)
            said: list[str] = []
            assert runner.run(test, out=said.append, clear_globs=False).failed == 0, "".join(said)
            namespace.update(test.globs)
        else:
            exec(compile(block, f"README block {number}", "exec"), namespace)


def test_python_blocks_are_found_in_markdown():
    assert python_blocks("a\n```python\nx = 1\n```\n```\nno\n```\n```python\ny = 2\n```\n") == ["x = 1\n", "y = 2\n"]
