"""Names for what users hand in: their functions take and return values of any shape."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

PyTree: TypeAlias = Any
"""Nested tuples, lists, dicts and dataclasses of arrays, as `jax.tree` takes them apart: NumPy's, JAX's or traced ones."""

Arguments: TypeAlias = tuple[PyTree, ...]
"""The arguments of one call, in order."""

Function: TypeAlias = Callable[..., PyTree]
"""A function of arrays, of any number of arguments: a derivation's `of`, a line, what ∇ is taken of."""


class Structure(Protocol):
    """How a tree is put together, as `jax.tree.structure` returns it: equal for trees of one form."""

    @property
    def num_leaves(self) -> int:
        """How many arrays it holds."""
        ...

    def unflatten(self, leaves: Iterable[PyTree], /) -> PyTree:
        """A tree of this form with these leaves."""
        ...


Domains: TypeAlias = tuple[PyTree, ...]
"""For each argument a domain (`manual_grad.reals(…)`), or nested tuples, lists, dicts and dataclasses of them."""

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | float | bool | None"
"""What `json.dumps` writes; a string is a sequence too, and an int passes for a float."""

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object, as the reports' `to_dict` returns it."""

Entry: TypeAlias = Mapping[str, Any]
"""A JSON object as it is read: each key holds what the `to_dict` that wrote it says."""

Keywords: TypeAlias = dict[str, PyTree]
"""The keyword arguments of one call."""
