"""Many functions judged in processes of their own, each with a limit: what fails or takes too long costs its own row.

A function may leave something behind in its process, as a tracer in a cache, that no other function can be judged with. So
one of which nothing could be said is judged again, in a new process.
"""

import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from autodiff_ref.judge.errors import reason_of
from autodiff_ref.judge.rules.findings import Finding, RuleReport

Job = tuple[str, str]
"""(target, name)"""

Found = RuleReport | str | None
"""a report, why there is none, or None for a function that has none because it meets no rule"""

GRACE = 3.0
"""A process is ended after so many times the seconds that one function may take: tracing cannot be interrupted."""


@dataclass
class _Worker:
    """A process that judges one function after the other."""

    process: BaseProcess
    pipe: Connection
    job: Job | None = None
    since: float = 0.0


def judge_all(
    jobs: Sequence[Job],
    judge: Callable[[str, str, dict[str, Any]], Found],
    options: dict[str, Any],
    *,
    workers: int = 2,
    seconds: float = 20.0,
) -> Iterator[tuple[Job, Found]]:
    """The report of each function as it is done, in no order, or what there is instead.

    Args:
        jobs: what is to be judged.
        judge: a function of a module, which each process imports: (target, name, options) -> report.
        options: handed to it.
        workers: processes.
        seconds: of work for one function; it is ended after three times that.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(jobs)[::-1]
    running: list[_Worker] = []
    again: set[Job] = set()

    def start() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, judge, {**options, "seconds": seconds}), daemon=True)
        process.start()
        theirs.close()
        running.append(_Worker(process, ours))

    def hand_out(worker: _Worker) -> None:
        worker.job = waiting.pop() if waiting else None
        worker.since = time.monotonic()
        if worker.job is not None:
            worker.pipe.send(worker.job)

    for _ in range(min(workers, len(waiting))):
        start()
        hand_out(running[-1])
    try:
        while any(worker.job for worker in running):
            ready = wait([worker.pipe for worker in running if worker.job], timeout=0.5)
            for worker in tuple(running):
                job = worker.job
                if job is None:
                    continue
                if worker.pipe in ready:
                    try:
                        found = worker.pipe.recv()
                    except (EOFError, OSError):
                        yield job, failed(job, "its process ended")
                        _replace(worker, running, start)
                        hand_out(running[-1])
                        continue
                    if _says_nothing(found) and job not in again:
                        again.add(job)
                        waiting.append(job)
                        _replace(worker, running, start)
                        hand_out(running[-1])
                        continue
                    hand_out(worker)
                    yield job, found
                elif time.monotonic() - worker.since > GRACE * seconds + 30:
                    yield job, failed(job, f"it took more than {GRACE * seconds + 30:g} s{MAY_NOT_END}")
                    _replace(worker, running, start)
                    hand_out(running[-1])
    finally:
        for worker in running:
            worker.process.kill()


MAY_NOT_END = "; a loop may not end at numbers that it is not meant for: say by --domain what it takes"


def _says_nothing(found: Found) -> bool:
    return isinstance(found, RuleReport) and found.verdict in ("raises", "undecided")


def _replace(worker: _Worker, running: list[_Worker], start: Callable[[], None]) -> None:
    worker.process.kill()
    running.remove(worker)
    start()


def _serve(pipe: Connection, judge: Callable[..., Found], options: dict[str, Any]) -> None:
    os.dup2(2, 1)  # what a library prints, and what compiled code prints, is none of our rows
    sys.stdout = sys.stderr
    quieten()
    while True:
        try:
            target, name = pipe.recv()
        except EOFError:
            return
        try:
            found = judge(target, name, options)
        except Exception as error:  # of one function: its row says so
            found = failed((target, name), reason_of(error))
        pipe.send(found)


def quieten() -> None:
    """Keeps JAX from logging a traceback for each input at which a function calls Python back to raise an error."""
    logging.getLogger("jax._src.callback").setLevel(logging.CRITICAL)


def failed(job: Job, why: str) -> RuleReport:
    """The row of a function that could not be judged."""
    target, name = job
    whole = f"{target}:{name}" if target.endswith(".py") else f"{target}.{name}".lstrip(":.")
    return RuleReport(whole, "", 0, findings=(Finding("undecided", name, "", "", "", "", "", 0.0, why, 0),))
