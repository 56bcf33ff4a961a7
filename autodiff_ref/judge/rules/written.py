"""What is typed on the command line: domains and inputs, read without running anything."""

import ast
from typing import Any

from manual_grad import domains
from manual_grad.domains import Domain

CONSTRUCTORS = (
    "bits",
    "classes",
    "constants",
    "integers",
    "intervals",
    "lower_triangular",
    "nonnegatives",
    "one_hot",
    "orthogonal",
    "permutations",
    "positive_definite",
    "positives",
    "reals",
    "signs",
    "simplex",
    "sorted_reals",
    "symmetric",
    "unit_vectors",
)


def domain_of(text: str) -> tuple[Domain, ...]:
    """The domains that a text writes, as "reals('n'), positives()"; names need no quotes: "reals(n)".

    Raises:
        ValueError: it holds anything else than manual_grad's constructors of domains, and literals.

    Example:
        >>> domain_of("reals(n), intervals(0, 1)")
        (Reals(dims=('n',)), Intervals(dims=(), low=0.0, high=1.0, closed=False))
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"the domain {text!r} is no Python expression: write it as \"reals('n'), positives()\"") from error
    nodes = tree.elts if isinstance(tree, ast.Tuple | ast.List) else [tree]
    return tuple(domain_of_node(node, text) for node in nodes)


def domain_of_node(node: ast.expr, text: str) -> Domain:
    """The domain that a node of a text writes."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CONSTRUCTORS):
        raise ValueError(f"{ast.unparse(node)!r} in the domain {text!r} is none of {', '.join(CONSTRUCTORS)}")
    try:
        args = [_literal(arg) for arg in node.args]
        named = {keyword.arg: _literal(keyword.value) for keyword in node.keywords if keyword.arg is not None}
        made = getattr(domains, node.func.id)(*args, **named)
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
