"""What the walker's parts share: a rule, what it is told of an equation, the table it stands in, and the finished plan."""

import math
import operator
import time
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import jax
import numpy as np
from jax.extend import core
from numpy.typing import ArrayLike

from autodiff_ref.judge.program.equations import bits_of, equations_in

if TYPE_CHECKING:
    from autodiff_ref.judge.program.comparisons import Site

Array = np.ndarray
"""A NumPy array: of numbers where they are discrete or known, of the table's objects where they are reals."""

Number = Any
"""One entry of such an array: a Python or NumPy number, or whatever object the table makes of a real."""

Value = Any
"""What travels through a plan: such an array, or with a bound of its error beside it, as the table has it."""

State = list[Value]
"""What a loop carries from turn to turn."""

Turn = Callable[[State], State]

Ending = Callable[[State, Turn], State]
"""ending(state, turn) -> the state that a loop is taken to end with, as it is or after further turns."""

Params = Mapping[str, Any]
"""The parameters of an equation, by name: of each primitive others, and of any type."""

Step = Callable[..., Any]
"""step(context, *operands) -> array, or a list of arrays where the primitive has several results."""


def as_objects(value: object) -> Array:
    """An array of objects, also where NumPy unwrapped a single one."""
    return value if isinstance(value, np.ndarray) else np.asarray(value, dtype=object)


def entrywise(f: Callable[..., Number], *arrays: Array) -> Array:
    """f of each entry of arrays of one shape, as an array of objects."""
    return as_objects(np.frompyfunc(f, len(arrays), 1)(*arrays))


class OnOneEntry:
    """A step on operands of one entry each, which takes and returns reals as they are, in no array.

    A plan takes them out of their arrays before it, and puts them back where another step wants an array: as loops work on
    one number after the other, that takes a fourth of the time.
    """

    def __init__(self, f: Callable[..., Any], *, asks: bool = False) -> None:
        """Args:
        f: of the entries; what is no real, as the condition of a choice, is an array all the same.
        asks: whether it takes the run's context first.
        """
        self.f, self.asks = f, asks

    def __call__(self, context: object, *operands: Any) -> Any:
        """f of the entries."""
        return self.f(context, *operands) if self.asks else self.f(*operands)


class WithEntries:
    """A step whose first operands and results are in no array, those of them that are reals of one entry."""

    def __init__(self, step: Step, operands: int, results: int) -> None:
        self.step, self.operands, self.results = step, operands, results

    def __call__(self, context: object, *operands: Any) -> Any:
        """What the step returns."""
        return self.step(context, *operands)


def out_of_array(_: object, x: Array) -> Number:
    """What an array of one entry holds."""
    return x.item()


def in_array(shape: tuple[int, ...]) -> Step:
    """A step that puts a number into an array of one entry."""

    def step(_: object, number: Number) -> Array:
        made = np.empty(shape, dtype=object)
        made.fill(number)
        return made

    return step


CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "linear_call": "callee",
}
"""primitives that call a jaxpr, and the parameter that holds it"""


class NoRuleError(NotImplementedError):
    """A jaxpr holds a primitive that the table has no rule for."""

    def __init__(self, primitive: str, table: str) -> None:
        self.primitive = primitive
        super().__init__(
            f"no rule for the primitive `{primitive}` in {table}: add one with autodiff_ref.register({primitive!r}, …)"
        )


class RuleError(NotImplementedError):
    """A rule failed: a mistake of the judge, or a case that it does not serve. The line cannot be judged."""

    def __init__(self, primitive: str, error: Exception) -> None:
        self.primitive = primitive
        super().__init__(f"the rule for the primitive `{primitive}` failed: {type(error).__name__}: {error}")


class OutOfTimeError(Exception):
    """A run did not end within its time: see `ending_by`."""

    def __init__(self) -> None:
        super().__init__("the time was up in the middle of an evaluation")


class _Deadline:
    """An end in processor time. Reading that clock takes as long as a step: once in ten milliseconds will do."""

    def __init__(self, end: float) -> None:
        self.end, self.looks_again = end, -math.inf

    def is_over(self) -> bool:
        """Whether it is reached; to be asked once `looks_again` has come."""
        self.looks_again = time.monotonic() + 0.01
        return time.process_time() > self.end


_DEADLINE: ContextVar[_Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def ending_by(end: float) -> Generator[None]:
    """Breaks off runs of plans when the processor time of this process has reached `end`: they raise OutOfTimeError."""
    before = _DEADLINE.set(_Deadline(end) if end < math.inf else None)
    try:
        yield
    finally:
        _DEADLINE.reset(before)


@dataclass(frozen=True)
class Operand:
    """What is known of a value before it has one."""

    shape: tuple[int, ...]
    dtype: np.dtype
    label: bool
    """made of labels, integers and constants only, so that comparisons of it are exact"""

    @property
    def is_real(self) -> bool:
        """Whether it is a real number, and so a matter of the table."""
        return jax.numpy.issubdtype(self.dtype, np.floating)


@dataclass(frozen=True)
class Equation:
    """One equation of a jaxpr, as a rule sees it."""

    primitive: core.Primitive
    params: Params
    operands: tuple[Operand, ...]
    results: tuple[Operand, ...]

    @property
    def label(self) -> bool:
        """Whether all operands are labels."""
        return all(operand.label for operand in self.operands)

    @property
    def is_of_one_entry(self) -> bool:
        """Whether its operands and results hold one entry each."""
        return all(math.prod(value.shape) == 1 for value in (*self.operands, *self.results))


Rule = Callable[[Equation], Step]
"""rule(equation) -> step, or raises NotImplementedError where it cannot serve this one."""


Subplan = Callable[[core.ClosedJaxpr, Sequence[bool]], "Plan"]
"""(closed jaxpr, which of its inputs are labels) -> plan"""

Control = Callable[[Subplan, Equation], tuple[Step, list[bool]]]
"""(subplan, equation) -> step, and which of its results are labels"""


class RunContext(Protocol):
    """What a run hands to its steps, as far as rules that serve several arithmetics ask for it."""

    @property
    def zero(self) -> Number:
        """The real 0."""
        ...

    @property
    def undefined(self) -> Number:
        """A real that nothing is known of."""
        ...

    def number(self, value: float) -> Number:
        """The real that a constant among a primitive's parameters stands for."""
        ...

    def deciding(self) -> AbstractContextManager[Callable[[], bool]]:
        """Within it comparisons are watched; what it hands over says afterwards whether all could be decided."""
        ...

    def in_a_loop(self) -> AbstractContextManager[Ending]:
        """Within it the turns of a loop are run; it hands over what says to what the state goes that the loop ends with."""
        ...


class Arithmetic(Protocol):
    """What the walker computes in: rules by the names of primitives, and what a constant becomes."""

    name: str
    rules: dict[str, Rule]
    movement: dict[str, Rule]
    """rules that only move data: they serve arrays of any kind"""
    discrete: dict[str, Rule]
    """rules for equations all of whose operands and results are discrete"""
    control: dict[str, Control]
    """branches and loops"""
    watches: bool
    """whether its runs note how reals compare"""
    has_bare: bool
    """whether a real of one entry may travel in no array, as the object that the table makes of it"""

    def fallback(self, equation: Equation) -> Step:
        """The rule for an equation of discrete values that `discrete` has none for."""
        ...

    def constant(self, values: Array, context: Any) -> Value:
        """The reals that a float constant stands for."""
        ...


class PlannedStep(NamedTuple):
    """A step, where its operands are, where its results go, and the name of its primitive."""

    step: Step
    sources: list[int]
    targets: list[int]
    name: str


@dataclass
class Plan:
    """A jaxpr made ready to run. `run` takes the input's reals as the table's objects, its integers as they are."""

    table: Arithmetic
    inputs: list[int]
    outputs: list[int]
    steps: list[PlannedStep]
    known: dict[int, Array]
    size: int
    constants: frozenset["Constant"]
    """the float constants that are not short, and so not surely meant as written"""
    depends_on: frozenset[int]
    """the inputs (by position) that the outputs are computed from"""
    output_labels: list[bool]
    """for each output, whether it is made of labels and constants only"""
    sites: frozenset["Site"] = frozenset()
    """where it compares reals"""
    meanings: frozenset[str] = frozenset()
    """functions that it takes at their meaning, and not as the series that JAX computes"""
    met: dict["Site", int] = field(default_factory=dict["Site", int])
    """for each site, the outcomes that its runs have met"""
    bare: frozenset[int] = frozenset()
    """the places of values that are in no array: see `OnOneEntry`"""
    _templates: dict[Hashable, list[Value]] = field(default_factory=dict[Hashable, list[Value]])

    def __post_init__(self) -> None:
        self._ready = [_ready(planned) for planned in self.steps]

    @property
    def iterates(self) -> bool:
        """Whether it holds a loop that a comparison ends."""
        return any(planned.name == "while" for planned in self.steps)

    def run(self, context: object, *args: Value) -> list[Value]:
        """The outputs at one input; where a rule fails, a note on its exception names the primitive.

        Raises:
            OutOfTimeError: the time is up that `ending_by` allows.
        """
        return self.results(self.values(context, *args))

    def results(self, values: Sequence[Value]) -> list[Value]:
        """The outputs among all values."""
        return [values[slot] for slot in self.outputs]

    def values(self, context: object, *args: Value, before: Sequence[Value] = ()) -> list[Value]:
        """All values of a run at one input. `before` are those of the plan that this one goes on from: see `after`."""
        values = self.template(context)
        if before:
            known = [(slot, values[slot]) for slot in self.known]
            values[: len(before)] = before
            for slot, value in known:
                values[slot] = value
        for slot, arg in zip(self.inputs, args, strict=True):
            values[slot] = arg
        place, deadline = 0, _DEADLINE.get()
        try:
            for place, (is_plain, step, taken, target) in enumerate(self._ready):
                if is_plain:
                    values[target] = step(*taken(values))
                    continue
                if deadline is not None and time.monotonic() > deadline.looks_again and deadline.is_over():
                    raise OutOfTimeError
                result = step(context, *taken(values))
                if isinstance(result, list):
                    for slot, part in zip(self.steps[place].targets, result, strict=True):
                        values[slot] = part
                else:
                    values[target] = result
        except Exception as error:
            error.add_note(f"in the rule for the primitive `{self.steps[place].name}`")
            raise
        return values

    def after(self, other: "Plan") -> "Plan":
        """The same without the steps of another one that was planned together with it, from whose values it goes on."""
        made = {slot for step in other.steps for slot in step.targets}
        rest = [step for step in self.steps if not made.issuperset(step.targets)]
        known = {slot: array for slot, array in self.known.items() if slot not in other.known}
        return replace(self, steps=rest, known=known, _templates={})

    def template(self, context: object) -> list[Value]:
        """A place for each value, with the known ones in it."""
        key = getattr(context, "constants", None)
        if key not in self._templates:
            values: list[Value] = [None] * self.size
            for slot, array in self.known.items():
                is_float = np.issubdtype(array.dtype, np.floating)
                made = self.table.constant(array, context) if is_float else array
                values[slot] = made.item() if slot in self.bare else made
            self._templates[key] = values
        return self._templates[key].copy()


def _ready(planned: PlannedStep) -> tuple[bool, Callable[..., Any], Callable[[list[Value]], Sequence[Value]], int]:
    """(whether it takes no context, the step, what takes its operands out of all values, where its only result goes)"""
    step, sources, targets, _ = planned
    step = step.step if isinstance(step, WithEntries) else step
    # of one index alone it would return no tuple
    taken = operator.itemgetter(*sources) if len(sources) > 1 else operator.itemgetter(_slice_of(sources))
    target = targets[0] if targets else -1
    if isinstance(step, OnOneEntry) and not step.asks:
        return True, step.f, taken, target
    return False, step, taken, target


def _slice_of(sources: Sequence[int]) -> slice:
    return slice(sources[0], sources[0] + 1) if sources else slice(0, 0)


def is_short(values: ArrayLike) -> bool:
    """Whether all floats have so few significant bits that they are surely meant as written: 24 of a float64's 53.

    So 1.5 is surely meant as written, and 0.1 is not.
    """
    return bool(np.all(short_ones(values)))


def short_ones(values: ArrayLike) -> Array:
    """Which numbers of an array are surely meant as written; infinities and NaN are, and integers."""
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.floating):
        return np.ones(array.shape, dtype=bool)
    bits = bits_of(array.dtype)
    mantissas = np.frexp(array.astype(np.float64))[0] * 2.0 ** (24 if bits == 53 else bits // 2)
    return ~np.isfinite(array) | (mantissas == np.floor(mantissas))


Constant = tuple[float, str]
"""A float constant that is not short: its mantissa and dtype. Where 0.1 means 1/10, −0.1 means −1/10 and 0.2 means 2/10."""


def loose(values: ArrayLike) -> frozenset[Constant]:
    """The constants among floats that are not surely meant as written."""
    array = np.asarray(values)
    if array.size <= FEW:
        return _loose(array)
    key = array.dtype.str, blake2b(np.ascontiguousarray(array).tobytes()).digest()
    found = _LOOSE.get(key)
    if found is None:
        if len(_LOOSE) >= MOST_KEPT:
            _LOOSE.clear()
        found = _LOOSE[key] = _loose(array)
    return found


def _loose(array: Array) -> frozenset[Constant]:
    mantissas = np.frexp(np.abs(array[~short_ones(array)].astype(np.float64)))[0]
    return frozenset((float(mantissa), array.dtype.str) for mantissa in np.unique(mantissas))


_LOOSE: dict[tuple[str, bytes], frozenset[Constant]] = {}
FEW, MOST_KEPT = 1_000, 4
"""numbers of an array whose constants are not kept, and arrays of which they are: data stand in many a plan"""


class Shaped(Protocol):
    """What a jaxpr says of a value."""

    shape: tuple[int, ...]
    dtype: np.dtype
    size: int


def aval_of(atom: core.Var | core.Literal) -> Shaped:
    """The shape and dtype of a value in a jaxpr, which JAX's own types leave out."""
    return cast("Shaped", atom.aval)


def is_key(value: object) -> bool:
    """Whether it is a random key, or stands for one."""
    dtype = getattr(value, "dtype", None)
    return dtype is not None and not isinstance(dtype, np.dtype) and jax.numpy.issubdtype(dtype, jax.dtypes.extended)


def has_keys(eqn: core.JaxprEqn) -> bool:
    """Whether an equation reads or makes random keys, or is a loop whose turns do."""
    turns = equations_in(eqn.params["jaxpr"].jaxpr) if eqn.primitive.name == "scan" else ()
    return any(is_key(atom.aval) for each in (eqn, *turns) for atom in (*each.invars, *each.outvars))


def drawn(eqn: core.JaxprEqn, given: Sequence[Any]) -> list[jax.Array] | None:
    """What an equation computes by JAX from random keys and other values that are known: other keys, or random bits.

    Args:
        eqn: the equation.
        given: the values of its operands; None for those that hang on an input, of which nothing is computed.
    """
    if any(value is None for value in given) or eqn.primitive.name in ("scan", "while", "cond"):  # these may compute reals
        return None
    with jax.enable_x64(True):
        made = eqn.primitive.bind(*map(jax.numpy.asarray, given), **eqn.params)
    return list(made) if eqn.primitive.multiple_results else [made]


def operand_of(aval: "Shaped", *, label: bool) -> Operand:
    """What an abstract value says; integers that come from outside are exactly known, as labels are."""
    dtype = aval.dtype
    if dtype == jax.dtypes.float0:
        dtype = np.dtype(bool)
    if is_key(aval):
        raise NotImplementedError(f"random keys ({dtype}) are not judged: pass random numbers as arguments")
    if jax.numpy.issubdtype(dtype, np.complexfloating):
        raise NotImplementedError(f"complex numbers ({dtype}) are not judged: split them into real and imaginary part")
    return Operand(tuple(aval.shape), np.dtype(dtype), label)
