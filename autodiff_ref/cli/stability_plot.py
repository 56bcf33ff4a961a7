"""The picture of `manual-grad plot stability`: for each path the error of every line, and a strip of the regions."""

import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from autodiff_ref.judge.accuracy.regions import Region
from autodiff_ref.judge.accuracy.survey import Curve, Survey

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, told apart by the colour-blind; without yellow, which is too pale for a line"""

LOWEST = 0.25
"""ulps: smaller errors are drawn as this one"""

DASHES = ("-", (0, (5, 2)), (0, (1, 1)))
"""for more than seven kinds of lines"""

Style = dict[str, Any]

LEVELS = {
    "lost": ("#f3c6a5", "more than $2^{10}$ ulps"),
    "no digit": ("#c0561a", "no digit right"),
    "nan": ("#000000", "NaN"),
}
"""from light to dark: they can be told apart without colour too"""


def draw(matplotlib: ModuleType, name: str, surveys: Sequence[Survey], path: Path) -> None:
    """Draws a picture: a row for each argument that runs, a column for each label.

    Args:
        matplotlib: what `require_matplotlib` returns.
        name: the derivation's, for the title.
        surveys: its paths.
        path: where to write; its ending says what kind of picture.

    Raises:
        OSError: the picture cannot be written.
    """
    along = list(dict.fromkeys(survey.path.along for survey in surveys))
    rows = [[survey for survey in surveys if survey.path.along == name] for name in along]
    columns, lines = max(map(len, rows)), max(len(survey.curves) for survey in surveys)
    heights = [3.0, 0.17 * lines + 0.2] * len(rows)
    size = (6.2 * columns + 0.6, sum(heights) + 0.9 * len(rows) + 0.6)
    figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
    axes = figure.subplots(2 * len(rows), columns, squeeze=False, height_ratios=heights)
    styles = _styles(surveys)
    for r, row in enumerate(rows):
        for c in range(columns):
            curves, strip = axes[2 * r][c], axes[2 * r + 1][c]
            if c >= len(row):
                curves.set_axis_off()
                strip.set_axis_off()
                continue
            _curves(curves, row[c], styles, with_label=c == 0)
            _strip(strip, row[c], styles)
            for each in (curves, strip):
                _argument_axis(each, row[c].path.grid)
            curves.tick_params(labelbottom=False)
    first = surveys[0]
    way = "compiled by XLA" if first.way == "compiled" else "on NumPy"
    patches = [matplotlib.patches.Patch(color=colour, label=text) for colour, text in LEVELS.values()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=9)
    figure.suptitle(f"{name}: error of each line in ulps, {first.dtype}, {way}", fontsize=12)
    figure.savefig(path, dpi=130)


def _styles(surveys: Sequence[Survey]) -> dict[str, Style]:
    """Lines that lose their digits in the same regions everywhere look the same.

    Their curves lie on each other; those drawn first are wide, so that each kind shows at the edges of the next.
    """
    losses: dict[str, list[str]] = {}
    for survey in surveys:
        for curve in survey.curves:
            lost = [str(region) for level in LEVELS for region in (*curve.regions[level], level)]
            losses.setdefault(curve.label, []).extend([survey.path.name, *lost])
    kinds = list(dict.fromkeys(map(tuple, losses.values())))
    styles: dict[str, Style] = {}
    for label, lost in losses.items():
        k = kinds.index(tuple(lost))
        width = 1.2 + 4.8 * (len(kinds) - 1 - k) / max(len(kinds) - 1, 1)
        styles[label] = {
            "color": COLOURS[k % len(COLOURS)],
            "linestyle": DASHES[k // len(COLOURS) % len(DASHES)],
            "linewidth": width,
        }
    return styles


def _curves(axes: Any, survey: Survey, styles: dict[str, Style], *, with_label: bool) -> None:
    bits = np.finfo(survey.dtype).nmant + 1
    grid = np.array(survey.path.grid)
    for curve in sorted(survey.curves, key=lambda curve: -styles[curve.label]["linewidth"]):
        style = styles[curve.label]
        axes.plot(grid, _heights(curve), **style)
        nan = [value for value, error in zip(grid, curve.errors, strict=True) if error is not None and math.isnan(error)]
        axes.plot(nan, [2.0 ** (bits + 3)] * len(nan), "x", color=style["color"], markersize=3 + style["linewidth"])
    axes.axhline(2.0**10, color="0.35", linewidth=1, linestyle=(0, (4, 3)))
    axes.text(0.01, 2.0**10 * 1.3, "$2^{10}$ ulps", transform=axes.get_yaxis_transform(), fontsize=8, color="0.35")
    axes.set_yscale("log", base=2)
    axes.set_ylim(LOWEST, 2.0 ** (bits + 6))
    powers = range(0, bits - 3, 10 if bits > 30 else 5)
    ticks = {**{2.0**k: f"$2^{{{k}}}$" for k in powers}, 2.0**bits: "all", 2.0 ** (bits + 3): "NaN"}
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_yticks([], minor=True)
    axes.grid(axis="y", color="0.9")
    axes.set_title(survey.path.given, fontsize=10)
    if with_label:
        axes.set_ylabel("error, ulps")


def _argument_axis(axes: Any, grid: Sequence[float]) -> None:
    if grid[0] < 0 < grid[-1]:
        axes.set_xscale("symlog", linthresh=10.0, linscale=1.2)
        numbers = [sign * value for sign in (-1, 1) for value in (5, 10, 20, 40, 100, 300, 1000)]
        axes.set_xticks([0, *numbers], [f"{value}".replace("-", "−") for value in (0, *numbers)], fontsize=8)
        axes.set_xticks([], minor=True)
        axes.set_xlim(grid[0] * 1.1, grid[-1] * 1.1)


def _strip(axes: Any, survey: Survey, styles: dict[str, Style]) -> None:
    """A row for each line, with its regions."""
    low, high = survey.path.grid[0], survey.path.grid[-1]

    def bar(region: Region) -> tuple[float, float]:
        start, end = low if region.low is None else region.low, high if region.high is None else region.high
        return start, end - start

    labels = [curve.label for curve in survey.curves]
    for k, curve in enumerate(survey.curves):
        for level, (colour, _) in LEVELS.items():
            axes.broken_barh([bar(region) for region in curve.regions[level]], (k - 0.38, 0.76), color=colour, linewidth=0)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    for label, text in zip(labels, axes.get_yticklabels(), strict=True):
        text.set_color(styles[label]["color"])
        text.set_fontweight("bold")
    axes.grid(axis="x", color="0.93")
    axes.set_axisbelow(True)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel(survey.path.along)
    axes.tick_params(axis="y", length=0)


def _heights(curve: Curve) -> list[float]:
    """The errors as they are drawn, gaps where there is none."""
    return [math.nan if error is None else error if math.isnan(error) else max(error, LOWEST) for error in curve.errors]
