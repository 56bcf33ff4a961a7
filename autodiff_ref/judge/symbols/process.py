"""The prover's process as the judge sees it: questions go in, answers come back.

How far it goes for a question is a budget of work, which the prover counts: the same questions get the same answers, however
busy the machine is. A clock kills it only where it takes far longer than its budget explains.

It is a fresh interpreter, not a fork: JAX runs threads. It loads the directory `prover` alone, without JAX, so that it is up
in a fifth of a second, and ends when this process does, however that ends.
"""

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from autodiff_ref.judge.symbols.prover.nodes import Node as Content
from autodiff_ref.judge.symbols.prover.polynomials import OUT_OF_WORK

_START = """
import importlib.util, sys
path = sys.argv[1]
spec = importlib.util.spec_from_file_location("prover", path + "/__init__.py", submodule_search_locations=[path])
sys.modules["prover"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from prover.worker import main
main()
"""
"""Loads the package `prover` by its path: importing it as a part of this one would import JAX."""


GUARD = 600.0
"""seconds after which a question is given up, whatever work was done: some 60 times what its budget takes"""

OUT_OF_ALL_WORK = "the lines together ran out of their budget of work"


@dataclass
class Account:
    """Work that several questions share, in the order in which they are asked."""

    left: int


@dataclass(frozen=True)
class Answer:
    """What the prover says."""

    reason: str
    """why nodes are not proved equal; empty where they are"""
    uses: tuple[str, ...] = ()
    """the identities that a proof rests on, by name"""
    left_out: tuple[int, ...] = ()
    """the nodes whose comparison a proof decides everywhere but where its two sides are equal"""
    work: int = 0
    """how much was done for it"""


@dataclass
class Question:
    """Are these nodes of a graph pairwise one function?"""

    graph: list[Content]
    known: int
    """how many of the graph's nodes there are to know for it"""
    pairs: list[tuple[int, int]]
    work: int
    """how much work may be done for it"""
    account: "Account"
    """how much work all questions together may take that share it"""
    answer: "Future[Answer]" = field(default_factory=lambda: Future[Answer]())


class Process:
    """A prover that is started with the first question, and again after it was killed. Questions are answered in turn."""

    def __init__(self) -> None:
        self._questions: queue.SimpleQueue[Question] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._running: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._graph: list[Content] | None = None
        self._sent = 0
        atexit.register(self.kill)

    def ask(self, graph: list[Content], pairs: Sequence[tuple[int, int]], work: int, account: Account) -> "Future[Answer]":
        """Asks whether nodes are pairwise equal; the answer comes while this process goes on."""
        question = Question(graph, len(graph), list(pairs), work, account)
        self._questions.put(question)
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, daemon=True, name="prover")
            self._thread.start()
        return question.answer

    def _serve(self) -> None:
        while True:
            question = self._questions.get()
            if not question.answer.set_running_or_notify_cancel():
                continue
            try:
                answer = self._answer(question)
            except Exception as error:  # never a verdict on the line
                self.kill()
                answer = Answer(f"the prover could not be asked: {type(error).__name__}: {error}")
            question.answer.set_result(answer)

    def _answer(self, question: Question) -> Answer:
        work = min(question.work, question.account.left)
        if work <= 0:
            return Answer(OUT_OF_ALL_WORK)
        running = self._running
        if running is None or running.poll() is not None:
            running = self._start()
        message: dict[str, object] = {}
        if self._graph is not question.graph:
            message["new"], self._graph, self._sent = True, question.graph, 0
        if self._sent < question.known:
            message["nodes"] = question.graph[self._sent : question.known]
            self._sent = question.known
        message |= {"id": 0, "pairs": question.pairs, "work": work}
        assert running.stdin is not None
        running.stdin.write(json.dumps(message) + "\n")
        running.stdin.flush()
        try:
            line = self._answers.get(timeout=GUARD)
        except queue.Empty:
            self.kill()
            return Answer(f"was stopped by the clock after {GUARD:g} s, long before its budget of work was spent")
        if line is None:
            return Answer(f"the prover's process ended by itself (exit code {running.wait()})")
        answer = json.loads(line)
        question.account.left -= answer["work"]
        if answer["reason"] == OUT_OF_WORK and work < question.work:
            return Answer(OUT_OF_ALL_WORK, work=answer["work"])
        return Answer(answer["reason"], tuple(answer["uses"]), tuple(answer["left_out"]), answer["work"])

    def _start(self) -> "subprocess.Popen[str]":
        self.kill()
        command = [sys.executable, "-P", "-c", _START, str(Path(__file__).parent / "prover")]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        same_order = {**os.environ, "PYTHONHASHSEED": "0"}  # of sets, in each process
        running = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=nowhere, text=True, encoding="utf-8", env=same_order
        )
        self._running, self._graph, self._answers = running, None, queue.SimpleQueue()
        threading.Thread(target=_read, args=(running, self._answers), daemon=True).start()
        return running

    def kill(self) -> None:
        """Ends the process; the next question starts it again."""
        running, self._running = self._running, None
        if running is not None:
            running.kill()
            running.wait()
            for pipe in (running.stdin, running.stdout):
                if pipe is not None:
                    _close(pipe)


def _close(pipe: IO[str]) -> None:
    try:
        pipe.close()
    except OSError:  # what was still to be written has no reader
        return


def _read(running: "subprocess.Popen[str]", answers: "queue.SimpleQueue[str | None]") -> None:
    """Hands on what the process says, and None at its end."""
    try:
        for line in running.stdout or ():
            answers.put(line)
    except ValueError:  # closed while it was read
        pass
    answers.put(None)


PROVER = Process()
"""one for all derivations that this process judges"""
