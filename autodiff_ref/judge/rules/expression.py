"""A call as one would write it, with domains in the place of the arguments that are drawn.

`jax.numpy.clip(reals(n), -1., 2.)` is a function of one vector; `numpyro.distributions.Beta(positives(),
positives()).log_prob(intervals(0, 1))` one of three numbers. Dotted names, calls, literals, operators and subscripts are
read, and nothing else.
"""

import ast
import importlib
import inspect
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax

from autodiff_ref.judge.rules.written import CONSTRUCTORS, domain_of_node
from manual_grad.domains import Domain

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
}


_READ = (
    ast.Call, ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.UnaryOp, ast.Tuple, ast.List, ast.Dict, ast.Constant
)  # fmt: skip
"""kinds of expressions that are read"""

SHORT = {"tfp": "tensorflow_probability.substrates.jax"}
"""what may stand for the beginning of a name"""


@dataclass(frozen=True)
class Expression:
    """A call, read and not yet imported."""

    text: str
    tree: ast.expr
    domain: tuple[Domain, ...]
    """of its arguments, in the order in which they are written"""

    @property
    def callee(self) -> str:
        """The dotted name that is called first: jax.numpy.clip."""
        return next((_dotted(node.func) for node in _calls(self.tree) if _dotted(node.func)), "")

    @property
    def is_plain(self) -> bool:
        """Whether it is one call, with domains alone for its arguments."""
        node = self.tree
        return (
            isinstance(node, ast.Call)
            and bool(_dotted(node.func))
            and not node.keywords
            and all(_is_domain(arg) for arg in node.args)
        )

    def function(self) -> Callable[..., Any]:
        """The function of its arguments.

        Raises:
            ValueError: a name in it is not there, or a call in it fails.
        """
        values = _import_all(self.tree)

        def called(*args: Any) -> Any:
            return _value(self.tree, iter(args), values)

        label = self.callee.rpartition(".")[2] if self.is_plain else self.text
        names = _unique([given or _parameter(values.get(callee), place) for given, callee, place, _ in _domains(self.tree)])
        called.__name__ = called.__qualname__ = label
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        called.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
        called.written = self.as_lambda(names)  # pyright: ignore[reportFunctionMemberAccess]
        return called

    @property
    def modules(self) -> list[str]:
        """The modules that it needs."""
        return list(dict.fromkeys(_module_of(name)[0].__name__ for name in _roots(self.tree)))

    def as_lambda(self, arguments: Sequence[str]) -> tuple[list[str], str]:
        """Imports, and the function as Python, its arguments called so."""
        names = iter(arguments)

        class Named(ast.NodeTransformer):
            def visit_Call(self, node: ast.Call) -> ast.AST:
                if _is_domain(node):
                    return ast.Name(next(names))
                return self.generic_visit(node)

        made = Named().visit(ast.parse(self.text, mode="eval").body)
        short = [f"import {long} as {name}" for name, long in SHORT.items() if f"{name}." in self.text]
        modules = [module for module in self.modules if not module.startswith(tuple(SHORT.values()))]
        return [*(f"import {module}" for module in modules), *short], f"lambda {', '.join(arguments)}: {ast.unparse(made)}"


def expression_of(text: str) -> Expression:
    """Reads a call with domains in it.

    Raises:
        ValueError: it is no such call.

    Example:
        >>> found = expression_of("jax.numpy.clip(reals(n), -1., 2.)")
        >>> found.callee, found.domain
        ('jax.numpy.clip', (Reals(dims=('n',)),))
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f'{text!r} is no call: write it as "jax.numpy.hypot(reals(), reals())"') from error
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and not isinstance(node, _READ):
            raise ValueError(f"{ast.unparse(node)!r} in {text!r} is neither a call nor a literal")
    nodes = list(_domains(tree))
    if not nodes:
        raise ValueError(f'{text!r} holds no domain: write one for each argument, as "jax.numpy.hypot(reals(), reals())"')
    return Expression(text.strip(), tree, tuple(domain_of_node(node, text) for *_, node in nodes))


def _unique(names: Sequence[str]) -> list[str]:
    found = list[str]()
    for k, name in enumerate(names):
        found.append(name if name.isidentifier() and name not in found else f"x{k}")
    return found


def _parameter(function: Any, place: int) -> str:
    """The name of a function's parameter by its place; empty where that cannot be told."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ""
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return named[place] if place < len(named) else ""


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls, those that are evaluated first before the others."""
    for child in ast.iter_child_nodes(tree):
        yield from _calls(child)
    if isinstance(tree, ast.Call) and not _is_domain(tree):
        yield tree


def _is_domain(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CONSTRUCTORS


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    whole = _dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{whole}.{node.attr}" if whole and isinstance(node, ast.Attribute) else ""


def _domains(node: ast.AST, name: str = "", callee: str = "", place: int = 0) -> Iterator[tuple[str, str, int, ast.expr]]:
    """The domains in it, in the order of evaluation.

    Each with the keyword that it is given by, or what it is an argument of and the place that it has there.
    """
    if _is_domain(node):
        assert isinstance(node, ast.expr)
        yield name, callee, place, node
    elif isinstance(node, ast.Call):
        yield from _domains(node.func)
        for k, arg in enumerate(node.args):
            yield from _domains(arg, "", _dotted(node.func), k)
        for keyword in node.keywords:
            yield from _domains(keyword.value, keyword.arg or "")
    else:
        for child in ast.iter_child_nodes(node):
            yield from _domains(child)


def _roots(node: ast.AST) -> Iterator[str]:
    """The dotted names in it."""
    name = _dotted(node)
    if name:
        yield name
        return
    if _is_domain(node):
        return
    for child in ast.iter_child_nodes(node):
        yield from _roots(child)


def _module_of(name: str) -> tuple[ModuleType, list[str]]:
    """The longest module that a dotted name begins with, and what is left of the name.

    A function that a package holds under the name of one of its modules hides the module, as it does in Python.
    """
    first, _, rest = name.partition(".")
    parts = f"{SHORT.get(first, first)}.{rest}".rstrip(".").split(".")
    found: ModuleType | None = None
    with jax.enable_x64(True):
        for k in range(1, len(parts) + 1):
            module = ".".join(parts[:k])
            if found is not None and not isinstance(getattr(found, parts[k - 1], found), ModuleType):
                return found, parts[k - 1 :]
            try:
                found = importlib.import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:
                    raise ValueError(f"{module} cannot be imported: {error}") from error
                if found is None:
                    raise ValueError(f"there is no module {parts[0]!r}") from error
                return found, parts[k - 1 :]
    assert found is not None
    return found, []


def _import_all(tree: ast.AST) -> dict[str, Any]:
    made = dict[str, Any]()
    for name in _roots(tree):
        module, left = _module_of(name)
        value: Any = module
        for part in left:
            if not hasattr(value, part):
                raise ValueError(f"{module.__name__} has no {'.'.join(left)!r}")
            value = getattr(value, part)
        made[name] = value
    return made


def _value(node: ast.AST, args: Iterator[Any], names: dict[str, Any]) -> Any:
    """The value of a node; arguments are taken in the order in which they are written."""
    name = _dotted(node)
    if name:
        return names[name]
    match node:
        case ast.Call() if _is_domain(node):
            return next(args)
        case ast.Call():
            function = _value(node.func, args, names)
            given = [_value(arg, args, names) for arg in node.args]
            named = {each.arg: _value(each.value, args, names) for each in node.keywords if each.arg}
            return function(*given, **named)
        case ast.Attribute():
            return getattr(_value(node.value, args, names), node.attr)
        case ast.Subscript():
            return _value(node.value, args, names)[_value(node.slice, args, names)]
        case ast.BinOp() if type(node.op) in _OPERATORS:
            left = _value(node.left, args, names)
            return _OPERATORS[type(node.op)](left, _value(node.right, args, names))
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, args, names)
        case ast.Tuple() | ast.List():
            made = [_value(each, args, names) for each in node.elts]
            return tuple(made) if isinstance(node, ast.Tuple) else made
        case ast.Dict():
            return {
                ast.literal_eval(key): _value(value, args, names)
                for key, value in zip(node.keys, node.values, strict=True)
                if key is not None
            }
        case ast.Constant():
            return node.value
        case _:
            raise ValueError(f"{ast.dump(node)!r} is no operator that is read")
