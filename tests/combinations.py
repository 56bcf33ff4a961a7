"""How much of what is alike a test runs: a little always, all of it in the `explore` profile."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings


def combinations(*parameters: Iterable[Any]) -> list[Any]:
    """All combinations of these values; those beyond the first few, in which each value occurs, are marked `explore`."""
    lists = [list(values) for values in parameters]
    few = [tuple(k % len(values) for values in lists) for k in range(max(map(len, lists)))]
    return [
        pytest.param(
            *(values[k] for values, k in zip(lists, places, strict=True)),
            marks=() if places in few else pytest.mark.explore,
        )
        for places in itertools.product(*(range(len(values)) for values in lists))
    ]


def listed(few: Iterable[tuple[Any, ...]], *parameters: Iterable[Any], in_ci: Iterable[tuple[Any, ...]] = ()) -> list[Any]:
    """All combinations of these values; a few, which are listed, always run, some in CI as well, all others in `explore`."""
    kept, more = list(few), list(in_ci)
    every = list(itertools.product(*parameters))
    assert all(each in every for each in kept + more), "what is listed is one of them"
    marks = {
        **dict.fromkeys(every, (pytest.mark.explore,)),
        **dict.fromkeys(more, (pytest.mark.ci,)),
        **dict.fromkeys(kept, ()),
    }
    return [pytest.param(*each, marks=marks[each]) for each in every]


def chosen(
    values: Iterable[Any], keep: Callable[[Any], bool], otherwise: pytest.MarkDecorator = pytest.mark.explore
) -> list[Any]:
    """These values, each a parameter of its own; those that are not kept are marked `explore`, or as is said."""
    params = [pytest.param(value, marks=() if keep(value) else otherwise) for value in values]
    assert any(not param.marks for param in params), "at least one always runs"
    return params


def few_or_many(few: int, many: int) -> int:
    """How many inputs to ask for: few, and many in the `explore` profile."""
    return many if exploring() else few


def exploring() -> bool:
    """Whether the profile is `explore`, in which time does not count."""
    return settings.get_current_profile_name() == "explore"
