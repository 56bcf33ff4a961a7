"""A function written for JAX as one of PyTorch's operations: its jaxpr, evaluated in PyTorch."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from jax.extend import core


def in_torch(f: Callable[..., Any], *examples: Any) -> Callable[..., Any]:
    """The same function of tensors, in float64, at the shapes of the examples and at no others.

    Raises:
        NotImplementedError: it has a primitive that has no row here.
    """
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(f)(*examples)

    def of_tensors(*args: Any) -> Any:
        if [tuple(x.shape) for x in args] != [aval.shape for aval in closed.in_avals]:
            raise ValueError(f"{f.__name__} takes shapes {[aval.shape for aval in closed.in_avals]}")
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            (value,) = _evaluated(closed.jaxpr, closed.consts, args)
        return value

    return of_tensors


def _tensor(x: Any) -> Any:
    return x if isinstance(x, torch.Tensor) else torch.tensor(np.array(x))


def _evaluated(jaxpr: Any, consts: Any, args: Any) -> list[Any]:
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], map(_tensor, [*consts, *args]), strict=True))

    def read(atom: Any) -> Any:
        return _tensor(atom.val) if isinstance(atom, core.Literal) else env[atom]

    for eqn in jaxpr.eqns:
        operands, name = [read(atom) for atom in eqn.invars], eqn.primitive.name
        if name == "jit" and eqn.params["name"] in LINEAR_ALGEBRA:
            made = LINEAR_ALGEBRA[eqn.params["name"]](*operands)
        elif name in ("jit", "custom_jvp_call", "custom_vjp_call"):
            inner = eqn.params.get("jaxpr") or eqn.params["call_jaxpr"]
            made = _evaluated(inner.jaxpr, inner.consts, operands)
        elif name == "sort":
            made = _sorted(eqn.params, operands)
        elif name in ENTRYWISE:
            made = [ENTRYWISE[name](*operands)]
        elif name in WITH_PARAMETERS:
            made = [WITH_PARAMETERS[name](eqn, *operands)]
        else:
            raise NotImplementedError(name)
        env.update(zip(eqn.outvars, made, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


ENTRYWISE: dict[str, Callable[..., Any]] = {
    "abs": torch.abs,
    "add": torch.add,
    "cos": torch.cos,
    "digamma": torch.digamma,
    "div": torch.div,
    "eq": torch.eq,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "ge": torch.ge,
    "gt": torch.gt,
    "lgamma": torch.lgamma,
    "log": torch.log,
    "log1p": torch.log1p,
    "logistic": torch.sigmoid,
    "lt": torch.lt,
    "max": torch.maximum,
    "min": torch.minimum,
    "mul": torch.mul,
    "ne": torch.ne,
    "neg": torch.neg,
    "pow": torch.pow,
    "sign": torch.sign,
    "sin": torch.sin,
    "sqrt": torch.sqrt,
    "stop_gradient": lambda x: x.detach(),
    "sub": torch.sub,
    "tanh": torch.tanh,
}


LINEAR_ALGEBRA: dict[str, Callable[..., list[Any]]] = {
    "det": lambda a: [torch.linalg.det(a)],
    "inv": lambda a: [torch.linalg.inv(a)],
    "slogdet": lambda a: list(torch.linalg.slogdet(a)),
    "solve": lambda a, b: [torch.linalg.solve(a, b)],
}
"""functions of jax.numpy.linalg, by the names that their calls have in a jaxpr"""


def _broadcast(eqn: Any, x: Any) -> Any:
    shape = [1] * len(eqn.params["shape"])
    for axis, size in zip(eqn.params["broadcast_dimensions"], x.shape, strict=True):
        shape[axis] = size
    return x.reshape(shape).expand(eqn.params["shape"])


def _chosen(_: Any, which: Any, *cases: Any) -> Any:
    chosen = cases[0]
    for k, case in enumerate(cases[1:], start=1):
        chosen = torch.where(which == k, case, chosen)
    return chosen


def _contracted(eqn: Any, a: Any, b: Any) -> Any:
    (left, right), (left_batch, right_batch) = eqn.params["dimension_numbers"]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    first = [next(letters) for _ in a.shape]
    second = [next(letters) for _ in b.shape]
    for i, j in zip([*left, *left_batch], [*right, *right_batch], strict=True):
        second[j] = first[i]
    batch = [first[i] for i in left_batch]
    kept = [first[i] for i in range(a.ndim) if i not in (*left, *left_batch)]
    kept += [second[j] for j in range(b.ndim) if j not in (*right, *right_batch)]
    return torch.einsum(f"{''.join(first)},{''.join(second)}->{''.join(batch + kept)}", a, b)


def _padded(eqn: Any, x: Any, value: Any) -> Any:
    config = eqn.params["padding_config"]
    if any(low < 0 or high < 0 for low, high, _ in config):
        raise NotImplementedError("pad by less than nothing")
    made = value.expand(eqn.outvars[0].aval.shape).clone()
    inside = tuple(
        slice(low, low + (size - 1) * (step + 1) + 1 if size else low, step + 1)
        for (low, _, step), size in zip(config, x.shape, strict=True)
    )
    made[inside] = x
    return made


def _sorted(params: Any, operands: list[Any]) -> list[Any]:
    keys, axis = operands[0], params["dimension"]
    if params["num_keys"] != 1:
        raise NotImplementedError("sort by several keys")
    order = torch.argsort(keys, dim=axis, stable=True)
    return [torch.gather(x, axis, order) for x in operands]


def _places(eqn: Any, *operands: Any) -> Any:
    """Which entries of the operand JAX's gather takes, by asking JAX about their numbers."""
    shape = operands[0].shape
    numbers = jax.numpy.arange(int(np.prod(shape))).reshape(shape)
    others = [jax.numpy.asarray(x.detach().numpy()) for x in operands[1:]]
    with jax.enable_x64(True):
        return torch.tensor(np.array(eqn.primitive.bind(numbers, *others, **{**eqn.params, "fill_value": -1})))


def _gathered(eqn: Any, x: Any, indices: Any) -> Any:
    places = _places(eqn, x, indices)
    if bool((places < 0).any()):
        raise NotImplementedError("gather outside of its operand")
    return x.reshape(-1)[places]


def _scattered(eqn: Any, x: Any, indices: Any, updates: Any) -> Any:
    """The updates, put or added where JAX puts them, which is asked for all of them at once."""
    places = jax.numpy.asarray(indices.detach().numpy())
    zeros, count = jax.numpy.zeros(x.shape), int(np.prod(updates.shape))
    each = jax.numpy.eye(count).reshape(count, *updates.shape)
    with jax.enable_x64(True):
        rows = jax.vmap(lambda one: eqn.primitive.bind(zeros, places, one, **eqn.params))(each)
        hit = eqn.primitive.bind(zeros, places, jax.numpy.ones(updates.shape), **eqn.params)
    put = torch.einsum("k,k...->...", updates.reshape(-1), torch.tensor(np.array(rows)).to(updates.dtype))
    return x + put if eqn.primitive.name == "scatter-add" else torch.where(torch.tensor(np.array(hit)) > 0, put, x)


WITH_PARAMETERS: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": lambda eqn, *xs: torch.cat(xs, eqn.params["dimension"]),
    "convert_element_type": lambda eqn, x: x.to(getattr(torch, np.dtype(eqn.params["new_dtype"]).name)),
    "dot_general": _contracted,
    "gather": _gathered,
    "integer_pow": lambda eqn, x: x ** eqn.params["y"],
    "iota": lambda eqn: _tensor(np.asarray(jax.lax.iota_p.bind(**eqn.params))),
    "pad": _padded,
    "reduce_max": lambda eqn, x: torch.amax(x, eqn.params["axes"]),
    "reduce_sum": lambda eqn, x: torch.sum(x, eqn.params["axes"]) if eqn.params["axes"] else x,
    "reshape": lambda eqn, x: x.reshape(eqn.params["new_sizes"]),
    "scatter": _scattered,
    "scatter-add": _scattered,
    "select_n": _chosen,
    "slice": lambda eqn, x: x[
        tuple(
            slice(*ends)
            for ends in zip(
                eqn.params["start_indices"], eqn.params["limit_indices"], eqn.params["strides"] or [1] * x.ndim, strict=True
            )
        )
    ],
    "squeeze": lambda eqn, x: x.reshape(eqn.outvars[0].aval.shape),
    "stack": lambda eqn, *xs: torch.stack(xs, eqn.params.get("axis", 0)),
    "transpose": lambda eqn, x: x.permute(eqn.params["permutation"]),
}
