"""Domains of every kind, several of some: what the tests of the kinds run over."""

from typing import get_type_hints

from manual_grad import domains
from manual_grad.domains import Domain

CONSTRUCTORS = {name: getattr(domains, name) for name in domains.__all__ if name.islower()}

KINDS: dict[str, Domain] = {
    f"{name} {k}" if k else name: example
    for name, constructor in CONSTRUCTORS.items()
    for k, example in enumerate(get_type_hints(constructor)["return"].examples())
}
