"""The identities that the prover rewrites by: named rows, each with its side condition and what breaks it without.

A proof is a chain of these, besides the arithmetic of polynomials. Each is one of real functions wherever both sides are
defined and its side condition holds. `left` and `right` are the two sides in Python: a test holds each row at random points,
and at its counterexample, against ball arithmetic.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Identity:
    """One row."""

    name: str
    equation: str
    """for people"""
    left: str
    right: str
    """in Python, of the variables; `power(p, q)` is real, `above(p)` is 1 where p > 0 and else 0"""
    variables: dict[str, str]
    """by name: real, whole, rational, or bit (0 or 1)"""
    where: str = ""
    """the side condition in Python; empty where both sides need only be defined"""
    counterexample: dict[str, float] = field(default_factory=dict[str, float])
    """values that do not meet the side condition, at which the sides differ, or only one is defined"""

    def __str__(self) -> str:
        return f"{self.name}: {self.equation}" + (f", where {_shown(self.where)}" if self.where else "")


def _shown(condition: str) -> str:
    """A condition as the notes would write it."""
    return condition.replace("!=", "≠").replace(">=", "≥").replace("<=", "≤").replace("==", "=").replace("*", " ")


def _definition(name: str, equation: str, left: str, right: str, where: str = "", **counterexample: float) -> Identity:
    return Identity(name, equation, left, right, {"x": "real"}, where, counterexample)


DEFINITIONS = {
    "logistic": _definition("σ", "σ(x) = 1/(1 + e^−x)", "logistic(x)", "1/(1 + exp(-x))"),
    "tanh": _definition("tanh", "tanh x = 2 σ(2x) − 1", "tanh(x)", "2*logistic(2*x) - 1"),
    "sinh": _definition("sinh", "sinh x = (e^x − e^−x)/2", "sinh(x)", "(exp(x) - exp(-x))/2"),
    "cosh": _definition("cosh", "cosh x = (e^x + e^−x)/2", "cosh(x)", "(exp(x) + exp(-x))/2"),
    "tan": _definition("tan", "tan x = sin x / cos x", "tan(x)", "sin(x)/cos(x)"),
    "atanh": _definition(
        "atanh", "atanh x = ½ log(1 + x) − ½ log(1 − x)", "atanh(x)", "log(1 + x)/2 - log(1 - x)/2", "abs(x) < 1"
    ),
    "asinh": _definition("asinh", "asinh x = log(x + √(1 + x²))", "asinh(x)", "log(x + power(1 + x*x, half))"),
    "expm1": _definition("expm1", "expm1 x = e^x − 1", "expm1(x)", "exp(x) - 1"),
    "log1p": _definition("log1p", "log1p x = log(1 + x)", "log1p(x)", "log(1 + x)"),
    "exp2": _definition("exp2", "2^x = e^(x log 2)", "exp2(x)", "exp(x*log(2))"),
    "erfc": _definition("erfc", "erfc x = 1 − erf x", "erfc(x)", "1 - erf(x)"),
    "abs": _definition("|x|", "|x| = x sign(x)", "abs(x)", "x*(above(x) - above(-x))"),
    "sign": _definition("sign", "sign x = [x > 0] − [−x > 0]", "sign(x)", "above(x) - above(-x)"),
    "power": Identity(
        "power by exponential",
        "p^q = e^(q log p)",
        "power(p, q)",
        "exp(q*log(p))",
        {"p": "real", "q": "rational"},
        "p > 0",
        {"p": -2, "q": 2},
    ),
    "max": Identity(
        "max", "max(a, b) = b + [a > b] (a − b)", "max(a, b)", "b + above(a - b)*(a - b)", {"a": "real", "b": "real"}
    ),
    "min": Identity(
        "min", "min(a, b) = a + [a > b] (b − a)", "min(a, b)", "a + above(a - b)*(b - a)", {"a": "real", "b": "real"}
    ),
}
"""by the operation of a node"""

_REAL = {"p": "real", "q": "real"}

IDENTITIES = {
    row.name: row
    for row in (
        *DEFINITIONS.values(),
        # Powers
        Identity(
            "powers add",
            "p^(k + q) = p^k p^q",
            "power(p, k + q)",
            "power(p, k)*power(p, q)",
            {"p": "real", "k": "whole", "q": "rational"},
            "p > 0 or (p != 0 and q == 0)",
            {"p": -1, "k": 0.5, "q": 0.5},
        ),
        Identity(
            "a root of a number",
            "c^(k + q) = c^k c^q",
            "power(c, k + q)",
            "power(c, k)*power(c, q)",
            {"c": "real", "k": "whole", "q": "rational"},
            "c > 0",
            {"c": -1, "k": 0.5, "q": 0.5},
        ),
        Identity(
            "whole power of a product",
            "(p q)^k = p^k q^k",
            "power(p*q, k)",
            "power(p, k)*power(q, k)",
            {**_REAL, "k": "whole"},
        ),
        Identity(
            "root of a product",
            "(p q)^r = p^r q^r",
            "power(p*q, r)",
            "power(p, r)*power(q, r)",
            {**_REAL, "r": "rational"},
            "p > 0",
            {"p": -1, "q": -1, "r": 0.5},
        ),
        Identity("root of a square", "√(x²) = x sign(x)", "power(x*x, half)", "x*sign(x)", {"x": "real"}, "x != 0"),
        Identity(
            "cancelling a denominator",
            "p/(p + q) = 1 − q/(p + q)",
            "p/(p + q)",
            "1 - q/(p + q)",
            _REAL,
            "p + q != 0",
        ),
        Identity(
            "common denominator",
            "p/q + r = (p + r q)/q",
            "p/q + r",
            "(p + r*q)/q",
            {**_REAL, "r": "real"},
            "q != 0",
        ),
        # Exponentials and logarithms
        Identity("exponentials add", "e^(p + q) = e^p e^q", "exp(p + q)", "exp(p)*exp(q)", _REAL),
        Identity(
            "exponential of a logarithm",
            "e^(r log p) = p^r",
            "exp(r*log(p))",
            "power(p, r)",
            {"p": "real", "r": "rational"},
            "p > 0",
            {"p": -2, "r": 2},
        ),
        Identity("logarithm of an exponential", "log e^p = p", "log(exp(p))", "p", {"p": "real"}),
        Identity(
            "logarithm of a product",
            "log(p q) = log p + log q",
            "log(p*q)",
            "log(p) + log(q)",
            _REAL,
            "p > 0 and q > 0",
            {"p": -1, "q": -2},
        ),
        Identity(
            "logarithm of a power",
            "log p^r = r log p",
            "log(power(p, r))",
            "r*log(p)",
            {"p": "real", "r": "rational"},
            "p > 0",
            {"p": -2, "r": 2},
        ),
        # Other functions
        Identity(
            "sine of a sum", "sin(p + q) = sin p cos q + cos p sin q", "sin(p + q)", "sin(p)*cos(q) + cos(p)*sin(q)", _REAL
        ),
        Identity(
            "cosine of a sum", "cos(p + q) = cos p cos q − sin p sin q", "cos(p + q)", "cos(p)*cos(q) - sin(p)*sin(q)", _REAL
        ),
        Identity("sine squared", "sin² x = 1 − cos² x", "sin(x)*sin(x)", "1 - cos(x)*cos(x)", {"x": "real"}),
        Identity(
            "digamma's recurrence",
            "ψ(x + 1) = ψ(x) + 1/x",
            "digamma(x + 1)",
            "digamma(x) + 1/x",
            {"x": "real"},
            "x > 0",
            {"x": 0},
        ),
        # Conditions: b, c are 0 or 1
        Identity("a condition squared", "b² = b", "b*b", "b", {"b": "bit"}, counterexample={"b": 2}),
        Identity(
            "outcomes exclude each other",
            "[x = 0] [x = 1] = 0",
            "(x == 0)*(x == 1)",
            "0",
            {"x": "whole"},
        ),
        Identity(
            "a condition implies another",
            "[p > 0] [q > 0] = [q > 0]",
            "above(p)*above(q)",
            "above(q)",
            _REAL,
            "p - q > 0",
            {"p": -1, "q": 1},
        ),
        Identity(
            "one of two conditions holds",
            "[p > 0] [q > 0] = [p > 0] + [q > 0] − 1",
            "above(p)*above(q)",
            "above(p) + above(q) - 1",
            _REAL,
            "p + q > 0",
            {"p": -1, "q": -1},
        ),
        Identity(
            "conditions exclude each other",
            "[p > 0] [q > 0] = 0",
            "above(p)*above(q)",
            "0",
            _REAL,
            "p + q < 0",
            {"p": 1, "q": 1},
        ),
        Identity(
            "case by case",
            "f(b p + (1 − b) q) = b f(p) + (1 − b) f(q)",
            "exp(b*p + (1 - b)*q)",
            "b*exp(p) + (1 - b)*exp(q)",
            {**_REAL, "b": "bit"},
            counterexample={"p": 0, "q": 1, "b": 0.5},
        ),
        Identity("equal in both cases", "b p + (1 − b) p = p", "b*p + (1 - b)*p", "p", {"p": "real", "b": "bit"}),
        Identity("known sign", "[p > 0] = 1", "above(p)", "1", {"p": "real"}, "p > 0", {"p": -1}),
        Identity(
            "sign up to a positive factor",
            "[p q > 0] = [q > 0]",
            "above(p*q)",
            "above(q)",
            _REAL,
            "p > 0",
            {"p": -1, "q": 1},
        ),
        Identity(
            "sign of a product",
            "2 [p q > 0] − 1 = (2 [p > 0] − 1) (2 [q > 0] − 1)",
            "2*above(p*q) - 1",
            "(2*above(p) - 1)*(2*above(q) - 1)",
            _REAL,
            "p != 0 and q != 0",
            {"p": 0, "q": -1},
        ),
        Identity(
            "equal on a null set only",
            "[p = 0] = 0",
            "(p == 0)*1",
            "0",
            {"p": "real"},
            "p != 0",
            {"p": 0},
        ),
        Identity(
            "the greatest is one of them",
            "max(p, q) = b p + (1 − b) q, b = [p ≥ q]",
            "max(p, q)",
            "(p >= q)*p + (1 - (p >= q))*q",
            _REAL,
        ),
    )
}
"""by name"""


def identity(name: str) -> Identity:
    """The row of a name; that a function is odd or even needs none."""
    if name in IDENTITIES:
        return IDENTITIES[name]
    function, _, parity = name.partition(" is ")
    sign = {"odd": "−", "even": ""}[parity]
    right = f"{sign.replace('−', '-')}{function}(x)"
    return Identity(name, f"{function}(−x) = {sign}{function}(x)", f"{function}(-x)", right, {"x": "real"})


@dataclass
class Trail:
    """What was used so far: identities by name, and the nodes whose comparison was decided but where its sides are equal."""

    identities: set[str] = field(default_factory=set[str])
    left_out: set[int] = field(default_factory=set[int])

    def add(self, other: "Trail") -> None:
        """What another one holds as well."""
        self.identities |= other.identities
        self.left_out |= other.left_out
