"""The lines of a derivation written as expressions, at the one shape that proofs are made at."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.domains import is_label, label_flags
from autodiff_ref.judge.errors import LineError
from autodiff_ref.judge.inputs import RandomSource, dimension_names, draw_arguments
from autodiff_ref.judge.lines.trace import REFERENCE
from autodiff_ref.judge.program.plans import Array, NoRuleError
from autodiff_ref.judge.program.walk import plan_parts
from autodiff_ref.judge.symbols.expressions import Context, Expressions, Node, symbolic_arguments
from autodiff_ref.judge.symbols.primitives import nodes_of
from autodiff_ref.judge.symbols.table import SYMBOLS
from autodiff_ref.trees import Arguments, Function
from manual_grad.derivation import Derivation, Line, label_of

SIZES = (3, 4, 5, 2, 7, 11, 13)
"""for dimensions in turn: small, since a proof takes longer for larger ones"""


def proof_sizes(derivation: Derivation) -> Mapping[str, int]:
    """A size for each named dimension: pairwise different, from 2 on, and none that is a fixed dimension's.

    With a size of 1 a mean is a sum; equal sizes hide a transposed index.
    Dimensions of labels come first and get the smallest sizes.
    """
    leaves = jax.tree.leaves(derivation.domain)
    labels = [leaf for leaf in leaves if is_label(leaf)]
    names = list(dict.fromkeys([*dimension_names(tuple(labels)), *dimension_names(derivation.domain)]))
    taken = {dim for leaf in leaves for dim in leaf.dims if isinstance(dim, int)}
    sizes: dict[str, int] = {}
    for name in names:
        low, high = derivation.sizes.get(name, (2, SIZES[-1]))
        wanted = [*SIZES, *range(low, high + 1)]
        allowed = [size for size in wanted if low <= size <= high]
        sizes[name] = next((size for size in allowed if size not in taken), allowed[0])
        taken.add(sizes[name])
    return sizes


def smallest_sizes(derivation: Derivation, sizes: Mapping[str, int]) -> Mapping[str, int]:
    """2 for each named dimension, or the least size that it has above 1; a fixed dimension may have the same."""
    least = {name: max(2, derivation.sizes.get(name, (2, 2))[0]) for name in sizes}
    return {name: min(size, least[name]) for name, size in sizes.items()}


def other_size(derivation: Derivation, sizes: Mapping[str, int], name: str) -> int | None:
    """Another size of a named dimension, as different from all others.

    None where there is none, or positions along it are not alike: it counts classes, or a condition holds entries together.
    """
    leaves = jax.tree.leaves(derivation.domain)
    taken = {*sizes.values(), *(dim for leaf in leaves for dim in leaf.dims if isinstance(dim, int))}
    low, high = derivation.sizes.get(name, (2, SIZES[-1]))
    is_tied = any(name in leaf.tied() for leaf in leaves)
    return None if is_tied else next((size for size in range(low, high + 1) if size not in taken and size > 1), None)


def proof_arguments(derivation: Derivation, sizes: Mapping[str, int] | None = None) -> Arguments:
    """Some arguments at the shape that proofs are made at, or at other sizes."""
    sizes = proof_sizes(derivation) if sizes is None else sizes
    return draw_arguments(derivation.domain, sizes, "ordinary", RandomSource(np.random.default_rng(0)))


@dataclass(frozen=True)
class Written:
    """A line, or the condition that it claims to need, as nodes; or why there are none."""

    nodes: list[Node] = field(default_factory=list[Node])
    reason: str = ""
    decimals: frozenset[str] = frozenset()
    """constants in it that say what no short decimal says, as 1.4142135623730951"""


class Writer:
    """Writes lines with the arguments as symbols. What cannot be written is a reason, and never an exception."""

    def __init__(self, bench: Bench, sizes: Mapping[str, int] | None = None) -> None:
        """Writes the arguments.

        Args:
            bench: the lines.
            sizes: of the named dimensions; without them, those of `proof_sizes`.
        """
        self._bench, self._given = bench, sizes
        self.expressions = Expressions()
        self.labels = label_flags(bench.derivation.domain)
        leaves = jax.tree.leaves(bench.derivation.domain)
        self.has_labels = any(is_label(leaf) for leaf in leaves)
        self.sizes: Mapping[str, int] = {}
        self._written: dict[Hashable, Written] = {}
        self.args: Arguments = ()
        self._symbols: list[Array] = []
        self._why_none = self._made(self._prepare).reason

    def _prepare(self) -> Written:
        derivation = self._bench.derivation
        self.sizes = proof_sizes(derivation) if self._given is None else self._given
        self.args = proof_arguments(derivation, self.sizes)
        self._symbols = symbolic_arguments(derivation.domain, self.sizes, self.expressions)
        return Written()

    def value(self, line: Line | None) -> Written:
        """What a line returns; None is the reference."""
        return self._once(REFERENCE if line is None else label_of(line), lambda: self._value(line))

    def condition(self, line: Line | None) -> Written:
        """The condition under which a line claims to hold, as one node; no node where it claims to hold everywhere."""
        valid = getattr(line, "valid", None)
        return (
            Written()
            if line is None or valid is None
            else self._once((label_of(line), "valid"), lambda: self._condition(valid))
        )

    def _once(self, key: Hashable, write: Callable[[], Written]) -> Written:
        if key not in self._written:
            self._written[key] = Written(reason=self._why_none) if self._why_none else self._made(write)
        return self._written[key]

    def _made(self, write: Callable[[], Written]) -> Written:
        try:
            return write()
        except NoRuleError as error:
            return Written(reason=f"no symbolic rule for {error.primitive}")
        except (NotImplementedError, LineError) as error:
            return Written(reason=str(error))
        except Exception as error:  # the judge's own mistake: never a verdict on the line
            return Written(reason=f"the judge failed: {type(error).__name__}: {error}")

    def _value(self, line: Line | None) -> Written:
        traced = self._bench.traced(line, self.args)
        return self._run(traced.closed, len(jax.tree.leaves(traced.shapes)))

    def _condition(self, valid: Function) -> Written:
        try:
            with jax.enable_x64(True):
                closed = jax.make_jaxpr(valid)(*self.args)
        except Exception as error:  # NumPy code, which takes no tracers
            return Written(reason=f"JAX cannot trace its condition: {type(error).__name__}")
        return self._run(closed, 1)

    def _run(self, closed: core.ClosedJaxpr, width: int) -> Written:
        context = Context(self.expressions)
        planned = plan_parts(closed, SYMBOLS, [width], labels=self.labels)[0]
        outputs = planned.run(context, *self._symbols)
        nodes = [node for output in outputs for node in np.ravel(nodes_of(context, np.asarray(output)))]
        return Written(nodes, decimals=frozenset(context.decimals))
