"""The derivations of a package judged in several processes at once, and reported in their order.

A verdict rests on a seed and on counted work, so that it does not depend on how many processes there are.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from dataclasses import replace

from autodiff_ref.cli.judging import Listener, Order, Outcome, error
from autodiff_ref.cli.judging import judged as judged_here
from autodiff_ref.cli.targets import Unusable, loaded

FEW = 6
"""So many derivations are judged in this process: another one takes two seconds to start."""


def workers_for(targets: tuple[str, ...], wanted: int | None) -> int:
    """How many processes: as many as are wanted; else two for modules and packages, one for files, which would run anew."""
    if wanted is not None:
        return wanted
    is_file = any(target.rpartition(":")[0].endswith(".py") or target.endswith(".py") for target in targets)
    return 1 if is_file else min(2, os.cpu_count() or 1)


def judged(order: Order, listener: Listener, workers: int) -> Iterator[Outcome]:
    """The same as `judging.judged`, by so many processes where there are more than FEW derivations."""
    if workers == 1:
        yield from judged_here(order, listener)
        return
    found = list(loaded(order.targets, before=listener.loading))
    if len(found) <= FEW:
        yield from judged_here(order, listener)
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        alone = [None if isinstance(each, Unusable) else replace(order, targets=(each.target,)) for each in found]
        jobs = [None if each is None else pool.submit(_judged_alone, each, list(sys.path)) for each in alone]
        seed = order.options.get("seed", 0)
        for k, (each, job) in enumerate(zip(found, jobs, strict=True)):
            if isinstance(each, Unusable) or job is None:
                assert isinstance(each, Unusable)
                yield error(each.target, each.reason, seed)
                continue
            with listener.judging(each.target, f"{k + 1} of {len(found)}") as tell:
                tell(k, len(found), each.derivation.name)
                try:
                    outcomes = job.result()
                except BrokenProcessPool:
                    outcomes = [error(each.target, f"{each.target}: its process ended by itself", seed)]
            yield from outcomes
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _judged_alone(order: Order, path: list[str]) -> list[Outcome]:
    """In a process of its own: what lines print goes to stderr, as it is in no order."""
    sys.path[:] = path
    with redirect_stdout(sys.stderr):
        return list(judged_here(order, Listener()))
