"""Derivations judged in a process of their own, which is killed where one takes longer than its time limit.

The process is a fresh interpreter, not a fork: JAX runs threads. It imports the targets by their paths, and says what it
does in lines of JSON, so that what it found is known although it is killed. What it prints goes to stderr.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from types import FrameType
from typing import Any, TextIO

from autodiff_ref.cli.judging import Listener, Order, Outcome, Paper, cut_short, error, of_report
from autodiff_ref.cli.judging import judged as judged_here
from autodiff_ref.judge.derivations import Progress
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.report import Report
from autodiff_ref.trees import Json
from manual_grad.derivation import Derivation, label_of

STARTING = 300.0
"""seconds that a process may take to start, and to say what it does next"""

LOADING = 10.0
"""seconds that importing a target may take, where the time limit is less"""

_START = """
import json, sys
order = json.loads(sys.stdin.readline())
sys.path[:] = order["path"]
from autodiff_ref.cli.apart import main
main(order)
"""

Message = dict[str, Any]


def _grace(timeout: float) -> float:
    """Seconds beyond the time limit, in which a derivation may end the line at hand and leave the others."""
    return 1.0 + timeout / 4


def over(timeout: float) -> str:
    """What is said of what a time limit has stopped."""
    return f"the time limit of {timeout:g} s was over"


# Here: the process that asks


def judged(order: Order, listener: Listener, timeout: float) -> Iterator[Outcome]:
    """The same as `judging.judged`, with a time limit for each derivation that holds whatever its lines do.

    Importing a target has as long, and at least LOADING seconds. Where a line never ends and those before it have not been
    judged, since all are traced first, these are judged once more without it, and have the same time for it.
    """
    asked = _Asked(list(order.targets), set(order.skip))
    while asked.targets:
        left = replace(order, targets=tuple(asked.targets), skip=frozenset(asked.skip), cut=asked.cut)
        child = _Child(left, timeout)
        try:
            yield from _listened(child, asked, listener, timeout)
        finally:
            child.kill()


@dataclass
class _Asked:
    """What is still to be judged."""

    targets: list[str]
    skip: set[str]
    said: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """errors that were told of: a package that is imported again has them again"""
    cut: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """lines that never end"""


def _listened(child: "_Child", asked: _Asked, listener: Listener, timeout: float) -> Iterator[Outcome]:
    """What a process finds, until it has done everything, has to be killed, or is gone."""
    deadline, moved, loading, begun, outlook = time.monotonic() + STARTING, False, "", "", None
    hard = timeout + _grace(timeout) + 1.0  # the process itself notices before
    with ExitStack() as stack:
        tell: Progress = lambda done, total, what: None  # noqa: E731
        while True:
            message = child.next(deadline)
            now = time.monotonic()
            match message["is"]:
                case "loading":
                    loading, begun = message["target"], ""
                    asked.targets = asked.targets[asked.targets.index(loading) :]
                    listener.loading(loading)
                    deadline = now + max(timeout, LOADING)
                case "judging" | "planting" as what:
                    loading, begun, outlook = "", message["target"], None
                    stack.close()
                    start = listener.judging if what == "judging" else listener.planting
                    tell = stack.enter_context(start(begun, message["name"]))
                    deadline = now + hard
                case "progress":
                    tell(message["done"], message["total"], message["step"])
                case "outlook":
                    outlook = Outcome(**message["outcome"])
                case "outcome":
                    stack.close()
                    found = Outcome(**message["outcome"])
                    if found.kind != "error" or (found.target, found.text) not in asked.said:
                        asked.said.add((found.target, found.text))
                        yield found
                    asked.skip.add(found.target)
                    begun, loading, moved, deadline = "", "", True, now + STARTING
                case "end":
                    asked.targets = []
                    return
                case ending:
                    stack.close()
                    late = ending == "late"
                    limit = timeout if begun else max(timeout, LOADING)
                    why = over(limit) if late else f"its process ended by itself (exit code {child.exit_code()})"
                    if begun and late and message.get("line") is not None and begun not in asked.cut:
                        asked.cut[begun] = message["line"], message["reason"]
                        return
                    if begun and late and outlook is not None:
                        yield outlook
                    elif begun or loading or not moved:
                        at = begun or loading or asked.targets[0]
                        yield error(at, f"{at}: {why}{' while it was imported' * (not begun)}", 0)
                    if begun:
                        asked.skip.add(begun)
                    elif loading or not moved:
                        asked.targets = asked.targets[1:]
                    return


class _Child:
    """The process, as the one that asks sees it."""

    def __init__(self, order: Order, timeout: float) -> None:
        """Starts it."""
        said = asdict(order) | {"skip": sorted(order.skip), "path": sys.path, "timeout": timeout}
        self._running = subprocess.Popen(
            [sys.executable, "-P", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if order.of else None,  # what students print is not shown
            text=True,
            encoding="utf-8",
        )
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        threading.Thread(target=self._read, args=(self._running.stdout,), daemon=True).start()
        try:
            self._running.stdin.write(json.dumps(said) + "\n")
            self._running.stdin.flush()
        except BrokenPipeError:  # it is gone, and `next` will say so
            return

    def _read(self, lines: TextIO) -> None:
        try:
            for line in lines:
                self._messages.put(json.loads(line))
        except ValueError:  # closed while it was read, or cut off where it was killed
            pass
        self._messages.put({"is": "gone"})

    def next(self, deadline: float) -> Message:
        """What it says next; that it is late where it says nothing until then."""
        try:
            return self._messages.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return {"is": "late"}

    def exit_code(self) -> int:
        """Of a process that is gone."""
        return self._running.wait()

    def kill(self) -> None:
        """Ends it."""
        self._running.kill()
        self._running.wait()
        for pipe in (self._running.stdin, self._running.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was still to be written has no reader
                continue


# There: the process that is asked


def main(order: Message) -> None:
    """Judges, and says on stdout what is found; ends with the process that asked."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what lines print is no message
    threading.Thread(target=_end_with_parent, daemon=True).start()
    paper = Paper(**order["paper"])
    said: Message = {each.name: order[each.name] for each in fields(Order)}
    said |= {"targets": tuple(order["targets"]), "paper": paper, "skip": frozenset(order["skip"])}
    asked = Order(**said)
    teller = _Teller(told, paper, order["timeout"])
    for outcome in judged_here(asked, teller):
        teller.say("outcome", outcome=asdict(outcome))
    teller.say("end")


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


class _Teller(Listener):
    """Says what comes next, and what would be reported if the time were over now."""

    def __init__(self, told: TextIO, paper: Paper, timeout: float) -> None:
        self._told, self._paper, self._timeout = told, paper, timeout
        self._lock = threading.Lock()
        self._target = ""
        self._state: tuple[Derivation, Traces | None, Report, int] | None = None
        self._main = threading.get_ident()

    def say(self, what: str, **content: Json) -> None:
        """A message."""
        with self._lock:
            self._told.write(json.dumps({"is": what, **content}) + "\n")
            self._told.flush()

    def loading(self, target: str) -> None:
        """A target is about to be imported."""
        self.say("loading", target=target)

    def judging(self, target: str, name: str) -> AbstractContextManager[Progress]:
        """A derivation is about to be judged."""
        return self._limited("judging", target, name, self._report_and_end)

    def planting(self, target: str, name: str) -> AbstractContextManager[Progress]:
        """Mistakes are about to be planted in it."""
        return self._limited("planting", target, name, lambda: self._no_trial_and_end(name))

    @contextmanager
    def _limited(self, what: str, target: str, name: str, end: Callable[[], None]) -> Generator[Progress]:
        self._target, self._state = target, None
        self.say(what, target=target, name=name)
        timer = threading.Timer(self._timeout + _grace(self._timeout), end)
        timer.daemon = True
        timer.start()
        try:
            yield lambda done, total, step: self.say("progress", done=done, total=total, step=step)
        finally:
            timer.cancel()

    def so_far(self, derivation: Derivation, traces: Traces | None, report: Report, k: int) -> None:
        """What would be reported if the time were over now."""
        self._state = derivation, traces, report, k
        self.say("outlook", outcome=asdict(self._cut_short(None)))

    def _cut_short(self, label: str | None) -> Outcome:
        assert self._state is not None
        _, _, report, k = self._state
        made = of_report(self._target, cut_short(report, k, label, over(self._timeout)), self._paper)
        return replace(made, code=made.code or 3, entry=made.entry | {"ok": False})

    def _report_and_end(self) -> None:
        """The time is over: says at which line, if that can be seen, and ends this process."""
        if self._state is not None:
            derivation, traces, report, k = self._state
            labels = [line.label for line in report.lines]
            frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] (documented, in spite of its name)
            label = at_hand(frames.get(self._main), derivation, traces)
            self.say("outlook", outcome=asdict(self._cut_short(label)))
            if label is not None and labels.index(label) > max(k, 0):  # those before it are not judged yet
                reason = f"{over(self._timeout)} while judging {label}"
                self.say("late", line=labels.index(label), reason=reason)
                os._exit(0)
        self.say("late")
        os._exit(0)

    def _no_trial_and_end(self, name: str) -> None:
        reason = over(self._timeout)
        text = f"mistakes planted in {name}: {reason}\n"
        self.say("outlook", outcome=asdict(Outcome("trial", self._target, text, {"reason": reason}, 3)))
        self.say("late")
        os._exit(0)


def at_hand(frame: FrameType | None, derivation: Derivation, traces: Traces | None) -> str | None:
    """The line that is being evaluated: the innermost call that is handed it, or what was traced of it."""
    known = {id(line): label_of(line) for line in derivation.lines}
    if traces is not None:
        for traced in traces.traced:
            for held in (traced, traced.plan, traced.closed):
                if held is not None and traced.label in derivation.labels:
                    known[id(held)] = traced.label
    while frame is not None:
        for value in frame.f_locals.values():
            if id(value) in known:
                return known[id(value)]
        frame = frame.f_back
    return None
