"""Which combinations of several parameters a test runs: each value of each always, all of them in the `explore` profile."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest


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
