"""Functions with a backward of their own in the kinds that packages hold, right and wrong, written for these tests."""

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

Tensor = torch.Tensor


def function(forward: Callable[..., Any], backward: Callable[..., Any], name: str = "Made") -> Any:
    """A Function that saves its tensors; `backward` is handed the cotangent and them, and returns the gradients."""

    def forward_of(ctx: Any, *args: Any) -> Any:
        ctx.save_for_backward(*[x for x in args if isinstance(x, Tensor)])
        ctx.others = len([x for x in args if not isinstance(x, Tensor)])
        return forward(*args)

    def backward_of(ctx: Any, *cotangents: Any) -> Any:
        found = backward(*cotangents, *ctx.saved_tensors)
        found = found if isinstance(found, tuple) else (found,)
        return (*found, *[None] * (len(ctx.saved_tensors) + ctx.others - len(found)))

    return type(name, (Function,), {"forward": staticmethod(forward_of), "backward": staticmethod(backward_of)})


class Swish(Function):
    """x σ(x), of which x alone is kept."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return g * s * (1 + x * (1 - s))


class EdgeLoss(Function):
    """−Σ over edges of log softmax at the label: the gradient is given to each (row, label), an edge twice counted once."""

    @staticmethod
    def forward(ctx, x, edges):
        out = torch.log_softmax(x, dim=-1)
        ctx.save_for_backward(out, edges)
        return -out[edges[0], edges[1]].sum()

    @staticmethod
    def backward(ctx, g):
        out, edges = ctx.saved_tensors
        grad = torch.zeros_like(out)
        grad[edges[0], edges[1]] = -1.0
        return g * (grad - out.exp() * grad.sum(-1, keepdim=True)), None


class EdgeLossAdded(EdgeLoss):
    """The same, where an edge counts as often as it stands there."""

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        out, edges = ctx.saved_tensors
        grad = torch.zeros_like(out).index_put((edges[0], edges[1]), -torch.ones(edges.shape[1], dtype=out.dtype), True)
        return g * (grad - out.exp() * grad.sum(-1, keepdim=True)), None


def similarity(terms: int) -> Any:
    """v ↦ exp(s) R(v) with s = σ: its Jacobian as a series, cut after `terms` terms."""

    def forward(t: Tensor) -> Tensor:
        scale, v = t[-1], t[:-1]
        return v * torch.expm1(scale) / scale

    def backward(g: Tensor, t: Tensor) -> Tensor:
        scale, v = t[-1], t[:-1]
        term, factor, slope = torch.ones_like(scale), torch.zeros_like(scale), torch.zeros_like(scale)
        for k in range(1, terms + 1):
            factor = factor + term / k
            slope = slope + (k - 1) / k * term / scale
            term = term * scale / k
        return torch.cat([g * factor, (g @ v * slope)[None]])

    return function(forward, backward, "Similarity")


class TwoBands(Function):
    """low · filter + highs · filter': the gradient of the highs is forgotten where `low` needs none."""

    @staticmethod
    def forward(ctx, low, highs, taps):
        ctx.save_for_backward(taps)
        return low * taps[0] + highs * taps[1]

    @staticmethod
    def backward(ctx, g):
        (taps,) = ctx.saved_tensors
        low = highs = None
        if ctx.needs_input_grad[0]:
            low, highs = g * taps[0], g * taps[1]
        return low, highs, None


class TwoBandsEach(TwoBands):
    """The same, each asked for by itself."""

    @staticmethod
    def backward(ctx, g):
        (taps,) = ctx.saved_tensors
        return (
            g * taps[0] if ctx.needs_input_grad[0] else None,
            g * taps[1] if ctx.needs_input_grad[1] else None,
            None,
        )


class SquaredHinge(Function):
    """mean max(0, 1 − p t)²; the cotangent is not used."""

    @staticmethod
    def forward(ctx, p, t):
        gap = 1.0 - p * t
        gap[gap <= 0] = 0.0
        ctx.save_for_backward(gap, t)
        return (gap * gap).mean()

    @staticmethod
    def backward(ctx, g):
        gap, t = ctx.saved_tensors
        return -2 * t * gap / gap.numel(), None


class SquaredHingeScaled(SquaredHinge):
    """The same with the cotangent."""

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        gap, t = ctx.saved_tensors
        return -2 * g * t * gap / gap.numel(), None


class Sparsemax(Function):
    """The projection on the simplex (Martins & Astudillo, 2016) along the last axis."""

    @staticmethod
    def forward(ctx, x):
        x = x - x.max(dim=-1, keepdim=True)[0]
        falling = torch.sort(x, descending=True, dim=-1)[0]
        sums = falling.cumsum(-1) - 1
        ranks = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype)
        size = (ranks * falling > sums).sum(dim=-1, keepdim=True)
        tau = sums.gather(-1, size - 1) / size.to(x.dtype)
        out = torch.clamp(x - tau, min=0)
        ctx.save_for_backward(size, out)
        return out

    @staticmethod
    def backward(ctx, g):
        size, out = ctx.saved_tensors
        grad = g.clone()
        grad[out == 0] = 0
        mean = grad.sum(-1, keepdim=True) / size.to(out.dtype)
        return torch.where(out != 0, grad - mean, grad)


class SparsemaxSqueezed(Sparsemax):
    """The same with a squeeze too many: for shape (n, 1, k) the means of one row meet the others."""

    @staticmethod
    def backward(ctx, g):
        size, out = ctx.saved_tensors
        grad = g.clone()
        grad[out == 0] = 0
        mean = (grad.sum(-1) / size.to(out.dtype).squeeze()).unsqueeze(-1)
        return torch.where(out != 0, grad - mean, grad)


class SparsemaxBisected(Function):
    """The same projection by bisection, and its implicit derivative."""

    @staticmethod
    def forward(ctx, x):
        low, high = x.max(-1, keepdim=True)[0] - 1, x.max(-1, keepdim=True)[0]
        for _ in range(30):
            middle = (low + high) / 2
            too_low = torch.clamp(x - middle, min=0).sum(-1, keepdim=True) >= 1
            low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
        out = torch.clamp(x - low, min=0)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        inside = (out > 0).to(out.dtype)
        return inside * (g - (g * inside).sum(-1, keepdim=True) / inside.sum(-1, keepdim=True))


def sparsemax_by_sorting(x: Tensor) -> Tensor:
    """What SparsemaxBisected solves."""
    return Sparsemax.forward(_Unused(), x)


class _Unused:
    def save_for_backward(self, *_: Any) -> None:
        """Keeps nothing."""


class Spike(Function):
    """I(x > 0), with the slope of ½ + ½ erf(k x): (k/√π) exp(−(kx)²). `right` says whether the k is kept."""

    @staticmethod
    def forward(ctx, x, k):
        ctx.save_for_backward(x)
        ctx.k = k
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ctx.k / torch.pi**0.5 * torch.exp(-((ctx.k * x) ** 2)), None


class SpikeWithoutFactor(Spike):
    """Its slope for another function."""

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2 / torch.pi**0.5 * torch.exp(-((ctx.k * x) ** 2)), None


def soft_spike(x: Tensor, k: float) -> Tensor:
    """½ + ½ erf(k x)"""
    return 0.5 + 0.5 * torch.erf(k * x)


class Entmax15(Function):
    """The map of Peters, Niculae and Martins (2019) between softmax and the projection, by sorting: p = max(x/2 − τ, 0)²."""

    @staticmethod
    def forward(ctx, x):
        half = (x - x.max(-1, keepdim=True)[0]) / 2
        falling = half.sort(-1, descending=True)[0]
        ranks = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype)
        mean = falling.cumsum(-1) / ranks
        spread = (falling**2).cumsum(-1) - ranks * mean**2
        thresholds = mean - torch.sqrt(torch.clamp((1 - spread) / ranks, min=0))
        size = (thresholds <= falling).sum(-1, keepdim=True)
        p = torch.clamp(half - thresholds.gather(-1, size - 1), min=0) ** 2
        ctx.save_for_backward(p)
        return p

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        root = ctx.saved_tensors[0].sqrt()
        return root * (g - (g * root).sum(-1, keepdim=True) / root.sum(-1, keepdim=True))


def turned(q: Tensor, p: Tensor) -> Tensor:
    """p turned by the rotation of the unit quaternion q = (v, w): p + 2w v×p + 2 v×(v×p)"""
    v, w = q[..., :3].expand_as(p), q[..., 3:]
    crossed = 2 * torch.linalg.cross(v, p)
    return p + w * crossed + torch.linalg.cross(v, crossed)


class Moved(Function):
    """A rigid motion of points: turned by q, then moved by t; by the points its gradient is turned back."""

    @staticmethod
    def forward(ctx, p, t, q):
        ctx.save_for_backward(q)
        return turned(q, p) + t

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        q = ctx.saved_tensors[0]
        back = torch.cat([-q[..., :3], q[..., 3:]], -1)
        return turned(back, g), g.sum(0), None


class BisectedLoss(Function):
    """max over p in the simplex of ⟨p, x⟩ − ½|p|², by bisection: its gradient is p, whatever the threshold is off by."""

    @staticmethod
    def forward(ctx, x):
        low, width = x.max(-1, keepdim=True)[0] - 1, (1 - 1 / x.shape[-1])
        for _ in range(50):
            width = width / 2
            p = torch.clamp(x - low - width, min=0)
            low = torch.where(p.sum(-1, keepdim=True) >= 1, low + width, low)
        p = p / p.sum(-1, keepdim=True)
        ctx.save_for_backward(p)
        return (p * x).sum(-1) - (p * p).sum(-1) / 2

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        return g[..., None] * ctx.saved_tensors[0]


def sorted_loss(x: Tensor) -> Tensor:
    """What BisectedLoss computes, by sorting."""
    p = sparsemax_by_sorting(x)
    return (p * x).sum(-1) - (p * p).sum(-1) / 2
