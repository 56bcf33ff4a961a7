"""Gradient checkers on one set of right and wrong gradients: what each passes, refuses and names, and how fast it is.

`python benchmarks/checkers.py` prints a table, with `--json` the numbers; `--family sin|net|notes` and `--only NAME` run
a part. `--seconds` bounds each checker: it is run on all sines and then on a random sample of the others. Each has its own
defaults: its step, its tolerance. Of PyTorch (`torch`), chex and SciPy (`scipy`), those not installed are said.
"""

import argparse
import contextlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from gradient_cases import Case, cases
from timing import machine

from autodiff_ref import assert_gradients_agree
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.verify import Input, verify

Checker = Callable[[Case], bool]
"""whether it passes a gradient; what it raises counts as not"""

ROUNDS = 7


def ours(case: Case) -> bool:
    """assert_gradients_agree at the case's own arguments."""
    assert_gradients_agree(case.candidate, case.of, *case.args, wrt=case.wrt)
    return True


NAMED: dict[int, str | None] = {}
"""the first wrong line that `verify` named, by the id of the case"""

_TRACES: dict[int, Traces] = {}
"""of each derivation, by its id: cases at other scales share them"""


def ours_verify(case: Case) -> bool:
    """Whether `verify` finds every line right at the case's input; notes which one it names."""
    assert case.derivation is not None
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64) if leaf.dtype.kind == "f" else leaf, case.args)
    traces = _TRACES.setdefault(id(case.derivation), Traces(case.derivation))
    options: dict[str, Any] = {"shrink": False, "prove": False, "suspects": False, "traces": traces}
    NAMED[id(case)] = verify(case.derivation, inputs=[Input("given", wide)], **options).first_wrong_line
    return NAMED[id(case)] is None


def by_jax(case: Case) -> bool:
    """jax.test_util.check_grads, reverse mode."""
    from jax.test_util import check_grads

    check_grads(_with_gradient(case), (jnp.asarray(case.flat()[0]),), order=1, modes=["rev"])
    return True


def by_chex(case: Case) -> bool:
    """chex.assert_numerical_grads, reverse mode."""
    import chex

    chex.assert_numerical_grads(_with_gradient(case), (jnp.asarray(case.flat()[0]),), order=1, modes=["rev"])
    return True


def _with_gradient(case: Case) -> Callable[..., Any]:
    """The loss as a function whose JAX derivative is the candidate."""
    v, loss, gradient = case.flat()
    result = jax.ShapeDtypeStruct(v.shape, v.dtype)

    @jax.custom_vjp
    def f(v: Any) -> Any:
        return loss(v)

    def backward(v: Any, cotangent: Any) -> Any:
        return (cotangent * jax.pure_callback(lambda v: gradient(np.asarray(v)), result, v),)

    f.defvjp(lambda v: (loss(v), v), backward)
    return f


def by_torch(case: Case, fast: bool) -> bool:
    """torch.autograd.gradcheck."""
    import torch

    v, loss, gradient = case.flat()

    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, v: Any) -> Any:
            ctx.save_for_backward(v)
            return torch.tensor(np.asarray(loss(v.detach().numpy())))

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> Any:
            (v,) = ctx.saved_tensors
            return cotangent * torch.tensor(gradient(v.detach().numpy()))

    return torch.autograd.gradcheck(F.apply, (torch.tensor(v, requires_grad=True),), fast_mode=fast)


def by_scipy(case: Case) -> bool:
    """scipy.optimize.check_grad, which returns an error and leaves it to the caller: 1e-6 here, relative to the gradient."""
    from scipy.optimize import check_grad

    v, loss, gradient = case.flat()
    error = check_grad(lambda v: float(loss(v)), gradient, v)
    return bool(error <= 1e-6 * max(1.0, float(np.linalg.norm(gradient(v)))))


CHECKERS: dict[str, tuple[Checker, str, int]] = {
    "assert_gradients_agree": (ours, "", 10**9),
    "verify": (ours_verify, "", 100),
    "jax check_grads": (by_jax, "", 10**9),
    "chex assert_numerical_grads": (by_chex, "chex", 10**9),
    "torch gradcheck, slow": (lambda case: by_torch(case, fast=False), "torch", 1_000),
    "torch gradcheck, fast": (lambda case: by_torch(case, fast=True), "torch", 10_000),
    "scipy check_grad": (by_scipy, "scipy", 1_000),
}
"""By name: the checker, the package it needs, and the largest n of the sines that it is run on: some compute n losses, and
PyTorch's fast mode takes minutes at n = 100,000."""


@dataclass
class Score:
    """What one checker did."""

    passed: list[str] = field(default_factory=list)
    """wrong gradients that it passed"""
    wrong: int = 0
    refused: list[str] = field(default_factory=list)
    """right gradients that it refused"""
    right: int = 0
    named: int = 0
    """wrong gradients of which it named the line"""
    seen: dict[str, float] = field(default_factory=dict)
    """by dtype, the smallest relative mistake in cos that it found at every n"""
    left_out: int = 0
    """cases for which there was no time"""
    seconds: float = 0.0
    """that all took"""
    per_second: float = 0.0
    """checks of one right gradient of the notes, after the first"""


@contextlib.contextmanager
def _quiet(case: Case) -> Iterator[None]:
    with jax.enable_x64(case.dtype == np.float64), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _passes(checker: Checker, case: Case) -> bool:
    with _quiet(case):
        try:
            return checker(case)
        except Exception:
            return False


def in_order(name: str, every: list[Case]) -> list[Case]:
    """The cases that a checker is run on: sines first, then all others shuffled, so that a part of them is a sample."""
    largest = CHECKERS[name][2]
    some = [c for c in every if c.size <= largest and (name != "verify" or c.derivation is not None)]
    rest = [case for case in some if case.family != "sin"]
    order = np.random.default_rng(0).permutation(len(rest))
    return [case for case in some if case.family == "sin"] + [rest[k] for k in order]


def score(name: str, every: list[Case], seconds: float) -> Score:
    """Runs one checker on all cases that it is run on, up to a limit of time."""
    checker, some = CHECKERS[name][0], in_order(name, every)
    found, missed, since = Score(), dict[str, list[float]](), time.monotonic()
    for k, case in enumerate(some):
        if time.monotonic() - since > seconds:
            found.left_out = len(some) - k
            break
        passes, label = _passes(checker, case), f"{case.name}, {case.dtype}"
        if not case.wrong:
            found.right += 1
            found.refused += [] if passes else [label]
            continue
        found.wrong += 1
        found.passed += [label] if passes else []
        found.named += name == "verify" and NAMED.get(id(case)) == case.label
        if case.mistake:
            missed.setdefault(str(case.dtype), []).append(case.mistake if passes else 0.0)
    sines = sorted({case.mistake for case in every if case.mistake})
    for dtype, those in missed.items():
        found.seen[dtype] = min((c for c in sines if c > max(those)), default=float("nan"))
    found.seconds = time.monotonic() - since
    found.per_second = _rate(checker, every, verify=name == "verify")
    return found


def _rate(checker: Checker, every: list[Case], *, verify: bool) -> float:
    some = [c for c in every if c.family == "notes" and c.wrong == verify and c.dtype == np.float64]
    if not some:
        return float("nan")
    times = list[float]()
    for _ in range(ROUNDS):
        since = time.perf_counter()
        _passes(checker, some[0])
        times.append(time.perf_counter() - since)
    return 1 / min(times[1:])


def table(scores: dict[str, Score | None]) -> str:
    """As Markdown."""
    heads = [
        "",
        "wrong passed",
        "right refused",
        "wrong line named",
        "smallest mistake seen, float64, float32",
        "checks a second",
    ]
    rows = [f"| {' | '.join(heads)} |", "|---" + "|---:" * 5 + "|"]
    for name, found in scores.items():
        if found is None:
            rows.append(f"| {name} | not installed: `pip install {CHECKERS[name][1]}` | | | | |")
            continue
        seen = ", ".join(f"{found.seen.get(dtype, float('nan')):.0e}" for dtype in ("float64", "float32"))
        named = f"{found.named} of {found.wrong}" if name == "verify" else "–"
        rows.append(
            f"| {name}{f', {found.left_out} left out' if found.left_out else ''} "
            f"| {len(found.passed)} of {found.wrong} | {len(found.refused)} of {found.right} | {named} "
            f"| {seen} | {found.per_second:.0f} |"
        )
    return "\n".join(rows)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the numbers and the names of what was passed or refused")
    parser.add_argument("--family", choices=["sin", "net", "notes"], help="only these gradients")
    parser.add_argument("--only", help="only checkers whose name contains this")
    parser.add_argument("--seconds", type=float, default=600, help="a checker may take; cases left over are counted")
    options = parser.parse_args()
    every = [case for case in cases() if options.family in (None, case.family)]
    scores: dict[str, Score | None] = {}
    for name, (_, package, _) in CHECKERS.items():
        if (options.only or "") in name:
            print(f"{name} …", file=sys.stderr)
            scores[name] = score(name, every, options.seconds) if not package or find_spec(package) else None
    if options.json:
        print(
            json.dumps({"machine": machine(), "scores": {n: s and asdict(s) for n, s in scores.items()}}, ensure_ascii=False)
        )
        return
    print(", ".join(f"{key} {value}" for key, value in machine().items()) + "\n\n" + table(scores))
    for name, found in scores.items():
        if found and name in ("assert_gradients_agree", "verify"):  # all of ours by name
            print(*(f"\n{name} passed {c}" for c in found.passed), *(f"\n{name} refused {c}" for c in found.refused))


if __name__ == "__main__":
    main()
