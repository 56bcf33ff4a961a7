"""The page docs/jax-functions.md, made of what `jax_functions.py --json` wrote."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

Found = dict[str, Any]

MODULES = ("jax.nn", "jax.numpy", "jax.scipy.special", "jax.scipy.stats")
VERDICTS = ("proved", "agrees", "within", "partial", "refuted", "reference wrong", "undecided", "no derivative", "failed")
RIGHT = ("proved", "agrees", "within")

ACCURACY = 1e-6
"""A derivative that is off by no more, relative, is the derivative, computed with fewer digits."""

_BY_NOTE = re.compile(r"derivative (?P<entry>by .*?) is (?P<jax>\S+) by JAX and (?P<true>\S+) in truth, at (?P<at>.*)$")
_BY_REFERENCE = re.compile(
    r"JAX's derivative (?P<entry>by .*?) is (?P<jax>\S+), a .*? gives (?P<true>\S+), at (?P<at>.*?) \(r"
)


def page(data: Found) -> str:
    """The whole page, as Markdown."""
    rows: list[Found] = data["rows"]
    return "\n".join(
        [*_head(data, rows), *_totals(rows), *_wrong(rows), *_raises(rows), *_undecided(rows), *_kinks(rows), *_all(rows)]
    )


def _head(data: Found, rows: Sequence[Found]) -> Iterator[str]:
    right = sum(row["verdict"] in RIGHT for row in rows)
    yield f"""# JAX's own derivatives, judged

After reading this page you know which of {len(rows)} functions of JAX {data["jax"]} have a wrong derivative, where, and by
how much. {right} of the {len(rows)} have the right one.

Nobody here wrote these functions. Each is a derivation with one line: the function's own derivative, by `jax.grad` or
`jax.jacobian`. The judge does not take `jax.grad` for the truth: it asks difference quotients in balls (see
[what a verdict means](verdicts.md)). So a right derivative must come out `proved`, `agrees` or `within`, and a wrong one
must not. All numbers are of float64.

    python benchmarks/jax_functions.py --json found.json --jobs 2      judge all rows of benchmarks/jax_catalogue.py
    python benchmarks/jax_functions.py "jax.scipy.special.spence"      judge one
    python benchmarks/jax_functions.py --table found.json              print this page
"""


def _totals(rows: Sequence[Found]) -> Iterator[str]:
    counts = Counter((row["module"], row["verdict"]) for row in rows)
    shown = [verdict for verdict in VERDICTS if any(counts[module, verdict] for module in MODULES)]
    yield from ["## Verdicts", "", f"| module | functions | {' | '.join(shown)} |", f"|---|---|{'---|' * len(shown)}"]
    for module in MODULES:
        numbers = [counts[module, verdict] for verdict in shown]
        yield f"| {module} | {sum(numbers)} | {' | '.join(map(str, numbers))} |"
    totals = [sum(counts[module, verdict] for module in MODULES) for verdict in shown]
    yield f"| all | {len(rows)} | {' | '.join(map(str, totals))} |"
    yield ""
    if "no derivative" in shown:
        yield "`no derivative`: JAX raises an error. It has no rule, or the rule fails."
    seconds = sorted(row["seconds"] for row in rows)
    yield f"Half of the functions took under {seconds[len(seconds) // 2]:.1f} s each, the slowest {seconds[-1]:.0f} s.\n"


# What JAX gets wrong


def _examples(row: Found) -> Iterator[tuple[str, str, str, str]]:
    """(entry, input, JAX's value, the true one), each kind of mistake once."""
    for text in (row["reason"], *row.get("notes", [])):
        match = _BY_NOTE.search(text) or _BY_REFERENCE.search(text)
        if match:
            yield match["entry"], match["at"], match["jax"], match["true"]


def _counterexample(row: Found) -> tuple[str, str, str, str] | None:
    example = row.get("example") or {}
    if not example:
        return None
    values, at, component = example["values"], example["at"], example["component"].removeprefix("gradient").removeprefix(".")
    argument = at.partition("=")[0].split()[-1]
    entry = f"entry {component}" if component.startswith("[") else f"by {component or argument}"
    return entry, at, values["by_jax"], values["jax.grad"]


def _off(by_jax: str, true: str) -> float:
    """How far JAX is off, relative; infinity where it has no value."""
    ours, theirs = Decimal(by_jax), Decimal(true)
    return float(abs(ours - theirs) / max(abs(ours), abs(theirs))) if ours.is_finite() else float("inf")


def _wrong(rows: Sequence[Found]) -> Iterator[str]:
    values, missing, accuracy = list[str](), list[str](), list[str]()
    for row in rows:
        if row["verdict"] in RIGHT:
            continue
        shown = _counterexample(row)
        examples = [example for example in _examples(row) if shown is None or _off(*example[2:]) == float("inf")]
        examples += [shown] if shown is not None else []
        for entry, at, by_jax, true in examples:
            off = _off(by_jax, true)
            cells = f"| {_name(row)} | {_cut(at)} | {entry} | {_short(by_jax)} | {_short(true)} |"
            if off == float("inf"):
                missing.append(cells)
            elif off > ACCURACY:
                values.append(cells)
            else:
                accuracy.append(f"| {_name(row)} | {_cut(at)} | {entry} | {off:.1e} |")
    head = ["| function | input | derivative | by JAX | in truth |", "|---|---|---|---|---|"]
    yield from ["## What JAX gets wrong", "", "### Another value than the derivative", "", *head, *values, ""]
    yield from ["### No value (NaN) where the derivative exists", "", *head, *missing, ""]
    yield "### Fewer digits than a float64 has\n"
    yield f"The derivative is off by more than an ulp and by at most {ACCURACY:g} of itself, at the input shown.\n"
    yield from ["| function | input | derivative | off, relative |", "|---|---|---|---|", *accuracy, ""]
    noted = [f"- {_name(row)}: {row['note']}" for row in rows if row["note"]]
    yield from ["### Notes", "", *noted, ""] if noted else []


def _raises(rows: Sequence[Found]) -> Iterator[str]:
    found = [row for row in rows if row["verdict"] == "no derivative"]
    if found:
        yield from ["### An error in place of a derivative", "", "| function | what JAX says |", "|---|---|"]
        yield from (
            f"| {_name(row)} | {_cut(row['reason'].rpartition(' raised ')[2].partition(' (at ')[0], 140)} |" for row in found
        )
        yield ""


# The rest


def _undecided(rows: Sequence[Found]) -> Iterator[str]:
    found = [row for row in rows if row["verdict"] in ("undecided", "failed")]
    yield "## Undecided\n"
    if not found:
        yield "None.\n"
        return
    yield from ["| function | reason |", "|---|---|"]
    yield from (f"| {_name(row)} | {_cut(row['reason'], 400)} |" for row in found)
    yield ""


def _kinks(rows: Sequence[Found]) -> Iterator[str]:
    found = [row for row in rows if row["verdict"] in RIGHT and row.get("conventions")]
    if not found:
        return
    yield "## At kinks\n"
    yield "Where the derivatives from the left and from the right differ, no value is wrong. JAX takes these. `between` is a"
    yield "number between the two, `outside` any other:\n"
    sides = defaultdict[str, list[str]](list)
    for row in found:
        sides[", ".join(sorted(row["conventions"]))].append(_name(row))
    yield from ["| the derivative | functions |", "|---|---|"]
    yield from (f"| {side} | {', '.join(names)} |" for side, names in sorted(sides.items()))
    yield ""


def _all(rows: Sequence[Found]) -> Iterator[str]:
    yield "## All functions\n"
    for module in MODULES:
        yield f"### {module}\n"
        for verdict in VERDICTS:
            names = [_name(row) for row in rows if row["module"] == module and row["verdict"] == verdict]
            if names:
                yield f"- **{verdict}** ({len(names)}): {', '.join(names)}"
        yield ""


def _name(row: Found) -> str:
    return f"`{row['name'].removeprefix(row['module'] + '.')}`"


def _cut(text: str, most: int = 90) -> str:
    text = text.replace("|", "\\|").replace("\n", " ").replace("  ", " ")
    return text if len(text) <= most else text[: most - 1] + "…"


def _short(number: str) -> str:
    return "NaN" if number == "NaN" else f"{float(number):.15g}"
