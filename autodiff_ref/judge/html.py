"""Reports as HTML: a fragment for a notebook, and one self-contained page that can be opened, shared and printed.

They are made of what a report says as JSON, so that a report of another process is shown as well. Nothing is loaded from
elsewhere, and there is no script.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape
from xml.etree import ElementTree

from latex2mathml import converter

from autodiff_ref.judge import pictures as pictured
from autodiff_ref.trees import Entry

STYLE = """
.manual-grad { font: 15px/1.5 system-ui, sans-serif; color: inherit; max-width: 60rem; }
.manual-grad h2 { font-size: 1.25rem; margin: 1.75rem 0 0.25rem; overflow-wrap: anywhere; }
.manual-grad .result { margin: 0 0 0.75rem; opacity: 0.75; }
.manual-grad .result:has(.verdict) { opacity: 1; }
.manual-grad ol { list-style: none; margin: 0; padding: 0; }
.manual-grad ol > li { border-top: 1px solid #d9dee3; padding: 0.5rem 0; break-inside: avoid; }
.manual-grad .row { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; align-items: baseline; }
.manual-grad .label { font: 13px ui-monospace, monospace; min-width: 5rem; opacity: 0.75; }
.manual-grad .formula { font: 1.1rem/1.6 "STIX Two Math", Cambria, Georgia, serif; flex: 1 1 16rem;
  overflow-wrap: anywhere; }
.manual-grad .formula math { font-size: 1.05em; display: inline math; max-width: 100%; }
.manual-grad .formula sub, .manual-grad .formula sup { font-size: 0.7em; line-height: 0; }
.manual-grad .verdict { font-weight: 600; border-radius: 4px; padding: 0 0.5rem; background: #fff4d6; color: #6a4b00; }
.manual-grad .right { background: #dff3e4; color: #145c2b; }
.manual-grad .wrong { background: #fbe0e0; color: #8c1515; }
.manual-grad .against, .manual-grad .reason { opacity: 0.75; font-size: 0.9rem; }
.manual-grad .against { min-width: 8rem; }
.manual-grad .reason { margin: 0.25rem 0 0; }
.manual-grad pre { font: 13px/1.45 ui-monospace, monospace; background: #f4f6f8; padding: 0.6rem 0.75rem; margin: 0.5rem 0;
  overflow-x: auto; border-radius: 4px; color: #1d2126; text-align: left; }
.manual-grad pre.said { white-space: pre-wrap; overflow-wrap: anywhere; }
.manual-grad details { margin-top: 0.35rem; font-size: 0.9rem; }
.manual-grad summary { cursor: pointer; opacity: 0.75; }
.manual-grad dl { display: grid; grid-template-columns: 6rem 1fr; gap: 0.1rem 0.75rem; font-size: 0.9rem;
  margin: 0.75rem 0 0; }
.manual-grad dt { opacity: 0.75; } .manual-grad dd { margin: 0; overflow-wrap: anywhere; }
.manual-grad figure { margin: 1rem 0 0; max-width: 32rem; break-inside: avoid; }
.manual-grad figcaption { font-size: 0.9rem; opacity: 0.75; }
.manual-grad svg { display: block; width: 100%; height: auto; margin: 0.25rem 0; color: inherit; }
.manual-grad svg text { font: 10px system-ui, sans-serif; fill: currentColor; }
.manual-grad svg .label { font: 10px ui-monospace, monospace; }
.manual-grad svg .tick { opacity: 0.75; }
.manual-grad .keys { margin: 0; font-size: 0.85rem; display: flex; flex-wrap: wrap; gap: 0 1rem; }
.manual-grad .key i { display: inline-block; width: 0.8rem; height: 0.8rem; border-radius: 2px; margin-right: 0.35rem;
  vertical-align: -0.08rem; }
.manual-grad table { border-collapse: collapse; font-size: 0.9rem; display: block; overflow-x: auto; max-width: 100%; }
.manual-grad th, .manual-grad td { text-align: left; vertical-align: top; padding: 0.3rem 0.75rem 0.3rem 0;
  border-top: 1px solid #d9dee3; }
body:has(> .manual-grad) { margin: 0 auto; padding: 1rem; max-width: 60rem; }
@media (max-width: 30rem) { .manual-grad dl { grid-template-columns: 1fr; } .manual-grad dt:empty { display: none; }
  .manual-grad dd { margin: 0 0 0.4rem; }
  .manual-grad .label, .manual-grad .formula { flex-basis: 100%; } .manual-grad .formula { overflow-x: auto; } }
@media print { .manual-grad pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #d9dee3; }
  .manual-grad { max-width: none; } .manual-grad h2 { break-after: avoid; }
  .manual-grad details::details-content { content-visibility: visible; display: block; }
  .manual-grad .verdict, .manual-grad svg, .manual-grad .key i { print-color-adjust: exact; } }
"""

_RIGHT = ("proved", "agrees", "within", "right")
_WRONG = ("refuted", "WRONG", "NaN")

_MATHML = frozenset(
    f"m{name}"
    for name in (
        *(
            "ath",
            "enclose",
            "error",
            "frac",
            "i",
            "n",
            "o",
            "over",
            "padded",
            "phantom",
            "root",
            "row",
            "s",
            "space",
            "sqrt",
        ),
        *("style", "sub", "subsup", "sup", "table", "td", "text", "tr", "under", "underover", "multiscripts", "prescripts"),
    )
)

# A subscript or superscript of a single letter: σ_i, H_{l−1}, w_k, e^η, A^{1}. Names such as manual_grad have none.
_BELOW = re.compile(r"(?<![\w.])([^\W\d_]['̂]?[⁰¹²³⁴⁵⁶⁷⁸⁹ᵀᵗ]*|[∇∂])_(?:\{([^{}]*)\}|([a-z0-9]+|[A-ZΑ-Ωα-ω](?![^\W_])))")
_ABOVE = re.compile(r"\^(?:\{([^{}]*)\}|([\w−]+)|\(([^()]*)\))")


def page(title: str, fragments: Iterable[str]) -> str:
    """A whole document."""
    body = "\n".join(fragments)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def of_report(entry: Entry) -> str:
    """A report on a derivation, of its `to_dict()`: its lines as formulas, with what was found of each."""
    if "error" in entry:
        return _section(entry["name"], "it could not be judged", f'<pre class="said">{escape(entry["error"])}</pre>')
    rows = "\n".join(_line(line) for line in entry["lines"])
    notes, in_words = (
        "".join(f'<p class="reason">{escape(note)}</p>' for note in entry["notes"] if (note in entry["accuracy"]) is apart)
        for apart in (False, True)
    )
    said = [(heading, text) for heading, text in entry["summary"].items() if heading != "result"]
    measured = [(line["label"], line["ulps"]) for line in entry["lines"] if line["ulps"]]
    pictures = pictured.errors(measured) + pictured.regions(measured) if measured else ""
    pictures += _folded("the same in words", in_words) if in_words else ""
    return _section(entry["name"], entry["outcome"], f"<ol>\n{rows}\n</ol>\n{notes}{_described(said)}{pictures}")


def of_explanation(entry: Entry, heading: str, rows: Sequence[tuple[str, str]]) -> str:
    """How a line follows from what stands above it, both as formulas.

    Args:
        entry: the explanation's `to_dict()`.
        heading: what is said of what stands above: line above, or is to equal.
        rows: what else is said, by heading.
    """
    above = entry["above"]
    formulas = "\n".join(
        f'<li><div class="row"><span class="label">{escape(label)}</span><span class="formula">{_formula(of)}</span>'
        f'<span class="against">{said}</span></div></li>'
        for label, of, said in ((above["label"], above, escape(heading)), (entry["line"], entry, "this line"))
    )
    title = f"{entry['derivation']}: {entry['line']}"
    inside = f"<ol>\n{formulas}\n</ol>\n{_described(rows)}"
    return _section(title, _badge(entry["verdict"], entry["verdict"]), inside, is_html=True)


def of_rule(entry: Entry, found: Sequence[str]) -> str:
    """A report on a derivative rule.

    Args:
        entry: the report's `to_dict()`.
        found: what is said of each of its findings.
    """
    counts = ", ".join(f"{count} {kind}" for kind, count in entry["counts"].items())
    rows = [("entries", counts or "nothing was decided"), ("inputs", f"{entry['inputs']}, {entry['domain']}")]
    for rule in entry["rules"]:
        left = "" if rule["judged"] else f": not judged alone ({rule['why']})"
        rows.append(("rule", f"{rule['kind']} of {rule['name']} at {rule['place']}{left}"))
    rows += [("note", note) for note in entry["notes"]]
    parts: list[str] = []
    for finding, said in zip(entry["findings"], found, strict=True):
        parts.append(f'<pre class="said">{escape(said)}</pre>')
        if finding["snippet"] and finding["kind"] in _WRONG:
            parts.append(_folded("to see it without this project", f"<pre>{escape(finding['snippet'])}</pre>"))
    inside = f"{_described(rows)}{''.join(parts)}"
    return _section(entry["name"], _badge(entry["verdict"], entry["verdict"]), inside, is_html=True)


def in_notebook(fragment: str) -> str:
    """A fragment with its style."""
    return f"<style>{STYLE}</style>\n{fragment}"


def _formula(of: Entry) -> str:
    """A formula: MathML where the docstring gives it in LaTeX, else its text with subscripts and superscripts."""
    if not of["latex"]:
        return formula(of["formula"])
    try:
        made = _mathml(of["latex"])
    except Exception:  # LaTeX that is not well-formed is shown as it was written
        made = None
    return f"<code>{escape(of['latex'])}</code>" if made is None else made


def _mathml(latex: str) -> str | None:
    """A formula as MathML; None where something else would come with it, as a tag within its text does."""
    # without the name of its namespace: HTML knows what math is
    text = converter.convert(latex, display="block").replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    made = ElementTree.fromstring(text)
    is_harmless = all(
        element.tag in _MATHML and not any(name.startswith("on") or name in ("href", "src") for name in element.attrib)
        for element in made.iter()
    )
    return ElementTree.tostring(made, encoding="unicode") if is_harmless else None


def formula(text: str) -> str:
    """A formula as the docstrings write it, with subscripts and superscripts set as such.

    Example:
        >>> formula("Δ_l = Σ_i x_i")
        'Δ<sub>l</sub> = Σ<sub>i</sub> x<sub>i</sub>'
        >>> formula("manual_grad.mlp: e^{−z}")
        'manual_grad.mlp: e<sup>−z</sup>'
    """
    lowered = _BELOW.sub(lambda found: f"{found[1]}<sub>{found[2] or found[3]}</sub>", escape(text, quote=False))
    return _ABOVE.sub(lambda found: f"<sup>{found[1] or found[2] or found[3]}</sup>", lowered)


def _section(name: str, outcome: str, inside: str, *, is_html: bool = False) -> str:
    said = outcome if is_html else escape(outcome)
    return f'<section class="manual-grad">\n<h2>{formula(name)}</h2>\n<p class="result">{said}</p>\n{inside}\n</section>'


def _badge(verdict: str, said: str) -> str:
    kind = "right" if verdict in _RIGHT else "wrong" if verdict in _WRONG else "open"
    return f'<span class="verdict {kind}">{escape(said)}</span>'


def _line(line: Entry) -> str:
    verdict = line["verdict"]
    said = "REFUTED" if verdict == "refuted" else verdict
    if line["within_ulps"] is not None:
        said += f" {line['within_ulps']:.2g} ulps"
    against = ", ".join(
        [
            *([f"against {line['against']}"] if line["against"] else []),
            *([f"where {line['condition']}"] if line["condition"] else []),
        ]
    )
    parts = [
        f'<div class="row"><span class="label">{escape(line["label"])}</span>'
        f'<span class="formula">{_formula(line)}</span>{_badge(verdict, said)}'
        f'<span class="against">{escape(against)}</span></div>'
    ]
    if line["reason"] and line["reason"] != verdict:
        parts.append(f'<p class="reason">{escape(line["reason"])}</p>')
    parts += [*_counterexample(line), *_proof(line.get("proof"))]
    return f"<li>{''.join(parts)}</li>"


def _counterexample(line: Entry) -> list[str]:
    found = line["counterexample"]
    if not found:
        return []
    width = max(len(label) for label in found["values"])
    values = "\n".join(f"{label:{width}}  {found['entry']} = {value}" for label, value in found["values"].items())
    kind = "smallest input found" if found["stratum"] == "simplest" else f"input found ({found['stratum']})"
    text = f"{kind}   {found['at']}\n{values}\ncertified: they differ by at least {line['difference']}"
    if line["diagnosis"]:
        text += f"\nsuspect: {line['diagnosis']['sentence']} ({line['diagnosis']['place']})".replace(" ()", "")
    return [
        f'<pre class="said">{escape(text)}</pre>',
        _folded(
            "as a test, and as a program", f"<pre>{escape(found['example'])}</pre><pre>{escape(found['snippet'])}</pre>"
        ),
    ]


def _proof(proof: Entry | None) -> list[str]:
    if not proof or not proof["proved"] or not (proof["uses"] or proof["leaves_out"]):
        return []
    rows = [
        f"{use['name']}: {use['equation']}" + (f", where {use['where']}" if use["where"] else "") for use in proof["uses"]
    ]
    rows += [f"leaves out {place}" for place in proof["leaves_out"]]
    return [_folded("the proof's identities", f'<pre class="said">{escape(chr(10).join(rows))}</pre>')]


def _folded(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>{inside}</details>"


def _described(said: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{escape(heading)}</dt><dd>{escape(text)}</dd>" for heading, text in said)
    return f"<dl>{rows}</dl>"
