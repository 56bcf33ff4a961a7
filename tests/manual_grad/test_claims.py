"""What a line claims besides its formula: a mark is on a copy, composes, and reads well."""

import inspect
import math
import pickle
from functools import partial, update_wrapper
from typing import Any

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_grad import Within, holds_when, within
from manual_grad.claims import condition_text, label_of, original_of

pytestmark = pytest.mark.rounding


def line_2(z: Any, nabla: Any, *, scale: float = 2.0) -> Any:
    """2 z"""
    return scale * z


positive = holds_when(lambda z: z > 0)


@positive
def decorated(z: Any, nabla: Any) -> Any:
    """z, for z > 0"""
    return z


class Lines:
    """A line may be a method, or an object that can be called."""

    def method(self, z: Any, nabla: Any) -> Any:
        """2 z"""
        return 2 * z

    def __call__(self, z: Any, nabla: Any) -> Any:
        return 2 * z


def made(factor: float) -> Any:
    def closure(z: Any, nabla: Any) -> Any:
        return factor * z

    return closure


KINDS = {
    "function": line_2,
    "closure": made(2.0),
    "lambda": lambda z, nabla: 2 * z,
    "partial": partial(line_2, scale=2.0),
    "method": Lines().method,
    "object": Lines(),
    "compiled": jax.jit(lambda z, nabla: 2 * z),
    "built in": max,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mark", [holds_when(bool), within(ulps=4)])
def test_a_mark_is_on_a_copy_and_the_line_stays_what_it_was(kind: str, mark: Any) -> None:
    line = KINDS[kind]
    marked = mark(line)
    assert marked is not line
    assert (hasattr(marked, "valid"), hasattr(marked, "within")) != (False, False)
    assert (hasattr(line, "valid"), hasattr(line, "within")) == (False, False)
    assert label_of(marked) == label_of(line)
    if kind != "built in":
        assert marked(3.0, None) == 6.0
        assert inspect.signature(marked) == inspect.signature(line)
    assert inspect.getdoc(marked) == inspect.getdoc(line) or kind == "object"


def test_a_copy_keeps_what_the_function_has() -> None:
    def line(z: Any, nabla: Any = None, *, scale: float = 2.0) -> Any:
        """2 z"""
        return scale * z

    line.own = "kept"  # pyright: ignore[reportFunctionMemberAccess]
    marked = holds_when(lambda z: z > 0)(line)
    assert (marked.valid(1.0), marked.valid(-1.0)) == (True, False)
    assert (marked.own, marked.__doc__, marked.__module__) == ("kept", "2 z", __name__)
    assert marked.__qualname__ == line.__qualname__
    assert marked.__annotations__ == line.__annotations__
    assert marked.__kwdefaults__ == {"scale": 2.0}
    assert marked.__wrapped__ is line
    assert inspect.getsource(marked) == inspect.getsource(line)
    assert marked(3.0) == 6.0


def test_what_is_marked_by_hand_stays_marked() -> None:
    def line(z: Any, nabla: Any) -> Any:
        return z

    line.valid = bool  # pyright: ignore[reportFunctionMemberAccess]
    assert within(ulps=2)(line).valid is bool


def test_a_decorated_line_of_a_module_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(decorated)) is decorated


def test_marks_compose_in_either_order() -> None:
    first, second = holds_when(bool), within(relative=1e-9)
    for marked in (first(second(line_2)), second(first(line_2))):
        assert marked.valid is bool
        assert marked.within == Within(relative=1e-9)
        assert original_of(marked) is line_2
    again = within(ulps=1)(within(ulps=3)(line_2))
    assert again.within == Within(ulps=1)


def test_another_function_behind_a_wrapper_is_not_the_original() -> None:
    def doubled(z: Any, nabla: Any) -> Any:
        return 2 * line_2(z, nabla)

    update_wrapper(doubled, line_2)
    assert original_of(doubled) is doubled
    assert original_of(holds_when(bool)(doubled)) is doubled


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_within_takes_one_number_above_0(number: float) -> None:
    assert within(ulps=number)(line_2).within == Within(ulps=number, relative=None)
    assert within(relative=number)(line_2).within == Within(ulps=None, relative=number)
    with pytest.raises(ValueError, match="either ulps or relative"):
        within(ulps=number, relative=number)


@pytest.mark.parametrize("bad", [0, 0.0, -1, -1e-9, math.inf, math.nan])
@pytest.mark.parametrize("name", ["ulps", "relative"])
def test_within_refuses_what_is_no_number_above_0(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match=f"within: {name} is a finite number above 0"):
        within(**{name: bad})
    with pytest.raises(ValueError, match="either ulps or relative"):
        within()
    with pytest.raises(TypeError, match=f"within: {name} is a number, got '4'"):
        within(**{name: "4"})  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="is a number, got True"):
        within(**{name: True})


def test_within_without_a_name_is_told_how_it_is_written() -> None:
    spelled = r"write @within\(ulps=4\) or @within\(relative=1e-3\)"
    with pytest.raises(TypeError, match=rf"^within takes ulps=… or relative=…, got `line_2` alone: {spelled} above it$"):
        within(line_2)
    for given_alone in (4, Within(ulps=4), "4"):
        with pytest.raises(TypeError, match=rf", got .*4.* alone: {spelled}$"):
            within(given_alone)


def test_within_reads_well() -> None:
    assert str(Within(ulps=4)) == "within 4 ulps"
    assert str(Within(relative=1e-9)) == "within a relative error of 1e-09"


def test_marks_refuse_what_is_no_function() -> None:
    with pytest.raises(
        TypeError, match="holds_when takes a function of the derivation's arguments, got 3: write @holds_when"
    ):
        holds_when(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="a line must be a function, got '2 z'"):
        holds_when(bool)("2 z")  # pyright: ignore[reportArgumentType]


# How a condition reads


def far_out(z: Any) -> bool:
    """|z| > 100."""
    return abs(z) > 100


def near(z: Any) -> bool:
    return abs(z) < 1


both = (holds_when(lambda z: z > 0)(line_2), holds_when(lambda z: z < 0)(line_2))


def test_a_condition_is_printed_as_its_source_has_it() -> None:
    assert condition_text(None) == condition_text(line_2) == ""
    assert condition_text(decorated) == "z > 0"
    assert [condition_text(line) for line in both] == ["z > 0", "z < 0"]
    inner = (lambda limit: lambda z: z > limit)(2.0)
    assert condition_text(holds_when(inner)(line_2)) == "z > limit"
    several = holds_when(
        lambda z: (
            z > 0  # the logarithm
            and z < 1
        )
    )(line_2)
    assert condition_text(several) == "z > 0 and z < 1"
    assert condition_text(holds_when(lambda z: "σ(z) is not 0, so that 1/σ(z) is a number" and z > 0)(line_2)).startswith(
        '"σ(z)'
    )


def test_a_condition_with_a_name_is_printed_by_it() -> None:
    assert condition_text(holds_when(far_out)(line_2)) == "far_out (|z| > 100)"
    assert condition_text(holds_when(near)(line_2)) == "near"
    assert condition_text(holds_when(partial(near))(line_2)) == "near"
    assert condition_text(holds_when(bool)(line_2)) == "bool"


def test_a_condition_without_source_is_named_by_its_arguments() -> None:
    typed = eval("lambda w, z: z > 0")
    assert condition_text(holds_when(typed)(line_2)) == "a condition on w, z"


def test_a_long_condition_is_cut() -> None:
    marked = holds_when(lambda z: z > 1111111111111111 or z < -2222222222222222 or z == 3333333333333333 or z == 444444444)(
        line_2
    )
    text = condition_text(marked)
    assert len(text) == 80
    assert text.endswith("…")
