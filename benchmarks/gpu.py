"""On a GPU: the full batch in one pass, epochs in one kernel, beside `jax.grad` by XLA. `python benchmarks/gpu.py`

Where there is no GPU it prints what it would measure. Both sides compute in float32; XLA's matrix products by JAX's default,
which on NVIDIA's GPUs is TF32 (`JAX_DEFAULT_MATMUL_PRECISION=highest` for float32 throughout), while the kernels multiply in
float32, or in three products of TF32 that make up one.

A time of the full batch is that of one step of a compiled loop of them, without what a call costs; "a call" has that too. A
time of an epoch is that of one call of many sent off together, as a training sends them. All jobs of a case run in turn.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from gradients import net_of, rows_by_grad, table_of
from timing import Job, asked, in_turn, machine

from autodiff_ref.train import Recipe, chip, epoch, kernels, sgd, start
from autodiff_ref.train.kernels import Layers

FULL = [
    (10**6, 30, 2, 2.0),
    (10**7, 30, 2, 4.0),
    (10**7, 30, 8, 2.0),
    (10**6, 30, 8, 1.0),
    (10**6, 30, 16, 1.0),
    (10**6, 30, 64, 1.0),
    (10**6, 60, 2, 1.0),
    (10**6, 4, 2, 1.0),
    (10**5, 30, 2, 1.0),
    (10**5, 300, 2, 1.0),
]
"""n, d, units, and how many times `jit(value_and_grad)` is asked for."""
EPOCHS = [
    (10**5, 30, 2, 128, 8.0),
    (10**5, 30, 2, 256, 2.5),
    (10**5, 30, 2, 1024, 2.5),
    (10**5, 30, 8, 128, 2.5),
    (10**5, 4, 2, 128, 2.5),
    (10**5, 30, 64, 128, 1.0),
    (10**5, 30, 2, 4096, 1.0),
    (10**5, 30, 8, 4096, 1.0),
]
"""n, d, units, batch, and how many times `jax.grad` in a scan is asked for."""
RATE = 0.1


STEPS = 20
"""Of a full batch, in one compiled loop."""


def times_of(jobs: dict[str, tuple[Job, int]], calls: int) -> dict[str, float]:
    """Seconds of a unit of work by each job, given with how many units a call of it does; many calls go off together."""

    def many(job: Job) -> Job:
        return lambda: jax.block_until_ready([job() for _ in range(calls)])

    times = in_turn({name: many(job) for name, (job, _) in jobs.items()}, 5)
    return {name: times[name] / calls / units for name, (_, units) in jobs.items()}


@partial(jax.jit, static_argnums=0)
def climbed(gradient: Callable[..., Any], layers: Layers, *data: Any) -> Any:
    """Steps along ∇ll, and the sum of ll."""

    def one(_: Any, carry: Any) -> Any:
        layers, total = carry
        ll, by_weights = gradient(layers, *data)
        return jax.tree.map(lambda w, g: w + 1e-9 * g, layers, by_weights), total + ll

    return jax.lax.fori_loop(0, STEPS, one, (layers, jnp.float32(0)))


def full(n: int, d: int, units: int, target: float, repeats: int) -> dict[str, Any]:
    """ll and ∇ll over all examples."""
    table, layers = table_of(n, d, np.dtype(np.float32)), jax.tree.map(jnp.asarray, net_of(d, units, np.dtype(np.float32)))
    rows, labels, columns = (jax.device_put(a) for a in (np.ascontiguousarray(table[:d].T), table[d].copy(), table))
    launch = kernels.launch_for(layers, n, kernels.Form(), "hand")

    def by(launch: chip.Launch | None) -> Callable[..., Any]:
        options = {"form": kernels.Form(), "gradient": "hand", "launch": launch, "full": True}
        return lambda layers, columns: kernels.whole_sums(layers, columns, n, **options)

    by_hand, by_xla, one_call = by(launch), by(None), jax.jit(by(launch))
    jobs = {
        "by hand": (lambda: climbed(by_hand, layers, columns), STEPS),
        "by hand, by XLA": (lambda: climbed(by_xla, layers, columns), STEPS),
        "jit(value_and_grad)": (lambda: climbed(rows_by_grad, layers, rows, labels), STEPS),
        "by hand, a call": (lambda: one_call(layers, columns), 1),
        "jit(value_and_grad), a call": (lambda: rows_by_grad(layers, rows, labels), 1),
        "reading X once, a call": (lambda: jnp.sum(rows), 1),
    }
    times = times_of(jobs, repeats)
    ours, theirs = one_call(layers, columns), rows_by_grad(layers, rows, labels)
    off = max(
        float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b)))
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    )
    return {
        "case": f"{n:,} × {d}, {units} units: ll and ∇ll" + (", in one pass" if launch else ", by XLA"),
        "baseline": "by hand",
        "times": times,
        "largest relative difference": off,
        "asked": asked(times, ("jit(value_and_grad)", "by hand", target)),
    }


def steps(n: int, d: int, units: int, batch: int, target: float, repeats: int) -> dict[str, Any]:
    """All minibatch steps of an epoch, SGD."""
    table, layers = table_of(n, d, np.dtype(np.float32)), jax.tree.map(jnp.asarray, net_of(d, units, np.dtype(np.float32)))
    whole = n // batch * batch
    columns, recipe = jax.device_put(np.ascontiguousarray(table[:, :whole])), Recipe(sgd(RATE))
    blocks = jax.device_put(table[:d, :whole].T.reshape(-1, batch, d)), jax.device_put(table[d, :whole].reshape(-1, batch))

    @jax.jit
    def scan(layers: Layers, x: Any, y: Any) -> Any:
        def one(layers: Layers, b: Any) -> tuple[Layers, Any]:
            value, gradient = rows_by_grad(layers, *b)
            return jax.tree.map(lambda w, g: w + RATE / batch * g, layers, gradient), value

        return jax.lax.scan(one, layers, (x, y))

    state = start(recipe, layers)

    def by_hand() -> Any:
        nonlocal state
        state, ll = epoch(recipe, state, columns, batch_size=batch)
        return ll

    times = times_of({"by hand": (by_hand, 1), "jax.grad in a scan": (lambda: scan(layers, *blocks), 1)}, repeats)
    ours, theirs = epoch(recipe, start(recipe, layers), columns, batch_size=batch)[0].layers, scan(layers, *blocks)[0]
    off = max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True))
    return {
        "case": f"{n:,} × {d}, {units} units, batch {batch:,}: one epoch of SGD",
        "baseline": "by hand",
        "times": times,
        "largest difference": off,
        "asked": asked(times, ("jax.grad in a scan", "by hand", target)),
    }


def main() -> None:
    """Runs the benchmark, or says what it would do."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print everything as JSON")
    options.add_argument("--repeats", type=int, default=20, help="calls that are waited for together")
    chosen = options.parse_args()
    if not kernels.accelerated():
        print(f"There is no GPU here (JAX runs on {jax.default_backend()}). With one, this measures, in float32:\n")
        for n, d, units, target in FULL:
            print(f"- ll and ∇ll of {n:,} × {d}, {units} units: by hand, at least {target} × jit(value_and_grad)")
        for n, d, units, batch, target in EPOCHS:
            print(f"- an epoch of {n:,} × {d}, {units} units, batch {batch:,}: at least {target} × jax.grad in a scan")
        return
    about = machine() | {"device": jax.devices()[0].device_kind}
    results = chain(
        (full(*case, chosen.repeats) for case in FULL),
        (steps(*case, chosen.repeats) for case in EPOCHS),
    )
    if chosen.json:
        print(json.dumps({"machine": about, "results": list(results)}, ensure_ascii=False))
        return
    print("## On a GPU\n\n" + ", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    for result in results:
        print(f"\n{result['case']}\n\n| | ms |\n|---|---:|")
        for name, seconds in result["times"].items():
            print(f"| {name} | {1e3 * seconds:.3f} |")
        for ratio in result["asked"]:
            verdict = "met" if ratio["ratio"] >= ratio["target"] else "MISSED"
            asked_for = f"{ratio['fast']}: {ratio['ratio']:.2f} × {ratio['slow']}; asked {ratio['target']}: {verdict}"
            print(f"\n{asked_for}", flush=True)


if __name__ == "__main__":
    main()
