"""The picture of errors in ulps, as SVG within HTML: one bar a line and dtype, and where along a path digits are lost."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from autodiff_ref.trees import Entry

WIDTH = 360
"""units across, which are pixels on a phone"""

LEFT, RIGHT = 6, 354
"""the ends of an axis"""

ROW = 15
"""units from one row of text to the next"""

LOWEST, HIGHEST = -2, 54
"""powers of two that the axis of errors reaches to: a quarter of an ulp, and no digit of a float64"""

BITS = {"float64": 53, "float32": 24}
"""of each dtype: an error of 2^(bits − 1) ulps leaves no digit right"""

COLOURS = {"float64": "#0072b2", "float32": "#d55e00"}
"""Okabe and Ito's, told apart by the colour-blind"""

LEVELS = {"lost": ("#f3c6a5", "over 2¹⁰ ulps"), "no digit": ("#c0561a", "no digit right"), "nan": ("#000000", "NaN")}
"""as the picture of `manual-grad plot stability` has them; from light to dark"""

STRIP = 96
"""where a strip begins, behind its label"""

LONGEST = 14
"""characters of a label that stand before it"""

TICKS = (-1000.0, -10.0, 0.0, 10.0, 1000.0)

FARTHEST = 1000.0
"""where a path ends that ends nowhere else"""

Ulps = Mapping[str, Entry]
"""By dtype and way of computing, what was measured of a line."""


def errors(measured: Sequence[tuple[str, Ulps]]) -> str:
    """The worst error of each line, as a bar on an axis of powers of two, its median as a dot on it.

    Args:
        measured: each line's label, and what was measured of it.
    """
    drawn, y = list[str](), 0
    for label, ulps in measured:
        y += ROW
        drawn.append(_text(LEFT, y - 4, label, "label"))
        for dtype, colour in COLOURS.items():
            found = (ulps.get(dtype) or {}).get("compiled")
            if found is None:
                continue
            drawn += _bar(y, found, colour, dtype)
            y += 8
    ticks = "".join(_tick(x, y + 2, f"2{_superscript(k)}" if k else "1") for k in range(0, HIGHEST, 10) for x in [_along(k)])
    drawn.append(ticks)
    keys = [(colour, dtype) for dtype, colour in COLOURS.items()]
    return _figure(
        "errors in ulps of the dtype: a bar ends at the worst input, the dot is the median; × are inputs with NaN",
        drawn,
        y + ROW,
        keys,
    )


def _bar(y: int, found: Entry, colour: str, dtype: str) -> Iterator[str]:
    """One dtype of a line."""
    worst, median = _along(_log(found["worst"])), _along(_log(found["median"]))
    said = f"{dtype}: worst {found['worst']:.3g} ulps, median {found['median']:.3g}, NaN at {found['nan']}"
    yield f'<g><title>{escape(said)}</title><line x1="{LEFT}" x2="{RIGHT}" y1="{y + 3}" y2="{y + 3}" stroke="#dde2e7"/>'
    yield f'<rect x="{LEFT}" y="{y}" width="{worst - LEFT:.1f}" height="6" fill="{colour}" fill-opacity="0.45"/>'
    yield f'<circle cx="{median:.1f}" cy="{y + 3}" r="3" fill="{colour}"/>'
    if found["nan"]:
        yield f'<text x="{RIGHT - 8}" y="{y + 7}" fill="{colour}">×</text>'
    yield "</g>"


def regions(measured: Sequence[tuple[str, Ulps]]) -> str:
    """Where each line loses its digits in float64, along every path: a strip a line.

    Args:
        measured: each line's label, and what was measured of it.
    """
    paths: dict[str, list[tuple[str, Entry]]] = {}
    for label, ulps in measured:
        for found in ((ulps.get("float64") or {}).get("compiled") or {}).get("regions", ()):
            path = ", ".join(part for part in (found["along"], found["given"]) if part)
            paths.setdefault(path, []).append((label, found))
    lossy = {path: lines for path, lines in paths.items() if any(found[level] for _, found in lines for level in LEVELS)}
    if not lossy:
        return ""
    drawn, y = list[str](), 0
    for path, lines in lossy.items():
        y += ROW + 4
        drawn.append(_text(LEFT, y - 5, f"along {path}", "path"))
        for label, found in lines:
            drawn.append(f'<rect x="{STRIP}" y="{y}" width="{RIGHT - STRIP}" height="{ROW - 3}" fill="#eef1f4"/>')
            for level, (colour, said) in LEVELS.items():
                drawn += [_region(y, part, colour, f"{label}: {said}") for part in found[level]]
            drawn.append(_text(LEFT, y + ROW - 6, label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…", "label"))
            y += ROW
        drawn.append("".join(_tick(_place(value), y + 1, _number(value)) for value in TICKS))
        y += ROW
    title = "where float64, compiled, loses digits, by the number that runs"
    return _figure(title, drawn, y + 4, list(LEVELS.values()))


def _region(y: int, part: Mapping[str, float | None], colour: str, said: str) -> str:
    low, high = part["from"], part["to"]
    start, end = _place(-FARTHEST if low is None else low), _place(FARTHEST if high is None else high)
    to = f"{_number(low)} … {_number(high)}" if low is not None and high is not None else "to the end of the path"
    rect = f'<rect x="{start:.1f}" y="{y}" width="{max(end - start, 1):.1f}" height="{ROW - 3}" fill="{colour}">'
    return f"{rect}<title>{escape(f'{said}, {to}')}</title></rect>"


def _log(error: float) -> float:
    return math.log2(error) if error > 0 else LOWEST


def _along(power: float) -> float:
    """Where a power of two stands."""
    share = (min(max(power, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
    return LEFT + share * (RIGHT - LEFT)


def _place(value: float) -> float:
    """Where a number of a path stands: linear up to 1, logarithmic beyond, from −1000 to 1000."""
    size = math.log10(max(abs(value), 1.0)) + min(abs(value), 1.0)
    share = min(size / (math.log10(FARTHEST) + 1), 1.0)
    return (STRIP + RIGHT) / 2 + math.copysign(share, value) * (RIGHT - STRIP) / 2


def _number(value: float) -> str:
    shown = str(int(value)) if value.is_integer() else f"{value:.3g}"
    return shown.replace("-", "−")


def _superscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _tick(x: float, y: int, said: str) -> str:
    anchor = "end" if x > RIGHT - 12 else "middle"
    return f'<text x="{x:.1f}" y="{y + 9}" text-anchor="{anchor}" class="tick">{escape(said)}</text>'


def _text(x: int, y: int, said: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(said)}</text>'


def _figure(title: str, drawn: Sequence[str], height: int, keys: Sequence[tuple[str, str]]) -> str:
    legend = "".join(f'<span class="key"><i style="background:{colour}"></i>{escape(said)}</span>' for colour, said in keys)
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(drawn)}</svg><p class="keys">{legend}</p></figure>'
    )
