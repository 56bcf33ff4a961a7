"""Reports as HTML: a fragment for a notebook, and one self-contained page that can be opened, shared and printed.

They are made of what a report says as JSON, so that a report of another process is shown as well. Nothing is loaded from
elsewhere, and there is no script.
"""

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

Entry = Mapping[str, Any]

STYLE = """
.manual-grad { font: 15px/1.5 system-ui, sans-serif; color: inherit; max-width: 60rem; }
.manual-grad h2 { font-size: 1.25rem; margin: 1.75rem 0 0.25rem; }
.manual-grad .result { margin: 0 0 0.75rem; opacity: 0.75; }
.manual-grad ol { list-style: none; margin: 0; padding: 0; }
.manual-grad ol > li { border-top: 1px solid #d9dee3; padding: 0.5rem 0; break-inside: avoid; }
.manual-grad .row { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; align-items: baseline; }
.manual-grad .label { font: 13px ui-monospace, monospace; min-width: 5rem; opacity: 0.75; }
.manual-grad .formula { font: 1.1rem/1.6 "STIX Two Math", Cambria, Georgia, serif; flex: 1 1 16rem;
  overflow-wrap: anywhere; }
.manual-grad .formula sub, .manual-grad .formula sup { font-size: 0.7em; line-height: 0; }
.manual-grad .verdict { font-weight: 600; border-radius: 4px; padding: 0 0.5rem; background: #fff4d6; color: #6a4b00; }
.manual-grad .right { background: #dff3e4; color: #145c2b; }
.manual-grad .wrong { background: #fbe0e0; color: #8c1515; }
.manual-grad .against, .manual-grad .reason { opacity: 0.75; font-size: 0.9rem; }
.manual-grad .against { min-width: 8rem; }
.manual-grad .reason { margin: 0.25rem 0 0; }
.manual-grad pre { font: 13px/1.45 ui-monospace, monospace; background: #f4f6f8; padding: 0.6rem 0.75rem; margin: 0.5rem 0;
  overflow-x: auto; border-radius: 4px; color: #1d2126; text-align: left; }
.manual-grad details { margin-top: 0.35rem; font-size: 0.9rem; }
.manual-grad summary { cursor: pointer; opacity: 0.75; }
.manual-grad dl { display: grid; grid-template-columns: 6rem 1fr; gap: 0.1rem 0.75rem; font-size: 0.9rem;
  margin: 0.75rem 0 0; }
.manual-grad dt { opacity: 0.75; } .manual-grad dd { margin: 0; overflow-wrap: anywhere; }
body:has(> .manual-grad) { margin: 0 auto; padding: 1rem; max-width: 60rem; }
@media print { .manual-grad pre { white-space: pre-wrap; } .manual-grad { max-width: none; } }
"""

_RIGHT = ("proved", "agrees", "within", "right")
_WRONG = ("refuted", "WRONG", "NaN")

# A subscript or superscript of a single letter: σ_i, H_{l−1}, w_k, e^η, A^{1}. Names such as manual_grad have none.
_BELOW = re.compile(r"(?<![\w.])([^\W\d_]['̂]?|[∇∂])_(?:\{([^{}]*)\}|([a-z0-9]+))")
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
        return _section(entry["name"], "it could not be judged", f"<pre>{escape(entry['error'])}</pre>")
    rows = "\n".join(_line(line) for line in entry["lines"])
    notes = "".join(f'<p class="reason">{escape(note)}</p>' for note in entry["notes"])
    said = {heading: text for heading, text in entry["summary"].items() if heading != "result"}
    return _section(entry["name"], entry["outcome"], f"<ol>\n{rows}\n</ol>\n{notes}{_described(said)}")


def of_text(name: str, verdict: str, text: str) -> str:
    """What a command prints of one function or one line, under its verdict."""
    return _section(name, _badge(verdict, verdict), f"<pre>{escape(text)}</pre>", is_html=True)


def in_notebook(fragment: str) -> str:
    """A fragment with its style."""
    return f"<style>{STYLE}</style>\n{fragment}"


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
        f'<span class="formula">{formula(line["formula"])}</span>{_badge(verdict, said)}'
        f'<span class="against">{escape(against)}</span></div>'
    ]
    if line["reason"]:
        parts.append(f'<p class="reason">{escape(line["reason"])}</p>')
    parts += [*_counterexample(line), *_proof(line.get("proof")), *_accuracy(line.get("ulps"))]
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
        f"<pre>{escape(text)}</pre>",
        f"<details><summary>as a test, and as a program</summary><pre>{escape(found['example'])}</pre>"
        f"<pre>{escape(found['snippet'])}</pre></details>",
    ]


def _proof(proof: Entry | None) -> list[str]:
    if not proof or not proof["proved"] or not (proof["uses"] or proof["leaves_out"]):
        return []
    rows = [
        f"{use['name']}: {use['equation']}" + (f", where {use['where']}" if use["where"] else "") for use in proof["uses"]
    ]
    rows += [f"leaves out {place}" for place in proof["leaves_out"]]
    return [f"<details><summary>the proof's identities</summary><pre>{escape(chr(10).join(rows))}</pre></details>"]


def _accuracy(ulps: Any) -> list[str]:
    if not ulps:
        return []
    rows = "\n".join(f"{dtype}: {measured}" for dtype, measured in ulps.items())
    return [f"<details><summary>errors in ulps</summary><pre>{escape(rows)}</pre></details>"]


def _described(said: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{escape(heading)}</dt><dd>{escape(text)}</dd>" for heading, text in said.items())
    return f"<dl>{rows}</dl>"
