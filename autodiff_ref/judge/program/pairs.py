"""A program of complex numbers as a program of pairs of reals, before any arithmetic sees it.

z = a + ib is the pair (a, b). What is linear over the reals, as sums and moving data, works on each part by itself.
Parts that are 0 throughout are left out. Calls are inlined; loops and branches carry pairs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.program.complex_pairs import Pair
from autodiff_ref.judge.program.complex_rules import EACH_PART, RULES, of_parts
from autodiff_ref.judge.program.control import scan_widths
from autodiff_ref.judge.program.equations import equations_in
from autodiff_ref.judge.program.plans import CALLS

Atom = Any
"""A variable or a literal of a jaxpr."""

Value = Any
"""An atom; or, for a complex number, a pair of atoms, None standing for 0"""


def in_reals(closed: Any) -> Any:
    """The same computation without complex numbers; an input or output that is complex becomes two, real and imaginary.

    Raises:
        NotImplementedError: a primitive has no rule for complex numbers.
    """
    return _Reals().closed(closed) if _is_complex_inside(closed.jaxpr) else closed


def where_followed(closed: Any) -> Any:
    """The same, or what was given where a primitive has no rule: whoever plans it says so."""
    try:
        return in_reals(closed)
    except NotImplementedError:
        return closed


def _is_complex(atom: Atom) -> bool:
    return getattr(getattr(atom.aval, "dtype", None), "kind", "") == "c"


def _is_complex_inside(jaxpr: core.Jaxpr) -> bool:
    within = (atom for eqn in equations_in(jaxpr) for atom in (*eqn.invars, *eqn.outvars))
    return any(map(_is_complex, (*jaxpr.invars, *jaxpr.constvars, *within)))


def _has_complex_body(eqn: core.JaxprEqn) -> bool:
    return any(map(_is_complex_inside, core.jaxprs_in_params(eqn.params)))


class _Reals:
    """Collects the equations of one body."""

    def __init__(self) -> None:
        self.eqns: list[Any] = []
        self.constvars: list[Any] = []
        self.consts: list[Any] = []
        self.env: dict[Any, Value] = {}

    def closed(self, closed: Any) -> Any:
        """The closed jaxpr in reals."""
        inputs: list[Any] = []
        for var in closed.jaxpr.invars:
            self.env[var] = self.variable(var.aval)
            inputs += self.both(self.env[var], var.aval)
        outputs = self.inline(closed.jaxpr, closed.consts)
        flat = [part for made, var in zip(outputs, closed.jaxpr.outvars, strict=True) for part in self.both(made, var.aval)]
        jaxpr = closed.jaxpr.replace(
            constvars=self.constvars,
            invars=inputs,
            outvars=flat,
            eqns=self.eqns,
            debug_info=closed.jaxpr.debug_info.with_unknown_names(),
        )
        return core.ClosedJaxpr(jaxpr, self.consts)

    def variable(self, aval: Any) -> Value:
        """A new variable, or a pair of them."""
        if not jax.numpy.issubdtype(getattr(aval, "dtype", np.dtype(bool)), np.complexfloating):
            return core.Var(aval)
        real = aval.update(dtype=real_dtype(aval.dtype), weak_type=False)
        return core.Var(real), core.Var(real)

    def both(self, value: Value, aval: Any) -> list[Atom]:
        """An atom; or both parts, zeros spelled out."""
        if not isinstance(value, tuple):
            return [value]
        if None not in value:
            return list(value)
        zero = self.constant(np.zeros(aval.shape, real_dtype(aval.dtype)))
        return [zero if part is None else part for part in value]

    def constant(self, value: Any) -> Value:
        """A constant; of a complex one both parts, None for one that is 0."""
        if getattr(value, "dtype", np.dtype(float)).kind == "V":  # a type that NumPy has not
            array = value
        else:
            array = np.asarray(value)
            if array.dtype.kind == "c":
                parts = np.array(np.real(array)), np.array(np.imag(array))
                return tuple(self.constant(part) if np.any(part) else None for part in parts)
        with jax.enable_x64(True):
            aval = jax.typeof(array)
        if array.shape == ():
            return core.Literal(array[()], aval)
        var = core.Var(aval)
        self.constvars.append(var)
        self.consts.append(array)
        return var

    def read(self, atom: Atom) -> Value:
        """What stands for an atom."""
        if not isinstance(atom, core.Literal):
            return self.env[atom]
        return self.constant(atom.val) if _is_complex(atom) else atom

    def inline(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Value] | None = None) -> list[Value]:
        """Adds the equations of a jaxpr; its outputs."""
        if inputs is not None:
            self.env.update(zip(jaxpr.invars, inputs, strict=True))
        for var, value in zip(jaxpr.constvars, consts, strict=True):
            self.env[var] = self.constant(value)
        for eqn in jaxpr.eqns:
            self.add(eqn)
        return [self.read(atom) for atom in jaxpr.outvars]

    def add(self, eqn: Any) -> None:
        """Adds an equation, or those that stand for it."""
        sources = [self.read(atom) for atom in eqn.invars]
        name = eqn.primitive.name
        touched = any(map(_is_complex, (*eqn.invars, *eqn.outvars)))
        if not touched and not _has_complex_body(eqn):
            made = [core.Var(var.aval) for var in eqn.outvars]
            self.eqns.append(eqn.replace(invars=sources, outvars=made))
            self.env.update(zip(eqn.outvars, made, strict=True))
        elif name in CALLS:
            inner = eqn.params[CALLS[name]]
            outer, self.env = self.env, {}
            made = self.inline(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), sources)
            self.env = outer
            self.env.update(zip(eqn.outvars, made, strict=True))
        elif name == "scan":
            self.scan(eqn, sources)
        elif name in _CONTROL:
            self.control(eqn, sources)
        elif name in RULES or name in EACH_PART:
            self.pieces(eqn, sources)
        else:
            raise NotImplementedError(
                f"the primitive `{name}` of complex numbers is not judged: split them into real and imaginary part"
            )

    def scan(self, eqn: Any, sources: list[Value]) -> None:
        """A scan whose values are pairs, traced anew: how its parameters count them changes with JAX's versions."""
        flat = [self.both(value, atom.aval) for value, atom in zip(sources, eqn.invars, strict=True)]
        consts, carry = scan_widths(eqn.params)
        first, last = (sum(map(len, flat[:end])) for end in (consts, consts + carry))
        body = core.jaxpr_as_fun(_wide(eqn.params["jaxpr"]))
        carried = sum(1 + _is_complex(var) for var in eqn.outvars[:carry])
        how = {name: eqn.params[name] for name in ("length", "reverse", "unroll")}

        def scanned(*parts: Any) -> list[Any]:
            def turn(carry: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
                made = body(*parts[:first], *carry, *row)
                return made[:carried], made[carried:]

            last_carry, stacked = jax.lax.scan(turn, list(parts[first:last]), list(parts[last:]), **how)
            return [*last_carry, *stacked]

        made = iter(self.traced(scanned, eqn, [part for each in flat for part in each]))
        for var in eqn.outvars:
            self.env[var] = (next(made), next(made)) if _is_complex(var) else next(made)

    def control(self, eqn: Any, sources: list[Value]) -> None:
        """A loop or branch whose values are pairs."""
        flat = [self.both(value, atom.aval) for value, atom in zip(sources, eqn.invars, strict=True)]
        made = [self.variable(var.aval) for var in eqn.outvars]
        params = _CONTROL[eqn.primitive.name](eqn.params, [len(each) for each in flat])
        outvars = [part for value in made for part in (value if isinstance(value, tuple) else [value])]
        self.eqns.append(eqn.replace(invars=[part for each in flat for part in each], outvars=outvars, params=params))
        self.env.update(zip(eqn.outvars, made, strict=True))

    def pieces(self, eqn: Any, sources: list[Value]) -> None:
        """What a rule makes of an equation; it stands where the equation stood."""
        there = [
            [part for part in (value if isinstance(value, tuple) else [value]) if part is not None] for value in sources
        ]
        counts = [len(each) for each in there]
        zeros = [value[0] is None if isinstance(value, tuple) else False for value in sources]
        pairs = [isinstance(value, tuple) for value in sources]
        layout: list[Any] = []

        def piece(*parts: Any) -> list[Any]:
            rest = iter(parts)
            operands: list[Any] = []
            for atom, count, zero, pair in zip(eqn.invars, counts, zeros, pairs, strict=True):
                taken = [next(rest) for _ in range(count)]
                if not pair:
                    operands.append(taken[0])
                    continue
                if count < 2:
                    taken = [None, *taken] if zero else [*taken, None]
                real, imag = [*taken, None][:2]
                operands.append(Pair(real, imag, tuple(atom.aval.shape), real_dtype(atom.aval.dtype)))
            rule = RULES.get(eqn.primitive.name)
            found = rule(eqn, *operands) if rule else of_parts(eqn, *operands)
            values = found if isinstance(found, list) else [found]
            layout[:] = [(v.real is not None, v.imag is not None) if isinstance(v, Pair) else None for v in values]
            return [part for v in values for part in ((v.real, v.imag) if isinstance(v, Pair) else (v,)) if part is not None]

        found = iter(self.traced(piece, eqn, [part for each in there for part in each]))
        for var, parts in zip(eqn.outvars, layout, strict=True):
            self.env[var] = next(found) if parts is None else tuple(next(found) if part else None for part in parts)

    def traced(self, made_of: Callable[..., list[Any]], eqn: Any, atoms: list[Atom]) -> list[Value]:
        """Adds the equations of a function of atoms, which stand where an equation stood; its outputs."""
        with jax.enable_x64(True):
            closed = jax.make_jaxpr(made_of)(*[jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in atoms])
        start = len(self.eqns)
        outer, self.env = self.env, {}
        made = self.inline(closed.jaxpr, closed.consts, atoms)
        self.env = outer
        self.eqns[start:] = [each.replace(source_info=eqn.source_info) for each in self.eqns[start:]]
        return made


def real_dtype(dtype: Any) -> Any:
    """That of the parts of a complex number."""
    return np.dtype(np.float32 if np.dtype(dtype).itemsize == 8 else np.float64)


def _wide(closed: Any) -> Any:
    """A body in reals, with calls inlined where they hold complex numbers."""
    return _Reals().closed(closed)


def _while(params: dict[str, Any], widths: list[int]) -> dict[str, Any]:
    cond, body = params["cond_nconsts"], params["body_nconsts"]
    return {
        **params,
        "cond_jaxpr": _wide(params["cond_jaxpr"]),
        "body_jaxpr": _wide(params["body_jaxpr"]),
        "cond_nconsts": sum(widths[:cond]),
        "body_nconsts": sum(widths[cond : cond + body]),
    }


def _cond(params: dict[str, Any], widths: list[int]) -> dict[str, Any]:
    del widths
    return {**params, "branches": tuple(map(_wide, params["branches"]))}


_CONTROL: dict[str, Callable[[dict[str, Any], list[int]], dict[str, Any]]] = {"while": _while, "cond": _cond}
