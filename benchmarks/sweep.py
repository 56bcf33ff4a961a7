"""The sweep in floats: inputs a second and line at n = d = 4, suspects and false alarms on right derivations, and its climb.

    python benchmarks/sweep.py speed                                         inputs a second, the best of several rounds
    python benchmarks/sweep.py alarms --count 20000                          all right derivations, both dtypes, seed 0
    python benchmarks/sweep.py alarms --count 200000 --seeds 0 1 2 3 4       10^6 inputs a derivation: hours
    python benchmarks/sweep.py alarms notes                                  only derivations of modules named so
    python benchmarks/sweep.py climb                                         against Hypothesis's `target()`

A suspect is an input at which a line is further from the one above it than their rounding bounds explain; balls then say
whether the lines differ, in float32 at the same numbers. A right line that balls call different is a false alarm. Where
reals that are compared tie, a difference is a kink. Right rewrites of all lines are held against JAX's gradient.

The climb: lines of the notes that are wrong only where a projection of w11 is large, from 0.3 to 100 times an ordinary one,
and the more the larger; found by the sweep alone, by the sweep with its climb, and by 1,000 examples of Hypothesis that
`target()` steers by the same difference / bound.
Run it from the root of the repository with PYTHONPATH=. since the derivations of the tests are among those judged.
"""

import argparse
import runpy
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import Phase, given, seed, settings, target

from autodiff_ref.judge import strategies
from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.inputs import draw_inputs
from autodiff_ref.judge.search.batches import draw_batch
from autodiff_ref.judge.search.sweep import Sweep, Swept, ratio_of
from manual_grad import Derivation, notes
from manual_grad.derivation import Line
from manual_grad.extensions import depth
from tests.derivations import MODULES
from tests.rewriting import rewrites
from tests.single import Single


def derivations(names: list[str]) -> Iterator[Derivation]:
    """The right ones of the tests, the notes, the general net and the examples."""
    for module in (notes, depth, *MODULES):
        if not names or any(name in module.__name__ for name in names):
            yield from (value for value in vars(module).values() if isinstance(value, Derivation))
    for path in sorted(Path("examples").glob("*.py")):
        if not names or path.stem in names:
            yield from (value for value in runpy.run_path(str(path)).values() if isinstance(value, Derivation))


def bench_of(derivation: Derivation) -> Bench:
    """What is traced of it."""
    return Bench(derivation, draw_inputs(derivation, seed=0, at_least=1)[:1], may_shrink=False)


@dataclass
class Tally:
    """What sweeps of right lines found."""

    inputs: int = 0
    """at which a line was held against another"""
    suspects: int = 0
    kinks: int = 0
    certified: int = 0
    """false alarms"""
    notes: list[str] = field(default_factory=list[str])

    def add(self, found: Swept, label: str) -> None:
        """Takes in two lines."""
        self.inputs += found.inputs.total()
        self.suspects += found.suspects
        self.kinks += found.kinks
        self.certified += len(found.differences)
        if found.suspects:
            self.notes.append(f"{label}: {found.suspects} suspects, {dict(found.asked)}")
        if found.reason and found.reason not in (note.partition(": ")[2] for note in self.notes):
            self.notes.append(f"{label}: {found.reason}")

    def __add__(self, other: "Tally") -> "Tally":
        sums = (getattr(self, name) + getattr(other, name) for name in ("inputs", "suspects", "kinks", "certified", "notes"))
        return Tally(*sums)

    def __str__(self) -> str:
        rate = 1e5 * self.suspects / max(self.inputs, 1)
        alarm = f"{self.certified} FALSE ALARMS" if self.certified else "no false alarm"
        said = f"{self.inputs:,} inputs × lines, {self.suspects} suspects ({rate:.2g} in 100,000), {self.kinks:,} kinks"
        return "; ".join([said, alarm, *self.notes[:6]])


def judged(derivation: Derivation, lines: list[Line], kind: type[Sweep], seeds: list[int], count: int) -> Tally:
    """The lines of a right derivation each against the one above, or given ones against JAX's gradient."""
    tally = Tally()
    bench = bench_of(derivation.with_lines(*lines) if lines else derivation)
    for number in seeds:
        swept = kind(bench, seed=number, count=count)
        for k, line in enumerate(swept.derivation.lines):
            other = None if lines or not k else derivation.lines[k - 1]
            tally.add(swept.compare(line, other), f"{line.__name__}{' rewritten' if lines else ''}, seed {number}")
    return tally


def rewritten(derivation: Derivation, number: int) -> Iterator[list[Line]]:
    """The lines rewritten in one way, in another way, and so on; fewer where a line has no more."""
    ways = [rewrites(derivation, line, seed=0, most=number) for line in derivation.lines]
    for k in range(number):
        lines = [made[k].line for made in ways if k < len(made)]
        if lines:
            yield lines


def alarms(names: list[str], count: int, seeds: list[int], ways: int) -> None:
    """Counts suspects, and what balls say of them; a derivation's tables as soon as they are done."""
    totals = {"float64": Tally(), "float32": Tally()}
    for derivation in derivations(names):
        for name, kind in (("float64", Sweep), ("float32", Single)):
            since = time.process_time()
            found = judged(derivation, [], kind, seeds, count)
            for lines in rewritten(derivation, ways):
                found += judged(derivation, lines, kind, seeds, count)
            totals[name] += found
            print(f"{name} {derivation.name} [{time.process_time() - since:.0f} s]: {found}", flush=True)
    for name, found in totals.items():
        found.notes.clear()
        print(f"\n{name}, all: {found}")


def speed(rounds: int = 7, number: int = 8) -> None:
    """Inputs a second, in float64, at n = d = 4: each line alone, and all of them at once as the sweep does it."""
    rng = np.random.default_rng(0)
    derivation = notes.W11
    strata = ["ordinary", "saturated", "zeros"]
    swept = Sweep(bench_of(derivation), count=2**16)
    size = len(swept.batches[0])
    batches = [draw_batch(derivation.domain, {"n": 4, "d": 4}, strata, size, rng) for _ in range(number)]
    every = (None, *derivation.lines)
    print(f"{'':9} {'wall':>10} {'of its CPU':>10}  inputs × lines a second, batches of {size}")
    for lines in (*[(line,) for line in every], every):
        program = swept.together(lines, batches[0].args(0))
        wall, work = [], []
        for _ in range(rounds):
            start, cpu = time.perf_counter(), time.process_time()
            for batch in batches:
                program(*batch.leaves)
            wall.append(time.perf_counter() - start)
            work.append(time.process_time() - cpu)
        label = "at once" if len(lines) > 1 else "jax.grad" if lines[0] is None else lines[0].__name__
        rates = (len(lines) * size * number / min(times) for times in (wall, work))
        print(f"{label:9} " + " ".join(f"{rate:>10,.0f}" for rate in rates), flush=True)


def wrong_far_out(reach: float) -> Derivation:
    """The notes' last line for w11, off by 1e-16 where a projection of w11 is `reach`, and as its fourth power elsewhere."""

    def line_far(w: Any, x: Any, y: Any, nabla: Any = None) -> Any:
        alternating = (-1.0) ** np.arange(w.w11.shape[0])
        return notes.line_3c(w, x, y) * (1 + 1e-16 * (jnp.maximum(-jnp.mean(alternating * w.w11), 0) / reach) ** 4)

    return notes.W11.with_lines(line_far)


def steered(swept: Sweep, line: Line, seed_of_test: int, count: int) -> bool:
    """Whether Hypothesis, steered by `target()`, finds an input that is a suspect."""

    @seed(seed_of_test)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate, Phase.target])
    @given(strategies.arguments(swept.derivation.domain))
    def agrees(args: tuple[Any, ...]) -> None:
        leaves = [np.asarray(leaf)[None] for leaf in jax.tree.leaves(args)]
        ours, theirs = (
            tuple(np.reshape(part, (1, -1)) for part in outputs[0])
            for outputs, _ in swept.together((line, None), args)(*leaves)
        )
        assert target(float(ratio_of(ours, theirs)[0][0])) <= 1

    try:
        agrees()
    except AssertionError:
        return True
    return False


def finds(way: str, bench: Bench, number: int) -> bool:
    """Whether the only line of a derivation is found wrong in one way, by one seed."""
    (line,) = bench.derivation.lines
    swept = Sweep(bench, seed=number)
    if way == "`target()`":
        return steered(swept, line, number, count=1_000)
    if way == "the sweep":
        swept.generations = 0
    return bool(swept.compare(line, None).differences)


def climbs(seeds: int = 4) -> None:
    """What is found of lines that are wrong far out, and in how many seconds."""
    ways = ("the sweep", "with its climb", "`target()`")
    print(f"| reach | {' | '.join(ways)} |\n|---:|---:|---:|---:|")
    for reach in (0.3, 1.0, 3.0, 10.0, 30.0, 100.0):
        bench, cells = bench_of(wrong_far_out(reach)), [f"{reach:g}"]
        for way in ways:
            since = time.perf_counter()
            found = sum(finds(way, bench, number) for number in range(seeds))
            cells.append(f"{found} of {seeds}, {(time.perf_counter() - since) / seeds:.2f} s")
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "alarms", "climb"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--rewrites", type=int, default=1, help="ways in which each line is rewritten, rightly, and judged")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    if options.what == "speed":
        speed()
    elif options.what == "climb":
        climbs()
    else:
        alarms(options.names, options.count, options.seeds, options.rewrites)


if __name__ == "__main__":
    main()
