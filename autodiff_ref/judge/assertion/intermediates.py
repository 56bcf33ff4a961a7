"""Judges the gradients by a program's intermediate values one by one, as a chain rule written out by hand has them.

The program is traced once, with the arrays that its names hold when it returns. To differentiate by one of them, the trace
is cut there: what is computed from it is computed from an input of its own instead. The first gradient is that of the loss.
A later one is judged given the earlier: it must follow from what was given for these, right or wrong.
"""

import sys
import types
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from numpy.typing import ArrayLike

from autodiff_ref.judge.assertion.by_value import twice_the_bound
from autodiff_ref.judge.assertion.calling import check_arrays
from autodiff_ref.judge.assertion.captured import captured, with_arrays
from autodiff_ref.judge.assertion.computed import Computed
from autodiff_ref.judge.assertion.exactly import BALLS_FIRST, NEGLIGIBLE, TELLING, Exact, exact_at
from autodiff_ref.judge.assertion.message import at_this_input, entries, of_another_shape, others
from autodiff_ref.judge.assertion.precision import coarsest, eps_in, eps_of
from autodiff_ref.judge.assertion.refused import no_floats, not_traced
from autodiff_ref.judge.assertion.sides import Call, Side, work_of
from autodiff_ref.judge.assertion.undecided import decided, require_the_same_again, undecided
from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.comparing import PRECISIONS, evaluator
from autodiff_ref.judge.errors import without_derivative
from autodiff_ref.judge.lines.jaxprs import Atom
from autodiff_ref.judge.numpy_code.makers import following
from autodiff_ref.judge.numpy_code.mapping import bare
from autodiff_ref.judge.numpy_code.run import VARIES, Run, running
from autodiff_ref.judge.numpy_code.standin import StandIn
from autodiff_ref.judge.program.equations import alone
from autodiff_ref.judge.program.plans import Array, Plan, aval_of
from autodiff_ref.judge.program.walk import plan_parts
from autodiff_ref.judge.state import kept_as_it_was, names_in
from autodiff_ref.judge.truth import truth_of
from autodiff_ref.trees import Function, PyTree
from manual_grad.derivation import label_of


@dataclass(frozen=True)
class _Program:
    """A loss and the arrays that its names hold in the end, traced."""

    closed: core.ClosedJaxpr
    """jaxpr: the loss, then these arrays"""
    names: list[str]
    arrays: list[Array]
    """its inputs"""
    eps: float
    """of the coarsest floats that it is handed or computes with: what is made of float32 is not exact to float64"""
    own: "_Program | None" = None
    """the same in its own precision, where that is coarser than float64; else, or where it cannot be traced so, None"""

    def run(self, inputs: Sequence[jax.Array], instead: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
        """(the loss, the arrays by their names), with others used in the place of some of these."""
        jaxpr, env = self.closed.jaxpr, dict[core.Var, jax.Array]()
        own = dict(zip(self.names, jaxpr.outvars[1:], strict=True))
        others = {own[name]: array for name, array in instead.items()}
        made: dict[core.Var, jax.Array] = {}

        def write(var: core.Var, array: jax.Array) -> None:
            made[var], env[var] = array, others.get(var, array)

        def read(atom: Atom) -> jax.Array:
            return atom.val if isinstance(atom, core.Literal) else env[atom]

        for var, array in zip((*jaxpr.constvars, *jaxpr.invars), (*self.closed.consts, *inputs), strict=True):
            write(var, array)
        for eqn in jaxpr.eqns:
            variables, function = alone(eqn, jaxpr)
            for var, array in zip(eqn.outvars, function(*map(read, variables)), strict=True):
                write(var, array)
        named = {name: var.val if isinstance(var, core.Literal) else made[var] for name, var in own.items()}
        return read(jaxpr.outvars[0]), named

    def gradient(
        self, name: str, earlier: list[str], upstream: Sequence[ArrayLike]
    ) -> tuple[core.ClosedJaxpr, jax.ShapeDtypeStruct, list[Array]]:
        """(the gradient by a name, given those by earlier ones, as a jaxpr; its shape; the arrays that the jaxpr takes)."""
        arrays = self._with(upstream, earlier)

        def gradient(*leaves: jax.Array) -> jax.Array:
            _, before = self.run(leaves[: len(self.arrays)], {})
            return jax.grad(lambda own: self._loss(leaves, name, earlier, own))(before[name])

        try:
            with jax.enable_x64(True):
                closed, out = jax.make_jaxpr(gradient, return_shape=True)(*arrays)
        except Exception as error:
            if said := without_derivative(error):
                raise TypeError(said) from error
            raise
        return closed, out, arrays

    def _with(self, upstream: Sequence[ArrayLike], earlier: list[str]) -> list[Array]:
        """The inputs, and the gradients that are given for earlier names."""
        shapes = [self.closed.out_avals[1 + self.names.index(each)].shape for each in earlier]
        return [*self.arrays, *[np.asarray(d).reshape(shape) for d, shape in zip(upstream, shapes, strict=True)]]

    def _loss(self, leaves: Sequence[jax.Array], name: str, earlier: list[str], own: jax.Array) -> jax.Array:
        """What has the gradient by a name that follows from those given for earlier ones; `own` stands for that name."""
        inputs, given = leaves[: len(self.arrays)], leaves[len(self.arrays) :]
        _, before = self.run(inputs, {})
        value, made = self.run(inputs, {**{each: before[each] for each in earlier}, name: own})
        return value + sum(jnp.sum(d * made[each]) for d, each in zip(given, earlier, strict=True))

    def kinks(self, name: str, earlier: list[str], upstream: Sequence[ArrayLike]) -> dict[int, tuple[float, float]]:
        """The entries of a name's array by which there is no gradient, as the largest of several zeros has none.

        For each, its derivatives from either side, the smaller first.
        """
        arrays = self._with(upstream, earlier)
        with jax.enable_x64(True):
            own = np.asarray(self.run(list(map(jnp.asarray, self.arrays)), {})[1][name])
        given = [own, *arrays]

        def loss(own: jax.Array, *leaves: jax.Array) -> jax.Array:
            return self._loss(leaves, name, earlier, own)

        def planned(f: Function) -> Plan | None:
            with jax.enable_x64(True):
                return plan_parts(jax.make_jaxpr(f)(*given), BALLS, [1], labels=[False, *[True] * len(arrays)])[0]

        gradient, value = planned(jax.grad(loss)), planned(loss)
        if gradient is None or value is None or not evaluator(gradient, tuple(given))(PRECISIONS[0], "exact", "exact").tied:
            return {}
        entries = truth_of(value, given, [0], None, [1]).entries
        sides = {k: (entry.left, entry.right) for k, entry in enumerate(entries) if entry.kind == "kink"}
        return {
            k: (min(ends), max(ends))
            for k, two in sides.items()
            if len(ends := [float(x) for x in two if x is not None]) == 2
        }

    def computed_in(self, name: str, earlier: list[str], given: Sequence[ArrayLike], computed: Sequence[float]) -> float:
        """eps of the coarsest floats in which the gradient by a name is computed: data in float32 are exact.

        `computed` is the same of the gradients given.
        """
        if self.own is None or name not in self.own.names:
            return self.eps
        closed, _, _ = self.own.gradient(name, earlier, given)
        inputs = [*[0.0] * len(self.arrays), *computed]
        return max(coarsest(closed.jaxpr, inputs)[0], eps_in(self.closed.jaxpr))


@dataclass(frozen=True)
class _Judged:
    """What is found of one gradient."""

    key: str
    name: str
    shape: tuple[int, ...]
    given: Array
    truth: Exact | None
    wrong: list[int]
    allowed: Array
    told: bool
    eps: float = 0.0
    """of the coarsest floats that it is computed in"""
    is_coarse: bool = False
    """whether it is off by more than the floats that it is computed in explain, and coarser ones among the data would"""


def check_intermediates(forward: Function, gradients: dict[str, ArrayLike], *args: PyTree, **keywords: PyTree) -> None:
    """Each of the given arrays is the gradient of the loss by the value that forward calls so.

    They are judged in the order given, which is that of back-propagation: from the loss to the parameters. The first that is
    wrong is named; a later one is judged as following from those before it, whatever they are.

    Args:
        forward: computes the loss and returns it (or a tuple that starts with it). Its intermediate values are its own
            variables, by the names that they have when it returns. Arrays that it reads from its module or closure are
            followed as well.
        gradients: name to array: `dz`, or `z`, for the gradient by the variable `z`.
        *args: forward's arguments; a gradient by an argument is named like one by any other variable.
        **keywords: forward's too.

    Raises:
        AssertionError: a gradient is wrong: which, where, by how much, and what of the later ones.
        UndecidedError: nothing can be said at this input.
        TypeError: forward cannot be traced, or has no variable of a name.

    Example:
        >>> import numpy as np
        >>> x, w = np.array([[1.0, 2.0], [0.25, -1.0]]), np.array([1.0, -0.5])
        >>> def loss(w):
        ...     z = x @ w
        ...     return np.sum(z**2)
        >>> dz = 2 * (x @ w)
        >>> check_intermediates(loss, {"dz": dz, "dw": x.T @ dz}, w)
    """
    __tracebackhide__ = True
    if not callable(forward):
        way_on = "the function comes before the gradients" if callable(gradients) else "pass the function, not its value"
        raise TypeError(f"`forward` must be a function, got {type(forward).__name__}: {way_on}")
    if not isinstance(gradients, dict):
        raise TypeError(f'`gradients` must be a dict of arrays, as {{"dz": dz}}, got {type(gradients).__name__}')
    check_arrays(forward, args, keywords)
    call = Call.of(args, keywords)
    program = _traced(forward, call, list(gradients))
    names = [_variable(key, program.names) for key in gradients]
    judged: list[_Judged] = []
    for k, (key, value) in enumerate(gradients.items()):
        found = _judge(program, key, names[k], value, judged)
        if found.wrong and k and not any(each.wrong for each in judged):
            found = replace(found, wrong=_wrong_from_scratch_too(program, found, value))
        judged.append(found)
    first = next((each for each in judged if each.wrong), None)
    if first is not None:
        both = program, _traced(forward, call, list(gradients))
        with jax.enable_x64(True):
            before, again = (each.run(list(map(jnp.asarray, each.arrays)), {}) for each in both)
        require_the_same_again(before, again, forward, "the gradients")
        decided()
        raise AssertionError(_message(first, judged, label_of(forward)))
    coarse = [each.key for each in judged if each.is_coarse]
    if coarse:
        undecided(
            f"nothing can be said of {', '.join(coarse)} {at_this_input(call, forward)}: "
            "it is off by more than rounding in its own floats, "
            "and by no more than if it were computed in those of the coarsest data. Hand in all data in float64"
        )
    unknown = [each.key for each in judged if not each.told]
    if unknown:
        undecided(
            f"nothing can be said of {', '.join(unknown)} {at_this_input(call, forward)}: "
            "the gradient does not exist there, or is smaller "
            "than the rounding errors of its computation. Choose another input"
        )
    decided()


def _traced(forward: Function, call: Call, wanted: list[str], *, own: bool = False) -> _Program:
    held = captured(forward)[1]
    inputs = [*call.values, *held]
    errors: list[Exception] = []
    names: list[str] = []
    code = _code_of(forward)
    globals_ = _global_arrays(forward)
    given = [np.asarray(x) for x in (*inputs, *globals_.values())]
    eps = max([2.0**-52, *[eps_of(x.dtype) for x in given]])
    if not own:
        given = [x.astype(np.float64) if jnp.issubdtype(x.dtype, np.floating) else x for x in given]

    def flat(numpy_code: bool, thoroughly: bool, *leaves: jax.Array) -> tuple[jax.Array, ...]:
        names.clear()
        made = [
            StandIn(real.copy() if real.ndim else real[()], leaf, VARIES) if numpy_code else leaf
            for leaf, real in zip(leaves, given, strict=True)
        ]
        first, second = len(call.values), len(inputs)
        f = with_arrays(forward, made[first:second])
        f = _with_globals(f, dict(zip(globals_, made[second:], strict=True)))
        own_args, own_keywords = call.rebuilt(made[:first])
        seen: dict[str, object] = {}
        with kept_as_it_was(forward), running(Run()), np.errstate(all="ignore"), _watching(code, seen):
            if numpy_code:
                with following(f, thoroughly=thoroughly) as (followed, _):
                    returned = followed(*own_args, **own_keywords)
            else:
                returned = f(*own_args, **own_keywords)
        loss = returned[0] if isinstance(returned, tuple) else returned  # pyright: ignore[reportUnknownVariableType]
        arrays = {
            name: bare(value) for name, value in seen.items() if type(value) is StandIn or isinstance(value, jax.Array)
        }
        names.extend(arrays)
        if np.shape(loss) != ():
            raise ValueError(f"it returns shape {np.shape(loss)}, and a loss is one number")
        return jnp.asarray(bare(loss)), *[jnp.asarray(array) for array in arrays.values()]

    for numpy_code, thoroughly in ((True, False), (False, False), (True, True)):
        try:
            with jax.enable_x64(True), kept_as_it_was(forward):
                closed = jax.make_jaxpr(partial(flat, numpy_code, thoroughly))(*given)
        except Exception as error:  # whatever it does with a tracer
            errors.append(error)
            continue
        if not names and wanted:
            break
        program = _Program(closed, list(names), given, max(eps, eps_in(closed.jaxpr)))
        return program if own or eps == 2.0**-52 else replace(program, own=_in_its_own_precision(forward, call, wanted))
    error = errors[0] if errors else ValueError("it computes with no array that it is handed, or finds in its module")
    raise TypeError(not_traced(label_of(forward), error)) from error


def _in_its_own_precision(forward: Function, call: Call, wanted: list[str]) -> _Program | None:
    try:
        return _traced(forward, call, wanted, own=True)
    except TypeError:
        return None


@contextmanager
def _watching(code: types.CodeType, seen: dict[str, object]) -> Generator[None]:
    """Notes what the names of a function hold when it returns."""

    def profile(frame: types.FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code is code:
            seen.clear()
            seen.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)


def _code_of(forward: Function) -> types.CodeType:
    f = getattr(forward, "func", forward)
    f = getattr(f, "__func__", f)
    f = getattr(f, "__wrapped__", f)
    call = getattr(type(f), "__call__", None)  # noqa: B004 (a method, to be looked into)
    code = getattr(f, "__code__", None) or getattr(call, "__code__", None)
    if code is None:
        raise TypeError(f"`{label_of(forward)}` is no function of Python's: its variables cannot be seen")
    return code


def _global_arrays(f: Function) -> dict[str, np.ndarray]:
    """The arrays of floats that a function reads from its module, as in a notebook."""
    if not isinstance(f, types.FunctionType):
        return {}
    found = {name: f.__globals__.get(name) for name in names_in(f.__code__)}
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray) and value.dtype.kind == "f"}


def _with_globals(f: Function, arrays: dict[str, object]) -> Function:
    if not arrays:
        return f
    made = types.FunctionType(f.__code__, {**f.__globals__, **arrays}, f.__name__, f.__defaults__, f.__closure__)
    made.__kwdefaults__, made.__module__ = f.__kwdefaults__, f.__module__
    return made


def _variable(key: str, names: list[str]) -> str:
    plain = key.removeprefix("d").removeprefix("_")
    found = next((name for name in (plain, key) if name in names), None)
    if found is None:
        raise TypeError(
            f"the gradient {key!r} is by a variable {plain!r}, and the function has none that holds an array when it "
            f"returns; it has {', '.join(sorted(names))}"
        )
    return found


def _judge(program: _Program, key: str, name: str, value: ArrayLike, before: Sequence[_Judged]) -> _Judged:
    by = aval_of(program.closed.jaxpr.outvars[1 + program.names.index(name)])
    if np.dtype(by.dtype).kind == "c":
        raise TypeError(f"`{name}` is complex, and {key} is not judged: give the gradients by its real and imaginary part")
    if not jnp.issubdtype(by.dtype, np.floating):
        raise TypeError(no_floats(name, np.dtype(by.dtype), by.shape))
    earlier, upstream = [each.name for each in before], [each.given.astype(np.float64) for each in before]
    closed, out, arrays = program.gradient(name, earlier, upstream)
    flags = [x.dtype.kind != "f" for x in program.arrays] + [True] * len(upstream)
    side = Side(flags, out, work=work_of(closed.jaxpr), wide=closed, flags=flags)
    side.own = lambda: (closed, (), [])
    side.plan = plan_parts(closed, BALLS, [1], labels=flags)[0]
    array = np.asarray(value)
    if array.shape != out.shape:
        if array.size != out.size or [n for n in array.shape if n != 1] != [n for n in out.shape if n != 1]:
            summed = of_another_shape(array, out.shape, (), side, arrays)
            raise AssertionError(
                f"{key} has shape {array.shape}, and {name} has shape {out.shape}: "
                f"{summed or 'a gradient has the shape of what it is by'}"
            )
        array = array.reshape(out.shape)
    computed, truth = Computed.of(array), exact_at(side, arrays)
    if truth is None:
        return _Judged(key, name, array.shape, computed.values, None, [], np.zeros(0), told=False)
    bound, outside_of = twice_the_bound(side, arrays, np.float64, wide=True), partial(_outside, computed, truth)
    own = max(eps_of(computed.dtype), 2.0**-52)
    fine = max(own, program.computed_in(name, earlier, upstream, [each.eps for each in before]))
    eps = max(own, program.eps, *[each.eps for each in before])
    wrong, told = outside_of(bound, upstream, fine)
    is_coarse = bool(wrong or not told) and eps > fine
    if is_coarse:
        wrong, told = outside_of(bound, upstream, eps)
    allowed = bound * eps * 2.0**52
    if wrong and side.work <= BALLS_FIRST:
        kinks = program.kinks(name, earlier, upstream)
        wrong = [k for k in wrong if k not in kinks or not _is_between(computed.values[k], *kinks[k])]
    is_coarse = is_coarse and told and not wrong
    return _Judged(key, name, array.shape, computed.values, truth, wrong, allowed, told, fine, is_coarse)


def _is_between(value: float, low: float, high: float) -> bool:
    slack = TELLING * max(abs(low), abs(high))
    return low - slack <= value <= high + slack


def _outside(
    computed: Computed, truth: Exact, bound: Array, upstream: Sequence[Array], eps: float
) -> tuple[list[int], bool]:
    """(the entries further off than such floats explain, whether the others show that they are right)."""
    allowed = bound * eps * 2.0**52
    outside, gaps = computed.outside(truth.high, truth.radius, [lambda: allowed]), computed.gaps(truth)
    with np.errstate(all="ignore"):
        loose = max(TELLING, eps * 2.0**13) * truth.size
        wrong = [k for k in (*outside.wrong, *outside.open) if not gaps[k] <= (0 if k in outside.wrong else loose[k])]
        told = (gaps <= loose) | (np.isfinite(allowed) & (allowed <= loose)) | ~truth.matters(gaps, eps)
        # what cancels exactly, as the gradient by a shift of the scores of a softmax, is measured by what it is made of
        most = max((float(np.max(np.abs(each), initial=0.0)) for each in upstream), default=0.0)
        told |= np.maximum(truth.size, gaps) <= NEGLIGIBLE * eps * most
    return wrong, bool(np.all(told))


def _wrong_from_scratch_too(program: _Program, found: _Judged, value: PyTree) -> list[int]:
    """Those entries that are wrong given the earlier ones, and as gradients of the loss itself.

    The gradient by a shift of the scores of a softmax is 0; what was given for the scores sums to 0 up to rounding alone,
    which is larger than the rounding of a step that takes it as given. Where nothing was wrong before it, both are right.
    """
    alone = _judge(program, found.key, found.name, value, [])
    return [k for k in found.wrong if k in alone.wrong or alone.truth is None]


def _message(first: _Judged, judged: list[_Judged], loss: str) -> str:
    assert first.truth is not None
    k, place = first.wrong[0], judged.index(first)
    ours, theirs = first.key, f"∂{loss}/∂{first.name}"
    width = max(len(ours), len(theirs), 10)
    computed, expected = float(first.given[k]), float(first.truth.high[k])
    names = entries(ours, first.shape)
    rows = [
        f"{ours} is not {theirs}" + (", given those before it" if place else ""),
        f"  in {names[k]}",
        f"    {ours:{width}}  {computed!r}",
        f"    {theirs:{width}}  {expected!r}",
        f"    {'difference':{width}}  {abs(computed - expected):.3g}, where {first.allowed[k]:.3g} is allowed",
        *others(first.wrong[1:], names),
    ]
    factor = _factor(first)
    if factor is not None and f"{factor:.7g}" != "1":
        rows.append(f"  it is {factor:.7g} times what it should be")
    if place:
        rows.append(f"  right before it: {', '.join(each.key for each in judged[:place])}")
    later = [
        f"{each.key} {'wrong' if each.wrong else 'right' if each.told else 'undecided'}" for each in judged[place + 1 :]
    ]
    if later:
        rows.append(f"  later, each given those before it: {', '.join(later)}")
    return "\n".join(rows)


def _factor(judged: _Judged) -> float | None:
    """The factor that all of it is off by, here; None where there is none, or too few entries to tell."""
    expected = cast("Exact", judged.truth).high
    some = expected != 0
    if np.count_nonzero(some) < 2 or np.any(judged.given[~some] != 0):
        return None
    ratios = (judged.given[some] / expected[some]).astype(np.float64)
    middle = float(np.median(ratios))
    return middle if np.all(np.abs(ratios - middle) <= 1e-6 * max(abs(middle), 1e-300)) else None
