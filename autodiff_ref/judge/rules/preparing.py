"""f at one shape: as a whole and the rules within, traced once and made ready to be judged at any input."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.balls.context import Context
from autodiff_ref.judge.counterexample import leaf_names
from autodiff_ref.judge.errors import first_line, reason_of
from autodiff_ref.judge.lines.trace import shape_key
from autodiff_ref.judge.rules.calls import Call, Named, calls_of, named_calls
from autodiff_ref.judge.rules.findings import Kind, Rule
from autodiff_ref.judge.rules.naming import shown_name
from autodiff_ref.judge.rules.subject import RaisesError, Subject, subject
from manual_grad.derivation import argument_names
from manual_grad.domains import Domain
from manual_grad.domains.labels import Constants

Args = tuple[Any, ...]


class _NoRealError(NotImplementedError):
    """A rule for a function that nothing is differentiated by."""


@dataclass(frozen=True)
class _Told:
    """A function of balls that says what the value is, in the place of a plan."""

    function: Callable[..., Any]
    meanings: frozenset[str] = frozenset()

    def run(self, context: Context, *args: Any) -> list[Any]:
        """Its values at balls."""
        del context
        given = [x.item() if np.ndim(x) == 0 else x for x in map(np.asarray, args)]
        made = self.function(*given)
        return [np.asarray(part, dtype=object) for part in (made if isinstance(made, list | tuple) else [made])]


@dataclass
class Prepared:
    """f at one shape: as a whole, and the rules within."""

    structure: Any
    names: tuple[str, ...]
    whole: Subject | None
    whole_named: Named | None
    """the rule that f as a whole is"""
    calls: list[tuple[Call, Subject]]
    rules: list[Rule]
    program: Any = None
    """f, traced"""
    missing: list[tuple[Kind, str, str, str]] = field(default_factory=list[tuple[Kind, str, str, str]])
    """(undecided or raises, function, place, why) of what cannot be judged"""


_PREPARED: "WeakKeyDictionary[Any, dict[Any, Prepared]]" = WeakKeyDictionary()


class Preparation:
    """How a function is made ready for inputs of a domain."""

    def __init__(
        self,
        f: Callable[..., Any],
        domain: Args | None,
        truth: Callable[..., Any] | None,
        solves: Callable[..., Any] | None,
    ) -> None:
        self.f, self.domain, self.truth, self.solves = f, domain, truth, solves

    def prepare(self, args: Args, order: int) -> Prepared:
        """f at the shapes of an input, traced once."""
        # what stands for the value decides what is prepared
        fixed = tuple((k, x.tobytes()) for k, x in self.fixed(args).items())
        moves = tuple(self._parts().items())
        key = (
            shape_key(args),
            jax.tree.structure(args),
            order,
            self.truth,
            self.solves,
            self.constant_leaves(args),
            fixed,
            moves,
        )
        try:
            kept = _PREPARED.setdefault(self.f, {})
        except TypeError:  # it cannot be referred to weakly, or has no hash
            kept = self.__dict__.setdefault("_kept", {})
        if key not in kept:
            kept[key] = self._prepared(args, order)
        return kept[key]

    def fixed(self, args: Args) -> dict[int, np.ndarray]:
        """The leaves whose domain is one value: a function may ask for that while it is traced, as `if scale == 1`."""
        leaves = [] if self.domain is None else jax.tree.leaves(self.domain)
        given = jax.tree.leaves(args)
        return {k: np.asarray(given[k]) for k, leaf in enumerate(leaves) if isinstance(leaf, Constants)}

    def flat(self, args: Args) -> Callable[..., list[Any]]:
        """f as a function of the leaves of its arguments; those whose domain is one value stay as they are in `args`."""
        structure, fixed = jax.tree.structure(args), self.fixed(args)
        return lambda *xs: jax.tree.leaves(
            self.f(*jax.tree.unflatten(structure, [fixed.get(k, x) for k, x in enumerate(xs)]))
        )

    def constant_leaves(self, args: Args) -> tuple[int, ...]:
        """Leaves that no derivative is asked by: whole numbers, labels and constants."""
        leaves = jax.tree.leaves(args)
        known = [k for k, x in enumerate(leaves) if not np.issubdtype(np.asarray(x).dtype, np.floating)]
        if self.domain is not None:
            known += [k for k, leaf in enumerate(jax.tree.leaves(self.domain)) if leaf.known]
        return tuple(sorted(set(known)))

    def _prepared(self, args: Args, order: int) -> Prepared:
        leaves, structure = jax.tree.flatten(args)
        leaves = [np.asarray(leaf) for leaf in leaves]
        called = argument_names(self.f) or []
        names = leaf_names(args, [called[k] if k < len(called) else f"x{k}" for k in range(len(args))])
        held = self.constant_leaves(args)
        by = [k for k in range(len(leaves)) if k not in held]
        if not by:
            raise ValueError(f"{shown_name(self.f)}: none of its arguments is a real number to differentiate by")

        with jax.enable_x64(True):
            try:
                closed = jax.make_jaxpr(self.flat(args))(*leaves)
            except (TypeError, ValueError) as error:
                shapes = ", ".join(f"{name} {np.shape(leaf)}" for name, leaf in zip(names, leaves, strict=True))
                raise ValueError(f"{first_line(error)} ({shown_name(self.f)} was called with {shapes})") from error
        traced = core.jaxpr_as_fun(closed)  # f itself is traced once, however long that takes
        made = Prepared(structure, names, None, None, [], [], closed.jaxpr)
        whose = shown_name(self.f)
        judged, others = set[tuple[str, str]](), dict[tuple[str, str], str]()
        raising = list[tuple[Named, str]]()
        if self.solves is None:
            for call in calls_of(closed):
                named = call.named
                if call.whole:
                    made.whole_named = named
                    judged.add((named.name, named.place))
                    continue
                try:
                    made.calls.append((call, self._alone(call, order)))
                    judged.add((named.name, named.place))
                except _NoRealError:
                    others[named.name, named.place] = "it takes no real number"
                except RaisesError as error:
                    raising.append((named, _reason(error)))
                except Exception as error:
                    made.missing.append((_lack(error), named.name, named.place, _reason(error)))
        told = None if self.truth is None else _Told(self.truth)
        lone = made.whole_named is not None
        has_cotangent = not lone or (made.whole_named is not None and made.whole_named.kind == "custom_vjp")
        if self.solves is None:
            try:
                made.whole = subject(
                    self._within_domain(traced),
                    leaves,
                    by,
                    names,
                    order=order,
                    truth=told if order == 1 else None,
                    has_cotangent=has_cotangent,
                    ruled=lone,
                )
            except Exception as error:
                place = made.whole_named.place if made.whole_named else ""
                made.missing.append((_lack(error), whose, place, _reason(error)))
        whole_raises = any(kind == "raises" for kind, *_ in made.missing)
        for named, why in raising:
            if whole_raises:
                made.missing.append(("raises", named.name, named.place, why))
            else:  # it is called where nobody differentiates it, or needs what is traced around it
                others[named.name, named.place] = f"its derivative is not used here, and alone raises {why}"
        for named, inside in named_calls(closed.jaxpr):
            key = named.name, named.place
            if not any((rule.name, rule.place) == key for rule in made.rules):
                why = (
                    ""
                    if key in judged
                    else "f is judged by its equation"
                    if self.solves is not None
                    else "it is called in a loop or a branch"
                    if inside
                    else others.get(key, "see below")
                )
                made.rules.append(Rule(named.name, named.place, named.kind, key in judged, why))
        return made

    def _within_domain(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """f of the symmetric part, or of the lower triangle, of arguments that are so: no entry of these moves alone."""
        parts = self._parts()
        if not parts:
            return f
        return lambda *xs: f(*(parts[k](x) if k in parts else x for k, x in enumerate(xs)))

    def _parts(self) -> dict[int, Callable[[Any], Any]]:
        leaves = [] if self.domain is None else jax.tree.leaves(self.domain)
        return {k: leaf.part for k, leaf in enumerate(leaves) if leaf.part is not Domain.part}

    def _alone(self, call: Call, order: int) -> Subject:
        floats = [k for k, a in enumerate(call.avals) if jax.numpy.issubdtype(a.dtype, np.floating) and k not in call.held]
        if not floats:
            raise _NoRealError("it takes no real number")
        function = call.judged
        return subject(
            lambda *xs: list(function(*xs)), call.avals, floats, call.names, order=order,
            has_cotangent=call.named.kind == "custom_vjp", ruled=True, constants=call.constants,
        )  # fmt: skip


def _lack(error: BaseException) -> Kind:
    return "raises" if isinstance(error, RaisesError) else "undecided"


def _reason(error: BaseException) -> str:
    if isinstance(error, RaisesError | NotImplementedError) and str(error):
        return str(error)[:400]
    return reason_of(error)
