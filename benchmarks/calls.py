"""What a call of `fit` costs beside the training: first, warm, another n or rate; ten folds. `python benchmarks/calls.py`

569 examples of 30 features, 50 epochs in batches of 32, two units, as in the worked example. Each "first" is a process of
its own, timed from after its imports. A folder for compilations is made, filled by the first process, and read by the
second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from timing import machine


def timed(job: Callable[[], Any]) -> dict[str, float]:
    """Seconds by the clock, and of the processor, which other work on the machine does not add to."""
    clock, processor = time.perf_counter(), time.process_time()
    job()
    return {"seconds": time.perf_counter() - clock, "of the processor": time.process_time() - processor}


def measure(rounds: int) -> dict[str, Any]:
    """One process: its first call, calls that differ, ten folds beside scikit-learn."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from autodiff_ref.train import fit

    warnings.simplefilter("ignore")
    x, y = load_breast_cancer(return_X_y=True)

    def theirs(rows: Any) -> None:
        net = MLPClassifier((2,), activation="logistic", solver="sgd", batch_size=32, max_iter=50, learning_rate_init=0.1)
        make_pipeline(StandardScaler(), net.set_params(alpha=0, n_iter_no_change=50)).fit(x[rows], y[rows])

    every = np.arange(len(x))
    folds = [every[every % 10 != k] for k in range(10)]
    found = {"first": timed(lambda: fit(x, y))}
    warm, rate, size, ours, sklearn = [], [], [], [], []
    for k in range(rounds):
        warm.append(timed(lambda: fit(x, y)))
        rate.append(timed(lambda k=k: fit(x, y, learning_rate=0.05 + k / 1000)))
        size.append(timed(lambda k=k: fit(x[: 560 - k], y[: 560 - k])))
        ours.append(timed(lambda: [fit(x[rows], y[rows]) for rows in folds]))
        sklearn.append(timed(lambda: [theirs(rows) for rows in folds]))
    several = {"warm": warm, "another rate": rate, "another n": size, "ten folds": ours, "ten folds, scikit-learn": sklearn}
    return found | {
        name: {kind: statistics.median(t[kind] for t in times) for kind in times[0]} for name, times in several.items()
    }


def main() -> None:
    """Runs the benchmark."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print everything as JSON")
    options.add_argument("--rounds", type=int, default=5, help="how often each call is timed")
    options.add_argument("--one", action="store_true", help="measure in this process")
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.rounds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for name in ("nothing kept", "compilations kept"):
            command = [sys.executable, __file__, "--one", "--rounds", str(chosen.rounds)]
            done = subprocess.run(
                command, env=os.environ | {"MANUAL_GRAD_CACHE": folder}, capture_output=True, text=True, check=True
            )
            runs[name] = json.loads(done.stdout)
    if chosen.json:
        print(json.dumps({"machine": machine(), "runs": runs}, ensure_ascii=False))
        return
    print("## Calls of `fit`\n\n" + ", ".join(f"{key} {value}" for key, value in machine().items()))
    print("\n| ms, by the clock (of the processor) | " + " | ".join(runs) + " |\n|---|" + "---:|" * len(runs))
    for name in runs["nothing kept"]:
        cells = [f"{1e3 * run[name]['seconds']:.0f} ({1e3 * run[name]['of the processor']:.0f})" for run in runs.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")
    kept = runs["compilations kept"]
    warm = kept["warm"]["seconds"]
    asked = {
        "first call with compilations kept, at most 300 ms": (1e3 * kept["first"]["seconds"], 300.0),
        "another rate over the training itself, at most 50 ms": (1e3 * (kept["another rate"]["seconds"] - warm), 50.0),
        "another n over the training itself, at most 50 ms": (1e3 * (kept["another n"]["seconds"] - warm), 50.0),
        "ten folds, at most scikit-learn's": (
            1e3 * kept["ten folds"]["seconds"],
            1e3 * kept["ten folds, scikit-learn"]["seconds"],
        ),
    }
    print()
    for name, (value, target) in asked.items():
        print(f"{name}: {value:.0f} of {target:.0f}: {'met' if value <= target else 'MISSED'}")


if __name__ == "__main__":
    main()
