"""The sweep in floats: inputs a second and line at n = d = 4, and suspects and false alarms on right derivations.

    python benchmarks/sweep.py speed                          after compilation, the best of several rounds
    python benchmarks/sweep.py alarms --count 20000           all right derivations, float64 and float32, seed 0
    python benchmarks/sweep.py alarms --count 1000000 --seeds 0 1 2 3 4      hours
    python benchmarks/sweep.py alarms notes                   only derivations of modules named so

A suspect is an input at which a line is further from the one above it than their rounding bounds explain. The balls then say
whether the lines differ, in float32 at the same numbers. A right line that balls call different would be a false alarm.
Run it from the root of the repository with PYTHONPATH=. since the derivations of the tests are among those judged.
"""

import argparse
import runpy
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from autodiff_ref.nabla import nabla
from autodiff_ref.verify.bench import Bench
from autodiff_ref.verify.inputs import sweep as few_inputs
from autodiff_ref.verify.rounding.table import bounded
from autodiff_ref.verify.sweep.batches import Batch, draw_batch
from autodiff_ref.verify.sweep.search import Sweep
from autodiff_ref.verify.trace import label_flags
from manual_grad import Derivation, mlp_lines, notes
from manual_grad.derivation import Line
from tests.derivations import MODULES


class Single(Sweep):
    """A sweep in float32, of the same inputs rounded to it."""

    def __init__(self, bench: Bench, **options: Any) -> None:
        super().__init__(bench, **options)
        self.batches = [
            Batch(b.strata, [_single(leaf).astype(leaf.dtype) for leaf in b.leaves], b.structure) for b in self.batches
        ]

    def function(self, line: Line | None, args: tuple[Any, ...]) -> Callable[..., Any] | str:
        """The line traced in float32."""
        flat, structure = jax.tree.flatten(args)
        by, of = nabla(self.derivation.wrt), self.derivation.of

        def gradient(*leaves: Any) -> Any:
            given = jax.tree.unflatten(structure, leaves)
            if line is None:
                return by(of)(*given)
            return line(*given, nabla=by)

        try:
            with jax.enable_x64(False):
                closed = jax.make_jaxpr(gradient)(*map(_single, flat))
            run = bounded(closed, labels=label_flags(self.derivation.domain))
        except Exception as error:
            return f"{type(error).__name__}: {str(error).partition(':')[0]}"
        return lambda *leaves: run(*map(_single, leaves))


def _single(leaf: Any) -> Any:
    array = np.asarray(leaf)
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int32)


def derivations(names: list[str]) -> Iterator[Derivation]:
    """The right ones of the tests, the notes, the general net and the examples."""
    for module in (notes, mlp_lines, *MODULES):
        if not names or any(name in module.__name__ for name in names):
            yield from (value for value in vars(module).values() if isinstance(value, Derivation))
    for path in sorted(Path("examples").glob("*.py")):
        if not names or path.stem in names:
            yield from (value for value in runpy.run_path(str(path)).values() if isinstance(value, Derivation))


def bench_of(derivation: Derivation) -> Bench:
    """What is traced of it."""
    return Bench(derivation, few_inputs(derivation, seed=0, at_least=1)[:1], may_shrink=False)


def alarms(names: list[str], count: int, seeds: list[int]) -> None:
    """Counts suspects, and what balls say of them."""
    for kind in (Sweep, Single):
        name = "float64" if kind is Sweep else "float32"
        compared = suspects = certified = 0
        for derivation in derivations(names):
            began, bench = time.monotonic(), bench_of(derivation)
            row: list[str] = []
            for seed in seeds:
                swept = kind(bench, seed=seed, count=count)
                for k, line in enumerate(derivation.lines):
                    found = swept.compare(line, derivation.lines[k - 1] if k else None)
                    if found.reason:
                        row.append(f"{line.__name__}: {found.reason}")
                    compared += found.inputs.total()
                    suspects += found.suspects
                    certified += len(found.differences)
                    if found.suspects:
                        row.append(f"{line.__name__} seed {seed}: {found.suspects} suspects, {dict(found.asked)}")
            print(
                f"{name} {derivation.name}: {time.monotonic() - began:.1f} s; {'; '.join(row) or 'no suspect'}", flush=True
            )
        rate = suspects / max(compared, 1) * 1e5
        print(
            f"{name}: {compared:,} inputs × lines, {suspects} suspects ({rate:.3g} in 100,000), "
            f"{certified} certified: {'FALSE ALARMS' if certified else 'no false alarm'}\n",
            flush=True,
        )


def speed(rounds: int = 7, size: int = 1024) -> None:
    """Inputs a second and line, in float64, at n = d = 4."""
    rng = np.random.default_rng(0)
    derivation = notes.W11
    batch = draw_batch(derivation.domain, {"n": 4, "d": 4}, ["ordinary", "saturated", "zeros"], size, rng)
    swept = Sweep(bench_of(derivation), count=64)
    for line in (None, *derivation.lines):
        function = swept.function(line, batch.args(0))
        if isinstance(function, str):
            raise RuntimeError(function)
        function(*batch.leaves)
        wall, work = [], []
        for _ in range(rounds):
            start, cpu = time.perf_counter(), time.process_time()
            function(*batch.leaves)
            wall.append(time.perf_counter() - start)
            work.append(time.process_time() - cpu)
        label = "jax.grad" if line is None else line.__name__
        print(
            f"{label:9} {size / min(wall):>10,.0f} inputs/s; {size / min(work):>10,.0f} a second of processor time",
            flush=True,
        )


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "alarms"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    if options.what == "speed":
        speed()
    else:
        alarms(options.names, options.count, options.seeds)


if __name__ == "__main__":
    main()
