"""docs/zoo.md, written from what was measured."""

from collections.abc import Iterator
from typing import Any

from zoo.checkers import CHECKERS, OURS
from zoo.specimen import KINDS, Specimen, specimens
from zoo.tables import by_kind, table

HEAD = """# The zoo: wrong derivatives that were made in earnest

After reading this page you know which mistakes were made in derivatives of public projects, and which checkers find them.

The zoo holds {count} derivatives, each in a file of some thirty lines in `benchmarks/zoo/specimens/`: as it was shipped,
and as it was mended. {numbered} have an issue or a pull request. The others were seen by running the version that the page
names. {wrong} were wrong as shipped. {right} were right, and had been called wrong. The code is our own, written from the
figures and sentences of the reports. Where the shipped code had to be reconstructed, the page says so. Tests check that the
shipped code gives the figure of the report, and that the mended code gives what mpmath says.

`python benchmarks/zoo.py` runs every checker with its own defaults. `verify` and `judge_rule` choose their own inputs. All
others are given three ordinary random inputs, and a mistake counts as found if one of them shows it. With `--shown` they are
given the input of the report as well. `--live` runs the libraries themselves, where they are installed.

In the table, *passed* means that a wrong derivative was called right, and *refused* that a right one was called wrong.
*Not expressible* means that the checker cannot be asked. *Named* counts the mistakes whose line or rule the checker names.

{table}

Given the input of the report as well, checkers find more. What a checker finds that chooses no inputs depends on its user:

{shown}

- SciPy returns an error and no verdict. Here an error of up to 1e-6 of the gradient passes.
- `gradgradcheck` looks at second derivatives alone. Where only the second derivative is wrong, checkers of first order are
  shown a right first derivative, and rightly pass it.
- Checkers for PyTorch and HIPS autograd are given a function of that library that calls the derivative. Ours for PyTorch is
  given the derivative in PyTorch's own operations, since it follows these.

By kind of mistake, how many were found. The last kind is of right derivatives, and the numbers are of those refused.

{kinds}

Not found by `verify`:

{missed}

**What this table does not say.**

- It was measured after the judge had been mended where the zoo showed it at fault. Before that, `verify` found 73 of 77 and
  refused 3 right ones. `judge_rule` found 69 of 76 and refused 5, after a first fault had been mended: it took inverses for
  constants. Of these eight refusals, six were faults of the judge, or of how we counted.
- One specimen was given a smaller domain, since its mended code loses digits near poles (`jax_trigamma_reflection`). One was
  taken out, I₀ differentiated twice (jax-ml/jax#40627): the mended code that we wrote relies on JAX's derivative of `i1e`,
  which is off by 4e-16 next to 0, and `verify` said so.
- Specimens were chosen before any checker was run on them. The report had to give figures or formulas that thirty lines of
  code can hold.
- The three random inputs are of ordinary size. Whoever tests at 0, at ties and in tails by hand finds more with any checker.

Measured in {seconds:.0f} s (and {shown_seconds:.0f} s) on two processors that had other work to do; {machine}.
"""

STEPS = """## First wrong step

`benchmarks/first_wrong_step.py` holds {problems} derivations of six to eight lines: {right} right ones, and {wrong} with
one wrong step each, of kinds that people make: a sign, a lost factor, a power, a chain rule left out, a wrong variable, a
lost path. The lines after the wrong one follow from it. `--problems FILE` writes them as texts, `--answers FILE` scores any
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
