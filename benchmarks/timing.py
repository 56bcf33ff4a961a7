"""Times of several ways to do one thing, taken in turn in one run, so that what else the machine does hits all alike."""

import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

Job = Callable[[], Any]


PAUSE = 0.1
"""Seconds before a job of several threads: those of OpenMP and OpenBLAS keep a processor busy for a while after their work
is done. Without it, full batches on two threads took 18.9 ms after PyTorch, where they take 8.9."""


def in_turn(jobs: dict[str, Job], rounds: int, *, least: bool = False, pause: float = 0.0) -> dict[str, float]:
    """Median, or least, seconds of each job over `rounds` rounds, in each of which every job runs once; after one more."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            time.sleep(pause)
            since = time.perf_counter()
            job()
            if turn:
                times[name].append(time.perf_counter() - since)
    return {name: float(min(taken) if least else np.median(taken)) for name, taken in times.items()}


def machine() -> dict[str, Any]:
    """What the times depend on."""

    def of(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    return {
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        **{package: of(package) for package in ("jax", "numpy", "scikit-learn", "torch")},
    }


def asked(times: dict[str, float], *ratios: tuple[str, str, float]) -> list[dict[str, Any]]:
    """How many times as fast as `slow` `fast` is, for each (slow, fast, target) that was timed, with what is asked."""
    return [
        {"fast": fast, "slow": slow, "ratio": times[slow] / times[fast], "target": target}
        for slow, fast, target in ratios
        if slow in times and fast in times
    ]


def report(title: str, results: list[dict[str, Any]], as_json: bool) -> None:
    """Prints a Markdown table for each result {"case", "baseline", "times", "asked"}, or everything as JSON."""
    if as_json:
        print(json.dumps({"title": title, "machine": machine(), "results": results}, ensure_ascii=False))
        return
    print(f"## {title}\n\n" + ", ".join(f"{key} {value}" for key, value in machine().items()))
    for result in results:
        ours = result["times"][result["baseline"]]
        print(f"\n{result['case']}\n\n| | ms | times ours |\n|---|---:|---:|")
        for name, seconds in result["times"].items():
            print(f"| {name} | {1e3 * seconds:.2f} | {seconds / ours:.2f} |")
        for ratio in result.get("asked", []):
            verdict = "met" if ratio["ratio"] >= ratio["target"] else "MISSED"
            print(f"\n{ratio['fast']}: {ratio['ratio']:.2f} × {ratio['slow']}; asked {ratio['target']}: {verdict}", end="")
        print()


def exponent(sizes: list[int], values: list[float]) -> float:
    """The slope of log(value) over log(size), by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
