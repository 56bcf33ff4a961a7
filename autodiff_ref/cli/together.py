"""Derivations judged in several processes at once, and reported in their order.

This process judges as well: another one takes two seconds to start. A verdict rests on a seed and on counted work, so that
it does not depend on how many processes there are.
"""

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from dataclasses import replace

from autodiff_ref.cli.judging import Listener, Order, Outcome, error, judged_one
from autodiff_ref.cli.judging import judged as judged_here
from autodiff_ref.cli.targets import Unusable, Usable, loaded

ENOUGH = 2
"""So many derivations at least are there for each process."""


def workers_for(targets: tuple[str, ...], wanted: int | None) -> int:
    """How many processes: as many as are wanted; else two for modules and packages, one for files, which would run anew."""
    if wanted is not None:
        return wanted
    is_file = any(target.rpartition(":")[0].endswith(".py") or target.endswith(".py") for target in targets)
    return 1 if is_file else min(2, os.cpu_count() or 1)


def judged(order: Order, listener: Listener, workers: int) -> Iterator[Outcome]:
    """The same as `judging.judged`, by at most so many processes, of which this is one."""
    if workers == 1:
        yield from judged_here(order, listener)
        return
    found = list(loaded(order.targets, before=listener.loading))
    waiting = deque(k for k, each in enumerate(found) if isinstance(each, Usable))
    finished: list[Future[list[Outcome]]] = [Future() for _ in found]
    for _ in range(min(workers, len(waiting) // ENOUGH) - 1):
        threading.Thread(target=_elsewhere, args=(order, found, waiting, finished), daemon=True).start()
    try:
        for k, each in enumerate(found):
            if isinstance(each, Unusable):
                yield error(each.target, each.reason, order.options.get("seed", 0))
                continue
            while not finished[k].done() and (mine := _taken(waiting)) is not None:
                one = found[mine]
                assert isinstance(one, Usable)
                finished[mine].set_result(list(judged_one(order, one, listener)))
            with listener.judging(each.target, each.derivation.name) as tell:
                tell(k, len(found), "in another process")
                outcomes = finished[k].result()
            yield from outcomes
    finally:
        waiting.clear()


def _taken(waiting: deque[int]) -> int | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _elsewhere(
    order: Order, found: list[Usable | Unusable], waiting: deque[int], finished: list[Future[list[Outcome]]]
) -> None:
    """In a thread: has what waits judged by another process, one after the other; by a fresh one where that ends."""
    pool: ProcessPoolExecutor | None = None
    while (k := _taken(waiting)) is not None:
        pool = pool or ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        target = found[k].target
        try:
            finished[k].set_result(pool.submit(_judged_alone, replace(order, targets=(target,)), list(sys.path)).result())
        except BrokenProcessPool:
            reason = f"{target}: its process ended by itself"
            finished[k].set_result([error(target, reason, order.options.get("seed", 0))])
            pool = None
        except BaseException as raised:  # it is raised where the outcome is waited for
            finished[k].set_exception(raised)
    if pool is not None:
        pool.shutdown(wait=False)


def _judged_alone(order: Order, path: list[str]) -> list[Outcome]:
    """In a process of its own: what lines print goes to stderr, as it is in no order."""
    sys.path[:] = path
    with redirect_stdout(sys.stderr):
        return list(judged_here(order, Listener()))
