"""What `manual-grad plot stability` does: where along its own argument does each line of a derivation lose its digits?"""

import json
import math
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from autodiff_ref.cli import targets
from autodiff_ref.cli.stability_plot import draw
from autodiff_ref.judge.accuracy.survey import Survey, Surveyor
from autodiff_ref.judge.accuracy.ulps import DTYPES
from autodiff_ref.judge.lines.trace import REFERENCE, with_nabla
from autodiff_ref.nabla import Nabla
from autodiff_ref.train.commands import refusals
from autodiff_ref.train.plot import require_matplotlib
from autodiff_ref.trees import JsonObject, PyTree
from manual_grad import Derivation, grad_w11, grad_w12, grad_w21, notes

UNBOUND = 10_000
"""characters: no table is wider"""

WAYS = {"compiled": "compiled", "numpy": "NumPy"}

CLOSED_FORMS = {notes.W11.name: grad_w11, notes.W12.name: grad_w12, notes.W21.name: grad_w21}
"""what training calls, shown beside the notes' lines"""


def with_company(derivation: Derivation) -> Derivation:
    """A derivation with what it is judged against above its lines and, for the notes, the closed form below."""

    def reference(*args: PyTree, nabla: Nabla) -> PyTree:
        f = derivation.of
        return nabla(f)(*args) if derivation.is_gradient else with_nabla(f)(*args, nabla=nabla)

    reference.__name__ = REFERENCE if derivation.is_gradient else "equals"
    closed = [CLOSED_FORMS[derivation.name]] if derivation.name in CLOSED_FORMS else []
    return derivation.with_lines(reference, *derivation.lines, *closed)


def table_of(survey: Survey, console: Console) -> Table:
    """The regions of every line along one path; each in a row of its own where a console is too narrow for them."""
    table = _table(survey, ", ")
    unbound = console.options.update(width=UNBOUND)
    wanted = Measurement.get(console, unbound, table).maximum
    return table if wanted <= console.width else _table(survey, ",\n")


def _table(survey: Survey, between: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("  line", "NaN", "no digit right", "over 2^10 ulps", "elsewhere below"):
        table.add_column(Text(heading), overflow="fold")
    for curve in survey.curves:
        regions = [curve.regions["nan"], curve.without_nan("no digit"), curve.without_nan("lost")]
        cells = [between.join(map(str, found)) or "–" for found in regions]
        table.add_row(Text("  " + curve.label), *map(Text, cells), Text(_power_of_two(curve.elsewhere)))
    return table


def _power_of_two(error: float) -> str:
    """The power of two above an error, so that machines whose roundings differ say the same."""
    return f"{2 ** max(1, math.frexp(error)[1])} ulps"


def run(
    *,
    target: list[str] | None,
    out: Path | None,
    dtype: str,
    numpy: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Measures, draws and prints. The arguments are the options of the command: see `plots`."""
    with refusals():
        matplotlib = require_matplotlib("plot stability")
        if dtype not in DTYPES:
            raise ValueError(f"--dtype must be float64 or float32, got {dtype!r}")
        chosen = [found for t in target or [targets.NOTES] for found in targets.derivations_of(t).items()]
        places = _places(out, [name for name, _ in chosen], matplotlib)
        console, found = Console(), list[JsonObject]()
        for (_, derivation), place in zip(chosen, places, strict=True):
            surveys = Surveyor(with_company(derivation), seed).survey(dtype, "numpy" if numpy else "compiled")
            drawn = any(survey.curves for survey in surveys)
            if drawn:
                draw(matplotlib, derivation.name, surveys, place)
            if not as_json:
                _print(console, derivation, surveys, place if drawn else None)
            picture = str(place) if drawn else None
            found.append({"name": derivation.name, "picture": picture, "paths": [s.to_dict() for s in surveys]})
    if as_json:
        print(json.dumps({"derivations": found}, ensure_ascii=False, indent=1))


def _places(out: Path | None, names: list[str], matplotlib: ModuleType) -> list[Path]:
    """Where the pictures go; told before anything is computed if they cannot go there."""
    base = out or Path("stability.png")
    endings = matplotlib.figure.Figure().canvas.get_supported_filetypes()
    if base.suffix.removeprefix(".") not in endings:
        raise ValueError(f"--out must end in one of {', '.join(sorted(endings))}, got {base.name!r}")
    if not base.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {base.parent} for --out")
    if len(names) == 1 and out is not None:
        return [base]
    return [base.with_name(f"{base.stem}-{name}{base.suffix}") for name in names]


def _print(console: Console, derivation: Derivation, surveys: list[Survey], place: Path | None) -> None:
    if not surveys:
        console.print(Text(f"{derivation.name}: no path, since the first argument holds no real number"))
    for survey in surveys:
        low, high = (f"{end:g}".replace("-", "−") for end in (survey.path.grid[0], survey.path.grid[-1]))
        given = f", {survey.path.given}" if survey.path.given else ""
        console.print(
            Text(f"{derivation.name}, {survey.dtype}, {WAYS[survey.way]}: {survey.path.along} from {low} to {high}{given}")
        )
        console.print(table_of(survey, console))
        for label, reason in survey.left_out.items():
            console.print(Text(f"  {label}: {reason}", style="dim"))
    if place is not None:
        console.print(Text(f"drawn in {place}"), soft_wrap=True)
    console.print()
