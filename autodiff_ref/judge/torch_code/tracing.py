"""PyTorch code runs on real tensors, and what it computes is written down as operations of JAX at the same time.

The mode sits below autograd: `Function.apply`, ctx, `save_for_backward`, `needs_input_grad`, `no_grad`, hooks and checkpoint
are PyTorch's own, and reach it as plain operations. Real values run along, so that code may branch on them and ask for
shapes; what was decided by a value is noted as an assumption, under which alone the trace holds.

What is traced is kept by storage and not by tensor: views and writing in place need no rules.
"""

import sys
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from jax import lax
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from autodiff_ref.judge.errors import first_line
from autodiff_ref.judge.numpy_code.run import MOST_ASSUMED, Assumption, user_place
from autodiff_ref.judge.torch_code.drawing import CONSTANT, FILLING
from autodiff_ref.judge.torch_code.memory import as_block, block_order, read, written
from autodiff_ref.judge.torch_code.values import NotFollowedError, apart, as_dtype, dtype_of, in_reals, to_numpy

Rule = Callable[..., Any]
"""of the arguments of an operation, its tensors as JAX arrays; returns an array or several"""

WITHOUT_VALUE = {"memory_format", "layout", "device", "pin_memory", "non_blocking", "out", "generator"}
"""keywords of operations that change nothing of what they compute"""

DECIDING = {"nonzero", "nonzero_static", "unique_dim", "unique_consecutive", "_unique", "_unique2", "bincount", "equal"}
"""operations whose results are taken as they are here, as long as what they are told of stays the same"""

OF_A_TRIANGLE = {"linalg_cholesky_ex", "cholesky", "_linalg_eigh", "linalg_eigh", "cholesky_inverse", "linalg_ldl_factor_ex"}
"""operations that read one triangle of a matrix, and take the other one to be its mirror"""

OF_A_SHAPE = {"rand_like", "randn_like", "randint_like", "bernoulli.p"}
"""operations that take a tensor, and draw random numbers by nothing but its shape"""

DRAWN_COUNTS = {"multinomial", "poisson", "binomial"}
"""operations that draw whole numbers: as long as the input changes little they draw the same"""

COMPARING = {"lt", "le", "gt", "ge"}

OF_MEMORY = {"_has_same_storage_numel", "is_same_size", "set_"}
"""operations that ask for no numbers, and return none: one says which memory a tensor reads"""

ESCAPES = {
    torch.Tensor.numpy: "numpy()",
    torch.Tensor.tolist: "tolist()",
    torch.Tensor.__array__: "NumPy",
    torch.Tensor.data_ptr: "data_ptr()",
    torch.Tensor.__dlpack__: "dlpack",
}


@dataclass(frozen=True)
class Operation:
    """One operation as a rule sees it that needs more than its arrays."""

    trace: "Trace"
    args: tuple[Any, ...]
    keywords: dict[str, Any]
    arrays: tuple[Any, ...]
    """the arguments, tensors as JAX arrays"""
    out: Any
    """what it returned; None for one that writes in place, which has not run yet"""

    def assume(self, t: torch.Tensor) -> None:
        """Takes the numbers of a tensor for granted."""
        self.trace.assume(t)


@dataclass(frozen=True)
class Step:
    """An operation that was written down, for finding the one that was written down wrongly."""

    operation: str
    place: str
    array: Any
    """as traced"""
    value: np.ndarray
    """as PyTorch has it"""


class Trace(TorchDispatchMode):
    """One run of PyTorch code, written down."""

    def __init__(self, *, keep: bool = False) -> None:
        super().__init__()
        self.cells: dict[int, Any] = {}
        """what each storage holds, flat"""
        self._held: dict[int, Any] = {}
        """these storages: as long as they live, no other has their id"""
        self.assumptions: list[Assumption] = []
        self.compared = Counter[str]()
        """how often floats were compared, by the place in the user's code"""
        self.reads_triangle = False
        """whether an operation took a matrix to be symmetric"""
        self.steps: list[Step] = []
        self._keep = keep

    def is_traced(self, t: torch.Tensor) -> bool:
        """Whether what a tensor holds was computed from what is traced."""
        return id_of_storage(t) in self.cells

    def read(self, t: torch.Tensor) -> Any:
        """What a tensor holds: as traced, or a constant."""
        cell = self.cells.get(id_of_storage(t))
        if cell is None:
            return jnp.asarray(to_numpy(t))
        made = read(_memory_of(cell, t), t.shape, t.stride(), t.storage_offset())
        made = jnp.conj(made) if t.is_conj() else made
        return -made if t.is_neg() else made

    def define(self, t: torch.Tensor, value: Any) -> None:
        """Says what a tensor holds from now on; the rest of its memory stays as it was."""
        value = as_dtype(jnp.broadcast_to(jnp.asarray(value), t.shape), dtype_of(t.dtype))
        value = jnp.conj(value) if t.is_conj() else value
        size = t.untyped_storage().nbytes() // t.element_size()
        order = block_order(t.shape, t.stride())
        if order is not None and size == t.numel() and size > 0:
            flat = as_block(value, order)
        else:
            before = self.cells.get(id_of_storage(t))
            if before is None:
                whole = t.detach().new_empty(0).set_(t.untyped_storage(), 0, (size,))
                before = jnp.asarray(to_numpy(whole))
            before = _memory_of(before, t)
            flat = written(before, value, t.shape, t.stride(), t.storage_offset())
        self.cells[id_of_storage(t)] = flat
        self._held[id_of_storage(t)] = t.untyped_storage()

    def assume(self, t: torch.Tensor) -> None:
        """Takes the numbers of a tensor for granted; a constant's need no assumption."""
        if self.is_traced(t):
            self._assume(apart(self.read(t)), in_reals(t))

    def _assume(self, array: Any, value: np.ndarray) -> None:
        if value.size > MOST_ASSUMED:
            raise NotFollowedError("an index", f"{value.size} numbers decide what is computed: try smaller shapes")
        place = user_place(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        self.assumptions.append(Assumption(array, value, place))

    def arrays(self, tree: Any) -> Any:
        """Arguments with their tensors as JAX arrays."""
        return tree_map(lambda part: self.read(part) if isinstance(part, torch.Tensor) else part, tree)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs an operation, and writes it down where it meets what is traced."""
        del types
        keywords = dict(kwargs or {})
        tensors = [part for part in tree_leaves((args, keywords)) if isinstance(part, torch.Tensor)]
        name = func._schema.name.split("::")[-1]
        if name == "_efficientzerotensor":  # one without memory
            return torch.zeros(*args, **keywords)
        strided = [t for t in tensors if t.layout is torch.strided]
        if not any(map(self.is_traced, strided)):
            return func(*args, **keywords)
        if len(strided) < len(tensors):
            raise NotFollowedError(name, "a sparse tensor takes part in it")
        try:
            return self._operation(func, name, args, keywords, tensors)
        except NotFollowedError:
            raise
        except Exception as error:
            if _is_of_rules(error):
                raise NotFollowedError(name, f"{type(error).__name__}: {first_line(error)}") from error
            raise

    def _operation(
        self, func: Any, name: str, args: tuple[Any, ...], keywords: dict[str, Any], tensors: list[torch.Tensor]
    ) -> Any:
        if name == "_local_scalar_dense":
            return self._number(func, args[0])
        if name in DECIDING:
            return self._decided(func, name, args, keywords)
        if name in CONSTANT or name in OF_MEMORY:
            return func(*args, **keywords)
        if name in FILLING:
            return self._drawn(func, name, args, keywords)
        if name in ("resize_", "resize_as_"):
            return self._resized(func, args, keywords)
        if name in ("set_", "_to_dense", "_to_sparse"):
            raise NotFollowedError(name)
        if name in COMPARING and any(t.dtype.is_floating_point for t in tensors):
            self.compared[user_place(sys._getframe(1))] += 1  # pyright: ignore[reportPrivateUsage]
        self.reads_triangle = self.reads_triangle or name in OF_A_TRIANGLE
        if torch.Tag.inplace_view in func.tags:
            return func(*args, **keywords)  # another view of the same memory
        targets = _written(func, args, keywords)
        if not targets and any(returned.alias_info is not None for returned in func._schema.returns):
            out = func(*args, **keywords)
            parts = [part for part in tree_leaves(out) if isinstance(part, torch.Tensor)]
            if all(self.is_traced(part) or not part.numel() for part in parts):
                return out  # a view: its storage is traced
            return self._decomposed(func, name, args, keywords)  # a copy, as `reshape` may make one
        found = _rule_of(name, written=bool(targets))
        if found is None:
            return self._decomposed(func, name, args, keywords)
        rule, is_special = found
        plain = {key: value for key, value in keywords.items() if key not in WITHOUT_VALUE}
        arrays, more = self.arrays((args, plain))
        if targets:
            value = rule(Operation(self, args, plain, arrays, None)) if is_special else rule(*arrays, **more)
            values = value if isinstance(value, tuple | list) else (value,)
            out = func(*args, **keywords)
            for target, each in zip(targets, values, strict=False):
                self.define(target, each)
                self._note(name, target)
            return out
        out = func(*args, **keywords)
        value = rule(Operation(self, args, plain, arrays, out)) if is_special else rule(*arrays, **more)
        self._define_all(name, out, value, tensors)
        return out

    def _define_all(self, name: str, out: Any, value: Any, tensors: Sequence[torch.Tensor]) -> None:
        outs: list[Any] = list(out) if isinstance(out, tuple | list) else [out]
        values: list[Any] = list(value) if isinstance(value, tuple | list) else [value]
        if len(outs) == 1 and isinstance(outs[0], list):
            outs = outs[0]
        if len(outs) != len(values):
            raise NotFollowedError(name, f"{len(values)} results were written down, and it has {len(outs)}")
        given = {id_of_storage(t) for t in tensors}
        for t, each in zip(outs, values, strict=True):
            # nothing is asked or said of it, or it is an argument that came back
            if t is None or each is None or (id_of_storage(t) in given and t.numel()):
                continue
            if tuple(np.shape(each)) != tuple(t.shape):
                raise NotFollowedError(name, f"shape {np.shape(each)} was written down, and it has {tuple(t.shape)}")
            self.define(t, each)
            self._note(name, t)

    def _note(self, name: str, t: torch.Tensor) -> None:
        if self._keep and "empty" not in name:
            place = user_place(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
            self.steps.append(Step(name, place, apart(self.read(t)), in_reals(t)))

    def _number(self, func: Any, t: torch.Tensor) -> Any:
        if t.dtype.is_floating_point or t.dtype.is_complex:
            raise NotFollowedError(
                "a number", f"a {t.dtype} is taken out of a tensor, and what becomes of it is not followed"
            )
        self.assume(t)
        return func(t)

    def _decided(self, func: Any, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if name == "equal":
            out = func(*args, **keywords)
            a, b = self.arrays(args[:2])
            if a.shape == b.shape:
                self._assume(jnp.all(a == b), np.asarray(out))
            return out
        t = args[0]
        if name.startswith("nonzero"):
            self._assume(self.read(t) != 0, to_numpy(t) != 0)
        elif t.dtype.is_floating_point or t.dtype.is_complex:
            raise NotFollowedError(name, "of floats")
        else:
            self.assume(t)
        return func(*args, **keywords)

    def _drawn(self, func: Any, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        told = [part for part in tree_leaves((args[1:], keywords)) if isinstance(part, torch.Tensor)]
        if name != "bernoulli_" and any(map(self.is_traced, told)):
            raise NotFollowedError(name, "how it draws depends on the input")
        out = func(*args, **keywords)
        self.define(args[0], to_numpy(args[0]))
        return out

    def _resized(self, func: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        t = args[0]
        if not self.is_traced(t):
            return func(*args, **keywords)
        if t.storage_offset() or not t.is_contiguous():
            raise NotFollowedError("resize_", "of a view")
        out = func(*args, **keywords)
        size, cell = t.untyped_storage().nbytes() // t.element_size(), self.cells[id_of_storage(t)]
        if size > cell.shape[0]:
            self.cells[id_of_storage(t)] = jnp.concatenate([cell, jnp.zeros(size - cell.shape[0], cell.dtype)])
        return out

    def _decomposed(self, func: Any, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """An operation without a rule, by PyTorch's own decomposition into others; one in place by the one that is not."""
        with self:
            found = func.decompose(*args, **keywords)
            if found is not NotImplemented:
                return found
            table = torch._decomp.decomposition_table
            if func in table and (found := table[func](*args, **keywords)) is not NotImplemented:
                return found
            packet = getattr(torch.ops.aten, name[:-1], None) if name.endswith("_") else None
            if packet is not None and not name.startswith("_foreach"):
                args[0].copy_(packet(*args, **keywords))
                return args[0]
        raise NotFollowedError(name)


def _memory_of(cell: Any, t: torch.Tensor) -> Any:
    """Memory as a tensor reads it: of complex numbers as of reals in turns, or the other way round.

    Raises:
        NotFollowedError: as other numbers.
    """
    wanted = np.dtype(dtype_of(t.dtype))
    if cell.dtype == wanted:
        return cell
    if np.dtype(cell.dtype).kind == "c" and wanted == np.finfo(cell.dtype).dtype:
        return apart(cell).reshape(-1)
    if wanted.kind == "c" and cell.dtype == np.finfo(wanted).dtype:
        both = cell.reshape(-1, 2)
        return lax.complex(both[:, 0], both[:, 1])
    raise NotFollowedError("view", f"memory of {cell.dtype} is read as {t.dtype}")


def id_of_storage(t: torch.Tensor) -> int:
    """Names the storage of a tensor as long as that lives."""
    return t.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]


def _written(func: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> list[torch.Tensor]:
    """The tensors that an operation writes into."""
    declared = func._schema.arguments
    bound = {**dict(zip([argument.name for argument in declared], args, strict=False)), **keywords}
    targets = [
        bound[argument.name]
        for argument in declared
        if argument.alias_info is not None and argument.alias_info.is_write and argument.name in bound
    ]
    return [part for part in tree_leaves(targets) if isinstance(part, torch.Tensor)]


def _rule_of(name: str, *, written: bool) -> tuple[Rule, bool] | None:
    """(rule, whether it is handed the whole operation); one in place has the rule of the one that is not."""
    from autodiff_ref.judge.torch_code.rules import RULES, SPECIAL

    for each in (name, name[:-1]) if written and name.endswith("_") else (name,):
        if each in SPECIAL:
            return SPECIAL[each], True
        if each in RULES:
            return RULES[each], False
    return None


def _is_of_rules(error: BaseException) -> bool:
    """Whether an error was raised by a rule, and not by PyTorch or the user's code."""
    at, last = error.__traceback__, ""
    while at is not None:
        module = str(at.tb_frame.f_globals.get("__name__", ""))
        last = module if module.startswith("autodiff_ref.judge.torch_code.rules") else last
        at = at.tb_next
    return bool(last)


class Escapes(TorchFunctionMode):
    """Notices what leaves PyTorch, where it cannot be followed; a float that is taken out stays a tensor."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace = trace

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs a function of PyTorch."""
        del types
        t = args[0] if args else None
        if isinstance(t, torch.Tensor) and (func in ESCAPES or func is torch.Tensor.item) and self._trace.is_traced(t):
            if func is not torch.Tensor.item:
                raise NotFollowedError(ESCAPES[func], "takes the numbers out of PyTorch")
            if t.dtype.is_floating_point and t.numel() == 1:
                return t.detach().reshape(()).to(torch.float64)
        return func(*args, **(kwargs or {}))


@contextmanager
def tracing(*, keep: bool = False) -> Generator[Trace]:
    """A run that is written down; with `keep` what each operation returned is kept as well."""
    trace = Trace(keep=keep)
    with Escapes(trace), trace:
        yield trace
