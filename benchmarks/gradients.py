"""Full-batch value and gradient: ours by hand, `jit(value_and_grad)`, NumPy, PyTorch, and reading X once.

`python benchmarks/gradients.py` compares them; `--growth` shows how time and memory grow with n, d and H; `--blocks` and
`--formulations` repeat the measurements behind the rules of `autodiff_ref.train.kernels.block_of` and `manual_grad.mlp`.
"""

import argparse
import json
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from timing import PAUSE, Job, asked, exponent, in_turn, report

from autodiff_ref.train import initial_layers, sum_over
from autodiff_ref.train.kernels import Form, Layers, block_of, sums
from manual_grad import mlp
from manual_grad.activations import ACTIVATIONS


def table_of(n: int, d: int, dtype: np.dtype) -> np.ndarray:
    """(d + 1, n): normal features and random labels, one example a column."""
    random = np.random.default_rng(0)
    table = np.empty((d + 1, n), dtype)
    for row in table[:d]:
        row[:] = random.standard_normal(n, dtype=np.float32)
    table[d] = np.where(random.random(n) < 0.5, -1, 1)
    return table


def net_of(d: int, units: int, dtype: np.dtype) -> Layers:
    """A net of one hidden layer without biases."""
    return jax.tree.map(lambda w: w.astype(dtype), initial_layers(d, (units,), "sigmoid", False, 0))


def _rows(layers: Layers, x: Any, y: Any) -> Any:
    return jnp.sum(jax.nn.log_sigmoid(y * (jax.nn.sigmoid(x @ layers[0].w.T) @ layers[1].w.T)[:, 0]))


rows_by_grad = jax.jit(jax.value_and_grad(_rows))
read_once = jax.jit(jnp.sum)


def pytorch(layers: Layers, x: np.ndarray, y: np.ndarray) -> Job:
    """PyTorch's value and gradient."""
    import torch

    weights = [torch.tensor(np.asarray(layer.w), requires_grad=True) for layer in layers]
    examples, labels = torch.from_numpy(x), torch.from_numpy(y)

    def run() -> None:
        z = (torch.sigmoid(examples @ weights[0].T) @ weights[1].T)[:, 0]
        torch.autograd.grad(torch.nn.functional.logsigmoid(labels * z).sum(), weights)

    return run


def case(n: int, d: int, units: int, dtype: np.dtype, rounds: int) -> dict[str, Any]:
    """The times of one value and gradient by every contender."""
    with jax.enable_x64(dtype == np.float64):
        table = table_of(n, d, dtype)
        x, y = np.ascontiguousarray(table[:d].T), table[d].copy()
        layers = net_of(d, units, dtype)
        columns, rows, labels = jax.device_put(table), jax.device_put(x), jax.device_put(y)
        jobs: dict[str, Job] = {
            "by hand": lambda: sum_over(layers, columns),
            "by hand, one thread": lambda: sum_over(layers, columns, workers=1),
            "by jax.grad over the same blocks": lambda: sum_over(layers, columns, gradient="autodiff"),
            "jit(value_and_grad)": lambda: jax.block_until_ready(rows_by_grad(layers, rows, labels)),
            "NumPy by hand": lambda: mlp.value_and_grad_columns(layers, table[:d], y, None, ACTIVATIONS["sigmoid"]),
            "reading X once": lambda: read_once(rows).block_until_ready(),
        }
        if find_spec("torch"):
            jobs["PyTorch"] = pytorch(layers, x, y)
        times = in_turn(jobs, rounds, pause=PAUSE)
    target = (1.4 if dtype == np.float32 else 2.0) if (d, units) == (30, 2) else 1.0
    return {
        "case": f"{n:,} × {d}, {units} units, {dtype}: ll and ∇ll",
        "baseline": "by hand",
        "times": times,
        "asked": asked(times, ("jit(value_and_grad)", "by hand", target)),
    }


def temporary_bytes(layers: Layers, table: Any) -> int:
    """What the compiled sum needs beyond its arguments, by XLA's own account."""
    compute = jax.jit(partial(sums, form=Form(), gradient="hand"))
    return int(compute.lower(layers, table).compile().memory_analysis().temp_size_in_bytes)


def growth(rounds: int, largest: int) -> list[dict[str, Any]]:
    """Time and memory beyond X over n, d and H, with the exponent fitted to the upper half of the sizes."""
    float32 = np.dtype(np.float32)
    axes = {
        "n": [(n, 30, 2) for n in (10**3, 10**4, 10**5, 10**6, 10**7) if n <= largest],
        "d": [(10**5, d, 2) for d in (2, 10, 30, 100, 300, 1000)],
        "H": [(10**5, 30, units) for units in (2, 8, 30, 100, 300, 1000)],
    }
    found = []
    for axis, shapes in axes.items():
        seconds, memory = [], []
        for n, d, units in shapes:
            table, layers = jax.device_put(table_of(n, d, float32)), net_of(d, units, float32)
            seconds.append(in_turn({"": partial(sum_over, layers, table)}, rounds)[""])
            memory.append(temporary_bytes(layers, table))
        sizes = [shape["ndH".index(axis)] for shape in shapes]
        half = len(sizes) // 2
        bytes_of_x = [4 * n * d for n, d, _ in shapes]
        found.append(
            {
                "axis": axis,
                "shapes": shapes,
                "seconds": seconds,
                "temporary_bytes": memory,
                "share_of_x": [m / b for m, b in zip(memory, bytes_of_x, strict=True)],
                "exponent_of_time": exponent(sizes[half:], seconds[half:]),
                "exponent_of_memory": exponent(sizes[half:], [float(m) for m in memory[half:]]),
            }
        )
    return found


def show_growth(found: list[dict[str, Any]]) -> None:
    """Prints the growth as Markdown."""
    for entry in found:
        axis, time, memory = entry["axis"], entry["exponent_of_time"], entry["exponent_of_memory"]
        print(f"\nGrowth with {axis}: time ~ {axis}^{time:.2f}, memory ~ {axis}^{memory:.2f}\n")
        print("| n | d | H | ms | KB beyond X | of X |\n|---:|---:|---:|---:|---:|---:|")
        for (n, d, h), seconds, temporary, share in zip(
            entry["shapes"], entry["seconds"], entry["temporary_bytes"], entry["share_of_x"], strict=True
        ):
            print(f"| {n:,} | {d} | {h} | {1e3 * seconds:.2f} | {temporary / 1024:.0f} | {share:.2%} |")


SHAPES = [(4, 2), (30, 2), (30, 4), (30, 8), (100, 2), (300, 2), (30, 64), (300, 64)]


def blocks(rounds: int) -> list[dict[str, Any]]:
    """One thread over blocks of every size, and of the size that the rule takes."""
    found = []
    for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        for d, units in SHAPES:
            with jax.enable_x64(dtype == np.float64):
                table, layers = (
                    jax.device_put(table_of(max(20_000, 3_000_000 // d // units), d, dtype)),
                    net_of(d, units, dtype),
                )
                rule = block_of(layers, table)
                sizes = (128, 256, 512, 1024, 2048)
                jobs = {str(b): partial(sum_over, layers, table, block=b, workers=1) for b in sizes}
                times = in_turn(jobs, rounds, pause=PAUSE)
            case = f"{table.shape[1]:,} × {d}, {units} units, {dtype}: blocks; the rule takes {rule}"
            found.append({"case": case, "baseline": str(rule), "times": times})
    return found


def wide(rounds: int) -> list[dict[str, Any]]:
    """One thread at 64 units, by hand and by autodiff over the same blocks: the least of all times."""
    found = []
    for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        for d in (4, 30, 300):
            with jax.enable_x64(dtype == np.float64):
                table, layers = jax.device_put(table_of(6_000_000 // (d + 30), d, dtype)), net_of(d, 64, dtype)
                once = partial(sum_over, layers, table, workers=1)
                jobs = {"by hand": once, "by jax.grad over the same blocks": partial(once, gradient="autodiff")}
                times = in_turn(jobs, rounds, least=True)
            case = f"{table.shape[1]:,} × {d}, 64 units, {dtype}: one thread"
            found.append({"case": case, "baseline": "by hand", "times": times})
    return found


def formulations(rounds: int) -> list[dict[str, Any]]:
    """Unit by unit against one matrix product, whatever the rule says."""
    rule = mlp.NARROW, mlp.SHORT
    found = []
    for d, units in SHAPES:
        if units > 8:
            continue
        float32 = np.dtype(np.float32)
        table, layers = jax.device_put(table_of(6_000_000 // d, d, float32)), net_of(d, units, float32)
        jobs: dict[str, Job] = {}
        for name, (narrow, short) in {"unit by unit": (8, 10_000), "one matrix product": (0, 0)}.items():
            mlp.NARROW, mlp.SHORT = narrow, short
            compiled = jax.jit(partial(sums, form=Form(), gradient="hand")).lower(layers, table).compile()
            jobs[name] = lambda compiled=compiled, layers=layers, table=table: jax.block_until_ready(compiled(layers, table))
        mlp.NARROW, mlp.SHORT = rule
        taken = "unit by unit" if units <= rule[0] and d <= rule[1] else "one matrix product"
        case = f"{table.shape[1]:,} × {d}, {units} units: products; the rule takes {taken}"
        found.append({"case": case, "baseline": taken, "times": in_turn(jobs, rounds, pause=PAUSE)})
    return found


def main() -> None:
    """Runs the benchmark."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print everything as JSON")
    options.add_argument("--rounds", type=int, default=7, help="how often each contender runs")
    options.add_argument("--n", type=int, default=1_000_000, help="examples; a fifth of it for 300 features")
    options.add_argument("--growth", action="store_true", help="time and memory over n, d and H")
    options.add_argument("--largest", type=int, default=10**7, help="largest n for --growth")
    options.add_argument("--blocks", action="store_true", help="the measurement behind block_of")
    options.add_argument("--wide", action="store_true", help="64 units on one thread, beside jax.grad; --rounds 40 or more")
    options.add_argument("--formulations", action="store_true", help="the measurement behind manual_grad.mlp.NARROW")
    chosen = options.parse_args()
    if chosen.growth:
        found = growth(chosen.rounds, chosen.largest)
        print(json.dumps(found)) if chosen.json else show_growth(found)
    elif chosen.blocks:
        report("Blocks", blocks(chosen.rounds), chosen.json)
    elif chosen.wide:
        report("64 units", wide(chosen.rounds), chosen.json)
    elif chosen.formulations:
        report("Formulations", formulations(chosen.rounds), chosen.json)
    else:
        cases = [(d, h, t) for d in (30, 4, 300) for h in (2, 64) for t in (np.float32, np.float64)]
        results = [case(chosen.n // (5 if d == 300 else 1), d, h, np.dtype(t), chosen.rounds) for d, h, t in cases]
        report("Full-batch value and gradient", results, chosen.json)


if __name__ == "__main__":
    main()
