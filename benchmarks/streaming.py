"""Training from a file ten times the memory that is allowed: `python benchmarks/streaming.py`

A process that has trained once on a few examples, so that all is imported and compiled, is allowed so much private memory
more and no more (RLIMIT_DATA; pages of the mapped file do not count, since the system takes them back as it likes). Then it
trains on the file: by a source, and by arrays, which must fail.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from timing import machine

FEATURES = 30
WARM = 200_000
"""Examples that are trained on before the limit is set: more than a window, so that nothing is left to compile."""


def write(path: Path, size: int) -> int:
    """A .npy file of about so many bytes of float32, the label last and sorted, which is the worst order; its examples."""
    n = size // (4 * (FEATURES + 1))
    table = np.lib.format.open_memmap(path, "w+", np.float32, (n, FEATURES + 1))
    random = np.random.default_rng(0)
    for first in range(0, n, 1 << 16):
        rows = table[first : first + (1 << 16)]
        rows[:] = random.standard_normal(rows.shape, np.float32)
        label = first >= n // 2
        rows[:, -1] = label
        rows[:, 0] += 2 * label
    table.flush()
    return n


def memory() -> dict[str, int]:
    """This process's private memory now, and the most it ever had mapped to write to, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    about = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith("kB")}
    return {name: 1024 * int(about[name]) for name in ("RssAnon", "VmData")}


def train(path: Path, how: str, allowed: int) -> None:
    """What the process under the limit does; it prints JSON."""
    from autodiff_ref.train import Arrays, fit, read, source_of

    table = np.load(path, mmap_mode="r")
    some = table[:: max(1, len(table) // WARM)]
    options: dict[str, Any] = {"batch_size": 1024, "epochs": 1}
    fit(Arrays(some, some[:, -1], features=range(FEATURES)), **options)
    before = memory()
    resource.setrlimit(resource.RLIMIT_DATA, (before["VmData"] + allowed,) * 2)
    since, most = time.perf_counter(), 0

    def look(_: Any) -> None:
        nonlocal most
        most = max(most, memory()["RssAnon"] - before["RssAnon"])

    if how == "stream":
        result = fit(source_of(path, "-1"), on_epoch=look, **options | {"epochs": 2})
    else:
        data = read(path, "-1")
        result = fit(data.x, data.labels, on_epoch=look, **options | {"epochs": 2})
    taken = time.perf_counter() - since
    print(json.dumps({"seconds": taken, "most": most, "ll": result.history[-1].ll, "epoch": result.history[-1].seconds}))


def under_limit(path: Path, how: str, allowed: int) -> dict[str, Any]:
    """What came of a training in a process of its own: numbers, or the last line of its error."""
    command = [sys.executable, __file__, "--train", str(path), how, str(allowed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"ended by signal {-done.returncode}"])[-1]}
    return json.loads(done.stdout)


def main() -> None:
    """Runs the benchmark."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--allowed", type=int, default=64, help="MiB of private memory")
    options.add_argument("--json", action="store_true")
    options.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.train:
        path, how, allowed = chosen.train
        train(Path(path), how, int(allowed))
        return
    allowed = chosen.allowed << 20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "examples.npy"
        n = write(path, 10 * allowed)
        size = path.stat().st_size
        found = {how: under_limit(path, how, allowed) for how in ("stream", "arrays")}
    if chosen.json:
        print(json.dumps({"machine": machine(), "examples": n, "bytes": size, "allowed": allowed, **found}))
        return
    print(f"{n:,} × {FEATURES} in a file of {size >> 20} MiB, {chosen.allowed} MiB of memory beyond the program's own\n")
    for how, about in found.items():
        if "error" in about:
            print(f"{how}: {about['error'][:150]}")
        else:
            print(
                f"{how}: two epochs in {about['seconds']:.1f} s, the second at {size / about['epoch'] / 1e6:,.0f} MB/s; "
                f"ll {about['ll']:.4f}; {about['most'] >> 20} MiB more in use"
            )


if __name__ == "__main__":
    main()
