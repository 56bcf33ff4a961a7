"""What else a backward meets in use, each tried by itself once it is right at the input given.

Autograd asks for some of the gradients only, hands in no cotangent for an output that was not used, tensors that are
transposed or expanded, axes of length 1 and 0; arguments may be overwritten between forward and backward. A run that returns
bit by bit what it returned before is right as that was; another is judged. Where the code raises an error it is loud, and
that is noted; what it returns without one must be right.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from autodiff_ref.judge.errors import first_line
from autodiff_ref.judge.torch_code.examining import Judged, cotangents_for, examine, label_of_function
from autodiff_ref.judge.torch_code.program import Subject, as_arrays, is_expanded, outputs_of
from autodiff_ref.judge.torch_code.tracing import id_of_storage
from autodiff_ref.judge.torch_code.values import NotFollowedError, in_reals, is_float, to_torch

MOST_PATTERNS = 14
"""sets of inputs that are asked for alone: all of up to four inputs, else one, and all but one"""

MOST_SIZES = 3
"""lengths of axes that are changed to 1 and to 0"""

DOUBLE = "double backward"


@dataclass(frozen=True)
class Trial:
    """One thing that was tried."""

    name: str
    verdict: str
    """right, WRONG, undecided, raises, not tried, or not its domain"""
    text: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.verdict}" + (f"\n{self.text}" if self.text and self.verdict != "right" else "")


@dataclass
class Base:
    """A subject that was judged right, and what its run returned."""

    subject: Subject
    cotangents: list[np.ndarray]
    within: float | None

    def __post_init__(self) -> None:
        self.by, self.data = self.subject.arrays
        self.names = self.subject.names
        run = self.subject.run(self.by, self.data, self.cotangents)
        self.outs, self.grads = run.outs, as_arrays(run.grads, self.by)

    def other(self, inputs: Sequence[Any] | None = None, by: Sequence[int] | None = None) -> Subject:
        """The same function at other inputs, or differentiated by others."""
        base = self.subject
        inputs, by = base.inputs if inputs is None else inputs, base.by if by is None else by
        return Subject(base.func, inputs, by, base.of).drawing_as(base)

    def judged_again(self, subject: Subject) -> Judged:
        """Another subject, by the judge."""
        with subject.seeded():
            outs = subject.run(*subject.arrays, None).outs
        if [in_reals(out.detach()).shape for out in outs] == [c.shape for c in self.cotangents]:
            return examine(subject, self.cotangents, self.within)
        return examine(subject, cotangents_for(outs), self.within)


def trials(base: Base) -> Iterator[Trial]:
    """All of them but the second derivative."""
    for make in (_patterns, _single_outputs, _layouts, _expanded, _sizes, _again, _between, _overwritten):
        yield from make(base)


def _tried(name: str, base: Base, wanted: list[np.ndarray], subject: Subject) -> Trial:
    """Runs a subject, and judges what it returned unless that is what is wanted, bit by bit."""
    try:
        found = subject.gradients(base.cotangents)
    except Exception as error:
        return _failed(name, "raises", error)
    if _same(found, wanted):
        return Trial(name, "right")
    return _of(name, lambda: base.judged_again(subject))


def _failed(name: str, verdict: str, error: Exception) -> Trial:
    return Trial(name, verdict, f"  {type(error).__name__}: {first_line(error, 200)}")


def _of(name: str, judge: Callable[[], Judged]) -> Trial:
    try:
        judged = judge()
    except Exception as error:
        return _failed(name, "undecided", error)
    return Trial(name, judged.verdict, judged.text)


def _patterns(base: Base) -> Iterator[Trial]:
    """Each pattern of `needs_input_grad`: some inputs alone."""
    by = base.subject.by
    count = len(by)
    lengths = range(1, count) if count <= 4 else (1, count - 1)
    every = [chosen for length in lengths for chosen in combinations(range(count), length)]
    for chosen in every[:MOST_PATTERNS] if count > 1 else []:
        subject = base.other(by=[by[k] for k in chosen])
        name = f"only {', '.join(base.names[k] for k in chosen)} asked for"
        if not subject.run(*subject.arrays, None).outs:
            yield Trial(name, "raises", "  no output requires a gradient then")
            continue
        yield _tried(name, base, [base.grads[k] for k in chosen], subject)


def _single_outputs(base: Base) -> Iterator[Trial]:
    """One of several outputs is used, and the others have no cotangent."""
    subject, count = base.subject, len(base.cotangents)
    for k in range(count) if count > 1 else []:
        zeros = [c if j == k else np.zeros_like(c) for j, c in enumerate(base.cotangents)]
        alone = [c if j == k else None for j, c in enumerate(base.cotangents)]
        try:
            found, wanted = subject.gradients(alone), subject.gradients(zeros)
        except Exception as error:
            yield _failed(f"only output {k} used", "raises", error)
            continue
        same = _same(found, wanted)
        text = "" if same else "  it returns something else than where the other outputs have cotangents of 0"
        yield Trial(f"only output {k} used", "right" if same else "WRONG", text)


def _layouts(base: Base) -> Iterator[Trial]:
    """The same numbers, otherwise in memory: arguments, then cotangents."""
    for name, laid in (("not contiguous", _spread), ("transposed", _turned)):
        inputs = [laid(x.detach()) if isinstance(x, torch.Tensor) else x for x in base.subject.inputs]
        changed = any(
            isinstance(a, torch.Tensor) and a.stride() != b.stride()
            for a, b in zip(inputs, base.subject.inputs, strict=True)
        )
        if not changed:
            continue
        subject = base.other(inputs)
        yield _tried(f"arguments {name}", base, base.grads, subject)
        cotangents = [laid(to_torch(c, out)) for c, out in zip(base.cotangents, base.outs, strict=True)]
        if all(c.is_contiguous() for c in cotangents):
            continue
        yield _near(f"cotangent {name}", base.subject, cotangents, base.grads)


def _expanded(base: Base) -> Iterator[Trial]:
    """An argument that repeats its first entry along an axis, without memory of its own; and such a cotangent."""
    subject = base.subject
    for k, name in zip(subject.by, base.names, strict=True):
        x = subject.inputs[k].detach()
        axis = next((axis for axis, n in enumerate(x.shape) if n > 1), None)
        if axis is None:
            continue
        repeated = x.narrow(axis, 0, 1).expand(x.shape)
        plain, thin = ([given if j == k else x for j, x in enumerate(subject.inputs)]
                       for given in (repeated.contiguous(), repeated))  # fmt: skip
        try:
            wanted = base.other(plain).gradients(base.cotangents)
        except Exception:  # equal entries are not its domain
            continue
        yield _tried(f"{name} expanded", base, wanted, base.other(thin))
    yield from _expanded_cotangents(base)


def _expanded_cotangents(base: Base) -> Iterator[Trial]:
    """As sums hand them back: over all entries, and over the first axis. Of a softmax the former shows nothing."""
    whole = [to_torch(c, out) for c, out in zip(base.cotangents, base.outs, strict=True)]
    for name, kept in (("cotangent expanded", 0), ("cotangent expanded along an axis", 1)):
        thin = [_repeated(c, kept) for c in whole]
        if any(map(is_expanded, thin)):
            numbers = [in_reals(c).copy(order="C") for c in thin]
            yield _near(name, base.subject, thin, base.subject.gradients(numbers))


def _repeated(x: torch.Tensor, kept: int) -> torch.Tensor:
    """The first entry of a tensor wherever it has entries; with axes kept, that of the first axis."""
    if x.ndim <= kept or not x.numel():
        return x
    first = x.narrow(0, 0, 1) if kept else x.reshape(-1)[0]
    return first.expand(x.shape)


def _near(name: str, subject: Subject, cotangents: list[torch.Tensor], wanted: list[np.ndarray]) -> Trial:
    """A cotangent in another layout: the same gradient, up to the order of sums."""
    try:
        found = subject.gradients(cotangents)
    except Exception as error:
        return _failed(name, "raises", error)
    trial = _alike(name, found, wanted, "for a contiguous cotangent of the same numbers")
    if trial.verdict == "WRONG" and _is_of_rounding(subject, [in_reals(c) for c in cotangents], found):
        return Trial(name, "right")
    return trial


def _is_of_rounding(subject: Subject, cotangents: list[np.ndarray], found: list[np.ndarray]) -> bool:
    """Whether rounding explains what a run returned, as where all of a gradient is 0 and floats make it nearly so."""
    pair = examine(subject, cotangents, None).pair
    return pair is not None and pair.settle(dict(zip(subject.names, found, strict=True)), lambda _: None) is None


def _alike(name: str, found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], where: str) -> Trial:
    for a, b in zip(found, wanted, strict=True):
        slack = 2.0**10 * float(np.finfo(b.dtype).eps if b.dtype.kind == "f" else 2.0**-8)
        if not np.all(np.abs(a - b) <= slack * np.max(np.abs(b), initial=0.0)):
            return Trial(name, "WRONG", f"  it returns\n{a}\n  and\n{b}\n  {where}")
    return Trial(name, "right")


def _again(base: Base) -> Iterator[Trial]:
    """The backward once more, as for each row of a Jacobian: it may have used up what the forward kept."""
    subject, name = base.subject, "backward run again"
    given = subject.given(base.by, base.data)
    try:
        with subject.seeded():
            outs = subject.run_at(given, None).outs
        with subject.seeded():
            subject.backward(outs, given, base.cotangents, again=True)
        with subject.seeded():
            found = as_arrays(subject.backward(outs, given, base.cotangents), base.by)
    except Exception as error:
        yield _failed(name, "raises", error)
        return
    changed = (
        "it changes what the forward kept. Write into a copy; torch.autograd.grad in the place of .backward() keeps none"
    )
    yield _alike(name, found, base.grads, f"when it runs first: {changed}")


NEAR = 2.0**-6
"""how far another call is, relative"""


def _between(base: Base) -> Iterator[Trial]:
    """Another call before the backward, as where a layer is used twice: what is kept beside ctx is then the other call's."""
    subject, name = base.subject, "another call before the backward"

    def call() -> None:
        with subject.seeded(), suppress(Exception):  # not its domain
            subject.func(*subject.given([np.asarray(x * (1 + NEAR) + NEAR, x.dtype) for x in base.by], base.data))

    try:
        with subject.seeded():
            found = as_arrays(subject.run_at(subject.given(base.by, base.data), base.cotangents, call).grads, base.by)
    except Exception as error:
        yield _failed(name, "raises", error)
        return
    yield _alike(name, found, base.grads, "without that call: keep what it needs in ctx")


def _sizes(base: Base) -> Iterator[Trial]:
    """Axes of length 1 and 0, wherever the arguments have one length."""
    tensors = [x for x in base.subject.inputs if isinstance(x, torch.Tensor)]
    lengths = list(dict.fromkeys(n for x in tensors for n in x.shape if n > 1))[:MOST_SIZES]
    watch = _watched(base)
    for length in lengths:
        for short in (1, 0):
            name = f"axes of {length} shortened to {short}"
            if watch.unchecked or length in watch.lengths:
                unchecked = f"{watch.unchecked} does not check what it is told of lengths and labels"
                why = unchecked if watch.unchecked else f"it holds a tensor of its own with an axis of {length}"
                yield Trial(name, "not tried", f"  {why}")
                continue
            by, given = base.subject.by, base.subject.inputs
            subject = base.other([_shortened(x, length, short, data=k not in by) for k, x in enumerate(given)])
            at, data = subject.arrays
            try:
                outs = subject.run(at, data, None).outs
                values = subject.value_of(at, data)
            except Exception:
                continue  # its own check of shapes, or PyTorch's
            if not outs or not all(np.all(np.isfinite(value)) for value in values):
                continue
            try:
                grads = subject.gradients(cotangents_for(outs))
            except Exception as error:
                yield _failed(name, "raises", error)
                continue
            if all(out.numel() for out in outs) and all(x.size for x in at):
                yield _of(name, lambda subject=subject: base.judged_again(subject))
                continue
            if any(out.numel() for out in outs):  # a sum over nothing, whose other gradients may be anything
                continue
            right = all(np.all(grad == 0) for grad in grads)
            if not right and _meets_no_number(subject, cotangents_for(outs)):
                continue
            yield Trial(name, "right" if right else "WRONG", "" if right else "  there is no output, and a gradient not 0")


def _meets_no_number(subject: Subject, cotangents: list[np.ndarray]) -> bool:
    """Whether a step of the forward has no value, as the mean of nothing: what autograd makes of it has none either."""
    with suppress(Exception):
        written = subject.written(None, cotangents, keep=True)
        steps = [value for value in written.kept[: written.own_steps] if value.dtype.kind == "f"]
        return not all(np.all(np.isfinite(value)) for value in steps)
    return False


def _watched(base: Base) -> "_Watch":
    """What the forward holds that stays when arguments are shortened, as a target."""
    given = base.subject.given(base.by, base.data)
    with base.subject.seeded(), _Watch() as watch:
        watch.know(given)
        base.subject.func(*given)
    return watch


UNCHECKED = {"_ctc_loss": "ctc_loss"}
"""operations of PyTorch that read and write outside of memory where a label or a length is too large"""


class _Watch(TorchDispatchMode):
    """Notes the shapes of tensors that neither were handed in nor are the result of an operation."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths = set[int]()
        self.unchecked = ""
        """an operation that would not notice that an axis is too short"""
        self._known = dict[int, torch.UntypedStorage]()
        """the storages themselves: as long as they live, no other has their id"""

    def know(self, values: Any) -> None:
        """Tensors that may be met."""
        for x in tree_leaves(values):
            if isinstance(x, torch.Tensor):
                self._known[id_of_storage(x)] = x.untyped_storage()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs an operation."""
        del types
        self.unchecked = self.unchecked or UNCHECKED.get(func._schema.name.split("::")[-1], "")
        for x in tree_leaves((args, kwargs)):
            if isinstance(x, torch.Tensor) and id_of_storage(x) not in self._known:
                self.lengths.update(x.shape)
        result = func(*args, **(kwargs or {}))
        self.know(result)
        return result


def _overwritten(base: Base) -> Iterator[Trial]:
    """Arguments and cotangents stay what they were; one that is overwritten after the forward is noticed."""
    subject = base.subject
    with subject.seeded():
        given = subject.given(base.by, base.data)
        cotangents = [to_torch(c, out) for c, out in zip(base.cotangents, base.outs, strict=True)]
        subject.run_at(given, cotangents)
    for k, x, name in zip(subject.by, base.by, base.names, strict=True):
        if not torch.equal(given[k].detach(), to_torch(x, given[k])):
            yield Trial(f"{name} is overwritten by the function", "WRONG", "  call mark_dirty, or write into a copy")
    kept = [to_torch(c, out) for c, out in zip(base.cotangents, base.outs, strict=True)]
    if not all(torch.equal(c, b) for c, b in zip(cotangents, kept, strict=True)):
        yield Trial(
            "the cotangent is overwritten by the backward", "WRONG", "  autograd may use it again: write into a copy"
        )
    for k, name in zip(subject.by, base.names, strict=True):
        with subject.seeded():
            given = subject.given(base.by, base.data)

            def overwrite(t: torch.Tensor = given[k]) -> None:
                with torch.no_grad():
                    t.mul_(-1.5).add_(0.25)

            try:
                found = as_arrays(subject.run_at(given, base.cotangents, overwrite).grads, base.by)
            except RuntimeError:  # PyTorch notices by the version of what was saved
                yield Trial(f"{name} overwritten after the forward", "right")
                continue
        right = _same(found, base.grads)
        text = "" if right else "  the backward uses the new numbers and says nothing: keep it by save_for_backward"
        yield Trial(f"{name} overwritten after the forward", "right" if right else "WRONG", text)


def double(base: Base) -> Trial:
    """The derivative that autograd makes of the backward itself."""
    subject = base.subject
    count = len(subject.inputs)
    inputs = [*subject.inputs, *[to_torch(c, out) for c, out in zip(base.cotangents, base.outs, strict=True)]]
    by = [*subject.by, *range(count, len(inputs))]

    def backward(*args: Any) -> list[torch.Tensor]:
        given = [x.requires_grad_() if is_float(x) and k in by and not x.requires_grad else x for k, x in enumerate(args)]
        outs = [out for out in outputs_of(subject.func(*given[:count])) if is_float(out) and out.requires_grad]
        found = torch.autograd.grad(
            outs, [given[k] for k in subject.by], given[count:], create_graph=True, allow_unused=True
        )
        return [each for each in found if each is not None and each.requires_grad]

    backward.__name__ = f"{label_of_function(subject.func)}.backward"
    called = [*subject.called, *[f"upstream_{k}" if k else "upstream" for k in range(len(base.cotangents))]]
    twice = Subject(backward, inputs, by, called=called).drawing_as(subject)
    try:
        outs = twice.run(*twice.arrays, None).outs
        if not outs:
            return Trial(DOUBLE, "raises", "  the gradients do not require a gradient")
        if any(_refuses(out) for out in outs):
            return Trial(DOUBLE, "raises", "  it is marked as once differentiable")
        cotangents = cotangents_for(outs, seed=2)
        twice.run(*twice.arrays, cotangents)
    except NotFollowedError as error:
        return Trial(DOUBLE, "undecided", f"  {error}")
    except Exception as error:
        return _failed(DOUBLE, "raises", error)
    return _of(DOUBLE, lambda: examine(twice, cotangents, base.within))


def _refuses(out: torch.Tensor) -> bool:
    """Whether a tensor has `once_differentiable` behind it: autograd may not reach its error on the way to the inputs."""
    waiting, seen = [out.grad_fn], set[Any]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if "Error" in node.name():
            return True
        seen.add(node)
        waiting += [each for each, _ in node.next_functions]
    return False


def _same(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> bool:
    return all(a.shape == b.shape and np.array_equal(a, b, equal_nan=True) for a, b in zip(found, wanted, strict=True))


def _spread(x: torch.Tensor) -> torch.Tensor:
    """Every other place in memory."""
    if x.numel() < 2:
        return x
    return torch.stack([x, torch.zeros_like(x)], dim=-1)[..., 0]


def _turned(x: torch.Tensor) -> torch.Tensor:
    """The last two axes the other way round in memory."""
    return x.transpose(-1, -2).contiguous().transpose(-1, -2) if x.ndim > 1 else x


def _shortened(x: Any, length: int, short: int, *, data: bool) -> Any:
    """A tensor with axes of another length; data of which each row adds up to 1, or has length 1, do so still."""
    if not isinstance(x, torch.Tensor):
        return x
    made = x.detach()
    for axis, n in enumerate(x.shape):
        if n == length:
            kept = _unit(made, axis) if data and short else None
            made = made.narrow(axis, 0, short) if kept is None else kept
    return made.clone()


def _unit(x: torch.Tensor, axis: int) -> torch.Tensor | None:
    """The sum of each row, or its length, where these are 1."""
    wide = x.to(torch.float64) if x.dtype != torch.bool and not x.is_complex() else None
    if wide is None:
        return None
    slack = 8 * x.shape[axis] * torch.finfo(x.dtype if x.is_floating_point() else torch.float64).eps
    for size in (wide.sum(axis, keepdim=True), wide.norm(dim=axis, keepdim=True)):
        if size.numel() and torch.all((size - 1).abs() <= slack):
            return size.to(x.dtype)
    return None
