"""Mistakes of a line as a whole: labels read by another convention, one example instead of all."""

from collections.abc import Iterator, Sequence

import jax

from autodiff_ref.judge.diagnosis.backends import WRONG, Backend, Value
from autodiff_ref.judge.diagnosis.occurrences import Repair
from autodiff_ref.trees import Arguments, Domains
from manual_grad.derivation import Derivation


def readings(domain: Domains, inputs: Sequence[int], names: Sequence[str]) -> Iterator[Repair]:
    """The labels read in other ways: each an input of the wrong line computed from itself."""
    for leaf, slot, name in zip(jax.tree.leaves(domain), inputs, names, strict=True):
        for k, misreading in enumerate(leaf.misreadings):
            if misreading.suspected:
                said, (a, b) = misreading.suspected.format(name=name), misreading.affine
                yield Repair("label", said, slot, 1.9 + 0.05 * k, lambda to, s=slot, a=a, b=b: _affine(to, s, a, b))


def _affine(to: Backend, slot: int, a: float, b: float) -> Value:
    """a y + b for an input y of the wrong line."""
    y = to.slot(WRONG, slot)
    multiple = to.f("neg", y) if a == -1 else to.f("mul", to.number(a), y)
    return to.f("add", multiple, to.number(b)) if b else multiple


def single(derivation: Derivation, args: Arguments) -> Iterator[tuple[str, Arguments]]:
    """The arguments with one entry of a dimension left, the last or the first; and what a line did that used these."""
    domains = jax.tree.leaves(derivation.domain)
    leaves, structure = jax.tree.flatten(args)
    for name in sorted(derivation.dim_names):
        if derivation.sizes.get(name, (1, 1))[0] > 1:
            continue
        for which, only in (("last", slice(-1, None)), ("first", slice(1))):
            cut = [
                leaf[tuple(only if dim == name else slice(None) for dim in domain.dims)] if name in domain.dims else leaf
                for leaf, domain in zip(leaves, domains, strict=True)
            ]
            yield f"only the {which} one along {name} counts", jax.tree.unflatten(structure, cut)
