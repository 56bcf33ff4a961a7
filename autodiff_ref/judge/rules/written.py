"""What is typed on the command line: domains and inputs, read without running anything."""

import ast
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeAlias, get_type_hints

from manual_grad import domains
from manual_grad.domains import Domain

Constructors: TypeAlias = Mapping[str, Callable[..., Any]]
"""Functions that make domains, and classes that hold some, by the names under which a text may call them."""


def constructors_in(module: ModuleType) -> Constructors:
    """The functions of a module, its own or imported, that are annotated to return a domain, and its named tuples."""
    return {name: value for name, value in vars(module).items() if _holds_domains(value) or _makes_a_domain(value)}


def _holds_domains(value: Any) -> bool:
    """Whether it is a class of named tuples, or a dataclass that JAX takes apart, for arguments that are one."""
    if not inspect.isclass(value) or issubclass(value, Domain):
        return False
    return (issubclass(value, tuple) and hasattr(value, "_fields")) or dataclasses.is_dataclass(value)


def _makes_a_domain(function: Any) -> bool:
    if not inspect.isfunction(function):
        return False
    try:
        made = get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):  # a hint that cannot be read
        return False
    return isinstance(made, type) and issubclass(made, Domain)


CONSTRUCTORS = constructors_in(domains)


def domain_of(text: str, own: Constructors | None = None) -> tuple[Any, ...]:
    """The domains that a text writes, as "reals('n'), positives()"; names need no quotes: "reals(n)".

    A dict or tuple of domains stands for an argument that is one: "{'w': reals(n), 'b': reals()}, reals(n)".

    Args:
        text: calls of `manual_grad`'s constructors, or of others, with literals.
        own: those others: constructors of a user's kinds, and named tuples.

    Raises:
        ValueError: it holds anything else.

    Example:
        >>> domain_of("reals(n), intervals(0, 1)")
        (Reals(dims=('n',)), Intervals(dims=(), low=0.0, high=1.0, closed=False))
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"the domain {text!r} is no Python expression: write it as \"reals('n'), positives()\"") from error
    nodes = tree.elts if isinstance(tree, ast.Tuple | ast.List) else [tree]
    return tuple(_domains_of_node(node, text, own) for node in nodes)


def _domains_of_node(node: ast.expr, text: str, own: Constructors | None) -> Any:
    """The domain that a node writes, or a dict or tuple of some."""
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_domains_of_node(each, text, own) for each in node.elts)
    if isinstance(node, ast.Dict) and None not in node.keys:
        names = [_literal(key) for key in node.keys if key is not None]
        return dict(zip(names, (_domains_of_node(each, text, own) for each in node.values), strict=True))
    held = (own or {}).get(node.func.id) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
    if isinstance(node, ast.Call) and held is not None and _holds_domains(held):
        inner = {each.arg: _domains_of_node(each.value, text, own) for each in node.keywords if each.arg is not None}
        return held(*(_domains_of_node(each, text, own) for each in node.args), **inner)
    return domain_of_node(node, text, own)


def domain_of_node(node: ast.expr, text: str, own: Constructors | None = None) -> Domain:
    """The domain that a node of a text writes."""
    known = {**CONSTRUCTORS, **(own or {})}
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known):
        raise ValueError(
            f"{ast.unparse(node)!r} in the domain {text!r} is none of {', '.join(sorted(known))}; a function of the module "
            "that is judged counts where it is annotated to return a Domain"
        )
    try:
        args = [_literal(arg) for arg in node.args]
        named = {keyword.arg: _literal(keyword.value) for keyword in node.keywords if keyword.arg is not None}
        made = known[node.func.id](*args, **named)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{ast.unparse(node)!r} in the domain {text!r}: {error}") from error
    return made


def _literal(node: ast.expr) -> Any:
    """A literal; a bare name is one of a dimension."""
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def inputs_of(text: str) -> list[Any]:
    """The inputs that a text writes: "[0., 1.]" for one argument, "[(1., 0.5), (2., 0.)]" for two.

    Raises:
        ValueError: it is no list of literals.
    """
    try:
        made = ast.literal_eval(text.strip())
    except (SyntaxError, ValueError) as error:
        raise ValueError(f'the inputs {text!r} are no list of numbers: write them as "[0., 1.]"') from error
    if not isinstance(made, list):
        raise ValueError(f'the inputs {text!r} are no list: write them as "[0., 1.]", or "[(1., 0.5)]" for two arguments')
    return made
