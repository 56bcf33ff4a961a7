"""What `assert_gradients_agree` costs, and how many examples a second a property test draws and judges.

    python benchmarks/assertions.py            both tables
    python benchmarks/assertions.py --json
    python benchmarks/assertions.py --steering what `target()` finds that examples at random do not

Cost: milliseconds a call after the first ones of a shape, beside the candidate alone (NumPy) and JAX's gradient compiled;
"over the candidate" is the difference, of which evaluating the reference is a part: at most 1 ms over both is asked. The
least of many interleaved rounds, since other work only adds. Examples: `@given` drawing from
`strategies.arguments(derivation.domain, stratum)` and asserting each, at least 300 a second asked, tracing and all.

Steering: a gradient that cannot be traced, wrong where a projection of eight numbers is large; over seeds, how many property
tests find that, with the assertion telling Hypothesis how far apart both sides are and without.
"""

import argparse
import json
import time
from typing import Any

import jax
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from timing import in_turn, machine

import autodiff_ref
from autodiff_ref import assert_gradients_agree
from autodiff_ref.judge import strategies
from autodiff_ref.judge.assertion import by_value
from autodiff_ref.judge.inputs import STRATA
from manual_grad import Derivation, Weights, log_likelihood, notes

SHAPES = ((4, 3), (30, 10), (200, 30))
LINES = (notes.line_2b, notes.line_3c)


def arguments(n: int, d: int, dtype: Any, seed: int) -> tuple[Any, ...]:
    """Ordinary arguments of the notes."""
    rng = np.random.default_rng(seed)
    w = Weights(rng.uniform(-1, 1, d) / d**0.5, rng.uniform(-1, 1, d) / d**0.5, rng.uniform(-2, 2, 2))
    given = w, rng.uniform(-1, 1, (n, d)), rng.choice([-1.0, 1.0], n)
    return jax.tree.map(lambda leaf: leaf.astype(dtype), given)


def cost(line: Any, n: int, d: int, dtype: Any, rounds: int) -> dict[str, Any]:
    """Milliseconds of one line at one shape."""
    args = arguments(n, d, dtype, 0)
    for k in range(3):
        assert_gradients_agree(line, log_likelihood, *arguments(n, d, dtype, k), wrt="w11")
    with jax.enable_x64(dtype == np.float64):
        gradient = jax.jit(lambda w, x, y: jax.grad(autodiff_ref.log_likelihood)(w, x, y).w11)
        jobs = {
            "assertion": lambda: assert_gradients_agree(line, log_likelihood, *args, wrt="w11"),
            "candidate": lambda: line(*args),
            "reference": lambda: np.asarray(gradient(*args)),
        }
        times = {name: 1e3 * taken for name, taken in in_turn(jobs, rounds, least=True).items()}
    over = times["assertion"] - times["candidate"]
    return {"line": line.__name__, "n": n, "d": d, "dtype": np.dtype(dtype).name, **times, "over": over}


def examples(derivation: Derivation, stratum: str, count: int) -> tuple[float, float]:
    """Examples a second, from the first to the last; and a second of processor time."""

    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategies.arguments(derivation.domain, stratum))
    def agrees(args: tuple[Any, ...]) -> None:
        nonlocal drawn
        drawn += 1
        assert_gradients_agree(derivation.lines[-1], derivation.of, *args, wrt=derivation.wrt)

    drawn = 0
    since, cpu = time.perf_counter(), time.process_time()
    agrees()
    return drawn / (time.perf_counter() - since), drawn / (time.process_time() - cpu)


def finds(reach: float, count: int, seed_of_test: int) -> bool:
    """Whether a property test of `count` examples finds a series cut short, off by an ulp at a projection of `reach`."""

    def candidate(x: Any) -> Any:
        same = np.frompyfunc(lambda value: value, 1, 1)(x).astype(float)  # as compiled code, it is not traced
        projection = max(float(np.mean(same * np.array([1, -1, 1, 1, -1, -1, 1, -1]))), 0.0)
        return 2 * x * (1 + 1e-16 * (projection / reach) ** 4)

    @seed(seed_of_test)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate, Phase.target])
    @given(arrays(np.float64, 8, elements=st.floats(-256, 256)))
    def agrees(x: Any) -> None:
        assert_gradients_agree(candidate, lambda x: (x**2).sum(), x)

    try:
        agrees()
    except AssertionError:
        return True
    return False


def steering(seeds: int = 8) -> None:
    """Prints how many tests find it, with `target()` and without."""
    told = by_value.steer
    print("| wrong from a projection of about | examples | found with `target()` | without |\n|---:|---:|---:|---:|")
    for reach in (20.0, 40.0, 60.0):
        for count in (100, 1_000):
            found: list[int] = []
            for by_value.steer in (told, lambda *_: None):
                found.append(sum(finds(reach, count, k) for k in range(seeds)))
            print(f"| {2 * reach:.0f} of 256 | {count:,} | {found[0]} of {seeds} | {found[1]} of {seeds} |", flush=True)
    by_value.steer = told


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--count", type=int, default=2_000, help="examples of a test")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--steering", action="store_true", help="what `target()` finds")
    options = parser.parse_args()
    if options.steering:
        steering()
        return
    rows = [
        cost(line, n, d, dtype, options.rounds) for line in LINES for n, d in SHAPES for dtype in (np.float64, np.float32)
    ]
    rates = {
        f"{derivation.name}, {stratum}": examples(derivation, stratum, options.count)
        for derivation in (notes.W11, notes.W21, notes.RESIDUAL)
        for stratum in STRATA
    }
    if options.json:
        print(json.dumps({"machine": machine(), "milliseconds": rows, "examples a second": rates}, ensure_ascii=False))
        return
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print("\n| line | n × d | dtype | assertion | candidate | reference | over the candidate, ms |")
    print("|---|---|---|---:|---:|---:|---:|")
    for row in rows:
        times = " | ".join(f"{row[name]:.2f}" for name in ("assertion", "candidate", "reference", "over"))
        print(f"| {row['line']} | {row['n']} × {row['d']} | {row['dtype']} | {times} |")
    print("\n| derivation, stratum | examples a second | a second of processor time |\n|---|---:|---:|")
    for name, (rate, of_work) in rates.items():
        print(f"| {name} | {rate:.0f} | {of_work:.0f} |")


if __name__ == "__main__":
    main()
