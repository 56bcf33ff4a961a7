"""What a line costs in balls: milliseconds a line and input, with planning and running apart.

`python benchmarks/balls.py` takes the notes and the derivations of `tests/derivations`. For each: what tracing and planning
a line cost, once a shape; what running its plan costs, once an input, at 128 bits; what deciding it costs, at whatever
precision the inputs of all strata need; and how many times as long an input takes where its plan is made for it alone, as a
prototype did. The times are the process's own (one thread), so that what else the machine does counts less. Exits with 1
where running or deciding a line takes more than 2 ms an input.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(1, str(Path(__file__).parent.parent))
from timing import machine

from autodiff_ref.judge.balls import BALLS, Context, exact, precision
from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.inputs import Input, draw_inputs
from autodiff_ref.judge.lines.trace import label_flags, shape_key
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.program.walk import plan_parts
from manual_grad import Derivation, notes
from tests.derivations import MODULES

LIMIT = 2.0
"""ms a line and input"""


@dataclass(frozen=True)
class Cost:
    """Milliseconds a line of one derivation."""

    derivation: str
    lines: int
    trace: float
    plan: float
    run: float
    """an input, at 128 bits"""
    decide: float
    """an input, over all strata"""
    planned_afresh: float
    """an input, if its plan were made for it alone, over `run`"""


def derivations() -> Iterator[Derivation]:
    """The notes and those of the tests, as their modules name them."""
    for module in (notes, *MODULES):
        yield from (value for value in vars(module).values() if isinstance(value, Derivation))


def cost_of(derivation: Derivation, rounds: int) -> Cost:
    """Of all lines together, over their number."""
    given = draw_inputs(derivation, seed=0)
    main = [each.args for each in given if shape_key(each.args) == shape_key(given[0].args)][:4]
    since = time.process_time()
    traces = Traces(derivation)
    traced = [traces.line(line, main[0]) for line in derivation.lines]
    trace = time.process_time() - since
    traced = [each for each in traced if each.plan is not None]
    flags = label_flags(derivation.domain)

    def planned() -> list[Any]:
        return [plan_parts(each.closed, BALLS, [len(jax.tree.leaves(each.shapes))], labels=flags)[0] for each in traced]

    def run(plans: list[Any], args: tuple[Any, ...]) -> None:
        balls = [exact(leaf) if leaf.dtype.kind == "f" else leaf for leaf in map(np.asarray, jax.tree.leaves(args))]
        with precision(128):
            for made in plans:
                made.run(Context(), *balls)

    ready = planned()
    n, inputs = len(traced), len(main)
    plan, ran = in_turn([planned, lambda: [run(ready, args) for args in main]], rounds)
    ran /= inputs
    deciding = decide(traces, derivation, given)
    return Cost(derivation.name, n, *(1e3 * seconds / n for seconds in (trace, plan, ran, deciding)), (plan + ran) / ran)


def in_turn(jobs: list[Callable[[], Any]], rounds: int) -> list[float]:
    """The least seconds of each job over rounds in which every job runs once."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(rounds):
        for job, taken in zip(jobs, times, strict=True):
            since = time.process_time()
            job()
            taken.append(time.process_time() - since)
    return [min(taken) for taken in times]


def decide(traces: Traces, derivation: Derivation, given: list[Input]) -> float:
    """Mean seconds an input that deciding all lines takes: each against the one above it, as the judge does."""
    for each in given:
        for line in (None, *derivation.lines):
            traces.line(line, each.args)
    bench = Bench(derivation, given, may_shrink=False, traces=traces)
    since = time.process_time()
    for above, below in itertools.pairwise((None, *derivation.lines)):
        bench.relation(below, above)
    return (time.process_time() - since) / len(given)


def main() -> None:
    """Prints a Markdown table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    costs = [cost_of(derivation, options.rounds) for derivation in derivations()]
    if options.json:
        print(json.dumps({"machine": machine(), "costs": [asdict(cost) for cost in costs]}, ensure_ascii=False))
    else:
        print(", ".join(f"{key} {value}" for key, value in machine().items()))
        print("\n| ms a line | lines | trace | plan | run an input | decide an input | planned afresh |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for c in costs:
            row = f"| {c.lines} | {c.trace:.0f} | {c.plan:.1f} | {c.run:.2f} | {c.decide:.2f} | × {c.planned_afresh:.0f} |"
            print(f"| {c.derivation} {row}")
    raise SystemExit(any(max(cost.run, cost.decide) > LIMIT for cost in costs))


if __name__ == "__main__":
    main()
