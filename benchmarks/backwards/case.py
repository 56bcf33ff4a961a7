"""A backward function with its forward, and the same with the mistake that a comment plants in it.

A comment `# wrong: …` stands above the statement in which the mistake is made: the file is read again with what the
comment says in its place. So right and wrong stand side by side, and differ in one statement alone.
"""

import ast
import inspect
import linecache
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from autodiff_ref import assert_backward_agrees, assert_gradients_agree, verify
from autodiff_ref.judge.assertion.undecided import UndecidedError
from manual_grad import Derivation

Function = Callable[..., Any]

FILES = ("layers", "images", "sequences", "losses", "classes", "statistics", "loops", "lines")

MARK = "# wrong: "

FEATURES = {
    "Boolean mask read": r"= [^=\n]*\w\[[^\]\n]*[<>=]=? [^\]\n]*\]|\[~?(mask|seen|positive|active|inactive|small|at_risk)\]",
    "Boolean mask write": r"\w\[[^\]\n]* [<>=]=? ?[^\]\n]*\] ?[-+*/]?= |\[mask\] ?[-+*/]?= |\[~\w+\] ?[-+*/]?= ",
    "range as an index": r"\[range\(",
    "a list as an index": r"\w\[(:, )?\[",
    "np.zeros": r"np\.zeros",
    "np.empty": r"np\.empty",
    "np.array, np.asarray": r"np\.(array|asarray)\(",
    "np.full, np.ones": r"np\.(full|ones)",
    "copy": r"\.copy\(|np\.copy\(",
    "ufunc.at": r"np\.\w+\.at\(",
    "views": r"\.T\b[^\n]*=|\.reshape\([^\n]*\n?[^\n]*=|\w = \w+\[[^\n]*:|\.ravel\(\)|as_strided|diag_indices|swapaxes",
    "out=": r"\bout=",
    "in-place operators": r"[^=<>!\n] [-+*/@]= ",
    "if": r"\bif ",
    "while": r"\bwhile ",
    "int() or len()": r"\b(int|len)\(",
    "sizes read off data": r"\.max\(\) \+ 1|np\.unique|np\.bincount|np\.flatnonzero|np\.nonzero|\blengths\b",
    "scipy.special": r"\b(special|sp|expit|logsumexp|gammaln|digamma|ndtr|log_ndtr|xlogy|softmax)[.(]",
    "np.linalg": r"linalg\.",
    "einsum": r"einsum\(",
    "a class with a cache": r"self\.",
    "loss and gradients": r"return loss, ",
    "a cache": r"\bcache\b",
    "a dict of gradients": r"grads\[|return \{",
}
"""the features of point 1, and where the text of a case shows them"""


@dataclass(frozen=True)
class Case:
    """One backward function, its forward, and an input."""

    name: str
    style: Literal["gradient", "backward", "line"]
    of: Function
    hand: Function
    args: tuple[Any, ...]
    wrt: str | None = None
    domain: Any = None
    text: str = ""

    @property
    def features(self) -> list[str]:
        """What its text shows of `FEATURES`."""
        return [name for name, pattern in FEATURES.items() if re.search(pattern, self.text)]


class Cases(list[Case]):
    """The backward functions of a file, in their order."""

    def gradient(self, of: Function, *args: Any, wrt: str | None = None, uses: tuple[Any, ...] = ()) -> Function:
        """Marks a function as the gradient of `of`."""
        return self._marked("gradient", of, args, wrt, None, uses)

    def backward(self, forward: Function, *args: Any, uses: tuple[Any, ...] = ()) -> Function:
        """Marks a function as the backward pass of `forward`."""
        return self._marked("backward", forward, args, None, None, uses)

    def line(self, of: Function, wrt: str, domain: Any, *args: Any) -> Function:
        """Marks a function as a line of the derivation of ∇of."""
        return self._marked("line", of, args, wrt, domain, ())

    def _marked(self, style: Any, of: Function, args: Any, wrt: Any, domain: Any, uses: tuple[Any, ...]) -> Function:
        def marked(hand: Function) -> Function:
            text = "\n".join(inspect.getsource(each) for each in (of, hand, *uses))
            self.append(Case(hand.__name__, style, of, hand, args, wrt, domain, text))
            return hand

        return marked


@cache
def cases() -> list[Case]:
    """All of them."""
    return [case for file in FILES for case in import_module(f"backwards.{file}").CASES]


def planted(case: Case) -> Case:
    """The same with its mistake.

    Raises:
        ValueError: the text of the case has no mistake, or several.
    """
    path = inspect.getsourcefile(case.hand)
    assert path is not None
    lines = Path(path).read_text().splitlines(keepends=True)
    marked = [k for k, line in enumerate(lines) if line.strip().startswith(MARK) and line in case.text.splitlines(True)]
    if len(marked) != 1:
        raise ValueError(f"{case.name} has {len(marked)} lines that begin with {MARK!r}, and needs one")
    statement = next(
        node for node in ast.walk(ast.parse("".join(lines))) if isinstance(node, ast.stmt) and node.lineno == marked[0] + 2
    )
    inner = getattr(statement, "body", None)
    end = inner[0].lineno - 1 if inner else statement.end_lineno or statement.lineno
    lines[statement.lineno - 1 : end] = [lines[marked[0]].replace(MARK, "", 1), *["\n"] * (end - statement.lineno)]
    text, name = "".join(lines), f"{Path(path).stem}_with_the_mistake_of_{case.name}.py"
    linecache.cache[name] = len(text), None, lines, name
    space: dict[str, Any] = {"__name__": f"backwards.{Path(path).stem}"}
    exec(compile(text, name, "exec"), space)
    wrong = next(other for other in space["CASES"] if other.name == case.name)
    return replace(wrong, text=case.text)


def verdict(case: Case) -> tuple[Literal["right", "wrong", "undecided"], str]:
    """What is said of a case, and the message."""
    try:
        match case.style:
            case "gradient":
                assert_gradients_agree(case.hand, case.of, *_copied(case.args), wrt=case.wrt)
            case "backward":
                assert_backward_agrees(case.of, case.hand, *_copied(case.args))
            case _:
                report = verify(
                    Derivation(case.name, case.of, case.wrt, case.domain, [case.hand]),
                    prove=False, floats=False, suspects=False, examples=16,
                )  # fmt: skip
                return ("right" if report.ok else "wrong" if report.first_wrong_line else "undecided"), str(report)
    except AssertionError as error:
        return "wrong", str(error)
    except (UndecidedError, TypeError, ValueError, NotImplementedError) as error:
        return "undecided", f"{type(error).__name__}: {error}"
    return "right", ""


def off_by_differences(case: Case) -> float:
    """How far the gradient is from central differences of its forward, as a share of the largest entry."""
    rng = np.random.default_rng(7)
    args = list(_copied(case.args))
    if case.style == "backward":
        outs, _ = _outputs(case.of(*_copied(args)))
        upstream = [rng.standard_normal(np.shape(out)) for out in outs]
        returned = case.hand(*upstream, *([_cache(case.of, args)] if _has_cache(case.of, args) else _copied(args)))
        total = lambda *a: sum(np.sum(o * d) for o, d in zip(_outputs(case.of(*_copied(a)))[0], upstream, strict=True))  # noqa: E731
        floats = [k for k, arg in enumerate(args) if _is_float(arg)]
        names = list(inspect.signature(case.of).parameters)
        if isinstance(returned, dict):
            by = {
                names.index(key if key in names else key.removeprefix("d").removeprefix("_")): v
                for key, v in returned.items()
            }
        else:
            parts = returned if isinstance(returned, tuple | list) else [returned]
            by = {k: part for k, part in zip(floats, parts, strict=False) if part is not None}
    else:
        returned = case.hand(*_copied(args))
        names = list(inspect.signature(case.of).parameters)
        if isinstance(returned, tuple) and len(returned) == 2 and np.ndim(returned[0]) == 0 and not _is_scalar(args, case):
            returned = returned[1]
        total = lambda *a: float(np.sum(_loss(case.of(*_copied(a)))))  # noqa: E731
        by = {names.index(case.wrt) if case.wrt else 0: returned}
    worst = 0.0
    for k, gradient in by.items():
        for mine, differences in _differences(total, args, k, gradient):
            if np.shape(mine) != np.shape(differences):
                return np.inf
            scale = max(1e-3, float(np.max(np.abs(differences), initial=0.0)))
            worst = max(worst, float(np.max(np.abs(mine - differences), initial=0.0)) / scale)
    return worst


def _differences(total: Function, args: list[Any], k: int, gradient: Any) -> list[tuple[Any, Any]]:
    if isinstance(args[k], dict):
        keys = list(args[k])
        return [
            pair
            for key in keys
            for pair in _differences(
                lambda *a, key=key: total(*args[:k], {**args[k], key: a[0]}, *args[k + 1 :]),
                [args[k][key]], 0, gradient[key],
            )
        ]  # fmt: skip
    if isinstance(args[k], tuple | list):
        return [
            pair
            for j in range(len(args[k]))
            for pair in _differences(
                lambda *a, j=j: total(*args[:k], type(args[k])([*args[k][:j], a[0], *args[k][j + 1 :]]), *args[k + 1 :]),
                [args[k][j]], 0, gradient[j],
            )
        ]  # fmt: skip
    at = np.asarray(args[k], dtype=np.float64)
    found = np.zeros_like(at)
    for index in np.ndindex(*at.shape):
        for sign in (1, -1):
            moved = at.copy()
            moved[index] += sign * 1e-6
            found[index] += sign * total(*args[:k], moved if at.ndim else float(moved), *args[k + 1 :]) / 2e-6
    return [(np.asarray(gradient, dtype=np.float64), found)]


def _copied(args: Any) -> Any:
    if isinstance(args, dict):
        return {key: _copied(value) for key, value in args.items()}
    if isinstance(args, tuple | list):
        return type(args)(_copied(value) for value in args)
    return args.copy() if isinstance(args, np.ndarray) else args


def _is_scalar(args: Any, case: Case) -> bool:
    return isinstance(args[0], tuple | list) and len(args[0]) == 2


def _loss(returned: Any) -> Any:
    return returned[0] if isinstance(returned, tuple) else returned


def _outputs(returned: Any) -> tuple[list[Any], Any]:
    return (list(returned[:-1]), returned[-1]) if isinstance(returned, tuple) else ([returned], None)


def _has_cache(forward: Function, args: Any) -> bool:
    return isinstance(forward(*_copied(args)), tuple)


def _cache(forward: Function, args: Any) -> Any:
    return forward(*_copied(args))[-1]


def _is_float(arg: Any) -> bool:
    return isinstance(arg, float) or (isinstance(arg, np.ndarray) and arg.dtype.kind == "f")
