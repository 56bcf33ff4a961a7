"""Derivatives in libraries built on JAX, judged by `manual-grad rules`, and the page that tells what was found.

    python benchmarks/rules.py --resume rows.jsonl                  judge all libraries, then write docs/field.md and .json
    python benchmarks/rules.py --resume rows.jsonl --page           write the page of what is there
    python benchmarks/rules.py --resume rows.jsonl --changes        print what differs from docs/field.json, write nothing
    python benchmarks/rules.py --time                               what `assert_rule` costs after its first call

A run that is ended goes on where it was. The libraries: pip install numpyro rlax jaxopt lineax distrax optax tfp-nightly
"""

import argparse
import json
import platform
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from autodiff_ref.judge.rules.examining import OF_RANGE  # noqa: E402
from autodiff_ref.judge.rules.judging import SECONDS  # noqa: E402

TARGETS = ("optax", "jaxopt", "rlax", "lineax", "distrax", "numpyro",
           "jax.nn", "jax.numpy", "jax.scipy", "jax.lax", "jax.random", "tfp")  # fmt: skip
PACKAGES = ("jax", "numpyro", "tfp-nightly", "distrax", "rlax", "optax", "jaxopt", "lineax")
VERDICTS = (
    "right",
    "within",
    "accuracy",
    "WRONG",
    "NaN",
    "value",
    "residuals",
    "kink",
    "not differentiable",
    "meant so",
    "raises",
    "undecided",
)
SHOWN = 14
"""digits"""

APPROXIMATES = """The truth is the derivative of what the function computes. `distrax.VonMises` computes an approximation of
its cdf from concentration 10.5 on, and its rule is the derivative of the cdf itself: `within=` allows for that."""
CANCEL = "Mistakes that cancel, or a rule that is meant so. The arguments are those that the rule receives."
RANGE = """Most of these arguments, 1e200 and 1e-200, are tried everywhere and seldom meant. With any exponent JAX's
derivative would be right."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Judges, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--page", action="store_true", help="judge nothing")
    parser.add_argument("--changes", action="store_true", help="judge nothing, write nothing")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--workers", default="2")
    parser.add_argument(
        "--seconds", default=f"{SECONDS:g}", help="for one function; unless told as many as the command gives"
    )
    options = parser.parse_args(arguments)
    if options.time:
        measure()
        return
    if options.resume is None:
        parser.error("--resume FILE keeps the rows")
    if not (options.page or options.changes):
        told = ["--all", "--resume", options.resume, "--workers", options.workers, "--seconds", options.seconds]
        command = [sys.executable, "-W", "ignore", "-m", "autodiff_ref", "rules", *TARGETS, *told]
        subprocess.run(command, cwd=ROOT, check=False)
    rows = rows_of(options.resume)
    about = {"versions": versions(), "python": platform.python_version(), "rows": [brief(row) for row in rows]}
    kept = ROOT / "docs/field.json"
    print("\n".join(changes(json.loads(kept.read_text(encoding="utf-8"))["rows"], about["rows"])))
    if options.changes:
        return
    kept.write_text(json.dumps(about, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    (ROOT / "docs/field.md").write_text(page(about), encoding="utf-8")


def measure() -> None:
    """Prints what `assert_rule` costs on a small elementwise rule."""
    import jax

    from autodiff_ref import assert_rule
    from manual_grad import reals

    @jax.custom_jvp
    def swish(x: Any) -> Any:
        return x * jax.nn.sigmoid(x)

    @swish.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x,), (dx,) = primals, tangents
        s = jax.nn.sigmoid(x)
        return swish(x), (s + x * s * (1 - s)) * dx

    del rule
    taken = list[float]()
    for _ in range(21):
        start = time.process_time()
        assert_rule(swish, domain=(reals(),))
        taken.append((time.process_time() - start) * 1e3)
    median = statistics.median(taken[1:])
    print(f"assert_rule of a swish at 19 inputs, ms of the processor: first {taken[0]:.0f}, then {median:.1f}")


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The reports that a run left, each function once."""
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        kept = json.loads(line)
        if kept["report"] is not None:
            found[kept["report"]["name"]] = kept["report"]
    return list(found.values())


def brief(report: dict[str, Any]) -> dict[str, Any]:
    """What the page needs of a report."""
    kinds = ("WRONG", "NaN", "value", "raises", "undecided")
    kept = ("kind", "rule", "place", "name", "at", "jax", "true", "gap", "note")
    findings = [{key: each[key] for key in kept} for each in report["findings"] if each["kind"] in kinds]
    return {**{key: report[key] for key in ("name", "verdict", "inputs", "seconds", "counts")}, "findings": findings}


def changes(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[str]:
    """What one run says otherwise than another: a verdict, or which rules within a function are wrong or have no value."""
    old, new = ({row["name"]: row for row in rows} for rows in (before, after))
    said = [f"no longer judged: {name}" for name in old if name not in new]
    said += [f"judged for the first time, {new[name]['verdict']}: {name}" for name in new if name not in old]
    both = [(old[name], new[name]) for name in new if name in old]
    for was, now in both:
        if was["verdict"] != now["verdict"]:
            said.append(f"{was['verdict']} -> {now['verdict']}: {was['name']}")
            continue
        for word, one, other in (("lost", was, now), ("found", now, was)):
            said += [f"{word}: {kind} of {rule}: {one['name']}" for kind, rule in sorted(faults(one) - faults(other))]
    same = sum(was["verdict"] == now["verdict"] for was, now in both)
    return [*said, f"{len(both)} functions are in both runs; {same} have the verdict that they had"]


def faults(row: dict[str, Any]) -> set[tuple[str, str]]:
    """(kind, rule) of what is wrong, or has no value, in a function and the rules within it."""
    return {(each["kind"], each["rule"]) for each in row["findings"] if each["kind"] in ("WRONG", "NaN", "value")}


def versions() -> dict[str, str]:
    """Of the libraries that are installed."""
    found = dict[str, str]()
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


# The page


def library(name: str) -> str:
    """jax.numpy, numpyro and so on."""
    first = re.match(r"[\w.]*", name)[0]  # pyright: ignore[reportOptionalSubscript]
    parts = first.split(".")
    return ".".join(parts[: (3 if first.startswith("jax.scipy.s") else 2) if parts[0] == "jax" else 1])


def page(about: dict[str, Any]) -> str:
    """The page as Markdown."""
    rows = about["rows"]
    counts = Counter(row["verdict"] for row in rows)
    wrong, nan = (of_kind(rows, kind) for kind in ("WRONG", "NaN"))
    ranged = [pair for pair in (*wrong, *nan) if is_of_range(pair[1])]
    wrong, nan = ([pair for pair in found if not is_of_range(pair[1])] for found in (wrong, nan))
    within = [pair for pair in wrong if is_within(pair[1])]
    wrong = [pair for pair in wrong if not is_within(pair[1])]
    named = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    seconds = [row["seconds"] for row in rows]
    share = 100 * counts["undecided"] / len(rows)
    return "\n".join(
        [
            "# Wrong derivatives in released libraries",
            "",
            f"After reading this page you know which of {len(rows)} functions of eight libraries have a wrong derivative,",
            "at which input, and how to see it yourself.",
            "",
            f"Judged: {named}, on Python {about['python']}, in float64. All of it was run; nothing is from a bug list.",
            'The first column is what you type to judge the function again: `manual-grad rules "…"`. A domain in the place',
            "of an argument says what it is drawn from.",
            "",
            "    python benchmarks/rules.py --resume rows.jsonl     judge all, write this page and field.json",
            "    python benchmarks/field_confirmed.py               show every WRONG and NaN again by mpmath alone",
            "",
            "## How many",
            "",
            *tabled(["library", "functions", *VERDICTS], per_library(rows)),
            "",
            f"`undecided`: {share:.1f} % of the functions. [Verdicts](rules.md) says what the words mean. `accuracy` is",
            "mostly overflow or underflow at arguments of 1e200 and 1e-200, which are always tried.",
            f"Half of the functions took under {statistics.median(seconds):.1f} s, tracing and compiling included; all",
            f"of them took {sum(seconds) / 60:.0f} minutes in one process.",
            "",
            *section("JAX has another value than the derivative", wrong, APPROXIMATES),
            *section("A rule alone is wrong, and the function around it is right", within, CANCEL),
            *section("JAX has no value (NaN) where the derivative exists", nan),
            *section(
                "A number on the way overflows or underflows, and the function itself is computed right", ranged, RANGE
            ),
            *section("A rule returns another value than its function", of_kind(rows, "value")),
            "## JAX raises an error",
            "",
            *tabled(["functions", "error"], by_reason(rows, "raises")),
            "",
            "## Undecided, by reason",
            "",
            *tabled(["functions", "reason"], by_reason(rows, "undecided")),
            "",
        ]
    )


def section(title: str, found: Sequence[tuple[dict[str, Any], dict[str, Any]]], *intro: str) -> list[str]:
    """A heading, what is to be said of it, and a table; nothing where nothing was found."""
    if not found:
        return []
    functions = len({row["name"] for row, _ in found})
    head = ["function", "at", "derivative", "by JAX", "in truth", "rule"]
    said = [line for text in intro for line in (text, "")]
    return [f"## {title}: {functions} functions", "", *said, *tabled(head, [told(*each) for each in found]), ""]


def of_kind(rows: Sequence[dict[str, Any]], kind: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The first finding of a kind of each function that fails by it: of the function as a whole, if it has one."""
    found = list[tuple[dict[str, Any], dict[str, Any]]]()
    for row in rows:
        findings = [each for each in row["findings"] if each["kind"] == kind]
        if row["verdict"] == kind and findings:
            found.append((row, min(findings, key=lambda each: (is_of_range(each), "; in " in f"; {each['note']}"))))
    return found


def is_within(finding: dict[str, Any]) -> bool:
    """Whether the function as a whole is right."""
    return "f as a whole is right" in finding["note"]


def is_of_range(finding: dict[str, Any]) -> bool:
    """Whether only the range of float64 is to blame."""
    return OF_RANGE in finding["note"]


def told(row: dict[str, Any], finding: dict[str, Any]) -> list[str]:
    """One row of a table."""
    rule = f"`{finding['rule']}`" if finding["place"] else ""
    return [f"`{row['name']}`", finding["at"], finding["name"], short(finding["jax"]), short(finding["true"]), rule]


def short(number: str) -> str:
    """A number with fewer digits."""
    try:
        return f"{float(number):.{SHOWN}g}"
    except ValueError:
        return number


def per_library(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """How many functions there are of each verdict."""
    groups = dict.fromkeys(library(row["name"]) for row in rows)
    counted = [(group, Counter(row["verdict"] for row in rows if library(row["name"]) == group)) for group in groups]
    counted.append(("all", Counter(row["verdict"] for row in rows)))
    return [[group, str(sum(each.values())), *(str(each[verdict]) for verdict in VERDICTS)] for group, each in counted]


def by_reason(rows: Sequence[dict[str, Any]], verdict: str) -> list[list[str]]:
    """How often each reason stands for a verdict, with an example."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["verdict"] == verdict:
            notes = [each["note"] for each in row["findings"] if each["kind"] == verdict] or ["no input was judged in time"]
            reasons.setdefault(notes[0].partition("; in ")[0][:150], []).append(row["name"])
    return [
        [str(len(names)), f"{reason}; as `{names[0]}`"]
        for reason, names in sorted(reasons.items(), key=lambda r: -len(r[1]))
    ]


def tabled(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


if __name__ == "__main__":
    main()
