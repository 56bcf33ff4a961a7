"""Reading a CSV file: by pyarrow as `read` does, by Python's reader, by pandas. `python benchmarks/reading.py`"""

import argparse
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from timing import Job, in_turn, report

from autodiff_ref.train import arrow, read


def main() -> None:
    """Runs the benchmark."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print everything as JSON")
    options.add_argument("--rounds", type=int, default=3, help="how often each contender runs, after one more")
    options.add_argument("--n", type=int, default=1_000_000, help="rows of 30 numbers and a label")
    options.add_argument("--slow", action="store_true", help="Python's reader as well")
    chosen = options.parse_args()
    x = np.random.default_rng(0).standard_normal((chosen.n, 30)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        with path.open("w") as file:
            file.write(",".join(f"c{k}" for k in range(30)) + ",y\n")
            for first in range(0, chosen.n, 10_000):
                rows = x[first : first + 10_000]
                file.writelines(
                    ",".join(f"{v:.6g}" for v in row) + (",yes\n" if row[0] > 0 else ",no\n") for row in rows.tolist()
                )
        size, quick = path.stat().st_size / 1e6, arrow.text

        def slowly() -> None:
            arrow.text = lambda *_: None
            try:
                read(path, "y")
            finally:
                arrow.text = quick

        jobs: dict[str, Job] = {"read": lambda: read(path, "y")}
        if chosen.slow:
            jobs["read, without pyarrow"] = slowly
        if find_spec("pandas"):
            import pandas

            jobs["pandas.read_csv"] = lambda: pandas.read_csv(path)
        times = in_turn(jobs, chosen.rounds)
    case = f"{chosen.n:,} × 30 and a label, {size:.0f} MB"
    report("Reading CSV", [{"case": case, "baseline": "read", "times": times}], chosen.json)


if __name__ == "__main__":
    main()
