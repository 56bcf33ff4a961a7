"""How the modules beside this one break a derivation on purpose."""

import functools
from collections.abc import Callable
from typing import Any

from manual_grad import Derivation


def planted(derivation: Derivation, label: str, mistake: Callable[..., Any]) -> tuple[Derivation, str]:
    """`derivation` with the line `label` replaced by `mistake` (a function of the same arguments), and that label.

    The lines after it stay as they were, so the next one puts it right again.
    """
    if label not in derivation.labels:
        raise ValueError(f"{derivation.name} has no line {label!r}, it has {derivation.labels}")

    @functools.wraps(mistake)
    def wrong(*args: Any, nabla: Any) -> Any:
        return mistake(*args, nabla=nabla)

    wrong.__name__ = label
    lines = [wrong if own == label else line for own, line in zip(derivation.labels, derivation.lines, strict=True)]
    return derivation.with_lines(*lines, name=f"{derivation.name}, {mistake.__name__.replace('_', ' ')}"), label
