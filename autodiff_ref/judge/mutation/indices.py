"""Mistakes of place: the next entry, another axis, a transposed matrix."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax.extend import core

from autodiff_ref.judge.lines.jaxprs import Atom, is_real, is_under_nabla
from autodiff_ref.judge.mutation.edits import Change, Kinds, Site
from autodiff_ref.judge.program.plans import Params, aval_of


def wrong_index(site: Site) -> Iterator[Change]:
    """x[i + 1] for x[i], around the end."""
    shape = aval_of(site.operands[0]).shape if site.operands else ()
    if site.name in ("slice", "gather", "dynamic_slice", "scatter-add", "scatter"):
        for axis in _indexed(site):
            if site.name.startswith("scatter"):
                yield Change(f"axis {axis}", _FURTHER.format(axis), lambda *xs, axis=axis: jnp.roll(site.bind(*xs), 1, axis))
            else:
                yield Change(
                    f"axis {axis}", _FURTHER.format(axis), lambda x, *xs, axis=axis: site.bind(jnp.roll(x, -1, axis), *xs)
                )
    elif site.name in ("split", "unstack") and len(site.eqn.outvars) > 1:
        yield Change("order", f"the parts of a `{site.name}` are taken in another order", lambda x: _turned(site.bind(x)))
    elif site.name == "stack" and len(site.operands) > 1:
        yield Change("order", "what is stacked is stacked in another order", lambda *xs: site.bind(*_turned(list(xs))))
    elif site.name in ("cumsum", "cumprod") and shape:
        yield Change(
            "direction",
            f"a `{site.name}` runs the other way",
            lambda x: site.bind(x, reverse=not site.eqn.params["reverse"]),
        )


_FURTHER = "the next entry along axis {} stands for the one that is meant"


def _turned(parts: list[jax.Array]) -> list[jax.Array]:
    return [*parts[1:], parts[0]]


def _indexed(site: Site) -> list[int]:
    """The axes along which an equation picks entries."""
    shape, params = aval_of(site.operands[0]).shape, site.eqn.params
    if site.name == "slice":
        return [k for k, size in enumerate(site.result.shape) if size < shape[k]]
    if site.name == "dynamic_slice":
        return [k for k, size in enumerate(params["slice_sizes"]) if size < shape[k]]
    if site.name == "gather":
        return [k for k in params["dimension_numbers"].start_index_map if params["slice_sizes"][k] < shape[k]]
    return [int(k) for k in params["dimension_numbers"].scatter_dims_to_operand_dims]


def _is_moved_by_hand(site: Site) -> bool:
    """Whether axes matter: what JAX spreads out for a ∇ often meets an identity matrix, and a constant may be one."""
    return len(site.eqn.outvars) == 1 and not site.body.is_constant(site.eqn.outvars[0]) and not is_under_nabla(site.eqn)


def wrong_axis(site: Site) -> Iterator[Change]:
    """Along another axis, where the shapes let it pass."""
    if not _is_moved_by_hand(site):
        return
    shape = site.result.shape
    if site.name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp") and len(shape) > 1:
        axis = (int(site.eqn.params["axis"]) + 1) % len(shape)
        yield Change("axis", f"`{site.name}` runs along another axis", lambda x: site.bind(x, axis=axis))
    elif site.name in ("reduce_sum", "reduce_max", "reduce_prod", "reduce_min"):
        (*axes,) = site.eqn.params["axes"]
        rank = len(aval_of(site.operands[0]).shape)
        for other in [k for k in range(rank) if k not in axes][: len(axes) == 1]:
            yield Change(
                "axis", f"`{site.name}` runs along another axis", lambda x, other=other: site.bind(x, axes=(other,))
            )
    elif site.name == "broadcast_in_dim" and len(site.operands) == 1:
        kept = [int(k) for k in site.eqn.params["broadcast_dimensions"]]
        for j, axis in enumerate(kept):
            for other in range(len(shape)):
                if other not in kept and shape[other] == shape[axis] == aval_of(site.operands[0]).shape[j]:
                    to = tuple(sorted([*kept[:j], other, *kept[j + 1 :]]))
                    if to.index(other) == j:
                        yield Change(
                            f"axis {axis} → {other}",
                            "a value is spread along another axis",
                            lambda x, to=to: site.bind(x, broadcast_dimensions=to),
                        )
    yield from _kept_axis(site)


def _kept_axis(site: Site) -> Iterator[Change]:
    """f(x, Σ x) with the sum over the other axis, which broadcasting lets pass: softmax over examples."""
    if site.name not in ("sub", "div", "mul", "add") or len(site.result.shape) != 2:
        return
    for j, operand in enumerate(site.operands):
        reduction = _reduction_behind(site, operand)
        if reduction is None or len(reduction.params["axes"]) != 1:
            continue
        (whole,), (axis,) = reduction.invars, reduction.params["axes"]
        if isinstance(whole, core.Literal) or aval_of(whole).shape != site.result.shape or whole not in site.body.number:
            continue
        primitive, params = reduction.primitive, {**reduction.params, "axes": (1 - int(axis),)}

        def other(
            *xs: jax.Array, j: int = j, primitive: core.Primitive = primitive, params: Params = params, axis: int = int(axis)
        ) -> jax.Array:
            reduced = jnp.broadcast_to(jnp.expand_dims(primitive.bind(xs[-1], **params), 1 - axis), xs[-1].shape)
            return site.bind(*xs[:j], reduced, *xs[j + 1 : -1])

        yield Change(f"operand {j}", f"`{primitive.name}` runs along another axis", other, (site.body.number[whole],))


def _reduction_behind(site: Site, operand: Atom) -> core.JaxprEqn | None:
    eqn = site.body.source(operand)
    while eqn is not None and eqn.primitive.name in ("broadcast_in_dim", "reshape", "expand_dims", "stop_gradient"):
        eqn = site.body.source(eqn.invars[0])
    return eqn if eqn is not None and eqn.primitive.name in ("reduce_sum", "reduce_max", "reduce_min") else None


def transposed(site: Site) -> Iterator[Change]:
    """Mᵀ for M, where M is square."""
    if not _is_moved_by_hand(site) or not is_real(site.eqn.outvars[0]):
        return
    if site.name in ("scan", "while", "cond", "broadcast_in_dim"):  # what is spread out is left to `wrong_axis`
        return
    shape = site.result.shape
    for a in range(len(shape)):
        for b in range(a + 1, len(shape)):
            if shape[a] == shape[b] > 1:
                yield Change(
                    f"axes {a} {b}",
                    f"the result of `{site.name}` is transposed",
                    lambda *xs, a=a, b=b: jnp.swapaxes(site.bind(*xs), a, b),
                )


INDEX_KINDS: Kinds = {"wrong index": wrong_index, "wrong axis": wrong_axis, "transposed": transposed}
"""kinds of mistakes of place"""
