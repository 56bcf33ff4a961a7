"""The notes judged at rows of a real table, with random weights and with trained ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.cli.table import TwoClassTable
from autodiff_ref.judge.derivations import Progress, verify
from autodiff_ref.judge.inputs import Input
from autodiff_ref.judge.report import Report
from autodiff_ref.nabla import nabla
from autodiff_ref.trees import Arguments
from manual_grad import Derivation, Weights, log_likelihood, notes, score, value_and_grad

STEPS = 300
"""of full-batch gradient ascent"""

RATE = 1.0
"""the step: this times the gradient of the mean log-likelihood"""

ROWS = 4
"""rows that balls run on, for each derivation and choice of weights"""


@dataclass(frozen=True)
class OnData:
    """What came of the notes on a table."""

    log: list[str]
    """what was done, in sentences"""
    reports: list[Report]


def verify_on_data(table: TwoClassTable, *, seed: int = 0, progress: Progress | None = None) -> OnData:
    """Judges every line of the notes at rows of a table.

    The columns are standardised. The weights are once drawn at random, and once what `STEPS` steps of full-batch gradient
    ascent by the hand gradient make of these. Floats evaluate all lines at all rows; balls decide at the few rows where the
    floats of the lines differ most, one by one and together.

    Args:
        table: the rows and their classes.
        seed: of the weights.
        progress: as for `verify`.
    """
    table = table.standardised()
    n, d = table.x.shape
    rng = np.random.default_rng(seed)
    w11, w12 = rng.normal(size=(2, d)) / np.sqrt(d)
    # without a bias, h ≥ 0 gives all rows scores of one sign unless the two units pull to opposite sides
    start = Weights(w11, w12, w21=np.abs(rng.normal(size=2)) * [1.0, -1.0])
    log = [
        f"{n} rows × {d} columns, standardised; {table.label}: {table.classes[0]} → −1, {table.classes[1]} → +1",
        _fit(f"weights drawn at random (seed {seed})", start, table),
    ]
    trained = gradient_ascent(start, table.x, table.y)
    log.append(_fit(f"after {STEPS} steps of gradient ascent by the hand gradient", trained, table))
    chosen = {"random weights": start, "trained weights": trained}
    reports: list[Report] = []
    for derivation in (notes.W11, notes.W12, notes.W21, notes.RESIDUAL):
        inputs: list[Input] = []
        for name, weights in chosen.items():
            rows = _rows_where_floats_differ_most(derivation, weights, table)
            inputs += _inputs_at(derivation, name, weights, table, rows)
            log.append(f"{derivation.name}, {name}: balls at data rows {', '.join(str(row + 1) for row in rows)}")
        reports.append(verify(derivation, seed=seed, inputs=inputs, progress=progress))
    log.append(f"floats evaluated every line at all {n} rows; balls decided at the {ROWS} rows where floats differ most")
    return OnData(log, reports)


def gradient_ascent(w: Weights[np.ndarray], x: np.ndarray, y: np.ndarray) -> Weights[np.ndarray]:
    """`STEPS` steps of w ← w + RATE/n ∇ll by the hand gradient over all rows, in one compiled loop, in float64."""

    def step(w: Weights[jax.Array], _: None) -> tuple[Weights[jax.Array], None]:
        _, gradient = value_and_grad(w, x, y)
        return jax.tree.map(lambda a, g: a + RATE / len(x) * g, w, gradient), None

    with jax.enable_x64(True):
        ascent = jax.jit(lambda w: jax.lax.scan(step, w, None, length=STEPS)[0])
        return jax.tree.map(np.asarray, ascent(jax.tree.map(jnp.asarray, w)))


def _fit(what: str, w: Weights[np.ndarray], table: TwoClassTable) -> str:
    ll = float(log_likelihood(w, table.x, table.y))
    accuracy = float(np.mean(np.sign(score(w, table.x)) == table.y))
    return f"{what}: log-likelihood {ll:.2f} ({ll / len(table.y):.4f} a row), accuracy {accuracy:.4f}"


def _arguments(
    derivation: Derivation,
    w: Weights[np.ndarray] | Weights[jax.Array],
    x: np.ndarray | jax.Array,
    y: np.ndarray | jax.Array,
) -> Arguments:
    """What the derivation's lines take: the score and the label for the last claim, else weights, rows and labels."""
    return (score(w, x)[0], y[0]) if derivation is notes.RESIDUAL else (w, x, y)


def _inputs_at(
    derivation: Derivation, stratum: str, w: Weights[np.ndarray], table: TwoClassTable, rows: Sequence[int]
) -> list[Input]:
    groups = [[row] for row in rows] + ([] if derivation is notes.RESIDUAL else [list(rows)])
    arguments = [_arguments(derivation, w, table.x[group], table.y[group]) for group in groups]
    return [Input(stratum, jax.tree.map(np.asarray, args)) for args in arguments]


@cache
def _lines_at_every_row(derivation: Derivation) -> Callable[..., jax.Array]:
    """The lines' values at each row, (rows, lines, components), as one compiled function of the weights, X and y."""

    def lines_at(w: Weights[jax.Array], x: jax.Array, y: jax.Array) -> jax.Array:
        args = _arguments(derivation, w, x[None], y[None])
        return jnp.stack([jnp.ravel(line(*args, nabla=nabla(derivation.wrt))) for line in derivation.lines])

    return jax.jit(jax.vmap(lines_at, in_axes=(None, 0, 0)))


def _rows_where_floats_differ_most(derivation: Derivation, w: Weights[np.ndarray], table: TwoClassTable) -> list[int]:
    """The rows at which two lines of the derivation are farthest apart in float64, relative to their size."""
    with jax.enable_x64(True):
        values = np.asarray(_lines_at_every_row(derivation)(w, jnp.asarray(table.x), jnp.asarray(table.y)))
    spread = np.max(values.max(axis=1) - values.min(axis=1), axis=-1)
    size = np.abs(values).max(axis=(1, 2))
    doubt = np.where(np.isfinite(spread), spread / np.where(size > 0, size, 1.0), np.inf)
    return [int(row) for row in np.argsort(-doubt, kind="stable")[:ROWS]]
