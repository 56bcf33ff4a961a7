"""Functions of PyTorch with a backward of their own, right and wrong: our verdict, seconds, and torch's gradcheck beside it.

`python benchmarks/torch_functions.py` prints a row for each function and dtype, and sums; with `--json` numbers. It needs
the extra `torch`. In each right one a factor of 1 + 1e-5 is planted as well. Of entmax, timm and gpytorch those that are
installed are judged too, and those that are not are said.
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
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from autodiff_ref.torch import judge
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


@dataclass(frozen=True)
class Row:
    """What was found."""

    name: str
    dtype: str
    right: bool
    verdict: str
    seconds: float
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


INSTALLED = {
    "entmax": [
        ("entmax.activations", "SparsemaxFunction", lambda f, x: f(x, -1)),
        ("entmax.activations", "Entmax15Function", lambda f, x: f(x, -1)),
    ],
    "timm": [
        ("timm.layers.activations_me", "SwishAutoFn", lambda f, x: f(x)),
        ("timm.layers.activations_me", "MishAutoFn", lambda f, x: f(x)),
    ],
    "gpytorch": [
        (
            "gpytorch.functions.rbf_covariance",
            "RBFCovariance",
            lambda f, x: f(x, x, torch.ones(1, 1, dtype=x.dtype), lambda a, b: ((a[:, None] - b[None]) ** 2).sum(-1)),
        )
    ],
}
"""package: (module, Function, how it is called)"""


def installed(dtype: torch.dtype) -> list[Case]:
    """Functions of packages, where these are installed."""
    x, found = torch.tensor([[0.3, -0.75, 1.5], [2.0, 0.125, -1.0]], dtype=dtype), list[Case]()
    for package, functions in INSTALLED.items():
        if find_spec(package) is None:
            print(f"{package}: not installed", file=sys.stderr)
            continue
        for module, name, call in functions:
            f = getattr(import_module(module), name, None)
            if f is None:
                print(f"{module}.{name}: not there in this version", file=sys.stderr)
                continue
            found.append(
                Case(
                    f"{package} {name}", lambda x, f=f, call=call: call(f.apply, x), (x.clone().requires_grad_(),), True, {}
                )
            )
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
    start = time.perf_counter()
    verdict = judge(case.apply, case.inputs, **case.options).verdict
    seconds = time.perf_counter() - start
    return Row(
        case.name,
        str(dtype).removeprefix("torch."),
        case.right,
        verdict,
        round(seconds, 3),
        by_torch(case),
        planted(case) if case.right else "",
    )


def main() -> None:
    """Prints the rows and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="the rows as JSON")
    as_json = parser.parse_args().json
    rows = [measured(case, dtype) for dtype in (torch.float64, torch.float32) for case in [*own(dtype), *installed(dtype)]]
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    for row in rows:
        truth = "right" if row.right else "wrong"
        print(
            f"{row.name:32} {row.dtype:8} {truth:6} {row.verdict:10} {row.seconds:6.2f} s  {row.gradcheck:8} {row.planted}"
        )
    right = [row for row in rows if row.right]
    wrong = [row for row in rows if not row.right]
    print(f"right called WRONG: {sum(row.verdict == 'WRONG' for row in right)} of {len(right)}")
    print(f"right, verdict right: {sum(row.verdict == 'right' for row in right)} of {len(right)}")
    print(f"wrong passed: {sum(row.verdict == 'right' for row in wrong)} of {len(wrong)}")
    print(f"wrong called WRONG: {sum(row.verdict == 'WRONG' for row in wrong)} of {len(wrong)}")
    print(f"a factor of 1 + 1e-5 seen: {sum(row.planted == 'WRONG' for row in right)} of {len(right)}")
    for dtype in ("float64", "float32"):
        print(
            f"torch's gradcheck, {dtype}: wrong passed {sum(r.gradcheck == 'passes' for r in wrong if r.dtype == dtype)}, "
            f"right refused {sum(r.gradcheck == 'refuses' for r in right if r.dtype == dtype)}"
        )
    print(f"median {median(row.seconds for row in rows):.2f} s")


if __name__ == "__main__":
    main()
