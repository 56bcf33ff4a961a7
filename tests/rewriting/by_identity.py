"""Identities: other ways to compute an equation, equal to it as real functions wherever it is defined."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from autodiff_ref.judge.lines.jaxprs import is_real
from autodiff_ref.judge.mutation.edits import Change, Kinds, Site
from autodiff_ref.judge.mutation.running import computes, like
from autodiff_ref.judge.program.plans import aval_of
from tests.rewriting.forms import shifted_exponent, stable_form

SUMS = ("add", "add_any", "sub")


def commute(site: Site) -> Iterator[Change]:
    """b + a for a + b."""
    if computes(site) and site.name in ("add", "add_any", "mul", "max", "min"):
        yield Change("operands", f"the operands of `{site.name}` are swapped", lambda x, y: site.bind(y, x))


def reassociate(site: Site) -> Iterator[Change]:
    """a + (b + c) for (a + b) + c; a sum in another order."""
    if not computes(site):
        return
    before = site.body.source(site.operands[0]) if site.operands else None
    same = {"add": ("add", "add_any"), "add_any": ("add", "add_any"), "mul": ("mul",)}.get(site.name, ())
    if before is not None and before.primitive.name in same and all(atom in site.body.number for atom in _variables(before)):
        numbers = tuple(site.body.number[atom] for atom in _variables(before))
        if len(numbers) == 2:
            yield Change(
                "left",
                f"(a, b), c becomes a, (b, c) in `{site.name}`",
                lambda _, z, a, b: site.bind(a, site.bind(b, z)),
                numbers,
            )
    if site.name == "reduce_sum":
        axis = int(site.eqn.params["axes"][0]) if site.eqn.params["axes"] else None
        if axis is not None:
            yield Change("backwards", "a sum runs backwards", lambda x: site.bind(jnp.flip(x, axis)))

            def halves(x: jax.Array) -> jax.Array:
                half = x.shape[axis] // 2
                first, second = jnp.split(x, [half], axis)
                return site.bind(first) + site.bind(second)

            yield Change("halves", "a sum is the sum of two halves", halves)


def _variables(eqn: core.JaxprEqn) -> list[core.Var]:
    return [atom for atom in eqn.invars if isinstance(atom, core.Var)]


def distribute(site: Site) -> Iterator[Change]:
    """a c + b c for (a + b) c."""
    if site.name not in ("mul", "div", "dot_general", "neg", "reduce_sum") or not computes(site):
        return
    for j, operand in enumerate(site.operands):
        before = site.body.source(operand)
        if before is None or before.primitive.name not in SUMS or (site.name == "div" and j == 1):
            continue
        terms, shape = [term for term in before.invars if isinstance(term, core.Var)], aval_of(operand).shape
        if len(terms) < len(before.invars):
            continue
        minus = before.primitive.name == "sub"

        def spread(*xs: jax.Array, j: int = j, shape: tuple[int, ...] = shape, minus: bool = minus) -> jax.Array:
            *own, a, b = xs
            first, second = (site.bind(*own[:j], jnp.broadcast_to(term, shape), *own[j + 1 :]) for term in (a, b))
            return first - second if minus else first + second

        numbers = tuple(site.body.number[term] for term in terms)
        yield Change(f"operand {j}", f"`{site.name}` is distributed over a sum", spread, numbers)


def reciprocal(site: Site) -> Iterator[Change]:
    """x (1/y) for x/y."""
    if site.name == "div" and computes(site):
        yield Change("1/y", "x/y becomes x (1/y)", lambda x, y: like(x * (1.0 / y), site))
    if site.name == "mul" and computes(site):
        yield Change("by 2", "a product is halved and doubled", lambda x, y: (x * 0.5) * y * 2.0)


def cast(site: Site) -> Iterator[Change]:
    """To float32 and back: nothing, to a real number."""
    if computes(site):
        yield Change(
            "result",
            f"the result of `{site.name}` is cast to float32 and back",
            lambda *xs: site.bind(*xs).astype(jnp.float32).astype(site.result.dtype),
        )


def loop(site: Site) -> Iterator[Change]:
    """A loop for a sum."""
    if site.name == "reduce_sum" and len(site.eqn.params["axes"]) == 1 and computes(site):
        axis = int(site.eqn.params["axes"][0])

        def by_scan(x: jax.Array) -> jax.Array:
            rows = jnp.moveaxis(x, axis, 0)
            return lax.scan(lambda total, row: (total + row, None), jnp.zeros_like(rows[0]), rows)[0]

        def by_fori(x: jax.Array) -> jax.Array:
            rows = jnp.moveaxis(x, axis, 0)
            return lax.fori_loop(0, rows.shape[0], lambda i, total: total + rows[i], jnp.zeros_like(rows[0]))

        yield Change("scan", "a sum is a scan", by_scan)
        yield Change("fori", "a sum is a fori_loop", by_fori)
    if site.name == "dot_general" and computes(site):
        (left, right), (batch, _) = site.eqn.params["dimension_numbers"]
        if len(left) == 1 and not batch:

            def products(x: jax.Array, y: jax.Array) -> jax.Array:
                a, b = jnp.moveaxis(x, int(left[0]), 0), jnp.moveaxis(y, int(right[0]), 0)
                start = jnp.zeros(site.result.shape, site.result.dtype)
                step = lambda total, pair: (total + jnp.tensordot(pair[0], pair[1], axes=0), None)  # noqa: E731
                return lax.scan(step, start, (a, b))[0]

            yield Change("scan", "a sum of products is a scan", products)


def negate_twice(site: Site) -> Iterator[Change]:
    """−(−f) for f; a + (−b) for a − b."""
    if not computes(site):
        return
    yield Change("result", f"the result of `{site.name}` is negated twice", lambda *xs: jnp.negative(-site.bind(*xs)))
    if site.name == "sub":
        yield Change("a + (−b)", "a − b becomes a + (−b)", lambda x, y: like(x + (-y), site))
    if site.name in ("add", "add_any"):
        yield Change("a − (−b)", "a + b becomes a − (−b)", lambda x, y: like(x - (-y), site))
    if site.name == "neg":
        yield Change("0 − x", "−x becomes 0 − x", lambda x: 0.0 - x)


def exp_log(site: Site) -> Iterator[Change]:
    """log e^x for x; e^(log x) for an x > 0."""
    if not computes(site):
        return
    if site.name in ("exp", "logistic", "exp2"):
        yield Change(
            "e^log", f"x becomes e^(log x), x the result of `{site.name}`", lambda x: jnp.exp(jnp.log(site.bind(x)))
        )
    else:
        yield Change(
            "log e^", f"x becomes log e^x, x the result of `{site.name}`", lambda *xs: jnp.log(jnp.exp(site.bind(*xs)))
        )


def add_and_subtract(site: Site) -> Iterator[Change]:
    """(f + t) − t, f (1 + t²)/(1 + t²), f (sin² t + cos² t) for f, with another value t."""
    if not computes(site):
        return
    ways: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
        "+ t − t": lambda f, t: (f + t) - t,
        "· (1 + t²)/(1 + t²)": lambda f, t: f * (1 + t * t) / (1 + t * t),
        "· (sin² t + cos² t)": lambda f, t: f * (jnp.sin(t) ** 2 + jnp.cos(t) ** 2),
    }
    for number, var in site.earlier():
        if aval_of(var).shape == site.result.shape and is_real(var):
            for way, f in ways.items():
                yield Change(
                    f"{way}, value {number}",
                    f"f becomes f {way}, f the result of `{site.name}`, t another value",
                    lambda *xs, f=f: f(site.bind(*xs[:-1]), xs[-1]),
                    (number,),
                )


def rearranged(site: Site) -> Iterator[Change]:
    """Data moved there and back: transposed or reversed twice, stacked and taken out again; a product as a sum."""
    if not computes(site):
        return
    if len(site.result.shape) >= 2:
        yield Change(
            "ᵀᵀ",
            f"the result of `{site.name}` is transposed twice",
            lambda *xs: jnp.swapaxes(jnp.swapaxes(site.bind(*xs), 0, 1), 0, 1),
        )
    if len(site.result.shape) >= 1:
        yield Change(
            "reversed",
            f"the result of `{site.name}` is reversed twice",
            lambda *xs: jnp.flip(jnp.flip(site.bind(*xs), 0), 0),
        )
        yield Change(
            "ravel",
            f"the result of `{site.name}` is flattened, and shaped again",
            lambda *xs: site.bind(*xs).ravel().reshape(site.result.shape),
        )
    yield Change(
        "stacked",
        f"the result of `{site.name}` is stacked, and taken out again",
        lambda *xs: jnp.stack([site.bind(*xs), jnp.zeros(site.result.shape)])[0],
    )
    yield Change(
        "where",
        f"the result of `{site.name}` is chosen by its sign from two equal ones",
        lambda *xs: _either(site.bind(*xs)),
    )
    if site.name == "dot_general":
        (left, right), (batch, _) = site.eqn.params["dimension_numbers"]
        if len(left) == 1 and not batch:

            def as_sum(x: jax.Array, y: jax.Array) -> jax.Array:
                a, b = jnp.moveaxis(x, int(left[0]), -1), jnp.moveaxis(y, int(right[0]), -1)
                return jnp.sum(a.reshape(*a.shape[:-1], *([1] * (b.ndim - 1)), a.shape[-1]) * b, axis=-1)

            yield Change("Σ", "a contraction is a sum of products", as_sum)


def _either(value: jax.Array) -> jax.Array:
    return jnp.where(value > 0, value, value * 1.0)


def _unless_asked(kind: Callable[[Site], Iterator[Change]]) -> Callable[[Site], Iterator[Change]]:
    """Leaves alone what is asked to be the very one of other values: log e^x equals x, and no digits can show it."""
    return lambda site: iter(()) if site.eqn.outvars[0] in site.body.asked else kind(site)


_KINDS: Kinds = {
    "commute": commute,
    "reassociate": reassociate,
    "distribute": distribute,
    "reciprocal": reciprocal,
    "stable form": stable_form,
    "shifted exponent": shifted_exponent,
    "cast": cast,
    "loop": loop,
    "negate twice": negate_twice,
    "exp and log": exp_log,
    "add and subtract": add_and_subtract,
    "rearrange": rearranged,
}

IDENTITIES: Kinds = {name: _unless_asked(kind) for name, kind in _KINDS.items()}
"""kinds of right rewrites"""
