"""From any input at which two lines differ to the simplest one: fewest examples and dimensions, small integers, zeros."""

import inspect
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import jax
import numpy as np
from hypothesis import HealthCheck, Phase, currently_in_test_context, find, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning, NoSuchExample, Unsatisfiable

from autodiff_ref.judge.errors import is_admitted
from autodiff_ref.judge.inputs import main_sizes
from autodiff_ref.trees import Arguments, Domains, PyTree
from manual_grad._arrays import is_record, parts
from manual_grad.derivation import Derivation, label_of
from manual_grad.domains import Domain
from manual_grad.domains.domain import Values

Differs = Callable[[Arguments], bool]
"""whether balls certify that two lines differ at these arguments"""

_QUIET = settings(
    database=None,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
)


def simplest(derivation: Derivation, differs: Differs) -> Arguments | None:
    """The simplest arguments that Hypothesis finds at which two lines differ; None where only intricate ones do.

    The smallest sizes come first; then integers −2 … 2 and quarters; for mistakes that take saturation, up to ±60.
    """
    sizes = _from_smallest(derivation)
    for values, tries, these in ((_SMALL, 60, sizes), (_LARGE, 200, (*sizes[:1], *sizes[-1:]))):
        for chosen in these:
            found = _find(derivation, _arguments(derivation.domain, chosen, values), differs, tries)
            if found is not None:
                return found
    return None


MOST_SHAPES = 16
"""sizes that are tried, since each is a trace of both lines"""


def _from_smallest(derivation: Derivation) -> list[dict[str, int]]:
    """All sizes up to those of the ordinary inputs, the smallest first."""
    largest = main_sizes(derivation.domain, derivation.sizes)[0]
    ranges = [range(min(derivation.sizes.get(name, (1, 1))[0], size), size + 1) for name, size in largest.items()]
    choices = sorted(itertools.product(*ranges), key=lambda sizes: (np.prod(sizes), sizes))
    few = choices if len(choices) <= MOST_SHAPES else [*choices[: MOST_SHAPES - 1], choices[-1]]
    return [dict(zip(largest, sizes, strict=True)) for sizes in few]


def _find(derivation: Derivation, strategy: st.SearchStrategy[Arguments], differs: Differs, tries: int) -> Arguments | None:
    wanted = strategy if derivation.where is None else strategy.filter(lambda args: is_admitted(derivation, args))

    def search() -> Arguments | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)
            try:
                return find(wanted, differs, settings=settings(_QUIET, max_examples=tries))
            except (NoSuchExample, Unsatisfiable):
                return None

    if not currently_in_test_context():
        return search()
    # inside someone's @given Hypothesis refuses a nested search; this one is bounded and draws nothing of theirs
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(search).result()


_SMALL = st.one_of(st.integers(-2, 2).map(float), st.integers(-8, 8).map(lambda k: k / 4))
_LARGE = st.one_of(st.integers(-3, 3).map(float), st.integers(-60, 60).map(float))


class _Simple:
    """Short numbers, by Hypothesis."""

    def __init__(self, draw: st.DrawFn, values: st.SearchStrategy[float]) -> None:
        self._draw, self._values = draw, values

    def choice(self, values: Sequence[float], shape: tuple[int, ...]) -> Values:
        """Some of these values in an array."""
        return self._filled(st.sampled_from(values), shape)

    def numbers(self, shape: tuple[int, ...]) -> Values:
        """Short real numbers in an array."""
        return self._filled(self._values, shape)

    def _filled(self, entries: st.SearchStrategy[float], shape: tuple[int, ...]) -> Values:
        return np.array([self._draw(entries) for _ in range(int(np.prod(shape)))], dtype=np.float64).reshape(shape)


def _arguments(domain: Domains, sizes: Mapping[str, int], values: st.SearchStrategy[float]) -> st.SearchStrategy[Arguments]:
    leaves, structure = jax.tree.flatten(domain)
    sized: list[Domain] = [leaf.sized(sizes) for leaf in leaves]

    @st.composite
    def drawn(draw: st.DrawFn) -> Arguments:
        simple = _Simple(draw, values)
        return jax.tree.unflatten(structure, [leaf.simple(simple) for leaf in sized])

    return drawn()


def can_be_written(value: PyTree) -> bool:
    """Whether `literal` can write it: its dataclasses take their fields, and what functions they hold have names."""
    if is_record(value):
        held = {each.name: getattr(value, each.name) for each in fields(value)}
        return list(inspect.signature(type(value)).parameters) == list(held) and all(map(can_be_written, held.values()))
    inside = parts(value)
    return label_of(value).isidentifier() if callable(value) else inside is None or all(map(can_be_written, inside.values()))


def _of_field(value: PyTree) -> str:
    """What a dataclass holds: static values as they are written."""
    if callable(value):
        return label_of(value)
    return repr(value) if value is None or isinstance(value, str | int | float) else literal(value)


def literal(value: PyTree) -> str:
    """A nested structure of arrays as Python."""
    if hasattr(value, "_fields"):
        inside = ", ".join(f"{name}={literal(getattr(value, name))}" for name in value._fields)
        return f"{type(value).__name__}({inside})"
    if is_record(value):
        inside = ", ".join(f"{each.name}={_of_field(getattr(value, each.name))}" for each in fields(value))
        return f"{type(value).__name__}({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {literal(part)}" for key, part in value.items()) + "}"  # pyright: ignore
    if isinstance(value, tuple | list):
        inside = ", ".join(literal(part) for part in value)  # pyright: ignore
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"  # pyright: ignore
    return f"np.array({np.asarray(value).tolist()!r})"
