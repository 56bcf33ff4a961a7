"""Functions of PyTorch with a backward of their own, right and wrong: our verdict, seconds, and torch's gradcheck beside it.

`python benchmarks/torch_functions.py` prints a row for each function and dtype, and sums; with `--json` numbers. It needs
the extra `torch`. In each right one a factor of 1 + 1e-5 is planted as well. `--installed` judges the Functions of packages
instead, those of `torch_installed.py` whose packages are there, and `--markdown` prints a table.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from autodiff_ref.torch import judge
from benchmarks.torch_installed import FUNCTIONS, Installed, loaded, packages, tensors
from tests.torch import functions as made

PLANTED = 1 + 1e-5


@dataclass(frozen=True)
class Case:
    """One function at one input."""

    name: str
    apply: Callable[..., Any]
    inputs: tuple[Any, ...]
    right: bool
    options: dict[str, Any]
    truth: str = ""

    @property
    def known(self) -> str:
        """What is known of it: right, wrong, or what else it is meant to be."""
        return self.truth or ("right" if self.right else "wrong")


@dataclass(frozen=True)
class Row:
    """What was found."""

    name: str
    dtype: str
    right: bool
    known: str
    verdict: str
    seconds: float
    """of a processor, for all that is tried"""
    gradcheck: str
    planted: str


def smooth(name: str, f: Callable[..., Any], slope: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """A function entry by entry: right, with a wrong sign, a missing term and a cotangent that is not used."""
    return [
        (name, made.function(f, lambda g, x: g * slope(x), name), True),
        (f"{name}, sign", made.function(f, lambda g, x: -g * slope(x), name), False),
        (f"{name}, a half", made.function(f, lambda g, x: g * slope(x) / 2, name), False),
        (f"{name}, no cotangent", made.function(f, lambda g, x: slope(x) + 0 * g, name), False),
    ]


def _s(x: Any) -> Any:
    return torch.sigmoid(x)


ENTRYWISE = [
    ("swish", lambda x: x * _s(x), lambda x: _s(x) * (1 + x * (1 - _s(x)))),
    ("softplus", lambda x: torch.log1p(torch.exp(x)), _s),
    ("log-sigmoid", lambda x: -torch.log1p(torch.exp(-x)), lambda x: _s(-x)),
    ("square", lambda x: x * x, lambda x: 2 * x),
    ("cube", lambda x: x**3, lambda x: 3 * x**2),
    ("tanh", torch.tanh, lambda x: 1 - torch.tanh(x) ** 2),
    ("sine", torch.sin, torch.cos),
    ("exponential", torch.exp, torch.exp),
    ("ReLU", lambda x: x.clamp(min=0), lambda x: (x > 0).to(x.dtype)),
    ("absolute value", torch.abs, torch.sign),
    ("reciprocal", lambda x: 1 / x, lambda x: -1 / x**2),
    ("arctangent", torch.atan, lambda x: 1 / (1 + x * x)),
    ("radial basis", lambda x: torch.exp(-x * x), lambda x: -2 * x * torch.exp(-x * x)),
]


def own(dtype: torch.dtype) -> list[Case]:
    """Functions of our own."""
    x = torch.tensor([[0.3, -0.75, 1.5], [2.0, 0.125, -1.0]], dtype=dtype)
    cases = [
        Case(name, f.apply, (x.clone().requires_grad_(),), right, {}) for row in ENTRYWISE for name, f, right in smooth(*row)
    ]

    def given(values: Any, fixed: bool = False) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype, requires_grad=not fixed)

    edges = torch.tensor([[0, 0], [1, 1]])
    rows = [[[0.5, 0.25, 0.0]], [[2.0, 0.0, 0.0]]]
    bands = (given([1.0, 2.0]), given([0.5, -1.0]), given([0.75, 0.25], True))
    more = [
        ("edges, twice", made.EdgeLoss, (given([[0.0, 0.0]]), edges), False, {}),
        ("edges, added", made.EdgeLossAdded, (given([[0.0, 0.0]]), edges), True, {}),
        ("two bands, frozen", made.TwoBands, bands, False, {}),
        ("two bands", made.TwoBandsEach, bands, True, {}),
        ("squared hinge, no cotangent", made.SquaredHinge, (given([0.0, 0.5]), given([1.0, -1.0], True)), False, {}),
        ("squared hinge", made.SquaredHingeScaled, (given([0.0, 0.5]), given([1.0, -1.0], True)), True, {}),
        ("sparsemax, squeezed", made.SparsemaxSqueezed, (given(rows),), False, {}),
        ("sparsemax", made.Sparsemax, (given(rows),), True, {}),
        ("spike, k lost", made.SpikeWithoutFactor, (given([0.25, -0.5]), 3.0), False, {"of": made.soft_spike}),
        ("spike", made.Spike, (given([0.25, -0.5]), 3.0), True, {"of": made.soft_spike, "within": 1e-12}),
    ]
    return cases + [Case(name, f.apply, inputs, right, options) for name, f, inputs, right, options in more]


def installed(dtype: torch.dtype) -> list[Case]:
    """Functions of packages, where these are installed."""
    found = list[Case]()
    for row in FUNCTIONS:
        if find_spec(row.package) is None:
            continue
        function = getattr(loaded(row), row.name).apply

        def apply(*args: Any, row: Installed = row, function: Callable[..., Any] = function) -> Any:
            return row.call(function, *args)

        apply.__name__ = row.name
        options: dict[str, Any] = {} if row.within is None else {"within": row.within}
        if row.of is not None:
            options["of"] = row.of(import_module(row.package))
        found.append(Case(row.label, apply, tensors(row, dtype), row.truth == "right", options, row.truth))
    return found


def planted(case: Case) -> str:
    """The verdict with the factor planted on the gradient by the first input."""
    factor = made.function(lambda x: x * 1, lambda g, _: g * PLANTED, "Planted")
    options = dict(case.options)
    of = options.get("of")
    if of is not None:
        options["of"] = of
    return judge(lambda x, *more: case.apply(factor.apply(x), *more), case.inputs, beside=False, **options).verdict


def by_torch(case: Case) -> str:
    """What torch's gradcheck says at its defaults."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "passes" if torch.autograd.gradcheck(case.apply, case.inputs) else "refuses"
    except Exception:
        return "refuses"


def measured(case: Case, dtype: torch.dtype) -> Row:
    """One row."""
    start = time.process_time()  # of a processor: what else the machine does is not counted
    verdict = judge(case.apply, case.inputs, **case.options).verdict
    seconds = time.process_time() - start
    return Row(
        case.name,
        str(dtype).removeprefix("torch."),
        case.right,
        case.known,
        verdict,
        round(seconds, 3),
        by_torch(case),
        planted(case) if case.right else "",
    )


def table(rows: list[Row]) -> str:
    """The rows in Markdown, one for both dtypes."""
    lines = [
        "| Function | is | verdict | s | torch's gradcheck, float64, float32 | 1 + 1e-5 |",
        "|---|---|---|---:|---|---|",
    ]
    order = sorted(rows, key=lambda row: [r.name for r in rows].index(row.name))
    for name, of_name in groupby(order, key=lambda row: row.name):
        both = list(of_name)
        verdicts = " / ".join(dict.fromkeys(row.verdict for row in both))
        seen = " / ".join(dict.fromkeys("seen" if row.planted == "WRONG" else row.planted for row in both))
        checks = ", ".join(row.gradcheck for row in both)
        lines.append(
            f"| {name} | {both[0].known} | {verdicts} | {max(row.seconds for row in both):.1f} | {checks} | {seen} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Prints the rows and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="the rows as JSON")
    parser.add_argument("--installed", action="store_true", help="the functions of packages instead of our own")
    parser.add_argument("--markdown", action="store_true", help="a table")
    given = parser.parse_args()
    cases = installed if given.installed else own
    rows = [measured(case, dtype) for dtype in (torch.float64, torch.float32) for case in cases(dtype)]
    if given.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    if given.installed:
        print(", ".join(packages()))
    if given.markdown:
        print(table(rows))
    for row in [] if given.markdown else rows:
        cells = f"{row.name:48} {row.dtype:8} {row.known:8} {row.verdict:10}"
        print(f"{cells} {row.seconds:6.2f} s  {row.gradcheck:8} {row.planted}")
    right = [row for row in rows if row.right]
    wrong = [row for row in rows if not row.right]
    decided = [row for row in right if row.verdict == "right"]
    print(f"right called WRONG: {sum(row.verdict == 'WRONG' for row in right)} of {len(right)}")
    print(f"right, verdict right: {len(decided)} of {len(right)}")
    print(f"wrong passed: {sum(row.verdict == 'right' for row in wrong)} of {len(wrong)}")
    print(f"wrong called WRONG: {sum(row.verdict == 'WRONG' for row in wrong)} of {len(wrong)}")
    print(f"a factor of 1 + 1e-5 seen: {sum(row.planted == 'WRONG' for row in decided)} of {len(decided)}")
    for dtype in ("float64", "float32"):
        print(
            f"torch's gradcheck, {dtype}: wrong passed {sum(r.gradcheck == 'passes' for r in wrong if r.dtype == dtype)}, "
            f"right refused {sum(r.gradcheck == 'refuses' for r in right if r.dtype == dtype)}"
        )
    print(f"median {median(row.seconds for row in rows):.2f} s")


if __name__ == "__main__":
    main()
