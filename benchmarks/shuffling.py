"""What the constants of `autodiff_ref.train.shuffle` are chosen by. `python benchmarks/shuffling.py`

Each table varies one constant, and its rows are taken in turn in one run; the row of ratio 1.00 is the value in use.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from timing import PAUSE, Job, in_turn, report
from training import EPOCHS, RATE, data

from autodiff_ref.train import Recipe, Shuffler, epoch, initial_layers, sgd, shuffle, start
from autodiff_ref.train.run import on_device
from autodiff_ref.train.shuffle import PAGE, REDEAL, SEGMENT, STREAM, Table, aligned, one_ahead

BATCH, D = 128, 30
NEVER = 1 << 30


def where(constant: str, value: int, job: Job) -> Job:
    """`job`, run while a constant of the module has another value."""

    def run() -> None:
        usual = getattr(shuffle, constant)
        setattr(shuffle, constant, value)
        try:
            job()
        finally:
            setattr(shuffle, constant, usual)

    return run


def epochs(table: Table, mode: str, segment: int = SEGMENT, first: int = 0) -> Job:
    """`EPOCHS` epochs of two units from number `first` on, as `fit` runs them."""
    layers = jax.tree.map(lambda w: w.astype(np.float32), initial_layers(D, (2,), "sigmoid", False, 0))
    recipe = Recipe(sgd(RATE))
    shuffler = Shuffler(table.copy(), BATCH, 0, mode, segment=segment, overwrite=True)

    def run() -> None:
        state = start(recipe, layers)
        numbers = range(first, first + EPOCHS)
        for part in one_ahead(on_device(part for number in numbers for part in shuffler.epoch(number))):
            state, ll = epoch(recipe, state, part.table, batch_size=BATCH, order=part.order)
            ll.block_until_ready()

    return run


def first_segment(n: int, rows: int) -> Job:
    """The gather of one segment of examples from a table of n, by as many threads as `Shuffler` takes."""
    table = aligned(rows, n, np.dtype(np.float32))
    table[:] = 1
    shuffler = Shuffler(table, BATCH, 0, "examples")
    order = np.random.default_rng(0).permutation(n)
    return lambda: next(iter(shuffler._permuted(order)))


def result(case: str, baseline: str, jobs: dict[str, Job], rounds: int, parts: int) -> dict[str, Any]:
    """One table: the times of `jobs`, each divided by `parts`."""
    times = in_turn(jobs, rounds, pause=PAUSE)
    return {"case": case, "baseline": baseline, "times": {name: seconds / parts for name, seconds in times.items()}}


def main() -> None:
    """Runs the benchmark."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print everything as JSON")
    options.add_argument("--rounds", type=int, default=7, help="how often each setting runs")
    options.add_argument("--n", type=int, default=100_000, help="examples")
    chosen = options.parse_args()
    x, y = data(chosen.n, D)
    table = np.ascontiguousarray(np.concatenate([x.T, y[None]]))
    size = f"{chosen.n:,} × {D}, 2 units, batch {BATCH}, float32: one epoch"
    epochs_apart = {k: f"REDEAL = {k}" for k in (1, 2, 4, REDEAL, 16, NEVER)} | {NEVER: "never dealt anew"}
    runs = {PAGE >> k: f"PAGE = {PAGE >> k}, runs of {(PAGE >> k) // (4 * BATCH)}" for k in range(4)}
    results = [
        result(
            f"{size} of shuffle=batches",
            epochs_apart[REDEAL],
            {name: where("REDEAL", k, epochs(table, "batches", first=int(k == NEVER))) for k, name in epochs_apart.items()}
            | {"shuffle=none": epochs(table, "none")},
            chosen.rounds,
            EPOCHS,
        ),
        result(
            f"{size} of shuffle=batches, never dealt anew",
            runs[PAGE],
            {name: where("REDEAL", NEVER, where("PAGE", k, epochs(table, "batches", first=1))) for k, name in runs.items()}
            | {"shuffle=none": epochs(table, "none")},
            chosen.rounds,
            EPOCHS,
        ),
        result(
            f"{size} of shuffle=examples",
            f"SEGMENT = {SEGMENT:,}",
            {f"SEGMENT = {k:,}": epochs(table, "examples", k) for k in (12_800, 25_600, 51_200, SEGMENT)},
            chosen.rounds,
            EPOCHS,
        ),
    ]
    for n in (100_000, 1_000_000, 4_000_000):
        gather = first_segment(n, 8)
        names = {NEVER: "each row read in order first", 0: "gathered at once"}
        results.append(
            result(
                f"{min(n, SEGMENT // BATCH * BATCH):,} examples of 8 rows of {4 * n / 1e6} MB each, gathered",
                names[NEVER if 4 * n <= STREAM else 0],
                {name: where("STREAM", k, gather) for k, name in names.items()},
                chosen.rounds,
                1,
            )
        )
    report("Shuffling", results, chosen.json)


if __name__ == "__main__":
    main()
