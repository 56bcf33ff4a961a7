"""What the prover says of steps, without balls: for tests of it alone."""

from typing import Any

from autodiff_ref.verify.bench import Bench
from autodiff_ref.verify.inputs import sweep
from autodiff_ref.verify.symbols.proofs import Proofs
from manual_grad import Derivation


def proofs_of(derivation: Derivation, **options: Any) -> Proofs:
    """The lines of a derivation, ready to be put to the prover."""
    inputs = sweep(derivation, seed=0, at_least=1)[:1]
    return Proofs(Bench(derivation, inputs, may_shrink=False), **options)


def unproved(derivation: Derivation, **options: Any) -> dict[str, str]:
    """Why steps are not proved, by the line they lead to; nothing for those that are."""
    proofs = proofs_of(derivation, **options)
    proofs.begin()
    found = {}
    above = None
    for line, label in zip(derivation.lines, derivation.labels, strict=True):
        reason = proofs.proof(line, above).reason
        found.update({label: reason} if reason else {})
        above = line
    return found
