"""The way of an input's values from `verify` to a verdict visits few files: those that docs/extending.md lists."""

import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import jax.numpy as jnp

import autodiff_ref
from autodiff_ref import verify
from autodiff_ref.judge.inputs import draw_inputs
from manual_grad import Derivation, reals

PACKAGE = Path(autodiff_ref.__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "extending.md"


def squared_length(x: Any) -> Any:
    return jnp.sum(x * x)


def twice(x: Any, nabla: Any) -> Any:
    return 2 * x


def sum_of_two(x: Any, nabla: Any) -> Any:
    return x + x


def files_that_judge_a_line() -> set[str]:
    """The files in which something is called while two lines are judged, one against JAX's gradient."""
    derivation = Derivation("∇ x·x", squared_length, "x", (reals("n"),), [twice, sum_of_two])
    inputs = draw_inputs(derivation, seed=0, at_least=8)
    found, inside = set[str](), list[FrameType]()

    def watch(frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if event == "call":
            if code.co_qualname == "_Judged._found":
                inside.append(frame)
            if inside and (path := Path(code.co_filename)).is_relative_to(PACKAGE):
                found.add(path.relative_to(PACKAGE).as_posix().removeprefix("judge/"))
        elif event == "return" and inside and inside[-1] is frame:
            inside.pop()

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        report = verify(derivation, inputs=inputs, prove=False)
    finally:
        sys.setprofile(before)
    assert [line.verdict for line in report.lines] == ["agrees", "agrees"]
    return found


def test_the_files_that_judge_a_line_are_those_that_the_page_lists() -> None:
    listed = re.findall(r"^\| `([\w/]+\.py)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    visited = files_that_judge_a_line()
    assert visited == set(listed)
    assert len(visited) <= 12
