"""What layers of networks are made of: convolutions, pooling, attention, interpolation, dropout, the CTC loss."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import lax

from autodiff_ref.judge.torch_code.tracing import Operation, Rule, Trace
from autodiff_ref.judge.torch_code.values import NotFollowedError


def _each(value: Any, count: int) -> list[int]:
    """One number for each axis: PyTorch takes one for all."""
    given = [value] if isinstance(value, int) else list(value)
    return given * count if len(given) == 1 else given


def convolution(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Any:
    """Convolution and its transposed, over any number of axes."""
    count = x.ndim - 2
    stride, padding, dilation, output_padding = (_each(v, count) for v in (stride, padding, dilation, output_padding))
    axes = "DHW"[-count:]
    pads = [(p, p) for p in padding]
    spread = [1] * count
    if transposed:
        # weight is (in, out / groups, …): the same as (out, in / groups, …) with its axes turned round
        inputs, outputs = weight.shape[:2]
        weight = jnp.swapaxes(weight.reshape((groups, inputs // groups, outputs, *weight.shape[2:])), 1, 2)
        weight = weight.reshape((groups * outputs, inputs // groups, *weight.shape[3:]))
        weight = jnp.flip(weight, tuple(range(2, 2 + count)))
        reach = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
        pads = [(r - p, r - p + o) for r, p, o in zip(reach, padding, output_padding, strict=True)]
        stride, spread = [1] * count, stride
    layout = lax.conv_dimension_numbers(x.shape, weight.shape, ("NC" + axes, "OI" + axes, "NC" + axes))
    y = lax.conv_general_dilated(
        x,
        weight,
        stride,
        pads,
        lhs_dilation=spread,
        rhs_dilation=dilation,
        dimension_numbers=layout,
        feature_group_count=groups,
    )
    return y if bias is None else y + bias.reshape((1, -1) + (1,) * count)


def _convolution_backward(g: Any, x: Any, weight: Any, bias_sizes: Any, *settings: Any) -> Any:
    *how, mask = settings
    _, pull = jax.vjp(lambda x, weight: convolution(x, weight, None, *how), x, weight)
    found = (*pull(g), g.sum(axis=(0, *range(2, g.ndim))))
    del bias_sizes
    return tuple(each if wanted else None for each, wanted in zip(found, mask, strict=True))


# Pooling


def _windows(
    x_shape: Sequence[int], kernel: Any, stride: Any, padding: Any, dilation: Any, out: Sequence[int]
) -> np.ndarray:
    """(out…, kernel…) flat: where each entry of each window lies in a plane; −1 for padding."""
    count = len(out)
    kernel, padding, dilation = (_each(v, count) for v in (kernel, padding, dilation))
    stride = (
        _each(stride, count)
        if not isinstance(stride, int) and len(stride)
        else (_each(stride, count) if isinstance(stride, int) else kernel)
    )
    places = []
    for n, k, s, p, d, o in zip(x_shape[-count:], kernel, stride, padding, dilation, out, strict=True):
        at = np.arange(o)[:, None] * s - p + np.arange(k)[None, :] * d
        places.append(np.where((at >= 0) & (at < n), at, -1))
    flat, valid = np.zeros((), np.int64), np.ones((), bool)
    for axis, (at, n) in enumerate(zip(places, x_shape[-count:], strict=True)):
        shape = [1] * (2 * count)
        shape[axis], shape[count + axis] = at.shape
        flat = flat * n + at.reshape(shape)
        valid = valid & (at.reshape(shape) >= 0)
    whole = np.where(valid, flat, -1)
    return whole.reshape(math.prod(out), -1)


def _max_pool(count: int) -> Rule:
    def rule(operation: Operation) -> Any:
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        given = dict(zip(names, operation.args[1:], strict=False)) | operation.keywords
        x, out = operation.arrays[0], tuple(operation.out[0].shape)
        places = _windows(x.shape, given["kernel_size"], given.get("stride", []), given.get("padding", 0),
                          given.get("dilation", 1), out[-count:])  # fmt: skip
        plane = x.reshape((*x.shape[:-count], -1))
        windows = jnp.where(places >= 0, plane[..., np.maximum(places, 0)], -jnp.inf)
        best = jnp.argmax(windows, axis=-1)
        where = jnp.take_along_axis(jnp.broadcast_to(places, windows.shape), best[..., None], axis=-1)[..., 0]
        return jnp.max(windows, axis=-1).reshape(out), where.reshape(out)

    return rule


def _average(x: Any, out: Sequence[int], count: int, given: dict[str, Any]) -> Any:
    padding = _each(given.get("padding", 0), count)
    kernel = _each(given["kernel_size"], count)
    places = _windows(x.shape, kernel, given.get("stride", []), padding, 1, out)
    windows = jnp.where(places >= 0, x.reshape((*x.shape[:-count], -1))[..., np.maximum(places, 0)], 0.0)
    stride = given.get("stride", [])
    stride = kernel if not isinstance(stride, int) and not len(stride) else _each(stride, count)
    if given.get("divisor_override"):
        size = np.full(len(places), given["divisor_override"])
    elif given.get("count_include_pad", True):
        # what lies in the padding counts, and what lies beyond it does not
        size = np.ones((), np.int64)
        for axis, (n, k, s, p, o) in enumerate(zip(x.shape[-count:], kernel, stride, padding, out, strict=True)):
            start = np.arange(o) * s - p
            length = np.minimum(start + k, n + p) - start
            size = size * length.reshape([-1 if axis == other else 1 for other in range(count)])
        size = size.reshape(-1)
    else:
        size = (places >= 0).sum(axis=-1)
    return (windows.sum(axis=-1) / size).reshape((*x.shape[:-count], *out)).astype(x.dtype)


_AVERAGE = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")


def _average_pool(count: int) -> Rule:
    def rule(operation: Operation) -> Any:
        given = dict(zip(_AVERAGE, operation.args[1:], strict=False)) | operation.keywords
        return _average(operation.arrays[0], tuple(operation.out.shape)[-count:], count, given)

    return rule


def _average_pool_backward(count: int) -> Rule:
    def rule(operation: Operation) -> Any:
        g, x = operation.arrays[:2]
        given = dict(zip(_AVERAGE, operation.args[2:], strict=False)) | operation.keywords
        _, pull = jax.vjp(lambda x: _average(x, g.shape[-count:], count, given), x)
        return pull(g)[0]

    return rule


# Attention


def _attention(q: Any, k: Any, v: Any, causal: bool, mask: Any, scale: Any) -> tuple[Any, Any]:
    scores = q @ jnp.swapaxes(k, -1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if causal:
        scores = jnp.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -jnp.inf)
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf) if mask.dtype == bool else scores + mask
    return jax.nn.softmax(scores, axis=-1) @ v, jax.scipy.special.logsumexp(scores, axis=-1)


def _attention_forward(q: Any, k: Any, v: Any, dropout_p: float = 0.0, is_causal: bool = False, *, attn_mask: Any = None,
                       scale: Any = None) -> Any:  # fmt: skip
    if dropout_p:
        raise NotFollowedError("scaled_dot_product_attention", "with dropout")
    return _attention(q, k, v, is_causal, attn_mask, scale)


def _attention_backward(g: Any, q: Any, k: Any, v: Any, out: Any, logsumexp: Any, dropout_p: float, is_causal: bool, *,
                        attn_mask: Any = None, scale: Any = None) -> Any:  # fmt: skip
    del out, logsumexp, dropout_p
    _, pull = jax.vjp(lambda q, k, v: _attention(q, k, v, is_causal, attn_mask, scale)[0], q, k, v)
    return pull(g)


# Dropout


def _dropout(operation: Operation) -> Any:
    x, p = operation.arrays[0], operation.args[1]
    mask = operation.out[1].numpy()
    return (x if p == 0 else x * mask / (1 - p) if p < 1 else x * 0), None


# The CTC loss


def _ctc(log_probs: Any, targets: list[list[int]], input_lengths: list[int], blank: int) -> Any:
    """The loss of each sequence: all paths through blanks and labels, added up step by step (Graves et al., 2006)."""
    losses: list[Any] = []
    for n, (steps, labels) in enumerate(zip(input_lengths, targets, strict=True)):
        path = [blank] + [each for label in labels for each in (label, blank)]
        reached: dict[int, Any] = {s: log_probs[0, n, path[s]] for s in range(min(2, len(path)))}
        for t in range(1, steps):
            before, reached = reached, {}
            for s, label in enumerate(path):
                may_skip = s > 1 and label not in (blank, path[s - 2])
                from_ = [before[r] for r in (s, s - 1, *([s - 2] if may_skip else [])) if r in before]
                if from_:
                    reached[s] = _log_sum(from_) + log_probs[t, n, label]
        ends = [reached[s] for s in {len(path) - 1, max(len(path) - 2, 0)} if s in reached]
        losses.append(-_log_sum(ends) if ends else jnp.asarray(jnp.inf, log_probs.dtype))
    return jnp.stack(losses)


def _log_sum(terms: list[Any]) -> Any:
    return terms[0] if len(terms) == 1 else jax.scipy.special.logsumexp(jnp.stack(terms))


def _lengths(lengths: Any) -> list[int]:
    return [int(each) for each in lengths]


def _labels(operation: Operation, targets: Any, lengths: list[int]) -> list[list[int]]:
    """The labels of each sequence, taken for granted: targets stand in rows, or one after the other."""
    operation.assume(targets)
    if targets.ndim == 2:
        return [_lengths(row[:length]) for row, length in zip(targets, lengths, strict=True)]
    ends = np.cumsum(lengths)
    return [_lengths(targets[end - length : end]) for end, length in zip(ends, lengths, strict=True)]


def _ctc_loss(operation: Operation) -> Any:
    _, targets, steps, lengths, *more = operation.args
    for t in (steps, lengths):
        if isinstance(t, torch.Tensor):
            operation.assume(t)
    labels = _labels(operation, targets, _lengths(lengths))
    return _ctc(operation.arrays[0], labels, _lengths(steps), more[0] if more else 0), None


def _ctc_loss_backward(operation: Operation) -> Any:
    """As PyTorch has it: the gradient through log-softmax, which adds exp(log_probs) at the steps that count."""
    g, log_probs = operation.arrays[:2]
    targets, steps, lengths, blank = operation.args[2], *map(_lengths, operation.args[3:5]), operation.args[7]
    labels = _labels(operation, targets, lengths)
    _, pull = jax.vjp(lambda x: _ctc(x, labels, steps, blank), log_probs)
    counts = np.arange(log_probs.shape[0])[:, None] < np.array(steps)
    return jnp.where(counts[..., None], pull(g)[0] + jnp.exp(log_probs) * g[:, None], 0.0)


# Backward operations of PyTorch's own that it does not take apart: the forward one, written down, and differentiated


def _pulled_back(forward: Callable[..., Any], places: Sequence[int], arguments: Callable[[Operation], list[Any]]) -> Rule:
    """The rule of a backward operation: `arguments` are the forward one's, `places` those differentiated by."""

    def rule(operation: Operation) -> Any:
        given = arguments(operation)
        wanted = [given[k] for k in places]
        arrays = [operation.trace.read(t) for t in wanted]

        def written_down(*xs: Any) -> Any:
            inner = Trace()
            tensors = list(given)
            for k, t, x in zip(places, wanted, xs, strict=True):
                tensors[k] = t.detach().clone()
                inner.define(tensors[k], x)
            with torch.no_grad(), inner:
                return inner.read(forward(*tensors))

        _, pull = jax.vjp(written_down, *arrays)
        return pull(operation.arrays[0])

    return rule


def _grid_sample_backward(operation: Operation) -> Any:
    """By the image and by the grid."""
    _, x, grid, interpolation, padding, align, mask = operation.args
    rule = _pulled_back(torch.ops.aten.grid_sampler_2d, (0, 1), lambda _: [x, grid, interpolation, padding, align])
    return tuple(each if wanted else None for each, wanted in zip(rule(operation), mask, strict=True))


def _resized_backward(name: str) -> Rule:
    """Interpolation to another size is linear: at any image, its transposed."""

    def rule(operation: Operation) -> Any:
        g, size, image, *settings = operation.args
        x = torch.zeros(tuple(image), dtype=g.dtype)
        return _pulled_back(getattr(torch.ops.aten, name), (0,), lambda _: [x, size, *settings])(operation)[0]

    return rule


def _adaptive_backward(operation: Operation) -> Any:
    g, x = operation.args
    forward = torch.ops.aten._adaptive_avg_pool2d
    return _pulled_back(forward, (0,), lambda _: [x, list(g.shape[-2:])])(operation)[0]


def _adaptive_max_pool(x: Any, size: Sequence[int]) -> Any:
    """The largest of each window, and not where it is: nothing but its own backward asks."""

    def windows(n: int, count: int) -> list[slice]:
        return [slice(k * n // count, -(-(k + 1) * n // count)) for k in range(count)]

    rows, columns = (windows(n, count) for n, count in zip(x.shape[-2:], size, strict=True))
    made = [jnp.stack([jnp.max(x[..., i, j], axis=(-2, -1)) for j in columns], axis=-1) for i in rows]
    return jnp.stack(made, axis=-2), None


def _of_the_forward(name: str) -> Rule:
    """By the first argument, where the backward operation takes all that the forward one does."""
    return lambda operation: _pulled_back(getattr(torch.ops.aten, name), (0,), lambda o: list(o.args[1:]))(operation)[0]


def _adaptive_max_pool_backward(operation: Operation) -> Any:
    g, x, _ = operation.args

    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.adaptive_max_pool2d(x, list(g.shape[-2:]))[0]

    return _pulled_back(forward, (0,), lambda _: [x])(operation)[0]


LAYERS: dict[str, Rule] = {
    "adaptive_max_pool2d": _adaptive_max_pool,
    "convolution": convolution,
    "convolution_backward": _convolution_backward,
    "_scaled_dot_product_flash_attention_for_cpu": _attention_forward,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
}

LAYERS_WHOLE: dict[str, Rule] = {
    "max_pool2d_with_indices": _max_pool(2),
    "max_pool3d_with_indices": _max_pool(3),
    **{f"avg_pool{count}d": _average_pool(count) for count in (1, 2, 3)},
    **{f"avg_pool{count}d_backward": _average_pool_backward(count) for count in (2, 3)},
    "native_dropout": _dropout,
    "_ctc_loss": _ctc_loss,
    "_ctc_loss_backward": _ctc_loss_backward,
    **{f"replication_pad{count}d_backward": _of_the_forward(f"replication_pad{count}d") for count in (1, 2, 3)},
    "adaptive_max_pool2d_backward": _adaptive_max_pool_backward,
    "multi_margin_loss_backward": _of_the_forward("multi_margin_loss"),
    "_adaptive_avg_pool2d_backward": _adaptive_backward,
    "grid_sampler_2d_backward": _grid_sample_backward,
    **{
        f"{name}_backward": _resized_backward(name)
        for name in (
            "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d", "upsample_bilinear2d",
            "upsample_bicubic2d", "upsample_trilinear3d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d",
        )
    },
}  # fmt: skip
