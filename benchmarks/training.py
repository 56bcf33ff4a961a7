"""Minibatch epochs: ours by hand and by `jax.grad`, scikit-learn, PyTorch, a Python loop. `python benchmarks/training.py`

`--orders SEEDS` compares what is learned by each way to shuffle, `--example` what is learned on the worked example.

Every contender does plain SGD on the same examples with the same batch size, and shuffles anew every epoch unless its name
says otherwise. Those that are not installed are left out.
"""

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from timing import PAUSE, Job, asked, in_turn, report

from autodiff_ref.train import Recipe, Shuffler, epoch, initial_layers, sgd, start, step
from autodiff_ref.train.kernels import Layers, sum_over
from autodiff_ref.train.run import on_device
from autodiff_ref.train.shuffle import one_ahead

RATE = 0.1
EPOCHS = 32
"""Epochs of ours that are timed together: they overlap with the shuffling for the next, as in `fit`."""


def data(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """(x, y): normal features, labels of a rule that a small net can learn."""
    random = np.random.default_rng(0)
    x = random.standard_normal((n, d), dtype=np.float32)
    return x, np.where(np.abs(x[:, 0]) + 0.3 * x[:, 1] > 0.6, np.float32(1), np.float32(-1))


def ours(x: np.ndarray, y: np.ndarray, layers: Layers, batch: int, gradient: str, shuffle: str) -> Job:
    """`EPOCHS` epochs as `fit` runs them."""
    table = np.ascontiguousarray(np.concatenate([x.T, y[None]]))
    recipe = Recipe(sgd(RATE), gradient=gradient)
    shuffler = Shuffler(table.copy(), batch, 0, shuffle, overwrite=True)

    fixed = jax.device_put(np.ascontiguousarray(table))

    def without_shuffling() -> None:
        state = start(recipe, layers)
        for _ in range(EPOCHS):
            state, ll = epoch(recipe, state, fixed, batch_size=batch)
            ll.block_until_ready()

    def shuffled() -> None:
        state = start(recipe, layers)
        for segment in one_ahead(on_device(segment for number in range(EPOCHS) for segment in shuffler.epoch(number))):
            state, ll = epoch(recipe, state, segment.table, batch_size=batch, order=segment.order)
            ll.block_until_ready()

    return without_shuffling if shuffle == "none" else shuffled


def rows_by_grad(x: np.ndarray, y: np.ndarray, layers: Layers, batch: int) -> Job:
    """The net as one writes it first, one example a row, by `jax.grad` in one compiled scan over minibatches."""

    def ll(layers: Layers, x: Any, y: Any) -> Any:
        h = x
        for layer in layers[:-1]:
            h = jax.nn.sigmoid(h @ layer.w.T)
        return jnp.sum(jax.nn.log_sigmoid(y * (h @ layers[-1].w.T)[:, 0]))

    @jax.jit
    def run(layers: Layers, x: Any, y: Any) -> Layers:
        def one(layers: Layers, b: Any) -> tuple[Layers, Any]:
            value, gradient = jax.value_and_grad(ll)(layers, *b)
            return jax.tree.map(lambda w, g: w + RATE / batch * g, layers, gradient), value

        return jax.lax.scan(one, layers, (x, y))[0]

    whole = len(x) // batch
    blocks = jnp.asarray(x[: whole * batch].reshape(whole, batch, -1)), jnp.asarray(y[: whole * batch].reshape(whole, batch))
    return lambda: [jax.block_until_ready(run(layers, *blocks)) for _ in range(EPOCHS)]


def python_loop(x: np.ndarray, y: np.ndarray, layers: Layers, batch: int) -> Job:
    """A Python loop over a jitted step."""
    table = np.ascontiguousarray(np.concatenate([x.T, y[None]]))
    recipe = Recipe(sgd(RATE))
    random = np.random.default_rng(0)

    def run() -> None:
        state = start(recipe, layers)
        order = random.permutation(table.shape[1])
        for first in range(0, len(order), batch):
            state, _ = step(recipe, state, table[:, order[first : first + batch]])
        jax.block_until_ready(state)

    return run


def scikit_learn(x: np.ndarray, y: np.ndarray, units: int, batch: int) -> Job:
    """`MLPClassifier(solver="sgd")`, one epoch."""
    from sklearn.neural_network import MLPClassifier

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            MLPClassifier(
                (units,),
                activation="logistic",
                solver="sgd",
                batch_size=batch,
                max_iter=1,
                alpha=0,
                momentum=0,
                learning_rate_init=RATE,
            ).fit(x, y)

    return run


def pytorch(x: np.ndarray, y: np.ndarray, units: int, batch: int, compiled: bool) -> Job:
    """PyTorch, eager or compiled, one epoch."""
    import torch

    net = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], units, bias=False), torch.nn.Sigmoid(), torch.nn.Linear(units, 1, bias=False)
    )
    optimizer = torch.optim.SGD(net.parameters(), RATE)
    loss = torch.nn.BCEWithLogitsLoss()
    examples, labels = torch.from_numpy(x), torch.from_numpy((y + 1) / 2)[:, None]

    def forward(a: Any, b: Any) -> Any:
        return loss(net(a), b)

    value = torch.compile(forward) if compiled else forward

    def run() -> None:
        order = torch.randperm(len(examples))
        for first in range(0, len(examples) - batch + 1, batch):
            rows = order[first : first + batch]
            optimizer.zero_grad()
            value(examples[rows], labels[rows]).backward()
            optimizer.step()

    return run


def case(n: int, d: int, units: int, batch: int, rounds: int, others: set[str]) -> dict[str, Any]:
    """The times of an epoch by every contender."""
    x, y = data(n, d)
    layers = jax.tree.map(lambda w: w.astype(np.float32), initial_layers(d, (units,), "sigmoid", False, 0))
    every = "by hand, shuffling every example"
    jobs: dict[str, Job] = {
        "by hand": ours(x, y, layers, batch, "hand", "batches"),
        every: ours(x, y, layers, batch, "hand", "examples"),
        "by jax.grad in the same loop": ours(x, y, layers, batch, "autodiff", "batches"),
        "by hand, no shuffling": ours(x, y, layers, batch, "hand", "none"),
        "by jax.grad in the same loop, no shuffling": ours(x, y, layers, batch, "autodiff", "none"),
        "by jax.grad, one example a row, no shuffling": rows_by_grad(x, y, layers, batch),
    }
    timed_together = set(jobs)
    if "python" in others:
        jobs["Python loop over a jitted step"] = python_loop(x, y, layers, batch)
    if "sklearn" in others:
        jobs["scikit-learn"] = scikit_learn(x, y, units, batch)
    if "torch" in others:
        jobs["PyTorch eager"] = pytorch(x, y, units, batch, False)
    if "compile" in others:
        jobs["PyTorch torch.compile"] = pytorch(x, y, units, batch, True)
    times = in_turn(jobs, rounds, pause=PAUSE)
    for name in timed_together:
        times[name] /= EPOCHS
    still = "by hand, no shuffling"
    by_grad, by_rows = "by jax.grad in the same loop, no shuffling", "by jax.grad, one example a row, no shuffling"
    targets = [(by_grad, still, 1.0)]
    if (units, batch) == (2, 128):
        targets = [("scikit-learn", name, 40.0) for name in ("by hand", every)]
        targets += [("PyTorch eager", name, 40.0) for name in ("by hand", every)]
        targets += [(by_grad, still, 1.8), (by_rows, still, 1.8)]
    return {
        "case": f"{n:,} × {d}, {units} units, batch {batch}, float32: one epoch",
        "baseline": "by hand",
        "times": times,
        "asked": asked(times, *targets),
    }


def by_order(n: int, seeds: int) -> None:
    """Prints what a net has learned after 24 epochs by each way to shuffle, mean and standard deviation over seeds."""
    x, y = data(n, 10)
    table = np.ascontiguousarray(np.concatenate([x.T, y[None]]))
    layers = jax.tree.map(lambda w: w.astype(np.float32), initial_layers(10, (8,), "sigmoid", True, 0))
    recipe = Recipe(sgd(1.0))
    print(f"{n:,} × 10, 8 units, batch 128: ll an example after 24 epochs\n")
    print("| shuffle | mean | standard deviation |\n|---|---:|---:|")
    for mode in ("examples", "batches"):
        learned: list[float] = []
        for seed in range(seeds):
            state, shuffler = start(recipe, layers), Shuffler(table, 128, seed, mode)
            for segment in on_device(segment for number in range(24) for segment in shuffler.epoch(number)):
                state, ll = epoch(recipe, state, segment.table, batch_size=128, order=segment.order)
                ll.block_until_ready()
            learned.append(sum_over(state.layers, table)[0] / n)
        print(f"| {mode} | {np.mean(learned):.5f} | {np.std(learned):.5f} |")


def example() -> None:
    """Prints the accuracy on the worked example's fixed folds, ours and scikit-learn's."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.worked_example import accuracies

    print("Wisconsin breast cancer, five fixed folds: accuracy on the test share\n")
    print("| | mean | smallest | largest |\n|---|---:|---:|---:|")
    for name, found in accuracies().items():
        print(f"| {name} | {np.mean(found):.4f} | {min(found):.4f} | {max(found):.4f} |")


def available() -> set[str]:
    """Which contenders are installed."""
    from importlib.util import find_spec

    found = {"python"} | ({"sklearn"} if find_spec("sklearn") else set())
    return found | ({"torch", "compile"} if find_spec("torch") else set())


def main() -> None:
    """Runs the benchmark."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print everything as JSON")
    options.add_argument("--rounds", type=int, default=5, help="how often each contender runs")
    options.add_argument("--n", type=int, default=100_000, help="examples")
    options.add_argument("--without", nargs="*", default=[], help="contenders to leave out: python sklearn torch compile")
    options.add_argument(
        "--orders", type=int, metavar="SEEDS", help="compare what is learned by each way to shuffle, and no times"
    )
    options.add_argument(
        "--example",
        action="store_true",
        help="compare accuracies on the worked example, ours and scikit-learn's, and no times",
    )
    chosen = options.parse_args()
    if chosen.example:
        example()
        return
    if chosen.orders:
        by_order(20_000, chosen.orders)
        return
    others = available() - set(chosen.without)
    cases = [(30, 2, 128), (30, 2, 32), (30, 2, 1024), (30, 64, 128)]
    results = [case(chosen.n, d, units, batch, chosen.rounds, others) for d, units, batch in cases]
    report("Minibatch epochs", results, chosen.json)


if __name__ == "__main__":
    main()
