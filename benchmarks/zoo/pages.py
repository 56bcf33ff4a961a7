"""docs/zoo.md, written from what was measured."""

from collections.abc import Iterator
from typing import Any

from zoo.checkers import CHECKERS, OURS
from zoo.specimen import KINDS, Specimen, specimens
from zoo.tables import by_kind, table

HEAD = """# The zoo: wrong derivatives that were made in earnest

{count} derivatives from public projects, as they were shipped and as they were mended, each a file of some thirty lines in
`benchmarks/zoo/specimens/`. {numbered} have an issue or a pull request, the others were seen by running the version named.
{wrong} were wrong; {right} were right, and called wrong. Function and derivatives are our own code, made from the figures
and sentences of the reports; where the code as shipped is reconstructed, the page says so. That the shipped code gives the
figure of the report, and the mended one what mpmath says, is tested.

`python benchmarks/zoo.py` runs every checker with its own defaults. `verify` and `judge_rule` choose their inputs. All
others are given three ordinary random inputs, and a mistake counts as found if one shows it. `--shown` gives them the
input of the report as well, `--live` runs the libraries themselves where they are installed.

{table}

Shown the input of the report as well, checkers find more: what a checker that chooses no inputs finds depends on the inputs.

{shown}

SciPy returns an error and no verdict: 1e-6 of the gradient is allowed here. `gradgradcheck` looks at second derivatives
alone. Where only the second derivative is wrong, checkers of first order are shown a right first one, and pass it. Each
derivative is shown to PyTorch and HIPS autograd as a function of theirs that calls it; to ours for PyTorch it is written in
PyTorch's own operations, since it follows these.

Wrong ones found, by kind (of the last kind, which is right, the number refused):

{kinds}

Not found by `verify`:

{missed}

**What this table does not say.** It was measured after the judge had been mended where the zoo showed it at fault. Before,
`verify` found 73 of 77 and refused 3 right ones. `judge_rule` took inverses for constants until the first dozen was run;
after that it found 69 of 76 and refused 5. Of these eight refusals, six were faults of the judge, or of how we counted.
One specimen was given a smaller domain, as its mended code loses digits near poles (`jax_trigamma_reflection`). One was
taken out, I₀ differentiated twice (jax-ml/jax#40627): the mended code that we wrote relies on JAX's derivative of `i1e`,
which is off by 4e-16 next to 0, and `verify` said so. Specimens were chosen for having figures or formulas in their report
that code of thirty lines can hold, before any checker was run on them. "What a user would try" is random and of ordinary
size: who tests at 0, at ties and in tails by hand finds more with any checker.

Measured in {seconds:.0f} s (and {shown_seconds:.0f} s) on two processors that had other work to do; {machine}.
"""

STEPS = """## First wrong step

`benchmarks/first_wrong_step.py` holds {problems} derivations of six to eight lines: {right} right ones, and {wrong} with
one wrong step each, of kinds that people make: a sign, a lost factor, a power, a chain rule left out, a wrong variable, a
lost path. The lines behind the wrong one follow from it. `--problems FILE` writes them as texts, `--answers FILE` scores any
program's answers.

| | first wrong line named | right ones called wrong |
|---|---:|---:|
| verify, at its defaults | {named} of {wrong} | {false} of {right} |
"""


def pages(told: dict[str, Any], shown: dict[str, Any], steps: dict[str, Any]) -> str:
    """The whole document."""
    rows, every = told["rows"], specimens()
    wrong = [specimen for specimen in every if specimen.shipped is not None]
    head = HEAD.format(
        count=len(every),
        numbered=sum(specimen.source.number is not None for specimen in every),
        wrong=len(wrong),
        right=len(every) - len(wrong),
        table=table(rows, told["absent"], list(CHECKERS)),
        shown=table(shown["rows"], shown["absent"], [name for name in CHECKERS if name not in OURS[:2]]),
        kinds=by_kind(rows, KINDS),
        missed="\n".join(f"- `{s.name}`: {s.not_found}" for s in every if s.not_found),
        seconds=told["seconds"],
        shown_seconds=shown["seconds"],
        machine=", ".join(f"{k} {v}" for k, v in told["machine"].items() if v and not k.startswith("load")),
    )
    named = STEPS.format(
        problems=steps["wrong derivations"] + steps["right derivations"],
        wrong=steps["wrong derivations"],
        named=steps["first wrong line named"],
        false=len(steps["right ones called wrong"]),
        right=steps["right derivations"],
    )
    parts = [head, named, "## The specimens\n"]
    for kind in KINDS:
        parts.append(f"### Kind: {kind}\n")
        parts += ["\n".join(_page(s, rows)) + "\n" for s in every if s.kind == kind]
    return "\n".join(parts)


def _page(specimen: Specimen, rows: list[dict[str, Any]]) -> Iterator[str]:
    source, mine = specimen.source, [row for row in rows if row["specimen"] == specimen.name]
    yield f"#### {specimen.name}\n"
    yield f"{source.link}{f', version {source.version}' if source.version else ''}. {source.sentence} Code: {source.code}.\n"
    yield f"- function: {_first_line(specimen.function)}"
    if specimen.shipped is not None:
        yield f"- shipped: {_first_line(specimen.shipped)}"
    yield f"- mended: {_first_line(specimen.mended)}"
    order = "derivative" if specimen.order == 1 else "second derivative"
    entry = "".join(f"[{k}]" for k in specimen.entry)
    at = ", ".join(str(x) for x in specimen.at)
    values = f"true {specimen.true_entry():.12g}"
    if specimen.shipped is not None:
        values = f"shipped {specimen.entry_of(specimen.shipped):.12g}, {values}"
    yield f"- at {at}: {order}{entry}: {values}"
    which = "mended" if specimen.shipped is None else "shipped"
    for said in ("refused", "passed"):
        names = [row["checker"] for row in mine if row["which"] == which and row["said"] == said]
        word = {"refused": "found by" if which == "shipped" else "refused by", "passed": "passed by"}[said]
        yield f"- {word}: {'; '.join(names) or 'none'}"
    found = [row for row in mine if row["checker"] == OURS[0] and row["which"] == "shipped" and row["said"] == "refused"]
    if found:
        yield "\n```text"
        yield from _counterexample(found[0]["message"])
        yield "```"


def _first_line(function: Any) -> str:
    return (function.__doc__ or function.__name__).strip().splitlines()[0]


BEHIND = ("as a test", "as a program", "result", "seed", "floats", "balls", "proved", "reference")
"""how the rows of a report begin that stand behind the counterexample"""


def _counterexample(report: str) -> Iterator[str]:
    """The lines of a report from the verdict to how far the values are apart."""
    lines = report.splitlines()
    for line in lines[1:]:
        if line.strip().startswith(
            ("as a test", "as a program", "result", "seed", "floats", "balls", "proved", "reference")
        ):
            return
        yield line.rstrip()
