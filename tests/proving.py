"""What the prover says of steps, without balls: for tests of it alone, and for `benchmarks/proofs.py`."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.judge.bench import Bench, Relation
from autodiff_ref.judge.inputs import Input, RandomSource, draw_arguments, draw_inputs, strata_of
from autodiff_ref.judge.lines.trace import label_flags, with_nabla
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.program.walk import plan
from autodiff_ref.judge.proving.proofs import Proofs
from autodiff_ref.judge.proving.writing import proof_sizes
from autodiff_ref.judge.symbols.expressions import Context, Expressions, symbolic_arguments
from autodiff_ref.judge.symbols.prover.worker import Prover
from autodiff_ref.judge.symbols.table import SYMBOLS
from manual_grad import Derivation
from manual_grad.derivation import Line, label_of
from manual_grad.domains import Domain


def proofs_of(derivation: Derivation, *, traces: Traces | None = None, **options: Any) -> Proofs:
    """The lines of a derivation, ready to be put to the prover."""
    inputs = draw_inputs(derivation, seed=0, at_least=1)[:1]
    return Proofs(Bench(derivation, inputs, may_shrink=False, traces=traces), **options)


def unproved(derivation: Derivation, **options: Any) -> dict[str, str]:
    """Why steps are not proved, by the line they lead to; nothing for those that are."""
    proofs = proofs_of(derivation, **options)
    found = {}
    above = None
    for line, label in zip(derivation.lines, derivation.labels, strict=True):
        reason = proofs.proof(line, above).reason
        found.update({label: reason} if reason else {})
        above = line
    return found


def false_versions(derivation: Derivation, line: Line) -> list[Line]:
    """A line made wrong by little, or by what a shape hides: each under a name of its own."""
    first = next(iter(proof_sizes(derivation).values()), 3)
    changes: dict[str, Callable[[Any], Any]] = {
        "times_nearly_one": lambda x: 1.000000001 * x,
        "decimal_for_a_third": lambda x: 3 * 0.3333333333 * x,
        "mean_for_sum": lambda x: x / first,
        "index_moved": lambda x: jnp.roll(x, 1, axis=-1) if jnp.ndim(x) else x + 1,
        "index_transposed": lambda x: (
            jnp.reshape(x.T, x.shape) if jnp.ndim(x) > 1 else jnp.flip(x) if jnp.ndim(x) else 2 * x
        ),
        "truncated": lambda x: x.astype(int).astype(float),
        "sign_flipped": lambda x: -x,
    }
    return [_changed(line, name, change) for name, change in changes.items()]


def _changed(line: Line, name: str, change: Callable[[Any], Any]) -> Line:
    def changed(*args: Any, nabla: Any) -> Any:
        return jax.tree.map(change, with_nabla(line)(*args, nabla=nabla))

    changed.__name__ = f"{label_of(line)}_{name}"
    return changed


def inputs_at_proof_sizes(derivation: Derivation, seed: int) -> Iterator[Input]:
    """Inputs at the shape that proofs are made at, over all strata in turn, without end."""
    sizes, source, strata = proof_sizes(derivation), RandomSource(np.random.default_rng(seed)), strata_of(derivation)
    while True:
        for stratum in strata:
            args = draw_arguments(derivation.domain, sizes, stratum, source)
            if derivation.where is None or bool(derivation.where(*args)):
                yield Input(stratum, args)


def related(derivation: Derivation, line: Line, other: Line, *, seed: int = 0, enough: int, most: int) -> Relation:
    """What balls say of two lines at the shape of proofs, up to a difference or enough inputs where they are equal."""
    total, inputs = Relation(), inputs_at_proof_sizes(derivation, seed)
    traces = None
    for _ in range(0, most, 50):
        bench = Bench(derivation, [next(inputs) for _ in range(50)], may_shrink=False, traces=traces)
        traces, found = bench.traces, bench.relation(line, other)
        total.equal += found.equal
        total.silent += found.silent
        total.differences += found.differences
        total.no_rule = found.no_rule
        if total.differences or total.no_rule or total.equal.total() >= enough:
            break
    return total


def compared_in_symbols(left: Any, right: Any, domain: tuple[Domain, ...], sizes: dict[str, int]) -> str:
    """Why two functions of a domain are not proved equal, asked of the prover in this process; empty where they are."""
    args = draw_arguments(domain, sizes, "ordinary", RandomSource(np.random.default_rng(0)))
    expressions = Expressions()
    symbols = symbolic_arguments(domain, sizes, expressions)
    outputs: list[list[int]] = []
    for f in (left, right):
        with jax.enable_x64(True):
            closed = jax.make_jaxpr(f)(*args)
        try:
            made = plan(closed, SYMBOLS, labels=label_flags(domain)).run(Context(expressions), *symbols)
        except NotImplementedError as error:
            return str(error)
        outputs.append([node.id for out in made for node in np.ravel(out)])
    prover = Prover()
    prover.nodes.extend(expressions.nodes)
    return str(prover.answer([list(pair) for pair in zip(*outputs, strict=True)], 10**9)["reason"])
