"""Power: how small a mistake the inputs of the sweep would have shown, and in which components none would have been seen."""

import jax
import numpy as np

from autodiff_ref.judge.comparing import evaluator
from autodiff_ref.judge.program.plans import Array
from autodiff_ref.judge.search.sweep import Sweep
from autodiff_ref.judge.search.swept import RELATIVE, Power
from autodiff_ref.trees import Arguments
from manual_grad.derivation import Line

_LOOKED_AT = 3
"""inputs at which balls say whether a component is 0"""


def power_of(sweep: Sweep, line: Line, other: Line | None) -> Power | None:
    """The power of the sweep of two lines; None where there was none."""
    shown = inputs = 0
    seen: dict[str, bool] = {}
    places: dict[str, tuple[int, int]] = {}
    names_at: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for k, batch in enumerate(sweep.batches):
        ours, theirs = sweep.values(line, k), sweep.values(other, k)
        if isinstance(ours, str) or isinstance(theirs, str):
            return None
        both = sweep.holds(line, k) & sweep.holds(other, k)
        if not both.any():
            continue
        visible = np.asarray((ours[1] + theirs[1]) < RELATIVE * np.abs(theirs[0])) & both[:, None]
        inputs += int(both.sum())
        shown += int(visible.any(axis=1).sum())
        shape = tuple(leaf.shape[1:] for leaf in batch.leaves)
        if shape not in names_at:
            names_at[shape] = _component_names(sweep, batch.args(0))
        for c, (name, found) in enumerate(zip(names_at[shape], np.ravel(visible.any(axis=0)), strict=True)):
            seen[name] = seen.get(name, False) or bool(found)
            places.setdefault(name, (k, c))
    blind = [name for name, found in seen.items() if not found]
    zero = {name for name in blind if _is_zero(sweep, other, *places[name])}
    return Power(
        shown / inputs if inputs else 0.0,
        _joined([name for name in blind if name in zero], list(seen)),
        _joined([name for name in blind if name not in zero], list(seen)),
    )


def _component_names(sweep: Sweep, args: Arguments) -> list[str]:
    """The name of each entry of the gradient: w11[0]."""
    by = sweep.derivation.wrt or "gradient" if sweep.derivation.is_gradient else sweep.derivation.reference
    names: list[str] = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(sweep.bench.traced(None, args).shapes):
        stem = by + jax.tree_util.keystr(path)
        names += [stem + "".join(f"[{i}]" for i in index) for index in np.ndindex(tuple(leaf.shape))]
    return names


def _joined(blind: list[str], every: list[str]) -> tuple[str, ...]:
    """Components by name, an array by its own where all of its entries are among them."""
    of: dict[str, list[str]] = {}
    for name in every:
        of.setdefault(_stem(name), []).append(name)
    joined: dict[str, None] = {}
    for name in blind:
        joined[_stem(name) if set(of[_stem(name)]) <= set(blind) else name] = None
    return tuple(joined)


def _stem(name: str) -> str:
    while name.endswith("]") and name[name.rindex("[") + 1 : -1].isdigit():
        name = name[: name.rindex("[")]
    return name


def _is_zero(sweep: Sweep, line: Line | None, k: int, component: int) -> bool:
    """Whether a component's ball holds 0 where its value is largest beside its error."""
    batch, computed = sweep.batches[k], sweep.values(line, k)
    assert not isinstance(computed, str)
    value, error = (part[:, component] for part in computed)
    order: Array = np.argsort(np.where(error < np.inf, np.abs(value) - error, -np.inf))
    for row in order[::-1][:_LOOKED_AT]:
        args = batch.args(int(row))
        plan = sweep.bench.traced(line, args).plan
        if plan is None or not evaluator(plan, args)(512, "balls", "exact").values[component].contains(0):
            return False
    return True
