"""The prover's process: reads questions, one a line of JSON, and answers each with a line of JSON.

    {"new": true}                                forget all nodes
    {"nodes": [[operation, …], …]}               nodes that come behind those sent before
    {"id": 7, "pairs": [[3, 9], [4, 11], …], "work": 1000}
                                                 are these nodes pairwise equal?
    →  {"id": 7, "reason": "", "work": 96, "uses": ["sine squared"], "left_out": [3]}

An empty reason means that all pairs are proved equal. `uses` then names the identities that the proof rests on, and
`left_out` the nodes whose comparison was decided everywhere but where its two sides are equal. `work` is how much work may
be done for it, and how much was done: it is counted, so that every machine gives the same answer. The process ends with its
parent: as soon as nothing can be read.
"""

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any

from .identities import IDENTITIES, Trail
from .nodes import Graph, Node
from .polynomials import Budget, UnprovableError
from .shared import with_shared_closed

LITTLE = 400_000
"""how much work is done before anything else is tried: a tenth of a second"""

SHARE_OF_CLOSED = 8
"""the part of the work that may be done without looking into what both sides share"""


def main() -> None:
    """Answers until the parent is gone."""
    sys.setrecursionlimit(20_000)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    prover = Prover()
    for message in _messages(lines):
        if "new" in message:
            prover = Prover()
        prover.nodes.extend(message.get("nodes", ()))
        if "id" in message:
            answer = prover.answer(message["pairs"], message["work"])
            print(json.dumps({"id": message["id"], **answer}), flush=True)


def _read(lines: "queue.SimpleQueue[str]") -> None:
    """Reads beside the work, so that the parent's end is noticed at once."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _messages(lines: "queue.SimpleQueue[str]") -> Iterator[dict[str, Any]]:
    while True:
        yield json.loads(lines.get())


class Prover:
    """Nodes, and what is known of them."""

    def __init__(self) -> None:
        """Starts without nodes."""
        self.nodes: list[Node] = []
        self._graph, self._with_angles = Graph(self.nodes), Graph(self.nodes, adds_angles=True)

    def answer(self, pairs: list[list[int]], work: int) -> dict[str, object]:
        """Why some pair is not proved equal, empty where all are; what the proof rests on; and how much work was done.

        What is no little work is tried without looking into what both sides share first; last, with the sines of sums.

        Args:
            pairs: numbers of nodes.
            work: how much may be done.
        """
        asked = [(a, b) for a, b in pairs if a != b]
        reason, done, trail = "", 0, Trail()
        for graph, most in self._ways(asked, work) if asked else ():
            budget = graph.ring.budget = Budget(min(most, work - done))
            before = budget.left
            reason = answered(graph, asked)
            done += before - max(budget.left, 0)
            if not reason:
                trail = graph.trail_of(asked)
                break
        uses = [*(name for name in IDENTITIES if name in trail.identities), *sorted(trail.identities - IDENTITIES.keys())]
        return {"reason": reason, "work": done, "uses": uses, "left_out": sorted(trail.left_out)}

    def _ways(self, pairs: list[tuple[int, int]], work: int) -> Iterator[tuple[Graph, int]]:
        """Graphs in which it may be proved that nodes are equal, and how much work each is worth."""
        yield self._graph, LITTLE
        for nodes in with_shared_closed(self.nodes, pairs) if self._graph.ring.budget.left < 0 else ():
            yield Graph(nodes), work // SHARE_OF_CLOSED
        yield self._graph, work
        if any(node[0] == "tan" or node[1:2] in (["sin"], ["cos"]) for node in self.nodes):
            yield self._with_angles, work


def answered(graph: Graph, pairs: list[tuple[int, int]]) -> str:
    """Why some pair is not proved equal; empty where all are."""
    try:
        if graph.are_equal(pairs):
            return ""
    except UnprovableError as error:
        return str(error)
    except RecursionError:
        return "an expression is nested too deeply"
    except MemoryError:
        return "ran out of memory"
    except Exception as error:
        return f"the prover failed: {type(error).__name__}: {error}"
    return "the normal forms differ"
