"""The judge over functions of JAX that nobody here wrote: is the derivative that JAX gives of each one right?

    python benchmarks/jax_functions.py                                  all rows of the catalogue: most of an hour on 2 cores
    python benchmarks/jax_functions.py jax.nn "norm(ord"                rows whose name holds one of these words
    python benchmarks/jax_functions.py --json FILE --jobs 2             what was found, written after each row
    python benchmarks/jax_functions.py --json FILE --resume FILE        rows that FILE holds already are not judged again
    python benchmarks/jax_functions.py --table FILE > docs/jax-functions.md

The only line of each derivation is the function's own derivative by JAX, so that a right derivative must come out right, and
a wrong one refuted, partial, or the reference wrong. Each function is judged in a worker process with a limit of time: one
that crashes or never ends costs its own row.
"""

import argparse
import json
import os
import platform
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

LIMIT = 180.0
"""Seconds that one function may take, start of a worker included."""

VERDICTS = ("proved", "agrees", "within", "partial", "refuted", "reference wrong", "undecided", "no derivative", "failed")
"""`reference wrong` beside a line's verdict; `no derivative`: JAX raises; `failed`: the worker crashed or took too long"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Judges the rows that are asked for, or prints the table of those that were judged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="judge only rows whose name holds one of these")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--limit", type=float, default=LIMIT)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        work()
    elif options.table:
        from jax_table import page

        print(page(json.loads(options.table.read_text())))
    else:
        run(options.words, options.json, options.resume, options.jobs, options.limit)


# A worker: names of rows come in on stdin, what is found goes out on stdout, one line each


def work() -> None:
    """Judges the rows whose names are read, until there are no more."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a function prints is no answer
    from jax_catalogue import catalogue

    rows = {row.name: row for row in catalogue()}
    for line in sys.stdin:
        print(json.dumps(judged(rows[line.rstrip("\n")])), file=out, flush=True)


def judged(row: Any, **options: Any) -> dict[str, Any]:
    """What the judge says of one row."""
    from autodiff_ref import verify
    from autodiff_ref.judge.errors import LineError

    start = time.perf_counter()
    found: dict[str, Any] = {"name": row.name, "module": row.module, "note": row.note}
    try:
        report = verify(row.derivation(), suspects=False, **options)
    except LineError as error:
        found |= {"verdict": "no derivative", "reason": str(error).splitlines()[0]}
    except Exception as error:  # of the judge's own
        found |= {
            "verdict": "failed",
            "reason": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        }
    else:
        line = report.lines[0]
        example = line.counterexample.to_dict() if line.counterexample else {}
        found |= {
            "verdict": line.verdict if report.reference_is_right else "reference wrong",
            "line": line.verdict,
            "reason": report.reference if not report.reference_is_right else line.reason,
            "ulps": line.apart,
            "kinks": line.kinks,
            "conventions": line.conventions,
            "notes": [note for note in report.notes if "itself" not in note],  # the line is JAX's, as it is meant to be
            "inputs": sum(line.inputs.values()),
            "example": {key: example[key] for key in ("at", "component", "values") if key in example},
        }
    return {**found, "seconds": round(time.perf_counter() - start, 1)}


class Worker:
    """A process that judges rows, and is started again after one that it did not survive."""

    def __init__(self, limit: float) -> None:
        self.limit, self.process = limit, None

    def judge(self, name: str) -> dict[str, Any]:
        """What the process says of a row, or why it says nothing."""
        if self.process is None:
            command = [sys.executable, __file__, "--worker"]
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        start, process = time.perf_counter(), self.process
        alarm = threading.Timer(self.limit, self._kill)
        alarm.start()
        try:
            process.stdin.write(name + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            alarm.cancel()
        if answer:
            return json.loads(answer)
        seconds = time.perf_counter() - start
        self.stop()
        why = f"took more than {self.limit:g} s" if seconds >= self.limit else f"the worker ended with {process.returncode}"
        module = ".".join(name.split(".")[: 3 if name.startswith("jax.scipy") else 2])
        return {"name": name, "module": module, "verdict": "failed", "reason": why, "seconds": round(seconds, 1)}

    def _kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # the prover that it started as well

    def stop(self) -> None:
        """Ends the process."""
        self._kill()
        if self.process is not None:
            self.process.wait()
        self.process = None


def run(words: Sequence[str], path: Path | None, resume: Path | None, jobs: int, limit: float) -> None:
    """Judges the rows whose names hold one of the words, and prints one line for each, then how many there are of each."""
    from jax_catalogue import catalogue

    names = [row.name for row in catalogue() if not words or any(word in row.name for word in words)]
    done: dict[str, dict[str, Any]] = {}
    if resume is not None and resume.exists():
        done = {found["name"]: found for found in json.loads(resume.read_text())["rows"]}
    open_, lock, start = queue.SimpleQueue[str](), threading.Lock(), time.perf_counter()
    left = [name for name in names if name not in done]
    for name in left:
        open_.put(name)

    def serve() -> None:
        worker = Worker(limit)
        try:
            while True:
                try:
                    name = open_.get_nowait()
                except queue.Empty:
                    return
                found = worker.judge(name)
                with lock:
                    done[name] = found
                    counted = len(left) - open_.qsize()
                    print(f"{counted:3}/{len(left)}  {told(found)}", flush=True)
                    if path is not None:
                        write(path, [done[name] for name in [row.name for row in catalogue()] if name in done])
        finally:
            worker.stop()

    threads = [threading.Thread(target=serve) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = Counter(done[name]["verdict"] for name in names)
    totals = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    print(f"\n{len(names)} functions in {time.perf_counter() - start:.0f} s: {totals}")


def told(found: dict[str, Any]) -> str:
    """One row for people."""
    reason = found["reason"] or (found.get("notes") or [""])[0]
    return f"{found['verdict']:15} {found['seconds']:6.1f} s  {found['name']}" + (
        f"\n{'':33}{reason[:300]}" if reason else ""
    )


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """What was found, with what it was found of."""
    import jax

    about = {"jax": jax.__version__, "python": platform.python_version(), "rows": rows}
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    beside.replace(path)


if __name__ == "__main__":
    main()
