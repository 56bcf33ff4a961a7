"""Mistakes of a line as a whole: labels read by another convention, one example instead of all."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from autodiff_ref.verify.diagnosis.backends import WRONG
from autodiff_ref.verify.diagnosis.sites import Repair
from manual_grad.derivation import Derivation
from manual_grad.domains import Bits, Signs


def readings(domain: tuple[Any, ...], inputs: Sequence[int], names: Sequence[str]) -> Iterator[Repair]:
    """The labels read in other ways: each an input of the wrong line computed from itself."""
    leaves = jax.tree.leaves(domain)
    for leaf, slot, name in zip(leaves, inputs, names, strict=True):
        if isinstance(leaf, Signs):
            yield Repair(
                "label",
                f"{name} is read as 0 and 1, and is −1 and +1",
                slot,
                1.9,
                lambda b, s=slot: b.f("mul", b.number(0.5), b.f("add", b.slot(WRONG, s), b.number(1))),
            )
            yield Repair(
                "label", f"{name} stands where −{name} should", slot, 1.95, lambda b, s=slot: b.f("neg", b.slot(WRONG, s))
            )
        elif isinstance(leaf, Bits):
            yield Repair(
                "label",
                f"{name} is read as −1 and +1, and is 0 and 1",
                slot,
                1.9,
                lambda b, s=slot: b.f("sub", b.f("mul", b.number(2), b.slot(WRONG, s)), b.number(1)),
            )
            yield Repair(
                "label",
                f"{name} stands where 1 − {name} should",
                slot,
                1.95,
                lambda b, s=slot: b.f("sub", b.number(1), b.slot(WRONG, s)),
            )


def single(derivation: Derivation, args: tuple[Any, ...]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The arguments with one entry of a dimension left, the last or the first; and what a line did that used these."""
    domains = jax.tree.leaves(derivation.domain)
    leaves, structure = jax.tree.flatten(args)
    for name in sorted(derivation.dim_names):
        if derivation.sizes.get(name, (1, 1))[0] > 1:
            continue
        for which, index in (("last", -1), ("first", 0)):
            cut = [
                np.take(leaf, [index], axis=domain.dims.index(name)) if name in domain.dims else leaf
                for leaf, domain in zip(leaves, domains, strict=True)
            ]
            yield f"only the {which} one along {name} counts", jax.tree.unflatten(structure, cut)
